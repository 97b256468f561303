//! The updates that lie closest to most others.

use super::{Combine, Weights, Whole};

/// Krum, and with `keep` above 1 Multi-Krum: the mean of the `keep` updates whose squared distances to their n − f − 2 nearest others
/// sum to the least. Blanchard et al. 2017 <https://arxiv.org/abs/1703.02757>, §4. Everybody counts as much. Holds against f =
/// `byzantine` liars among at least 2f + 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Krum {
    /// How many may lie.
    pub byzantine: usize,
    /// How many are kept.
    pub keep: usize,
}

impl Combine for Krum {
    fn needs(&self) -> usize {
        2 * self.byzantine + 3
    }

    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let squares = &whole.geometry.distances();
        let mut all: Vec<usize> = (0..squares.len()).collect();
        let scores: Vec<f64> = all.iter().map(|i| score(squares, &all, *i, self.byzantine)).collect();
        // The sort is stable: of equal scores, the first in the order of names.
        all.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
        all.truncate(self.keep.max(1));
        Weights::choose(squares.len(), &all)
    }
}

/// The sum of squared distances from update `i` to its nearest among `others`: all but `byzantine` and two, and at least one.
pub fn score(squares: &[Vec<f64>], others: &[usize], i: usize, byzantine: usize) -> f64 {
    let mut near: Vec<f64> = others.iter().filter(|j| **j != i).map(|j| squares[i][*j]).collect();
    near.sort_unstable_by(f64::total_cmp);
    let count = others.len().saturating_sub(byzantine + 2).max(1);
    near.iter().take(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn who_lies_far_away_is_not_chosen() {
        let deltas: [&[f32]; 5] = [&[1.0], &[1.5], &[1e6], &[2.0], &[1.75]];
        assert_eq!(combine(&Krum { byzantine: 1, keep: 1 }, &deltas, &[1.0; 5], &[]).unwrap(), [1.75]);
        assert_eq!(combine(&Krum { byzantine: 1, keep: 3 }, &deltas, &[1.0; 5], &[]).unwrap(), [1.75]);
        assert_eq!(Krum { byzantine: 4, keep: 1 }.needs(), 11);
    }
}
