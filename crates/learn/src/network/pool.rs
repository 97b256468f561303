//! Pooling: of windows (the largest, or the mean), or of whole images (the mean).

use std::ops::Range;

use super::{
    conv::Image,
    layer::{Backward, Layer, Pass},
};

/// What a window becomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pooling {
    /// Its largest value; of equal ones, the first takes the derivative. Padding is smaller than anything.
    Max,
    /// The mean over its pixels, padding included as zeros.
    Average,
}

/// Pools windows of an image.
#[derive(Clone, Copy, Debug)]
pub struct Pool {
    /// What goes in.
    pub input: Image,
    /// Rows and columns of a window.
    pub size: usize,
    /// Pixels from a window to the next.
    pub stride: usize,
    /// Pixels around the image.
    pub padding: usize,
    /// What a window becomes.
    pub pooling: Pooling,
}

impl Pool {
    /// What comes out.
    pub fn output(&self) -> Image {
        let across = |size: usize| (size + 2 * self.padding - self.size) / self.stride + 1;
        Image { height: across(self.input.height), width: across(self.input.width), channels: self.input.channels }
    }

    /// The pixels of window `at` along a side of `most` pixels, those inside it.
    #[inline(always)]
    fn inside(&self, at: usize, most: usize) -> Range<usize> {
        let start = at * self.stride;
        start.saturating_sub(self.padding)..(start + self.size).saturating_sub(self.padding).min(most)
    }

    // Loops, and no iterator that takes a function: what a closure does is compiled without the CPU's vectors.

    #[inline(always)]
    fn forward_image(&self, x: &[f32], y: &mut [f32]) {
        let (output, c) = (self.output(), self.input.channels);
        for (i, y) in y.chunks_exact_mut(c).enumerate() {
            y.fill(if self.pooling == Pooling::Max { f32::NEG_INFINITY } else { 0.0 });
            for row in self.inside(i / output.width, self.input.height) {
                for column in self.inside(i % output.width, self.input.width) {
                    let pixel = (row * self.input.width + column) * c;
                    self.take_in(&x[pixel..pixel + c], y);
                }
            }
            if self.pooling == Pooling::Average {
                for y in y {
                    *y *= self.share();
                }
            }
        }
    }

    fn share(&self) -> f32 {
        1.0 / (self.size * self.size) as f32
    }

    #[inline(always)]
    fn take_in(&self, x: &[f32], y: &mut [f32]) {
        match self.pooling {
            Pooling::Max => {
                for (y, x) in y.iter_mut().zip(x) {
                    // What is not a number wins, and is not lost.
                    *y = if *x > *y || x.is_nan() { *x } else { *y };
                }
            }
            Pooling::Average => {
                for (y, x) in y.iter_mut().zip(x) {
                    *y += x;
                }
            }
        }
    }

    #[inline(always)]
    fn backward_image(&self, x: &[f32], y: &[f32], dy: &mut [f32], dx: &mut [f32]) {
        let (output, c) = (self.output(), self.input.channels);
        dx.fill(0.0);
        for (i, (y, dy)) in y.chunks_exact(c).zip(dy.chunks_exact_mut(c)).enumerate() {
            for row in self.inside(i / output.width, self.input.height) {
                for column in self.inside(i % output.width, self.input.width) {
                    let pixel = (row * self.input.width + column) * c;
                    self.give_back((&x[pixel..pixel + c], y), dy, &mut dx[pixel..pixel + c]);
                }
            }
        }
    }

    #[inline(always)]
    fn give_back(&self, (x, y): (&[f32], &[f32]), dy: &mut [f32], dx: &mut [f32]) {
        match self.pooling {
            Pooling::Max => {
                for (((x, y), dy), dx) in x.iter().zip(y).zip(dy).zip(dx) {
                    let hit = x == y;
                    *dx += if hit { *dy } else { 0.0 };
                    // Taken: an equal value that comes later gets nothing.
                    *dy = if hit { 0.0 } else { *dy };
                }
            }
            Pooling::Average => {
                for (dx, dy) in dx.iter_mut().zip(dy) {
                    *dx += *dy * self.share();
                }
            }
        }
    }
}

impl Layer for Pool {
    fn outputs(&self) -> usize {
        self.output().floats()
    }

    fn forward(&self, pass: &Pass, _: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], _: &mut [f32]) {
        let images = x.chunks_exact(self.input.floats()).zip(y.chunks_exact_mut(self.outputs()));
        pass.simd.run(
            #[inline(always)]
            || {
                for (x, y) in images.take(pass.rows) {
                    self.forward_image(x, y);
                }
            },
        );
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Backward { x, y, dy, dx: Some(dx), .. } = given else { return };
        let (inputs, outputs) = (self.input.floats(), self.outputs());
        let made = y.chunks_exact(outputs).zip(dy.chunks_exact_mut(outputs));
        let images = x.chunks_exact(inputs).zip(dx.chunks_exact_mut(inputs)).zip(made);
        pass.simd.run(
            #[inline(always)]
            || {
                for ((x, dx), (y, dy)) in images.take(pass.rows) {
                    self.backward_image(x, y, dy, dx);
                }
            },
        );
    }
}

/// The mean of each channel over a whole image.
#[derive(Clone, Copy, Debug)]
pub struct GlobalAveragePool {
    /// Pixels of an image.
    pub pixels: usize,
    /// Floats of a pixel.
    pub channels: usize,
}

impl Layer for GlobalAveragePool {
    fn outputs(&self) -> usize {
        self.channels
    }

    fn forward(&self, pass: &Pass, _: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], _: &mut [f32]) {
        let (c, share) = (self.channels, 1.0 / self.pixels as f32);
        for (x, y) in x.chunks_exact(self.pixels * c).zip(y.chunks_exact_mut(c)).take(pass.rows) {
            super::linear::sum_rows(x, y);
            y.iter_mut().for_each(|y| *y *= share);
        }
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Some(dx) = given.dx else { return };
        let (c, share) = (self.channels, 1.0 / self.pixels as f32);
        for (dx, dy) in dx.chunks_exact_mut(self.pixels * c).zip(given.dy.chunks_exact(c)).take(pass.rows) {
            for dx in dx.chunks_exact_mut(c) {
                dx.iter_mut().zip(dy).for_each(|(dx, dy)| *dx = dy * share);
            }
        }
    }
}
