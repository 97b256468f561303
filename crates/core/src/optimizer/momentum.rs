//! Descent that remembers where it went.

use super::{Combined, Optimizer, State};
use crate::model::{LayoutMismatch, Params};

/// Server momentum, FedAvgM of Hsu, Qi and Brown 2019 <https://arxiv.org/abs/1909.06335>: v ← β·v + Δ, params += η·v.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// η.
    pub learning_rate: f32,
    /// β, at least 0 and below 1.
    pub momentum: f32,
}

impl Optimizer for Momentum {
    fn buffers(&self) -> usize {
        1
    }

    fn step(&self, params: &mut Params, state: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch> {
        let delta = round.delta;
        let [velocity] = state.at(params, delta, [0.0])?;
        for ((value, velocity), delta) in params.values_mut().iter_mut().zip(velocity).zip(delta) {
            *velocity = self.momentum * *velocity + delta;
            *value += self.learning_rate * *velocity;
        }
        Ok(())
    }
}
