//! Standardisation by statistics of training rows only, which the federation has measured together.

use std::collections::BTreeMap;

use dure_core::statistics::{Scale, Statistics, scales};
use serde::{Deserialize, Serialize};

use crate::schema::Schema;

/// How raw rows become what the model sees, and what it says becomes a figure with a unit. Part of every model version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Preprocessing(BTreeMap<String, Scale>);

/// Changes nothing.
const UNCHANGED: Scale = Scale { mean: 0.0, scale: 1.0 };

impl Preprocessing {
    /// From the moments of the columns.
    pub fn of(statistics: &Statistics) -> Self {
        Self(scales(statistics))
    }

    /// The scale of a column; one that changes nothing, for one that was not measured.
    pub fn of_column(&self, column: &str) -> Scale {
        self.0.get(column).copied().unwrap_or(UNCHANGED)
    }

    /// Whether all that `schema` has measured has a mean and a scale that rows can have. What comes from a file is held to it.
    pub fn fits(&self, schema: &Schema) -> bool {
        let usable = |scale: &Scale| scale.mean.abs() <= 1e30 && (1e-30..=1e31).contains(&scale.scale);
        schema.measured().iter().all(|column| self.0.get(column).is_some_and(usable))
    }

    /// The scales of what goes in: of each number of a row, or of each channel of an image. Categories stay 0 and 1.
    pub fn inputs(&self, schema: &Schema) -> Vec<Scale> {
        let features = schema.features.iter().flat_map(|column| {
            let scale = if column.is_number() { self.of_column(&column.name) } else { UNCHANGED };
            std::iter::repeat_n(scale, column.width())
        });
        schema.channels().iter().map(|channel| self.of_column(channel)).chain(features).collect()
    }
}
