//! Data sets: rows by client, from a file or made up.

pub mod examples;

pub mod date;
pub mod people;
pub mod table;

pub mod cifar;
pub mod folder;
pub mod glyphs;
pub mod gzip;
pub mod idx;
pub mod images;

pub mod made_up_vitals;
pub mod news;
pub mod vitals;

mod divide;
mod load;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::Arc,
};

use dure_core::name::ClientName;
use serde::{Deserialize, Serialize};

use crate::partition::Partition;
use date::Date;
use examples::{Inputs, Truth};

pub use load::{found, load, made_up, rows};

/// Where a site keeps its rows and what it calls its columns. It never leaves the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// What the files are.
    #[serde(default)]
    pub format: Format,
    /// The file of a table, within the folder of the data set, packed with gzip or not.
    #[serde(default)]
    pub file: String,
    /// The files of images to train on: two IDX files (images, labels), batches of CIFAR-10, or a folder of folders.
    #[serde(default)]
    pub train: Vec<String>,
    /// As `train`, of the images that the data set holds out to test on.
    #[serde(default)]
    pub test: Vec<String>,
    /// The column of a table that says whose row it is; empty if rows are nobody's, and the partition deals them out.
    #[serde(default)]
    pub client: String,
    /// What clients are called: this, a hyphen and a number, in the order of that column's values.
    pub prefix: String,
    /// The column of a table that has the day; empty if rows have none.
    #[serde(default)]
    pub date: String,
    /// A row in which all of these are 0 is dropped and counted: the device was not worn.
    #[serde(default)]
    pub drop_if_zero: Vec<String>,
    /// What stands in a table for a missing value, beside nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<String>,
    /// The site's name of a column, where it differs from the schema's.
    #[serde(default)]
    pub columns: BTreeMap<String, String>,
    /// Whether the data are public anyway, so that a client may be called by whom it stands for.
    #[serde(default)]
    pub public: bool,
    /// Who gets which example; by whom they are of, if absent.
    #[serde(default = "natural")]
    pub partition: Partition,
    /// What the partition is drawn by. It is not the job's seed: who has which example does not change from job to job.
    #[serde(default)]
    pub partition_seed: u64,
}

fn natural() -> Partition {
    Partition::Natural { largest: None }
}

/// What a site's files are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A table of comma-separated values.
    #[default]
    Csv,
    /// Vital signs as charted in MIMIC-IV-ED, of which hourly rows are made.
    Vitals,
    /// Images and labels as MNIST has them.
    Idx,
    /// Batches as CIFAR-10 has them.
    Cifar10,
    /// A folder of images for each class.
    Folder,
}

/// What is made up where there is no data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Generator {
    /// A table of people's daily activity.
    Activity(people::Generator),
    /// A table of patients' vital signs.
    Patients(made_up_vitals::Patients),
    /// Images.
    Glyphs {
        /// Images of each class to train on.
        per_class: u32,
        /// Images of each class that are held out to test on.
        #[serde(default)]
        test_per_class: u32,
    },
}

/// Everybody's rows.
#[derive(Clone, Debug, PartialEq)]
pub struct DataSet {
    /// Where they are from.
    pub source: Source,
    /// By client, in the order of names.
    pub clients: Vec<ClientRows>,
    /// Rows that were dropped.
    pub dropped: usize,
    /// What was left out, and why: a line each.
    pub remarks: Vec<String>,
}

/// Where rows are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file, or a folder.
    File(PathBuf),
    /// The recipe's generator.
    Generated,
}

/// One client and its examples, which copies of it share.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRows {
    /// Its name in the federation.
    pub name: ClientName,
    /// Its examples.
    pub examples: Arc<Examples>,
}

/// A client's examples; those of a table in the order of their days, or of the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Examples {
    /// The client by whose name they are divided: of clients that share them, the one that has them alone otherwise.
    pub divided_as: ClientName,
    /// Whose rows they are, or what they are grouped by, as the file has it; empty if they were dealt out.
    pub id: String,
    /// The line of its first row in a table.
    pub line: u64,
    /// The days of a table's rows, if they have days.
    pub dates: Vec<Date>,
    /// What goes in.
    pub inputs: Inputs,
    /// What is true.
    pub truth: Truth,
    /// How many examples, the last, the data set holds out to test on.
    pub held_out: usize,
}

impl Deref for ClientRows {
    type Target = Examples;

    fn deref(&self) -> &Examples {
        &self.examples
    }
}

/// A client whose examples are changed has its own from then on.
impl DerefMut for ClientRows {
    fn deref_mut(&mut self) -> &mut Examples {
        Arc::make_mut(&mut self.examples)
    }
}

impl ClientRows {
    /// How many examples it has.
    pub fn len(&self) -> usize {
        self.truth.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.truth.is_empty()
    }
}

impl DataSet {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.clients.iter().map(ClientRows::len).sum()
    }
}

impl Source {
    /// `file` or `generated`.
    pub fn word(&self) -> &'static str {
        match self {
            Self::File(_) => "file",
            Self::Generated => "generated",
        }
    }
}
