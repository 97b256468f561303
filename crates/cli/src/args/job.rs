//! `dure job`

use clap::{Args as Arguments, Subcommand};

use super::{RecipeArgs, RemoteArgs};

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure job start fitbit rounds=100 training.epochs=5 --watch      a new job of a recipe
  dure job start 3 --rounds 5                                     one that exists, for five rounds
  dure job show                                                   where it stands, and what it waits for
  dure job train; dure job aggregate                              one round, step by step
  dure job watch --json | jq -r .event.type")]
pub struct Job {
    #[command(subcommand)]
    pub command: JobCommand,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
pub enum JobCommand {
    /// Make a job of a recipe, and do not start it
    Create(New),
    /// Start a job: a new one of a recipe, or one that exists
    Start(Start),
    /// The jobs there are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Where a job stands, and what it waits for
    Show {
        /// The job's number; by default the newest
        #[arg(value_name = "JOB")]
        job: Option<u32>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Open no rounds until it is resumed; an open round goes on
    Pause(Which),
    /// Go on with a paused job
    Resume {
        #[command(flatten)]
        which: Which,
        /// For so many rounds, and then it pauses again
        #[arg(long, value_name = "N")]
        rounds: Option<u32>,
    },
    /// End its training after the round that it is in; then it is tested, or refitted where its recipe says so
    Stop(Which),
    /// End it now; an open round is abandoned
    Abort(Which),
    /// Open one training round of a paused or new job; it ends by `aggregate`
    Train(Which),
    /// End the open training round with the answers that it has
    Aggregate(Which),
    /// Show its rounds as they end, until it is over. Ctrl-C ends the watching only: the job goes on
    #[command(
        after_help = "A refit that follows is watched too. Ends with 0 if the job completed, with 1 if it was aborted, gave up or failed."
    )]
    Watch {
        /// The job's number; by default the active job, else the newest
        #[arg(value_name = "JOB")]
        job: Option<u32>,
        /// Print the journal's line of each event instead, from the job's first on
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Arguments)]
pub struct New {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// From which all randomness derives
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Arguments)]
pub struct Start {
    /// A built-in recipe's name, a TOML file, or the number of a job that was not started yet
    #[arg(value_name = "RECIPE|JOB")]
    pub what: String,
    /// Override any key of the recipe: rounds=100 training.epochs=5
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// From which all randomness of a new job derives; 0 if absent
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// For so many rounds, and then it pauses
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Then watch it, as `dure job watch` does
    #[arg(long)]
    pub watch: bool,
    /// Print JSON; with --watch, a line for each event
    #[arg(long)]
    pub json: bool,
}

/// One of a federation's jobs.
#[derive(Debug, Arguments)]
pub struct Which {
    /// The job's number; by default the active job, else the newest
    #[arg(value_name = "JOB")]
    pub job: Option<u32>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
