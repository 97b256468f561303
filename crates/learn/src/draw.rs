//! Numbers with a distribution, drawn from a stream. Logarithm, exponential and cosine are libm's, and sums go in the order of
//! indices, so the bits are the same on every machine.

use dure_core::random::{RngExt, Stream, normal};

/// Above 0, and at most 1: what has a logarithm.
fn uniform(numbers: &mut Stream) -> f64 {
    1.0 - numbers.random::<f64>()
}

/// The logarithm of a Gamma-distributed number of this shape and of scale 1. Marsaglia and Tsang 2000
/// <https://doi.org/10.1145/358407.358414>. It is the logarithm because the numbers of small shapes are too small for an f64.
/// The shape is from 1e-6 to 1e6.
pub(crate) fn ln_gamma(numbers: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        let larger = ln_gamma(numbers, shape + 1.0);
        return larger + libm::log(uniform(numbers)) / shape;
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    // Each turn succeeds with a probability above 0.95.
    loop {
        let x = normal(numbers, 0.0, 1.0);
        let cube_root = 1.0 + c * x;
        let v = cube_root * cube_root * cube_root;
        if v > 0.0 && libm::log(uniform(numbers)) < 0.5 * x * x + d - d * v + d * libm::log(v) {
            return libm::log(d) + libm::log(v);
        }
    }
}

/// So many shares that add to one, Dirichlet-distributed with the same `alpha` for each.
pub(crate) fn dirichlet(numbers: &mut Stream, alpha: f64, shares: usize) -> Vec<f64> {
    let logarithms: Vec<f64> = (0..shares).map(|_| ln_gamma(numbers, alpha)).collect();
    shares_of(&logarithms)
}

/// The share of each in the sum of all, from their logarithms.
pub(crate) fn shares_of(logarithms: &[f64]) -> Vec<f64> {
    let largest = logarithms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scaled: Vec<f64> = logarithms.iter().map(|value| libm::exp(value - largest)).collect();
    let sum: f64 = scaled.iter().sum();
    scaled.iter().map(|value| value / sum).collect()
}

#[cfg(test)]
mod tests {
    use dure_core::{
        random::{Purpose, stream},
        statistics::Moments,
    };

    use super::*;

    const DRAWS: usize = 20_000;

    fn moments(mut draw: impl FnMut(&mut Stream) -> f64) -> Moments {
        let (mut numbers, mut moments) = (stream(1, Purpose::Partition, "test", 0), Moments::default());
        (0..DRAWS).for_each(|_| moments.add(draw(&mut numbers)));
        moments
    }

    /// Holds a mean and a variance to five standard errors of each: σ²/n, and σ⁴(κ + 2)/n where κ is the excess kurtosis.
    fn check(what: &str, got: Moments, mean: f64, variance: f64, kurtosis: f64) {
        let (n, found) = (got.n as f64, got.deviation().powi(2));
        assert!((got.mean - mean).abs() < 5.0 * (variance / n).sqrt(), "{what}: mean {} instead of {mean}", got.mean);
        let error = variance * ((kurtosis + 2.0) / n).sqrt();
        assert!((found - variance).abs() < 5.0 * error, "{what}: variance {found} instead of {variance}");
    }

    #[test]
    fn normal_numbers_have_their_mean_and_deviation() {
        check("normal", moments(|numbers| normal(numbers, 3.0, 2.0)), 3.0, 4.0, 0.0);
    }

    #[test]
    fn gamma_numbers_have_their_shape_as_mean_and_variance() {
        for shape in [0.05, 0.5, 1.0, 1.5, 40.0] {
            let drawn = moments(|numbers| ln_gamma(numbers, shape).exp());
            check(&format!("gamma {shape}"), drawn, shape, shape, 6.0 / shape);
        }
    }

    #[test]
    fn a_share_of_a_dirichlet_is_beta_distributed() {
        for (alpha, shares) in [(0.1, 10), (0.5, 4), (1.0, 2), (5.0, 7)] {
            let (a, b) = (alpha, alpha * (shares - 1) as f64);
            let s = a + b;
            let variance = a * b / (s * s * (s + 1.0));
            let kurtosis = 6.0 * ((a - b).powi(2) * (s + 1.0) - a * b * (s + 2.0)) / (a * b * (s + 2.0) * (s + 3.0));
            let drawn = moments(|numbers| dirichlet(numbers, alpha, shares)[shares - 1]);
            check(&format!("dirichlet {alpha}"), drawn, a / s, variance, kurtosis);
        }
    }

    #[test]
    fn shares_add_to_one_even_where_each_alone_is_too_small() {
        for alpha in [1e-6, 1e-3, 1.0, 1e6] {
            for seed in 0..50 {
                let shares = dirichlet(&mut stream(seed, Purpose::Partition, "test", 0), alpha, 100);
                assert!((shares.iter().sum::<f64>() - 1.0).abs() < 1e-12, "{alpha}: {shares:?}");
            }
        }
    }
}
