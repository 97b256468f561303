//! A multi-layer perceptron with ReLU between its layers, trained on flat f32 buffers in one fused step: forward, loss,
//! backward, optimiser. Nothing is allocated in a step.
//!
//! Parameters lie as PyTorch's `state_dict` has them: for each layer the weight, [outputs, inputs] row by row, and the bias.

mod kernels;

use dure_core::model::{Initial, Layout, TensorSpec};
use kernels::{Finish, Lanes, Left, SLACK, Store, product, transpose};

use crate::{
    local_optimizer::{LocalOptimizer, Moments},
    loss::Loss,
};

/// The model, its gradient and every buffer of a step.
pub struct Mlp {
    dims: Vec<usize>,
    batch_size: usize,
    simd: Simd,
    params: Vec<f32>,
    gradient: Vec<f32>,
    moments: Moments,
    /// What goes into each layer, a row an example; the last is what comes out.
    activations: Vec<Vec<f32>>,
    /// The loss's derivative by each of them.
    errors: Vec<Vec<f32>>,
    /// A layer's weight with inputs and outputs exchanged.
    turned: Vec<f32>,
}

/// The CPU's vectors that a step uses. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Simd {
    /// x86-64 with AVX-512.
    Avx512,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// Whatever the compiler may assume.
    Portable,
}

/// The tensors of an MLP with these dimensions (inputs, hidden …, outputs), each with PyTorch's default initialisation of a
/// linear layer: uniform over ±1/√inputs, for weights and biases alike.
pub fn layout(dims: &[usize]) -> Vec<TensorSpec> {
    let layer = |(i, pair): (usize, &[usize])| {
        let initial = Initial::Uniform(1.0 / (pair[0] as f32).sqrt());
        let tensor = |what: &str, shape| TensorSpec { name: format!("layers.{}.{what}", 2 * i), shape, initial };
        [tensor("weight", vec![pair[1], pair[0]]), tensor("bias", vec![pair[1]])]
    };
    dims.windows(2).enumerate().flat_map(layer).collect()
}

/// The dimensions of the MLP that has this layout, if one has.
pub fn dims_of(of: &Layout) -> Option<Vec<usize>> {
    let weights: Vec<_> =
        of.tensors().filter(|(tensor, _)| tensor.shape.len() == 2).map(|(tensor, _)| &tensor.shape).collect();
    let dims: Vec<usize> =
        weights.first().map(|shape| shape[1]).into_iter().chain(weights.iter().map(|s| s[0])).collect();
    let want = layout(&dims);
    let same = want.len() == of.tensors().count();
    let alike = of.tensors().zip(&want).all(|((a, _), b)| (&a.name, &a.shape) == (&b.name, &b.shape));
    (same && alike && dims.len() > 1).then_some(dims)
}

impl Simd {
    /// The best of this CPU.
    pub fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
            {
                return Self::Avx512;
            }
            if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
                return Self::Avx2;
            }
        }
        Self::Portable
    }
}

impl Mlp {
    /// A model with these dimensions (inputs, hidden …, outputs), for batches of up to `batch_size` rows. Parameters are zero.
    ///
    /// # Panics
    /// Without at least two dimensions above zero, or with an empty batch.
    pub fn new(dims: &[usize], batch_size: usize, simd: Simd) -> Self {
        assert!(dims.len() > 1 && batch_size > 0 && !dims.contains(&0), "an MLP needs two dimensions and a batch");
        let simd = if simd == Simd::Portable { simd } else { Simd::detect().min_of(simd) };
        let parameters = dims.windows(2).map(|d| d[1] * (d[0] + 1)).sum();
        let widest = dims.windows(2).map(|d| d[0] * d[1]).max().unwrap_or(0);
        let rows = || dims.iter().map(|dim| vec![0.0; dim * batch_size + SLACK]).collect();
        Self {
            dims: dims.into(),
            batch_size,
            simd,
            params: vec![0.0; parameters + SLACK],
            gradient: vec![0.0; parameters],
            moments: Moments::new(parameters),
            activations: rows(),
            errors: rows(),
            turned: vec![0.0; widest + SLACK],
        }
    }

    /// The most rows that a batch may have.
    pub fn batch_size(&self) -> usize {
        self.batch_size
    }

    /// The parameters.
    pub fn params(&self) -> &[f32] {
        &self.params[..self.gradient.len()]
    }

    /// The gradient of the last step.
    pub fn gradient(&self) -> &[f32] {
        &self.gradient
    }

    /// Starts from `params`, with an optimiser that has not stepped yet.
    ///
    /// # Panics
    /// If there are not as many as the model has.
    pub fn load(&mut self, params: &[f32]) {
        self.params[..self.gradient.len()].copy_from_slice(params);
        self.moments.reset();
    }

    /// One step on a batch that `rows` writes: for row r of the batch it is given r, the inputs and the targets to fill.
    /// Returns the batch's mean loss.
    pub fn step(
        &mut self,
        rows: usize,
        fill: impl FnMut(usize, &mut [f32], &mut [f32]),
        loss: Loss,
        optimizer: LocalOptimizer,
    ) -> f64 {
        self.fill(rows, fill);
        match self.simd {
            // SAFETY: `Mlp::new` takes a kind of vectors only when the CPU has it.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => unsafe { step_avx512(self, rows, loss, optimizer) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => unsafe { step_avx2(self, rows, loss, optimizer) },
            _ => self.fused_step::<f32>(rows, loss, optimizer),
        }
    }

    /// What the model says for a batch that `fill` writes; `fill` is given a row's number and its inputs.
    pub fn predict(&mut self, rows: usize, mut fill: impl FnMut(usize, &mut [f32])) -> &[f32] {
        self.fill(rows, |row, inputs, _| fill(row, inputs));
        match self.simd {
            // SAFETY: `Mlp::new` takes a kind of vectors only when the CPU has it.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx512 => unsafe { forward_avx512(self, rows) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Simd::Avx2 => unsafe { forward_avx2(self, rows) },
            _ => self.forward::<f32>(rows),
        }
        let (outputs, last) = (self.dims[self.dims.len() - 1], self.activations.len() - 1);
        &self.activations[last][..rows * outputs]
    }

    /// Writes a batch: its inputs into the first activations, its targets into the last errors.
    fn fill(&mut self, rows: usize, mut fill: impl FnMut(usize, &mut [f32], &mut [f32])) {
        assert!(rows <= self.batch_size, "{rows} rows do not fit a batch of {}", self.batch_size);
        let (inputs, outputs) = (self.dims[0], self.dims[self.dims.len() - 1]);
        let last = self.errors.len() - 1;
        let both = self.activations[0].chunks_exact_mut(inputs).zip(self.errors[last].chunks_exact_mut(outputs));
        both.take(rows).enumerate().for_each(|(row, (x, y))| fill(row, x, y));
    }

    #[inline(always)]
    fn fused_step<V: Lanes>(&mut self, rows: usize, loss: Loss, optimizer: LocalOptimizer) -> f64 {
        self.forward::<V>(rows);
        let total = self.differentiate(rows, loss);
        self.backward::<V>(rows);
        let parameters = self.gradient.len();
        optimizer.step(&mut self.params[..parameters], &self.gradient, &mut self.moments);
        total
    }

    #[inline(always)]
    fn forward<V: Lanes>(&mut self, rows: usize) {
        let (mut start, layers) = (0, self.dims.len() - 1);
        for layer in 0..layers {
            let (inputs, outputs) = (self.dims[layer], self.dims[layer + 1]);
            let (weight, bias) = self.params[start..][..outputs * (inputs + 1)].split_at(outputs * inputs);
            transpose::<V>(weight, outputs, inputs, &mut self.turned[..inputs * outputs]);
            let (before, after) = self.activations.split_at_mut(layer + 1);
            let x = Left { values: &before[layer], row: inputs, column: 1 };
            let mut y = Layer { to: &mut after[0], outputs, bias, relu: layer + 1 < layers };
            product::<V>((rows, inputs, outputs), x, (&self.turned, outputs), &mut y);
            start += outputs * (inputs + 1);
        }
    }

    /// Turns the targets in the last errors into the loss's derivatives, and returns the mean loss.
    #[inline(always)]
    fn differentiate(&mut self, rows: usize, loss: Loss) -> f64 {
        let last = self.dims.len() - 1;
        let outputs = rows * self.dims[last];
        let (scale, mut total) = (1.0 / outputs as f32, 0.0);
        for (y, target) in self.activations[last][..outputs].iter().zip(&mut self.errors[last]) {
            let (value, slope) = loss.of(y - *target);
            total += f64::from(value);
            *target = slope * scale;
        }
        total / outputs as f64
    }

    #[inline(always)]
    fn backward<V: Lanes>(&mut self, rows: usize) {
        let mut end = self.gradient.len();
        for layer in (0..self.dims.len() - 1).rev() {
            let (inputs, outputs) = (self.dims[layer], self.dims[layer + 1]);
            let start = end - outputs * (inputs + 1);
            let (weight, bias) = self.gradient[start..end].split_at_mut(outputs * inputs);
            let (before, after) = self.errors.split_at_mut(layer + 1);
            let (x, dx, dy) = (&self.activations[layer], &mut before[layer], &after[0]);
            let turned = Left { values: dy, row: 1, column: outputs };
            product::<V>((outputs, rows, inputs), turned, (x, inputs), &mut Store { to: weight, columns: inputs });
            bias.fill(0.0);
            for dy in dy[..rows * outputs].chunks_exact(outputs) {
                bias.iter_mut().zip(dy).for_each(|(bias, dy)| *bias += dy);
            }
            if layer > 0 {
                let dy = Left { values: dy, row: outputs, column: 1 };
                let mut dx = Masked { to: dx, inputs, x };
                product::<V>((rows, outputs, inputs), dy, (&self.params[start..], inputs), &mut dx);
            }
            end = start;
        }
    }
}

/// Adds the bias to a layer's sums, and cuts negative ones off if a ReLU follows.
struct Layer<'a> {
    to: &'a mut [f32],
    outputs: usize,
    bias: &'a [f32],
    relu: bool,
}

impl Finish for Layer<'_> {
    #[inline(always)]
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize) {
        let sums = sums.add(V::read(&self.bias[j..][..used]));
        let sums = if self.relu { sums.relu() } else { sums };
        sums.write(&mut self.to[i * self.outputs + j..][..used]);
    }
}

/// Lets a derivative through where the ReLU before it did.
struct Masked<'a> {
    to: &'a mut [f32],
    inputs: usize,
    x: &'a [f32],
}

impl Finish for Masked<'_> {
    #[inline(always)]
    fn finish<V: Lanes>(&mut self, i: usize, j: usize, sums: V, used: usize) {
        let at = i * self.inputs + j;
        sums.where_positive(V::read(&self.x[at..][..used])).write(&mut self.to[at..][..used]);
    }
}

impl Simd {
    /// The lesser of the two: what is asked for, if the CPU has it.
    fn min_of(self, asked: Self) -> Self {
        if self == Self::Avx512 { asked } else { self }
    }
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
fn step_avx512(mlp: &mut Mlp, rows: usize, loss: Loss, optimizer: LocalOptimizer) -> f64 {
    mlp.fused_step::<std::arch::x86_64::__m512>(rows, loss, optimizer)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn step_avx2(mlp: &mut Mlp, rows: usize, loss: Loss, optimizer: LocalOptimizer) -> f64 {
    mlp.fused_step::<std::arch::x86_64::__m256>(rows, loss, optimizer)
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512vl,avx512dq,avx2,fma")]
fn forward_avx512(mlp: &mut Mlp, rows: usize) {
    mlp.forward::<std::arch::x86_64::__m512>(rows);
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn forward_avx2(mlp: &mut Mlp, rows: usize) {
    mlp.forward::<std::arch::x86_64::__m256>(rows);
}
