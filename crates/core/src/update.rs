//! What a client sends back for a `train` task.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::Params;

/// The group of an update that holds what the client's training changed: its parameters less the base version's.
pub const DELTA: &str = "delta";

/// The group that holds what it changed of the client's control variate: Karimireddy et al. 2020.
pub const CONTROL: &str = "control";

/// The scalar that every update of our own trainers bears: the mean loss over the examples of all its epochs, on the scaled target.
pub const TRAIN_LOSS: &str = "train_loss";

/// A client's answer to a `train` task.
#[derive(Clone, Debug, PartialEq)]
pub struct Update {
    /// Tensors by group. Every update has [`DELTA`]; a strategy may ask for more, such as control variates.
    pub groups: BTreeMap<String, Params>,
    /// How much it counts in a mean; FedAvg's is the number of training examples.
    pub weight: Weight,
    /// Figures beside the tensors; the plan declares their names.
    pub scalars: BTreeMap<String, f64>,
}

impl Update {
    /// An update of a delta alone.
    pub fn of_delta(delta: Params, weight: Weight) -> Self {
        Self { groups: BTreeMap::from([(DELTA.into(), delta)]), weight, scalars: BTreeMap::new() }
    }
}

/// A finite weight above zero and at most 2⁵³, so that counts of examples are exact.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

/// A number that cannot be a weight.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} cannot be a weight: it must be above 0 and at most 2^53")]
pub struct WeightError(pub f64);

impl Weight {
    const MAX: f64 = (1u64 << 53) as f64;

    /// Checks `weight`.
    pub fn new(weight: f64) -> Result<Self, WeightError> {
        if weight > 0.0 && weight <= Self::MAX { Ok(Self(weight)) } else { Err(WeightError(weight)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Weight {
    type Error = WeightError;

    fn try_from(weight: f64) -> Result<Self, WeightError> {
        Self::new(weight)
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> f64 {
        weight.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_weight_is_finite_and_above_zero() {
        assert_eq!(Weight::new(24.0).map(Weight::get), Ok(24.0));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e16] {
            assert!(Weight::new(bad).is_err(), "{bad}");
        }
    }
}
