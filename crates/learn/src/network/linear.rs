//! A fully connected layer: y = x·Wᵀ + b, with W as PyTorch has it, [outputs, inputs] row by row.

use super::{
    kernels::{Finish, Lanes, Left, SLACK, Store, product, transpose},
    layer::{Backward, Layer, Memory, Pass, through_relu},
    matrix::{View, multiply, multiply_unpacked},
    simd::Kernel,
};

/// Weights from here on are not turned in every step, but what goes in and comes out is.
const LARGE: usize = 1 << 16;

/// A fully connected layer, and the ReLU after it if there is one.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Floats of an example that goes in.
    pub inputs: usize,
    /// Floats of an example that comes out.
    pub outputs: usize,
    /// Whether there is a bias.
    pub bias: bool,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Linear {
    fn weights(&self) -> usize {
        self.inputs * self.outputs
    }

    fn is_large(&self) -> bool {
        self.weights() >= LARGE
    }
}

impl Layer for Linear {
    fn outputs(&self) -> usize {
        self.outputs
    }

    fn parameters(&self) -> usize {
        self.weights() + if self.bias { self.outputs } else { 0 }
    }

    fn memory(&self, rows: usize) -> Memory {
        // A small layer's weight with inputs and outputs exchanged; a large one's inputs and outputs with the rows.
        let turned = if self.is_large() { rows * (self.inputs + self.outputs) } else { self.weights() };
        Memory { saved: 0, scratch: turned + SLACK }
    }

    fn multiply_adds(&self) -> u64 {
        self.weights() as u64
    }

    fn forward(&self, pass: &Pass, params: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], scratch: &mut [f32]) {
        let (weight, bias) = params.split_at(self.weights());
        let bias = self.bias.then(|| &bias[..self.outputs]);
        if self.is_large() {
            return self.forward_large(pass, weight, bias, x, y, scratch);
        }
        let (inputs, outputs) = (self.inputs, self.outputs);
        let work = SmallForward {
            layer: self,
            rows: pass.rows,
            weight,
            bias,
            x,
            y,
            turned: &mut scratch[..inputs * outputs + SLACK],
        };
        pass.simd.kernel(work);
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        if self.is_large() {
            return self.backward_large(pass, given);
        }
        pass.simd.kernel(SmallBackward { layer: self, rows: pass.rows, given });
    }
}

/// A small layer's forward pass.
struct SmallForward<'a> {
    layer: &'a Linear,
    rows: usize,
    weight: &'a [f32],
    bias: Option<&'a [f32]>,
    x: &'a [f32],
    y: &'a mut [f32],
    turned: &'a mut [f32],
}

impl Kernel for SmallForward<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { layer: &Linear { inputs, outputs, relu, .. }, rows, weight, bias, x, y, turned } = self;
        transpose::<V>(weight, outputs, inputs, &mut turned[..inputs * outputs]);
        let x = Left::rows(x, inputs);
        product::<V>((rows, inputs, outputs), x, (turned, outputs), &mut Biased { to: y, outputs, bias, relu });
    }
}

/// A small layer's backward pass.
struct SmallBackward<'a> {
    layer: &'a Linear,
    rows: usize,
    given: Backward<'a>,
}

impl Kernel for SmallBackward<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        let Self { layer: &Linear { inputs, outputs, relu, bias: biased }, rows, given } = self;
        let Backward { params, gradient, x, y, dy, dx, .. } = given;
        if relu {
            through_relu(&y[..rows * outputs], &mut dy[..rows * outputs]);
        }
        let (weight, bias) = gradient.split_at_mut(inputs * outputs);
        let turned = Left::columns(dy, outputs);
        product::<V>((outputs, rows, inputs), turned, (x, inputs), &mut Store { to: weight, columns: inputs });
        if biased {
            sum_rows(&dy[..rows * outputs], &mut bias[..outputs]);
        }
        if let Some(dx) = dx {
            let dy = Left::rows(dy, outputs);
            product::<V>((rows, outputs, inputs), dy, (params, inputs), &mut Store { to: dx, columns: inputs });
        }
    }
}

impl Linear {
    /// yᵀ = W·xᵀ: a weight is read once and where it lies, for it is much larger than a batch.
    fn forward_large(
        &self,
        pass: &Pass,
        weight: &[f32],
        bias: Option<&[f32]>,
        x: &[f32],
        y: &mut [f32],
        scratch: &mut [f32],
    ) {
        let (inputs, outputs, rows) = (self.inputs, self.outputs, pass.rows);
        let (made, seen) = scratch.split_at_mut(rows * outputs);
        pass.simd.kernel(Turn { from: x, rows, columns: inputs, to: seen });
        let weight = Left::rows(weight, inputs);
        multiply_unpacked(pass, (outputs, inputs, rows), weight, (seen, rows), made);
        pass.simd.kernel(Turn { from: made, rows: outputs, columns: rows, to: y });
        let relu = self.relu;
        pass.simd.run(
            #[inline(always)]
            || add_bias(&mut y[..rows * outputs], outputs, bias, relu),
        );
    }

    fn backward_large(&self, pass: &Pass, given: Backward<'_>) {
        let (inputs, outputs, rows) = (self.inputs, self.outputs, pass.rows);
        let Backward { params, gradient, x, y, dy, dx, .. } = given;
        let (weight, bias) = gradient.split_at_mut(inputs * outputs);
        pass.simd.run(
            #[inline(always)]
            || {
                if self.relu {
                    through_relu(&y[..rows * outputs], &mut dy[..rows * outputs]);
                }
                if self.bias {
                    sum_rows(&dy[..rows * outputs], &mut bias[..outputs]);
                }
            },
        );
        let (turned, x) = (View::columns(dy, outputs), View::rows(x, inputs));
        multiply(pass, (outputs, rows, inputs), turned, x, weight, false);
        if let Some(dx) = dx {
            let dy = Left::rows(dy, outputs);
            multiply_unpacked(pass, (rows, outputs, inputs), dy, (params, inputs), dx);
        }
    }
}

/// A transpose.
struct Turn<'a> {
    from: &'a [f32],
    rows: usize,
    columns: usize,
    to: &'a mut [f32],
}

impl Kernel for Turn<'_> {
    #[inline(always)]
    fn run<V: Lanes>(self) {
        transpose::<V>(self.from, self.rows, self.columns, self.to);
    }
}

/// Adds the bias to a layer's sums, and cuts negative ones off if a ReLU follows.
pub struct Biased<'a> {
    /// Where they go, row by row.
    pub to: &'a mut [f32],
    /// Of a row.
    pub outputs: usize,
    /// One of each output.
    pub bias: Option<&'a [f32]>,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Finish for Biased<'_> {
    #[inline(always)]
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize) {
        let sums = self.bias.map_or(sums, |bias| sums.add(V::read(&bias[j..][..used])));
        let sums = if self.relu { sums.relu() } else { sums };
        sums.write(&mut self.to[i * self.outputs + j..][..used]);
    }
}

/// Adds a bias to every row of `y`, and cuts negative sums off if a ReLU follows.
#[inline(always)]
pub fn add_bias(y: &mut [f32], width: usize, bias: Option<&[f32]>, relu: bool) {
    let least = if relu { 0.0 } else { f32::NEG_INFINITY };
    match bias {
        Some(bias) => {
            for row in y.chunks_exact_mut(width) {
                for (y, bias) in row.iter_mut().zip(bias) {
                    let sum = *y + bias;
                    // What is not a number has to stay so.
                    *y = if sum < least { least } else { sum };
                }
            }
        }
        None if relu => {
            for y in y {
                *y = if *y < 0.0 { 0.0 } else { *y };
            }
        }
        None => {}
    }
}

/// Writes the sum of all rows.
#[inline(always)]
pub fn sum_rows(rows: &[f32], sum: &mut [f32]) {
    sum.fill(0.0);
    add_rows(rows, sum);
}

/// Adds all rows.
#[inline(always)]
pub fn add_rows(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}
