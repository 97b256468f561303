//! Plain gradient descent on the server.

use super::{Combined, Optimizer, State};
use crate::model::{LayoutMismatch, Params};

/// `params += learning_rate · delta`. With rate 1.0 and [`Mean`](crate::combine::Mean) this is FedAvg.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// How far along the delta to go.
    pub learning_rate: f32,
}

impl Optimizer for Sgd {
    fn step(&self, params: &mut Params, _: &mut State, round: &Combined<'_>) -> Result<(), LayoutMismatch> {
        let delta = round.delta;
        let values = params.values_mut();
        if values.len() != delta.len() {
            return Err(LayoutMismatch { want: values.len(), got: delta.len() });
        }
        values.iter_mut().zip(delta).for_each(|(value, delta)| *value += self.learning_rate * delta);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::{Initial, Layout, TensorSpec};

    #[test]
    fn a_step_goes_along_the_delta() {
        let tensor = TensorSpec::new("w", vec![2], Initial::Zeros);
        let layout = Arc::new(Layout::new(vec![tensor]).unwrap());
        let mut params = Params::new(layout, vec![1.0, 2.0]).unwrap();
        let sgd = Sgd { learning_rate: 0.5 };
        sgd.step(&mut params, &mut State::default(), &Combined::of(&[2.0, -2.0])).unwrap();
        assert_eq!(params.values(), [2.0, 1.0]);
        let error = sgd.step(&mut params, &mut State::default(), &Combined::of(&[1.0]));
        assert_eq!(error, Err(LayoutMismatch { want: 2, got: 1 }));
    }
}
