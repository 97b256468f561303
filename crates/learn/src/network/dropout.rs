//! Dropout (Srivastava et al. 2014), by a counter: which floats are dropped is a function of the step's number, the layer's
//! place and the float's, so a backward pass needs no mask and threads change nothing.

use super::layer::{Backward, Layer, Pass};

/// Drops floats while a network learns, and scales the others up so that the sum is expected to stay.
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Floats of an example.
    pub width: usize,
    /// The share that is dropped, from 0 to below 1.
    pub rate: f32,
    /// The layer's place in the network.
    pub place: u64,
}

impl Dropout {
    /// What the float at `at` is multiplied by.
    #[inline(always)]
    fn factor(&self, key: u64, at: usize) -> f32 {
        // The upper 24 bits, as a float from 0 to below 1.
        let drawn = (mix(key.wrapping_add(at as u64)) >> 40) as f32 * (1.0 / (1u64 << 24) as f32);
        if drawn < self.rate { 0.0 } else { 1.0 / (1.0 - self.rate) }
    }

    fn apply(&self, pass: &Pass, from: &[f32], to: &mut [f32]) {
        let size = pass.rows * self.width;
        if !pass.train {
            return to[..size].copy_from_slice(&from[..size]);
        }
        let key = mix(pass.draw ^ mix(self.place));
        pass.simd.run(
            #[inline(always)]
            || {
                for (at, (to, from)) in to[..size].iter_mut().zip(&from[..size]).enumerate() {
                    *to = from * self.factor(key, at);
                }
            },
        );
    }
}

/// The finaliser of SplitMix64 (Steele, Lea and Flood 2014): every bit of the result depends on every bit of the key.
#[inline(always)]
fn mix(key: u64) -> u64 {
    let z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Layer for Dropout {
    fn outputs(&self) -> usize {
        self.width
    }

    fn forward(&self, pass: &Pass, _: &mut [f32], x: &[f32], y: &mut [f32], _: &mut [f32], _: &mut [f32]) {
        self.apply(pass, x, y);
    }

    fn backward(&self, pass: &Pass, given: Backward<'_>) {
        if let Some(dx) = given.dx {
            self.apply(pass, given.dy, dx);
        }
    }
}
