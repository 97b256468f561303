//! Data sets: rows by client, from a file or made up.

pub mod date;
pub mod people;
pub mod table;

pub mod cifar;
pub mod folder;
pub mod glyphs;
mod gzip;
pub mod idx;
pub mod images;

pub mod made_up_vitals;
pub mod news;
pub mod vitals;

use std::path::PathBuf;

use dure_core::name::ClientName;
use serde::{Deserialize, Serialize};

use date::Date;

/// Where a site keeps its rows and what it calls its columns. It never leaves the site.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Site {
    /// The file, within the folder of the data set.
    pub file: String,
    /// The column that says whose row it is.
    pub client: String,
    /// What clients are called: this, a hyphen and a number, in the order of that column's values.
    pub prefix: String,
    /// The column of the day.
    pub date: String,
    /// A row in which all of these are 0 is dropped and counted: the device was not worn.
    #[serde(default)]
    pub drop_if_zero: Vec<String>,
    /// The site's name of a column, where it differs from the schema's.
    #[serde(default)]
    pub columns: std::collections::BTreeMap<String, String>,
    /// Whether the data are public anyway, so that a client may be called by whom it stands for.
    #[serde(default)]
    pub public: bool,
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
}

/// Where rows are from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The recipe's generator.
    Generated,
}

/// One client's rows, in the order of their days.
#[derive(Clone, Debug, PartialEq)]
pub struct ClientRows {
    /// Its name in the federation.
    pub name: ClientName,
    /// Whose rows they are, as the file has it.
    pub id: String,
    /// The line of its first row.
    pub line: u64,
    /// The days.
    pub dates: Vec<Date>,
    /// The features, a row a day.
    pub features: Vec<f64>,
    /// The target, one a day.
    pub target: Vec<f64>,
}

impl DataSet {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.clients.iter().map(|client| client.target.len()).sum()
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
