//! A mean in which clients count more the worse the model does on their rows.

use super::{Combine, Weights, Whole};

/// The scalar that says the mean loss of the model that a client was given, on the rows that it trains on.
pub const BASE_LOSS: &str = "base_loss";

/// The least loss that is told from none: a power of zero has no derivative.
const LEAST: f64 = 1e-10;

/// q-FedAvg, Algorithm 2 of Li et al. 2020 <https://arxiv.org/abs/1905.10497>: Σ L·Fᵢ^q·Δᵢ / Σ (q·Fᵢ^(q−1)·L²·‖Δᵢ‖² + L·Fᵢ^q), where
/// Fᵢ is the loss of the model that client i was given. With q = 0 everybody counts as much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QFedAvg {
    /// How much worse losses count; 0 is not at all.
    pub q: f64,
    /// The Lipschitz constant L of the loss's gradient, guessed: one over the clients' learning rate.
    pub lipschitz: f64,
}

impl Combine for QFedAvg {
    fn scalars(&self) -> &'static [&'static str] {
        &[BASE_LOSS]
    }

    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let Self { q, lipschitz } = *self;
        let loss = |i: usize| whole.scalar(i, BASE_LOSS).unwrap_or(LEAST).max(LEAST);
        let squares = whole.geometry.norms();
        let each: Vec<f64> = (0..squares.len()).map(|i| lipschitz * libm::pow(loss(i), q)).collect();
        let bend = |(i, square): (usize, &f64)| q * libm::pow(loss(i), q - 1.0) * lipschitz.powi(2) * square;
        let total = squares.iter().enumerate().map(bend).zip(&each).map(|(bend, each)| bend + each).sum();
        Weights { each, total }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::combine::combine;

    #[test]
    fn whom_the_model_serves_worse_counts_more() {
        let [well, badly] = [0.1, 2.0].map(|loss| BTreeMap::from([(BASE_LOSS.to_owned(), loss)]));
        let deltas: [&[f32]; 2] = [&[-1.0], &[1.0]];
        let with = |q| combine(&QFedAvg { q, lipschitz: 10.0 }, &deltas, &[5.0, 1.0], &[&well, &badly]).unwrap()[0];
        assert_eq!(with(0.0), 0.0);
        assert!(with(1.0) > 0.0, "{}", with(1.0));
    }
}
