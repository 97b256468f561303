//! Normalisation of channels: over the batch (Ioffe and Szegedy 2015, Algorithms 1 and 2
//! <https://arxiv.org/abs/1502.03167>), or over groups of one example's channels (Wu and He 2018).

use super::{
    kernels::SLACK,
    layer::{Backward, Layer, Memory, Pass},
};

/// What is added to a variance before its root is taken. PyTorch's default.
const EPSILON: f32 = 1e-5;

/// How far running statistics move towards a batch's. PyTorch's default.
const MOMENTUM: f32 = 0.1;

/// Pixels that are summed before a sum is added to the total, for the sake of rounding.
const BLOCK: usize = 256;

/// Batch norm over the pixels of a batch, and the ReLU after it if there is one. Its parameters are weight, bias, running
/// mean and running variance, a float a channel each; the last two are statistics.
#[derive(Clone, Copy, Debug)]
pub struct BatchNorm {
    /// Pixels of an example; 1 for what is no image.
    pub pixels: usize,
    /// Floats of a pixel.
    pub channels: usize,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl Layer for BatchNorm {
    fn outputs(&self) -> usize {
        self.pixels * self.channels
    }

    fn parameters(&self) -> usize {
        4 * self.channels
    }

    fn memory(&self, _rows: usize) -> Memory {
        Memory { saved: 2 * self.channels, scratch: 4 * self.channels + SLACK }
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
        let (c, size) = (self.channels, pass.rows * self.outputs());
        let (mean, inverse) = saved[..2 * c].split_at_mut(c);
        let (affine, running) = params[..4 * c].split_at_mut(2 * c);
        pass.simd.run(
            #[inline(always)]
            || {
                if pass.train {
                    moments(&x[..size], mean, inverse, scratch);
                    settle(running, mean, inverse, size / c);
                } else {
                    mean.copy_from_slice(&running[..c]);
                    inverse.copy_from_slice(&running[c..]);
                }
                inverse.iter_mut().for_each(|variance| *variance = 1.0 / (*variance + EPSILON).sqrt());
                let (weight, bias) = affine.split_at(c);
                let channels = Channels { mean, inverse, weight, bias };
                for (x, y) in x[..size].chunks_exact(c).zip(y.chunks_exact_mut(c)) {
                    channels.normalise(x, y, self.relu);
                }
            },
        );
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let (c, size) = (self.channels, pass.rows * self.outputs());
        let Backward { params, gradient, x, dy, dx, saved, scratch, .. } = given;
        let (mean, inverse) = saved[..2 * c].split_at(c);
        let (weight, bias) = params[..2 * c].split_at(c);
        let channels = Channels { mean, inverse, weight, bias };
        let (x, dy) = (&x[..size], &dy[..size]);
        pass.simd.run(
            #[inline(always)]
            || {
                gradient[..4 * c].fill(0.0);
                let (by_weight, by_bias) = gradient[..2 * c].split_at_mut(c);
                channels.slopes(x, dy, self.relu, by_weight, by_bias, scratch);
                let Some(dx) = dx else { return };
                let (a, rest) = scratch.split_at_mut(c);
                let (b, rest) = rest.split_at_mut(c);
                let k = &mut rest[..c];
                let n = (size / c) as f32;
                for j in 0..c {
                    k[j] = weight[j] * inverse[j];
                    (a[j], b[j]) = if pass.train { (by_bias[j] / n, by_weight[j] / n) } else { (0.0, 0.0) };
                }
                for ((x, dy), dx) in x.chunks_exact(c).zip(dy.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
                    channels.back(x, dy, dx, (a, b, k), self.relu);
                }
            },
        );
    }
}

/// What is done to each channel.
#[derive(Clone, Copy)]
struct Channels<'a> {
    mean: &'a [f32],
    inverse: &'a [f32],
    weight: &'a [f32],
    bias: &'a [f32],
}

impl Channels<'_> {
    /// One channel's value, normalised, and scaled and shifted.
    #[inline(always)]
    fn of(&self, j: usize, x: f32) -> (f32, f32) {
        let normal = (x - self.mean[j]) * self.inverse[j];
        (normal, normal * self.weight[j] + self.bias[j])
    }

    /// The bounds of every slice, said once, so that the loop over channels needs no check.
    #[inline(always)]
    fn cut(&self, c: usize) -> Self {
        let Self { mean, inverse, weight, bias } = *self;
        Self { mean: &mean[..c], inverse: &inverse[..c], weight: &weight[..c], bias: &bias[..c] }
    }

    /// A pixel.
    #[inline(always)]
    fn normalise(&self, x: &[f32], y: &mut [f32], relu: bool) {
        let (me, y) = (self.cut(x.len()), &mut y[..x.len()]);
        for j in 0..x.len() {
            let (_, value) = me.of(j, x[j]);
            y[j] = if relu && value < 0.0 { 0.0 } else { value };
        }
    }

    /// The sums of dy·x̂ and of dy.
    #[inline(always)]
    fn slopes(
        &self,
        x: &[f32],
        dy: &[f32],
        relu: bool,
        by_weight: &mut [f32],
        by_bias: &mut [f32],
        scratch: &mut [f32],
    ) {
        let c = by_weight.len();
        let (weights, rest) = scratch.split_at_mut(c);
        let biases = &mut rest[..c];
        by_weight.fill(0.0);
        by_bias.fill(0.0);
        for (x, dy) in x.chunks(BLOCK * c).zip(dy.chunks(BLOCK * c)) {
            weights.fill(0.0);
            biases.fill(0.0);
            for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
                self.add_slopes(x, dy, relu, weights, biases);
            }
            add_to(by_weight, weights);
            add_to(by_bias, biases);
        }
    }

    #[inline(always)]
    fn add_slopes(&self, x: &[f32], dy: &[f32], relu: bool, weights: &mut [f32], biases: &mut [f32]) {
        let c = x.len();
        let (me, dy, weights, biases) = (self.cut(c), &dy[..c], &mut weights[..c], &mut biases[..c]);
        for j in 0..c {
            let (normal, value) = me.of(j, x[j]);
            let dy = if relu && value <= 0.0 { 0.0 } else { dy[j] };
            weights[j] += dy * normal;
            biases[j] += dy;
        }
    }

    /// dx of a pixel: k·(dy − a − x̂·b).
    #[inline(always)]
    fn back(&self, x: &[f32], dy: &[f32], dx: &mut [f32], (a, b, k): (&[f32], &[f32], &[f32]), relu: bool) {
        let c = x.len();
        let (me, dy, dx, a, b, k) = (self.cut(c), &dy[..c], &mut dx[..c], &a[..c], &b[..c], &k[..c]);
        for j in 0..c {
            let (normal, value) = me.of(j, x[j]);
            let dy = if relu && value <= 0.0 { 0.0 } else { dy[j] };
            dx[j] = k[j] * (dy - a[j] - normal * b[j]);
        }
    }
}

#[inline(always)]
fn add_to(totals: &mut [f32], sums: &[f32]) {
    for (total, sum) in totals.iter_mut().zip(sums) {
        *total += sum;
    }
}

/// The mean and the variance (by n) of every channel. Values are taken relative to the first pixel's, so that a channel far
/// from zero loses nothing.
#[inline(always)]
fn moments(x: &[f32], mean: &mut [f32], variance: &mut [f32], scratch: &mut [f32]) {
    let c = mean.len();
    let (sums, rest) = scratch.split_at_mut(c);
    let squares = &mut rest[..c];
    let shift = &x[..c];
    mean.fill(0.0);
    variance.fill(0.0);
    for block in x.chunks(BLOCK * c) {
        sums.fill(0.0);
        squares.fill(0.0);
        for pixel in block.chunks_exact(c) {
            for ((value, shift), (sum, square)) in pixel.iter().zip(shift).zip(sums.iter_mut().zip(squares.iter_mut()))
            {
                let value = value - shift;
                *sum += value;
                *square += value * value;
            }
        }
        add_to(mean, sums);
        add_to(variance, squares);
    }
    let n = (x.len() / c) as f32;
    for ((mean, variance), shift) in mean.iter_mut().zip(variance).zip(shift) {
        let off = *mean / n;
        *variance = (*variance / n - off * off).max(0.0);
        *mean = shift + off;
    }
}

/// Moves the running mean and variance towards a batch's; the variance by n − 1, as PyTorch does.
#[inline(always)]
fn settle(running: &mut [f32], mean: &[f32], variance: &[f32], n: usize) {
    let (means, variances) = running.split_at_mut(mean.len());
    let unbiased = n as f32 / n.saturating_sub(1).max(1) as f32;
    means.iter_mut().zip(mean).for_each(|(running, mean)| *running += MOMENTUM * (mean - *running));
    let both = variances.iter_mut().zip(variance);
    both.for_each(|(running, variance)| *running += MOMENTUM * (variance * unbiased - *running));
}

/// Group norm, and the ReLU after it if there is one. Its parameters are weight and bias, a float a channel each.
#[derive(Clone, Copy, Debug)]
pub struct GroupNorm {
    /// Pixels of an example; 1 for what is no image.
    pub pixels: usize,
    /// Floats of a pixel.
    pub channels: usize,
    /// Groups of channels; they divide `channels`.
    pub groups: usize,
    /// Whether a ReLU follows.
    pub relu: bool,
}

impl GroupNorm {
    /// Spreads a group's figure over its channels.
    fn spread(&self, figures: &[f32], to: &mut [f32]) {
        let width = self.channels / self.groups;
        to.chunks_exact_mut(width).zip(figures).for_each(|(channels, figure)| channels.fill(*figure));
    }

    /// The mean over each group's channels, in place of the channels' sums.
    fn pool(&self, sums: &mut [f32]) {
        let width = self.channels / self.groups;
        for group in sums.chunks_exact_mut(width) {
            let mean = group.iter().sum::<f32>() / (width * self.pixels) as f32;
            group.fill(mean);
        }
    }
}

impl Layer for GroupNorm {
    fn outputs(&self) -> usize {
        self.pixels * self.channels
    }

    fn parameters(&self) -> usize {
        2 * self.channels
    }

    fn memory(&self, rows: usize) -> Memory {
        Memory { saved: rows * 2 * self.groups, scratch: 4 * self.channels + SLACK }
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
        let (c, size) = (self.channels, self.outputs());
        let (weight, bias) = params[..2 * c].split_at(c);
        let (mean, rest) = scratch.split_at_mut(c);
        let (inverse, _) = rest.split_at_mut(c);
        let examples = x.chunks_exact(size).zip(y.chunks_exact_mut(size)).zip(saved.chunks_exact_mut(2 * self.groups));
        for ((x, y), saved) in examples.take(pass.rows) {
            self.moments(x, saved);
            let (means, inverses) = saved.split_at(self.groups);
            self.spread(means, mean);
            self.spread(inverses, inverse);
            pass.simd.run(
                #[inline(always)]
                || {
                    let channels = Channels { mean, inverse, weight, bias };
                    x.chunks_exact(c).zip(y.chunks_exact_mut(c)).for_each(|(x, y)| channels.normalise(x, y, self.relu));
                },
            );
        }
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        let (c, size) = (self.channels, self.outputs());
        let Backward { params, gradient, x, dy, mut dx, saved, scratch, .. } = given;
        let (weight, bias) = params[..2 * c].split_at(c);
        let (by_weight, by_bias) = gradient[..2 * c].split_at_mut(c);
        let [mean, inverse, a, b] = cut(scratch, c);
        by_weight.fill(0.0);
        by_bias.fill(0.0);
        let examples = x.chunks_exact(size).zip(dy.chunks_exact(size)).zip(saved.chunks_exact(2 * self.groups));
        for (row, ((x, dy), saved)) in examples.take(pass.rows).enumerate() {
            let (means, inverses) = saved.split_at(self.groups);
            self.spread(means, mean);
            self.spread(inverses, inverse);
            let channels = Channels { mean, inverse, weight, bias };
            a.fill(0.0);
            b.fill(0.0);
            for (x, dy) in x.chunks_exact(c).zip(dy.chunks_exact(c)) {
                channels.add_slopes(x, dy, self.relu, b, a);
            }
            add_to(by_weight, b);
            add_to(by_bias, a);
            let Some(dx) = dx.as_deref_mut() else { continue };
            let weigh = |sums: &mut [f32]| sums.iter_mut().zip(weight).for_each(|(sum, weight)| *sum *= weight);
            weigh(a);
            weigh(b);
            self.pool(a);
            self.pool(b);
            let dx = &mut dx[row * size..][..size];
            for ((x, dy), dx) in x.chunks_exact(c).zip(dy.chunks_exact(c)).zip(dx.chunks_exact_mut(c)) {
                channels.back_weighed(x, dy, dx, (a, b), self.relu);
            }
        }
    }
}

impl GroupNorm {
    /// Each group's mean, then each one's 1/√(variance + ε), of one example.
    fn moments(&self, x: &[f32], saved: &mut [f32]) {
        let (means, inverses) = saved.split_at_mut(self.groups);
        let width = self.channels / self.groups;
        let n = (width * self.pixels) as f64;
        for group in 0..self.groups {
            let values = || x.chunks_exact(self.channels).flat_map(|pixel| &pixel[group * width..][..width]);
            let mean = values().map(|value| f64::from(*value)).sum::<f64>() / n;
            let variance = values().map(|value| (f64::from(*value) - mean).powi(2)).sum::<f64>() / n;
            means[group] = mean as f32;
            inverses[group] = (1.0 / (variance + f64::from(EPSILON)).sqrt()) as f32;
        }
    }
}

impl Channels<'_> {
    /// dx of a pixel, where the weight stands within the means: (dy·weight − a − x̂·b)/σ.
    #[inline(always)]
    fn back_weighed(&self, x: &[f32], dy: &[f32], dx: &mut [f32], (a, b): (&[f32], &[f32]), relu: bool) {
        for j in 0..x.len() {
            let (normal, value) = self.of(j, x[j]);
            let dy = if relu && value <= 0.0 { 0.0 } else { dy[j] };
            dx[j] = self.inverse[j] * (dy * self.weight[j] - a[j] - normal * b[j]);
        }
    }
}

/// The first four runs of `c` floats.
fn cut(scratch: &mut [f32], c: usize) -> [&mut [f32]; 4] {
    let mut runs = scratch.chunks_exact_mut(c);
    std::array::from_fn(|_| runs.next().unwrap_or_default())
}
