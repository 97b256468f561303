//! Means: weighted by examples, or with the same weight for everybody.

use super::{Combine, Linear, Weights, Whole};

/// Mean weighted by examples: the aggregation of FederatedAveraging, Algorithm 1 of McMahan et al. 2017
/// <https://arxiv.org/abs/1602.05629>. Sums in f64; without updates the delta is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mean;

impl Combine for Mean {}

impl Linear for Mean {}

/// Mean in which every client counts as much, whatever it trained on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UniformMean;

impl Combine for UniformMean {
    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        Weights::of(vec![1.0; whole.weights.len()])
    }
}

impl Linear for UniformMean {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        combine::{InMemory, combine},
        model::LayoutMismatch,
    };

    #[test]
    fn mean_weighs_by_examples() {
        let deltas: [&[f32]; 2] = [&[0.0, 3.0], &[3.0, 0.0]];
        assert_eq!(combine(&Mean, &deltas, &[1.0, 2.0], &[]).unwrap(), [2.0, 1.0]);
        assert_eq!(combine(&UniformMean, &deltas, &[1.0, 2.0], &[]).unwrap(), [1.5, 1.5]);
    }

    #[test]
    fn a_short_update_is_refused() {
        let (short, weights): (&[f32], _) = (&[1.0], Weights::of(vec![1.0]));
        let error = Mean.combine(0..2, &mut InMemory::new(&[short], &weights), &mut [0.0; 2]);
        assert_eq!(error, Err(LayoutMismatch { want: 2, got: 1 }));
    }

    proptest! {
        #[test]
        fn each_participant_counts_once(weights in prop::collection::vec(1u32..1000, 1..20)) {
            let weights: Vec<f64> = weights.into_iter().map(f64::from).collect();
            let units: Vec<Vec<f32>> = (0..weights.len())
                .map(|client| (0..weights.len()).map(|i| if i == client { 1.0 } else { 0.0 }).collect())
                .collect();
            let deltas: Vec<&[f32]> = units.iter().map(Vec::as_slice).collect();
            let total: f64 = weights.iter().sum();
            for (share, w) in combine(&Mean, &deltas, &weights, &[]).unwrap().iter().zip(&weights) {
                prop_assert!((f64::from(*share) - w / total).abs() < 1e-7);
            }
        }
    }
}
