//! What works in this process: simulations, the demo, benchmarks.

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

use super::{DataArgs, RecipeArgs};

#[derive(Clone, Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure simulate fitbit                                    made-up people
  dure simulate fitbit --data DIR --seed 1 --out run1     real ones; writes model, journal and figures
  dure simulate fitbit rounds=100 training.epochs=5 --baselines
  dure simulate fitbit-personal --repeat 5 --baselines    means over five seeds, differences with intervals
  dure simulate fitbit --data DIR --replay run1/journal.jsonl")]
pub struct Simulate {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub data: DataArgs,
    /// Write report.html, result.json, rounds.csv, model.safetensors and journal.jsonl to this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads that train; the result does not depend on it. All cores if absent
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Train the centralised and the local-only model as well, on the same splits and budget
    #[arg(long)]
    pub baselines: bool,
    /// Run with N seeds, from --seed on, and with every fold if the recipe has folds: means, differences and their intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: Option<u32>,
    /// Repeat this journal's run and hold every answer and every model against its digest
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["out", "baselines", "seed", "repeat"])]
    pub replay: Option<PathBuf>,
    /// Print result.json instead of tables
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Arguments)]
pub struct Demo {
    /// From which everybody is made up
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Kill the server and the agents at random while they train, and start them again
    #[arg(long)]
    pub chaos: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  taskset -c 1 dure bench train --python .venv/bin/python
  taskset -c 1 dure bench simulate --data DIR --python .venv/bin/python
  dure bench serve --python .venv/bin/python")]
pub struct Bench {
    #[command(subcommand)]
    pub command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A training step, beside PyTorch's
    Train(BenchArgs),
    /// A simulated round and a whole run, beside a plain PyTorch loop, pfl-research and Flower
    Simulate {
        #[command(flatten)]
        bench: BenchArgs,
        /// The folder of the Fitbit data set
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
    },
    /// A server on loopback: its start, its memory, how soon waiting clients have a task; beside Flower's
    Serve {
        #[command(flatten)]
        bench: BenchArgs,
        /// How many clients wait. With fewer than 10, less of everything is measured
        #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=500))]
        clients: u16,
    },
    /// How long a killed server, and a killed agent, hold up a round
    Recover {
        /// Print JSON instead of a table
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Arguments)]
pub struct BenchArgs {
    /// A Python in which the other software is installed; without it its columns stay empty
    #[arg(long, value_name = "PATH")]
    pub python: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
