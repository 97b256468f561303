//! What works in this process: simulations, the demo, benchmarks.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args as Arguments, Subcommand, ValueEnum};

use super::{DataArgs, RecipeArgs};

#[derive(Clone, Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure simulate fitbit                                    made-up people
  dure simulate fitbit --data DIR --seed 1 --out run1     real ones; writes model, journal and figures
  dure simulate fitbit rounds=100 training.epochs=5 --baselines
  dure simulate fitbit-personal --repeat 5 --baselines    means over five seeds, differences with intervals
  dure simulate fedprox --sweep strategy.mu=0,0.1,1 --repeat 5
  dure simulate a.toml b.toml c.toml --compare --repeat 5 the same world under several plans: figures, bytes, virtual time
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
    /// Train the centralised and the local-only model as well, on the same splits and budget; or one of them
    #[arg(long, value_enum, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "all")]
    pub baselines: Option<Baseline>,
    /// Run with N seeds, from --seed on, and with every fold if the recipe has folds: means, differences and their intervals
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub repeat: Option<u32>,
    /// Run with each of these values of a key, as in strategy.mu=0,0.1,1; several times for all combinations
    #[arg(long, value_name = "KEY=V,V")]
    pub sweep: Vec<String>,
    /// Run several recipes, RECIPE and those that follow it, in the world of the first and on its data: what if
    #[arg(long, conflicts_with_all = ["sweep", "baselines"])]
    pub compare: bool,
    /// Repeat this journal's run and hold every answer and every model against its digest
    #[arg(long, value_name = "JOURNAL", conflicts_with_all = ["out", "baselines", "seed", "repeat", "sweep", "compare"])]
    pub replay: Option<PathBuf>,
    /// Print result.json instead of tables
    #[arg(long)]
    pub json: bool,
}

/// What a federation is held against.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Baseline {
    /// Both
    All,
    /// All rows in one place
    Central,
    /// Every client alone
    Local,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure simulate fitbit --out runs/fedavg
  dure simulate fitbit strategy.name=fedadam --out runs/fedadam
  dure view runs/fedavg
  dure view runs/fedavg runs/fedadam
  dure view runs
  dure federation export --out audit.jsonl && dure view audit.jsonl")]
pub struct View {
    /// What `dure simulate --out` has written, a folder of such folders, or a journal that was exported
    #[arg(value_name = "DIR", required = true)]
    pub paths: Vec<PathBuf>,
    /// Where the page is served, on this machine alone; port 0 takes one that is free
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    pub listen: SocketAddr,
    /// Only say where the page is; otherwise it is opened where there is a terminal and a display
    #[arg(long)]
    pub no_browser: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Where there is a terminal and a display, the dashboard is opened in a browser; its address, which signs in by itself, is printed
anyway. The job then has rounds for some time, the dashboard has a button that kills an agent, rounds go on without it, and
everything stays until Ctrl-C, so that you can look around. Without a browser it is over in seconds; with --stay it is as if there
were one. At the end the simulator repeats what was served and comes to the same bits.")]
pub struct Demo {
    /// From which everybody is made up
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Kill the server and the agents at random while they train, and start them again
    #[arg(long)]
    pub chaos: bool,
    /// Open no browser. The command line of one shows the address to whoever sees this machine's processes
    #[arg(long)]
    pub no_browser: bool,
    /// Train for some time, and stay until Ctrl-C, for those who open the dashboard themselves
    #[arg(long)]
    pub stay: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  taskset -c 1 dure bench train --python .venv/bin/python
  taskset -c 1 dure bench simulate --data DIR --python .venv/bin/python
  dure bench simulate --task mnist-cnn --data DIR --python .venv/bin/python
  taskset -c 1 dure bench simulate --task thousand --python .venv/bin/python
  dure bench simulate --task population
  dure bench codec --python .venv/bin/python
  dure bench codec --models mnist-fedavg --recipes mnist-fedavg,news
  dure bench serve --python .venv/bin/python
  dure bench table fedprox --data DIR
  dure bench table orchestration")]
pub struct Bench {
    #[command(subcommand)]
    pub command: BenchCommand,
}

#[derive(Debug, Subcommand)]
pub enum BenchCommand {
    /// A training step and the memory that it takes, beside PyTorch's
    Train(BenchArgs),
    /// A simulated round and a whole run, beside a plain PyTorch loop, pfl-research and Flower
    Simulate {
        #[command(flatten)]
        bench: BenchArgs,
        /// The folder of the task's data set: Fitbit's, or MNIST's. Other tasks make theirs up
        #[arg(long, value_name = "DIR")]
        data: Option<PathBuf>,
        /// What is simulated
        #[arg(long, value_name = "TASK", value_enum, default_value_t)]
        task: SimulateTask,
    },
    /// Bytes and coding times of models and updates as JSON, f32 and bf16, beside Python's; and what bf16 does to accuracy
    Codec(Codec),
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
    /// A published experiment as a table of runs, over several seeds, beside what others came to
    Table(BenchTable),
    /// Take steps in this process, and say as JSON how long they took and how much memory: for `bench train`
    #[command(hide = true)]
    Step {
        /// Which
        what: String,
    },
}

#[derive(Debug, Arguments)]
pub struct BenchTable {
    /// Which
    #[arg(value_name = "TABLE", value_enum)]
    pub table: TableName,
    /// How many seeds, from 0 on. Without it 5; of orchestration 1000, or 20 in a smoke run
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(2..=1000))]
    pub seeds: Option<u16>,
    /// The folder of all data sets. Without it $DURE_DATA, else made-up data; orchestration reads none
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// As small as the recipe's `smoke` says: to see that it works
    #[arg(long)]
    pub smoke: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// Tables of runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TableName {
    /// FedAvg and FedProx with stragglers, on MNIST
    Fedprox,
    /// Five strategies on labels that are dealt out more and more unevenly, on Fashion-MNIST
    NonIid,
    /// Eight rules against four attacks of 4 of 20 clients, on MNIST
    Byzantine,
    /// How soon an accuracy is reached without cohorts and with them, where devices are alike and where some are slow, on MNIST
    Asynchronous,
    /// How often a job is done, and how soon, on five machines that fail while they train
    Orchestration,
}

/// What `bench simulate` simulates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum SimulateTask {
    /// Everybody's daily activity in every round, a small perceptron: on one core
    #[default]
    Fitbit,
    /// 10 of 100 clients with 600 digits each, a convolutional network: on one core and on all
    MnistCnn,
    /// 100 of 1,000 made-up people with 32 days each, the same perceptron; and what a second thread brings
    Thousand,
    /// 1,000 of 100,000 clients that share the rows of 1,000: the memory of one that is not asked
    Population,
}

#[derive(Debug, Arguments)]
pub struct Codec {
    #[command(flatten)]
    pub bench: BenchArgs,
    /// Recipes whose models are coded, and the updates after one local epoch
    #[arg(long, value_name = "RECIPES", value_delimiter = ',', default_value = "cifar10-resnet18,cifar10-resnet50")]
    pub models: Vec<String>,
    /// How many examples that epoch has
    #[arg(long, value_name = "N", default_value_t = 320, value_parser = clap::value_parser!(u16).range(1..))]
    pub examples: u16,
    /// Recipes that are trained with f32 and with bf16
    #[arg(long, value_name = "RECIPES", value_delimiter = ',', default_value = "fitbit,news")]
    pub recipes: Vec<String>,
    /// The folder of all data sets. Without it $DURE_DATA, else made-up data
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
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
