//! Two-dimensional convolution over NHWC images, as matrix products.

mod columns;
mod winograd;

use columns::Columns;
use winograd::Winograd;

use super::{
    layer::through_relu,
    layer::{Backward, Layer, Memory, Pass},
    linear::{add_bias, sum_rows},
};

/// A convolution, and the ReLU after it if there is one. Its weight lies [kernel row, kernel column, input channel, output
/// channel].
#[derive(Clone, Copy, Debug)]
pub struct Conv2d {
    /// What goes in.
    pub input: Image,
    /// Channels that come out.
    pub channels: usize,
    /// Rows and columns of the kernel.
    pub kernel: usize,
    /// Pixels from an output to the next.
    pub stride: usize,
    /// Zeros around the image.
    pub padding: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether a ReLU follows.
    pub relu: bool,
}

/// What either way is given in a backward pass: bias and ReLU are done.
struct Slopes<'a> {
    weight: &'a [f32],
    /// The loss's derivative by the weight, to be written.
    gradient: &'a mut [f32],
    x: &'a [f32],
    dy: &'a [f32],
    /// That by what went in, to be written if somebody asks.
    dx: Option<&'a mut [f32]>,
    scratch: &'a mut [f32],
}

/// The shape of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Image {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Floats of a pixel.
    pub channels: usize,
}

impl Image {
    /// Floats of an image.
    pub fn floats(&self) -> usize {
        self.height * self.width * self.channels
    }
}

impl Conv2d {
    /// What comes out.
    pub fn output(&self) -> Image {
        let across = |size: usize| (size + 2 * self.padding - self.kernel) / self.stride + 1;
        Image { height: across(self.input.height), width: across(self.input.width), channels: self.channels }
    }

    /// Floats of a kernel that makes one output channel.
    pub fn depth(&self) -> usize {
        self.kernel * self.kernel * self.input.channels
    }

    fn weights(&self) -> usize {
        self.depth() * self.channels
    }

    fn winograd(&self) -> Option<Winograd> {
        Winograd::of(self)
    }
}

impl Layer for Conv2d {
    fn outputs(&self) -> usize {
        self.output().floats()
    }

    fn parameters(&self) -> usize {
        self.weights() + if self.bias { self.channels } else { 0 }
    }

    fn memory(&self, rows: usize) -> Memory {
        let scratch = self.winograd().map_or_else(|| Columns::of(self, rows).scratch(), |way| way.scratch(rows));
        Memory { saved: 0, scratch }
    }

    fn multiply_adds(&self) -> u64 {
        let output = self.output();
        (output.height * output.width * self.weights()) as u64
    }

    fn forward(&self, pass: &Pass, params: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], scratch: &mut [f32]) {
        let (weight, bias) = params.split_at(self.weights());
        let y = &mut y[..pass.rows * self.outputs()];
        match self.winograd() {
            Some(way) => way.forward(pass, weight, x, y, scratch),
            None => Columns::of(self, pass.rows).forward(pass, weight, x, y, scratch),
        }
        let bias = self.bias.then(|| &bias[..self.channels]);
        pass.simd.run(
            #[inline(always)]
            || add_bias(y, self.channels, bias, self.relu),
        );
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Backward { params, gradient, x, y, dy, dx, scratch, .. } = given;
        let (weight, bias) = gradient.split_at_mut(self.weights());
        let outputs = pass.rows * self.outputs();
        let dy = &mut dy[..outputs];
        pass.simd.run(
            #[inline(always)]
            || {
                if self.relu {
                    through_relu(&y[..outputs], dy);
                }
                if self.bias {
                    sum_rows(dy, &mut bias[..self.channels]);
                }
            },
        );
        let dx = dx.map(|dx| &mut dx[..pass.rows * self.input.floats()]);
        let slopes = Slopes { weight: &params[..self.weights()], gradient: weight, x, dy, dx, scratch };
        match self.winograd() {
            Some(way) => way.backward(pass, slopes),
            None => Columns::of(self, pass.rows).backward(pass, slopes),
        }
    }
}
