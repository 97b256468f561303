//! What can be typed.

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};

/// Federated learning: many sites train one model together, and the data stay where they are.
#[derive(Debug, Parser)]
#[command(name = "dure", version, arg_required_else_help = true)]
pub struct Args {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a whole federation in this process
    Simulate(Simulate),
    /// Show a federation of made-up people at work; needs no data
    Demo(Demo),
    /// Verify the journal of a federation
    Federation(Federation),
    /// List, show and check recipes
    Recipe(Recipe),
    /// Look at a data set and its split
    Data(Data),
    /// Use a trained model file
    Model(Model),
    /// Measure speed and memory, beside other software where it is installed
    Bench(Bench),
}

/// A recipe and what is laid over it.
#[derive(Debug, Arguments)]
pub struct RecipeArgs {
    /// A built-in recipe's name, or a TOML file
    pub recipe: String,
    /// Override any key of the recipe: rounds=100 training.epochs=5
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
}

/// Whose rows.
#[derive(Debug, Arguments)]
pub struct DataArgs {
    /// The folder that holds the recipe's data set. Without it $DURE_DATA/<data set>, else made-up data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// From which all randomness derives
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure simulate fitbit                                    made-up people
  dure simulate fitbit --data DIR --seed 1 --out run1     real ones; writes model, journal and figures
  dure simulate fitbit rounds=100 training.epochs=5 --baselines
  dure simulate fitbit --data DIR --replay run1/journal.jsonl")]
pub struct Simulate {
    #[command(flatten)]
    pub recipe: RecipeArgs,
    #[command(flatten)]
    pub data: DataArgs,
    /// Write result.json, rounds.csv, model.safetensors and journal.jsonl to this folder
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Threads that train; the result does not depend on it. All cores if absent
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Train the centralised and the local-only model as well, on the same splits and budget
    #[arg(long)]
    pub baselines: bool,
    /// Repeat this journal's run and hold every answer and every model against its digest
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["out", "baselines", "seed"])]
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
}

#[derive(Debug, Arguments)]
pub struct Federation {
    #[command(subcommand)]
    pub command: FederationCommand,
}

#[derive(Debug, Subcommand)]
pub enum FederationCommand {
    /// Walk a journal's chain, hold every event to the rules, and name the first that is broken
    Verify {
        /// A journal: the journal.jsonl of a run
        #[arg(value_name = "JOURNAL")]
        journal: PathBuf,
        /// A file with a head of this journal that was kept elsewhere, such as the run's result.json: shows an end that was cut off
        #[arg(long, value_name = "FILE")]
        witness: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

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
}

#[derive(Debug, Arguments)]
pub struct Model {
    #[command(subcommand)]
    pub command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Predict the target of every row of a file, in its unit
    Predict {
        #[command(flatten)]
        model: ModelArgs,
        /// Write the predictions to this CSV file instead of the terminal
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Hold a model against rows whose target is known
    Evaluate {
        #[command(flatten)]
        model: ModelArgs,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// A model file and the rows to use it on.
#[derive(Debug, Arguments)]
pub struct ModelArgs {
    /// The model: a file that Dure wrote
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// The rows: a CSV file, or the folder of the recipe's data set
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The recipe whose [site] says what the file's columns are called; by default the built-in one that the model names
    #[arg(long, value_name = "RECIPE")]
    pub recipe: Option<String>,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  taskset -c 1 dure bench train --python .venv/bin/python
  taskset -c 1 dure bench simulate --data DIR --python .venv/bin/python")]
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
