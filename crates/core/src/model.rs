//! A model as the rules see it: a [`Layout`] of named tensors, and [`Params`], one flat buffer over it.

use std::{collections::BTreeSet, ops::Range, sync::Arc};

use serde::{Deserialize, Serialize};

use crate::{
    excerpt::{NAME, excerpt},
    random::{Purpose, RngExt, Stream, normal, stream},
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
    /// What it is for.
    #[serde(default, skip_serializing_if = "Role::is_weight")]
    pub role: Role,
}

/// What a tensor is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Training moves it.
    #[default]
    Weight,
    /// It sums up what has been seen, such as a batch norm's running mean: it is averaged, and no optimiser moves it.
    Statistic,
}

impl Role {
    fn is_weight(&self) -> bool {
        *self == Self::Weight
    }
}

impl TensorSpec {
    /// A weight.
    pub fn new(name: impl Into<String>, shape: impl Into<Vec<usize>>, initial: Initial) -> Self {
        Self { name: name.into(), shape: shape.into(), initial, role: Role::Weight }
    }
}

/// How a tensor's first values are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Initial {
    /// All zero.
    Zeros,
    /// All the same.
    Constant(#[serde(deserialize_with = "crate::event::single")] f32),
    /// Uniform over [−bound, bound).
    Uniform(#[serde(deserialize_with = "crate::event::single")] f32),
    /// Normal around 0 with this standard deviation.
    Normal(#[serde(deserialize_with = "crate::event::single")] f32),
}

impl Initial {
    /// Whether its number is one that values can be drawn by.
    fn is_possible(self) -> bool {
        match self {
            Self::Zeros => true,
            Self::Constant(value) => value.is_finite(),
            Self::Uniform(bound) | Self::Normal(bound) => bound.is_finite() && bound >= 0.0,
        }
    }

    fn fill(self, values: &mut [f32], numbers: &mut Stream) {
        match self {
            Self::Zeros => values.fill(0.0),
            Self::Constant(value) => values.fill(value),
            Self::Uniform(bound) => values.fill_with(|| (numbers.random::<f32>() * 2.0 - 1.0) * bound),
            Self::Normal(deviation) => values.fill_with(|| normal(numbers, 0.0, f64::from(deviation)) as f32),
        }
    }
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
        for TensorSpec { name, shape, initial, .. } in &tensors {
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
            if !initial.is_possible() {
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
            let mut numbers = stream(seed, Purpose::Initial, &tensor.name, 0);
            tensor.initial.fill(&mut params.values[range], &mut numbers);
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

    /// Moves statistics all the way along `delta`, and takes that way out of it: no optimizer has to know of them.
    pub fn settle(&mut self, delta: &mut [f32]) {
        for (_, range) in self.layout.tensors().filter(|(tensor, _)| tensor.role == Role::Statistic) {
            let both = self.values[range.clone()].iter_mut().zip(&mut delta[range]);
            both.for_each(|(value, delta)| *value += std::mem::take(delta));
        }
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
        TensorSpec::new(name, shape, Initial::Uniform(0.5))
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

    #[test]
    fn statistics_go_all_the_way_and_no_optimizer_sees_them() {
        let statistic = TensorSpec { role: Role::Statistic, ..tensor("mean", &[2]) };
        let layout = Layout::new(vec![tensor("a", &[2]), statistic]).unwrap();
        let mut params = Params::zeros(layout.into());
        let mut delta = [1.0, 2.0, 3.0, 4.0];
        params.settle(&mut delta);
        assert_eq!((params.values(), delta), (&[0.0, 0.0, 3.0, 4.0][..], [1.0, 2.0, 0.0, 0.0]));
    }

    #[test]
    fn normal_beginnings_have_their_deviation() {
        let spec = |initial| TensorSpec::new("a", [10_000], initial);
        let drawn = |initial| Params::initial(Layout::new(vec![spec(initial)]).unwrap().into(), 3);
        let values = drawn(Initial::Normal(0.5));
        let square: f32 = values.values().iter().map(|v| v * v).sum();
        // The variance of 10,000 draws is within 3 % of 0.25 but for one time in thirty.
        assert!((square / 10_000.0 - 0.25).abs() < 0.0125, "{square}");
        assert!(drawn(Initial::Constant(1.0)).values().iter().all(|v| *v == 1.0));
    }
}
