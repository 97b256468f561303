//! One delta → the next parameters.

pub mod sgd;

pub mod adaptive;
pub mod feddyn;
pub mod momentum;
pub mod scaffold;

pub use adaptive::{Adaptive, Second};
pub use feddyn::FedDyn;
pub use momentum::Momentum;
pub use scaffold::Scaffold;
pub use sgd::Sgd;

use crate::model::{LayoutMismatch, Params};

/// The server's step. A delta points where the clients went, so a step of rate 1.0 goes all the way.
pub trait Optimizer: Send + Sync {
    /// How many buffers, each as long as the parameters, it remembers between rounds.
    fn buffers(&self) -> usize {
        0
    }

    /// Whether clients are told its first buffer with the model: the control variate of SCAFFOLD.
    fn tells_control(&self) -> bool {
        false
    }

    /// Moves `params` along what a round came to, and `state` with it.
    fn step(&self, params: &mut Params, state: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch>;
}

/// What the updates of a round come to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Combined<'a> {
    /// The combined [`DELTA`](crate::update::DELTA).
    pub delta: &'a [f32],
    /// The combined [`CONTROL`](crate::update::CONTROL); empty if the strategy has none.
    pub control: &'a [f32],
    /// How many have answered, as a share of the clients that could have been asked; at most 1.
    pub share: f64,
}

impl<'a> Combined<'a> {
    /// A delta of everybody's.
    pub fn of(delta: &'a [f32]) -> Self {
        Self { delta, control: &[], share: 1.0 }
    }
}

/// What an optimizer remembers between rounds: nothing for plain SGD. It is part of the model version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    /// Buffers as long as the parameters, in the optimizer's own order; none before the first step.
    pub buffers: Vec<Vec<f32>>,
}

impl State {
    /// `N` buffers for `params`, which begin with `first` if there are none yet.
    fn at<const N: usize>(
        &mut self,
        params: &Params,
        delta: &[f32],
        first: [f32; N],
    ) -> Result<&mut [Vec<f32>; N], LayoutMismatch> {
        let want = params.values().len();
        if delta.len() != want {
            return Err(LayoutMismatch { want, got: delta.len() });
        }
        if self.buffers.is_empty() {
            self.buffers = first.map(|value| vec![value; want]).into();
        }
        let got = self.buffers.iter().map(Vec::len).sum();
        let mismatch = LayoutMismatch { want: N * want, got };
        let fits = self.buffers.iter().all(|buffer| buffer.len() == want);
        self.buffers.as_mut_slice().try_into().ok().filter(|_| fits).ok_or(mismatch)
    }
}
