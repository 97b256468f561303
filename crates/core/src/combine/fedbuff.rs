//! A mean in which answers count less the older the model is that they were trained from.

use super::{Combine, Weights, Whole};

/// The aggregation of FedBuff, Algorithm 1 of Nguyen et al. 2022 <https://arxiv.org/abs/2106.06639>: Σ s(τᵢ)·Δᵢ / n, where τᵢ is how
/// many versions have come since the one that client i was given, and s(τ) = (1 + τ)^−a. The sum is divided by the number of
/// updates and not by their weights, so a buffer of old updates moves the model less. With one update at a time it is what
/// FedAsync mixes in: Xie et al. 2019 <https://arxiv.org/abs/1903.03934>, where s is the same (§5.2, "polynomial").
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FedBuff {
    /// a: how much less old updates count; 0 is not at all.
    pub staleness: f64,
}

impl Combine for FedBuff {
    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        let age = |i: usize| f64::from(whole.staleness.get(i).copied().unwrap_or(0));
        let each = (0..whole.weights.len()).map(|i| libm::pow(1.0 + age(i), -self.staleness)).collect();
        Weights { each, total: whole.weights.len() as f64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::combine::{Coordinates, InMemory};

    #[test]
    fn an_update_counts_less_the_more_versions_have_come_since_its_own() {
        let deltas: [&[f32]; 2] = [&[4.0], &[4.0]];
        let with = |staleness, ages: &[u32]| {
            let rule = FedBuff { staleness };
            let whole = Whole { weights: &[9.0, 1.0], scalars: &[], staleness: ages, geometry: &Coordinates(&deltas) };
            let (weights, mut out) = (rule.weigh(&whole), [0.0]);
            rule.combine(0..1, &mut InMemory::new(&deltas, &weights), &mut out).unwrap();
            out[0]
        };
        assert_eq!(with(0.5, &[]), 4.0, "fresh updates count in full, whatever they were trained on");
        assert_eq!(with(0.5, &[0, 3]), 3.0);
        assert_eq!(with(0.5, &[3, 3]), 2.0, "and two old ones move the model half as far");
        assert_eq!(with(0.0, &[3, 3]), 4.0);
    }
}
