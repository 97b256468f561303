//! Convolution by columns: every output pixel's window becomes a row of a matrix ("im2col"), some rows at a time, so that
//! the matrix stays in the CPU's cache. Chellapilla, Puri and Simard 2006.

use super::{Conv2d, Image, Slopes};
use crate::network::{
    kernels::SLACK,
    layer::Pass,
    matrix::{View, multiply},
};

/// Floats of a matrix that stays in the cache: 1 MiB.
const CACHE: usize = 1 << 18;

/// The fewest rows of a matrix that make the weight worth reading.
const FEWEST: usize = 256;

/// A convolution's way by columns, for batches of some size.
pub struct Columns<'a> {
    conv: &'a Conv2d,
    output: Image,
    /// Rows of output pixels in the batch.
    lines: usize,
    /// Rows of output pixels of which the windows are laid out at a time.
    at_once: usize,
}

impl<'a> Columns<'a> {
    /// For batches of `rows` images.
    pub fn of(conv: &'a Conv2d, rows: usize) -> Self {
        let output = conv.output();
        let lines = rows * output.height;
        let windows = (CACHE / conv.depth()).max(FEWEST);
        Self { conv, output, lines, at_once: windows.div_ceil(output.width).clamp(1, lines.max(1)) }
    }

    /// Floats to work in.
    pub fn scratch(&self) -> usize {
        if self.is_pointwise() { 0 } else { 2 * self.matrix() }
    }

    /// A kernel of one pixel: the image is its own matrix.
    fn is_pointwise(&self) -> bool {
        self.conv.kernel == 1 && self.conv.stride == 1 && self.conv.padding == 0
    }

    fn matrix(&self) -> usize {
        self.at_once * self.output.width * self.conv.depth() + SLACK
    }

    /// Writes `y`.
    pub fn forward(&self, pass: &Pass, weight: &[f32], x: &[f32], y: &mut [f32], scratch: &mut [f32]) {
        let (depth, channels) = (self.conv.depth(), self.conv.channels);
        if self.is_pointwise() {
            let windows = self.lines * self.output.width;
            return multiply(
                pass,
                (windows, depth, channels),
                View::rows(x, depth),
                View::rows(weight, channels),
                y,
                false,
            );
        }
        let line = self.output.width * channels;
        for (i, y) in y.chunks_mut(self.at_once * line).enumerate() {
            let windows = y.len() / channels;
            self.lay_out(pass, x, i * self.at_once, windows / self.output.width, scratch);
            multiply(
                pass,
                (windows, depth, channels),
                View::rows(scratch, depth),
                View::rows(weight, channels),
                y,
                false,
            );
        }
    }

    /// Writes the weight's gradient, and `dx` if somebody asks.
    pub fn backward(&self, pass: &Pass, given: Slopes<'_>) {
        let Slopes { weight, gradient, x, dy, mut dx, scratch, .. } = given;
        let (depth, channels) = (self.conv.depth(), self.conv.channels);
        let turned = View::columns(weight, channels);
        if self.is_pointwise() {
            let windows = self.lines * self.output.width;
            multiply(
                pass,
                (depth, windows, channels),
                View::columns(x, depth),
                View::rows(dy, channels),
                gradient,
                false,
            );
            if let Some(dx) = dx {
                multiply(pass, (windows, channels, depth), View::rows(dy, channels), turned, dx, false);
            }
            return;
        }
        let (matrix, slopes) = scratch.split_at_mut(self.matrix());
        if let Some(dx) = dx.as_deref_mut() {
            dx.fill(0.0);
        }
        for (i, dy) in dy.chunks(self.at_once * self.output.width * channels).enumerate() {
            let (windows, first) = (dy.len() / channels, i * self.at_once);
            let lines = windows / self.output.width;
            self.lay_out(pass, x, first, lines, matrix);
            multiply(
                pass,
                (depth, windows, channels),
                View::columns(matrix, depth),
                View::rows(dy, channels),
                gradient,
                i > 0,
            );
            if let Some(dx) = dx.as_deref_mut() {
                multiply(pass, (windows, channels, depth), View::rows(dy, channels), turned, slopes, false);
                self.gather(pass, slopes, first, lines, dx);
            }
        }
    }

    /// Lays the windows of `lines` rows of output pixels out, from row `first` on.
    fn lay_out(&self, pass: &Pass, x: &[f32], first: usize, lines: usize, matrix: &mut [f32]) {
        pass.simd.run(
            #[inline(always)]
            || {
                for line in 0..lines {
                    let start = line * self.output.width * self.conv.depth();
                    self.lay_out_line(x, first + line, &mut matrix[start..]);
                }
            },
        );
    }

    #[inline(always)]
    fn lay_out_line(&self, x: &[f32], line: usize, matrix: &mut [f32]) {
        let Conv2d { input, kernel, stride, padding, .. } = *self.conv;
        let (depth, run) = (self.conv.depth(), kernel * input.channels);
        let (image, top) = (line / self.output.height, line % self.output.height * stride);
        for column in 0..self.output.width {
            let (left, window) = (column * stride, column * depth);
            let whole = left >= padding && left + kernel <= padding + input.width;
            for k in 0..kernel {
                let to = window + k * run;
                let Some(row) = (top + k).checked_sub(padding).filter(|row| *row < input.height) else {
                    matrix[to..to + run].fill(0.0);
                    continue;
                };
                let from = (image * input.height + row) * input.width * input.channels;
                if whole {
                    copy(&x[from + (left - padding) * input.channels..], &mut matrix[to..], run);
                    continue;
                }
                let (skipped, used) = self.inside(left);
                let to = &mut matrix[to..to + run];
                to.fill(0.0);
                let from = from + (left + skipped - padding) * input.channels;
                let length = used * input.channels;
                to[skipped * input.channels..][..length].copy_from_slice(&x[from..from + length]);
            }
        }
    }

    /// Of a window that begins at `left`, how many columns lie left of the image, and how many inside.
    fn inside(&self, left: usize) -> (usize, usize) {
        let Conv2d { input, kernel, padding, .. } = *self.conv;
        let skipped = padding.saturating_sub(left).min(kernel);
        let end = (padding + input.width).saturating_sub(left).min(kernel);
        (skipped, end.saturating_sub(skipped))
    }

    /// Adds the derivatives by the windows to those by the pixels that they saw.
    fn gather(&self, pass: &Pass, slopes: &[f32], first: usize, lines: usize, dx: &mut [f32]) {
        pass.simd.run(
            #[inline(always)]
            || {
                for line in 0..lines {
                    let start = line * self.output.width * self.conv.depth();
                    self.gather_line(&slopes[start..], first + line, dx);
                }
            },
        );
    }

    #[inline(always)]
    fn gather_line(&self, slopes: &[f32], line: usize, dx: &mut [f32]) {
        let Conv2d { input, kernel, stride, padding, .. } = *self.conv;
        let (depth, run) = (self.conv.depth(), kernel * input.channels);
        let (image, top) = (line / self.output.height, line % self.output.height * stride);
        for column in 0..self.output.width {
            let left = column * stride;
            let (skipped, used) = self.inside(left);
            for k in 0..kernel {
                let Some(row) = (top + k).checked_sub(padding).filter(|row| *row < input.height) else { continue };
                let from = column * depth + k * run + skipped * input.channels;
                let to = ((image * input.height + row) * input.width + left + skipped - padding) * input.channels;
                let length = used * input.channels;
                for (dx, slope) in dx[to..to + length].iter_mut().zip(&slopes[from..from + length]) {
                    *dx += slope;
                }
            }
        }
    }
}

/// Copies the first `length` floats. Short runs are copied 16 floats at a time: what is written behind one's end is written
/// over by the next, and both slices have room.
#[inline(always)]
fn copy(from: &[f32], to: &mut [f32], length: usize) {
    if length > 64 {
        return to[..length].copy_from_slice(&from[..length]);
    }
    let mut at = 0;
    while at < length {
        to[at..at + 16].copy_from_slice(&from[at..at + 16]);
        at += 16;
    }
}
