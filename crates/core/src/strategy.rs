//! The named strategies. A strategy is a choice of values: how updates are combined, and how the server steps.

use serde::{Deserialize, Serialize};

use crate::{
    combine::{Combine, Mean},
    optimizer::{Optimizer, Sgd},
};

/// What a plan says of its strategy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StrategySpec {
    /// One of [`NAMES`].
    pub name: String,
    /// The server's learning rate.
    #[serde(deserialize_with = "crate::event::single")]
    pub learning_rate: f32,
}

impl Default for StrategySpec {
    fn default() -> Self {
        Self { name: "fedavg".into(), learning_rate: 1.0 }
    }
}

/// The strategies that exist, with their papers.
pub const NAMES: &[(&str, &str)] = &[("fedavg", "McMahan et al. 2017 <https://arxiv.org/abs/1602.05629>")];

/// `combine → optimizer`, ready to be applied.
pub struct Strategy {
    /// Many updates → one delta.
    pub combine: Box<dyn Combine>,
    /// One delta → the next parameters.
    pub optimizer: Box<dyn Optimizer>,
}

impl StrategySpec {
    /// The values behind the name; `None` for a name that is not in [`NAMES`].
    pub fn build(&self) -> Option<Strategy> {
        let optimizer = Box::new(Sgd { learning_rate: self.learning_rate });
        match self.name.as_str() {
            "fedavg" => Some(Strategy { combine: Box::new(Mean), optimizer }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_its_values() {
        for (name, _) in NAMES {
            assert!(StrategySpec { name: (*name).into(), learning_rate: 1.0 }.build().is_some(), "{name}");
        }
    }
}
