//! The point from which the sum of distances to all updates is least.

use super::{Combine, Weights, Whole};

/// Geometric median, weighted by examples, by the smoothed Weiszfeld algorithm: RFA, Algorithm 2 of Pillutla, Kakade and Harchaoui
/// 2022 <https://arxiv.org/abs/1912.13445>, from the mean on. Fewer than half of the weight cannot carry it away.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GeometricMedian {
    /// Steps; the paper finds three enough.
    pub iterations: usize,
    /// The least distance by which a weight is divided, in the delta's units.
    pub smoothing: f64,
}

impl Combine for GeometricMedian {
    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let total: f64 = whole.weights.iter().sum();
        let shares: Vec<f64> = whole.weights.iter().map(|weight| weight / total).collect();
        let mut at = shares.clone();
        for _ in 0..self.iterations {
            let squares = whole.geometry.distances_from(&at);
            let next: Vec<f64> =
                shares.iter().zip(squares).map(|(share, square)| share / square.sqrt().max(self.smoothing)).collect();
            let sum: f64 = next.iter().sum();
            at = next.into_iter().map(|weight| weight / sum).collect();
        }
        Weights { each: at, total: 1.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn one_of_three_cannot_carry_it_away() {
        let deltas: [&[f32]; 3] = [&[1.0, 0.0], &[1.0, 0.25], &[1e6, -1e6]];
        let median = GeometricMedian { iterations: 50, smoothing: 1e-6 };
        let at = combine(&median, &deltas, &[1.0; 3], &[]).unwrap();
        assert!((at[0] - 1.0).abs() < 0.3 && at[1].abs() < 0.3, "{at:?}");
    }
}
