//! Many updates → one delta.

use std::ops::Range;

pub mod mean;

pub use mean::Mean;

use crate::{model::LayoutMismatch, update::Weight};

/// Combines a cohort's updates into one delta, a range of coordinates at a time.
///
/// Laws: the result does not depend on the order in which the updates arrived (`updates` yields them in the order of
/// their clients' names), and cutting the coordinates into ranges anywhere does not change one bit.
pub trait Combine: Send + Sync {
    /// Writes the combined coordinates `range` of the model to `out`. `updates` yields that range of every admitted
    /// update in the order of clients' names. Holds chunks, never a whole model.
    fn combine(&self, range: Range<usize>, updates: &mut dyn Chunks, out: &mut [f32]) -> Result<(), LayoutMismatch>;
}

/// Combines that commute with addition: the only ones that a masked sum can carry.
pub trait Linear: Combine {}

/// The admitted updates of a round, read a range of coordinates at a time.
pub trait Chunks {
    /// The next update's coordinates `range`; `None` after the last.
    fn next(&mut self, range: Range<usize>) -> Result<Option<Chunk<'_>>, LayoutMismatch>;
}

/// A range of one update's delta.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// The update's weight.
    pub weight: Weight,
    /// The coordinates asked for.
    pub delta: &'a [f32],
}

/// Updates that are in memory, in the order of clients' names.
pub struct InMemory<'a> {
    updates: std::slice::Iter<'a, (Weight, &'a [f32])>,
}

impl<'a> InMemory<'a> {
    /// Reads `updates` from the first on.
    pub fn new(updates: &'a [(Weight, &'a [f32])]) -> Self {
        Self { updates: updates.iter() }
    }
}

impl Chunks for InMemory<'_> {
    fn next(&mut self, range: Range<usize>) -> Result<Option<Chunk<'_>>, LayoutMismatch> {
        let Some((weight, delta)) = self.updates.next() else { return Ok(None) };
        let mismatch = LayoutMismatch { want: range.end, got: delta.len() };
        let delta = delta.get(range).ok_or(mismatch)?;
        Ok(Some(Chunk { weight: *weight, delta }))
    }
}
