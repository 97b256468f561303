//! Sums that add across clients, and the figures that come of them.
//!
//! Measuring and evaluating give answers of one shape: a (count, mean, sum of squared deviations) for each named column.
//! They merge exactly as if all rows had been in one place, so no row has to travel. Classes are counted beside them.

pub mod classification;
pub mod counts;
pub mod regression;

use std::collections::BTreeMap;

pub use counts::Counts;
use serde::{Deserialize, Serialize};

/// Count, mean and sum of squared deviations of a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Moments {
    /// How many values.
    #[serde(with = "crate::event::text")]
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// The sum of their squared deviations from the mean.
    pub m2: f64,
}

/// Moments by column.
pub type Statistics = BTreeMap<String, Moments>;

/// Figures by name, which is one of [`regression::METRICS`] or [`classification::METRICS`]. A figure that the rows do not define is absent.
pub type Metrics = BTreeMap<String, f64>;

impl Moments {
    /// Takes one more value in. Welford 1962.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let before = value - self.mean;
        self.mean += before / self.n as f64;
        self.m2 += before * (value - self.mean);
    }

    /// The moments of both sets of values together. Chan, Golub and LeVeque 1979, equation 1.5.
    ///
    /// Merging in another order can change the last bits, so callers merge in the order of clients' names.
    pub fn merge(self, other: Self) -> Self {
        match (self.n, other.n) {
            (0, _) => other,
            (_, 0) => self,
            (a, b) => {
                let (a, b, n) = (a as f64, b as f64, (a + b) as f64);
                let distance = other.mean - self.mean;
                let mean = self.mean + distance * (b / n);
                let m2 = self.m2 + other.m2 + distance * distance * (a * b / n);
                Self { n: self.n.saturating_add(other.n), mean, m2 }
            }
        }
    }

    /// The standard deviation with n − 1 below; 1 where it is zero or undefined, so that dividing by it is harmless.
    pub fn scale(&self) -> f64 {
        Some(self.deviation()).filter(|deviation| *deviation > 0.0).unwrap_or(1.0)
    }

    /// The standard deviation with n − 1 below; 0 of fewer than two values.
    pub fn deviation(&self) -> f64 {
        if self.n > 1 { (self.m2 / (self.n - 1) as f64).sqrt() } else { 0.0 }
    }

    /// Whether these can be moments of anything measured: no negative spread, and small enough that merging a million of
    /// them overflows nothing. What comes from outside is held to it.
    pub fn is_possible(&self) -> bool {
        self.mean.abs() <= 1e75 && (0.0..=1e170).contains(&self.m2) && self.n <= 1 << 40
    }
}

/// Merges `other` into `total`, column by column.
pub fn merge(total: &mut Statistics, other: &Statistics) {
    for (column, moments) in other {
        let sum = total.entry(column.clone()).or_default();
        *sum = sum.merge(*moments);
    }
}

/// What a model came to on some rows: sums that add across clients. Moments alone are a regression's; with counts beside
/// them they are a classification's.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sums {
    /// Moments of errors.
    #[serde(flatten)]
    pub moments: Statistics,
    /// Counts of classes.
    #[serde(default, skip_serializing_if = "Counts::is_empty")]
    pub counts: Counts,
}

impl Sums {
    /// Adds those of other rows.
    pub fn merge(&mut self, other: &Self) {
        merge(&mut self.moments, &other.moments);
        counts::merge(&mut self.counts, &other.counts);
    }

    /// Over how many rows they are.
    pub fn rows(&self) -> u64 {
        self.moments.values().next().map_or(0, |moments| moments.n)
    }

    /// The figures that come of them.
    pub fn metrics(&self) -> Metrics {
        if self.counts.is_empty() {
            regression::metrics(&self.moments)
        } else {
            classification::metrics(&self.moments, &self.counts)
        }
    }
}

/// Takes one value of a column in.
fn add(sums: &mut Statistics, column: &str, value: f64) {
    match sums.get_mut(column) {
        Some(moments) => moments.add(value),
        None => {
            let mut moments = Moments::default();
            moments.add(value);
            sums.insert(column.to_owned(), moments);
        }
    }
}

/// The figures that are defined and finite, by name.
fn defined<const N: usize>(figures: [(&str, Option<f64>); N]) -> Metrics {
    let finite = |(name, value): (&str, Option<f64>)| Some((name.to_owned(), value.filter(|v| v.is_finite())?));
    figures.into_iter().filter_map(finite).collect()
}

/// A column becomes (value − mean) ÷ scale.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scale {
    /// In the column's unit.
    pub mean: f64,
    /// In the column's unit; the standard deviation, or 1 where there is none.
    pub scale: f64,
}

/// How columns of these moments are standardised.
pub fn scales(statistics: &Statistics) -> BTreeMap<String, Scale> {
    statistics.iter().map(|(name, m)| (name.clone(), Scale { mean: m.mean, scale: m.scale() })).collect()
}

impl Scale {
    /// To the model's scale.
    pub fn apply(self, value: f64) -> f32 {
        ((value - self.mean) / self.scale) as f32
    }

    /// Back to the column's unit.
    pub fn undo(self, value: f32) -> f64 {
        f64::from(value) * self.scale + self.mean
    }
}

/// Whether more of the metric is better: the errors and losses are best small, everything else large.
pub fn larger_is_better(metric: &str) -> bool {
    !matches!(metric, "mae" | "rmse" | "log_loss")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn moments(values: &[f64]) -> Moments {
        let mut moments = Moments::default();
        values.iter().for_each(|value| moments.add(*value));
        moments
    }

    fn near(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-9 * (1.0 + a.abs().max(b.abs()))
    }

    #[test]
    fn a_constant_column_scales_by_one() {
        assert_eq!(moments(&[3.0, 3.0, 3.0]).scale(), 1.0);
        assert_eq!(moments(&[3.0]).scale(), 1.0);
        assert_eq!(Moments::default().scale(), 1.0);
        assert_eq!(moments(&[1.0, 3.0]).scale(), 2f64.sqrt());
    }

    #[test]
    fn what_was_scaled_comes_back() {
        let scale = Scale { mean: 2303.6, scale: 718.2 };
        assert!((scale.undo(scale.apply(1985.0)) - 1985.0).abs() < 1e-3);
    }

    #[test]
    fn every_metric_belongs_to_one_kind_of_task() {
        let all = [&regression::METRICS[..], &classification::METRICS].concat();
        let small: Vec<&str> = all.into_iter().filter(|metric| !larger_is_better(metric)).collect();
        assert_eq!(small, ["mae", "rmse", "log_loss"]);
    }

    #[test]
    fn the_largest_possible_moments_merge_without_overflow() {
        let largest = |mean| Moments { n: 1 << 40, mean, m2: 1e170 };
        let mut total = Moments::default();
        for i in 0..4000 {
            let moments = largest(if i % 2 == 0 { 1e75 } else { -1e75 });
            assert!(moments.is_possible());
            total = total.merge(moments);
        }
        assert!(total.mean.is_finite() && total.m2.is_finite() && total.scale().is_finite());
        for bad in [f64::NAN, f64::INFINITY, 1e76] {
            assert!(!Moments { n: 1, mean: bad, m2: 0.0 }.is_possible());
        }
        assert!(!Moments { n: 1, mean: 0.0, m2: -1.0 }.is_possible());
    }

    proptest! {
        #[test]
        fn merging_parts_is_measuring_the_whole(values in prop::collection::vec(-1e6f64..1e6, 0..60), cut in 0usize..60) {
            let cut = cut.min(values.len());
            let (whole, parts) = (moments(&values), moments(&values[..cut]).merge(moments(&values[cut..])));
            prop_assert_eq!(whole.n, parts.n);
            prop_assert!(near(whole.mean, parts.mean) && near(whole.m2, parts.m2), "{whole:?} {parts:?}");
        }
    }
}
