//! Standardisation by statistics of training rows only, which the federation has measured together.

use std::collections::BTreeMap;

use dure_core::statistics::Statistics;
use serde::{Deserialize, Serialize};

use crate::schema::{Column, Schema};

/// A column becomes (value − mean) ÷ scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// In the column's unit.
    pub mean: f64,
    /// In the column's unit; the standard deviation, or 1 where there is none.
    pub scale: f64,
}

/// How raw rows become what the model sees, and what it says becomes a figure with a unit. Part of every model version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Preprocessing(BTreeMap<String, Scale>);

impl Preprocessing {
    /// From the moments of the columns.
    pub fn of(statistics: &Statistics) -> Self {
        Self(statistics.iter().map(|(name, m)| (name.clone(), Scale { mean: m.mean, scale: m.scale() })).collect())
    }

    /// The scale of a column; 0 and 1, which change nothing, for one that was not measured.
    pub fn of_column(&self, column: &Column) -> Scale {
        self.0.get(&column.name).copied().unwrap_or(Scale { mean: 0.0, scale: 1.0 })
    }

    /// Whether every column of `schema` has a mean and a scale that rows can have. What comes from a file is held to it.
    pub fn fits(&self, schema: &Schema) -> bool {
        let usable = |scale: &Scale| scale.mean.abs() <= 1e30 && (1e-30..=1e31).contains(&scale.scale);
        schema.columns().all(|column| self.0.get(&column.name).is_some_and(usable))
    }

    /// The scales of the features, in the order of the model's inputs.
    pub fn features(&self, schema: &Schema) -> Vec<Scale> {
        schema.features.iter().map(|column| self.of_column(column)).collect()
    }
}

impl Scale {
    /// To the model's scale.
    pub fn apply(self, value: f64) -> f32 {
        ((value - self.mean) / self.scale) as f32
    }

    /// Back to the column's unit.
    pub fn undo(self, value: f32) -> f64 {
        f64::from(value) * self.scale + self.mean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_scaled_comes_back() {
        let scale = Scale { mean: 2303.6, scale: 718.2 };
        assert!((scale.undo(scale.apply(1985.0)) - 1985.0).abs() < 1e-3);
    }
}
