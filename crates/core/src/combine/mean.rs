//! The weighted mean.

use std::ops::Range;

use super::{Chunks, Combine, Linear};
use crate::model::LayoutMismatch;

/// Mean weighted by examples: the aggregation of FederatedAveraging, Algorithm 1 of McMahan et al. 2017
/// <https://arxiv.org/abs/1602.05629>. Sums in f64; without updates the delta is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mean;

impl Combine for Mean {
    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
        if out.len() != range.len() {
            return Err(LayoutMismatch { want: range.len(), got: out.len() });
        }
        let (mut sum, mut weight) = (vec![0.0; range.len()], 0.0);
        while let Some(update) = updates.next(range.clone())? {
            add_scaled(&mut sum, update.weight.get(), update.delta);
            weight += update.weight.get();
        }
        let scale = if weight > 0.0 { 1.0 / weight } else { 0.0 };
        out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = (sum * scale) as f32);
        Ok(())
    }
}

impl Linear for Mean {}

fn add_scaled(sum: &mut [f64], scale: f64, values: &[f32]) {
    sum.iter_mut().zip(values).for_each(|(sum, value)| *sum += scale * f64::from(*value));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{combine::InMemory, update::Weight};

    fn mean(updates: &[(Weight, &[f32])], range: Range<usize>) -> Vec<f32> {
        let mut out = vec![0.0; range.len()];
        Mean.combine(range, &mut InMemory::new(updates), &mut out).unwrap();
        out
    }

    fn weight(weight: f64) -> Weight {
        Weight::new(weight).unwrap()
    }

    #[test]
    fn mean_weighs_by_examples() {
        assert_eq!(mean(&[(weight(1.0), &[0.0, 3.0]), (weight(2.0), &[3.0, 0.0])], 0..2), [2.0, 1.0]);
    }

    #[test]
    fn a_short_update_is_refused() {
        let short: (Weight, &[f32]) = (weight(1.0), &[1.0]);
        let error = Mean.combine(0..2, &mut InMemory::new(&[short]), &mut [0.0; 2]);
        assert_eq!(error, Err(LayoutMismatch { want: 2, got: 1 }));
    }

    proptest! {
        #[test]
        fn splitting_the_coordinates_anywhere_changes_no_bit(
            updates in prop::collection::vec((1u32..1000, prop::collection::vec(-1e3f32..1e3, 40)), 1..9),
            mut cuts in prop::collection::vec(0usize..=40, 0..6),
        ) {
            let updates: Vec<_> = updates.iter().map(|(w, d)| (weight(f64::from(*w)), d.as_slice())).collect();
            let whole = mean(&updates, 0..40);
            cuts.extend([0, 40]);
            cuts.sort_unstable();
            let parts: Vec<f32> = cuts.windows(2).flat_map(|cut| mean(&updates, cut[0]..cut[1])).collect();
            prop_assert_eq!(whole.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), parts.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
        }

        #[test]
        fn each_participant_counts_once(weights in prop::collection::vec(1u32..1000, 1..20)) {
            let units: Vec<Vec<f32>> = (0..weights.len())
                .map(|client| (0..weights.len()).map(|i| if i == client { 1.0 } else { 0.0 }).collect())
                .collect();
            let updates: Vec<_> = weights.iter().zip(&units).map(|(w, unit)| (weight(f64::from(*w)), unit.as_slice())).collect();
            let total: f64 = weights.iter().copied().map(f64::from).sum();
            for (share, w) in mean(&updates, 0..weights.len()).iter().zip(&weights) {
                prop_assert!((f64::from(*share) - f64::from(*w) / total).abs() < 1e-7);
            }
        }
    }
}
