//! The server's part of SCAFFOLD: it steps along the delta, and keeps the control variate that clients are told.

use super::{Combined, Optimizer, State};
use crate::model::{LayoutMismatch, Params};

/// Stochastic controlled averaging, Algorithm 1 of Karimireddy et al. 2020 <https://arxiv.org/abs/1910.06378>:
/// params += η·Δ, c += |S|/N · Δc, where Δ and Δc are the uniform means of what the clients S of all N have sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scaffold {
    /// η.
    pub learning_rate: f32,
}

impl Optimizer for Scaffold {
    fn buffers(&self) -> usize {
        1
    }

    fn tells_control(&self) -> bool {
        true
    }

    fn step(&self, params: &mut Params, state: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch> {
        let [control] = state.at(params, round.delta, [0.0])?;
        if round.control.len() != control.len() {
            return Err(LayoutMismatch { want: control.len(), got: round.control.len() });
        }
        for (value, delta) in params.values_mut().iter_mut().zip(round.delta) {
            *value += self.learning_rate * delta;
        }
        let share = round.share as f32;
        control.iter_mut().zip(round.control).for_each(|(control, change)| *control += share * change);
        Ok(())
    }
}
