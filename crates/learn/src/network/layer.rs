//! What a layer is to a network: a pure function of parameters and inputs, forward and backward, in memory that it is given.

use std::fmt::Debug;

use super::{kernels::SLACK, simd::Simd};

/// What is the same for all layers of a step.
#[derive(Clone, Copy, Debug)]
pub struct Pass {
    /// Examples in the batch.
    pub rows: usize,
    /// Learning: batch norm takes the batch's statistics and dropout drops.
    pub train: bool,
    /// The number of this step's random choices. A layer adds its own.
    pub draw: u64,
    /// The CPU's vectors.
    pub simd: Simd,
    /// Threads of the current pool that a large step may use. The bits are the same whatever their number.
    pub threads: usize,
}

/// Floats that a layer needs beside its inputs and outputs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// From the forward to the backward pass.
    pub saved: usize,
    /// Within either.
    pub scratch: usize,
}

/// What a layer is given in a backward pass.
pub struct Backward<'a> {
    /// Its parameters, and whatever comes after them.
    pub params: &'a [f32],
    /// The loss's derivative by them, to be written. Zero for what is no weight.
    pub gradient: &'a mut [f32],
    /// What went in.
    pub x: &'a [f32],
    /// What came out.
    pub y: &'a [f32],
    /// The loss's derivative by what came out. A layer with a ReLU of its own takes that off here, and changes nothing else.
    pub dy: &'a mut [f32],
    /// The loss's derivative by what went in, to be written, unless nobody asks.
    pub dx: Option<&'a mut [f32]>,
    /// What the forward pass saved.
    pub saved: &'a mut [f32],
    /// Floats to work in.
    pub scratch: &'a mut [f32],
}

/// A layer. Activations lie example by example; images row by row, with the channels of a pixel side by side (NHWC).
///
/// Every buffer of activations has [`SLACK`] floats behind its end that may be read, and `params` as well.
pub trait Layer: Debug + Send + Sync {
    /// Floats of an example that comes out.
    fn outputs(&self) -> usize;

    /// Parameters: weights, and statistics such as a batch norm's.
    fn parameters(&self) -> usize {
        0
    }

    /// Memory for batches of up to `rows` examples.
    fn memory(&self, _rows: usize) -> Memory {
        Memory::default()
    }

    /// Multiply-adds of an example, forward.
    fn multiply_adds(&self) -> u64 {
        0
    }

    /// Writes `y` from `x`. Statistics in `params` move on if the pass learns.
    fn forward(
        &self,
        pass: &Pass,
        params: &mut [f32],
        x: &[f32],
        y: &mut [f32],
        saved: &mut [f32],
        scratch: &mut [f32],
    );

    /// Writes derivatives.
    fn backward(&self, pass: &Pass, given: Backward<'_>);
}

/// Floats of a buffer for `rows` examples of `width` floats.
pub const fn room(rows: usize, width: usize) -> usize {
    rows * width + SLACK
}

/// Sets `dy` to zero where a ReLU let nothing through.
#[inline(always)]
pub fn through_relu(y: &[f32], dy: &mut [f32]) {
    for (dy, y) in dy.iter_mut().zip(y) {
        *dy = if *y > 0.0 { *dy } else { 0.0 };
    }
}
