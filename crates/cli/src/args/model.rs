//! `dure model`

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};

use super::RemoteArgs;

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure model get production --out model.safetensors
  dure model predict model.safetensors --data new_days.csv
  dure model predict xray.safetensors --data folder-of-images --out said.csv
  dure model promote 17; dure model rollback")]
pub struct Model {
    #[command(subcommand)]
    pub command: ModelCommand,
}

#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// The model versions of a federation
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// A model version: where it comes from, and how good it is
    Show {
        /// A version's number, or a name that stands for one; by default the newest
        #[arg(value_name = "VERSION|ALIAS")]
        version: Option<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Fetch a model version's file, its digest checked
    Get {
        /// A version's number, or a name that stands for one; by default the newest
        #[arg(value_name = "VERSION|ALIAS")]
        version: Option<String>,
        /// The file to write
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Let a name stand for a model version
    Promote {
        /// The version's number
        #[arg(value_name = "VERSION")]
        version: u32,
        /// The name
        #[arg(long, value_name = "NAME", default_value = "production")]
        alias: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Let a name stand for what it stood for before
    Rollback {
        /// The name
        #[arg(long, value_name = "NAME", default_value = "production")]
        alias: String,
        /// Print JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteArgs,
    },
    /// Predict the target of every row of a file, in its unit; or the class of every image
    Predict {
        #[command(flatten)]
        model: ModelArgs,
        /// Write the predictions to this CSV file instead of the terminal
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Hold a model against rows or images whose target is known
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
    /// The rows: a CSV file, or the folder of the recipe's data set. Of images: to predict, a folder of PNG or JPEG, or one; to evaluate, the data set's
    #[arg(long, value_name = "PATH")]
    pub data: PathBuf,
    /// The recipe whose [site] says what the file's columns are called; by default the built-in one that the model names
    #[arg(long, value_name = "RECIPE")]
    pub recipe: Option<String>,
}
