//! The server's part of FedDyn: a step that takes back what clients' pulls would bias it by.

use super::{Combined, Optimizer, State};
use crate::model::{LayoutMismatch, Params};

/// Dynamic regularisation, Algorithm 1 of Acar et al. 2021 <https://arxiv.org/abs/2111.04263>: h ← h − α·|P|/m·Δ,
/// params += Δ − h/α, where Δ is the uniform mean of what the clients P of all m have sent. A learning rate below 1 shortens that step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FedDyn {
    /// α, as the clients have it; above 0.
    pub alpha: f32,
    /// What the step is multiplied by; 1 in the paper.
    pub learning_rate: f32,
}

impl Optimizer for FedDyn {
    fn buffers(&self) -> usize {
        1
    }

    fn step(&self, params: &mut Params, state: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch> {
        let [h] = state.at(params, round.delta, [0.0])?;
        let (alpha, share) = (self.alpha, round.share as f32);
        for ((value, h), delta) in params.values_mut().iter_mut().zip(h).zip(round.delta) {
            *h -= alpha * share * delta;
            *value += self.learning_rate * (delta - *h / alpha);
        }
        Ok(())
    }
}
