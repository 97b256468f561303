//! Convolution of images with few channels: the products read windows where they lie, in an image with its padding around it.
//! Laid out as columns, each pixel would be written as often as there are windows that see it.

use super::{
    Conv2d, Image, Slopes,
    pooled::{Pooled, pool_rows, spread_rows},
};
use crate::network::{
    kernels::{Lanes, Left, SLACK, Steps, Store, Sum, product, transpose},
    layer::Pass,
    linear::Biased,
    simd::Kernel,
};

/// Input channels are at most so many.
const FEW: usize = 4;

/// Output channels are a multiple of this, the widest vector.
const CHANNELS: usize = 16;

/// Floats of output pixels that stay in the fastest cache: 32 KiB.
const CACHE: usize = 1 << 13;

/// A convolution's way by windows where they lie.
#[derive(Clone, Copy)]
pub struct Direct<'a> {
    conv: &'a Conv2d,
    /// What the convolution makes.
    made: Image,
    /// Rows of output pixels that are done at a time: an even number.
    band: usize,
}

impl<'a> Direct<'a> {
    /// If it has one.
    pub fn of(conv: &'a Conv2d) -> Option<Self> {
        let made = conv.made();
        let fits = conv.input.channels <= FEW && conv.channels.is_multiple_of(CHANNELS);
        let band = (CACHE / (made.width * made.channels).max(1)).next_multiple_of(2).max(2);
        fits.then_some(Self { conv, made, band })
    }

    /// Floats to work in.
    pub fn scratch(&self) -> usize {
        let windows = self.band * self.made.width * self.conv.depth();
        2 * self.padded() + self.band * self.line() + windows + self.turned()
    }

    /// Floats of the weight with its sides exchanged.
    fn turned(&self) -> usize {
        self.conv.depth() * self.conv.channels + SLACK
    }

    /// Floats of an image with its padding.
    fn padded(&self) -> usize {
        (self.conv.input.height + 2 * self.conv.padding) * self.stride()
    }

    /// Floats of a row of such an image.
    fn stride(&self) -> usize {
        (self.conv.input.width + 2 * self.conv.padding) * self.conv.input.channels
    }

    /// Floats of a row of output pixels.
    fn line(&self) -> usize {
        self.made.width * self.made.channels
    }

    /// The rows of output pixels of an image, some at a time: the first, and how many.
    fn bands(&self) -> impl Iterator<Item = (usize, usize)> {
        let (height, band) = (self.made.height, self.band);
        (0..height).step_by(band).map(move |first| (first, band.min(height - first)))
    }

    /// Where what comes out of `lines` rows of an image begins, row `first` and those behind it, and how many floats it has.
    fn place(&self, image: usize, first: usize, lines: usize) -> (usize, usize) {
        let left = if self.conv.pool { 4 } else { 1 };
        ((image * self.made.height + first) * self.line() / left, lines * self.line() / left)
    }

    /// An image with its padding from where the windows of output row `first` begin.
    fn below<'p>(&self, padded: &'p [f32], first: usize) -> &'p [f32] {
        &padded[first * self.conv.stride * self.stride()..]
    }

    /// Where windows begin: a pixel after another, row by row.
    fn windows(&self) -> Steps {
        let stride = self.conv.stride;
        Steps { step: stride * self.conv.input.channels, run: self.made.width, jump: stride * self.stride() }
    }

    /// Where the floats of a window lie, from its beginning.
    fn taps(&self) -> Steps {
        Steps { step: 1, run: self.conv.kernel * self.conv.input.channels, jump: self.stride() }
    }

    /// Copies an image into the middle of one whose rim is zero.
    #[inline(always)]
    fn pad(&self, x: &[f32], padded: &mut [f32]) {
        let Conv2d { input, padding, .. } = *self.conv;
        let (width, stride) = (input.width * input.channels, self.stride());
        padded.fill(0.0);
        for (row, x) in x.chunks_exact(width).enumerate() {
            let start = (row + padding) * stride + padding * input.channels;
            padded[start..start + width].copy_from_slice(x);
        }
    }

    /// Adds the derivatives by windows, from row `first` on, to those by the floats of a padded image that they saw.
    #[inline(always)]
    fn gather(&self, windows: &[f32], first: usize, padded: &mut [f32]) {
        let (run, below) = (self.taps().run, first * self.conv.stride * self.stride());
        for (i, window) in windows.chunks_exact(self.conv.depth()).enumerate() {
            for (row, slopes) in window.chunks_exact(run).enumerate() {
                let start = below + self.windows().at(i) + row * self.stride();
                for (to, slope) in padded[start..start + run].iter_mut().zip(slopes) {
                    *to += slope;
                }
            }
        }
    }

    /// Copies the middle of an image with its padding.
    #[inline(always)]
    fn cut(&self, padded: &[f32], dx: &mut [f32]) {
        let Conv2d { input, padding, .. } = *self.conv;
        let (width, stride) = (input.width * input.channels, self.stride());
        for (row, dx) in dx.chunks_exact_mut(width).enumerate() {
            let start = (row + padding) * stride + padding * input.channels;
            dx.copy_from_slice(&padded[start..start + width]);
        }
    }

    /// Writes what comes out, bias, ReLU and pooling done. `params` begin with the weight.
    pub fn forward(&self, pass: &Pass, params: &[f32], x: &[f32], to: Pooled<'_>, scratch: &mut [f32]) {
        pass.simd.kernel(Forward { way: self, rows: pass.rows, params, x, to, scratch });
    }

    /// Writes the weight's gradient, and `dx` if somebody asks.
    pub fn backward(&self, pass: &Pass, given: Slopes<'_>) {
        pass.simd.kernel(Gradients { way: self, rows: pass.rows, given });
    }
}

struct Forward<'a> {
    way: &'a Direct<'a>,
    rows: usize,
    params: &'a [f32],
    x: &'a [f32],
    to: Pooled<'a>,
    scratch: &'a mut [f32],
}

impl Kernel for Forward<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, rows, params, x, to: Pooled { y, bias, codes }, scratch } = self;
        let Conv2d { input, channels, relu, pool, .. } = *way.conv;
        let (padded, made) = scratch.split_at_mut(way.padded());
        for (image, x) in x.chunks_exact(input.floats()).take(rows).enumerate() {
            way.pad(x, padded);
            for (first, lines) in way.bands() {
                let (at, size) = way.place(image, first, lines);
                let windows = Left { values: way.below(padded, first), row: way.windows(), column: way.taps() };
                let band = if pool { &mut made[..lines * way.line()] } else { &mut y[at..at + size] };
                let shape = (lines * way.made.width, way.conv.depth(), channels);
                product::<V>(
                    shape,
                    windows,
                    (params, channels),
                    &mut Biased { to: band, outputs: channels, bias, relu },
                );
                if pool {
                    let (band, codes) = (&made[..lines * way.line()], &mut codes[at..at + size]);
                    let mut to = Pooled { y: &mut y[at..at + size], bias, codes };
                    pool_rows::<V>(band, (way.made.width, channels), relu, &mut to);
                }
            }
        }
    }
}

struct Gradients<'a> {
    way: &'a Direct<'a>,
    rows: usize,
    given: Slopes<'a>,
}

impl Kernel for Gradients<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { way, rows, given: Slopes { weight, gradient, x, dy, codes, mut dx, scratch } } = self;
        let Conv2d { input, channels, pool, .. } = *way.conv;
        let depth = way.conv.depth();
        let (padded, scratch) = scratch.split_at_mut(way.padded());
        let (padded_dx, scratch) = scratch.split_at_mut(way.padded());
        let (spread, scratch) = scratch.split_at_mut(way.band * way.line());
        let (turned, seen) = scratch.split_at_mut(way.turned());
        gradient.fill(0.0);
        if dx.is_some() {
            transpose::<V>(weight, depth, channels, turned);
        }
        for (image, x) in x.chunks_exact(input.floats()).take(rows).enumerate() {
            way.pad(x, padded);
            padded_dx.fill(0.0);
            for (first, lines) in way.bands() {
                let (at, size) = way.place(image, first, lines);
                let dy = if pool {
                    let band = &mut spread[..lines * way.line()];
                    spread_rows::<V>((&dy[at..at + size], &codes[at..at + size]), (way.made.width, channels), band);
                    &*band
                } else {
                    &dy[at..at + size]
                };
                let windows = lines * way.made.width;
                let taps = Left { values: way.below(padded, first), row: way.taps(), column: way.windows() };
                let mut sum = Sum { to: gradient, columns: channels };
                product::<V>((depth, windows, channels), taps, (dy, channels), &mut sum);
                if dx.is_some() {
                    let seen = &mut seen[..windows * depth];
                    let mut store = Store { to: seen, columns: depth };
                    product::<V>((windows, channels, depth), Left::rows(dy, channels), (turned, depth), &mut store);
                    way.gather(seen, first, padded_dx);
                }
            }
            if let Some(dx) = dx.as_deref_mut() {
                way.cut(padded_dx, &mut dx[image * input.floats()..][..input.floats()]);
            }
        }
    }
}
