//! A 2 × 2 max-pool within a convolution: of its pixels only the largest of every four is kept, and a code that says which.
//!
//! What a convolution makes is four times as large as what is left of it, and larger than the CPU's cache: done as a layer of
//! its own, pooling would write it out and read it back, both forward and backward.

#![expect(
    clippy::needless_range_loop,
    reason = "small arrays whose places are codes; what a closure does is compiled without vectors"
)]

use crate::network::kernels::Lanes;

/// What a convolution writes.
pub struct Pooled<'a> {
    /// What comes out.
    pub y: &'a mut [f32],
    /// One of each output channel.
    pub bias: Option<&'a [f32]>,
    /// If it pools: which of its four pixels an output is, or [`NONE`].
    pub codes: &'a mut [f32],
}

/// The code of an output that no derivative goes through: a ReLU let nothing through.
const NONE: f32 = 4.0;

/// The largest of four pixels, and which it is; of equal ones, the first. What is not a number wins, and is not lost.
#[inline(always)]
pub fn largest<V: Lanes>(pixels: [V; 4], relu: bool) -> (V, V) {
    let (mut most, mut code) = (pixels[0], V::splat(0.0));
    for k in 1..4 {
        code = pixels[k].larger(most, V::splat(k as f32), code);
        most = pixels[k].larger(most, pixels[k], most);
    }
    if relu {
        let zero = V::splat(0.0);
        code = most.larger(zero, code, V::splat(NONE));
        most = most.relu();
    }
    (most, code)
}

/// The derivative by each of four pixels, of which the largest takes it.
#[inline(always)]
pub fn spread<V: Lanes>(slope: V, code: V) -> [V; 4] {
    let mut pixels = [V::splat(0.0); 4];
    for k in 0..4 {
        pixels[k] = slope.where_equal(code, V::splat(k as f32));
    }
    pixels
}

/// That part of a derivative that goes through.
#[inline(always)]
pub fn through<V: Lanes>(slope: V, code: V) -> V {
    slope.sub(slope.where_equal(code, V::splat(NONE)))
}

/// Pools rows of pixels, an even number, of `width` pixels with `channels` floats each. Their ReLU is done, if there is one.
#[inline(always)]
pub fn pool_rows<V: Lanes>(pixels: &[f32], (width, channels): (usize, usize), relu: bool, to: &mut Pooled<'_>) {
    let line = width * channels;
    for (row, two) in pixels.chunks_exact(2 * line).enumerate() {
        for pixel in 0..width / 2 {
            let (from, at) = (2 * pixel * channels, (row * width / 2 + pixel) * channels);
            for channel in (0..channels).step_by(V::LANES) {
                let mut four = [V::splat(0.0); 4];
                for k in 0..4 {
                    four[k] = V::read(&two[from + k / 2 * line + k % 2 * channels + channel..][..V::LANES]);
                }
                let (most, code) = largest(four, relu);
                most.write(&mut to.y[at + channel..][..V::LANES]);
                code.write(&mut to.codes[at + channel..][..V::LANES]);
            }
        }
    }
}

/// Writes the derivatives by rows of pixels, of which `dy` and `codes` are left.
#[inline(always)]
pub fn spread_rows<V: Lanes>((dy, codes): (&[f32], &[f32]), (width, channels): (usize, usize), pixels: &mut [f32]) {
    let line = width * channels;
    for (row, two) in pixels.chunks_exact_mut(2 * line).enumerate() {
        for pixel in 0..width / 2 {
            let (to, at) = (2 * pixel * channels, (row * width / 2 + pixel) * channels);
            for channel in (0..channels).step_by(V::LANES) {
                let slope = V::read(&dy[at + channel..][..V::LANES]);
                let four = spread(slope, V::read(&codes[at + channel..][..V::LANES]));
                for k in 0..4 {
                    four[k].write(&mut two[to + k / 2 * line + k % 2 * channels + channel..][..V::LANES]);
                }
            }
        }
    }
}

/// Adds to a bias's gradient what goes through of every output's derivative.
#[inline(always)]
pub fn add_through<V: Lanes>(dy: &[f32], codes: &[f32], bias: &mut [f32]) {
    for (dy, codes) in dy.chunks_exact(bias.len()).zip(codes.chunks_exact(bias.len())) {
        for channel in (0..bias.len()).step_by(V::LANES) {
            let lanes = channel..channel + V::LANES;
            let slope = through(V::read(&dy[lanes.clone()]), V::read(&codes[lanes.clone()]));
            V::read(&bias[lanes.clone()]).add(slope).write(&mut bias[lanes]);
        }
    }
}
