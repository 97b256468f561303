//! Where whole updates lie: what rules that choose among them look at first.

use std::ops::Range;

/// How many coordinates are summed side by side: the shape of a sum does not depend on threads.
const LANES: usize = 8;

/// How many coordinates are measured at a time.
pub const STEP: usize = 1 << 14;

/// Lengths and distances of updates, in the order of clients' names, over all tensors together. In f64, and squared.
pub trait Geometry {
    /// How long each is.
    fn norms(&self) -> Vec<f64>;

    /// How far each is from each.
    fn distances(&self) -> Vec<Vec<f64>>;

    /// How far each is from the sum of all, each times its weight.
    fn distances_from(&self, weights: &[f64]) -> Vec<f64>;
}

/// The coordinates of updates of one length, measured in pieces. Pieces can be measured on different threads.
#[derive(Clone, Copy, Debug)]
pub struct Coordinates<'a>(pub &'a [&'a [f32]]);

impl Coordinates<'_> {
    /// The length of update `i`.
    pub fn norm(&self, i: usize) -> f64 {
        let values = self.0[i];
        sum(values.len(), |i| f64::from(values[i]).powi(2))
    }

    /// The distances from update `i` to those before it.
    pub fn row(&self, i: usize) -> Vec<f64> {
        self.0[..i].iter().map(|other| squared_distance(self.0[i], other)).collect()
    }

    /// All distances, from the rows in order.
    pub fn symmetric(rows: Vec<Vec<f64>>) -> Vec<Vec<f64>> {
        let n = rows.len();
        let at = |i: usize, j: usize| match i.cmp(&j) {
            std::cmp::Ordering::Greater => rows[i][j],
            std::cmp::Ordering::Less => rows[j][i],
            std::cmp::Ordering::Equal => 0.0,
        };
        (0..n).map(|i| (0..n).map(|j| at(i, j)).collect()).collect()
    }

    /// How many coordinates there are.
    pub fn size(&self) -> usize {
        self.0.iter().map(|delta| delta.len()).min().unwrap_or(0)
    }

    /// What some coordinates add to the distances from a weighted sum.
    pub fn part(&self, range: Range<usize>, weights: &[f64]) -> Vec<f64> {
        let mut sum = vec![0.0; range.len()];
        for (delta, weight) in self.0.iter().zip(weights) {
            sum.iter_mut().zip(&delta[range.clone()]).for_each(|(sum, value)| *sum += weight * f64::from(*value));
        }
        let from = |delta: &&[f32]| {
            let values = &delta[range.clone()];
            self::sum(values.len(), |i| (sum[i] - f64::from(values[i])).powi(2))
        };
        self.0.iter().map(from).collect()
    }

    /// The sum of parts, one after another.
    pub fn whole(&self, parts: impl IntoIterator<Item = Vec<f64>>) -> Vec<f64> {
        parts.into_iter().fold(vec![0.0; self.0.len()], |mut sum, part| {
            sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += part);
            sum
        })
    }

    /// All coordinates, [`STEP`] at a time.
    pub fn steps(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let size = self.size();
        (0..size).step_by(STEP).map(move |first| first..size.min(first + STEP))
    }
}

impl Geometry for Coordinates<'_> {
    fn norms(&self) -> Vec<f64> {
        (0..self.0.len()).map(|i| self.norm(i)).collect()
    }

    fn distances(&self) -> Vec<Vec<f64>> {
        Self::symmetric((0..self.0.len()).map(|i| self.row(i)).collect())
    }

    fn distances_from(&self, weights: &[f64]) -> Vec<f64> {
        self.whole(self.steps().map(|range| self.part(range, weights)))
    }
}

fn squared_distance(a: &[f32], b: &[f32]) -> f64 {
    let n = a.len().min(b.len());
    let (a, b) = (&a[..n], &b[..n]);
    sum(n, |i| (f64::from(a[i]) - f64::from(b[i])).powi(2))
}

/// The sum of `n` terms in [`LANES`] running sums.
#[inline(always)]
fn sum(n: usize, term: impl Fn(usize) -> f64) -> f64 {
    let mut lanes = [0.0; LANES];
    let whole = n / LANES * LANES;
    for start in (0..whole).step_by(LANES) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += term(start + lane);
        }
    }
    lanes.iter().sum::<f64>() + (whole..n).map(term).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_euclid() {
        let deltas: [&[f32]; 3] = [&[0.0; 11], &[1.0; 11], &[-2.0; 11]];
        let geometry = Coordinates(&deltas);
        assert_eq!(geometry.distances(), [[0.0, 11.0, 44.0], [11.0, 0.0, 99.0], [44.0, 99.0, 0.0]]);
        assert_eq!(geometry.norms(), [0.0, 11.0, 44.0]);
        assert_eq!(geometry.distances_from(&[9.0, 0.5, -0.25]), [11.0, 0.0, 99.0]);
    }
}
