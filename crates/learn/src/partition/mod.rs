//! Who gets which example: one data set divided among clients that do not exist, or by whom its examples are of.
//!
//! A partition is row numbers, never a copy of rows, and a function of the data's labels or ids and of the seed. Every
//! example goes to exactly one client; only [`Partition::Natural`] can be told to leave some out, and counts them.

mod deal;
mod natural;
mod spread;

pub mod picture;
pub mod table;

#[cfg(test)]
mod tests;

use dure_core::excerpt::{NAME, excerpt};
use serde::{Deserialize, Serialize};

pub use deal::deal_alike;

/// The most clients times labels that are drawn or tabled.
const MAX_CELLS: usize = 1 << 24;

/// How a data set is divided.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"iid\", clients = 10 }"
)]
pub enum Partition {
    /// Shuffled, and cut into parts whose sizes differ by at most one.
    Iid {
        /// How many.
        clients: usize,
    },
    /// Each label's examples spread over the clients by shares of their own, Dirichlet-distributed. Yurochkin et al. 2019
    /// <https://arxiv.org/abs/1905.12022>, after Hsu et al. 2019 <https://arxiv.org/abs/1909.06335>, who draw a mix of labels
    /// for each client instead. Drawn again until every client has enough.
    DirichletLabels {
        /// How many.
        clients: usize,
        /// How alike they are: near 0, each label is one client's; large, all have the same.
        alpha: f64,
        /// The fewest examples that a client may have.
        #[serde(default = "one")]
        min_examples: usize,
    },
    /// Shuffled, and cut into parts whose shares are Dirichlet-distributed: sizes differ, labels do not. Drawn again until
    /// every client has enough.
    DirichletSizes {
        /// How many.
        clients: usize,
        /// How alike the sizes are.
        alpha: f64,
        /// The fewest examples that a client may have.
        #[serde(default = "one")]
        min_examples: usize,
    },
    /// Sorted by label, cut into shards whose sizes differ by at most one, and so many dealt to each. McMahan et al. 2017
    /// <https://arxiv.org/abs/1602.05629>, who give two.
    Shards {
        /// How many.
        clients: usize,
        /// Shards of each.
        shards_per_client: usize,
    },
    /// Every client holds so many labels, and every label's examples are divided evenly among its holders, whose numbers differ
    /// by at most one.
    LabelsPerClient {
        /// How many.
        clients: usize,
        /// Labels of each.
        labels: usize,
    },
    /// As [`Self::LabelsPerClient`], but each holder has a few examples of a label for certain and a share of the others that
    /// is log-normal before it is scaled. Li et al. 2020 <https://arxiv.org/abs/1812.06127>, as its authors' code has it.
    LogNormalSizes {
        /// How many.
        clients: usize,
        /// Labels of each; two in the paper.
        labels: usize,
        /// The mean of a share's logarithm. It is common to all, so scaling takes it away: it changes nothing.
        #[serde(default)]
        mu: f64,
        /// The standard deviation of a share's logarithm; 2 in the paper.
        sigma: f64,
        /// Examples that each holder of a label has for certain; 5 in the paper's code.
        #[serde(default = "five")]
        min_per_label: usize,
    },
    /// By whom they are of, in the order of ids.
    Natural {
        /// Only so many ids, those with the most examples; all others' are left out.
        #[serde(default)]
        largest: Option<usize>,
    },
    /// Whoever they are of, several to a client. One of the two is given.
    Grouped {
        /// So many silos of about equal size: they differ by at most the examples of the largest id.
        #[serde(default)]
        groups: Option<usize>,
        /// A silo for each value of this column of the file, in the order of values.
        #[serde(default)]
        column: Option<String>,
    },
}

fn one() -> usize {
    1
}

fn five() -> usize {
    5
}

/// What is to be divided: each list has one value an example, if it is there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whole<'a> {
    /// How many examples.
    pub examples: usize,
    /// What they are.
    pub labels: Option<&'a [u16]>,
    /// Whose they are.
    pub ids: Option<&'a [u32]>,
    /// The values of [`Partition::column`], numbered.
    pub groups: Option<&'a [u32]>,
}

/// Row numbers by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Of each client, ascending.
    pub clients: Vec<Vec<u32>>,
    /// How many are nobody's.
    pub left_out: usize,
}

/// A division that cannot be made. Clients are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartitionError {
    /// It divides by what the data do not have.
    #[error("the partition {name} divides by {what}, and these data have none; use another, such as iid")]
    Missing {
        /// The partition.
        name: &'static str,
        /// What is missing.
        what: &'static str,
    },
    /// A value outside what its key allows.
    #[error("{key} = {value} is not allowed: {allowed}")]
    Value {
        /// The key.
        key: &'static str,
        /// What it was given.
        value: String,
        /// What it may be.
        allowed: String,
    },
    /// More parts than things to make them of.
    #[error("{asked} {what} cannot be made of {have} {of}; ask for at most {have}")]
    TooFew {
        /// The parts.
        what: &'static str,
        /// How many were asked for.
        asked: usize,
        /// How many things there are.
        have: usize,
        /// The things.
        of: &'static str,
    },
    /// No draw gave every client enough.
    #[error(
        "client {client} has {examples} example{s} where {needed} are needed, and so it went in {tries} draws; \
         lower min_examples or clients, or raise alpha",
        s = if *.examples == 1 { "" } else { "s" }
    )]
    TooSmall {
        /// The smallest of the last draw.
        client: usize,
        /// How many it has.
        examples: usize,
        /// How many it needs.
        needed: usize,
        /// How often it was drawn.
        tries: u64,
    },
    /// A label with too few examples for its holders.
    #[error(
        "label {label} has {examples} examples, too few for {each} to each of the {holders} clients that hold it; \
         ask for fewer clients or labels of each"
    )]
    ScarceLabel {
        /// The label.
        label: u16,
        /// How many it has.
        examples: usize,
        /// How many clients hold it.
        holders: usize,
        /// The fewest that each needs.
        each: usize,
    },
    /// Lists that are not of the same examples.
    #[error("there are {have} {what} for {examples} examples; give one for each")]
    Length {
        /// What the list has.
        what: &'static str,
        /// Its length.
        have: usize,
        /// How many examples there are.
        examples: usize,
    },
}

impl PartitionError {
    fn value(key: &'static str, value: impl std::fmt::Display, allowed: impl Into<String>) -> Self {
        Self::Value { key, value: excerpt(value, NAME), allowed: allowed.into() }
    }
}

impl Partition {
    /// The name that chooses it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Iid { .. } => "iid",
            Self::DirichletLabels { .. } => "dirichlet_labels",
            Self::DirichletSizes { .. } => "dirichlet_sizes",
            Self::Shards { .. } => "shards",
            Self::LabelsPerClient { .. } => "labels_per_client",
            Self::LogNormalSizes { .. } => "log_normal_sizes",
            Self::Natural { .. } => "natural",
            Self::Grouped { .. } => "grouped",
        }
    }

    /// The column that it groups by, whose numbered values [`Whole::groups`] is to have.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::Grouped { column, .. } => column.as_deref(),
            _ => None,
        }
    }

    /// Whether it divides by whom examples are of.
    pub fn by_ids(&self) -> bool {
        matches!(self, Self::Natural { .. } | Self::Grouped { groups: Some(_), column: None })
    }

    /// Divides `whole`. The same data and the same seed give the same parts, and no part is empty.
    pub fn divide(&self, whole: &Whole, seed: u64) -> Result<Parts, PartitionError> {
        whole.check()?;
        let labels = || whole.labels.ok_or(self.missing("labels"));
        let ids = || whole.ids.ok_or(self.missing("ids"));
        let n = whole.examples;
        match self {
            Self::Iid { clients } => spread::iid(n, *clients, seed),
            Self::DirichletLabels { clients, alpha, min_examples } => {
                spread::dirichlet(deal::piles(labels()?), n, *clients, *alpha, *min_examples, seed)
            }
            Self::DirichletSizes { clients, alpha, min_examples } => {
                spread::dirichlet(vec![deal::pile(n)], n, *clients, *alpha, *min_examples, seed)
            }
            Self::Shards { clients, shards_per_client } => {
                spread::shards(labels()?, *clients, *shards_per_client, seed)
            }
            Self::LabelsPerClient { clients, labels: each } => {
                spread::held(labels()?, *clients, *each, spread::Sizes::Even, seed)
            }
            Self::LogNormalSizes { clients, labels: each, mu, sigma, min_per_label } => {
                let sizes = spread::Sizes::log_normal(*mu, *sigma, *min_per_label)?;
                spread::held(labels()?, *clients, *each, sizes, seed)
            }
            Self::Natural { largest } => natural::natural(ids()?, *largest),
            Self::Grouped { groups: Some(groups), column: None } => natural::silos(ids()?, *groups, seed),
            Self::Grouped { groups: None, column: Some(_) } => {
                natural::natural(whole.groups.ok_or(self.missing("such a column"))?, None)
            }
            Self::Grouped { groups: None, column: None } => {
                Err(PartitionError::value("groups", "none", "how many, or a column in its place"))
            }
            Self::Grouped { groups: Some(groups), column: Some(_) } => {
                Err(PartitionError::value("groups", groups, "none where a column says who is together"))
            }
        }
    }

    fn missing(&self, what: &'static str) -> PartitionError {
        PartitionError::Missing { name: self.name(), what }
    }
}

impl Whole<'_> {
    /// One value an example in every list, and row numbers that are u32.
    fn check(&self) -> Result<(), PartitionError> {
        let examples = self.examples;
        let lengths = [
            ("labels", self.labels.map(<[u16]>::len)),
            ("ids", self.ids.map(<[u32]>::len)),
            ("groups", self.groups.map(<[u32]>::len)),
        ];
        for (what, length) in lengths {
            if let Some(have) = length.filter(|length| *length != examples) {
                return Err(PartitionError::Length { what, have, examples });
            }
        }
        if examples == 0 || u32::try_from(examples).is_err() {
            return Err(PartitionError::value("examples", examples, "1 to 4294967295"));
        }
        Ok(())
    }
}

impl Parts {
    /// How many examples somebody has.
    pub fn examples(&self) -> usize {
        self.clients.iter().map(Vec::len).sum()
    }
}

/// Holds a number of parts to the number of things they are made of.
fn check_number(
    key: &'static str,
    asked: usize,
    what: &'static str,
    have: usize,
    of: &'static str,
) -> Result<(), PartitionError> {
    match asked {
        0 => Err(PartitionError::value(key, 0, "at least 1")),
        _ if asked > have => Err(PartitionError::TooFew { what, asked, have, of }),
        _ => Ok(()),
    }
}
