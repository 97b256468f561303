//! A mean of directions, whatever the number of steps that each client took along its own.

use super::{Combine, Linear, Weights, Whole};

/// The scalar that says how many local steps an update took.
pub const STEPS: &str = "steps";

/// Normalised averaging, Wang et al. 2020 <https://arxiv.org/abs/2007.07481>, equation (5) with local SGD (aᵢ = the number of local
/// steps τᵢ): τ_eff · Σ pᵢ·Δᵢ/τᵢ, where pᵢ is a client's share of the examples and τ_eff = Σ pᵢ·τᵢ. Who took more steps does not
/// pull the model towards its own optimum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FedNova;

impl Combine for FedNova {
    fn scalars(&self) -> &'static [&'static str] {
        &[STEPS]
    }

    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let total: f64 = whole.weights.iter().sum();
        // An update without steps is one that took a single one.
        let steps = |i: usize| whole.scalar(i, STEPS).filter(|steps| *steps >= 1.0).unwrap_or(1.0);
        let shares: Vec<(f64, f64)> = whole.weights.iter().enumerate().map(|(i, w)| (w / total, steps(i))).collect();
        let effective: f64 = shares.iter().map(|(share, steps)| share * steps).sum();
        Weights { each: shares.iter().map(|(share, steps)| effective * share / steps).collect(), total: 1.0 }
    }
}

impl Linear for FedNova {}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::combine::combine;

    #[test]
    fn ten_steps_count_no_more_than_one() {
        let [one, ten] = [1.0, 10.0].map(|steps| BTreeMap::from([(STEPS.to_owned(), steps)]));
        let deltas: [&[f32]; 2] = [&[1.0], &[-10.0]];
        assert_eq!(combine(&FedNova, &deltas, &[1.0, 1.0], &[&one, &ten]).unwrap(), [0.0]);
        assert_eq!(combine(&FedNova, &deltas, &[3.0, 1.0], &[&one, &one]).unwrap(), [-1.75]);
    }
}
