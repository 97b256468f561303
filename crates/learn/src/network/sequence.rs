//! Layers one after another.

use std::{mem::take, ops::Range};

use super::layer::{Backward, Layer, Memory, Pass, room};

/// Layers one after another: what comes out of one goes into the next.
#[derive(Debug)]
pub struct Sequence {
    inputs: usize,
    layers: Vec<Placed>,
    /// Floats that all outputs but the last take.
    between: usize,
    memory: Memory,
    /// Floats of a buffer that holds any output but the last.
    widest: usize,
}

/// A layer, and where it has its floats.
#[derive(Debug)]
struct Placed {
    layer: Box<dyn Layer>,
    /// Among the sequence's parameters.
    params: Range<usize>,
    /// What comes out, among what is kept between the passes; empty for the last layer.
    out: Range<usize>,
    /// What it saves, behind all outputs.
    saved: Range<usize>,
}

impl Sequence {
    /// Of layers that fit one another, for batches of up to `rows` examples of `inputs` floats.
    pub fn new(inputs: usize, rows: usize, layers: Vec<Box<dyn Layer>>) -> Self {
        let (mut params, mut out, mut saved, mut widest, mut scratch) = (0, 0, 0, 0, 0);
        let last = layers.len().saturating_sub(1);
        let place = |(i, layer): (usize, Box<dyn Layer>)| {
            let memory = layer.memory(rows);
            let kept = if i < last { room(rows, layer.outputs()) } else { 0 };
            widest = widest.max(kept);
            scratch = scratch.max(memory.scratch);
            let after = |end: &mut usize, size: usize| {
                *end += size;
                *end - size..*end
            };
            let parameters = layer.parameters();
            Placed {
                layer,
                params: after(&mut params, parameters),
                out: after(&mut out, kept),
                saved: after(&mut saved, memory.saved),
            }
        };
        let layers = layers.into_iter().enumerate().map(place).collect();
        let memory = Memory { saved: out + saved, scratch: 2 * widest + scratch };
        Self { inputs, layers, between: out, memory, widest }
    }
}

impl Layer for Sequence {
    fn outputs(&self) -> usize {
        self.layers.last().map_or(self.inputs, |placed| placed.layer.outputs())
    }

    fn parameters(&self) -> usize {
        self.layers.last().map_or(0, |placed| placed.params.end)
    }

    fn memory(&self, _rows: usize) -> Memory {
        self.memory
    }

    fn multiply_adds(&self) -> u64 {
        self.layers.iter().map(|placed| placed.layer.multiply_adds()).sum()
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
        let (mut between, saved) = saved.split_at_mut(self.between);
        let (mut x, last) = (x, self.layers.len().saturating_sub(1));
        for (i, placed) in self.layers.iter().enumerate() {
            let (out, rest) = take(&mut between).split_at_mut(placed.out.len());
            let y = if i == last { &mut *y } else { &mut *out };
            placed.layer.forward(
                pass,
                &mut params[placed.params.start..],
                x,
                y,
                &mut saved[placed.saved.clone()],
                scratch,
            );
            (x, between) = (out, rest);
        }
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let Backward { params, gradient, x, y, dy, mut dx, saved, scratch } = given;
        let (between, saved) = saved.split_at_mut(self.between);
        let (mut lower, scratch) = scratch.split_at_mut(self.widest);
        let (mut spare, scratch) = scratch.split_at_mut(self.widest);
        let (mut upper, last) = (dy, self.layers.len().saturating_sub(1));
        for (i, placed) in self.layers.iter().enumerate().rev() {
            placed.layer.backward(
                pass,
                Backward {
                    params: &params[placed.params.start..],
                    gradient: &mut gradient[placed.params.clone()],
                    x: if i == 0 { x } else { &between[self.layers[i - 1].out.clone()] },
                    y: if i == last { y } else { &between[placed.out.clone()] },
                    dy: &mut *upper,
                    dx: if i == 0 { dx.take() } else { Some(&mut *lower) },
                    saved: &mut saved[placed.saved.clone()],
                    scratch: &mut *scratch,
                },
            );
            let done = std::mem::replace(&mut upper, take(&mut lower));
            // What was given from outside may be too small to work in.
            lower = if i == last { take(&mut spare) } else { done };
        }
    }
}
