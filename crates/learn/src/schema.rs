//! What a federation's rows mean: the columns that go in, and the one to be predicted. It travels to every site.

use serde::{Deserialize, Serialize};

/// Features and target of a regression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// What the model is given, in the order of its inputs.
    pub features: Vec<Column>,
    /// What it is to say.
    pub target: Column,
}

/// A column and its unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The federation's name for it; a site may map its own onto it.
    pub name: String,
    /// The unit of its values.
    pub unit: String,
}

impl Schema {
    /// Every column: the features, then the target.
    pub fn columns(&self) -> impl Iterator<Item = &Column> {
        self.features.iter().chain([&self.target])
    }
}
