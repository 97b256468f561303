//! Two-dimensional convolution over NHWC images, as matrix products.

mod columns;
mod direct;
mod pooled;
mod winograd;

use columns::Columns;
use direct::Direct;
use pooled::{Pooled, add_through};
use winograd::Winograd;

use super::{
    kernels::Lanes,
    layer::{Backward, Layer, Memory, Pass, through_relu},
    linear::{add_bias, sum_rows},
    simd::Kernel,
};

/// A convolution, and the ReLU and the 2 × 2 max-pool after it if there are any. Its weight lies [kernel row, kernel column, input channel, output
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
    /// Whether a 2 × 2 max-pool follows then. Only if it [`Conv2d::can_pool`].
    pub pool: bool,
}

/// How it is computed.
enum Way<'a> {
    Winograd(Winograd),
    Direct(Direct<'a>),
    Columns,
}

/// What any way is given in a backward pass. The bias is done, and so is a ReLU if nothing is pooled.
struct Slopes<'a> {
    weight: &'a [f32],
    /// The loss's derivative by the weight, to be written.
    gradient: &'a mut [f32],
    x: &'a [f32],
    dy: &'a [f32],
    /// If it pools: which of its four pixels an output is.
    codes: &'a [f32],
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
    /// What the convolution makes, before it is pooled.
    pub fn made(&self) -> Image {
        let across = |size: usize| (size + 2 * self.padding - self.kernel) / self.stride + 1;
        Image { height: across(self.input.height), width: across(self.input.width), channels: self.channels }
    }

    /// What comes out.
    pub fn output(&self) -> Image {
        let Image { height, width, channels } = self.made();
        if self.pool { Image { height: height / 2, width: width / 2, channels } } else { self.made() }
    }

    /// Floats of a kernel that makes one output channel.
    pub fn depth(&self) -> usize {
        self.kernel * self.kernel * self.input.channels
    }

    /// Whether it can do a 2 × 2 max-pool that follows.
    pub fn can_pool(&self) -> bool {
        let Image { height, width, .. } = self.made();
        height.is_multiple_of(2) && width.is_multiple_of(2) && !matches!(self.way(), Way::Columns)
    }

    fn weights(&self) -> usize {
        self.depth() * self.channels
    }

    fn way(&self) -> Way<'_> {
        let winograd = Winograd::of(self).map(Way::Winograd);
        winograd.or_else(|| Direct::of(self).map(Way::Direct)).unwrap_or(Way::Columns)
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
        let scratch = match self.way() {
            Way::Winograd(way) => way.scratch(rows),
            Way::Direct(way) => way.scratch(),
            Way::Columns => Columns::of(self, rows).scratch(),
        };
        Memory { saved: if self.pool { rows * self.outputs() } else { 0 }, scratch }
    }

    fn multiply_adds(&self) -> u64 {
        let made = self.made();
        (made.height * made.width * self.weights()) as u64
    }

    fn forward(
        &self,
        pass: &Pass,
        params: &mut [f32],
        x: &[f32],
        y: &mut [f32],
        saved: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (weight, bias) = params.split_at(self.weights());
        let bias = self.bias.then(|| &bias[..self.channels]);
        let y = &mut y[..pass.rows * self.outputs()];
        match self.way() {
            Way::Winograd(way) => way.forward(pass, weight, x, Pooled { y, bias, codes: saved }, scratch),
            Way::Direct(way) => way.forward(pass, weight, x, Pooled { y, bias, codes: saved }, scratch),
            Way::Columns => {
                Columns::of(self, pass.rows).forward(pass, weight, x, y, scratch);
                pass.simd.run(
                    #[inline(always)]
                    || add_bias(y, self.channels, bias, self.relu),
                );
            }
        }
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Backward { params, gradient, x, y, dy, dx, scratch, saved, .. } = given;
        let (weight, bias) = gradient.split_at_mut(self.weights());
        let (outputs, bias) = (pass.rows * self.outputs(), self.bias.then(|| &mut bias[..self.channels]));
        let (y, dy) = (&y[..outputs], &mut dy[..outputs]);
        pass.simd.kernel(Before { conv: self, y, dy: &mut *dy, codes: saved, bias });
        let dx = dx.map(|dx| &mut dx[..pass.rows * self.input.floats()]);
        let slopes = Slopes { weight: &params[..self.weights()], gradient: weight, x, dy, codes: saved, dx, scratch };
        match self.way() {
            Way::Winograd(way) => way.backward(pass, slopes),
            Way::Direct(way) => way.backward(pass, slopes),
            Way::Columns => Columns::of(self, pass.rows).backward(pass, slopes),
        }
    }
}

/// A ReLU's derivative, unless pooling does it, and a bias's.
struct Before<'a> {
    conv: &'a Conv2d,
    y: &'a [f32],
    dy: &'a mut [f32],
    codes: &'a [f32],
    bias: Option<&'a mut [f32]>,
}

impl Kernel for Before<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { conv: &Conv2d { relu, pool, .. }, y, dy, codes, bias } = self;
        if relu && !pool {
            through_relu(y, dy);
        }
        match bias {
            Some(bias) if pool => {
                bias.fill(0.0);
                add_through::<V>(dy, codes, bias);
            }
            Some(bias) => sum_rows(dy, bias),
            None => {}
        }
    }
}
