//! Activations that stand alone. A ReLU after a layer with parameters is done by that layer.

use super::layer::{Backward, Layer, Pass};

/// A function of each float.
#[derive(Clone, Copy, Debug)]
pub struct Activation {
    /// Floats of an example.
    pub width: usize,
    /// Which.
    pub kind: Kind,
}

/// Which function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// max(0, x).
    Relu,
    /// 1/(1 + e⁻ˣ).
    Sigmoid,
    /// tanh x.
    Tanh,
}

/// 1/(1 + e⁻ˣ).
pub fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + libm::expf(-x))
}

impl Layer for Activation {
    fn outputs(&self) -> usize {
        self.width
    }

    fn forward(&self, pass: &Pass, _: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], _: &mut [f32]) {
        let size = pass.rows * self.width;
        let of = match self.kind {
            Kind::Relu => |x: f32| if x < 0.0 { 0.0 } else { x },
            Kind::Sigmoid => sigmoid,
            Kind::Tanh => libm::tanhf,
        };
        y.iter_mut().zip(&x[..size]).for_each(|(y, x)| *y = of(*x));
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Some(dx) = given.dx else { return };
        let slope = match self.kind {
            Kind::Relu => |y: f32| if y > 0.0 { 1.0 } else { 0.0 },
            Kind::Sigmoid => |y: f32| y * (1.0 - y),
            Kind::Tanh => |y: f32| 1.0 - y * y,
        };
        let both = given.y.iter().zip(&*given.dy);
        dx[..pass.rows * self.width].iter_mut().zip(both).for_each(|(dx, (y, dy))| *dx = dy * slope(*y));
    }
}
