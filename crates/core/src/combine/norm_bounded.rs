//! A mean in which no update is longer than a bound.

use super::{Combine, Weights, Whole};

/// Mean weighted by examples, of updates that are cut to length `bound`: Sun et al. 2019 <https://arxiv.org/abs/1911.07963>, §3. One
/// client can move the model by no more than its share of `bound`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NormBounded {
    /// The greatest L2 norm over all tensors together, in the delta's units, not squared.
    pub bound: f64,
}

impl Combine for NormBounded {
    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let factor = |squared: &f64| if squared.sqrt() > self.bound { self.bound / squared.sqrt() } else { 1.0 };
        let norms = whole.geometry.norms();
        let each = whole.weights.iter().zip(norms.iter().map(factor)).map(|(weight, factor)| weight * factor).collect();
        Weights { each, total: whole.weights.iter().sum() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::combine;

    #[test]
    fn who_shouts_is_heard_as_loudly_as_allowed() {
        let deltas: [&[f32]; 2] = [&[3e6, 4e6], &[0.0, 1.0]];
        assert_eq!(combine(&NormBounded { bound: 5.0 }, &deltas, &[1.0, 1.0], &[]).unwrap(), [1.5, 2.5]);
    }
}
