//! The mean of what is left of each coordinate without its extremes.

use std::ops::Range;

use super::{Chunks, Combine, by_coordinate, mean_of};
use crate::model::LayoutMismatch;

/// Coordinate-wise trimmed mean, Algorithm 1 (option II) of Yin et al. 2018 <https://arxiv.org/abs/1803.01498>: the largest and the
/// smallest `byzantine` values of each coordinate are left out. Everybody else counts as much. Holds against `byzantine` liars
/// among at least 2 · `byzantine` + 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrimmedMean {
    /// How many values are left out on either side.
    pub byzantine: usize,
}

impl Combine for TrimmedMean {
    fn needs(&self) -> usize {
        2 * self.byzantine + 1
    }

    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
        by_coordinate(range, updates, out, |sorted| {
            let left_out = self.byzantine.min((sorted.len() - 1) / 2);
            mean_of(&sorted[left_out..sorted.len() - left_out])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn extremes_do_not_count() {
        let deltas: [&[f32]; 5] = [&[1.0], &[2.0], &[1e30], &[6.0], &[-1e30]];
        assert_eq!(combine(&TrimmedMean { byzantine: 1 }, &deltas, &[1.0; 5], &[]).unwrap(), [3.0]);
        assert_eq!(TrimmedMean { byzantine: 2 }.needs(), 5);
    }
}
