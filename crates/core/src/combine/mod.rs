//! Many updates → one delta.
//!
//! Most rules are a weighted sum, and differ only in the weights that they give whole updates: such a rule is
//! [`Combine::weigh`] alone. The others look at each coordinate by itself.

use std::{collections::BTreeMap, ops::Range};

pub mod mean;

pub mod fedbuff;
pub mod fednova;
pub mod norm_bounded;
pub mod qfedavg;

pub mod median;
pub mod trimmed_mean;

pub mod geometry;

pub mod bulyan;
pub mod geometric_median;
pub mod krum;

pub use bulyan::Bulyan;
pub use fedbuff::FedBuff;
pub use fednova::FedNova;
pub use geometric_median::GeometricMedian;
pub use geometry::{Coordinates, Geometry};
pub use krum::Krum;
pub use mean::{Mean, UniformMean};
pub use median::Median;
pub use norm_bounded::NormBounded;
pub use qfedavg::QFedAvg;
pub use trimmed_mean::TrimmedMean;

use crate::model::LayoutMismatch;

/// Combines a cohort's updates into one delta, a range of coordinates at a time.
///
/// Laws: the result does not depend on the order in which the updates arrived (they come in the order of their clients'
/// names), cutting the coordinates into ranges anywhere does not change one bit, and updates scaled by a power of two give
/// the delta scaled by it (but for rules with a bound of their own).
pub trait Combine: Send + Sync {
    /// The fewest updates for which it keeps its promise. A plan's quorum is at least this.
    fn needs(&self) -> usize {
        1
    }

    /// The scalars, beside the plan's own, that every update has to bear.
    fn scalars(&self) -> &'static [&'static str] {
        &[]
    }

    /// How much each whole update counts.
    fn weigh(&self, whole: &Whole<'_>) -> Weights {
        Weights::of(whole.weights.to_vec())
    }

    /// Writes the combined coordinates `range` of the model to `out`. `updates` yields that range of every update that has a
    /// weight above zero, in the order of clients' names. Holds chunks, never a whole model.
    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
        weighted_sum(range, updates, out)
    }
}

/// Combines that commute with addition: the only ones that a masked sum can carry.
pub trait Linear: Combine {}

/// What is known of whole updates, in the order of clients' names, without their coordinates.
#[derive(Clone, Copy)]
pub struct Whole<'a> {
    /// What they count by themselves: examples.
    pub weights: &'a [f64],
    /// The scalars that they bear.
    pub scalars: &'a [&'a BTreeMap<String, f64>],
    /// How many versions have come since those that they were trained from; none is 0.
    pub staleness: &'a [u32],
    /// Where they lie. What a rule does not ask for is not measured.
    pub geometry: &'a dyn Geometry,
}

impl Whole<'_> {
    /// Update `i`'s scalar, if it bears it.
    pub fn scalar(&self, i: usize, name: &str) -> Option<f64> {
        self.scalars.get(i)?.get(name).copied()
    }
}

/// How much each update counts in a sum, and what the sum is divided by.
#[derive(Clone, Debug, PartialEq)]
pub struct Weights {
    /// Of each update; 0 leaves it out.
    pub each: Vec<f64>,
    /// The divisor; 0 if there is nothing to sum.
    pub total: f64,
}

impl Weights {
    /// Those of a mean.
    pub fn of(each: Vec<f64>) -> Self {
        let total = each.iter().sum();
        Self { each, total }
    }

    /// One for each of the `chosen` among `n`.
    pub fn choose(n: usize, chosen: &[usize]) -> Self {
        let mut each = vec![0.0; n];
        chosen.iter().for_each(|i| each[*i] = 1.0);
        Self::of(each)
    }
}

/// The updates of a round that count, read a range of coordinates at a time.
pub trait Chunks {
    /// The next update's coordinates `range`; `None` after the last.
    fn next(&mut self, range: Range<usize>) -> Result<Option<Chunk<'_>>, LayoutMismatch>;

    /// What a weighted sum is divided by.
    fn total(&self) -> f64;
}

/// A range of one update's delta.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// How much the update counts.
    pub weight: f64,
    /// The coordinates asked for.
    pub delta: &'a [f32],
}

/// Updates that are in memory, in the order of clients' names.
pub struct InMemory<'a> {
    updates: std::iter::Zip<std::slice::Iter<'a, &'a [f32]>, std::slice::Iter<'a, f64>>,
    total: f64,
}

impl<'a> InMemory<'a> {
    /// Reads those of the `deltas` that have a weight, from the first on.
    pub fn new(deltas: &'a [&'a [f32]], weights: &'a Weights) -> Self {
        Self { updates: deltas.iter().zip(&weights.each), total: weights.total }
    }
}

impl Chunks for InMemory<'_> {
    fn next(&mut self, range: Range<usize>) -> Result<Option<Chunk<'_>>, LayoutMismatch> {
        let Some((delta, weight)) = self.updates.by_ref().find(|(_, weight)| **weight != 0.0) else { return Ok(None) };
        let mismatch = LayoutMismatch { want: range.end, got: delta.len() };
        let delta = delta.get(range).ok_or(mismatch)?;
        Ok(Some(Chunk { weight: *weight, delta }))
    }

    fn total(&self) -> f64 {
        self.total
    }
}

/// The sum of updates, each times its weight, divided by the total; zero if that is zero. Sums in f64.
pub fn weighted_sum(range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch> {
    check(&range, out)?;
    let total = updates.total();
    let mut sum = vec![0.0; range.len()];
    while let Some(Chunk { weight, delta }) = updates.next(range.clone())? {
        sum.iter_mut().zip(delta).for_each(|(sum, value)| *sum += weight * f64::from(*value));
    }
    let scale = if total > 0.0 { 1.0 / total } else { 0.0 };
    out.iter_mut().zip(&sum).for_each(|(out, sum)| *out = (sum * scale) as f32);
    Ok(())
}

/// Calls `one` with the values that updates have in a coordinate, ascending, for every coordinate of the range. Updates' weights
/// do not count. Without updates the delta is zero.
pub fn by_coordinate(
    range: Range<usize>,
    updates: &mut dyn Chunks,
    out: &mut [f32],
    one: impl Fn(&[f32]) -> f32,
) -> Result<(), LayoutMismatch> {
    check(&range, out)?;
    let mut rows = Vec::new();
    while let Some(Chunk { delta, .. }) = updates.next(range.clone())? {
        rows.extend_from_slice(delta);
    }
    let mut values = vec![0.0; rows.len() / range.len().max(1)];
    for (i, out) in out.iter_mut().enumerate() {
        values.iter_mut().zip(rows.iter().skip(i).step_by(range.len())).for_each(|(value, row)| *value = *row);
        values.sort_unstable_by(f32::total_cmp);
        *out = if values.is_empty() { 0.0 } else { one(&values) };
    }
    Ok(())
}

/// The mean in f64, of at least one value.
fn mean_of(values: &[f32]) -> f32 {
    (values.iter().copied().map(f64::from).sum::<f64>() / values.len() as f64) as f32
}

fn check(range: &Range<usize>, out: &[f32]) -> Result<(), LayoutMismatch> {
    if out.len() == range.len() { Ok(()) } else { Err(LayoutMismatch { want: range.len(), got: out.len() }) }
}

/// Combines whole deltas, as a driver does in parts.
pub fn combine(
    rule: &dyn Combine,
    deltas: &[&[f32]],
    weights: &[f64],
    scalars: &[&BTreeMap<String, f64>],
) -> Result<Vec<f32>, LayoutMismatch> {
    let size = deltas.first().map_or(0, |delta| delta.len());
    let weights = rule.weigh(&Whole { weights, scalars, staleness: &[], geometry: &Coordinates(deltas) });
    let mut out = vec![0.0; size];
    rule.combine(0..size, &mut InMemory::new(deltas, &weights), &mut out)?;
    Ok(out)
}
