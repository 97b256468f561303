//! Losses: the mean over a batch's outputs, and its gradient.

use serde::{Deserialize, Serialize};

/// What training makes small.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum Loss {
    /// Half the square up to `delta`, straight beyond. Huber 1964.
    Huber {
        /// Where the parabola ends, in units of the scaled target.
        delta: f32,
    },
    /// The squared error. (Braces, so that a key it does not have is refused.)
    Mse {},
}

impl Loss {
    /// The loss of one output that is off by `error`, and its derivative.
    #[inline(always)]
    pub fn of(self, error: f32) -> (f32, f32) {
        match self {
            Self::Huber { delta } => {
                let clamped = error.clamp(-delta, delta);
                (clamped * (error - 0.5 * clamped), clamped)
            }
            Self::Mse {} => (error * error, 2.0 * error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn huber_is_a_parabola_with_straight_arms() {
        let huber = Loss::Huber { delta: 0.5 };
        assert_eq!(huber.of(0.25), (0.03125, 0.25));
        assert_eq!(huber.of(-2.0), (0.5 * (2.0 - 0.25), -0.5));
        assert_eq!(Loss::Mse {}.of(-3.0), (9.0, -6.0));
    }
}
