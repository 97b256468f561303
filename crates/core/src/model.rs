//! A model as the rules see it: a [`Layout`] of named tensors, and [`Params`], one flat buffer over it.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    excerpt::{NAME, excerpt},
    random::{Purpose, RngExt, stream},
};

/// The most parameters that a layout may declare.
pub const MAX_PARAMETERS: usize = 1 << 36;

/// One tensor of a model: its name, its shape (outermost dimension first) and how its first values are drawn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// PyTorch's name of the tensor, `layers.0.weight`.
    pub name: String,
    /// Its dimensions; PyTorch's order.
    pub shape: Vec<usize>,
    /// How its first values are drawn.
    pub initial: Initial,
}

/// How a tensor's first values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// All zero.
    Zeros,
    /// Uniform over [−bound, bound).
    Uniform(#[serde(deserialize_with = "crate::event::single")] f32),
}

/// The tensors of a model, in the order in which they lie in a flat buffer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Vec<TensorSpec>", into = "Vec<TensorSpec>")]
pub struct Layout {
    tensors: Vec<TensorSpec>,
    ends: Vec<usize>,
}

/// A list of tensors that is no layout.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// No tensor, or tensors without elements.
    #[error("a layout needs at least one tensor, and each tensor at least one element; {0:?} has none")]
    Empty(String),
    /// Two tensors of one name.
    #[error("two tensors are called {0:?}")]
    Repeated(String),
    /// A name that a tensor file needs for itself.
    #[error("no tensor can be called {0:?}")]
    Reserved(String),
    /// More parameters than [`MAX_PARAMETERS`].
    #[error("the layout has more than {MAX_PARAMETERS} parameters")]
    TooLarge,
    /// A bound that is not a finite number ≥ 0.
    #[error("the initial values of {0:?} have a bound that is not a finite number of at least 0")]
    Bound(String),
}

/// Two things that belong to one model have different layouts.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the layouts differ: {got} parameters where {want} are expected")]
pub struct LayoutMismatch {
    /// Parameters expected.
    pub want: usize,
    /// Parameters seen.
    pub got: usize,
}

impl Layout {
    /// Checks `tensors` and makes a layout of them.
    pub fn new(tensors: Vec<TensorSpec>) -> Result<Self, LayoutError> {
        let (mut names, mut ends, mut end) = (BTreeSet::new(), Vec::with_capacity(tensors.len()), 0usize);
        for TensorSpec { name, shape, initial } in &tensors {
            let named = || excerpt(name, NAME);
            let elements = shape.iter().try_fold(1usize, |n, d| n.checked_mul(*d)).ok_or(LayoutError::TooLarge)?;
            if elements == 0 {
                return Err(LayoutError::Empty(named()));
            }
            if name == "__metadata__" {
                return Err(LayoutError::Reserved(named()));
            }
            if !names.insert(name) {
                return Err(LayoutError::Repeated(named()));
            }
            if matches!(initial, Initial::Uniform(bound) if !(bound.is_finite() && *bound >= 0.0)) {
                return Err(LayoutError::Bound(named()));
            }
            end = end.checked_add(elements).filter(|n| *n <= MAX_PARAMETERS).ok_or(LayoutError::TooLarge)?;
            ends.push(end);
        }
        if tensors.is_empty() { Err(LayoutError::Empty(String::new())) } else { Ok(Self { tensors, ends }) }
    }

    /// How many parameters the model has.
    pub fn parameters(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    /// The tensors, each with its range of the flat buffer.
    pub fn tensors(&self) -> impl Iterator<Item = (&TensorSpec, Range<usize>)> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        self.tensors.iter().zip(starts.zip(&self.ends)).map(|(tensor, (start, end))| (tensor, start..*end))
    }
}

impl TryFrom<Vec<TensorSpec>> for Layout {
    type Error = LayoutError;

    fn try_from(tensors: Vec<TensorSpec>) -> Result<Self, LayoutError> {
        Self::new(tensors)
    }
}

impl From<Layout> for Vec<TensorSpec> {
    fn from(layout: Layout) -> Vec<TensorSpec> {
        layout.tensors
    }
}

/// A model's parameters: one flat f32 buffer over a [`Layout`], every value finite where it came from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Params {
    layout: Arc<Layout>,
    values: Vec<f32>,
}

impl Params {
    /// Lays `values` over `layout`.
    pub fn new(layout: Arc<Layout>, values: Vec<f32>) -> Result<Self, LayoutMismatch> {
        if values.len() == layout.parameters() {
            Ok(Self { layout, values })
        } else {
            Err(LayoutMismatch { want: layout.parameters(), got: values.len() })
        }
    }

    /// All zero.
    pub fn zeros(layout: Arc<Layout>) -> Self {
        Self { values: vec![0.0; layout.parameters()], layout }
    }

    /// The first parameters of a job with this seed. Each tensor draws from a stream of its own name.
    pub fn initial(layout: Arc<Layout>, seed: u64) -> Self {
        let mut params = Self::zeros(layout);
        for (tensor, range) in params.layout.tensors() {
            if let Initial::Uniform(bound) = tensor.initial {
                let mut numbers = stream(seed, Purpose::Initial, &tensor.name, 0);
                params.values[range].fill_with(|| (numbers.random::<f32>() * 2.0 - 1.0) * bound);
            }
        }
        params
    }

    /// The layout.
    pub fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The flat buffer.
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// Whether every value is finite. Looks at all of them, for that vectorises.
    pub fn is_finite(&self) -> bool {
        self.values.iter().fold(true, |finite, value| finite & value.is_finite())
    }

    /// The flat buffer, to be written.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensor(name: &str, shape: &[usize]) -> TensorSpec {
        TensorSpec { name: name.into(), shape: shape.into(), initial: Initial::Uniform(0.5) }
    }

    #[test]
    fn tensors_lie_one_after_another() {
        let layout = Layout::new(vec![tensor("a", &[2, 3]), tensor("b", &[]), tensor("c", &[4])]).unwrap();
        let ranges: Vec<_> = layout.tensors().map(|(_, range)| range).collect();
        assert_eq!(ranges, [0..6, 6..7, 7..11]);
        assert_eq!(layout.parameters(), 11);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let check = |tensors, want| assert_eq!(Layout::new(tensors), Err(want));
        check(vec![], LayoutError::Empty(String::new()));
        check(vec![tensor("a", &[3, 0])], LayoutError::Empty("a".into()));
        check(vec![tensor("a", &[1]), tensor("a", &[1])], LayoutError::Repeated("a".into()));
        check(vec![tensor("__metadata__", &[1])], LayoutError::Reserved("__metadata__".into()));
        check(vec![tensor("a", &[usize::MAX, 2])], LayoutError::TooLarge);
        check(vec![tensor("a", &[MAX_PARAMETERS, 2])], LayoutError::TooLarge);
        let nan = TensorSpec { initial: Initial::Uniform(f32::NAN), ..tensor("a", &[1]) };
        check(vec![nan], LayoutError::Bound("a".into()));
    }

    #[test]
    fn a_tensor_begins_alike_whatever_stands_beside_it() {
        let alone = Layout::new(vec![tensor("b", &[5])]).unwrap();
        let second = Layout::new(vec![tensor("a", &[2]), tensor("b", &[5])]).unwrap();
        let (alone, second) = (Params::initial(alone.into(), 7), Params::initial(second.into(), 7));
        assert_eq!(alone.values(), &second.values()[2..]);
        assert!(alone.values().iter().all(|v| v.abs() <= 0.5 && *v != 0.0));
    }
}
