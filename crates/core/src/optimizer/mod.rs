//! One delta → the next parameters.

pub mod sgd;

pub use sgd::Sgd;

use crate::model::{LayoutMismatch, Params};

/// The server's step. A delta points where the clients went, so a step of rate 1.0 goes all the way.
pub trait Optimizer: Send + Sync {
    /// Moves `params` along `delta`, and `state` with it.
    fn step(&self, params: &mut Params, state: &mut State, delta: &[f32]) -> Result<(), LayoutMismatch>;
}

/// What an optimizer remembers between rounds: nothing for plain SGD. It is part of the model version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Buffers as long as the parameters, in the optimizer's own order.
    pub buffers: Vec<Vec<f32>>,
}
