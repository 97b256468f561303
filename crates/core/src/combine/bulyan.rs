//! Krum again and again, then a trimmed mean around the median.

use std::ops::Range;

use super::{Chunks, Combine, Weights, Whole, by_coordinate, krum::score, mean_of, median::median_of};
use crate::model::LayoutMismatch;

/// Bulyan over Krum, El Mhamdi, Guerraoui and Rouault 2018 <https://arxiv.org/abs/1802.07927>, §4: θ = n − 2f updates are chosen one
/// after another by Krum among those that remain; then of each coordinate the θ − 2f values nearest to the median are averaged.
/// Everybody counts as much. Holds against f = `byzantine` liars among at least 4f + 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bulyan {
    /// How many may lie.
    pub byzantine: usize,
}

impl Combine for Bulyan {
    fn needs(&self) -> usize {
        4 * self.byzantine + 3
    }

    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let squares = &whole.geometry.distances();
        let mut left: Vec<usize> = (0..squares.len()).collect();
        let mut chosen = vec![];
        for _ in 0..squares.len().saturating_sub(2 * self.byzantine).max(1) {
            let scores = left.iter().map(|i| score(squares, &left, *i, self.byzantine));
            // Of equal ones the first, in the order of names.
            let Some((best, _)) = scores.enumerate().min_by(|(_, a), (_, b)| a.total_cmp(b)) else { break };
            chosen.push(left.remove(best));
        }
        Weights::choose(squares.len(), &chosen)
    }

    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
        by_coordinate(range, updates, out, |sorted| {
            let kept = sorted.len().saturating_sub(2 * self.byzantine).max(1);
            let median = median_of(sorted);
            let reach = |first: usize| (median - sorted[first]).max(sorted[first + kept - 1] - median);
            // The nearest values lie side by side.
            let first = (0..=sorted.len() - kept).min_by(|a, b| reach(*a).total_cmp(&reach(*b))).unwrap_or(0);
            mean_of(&sorted[first..first + kept])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn a_liar_close_in_all_but_one_coordinate_does_not_count_there() {
        let honest: Vec<[f32; 2]> = (0..6u8).map(|i| [1.0 + f32::from(i) / 16.0, 2.0]).collect();
        let mut deltas: Vec<&[f32]> = honest.iter().map(|delta| &delta[..]).collect();
        deltas.push(&[1.125, 2.5]);
        let at = combine(&Bulyan { byzantine: 1 }, &deltas, &[1.0; 7], &[]).unwrap();
        assert_eq!(at[1], 2.0);
        assert_eq!(Bulyan { byzantine: 2 }.needs(), 11);
    }
}
