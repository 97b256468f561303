//! The fused step against PyTorch in f64, and against finite differences. `vectors/torch_mlp.py` made the vectors.

use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::{Loss, Targets},
    network::{
        Network,
        build::{Body, Shape},
        simd::Simd,
        spec,
    },
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    dims: Vec<usize>,
    batch: usize,
    loss: Loss,
    x: Vec<f32>,
    y: Vec<f32>,
    params: Vec<f32>,
    loss_value: f64,
    gradient: Sample,
    steps: Vec<Steps>,
}

/// Every so manieth value of a flat buffer.
#[derive(Deserialize)]
struct Sample {
    stride: usize,
    values: Vec<f64>,
}

#[derive(Deserialize)]
struct Steps {
    optimizer: serde_json::Value,
    count: u32,
    params: Sample,
}

impl Case {
    fn mlp(&self, optimizer: LocalOptimizer, simd: Simd) -> Network {
        let [inputs, hidden @ .., outputs] = &self.dims[..] else { panic!("two dimensions at least") };
        let input = Shape::Flat(*inputs);
        let body = Body::new(input, self.batch, &spec::mlp(hidden, *outputs)).unwrap();
        let mut mlp = Network::new(body, input, self.batch, optimizer, simd, 1);
        mlp.load(&self.params);
        mlp
    }

    fn step(&self, mlp: &mut Network) -> f64 {
        mlp.inputs(self.batch).copy_from_slice(&self.x);
        mlp.step(self.batch, Targets::Numbers(&self.y), &self.loss, 0)
    }
}

fn params(mlp: &Network) -> Vec<f32> {
    let mut params = vec![0.0; mlp.parameters()];
    mlp.store(&mut params);
    params
}

fn gradient(mlp: &Network) -> Vec<f32> {
    let mut gradient = vec![0.0; mlp.parameters()];
    mlp.store_gradient(&mut gradient);
    gradient
}

fn cases() -> Vec<Case> {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/torch_mlp.json")).unwrap();
    assert_eq!(vectors.cases.len(), 5);
    vectors.cases
}

fn largest_difference(got: &[f32], want: &Sample) -> f64 {
    let sampled: Vec<f32> = got.iter().copied().step_by(want.stride).collect();
    assert_eq!(sampled.len(), want.values.len());
    sampled.iter().zip(&want.values).map(|(got, want)| (f64::from(*got) - want).abs()).fold(0.0, f64::max)
}

/// An optimiser that moves nothing.
fn still() -> LocalOptimizer {
    LocalOptimizer::sgd(0.0)
}

#[test]
fn loss_and_gradient_are_pytorchs() {
    for case in cases() {
        let mut mlp = case.mlp(still(), Simd::Avx512);
        let loss = case.step(&mut mlp);
        assert!((loss - case.loss_value).abs() <= 1e-6 * case.loss_value.max(1.0), "{}: {loss}", case.name);
        // PyTorch's own f32 gradient is off by up to 2.4e-7 on these.
        let difference = largest_difference(&gradient(&mlp), &case.gradient);
        assert!(difference < 1e-6, "{}: {difference}", case.name);
    }
}

#[test]
fn steps_are_pytorchs() {
    for case in cases() {
        for steps in &case.steps {
            let rate = steps.optimizer["learning_rate"].as_f64().unwrap() as f32;
            let optimizer = match steps.optimizer["name"].as_str().unwrap() {
                "sgd" => LocalOptimizer::sgd(rate),
                _ => LocalOptimizer::adam(rate),
            };
            let mut mlp = case.mlp(optimizer, Simd::Avx512);
            for _ in 0..steps.count {
                case.step(&mut mlp);
            }
            // f32 at parameters below 1; Adam's Newton steps add about one unit in the last place of a step of 1e-3.
            let difference = largest_difference(&params(&mlp), &steps.params);
            assert!(difference < 5e-7, "{} {optimizer:?}: {difference}", case.name);
        }
    }
}

#[test]
fn every_kind_of_vectors_gives_the_same_bits() {
    for case in cases() {
        let bits = |simd| {
            let mut mlp = case.mlp(LocalOptimizer::adam(1e-3), simd);
            for _ in 0..5 {
                case.step(&mut mlp);
            }
            params(&mlp).iter().map(|value| value.to_bits()).collect::<Vec<_>>()
        };
        let portable = bits(Simd::Portable);
        assert_eq!(bits(Simd::Avx2), portable, "{}", case.name);
        assert_eq!(bits(Simd::Avx512), portable, "{}", case.name);
    }
}

#[test]
fn the_gradient_is_the_loss_by_finite_differences() {
    for case in cases() {
        let mut mlp = case.mlp(still(), Simd::Avx512);
        case.step(&mut mlp);
        let gradient = gradient(&mlp);
        let largest = gradient.iter().fold(0f32, |largest, value| largest.max(value.abs()));
        let mut loss_at = |i: usize, by: f32| {
            let mut params = case.params.clone();
            params[i] += by;
            mlp.load(&params);
            (case.step(&mut mlp), f64::from(params[i]))
        };
        for i in (0..gradient.len()).step_by(gradient.len().div_ceil(60)) {
            let ((above, p), (below, q)) = (loss_at(i, 3e-3), loss_at(i, -3e-3));
            let slope = (above - below) / (p - q);
            // Half of this is what f32 losses leave over a step of 6e-3; the rest is for kinks of ReLU and Huber.
            let bound = 2e-2 * f64::from(largest) + 1e-4;
            assert!((slope - f64::from(gradient[i])).abs() < bound, "{} [{i}]: {slope} {}", case.name, gradient[i]);
        }
    }
}
