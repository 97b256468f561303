//! `dure data` and `dure recipe`

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

use super::{DataArgs, RecipeArgs};

#[derive(Debug, Arguments)]
pub struct Recipe {
    #[command(subcommand)]
    pub command: RecipeCommand,
}

#[derive(Debug, Subcommand)]
pub enum RecipeCommand {
    /// The built-in recipes
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// A recipe as TOML, with what is laid over it
    Show(RecipeArgs),
    /// Say whether a recipe's plan holds together, and what it comes to
    Check(RecipeArgs),
    /// A recipe's plan as JSON: what a server takes as the `plan` of a new job
    #[command(after_help = "\
Examples:
  dure recipe plan fitbit rounds=100 | jq '{plan: ., seed: \"7\"}' > job.json
  curl --json @job.json -H \"Authorization: Bearer $DURE_TOKEN\" http://127.0.0.1:3873/v1/federations/fitbit/jobs")]
    Plan(RecipeArgs),
}

#[derive(Debug, Arguments)]
pub struct Data {
    #[command(subcommand)]
    pub command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Clients, their days and their split; columns and their spread
    Describe {
        #[command(flatten)]
        recipe: RecipeArgs,
        #[command(flatten)]
        data: DataArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Who has which examples: a table, and a picture of clients and labels
    #[command(after_help = "\
Examples:
  dure data partition mnist-fedavg --out partition.svg
  dure data partition mnist-fedavg 'site.partition={name=\"dirichlet_labels\",clients=10,alpha=0.1}'")]
    Partition {
        #[command(flatten)]
        recipe: RecipeArgs,
        #[command(flatten)]
        data: DataArgs,
        /// Draw the picture into this SVG file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make up a data set and write it as the file that the recipe's sites have
    Generate(Generate),
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure data generate fitbit --people 5 --out data
  dure simulate fitbit --data data")]
pub struct Generate {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    /// From which everybody is made up
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How many people; by default as many as the recipe says
    #[arg(long, value_name = "N")]
    pub people: Option<u32>,
    /// The folder to write the file to
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}
