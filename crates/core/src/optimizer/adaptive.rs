//! Steps that are shorter in the coordinates that move most.

use super::{Combined, Optimizer, State};
use crate::model::{LayoutMismatch, Params};

/// FedAdagrad, FedAdam and FedYogi, Algorithm 2 of Reddi et al. 2021 <https://arxiv.org/abs/2003.00295>: m ← β₁·m + (1 − β₁)·Δ,
/// params += η·m/(√v + τ), where v begins with τ². As in the paper, no moment is corrected for its beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adaptive {
    /// How v moves.
    pub second: Second,
    /// η.
    pub learning_rate: f32,
    /// β₁, at least 0 and below 1.
    pub beta_1: f32,
    /// τ: how far from zero a coordinate has to move to count as moving.
    pub tau: f32,
}

/// How the second moment v moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Second {
    /// v + Δ².
    Adagrad,
    /// β₂·v + (1 − β₂)·Δ².
    Adam {
        /// β₂.
        beta_2: f32,
    },
    /// v − (1 − β₂)·Δ²·sign(v − Δ²).
    Yogi {
        /// β₂.
        beta_2: f32,
    },
}

impl Second {
    fn next(self, v: f32, square: f32) -> f32 {
        match self {
            Self::Adagrad => v + square,
            Self::Adam { beta_2 } => beta_2 * v + (1.0 - beta_2) * square,
            Self::Yogi { beta_2 } => {
                let less = v - square;
                let sign = if less == 0.0 { 0.0 } else { less.signum() };
                v - (1.0 - beta_2) * square * sign
            }
        }
    }
}

impl Optimizer for Adaptive {
    fn buffers(&self) -> usize {
        2
    }

    fn step(&self, params: &mut Params, state: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch> {
        let delta = round.delta;
        let Self { second, learning_rate, beta_1, tau } = *self;
        let [first, squares] = state.at(params, delta, [0.0, tau * tau])?;
        let moments = first.iter_mut().zip(squares);
        for ((value, delta), (first, v)) in params.values_mut().iter_mut().zip(delta).zip(moments) {
            *first = beta_1 * *first + (1.0 - beta_1) * delta;
            *v = second.next(*v, delta * delta);
            *value += learning_rate * *first / (v.sqrt() + tau);
        }
        Ok(())
    }
}
