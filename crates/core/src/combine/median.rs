//! The median of each coordinate.

use std::ops::Range;

use super::{Chunks, Combine, by_coordinate};
use crate::model::LayoutMismatch;

/// Coordinate-wise median, Algorithm 1 (option I) of Yin et al. 2018 <https://arxiv.org/abs/1803.01498>: of an even number of
/// updates, the mean of the middle two. Everybody counts as much, and fewer than half can move it only within the others' range.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Median;

impl Combine for Median {
    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
        by_coordinate(range, updates, out, median_of)
    }
}

/// The median of at least one value, ascending.
pub fn median_of(sorted: &[f32]) -> f32 {
    let (low, high) = (sorted[(sorted.len() - 1) / 2], sorted[sorted.len() / 2]);
    ((f64::from(low) + f64::from(high)) / 2.0) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn wild_values_do_not_move_it() {
        let deltas: [&[f32]; 4] = [&[1.0, 4.0], &[2.0, -1e30], &[3.0, 5.0], &[1e30, 6.0]];
        assert_eq!(combine(&Median, &deltas, &[1.0; 4], &[]).unwrap(), [2.5, 4.5]);
        assert_eq!(combine(&Median, &deltas[..3], &[9.0, 1.0, 1.0], &[]).unwrap(), [2.0, 4.0]);
    }
}
