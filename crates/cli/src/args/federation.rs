//! `dure federation`

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

use super::{RemoteArgs, ServerArgs};

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure federation create fitbit                       for the built-in recipe of that name
  dure federation create ward --recipe ward.toml      jobs and sites are held to the recipe's [schema]
  dure federation export --out journal.jsonl
  dure federation verify journal.jsonl --witness result.json")]
pub struct Federation {
    #[command(subcommand)]
    pub command: FederationCommand,
}

#[derive(Debug, Subcommand)]
pub enum FederationCommand {
    /// Make a federation; harmless if it is there
    Create(Create),
    /// The federations of a server
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// A federation: its clients, its job, its journal
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Fetch a federation's journal whole, its chain verified
    Export {
        /// Write it to this file instead of standard output
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Walk a journal's chain, hold every event to the rules, and name the first that is broken
    Verify(Verify),
}

#[derive(Debug, Arguments)]
pub struct Create {
    /// What it is called: 1 to 64 of a-z, 0-9, '.', '_' and '-'
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The recipe whose [schema] jobs and sites are held to: a built-in recipe's name, or a TOML file. By default the built-in one called NAME
    #[arg(long, value_name = "RECIPE", conflicts_with = "no_recipe")]
    pub recipe: Option<String>,
    /// Hold nobody to a recipe
    #[arg(long)]
    pub no_recipe: bool,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub server: ServerArgs,
}

#[derive(Debug, Arguments)]
pub struct Verify {
    /// A journal: the journal.jsonl of a run, or one that was exported
    #[arg(value_name = "JOURNAL")]
    pub journal: PathBuf,
    /// A file with a head of this journal that was kept elsewhere, such as the run's result.json: shows an end that was cut off
    #[arg(long, value_name = "FILE")]
    pub witness: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
