//! What can be typed.

mod data;
mod federation;
mod job;
mod local;
mod model;
mod node;
mod remote;

use std::path::PathBuf;

use clap::{Args as Arguments, Parser, Subcommand};

pub use data::{Data, DataCommand, Generate, Recipe, RecipeCommand};
pub use federation::{Create, Federation, FederationCommand, Verify};
pub use job::{Job, JobCommand, New, Start, Which};
pub use local::{
    Baseline, Bench, BenchArgs, BenchCommand, BenchTable, Codec, Demo, Simulate, SimulateTask, TableName, View,
};
pub use model::{Model, ModelArgs, ModelCommand};
pub use node::{Join, Part, Serve};
pub use remote::{Client, ClientCommand, Invite, RemoteArgs, ServerArgs};

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
    /// Serve federations to their sites
    Serve(Serve),
    /// Join a federation with the data of a site
    Join(Join),
    /// Show a federation of made-up people at work; needs no data
    Demo(Demo),
    /// Make, list and look at the federations of a server; verify a journal
    Federation(Federation),
    /// Invite sites to a federation
    Invite(Invite),
    /// The clients of a federation: who is there, and who is sent away
    Client(Client),
    /// Train in a federation: make, start, watch and end jobs
    Job(Job),
    /// The model versions of a federation; use a model file
    Model(Model),
    /// Look at a data set and its split, or make one up
    Data(Data),
    /// List, show and check recipes
    Recipe(Recipe),
    /// Look at simulations or journals in the browser, several side by side
    View(View),
    /// Measure speed and memory, beside other software where it is installed
    Bench(Bench),
}

/// A recipe and what is laid over it.
#[derive(Clone, Debug, Arguments)]
pub struct RecipeArgs {
    /// A built-in recipe's name, or a TOML file
    pub recipe: String,
    /// Override any key of the recipe: rounds=100 training.epochs=5
    #[arg(value_name = "KEY=VALUE")]
    pub overrides: Vec<String>,
    /// Make it small first, by what the recipe's `smoke` says: to see in seconds that it works
    #[arg(long)]
    pub smoke: bool,
}

/// Whose rows.
#[derive(Clone, Debug, Arguments)]
pub struct DataArgs {
    /// The folder that holds the recipe's data set. Without it $DURE_DATA/<data set>, else made-up data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// From which all randomness derives
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}
