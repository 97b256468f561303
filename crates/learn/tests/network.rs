//! Whole networks and each kind of layer against PyTorch in f64, and against finite differences. `vectors/torch_network.py`
//! made the vectors.

use dure_core::model::Role;
use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::{Loss, Targets},
    network::{
        Network,
        build::{Body, Shape},
        conv::Image,
        simd::Simd,
        spec::{LayerSpec, numbered},
    },
    work::ModelSpec,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    model: ModelSpec,
    input: Vec<usize>,
    batch: usize,
    classes: u16,
    outputs: usize,
    loss: Loss,
    /// How far f32 takes PyTorch's own gradient, relative to its norm, in the tensor where it is worst.
    off_in_single: f64,
    loss_value: f64,
    said: Sample,
    evaluated: Sample,
    tensors: Vec<Tensor>,
}

#[derive(Deserialize)]
struct Tensor {
    name: String,
    shape: Vec<usize>,
    gradient: Option<Sample>,
    after: Option<Sample>,
}

/// A flat buffer's norm, and every so manieth value.
#[derive(Deserialize)]
struct Sample {
    norm: f64,
    stride: usize,
    values: Vec<f64>,
}

impl Sample {
    /// How far `got` is off, relative to the norm: in its own norm, and in any value that was written down.
    fn distance(&self, got: &[f32]) -> f64 {
        let norm = got.iter().map(|v| f64::from(*v).powi(2)).sum::<f64>().sqrt();
        let values =
            got.iter().step_by(self.stride).zip(&self.values).map(|(got, want)| (f64::from(*got) - want).abs());
        assert_eq!(got.len().div_ceil(self.stride), self.values.len());
        values.chain([(norm - self.norm).abs()]).fold(0.0, f64::max) / self.norm.max(1e-12)
    }
}

fn mix(key: u64) -> u64 {
    let z = key.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Numbers from −1 to below 1 that are made from their places.
fn made_up(first: u64, count: usize) -> Vec<f32> {
    (first..first + count as u64).map(|key| (mix(key) >> 40) as f32 / (1u32 << 23) as f32 - 1.0).collect()
}

impl Case {
    fn shape(&self) -> Shape {
        match self.input[..] {
            [width] => Shape::Flat(width),
            [channels, height, width] => Shape::Image(Image { height, width, channels }),
            _ => panic!("an input is a row or an image"),
        }
    }

    fn network(&self, simd: Simd, threads: usize) -> Network {
        let body = Body::new(self.shape(), self.batch, &self.model.layers(self.outputs)).unwrap();
        Network::new(body, self.shape(), self.batch, LocalOptimizer::sgd(1.0), simd, threads)
    }

    /// The parameters, as the script makes them.
    fn params(&self) -> Vec<f32> {
        let mut params = vec![];
        for Tensor { name, shape, .. } in &self.tensors {
            let (size, fan) = (shape.iter().product(), shape[1..].iter().product::<usize>());
            let values = made_up(params.len() as u64, size);
            let one = name.ends_with("running_var") || name.ends_with("weight");
            let value = |value: f32| match shape.len() {
                1 if one => 1.0 + value / 8.0,
                1 => value / 8.0,
                _ => value * 2f32.powi((6.0 / fan as f64).sqrt().log2().round_ties_even() as i32),
            };
            params.extend(values.into_iter().map(value));
        }
        params
    }

    fn fill(&self, network: &mut Network) {
        let (width, values) = (self.shape().floats(), made_up(1 << 32, self.batch * self.shape().floats()));
        for (to, from) in network.inputs(self.batch).chunks_exact_mut(width).zip(values.chunks_exact(width)) {
            match self.shape() {
                Shape::Flat(_) => to.copy_from_slice(from),
                Shape::Image(Image { channels, .. }) => {
                    let pixels = width / channels;
                    (0..width).for_each(|i| to[i] = from[i % channels * pixels + i / channels]);
                }
            }
        }
    }

    fn labels(&self) -> Vec<u16> {
        (0..self.batch as u16).map(|i| i % self.classes).collect()
    }
}

fn cases() -> Vec<Case> {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/torch_network.json")).unwrap();
    assert_eq!(vectors.cases.len(), 9);
    vectors.cases
}

/// The loss and everything that a step leaves behind, as bits.
fn bits(case: &Case, simd: Simd, threads: usize) -> Vec<u32> {
    let mut network = case.network(simd, threads);
    network.load(&case.params());
    for draw in 0..2 {
        case.fill(&mut network);
        network.step(case.batch, Targets::Classes(&case.labels()), &case.loss, draw);
    }
    let mut after = vec![0.0; network.parameters()];
    network.store(&mut after);
    after.into_iter().map(f32::to_bits).collect()
}

#[test]
fn tensors_have_pytorchs_names_and_shapes() {
    for case in cases() {
        let body = Body::new(case.shape(), 1, &case.model.layers(case.outputs)).unwrap();
        let ours: Vec<_> = body.tensors.iter().map(|tensor| (&tensor.spec.name, &tensor.spec.shape)).collect();
        let theirs: Vec<_> = case.tensors.iter().map(|tensor| (&tensor.name, &tensor.shape)).collect();
        assert_eq!(ours, theirs, "{}", case.name);
        let statistics = body.tensors.iter().map(|tensor| tensor.spec.role == Role::Statistic);
        assert!(statistics.eq(case.tensors.iter().map(|tensor| tensor.after.is_some())), "{}", case.name);
    }
}

/// f32 rounds each sum to about 6e-8 of it, and a rectifier or a maximum whose inputs are as near as that decides otherwise.
/// How much becomes of it depends on the network: with 50 layers at random beginnings, PyTorch's own f32 gradient is off by
/// a fiftieth. Ours may be off by four times as much as PyTorch's, and by a millionth.
#[test]
fn losses_gradients_and_statistics_are_pytorchs() {
    for case in cases() {
        let most = 4.0 * case.off_in_single + 1e-6;
        let mut network = case.network(Simd::detect(), 1);
        network.load(&case.params());
        case.fill(&mut network);
        let value = network.differentiate(case.batch, Targets::Classes(&case.labels()), &case.loss, 0);
        assert!((value - case.loss_value).abs() < most, "{}: {value} instead of {}", case.name, case.loss_value);
        let mut worst = (0.0, String::new());
        let (mut gradient, mut after) = (vec![0.0; network.parameters()], vec![0.0; network.parameters()]);
        network.store_gradient(&mut gradient);
        network.store(&mut after);
        let mut start = 0;
        for tensor in &case.tensors {
            let range = start..start + tensor.shape.iter().product::<usize>();
            start = range.end;
            let distance = match (&tensor.gradient, &tensor.after) {
                (Some(want), _) => want.distance(&gradient[range]),
                (_, Some(want)) => want.distance(&after[range]),
                _ => panic!("a tensor has a gradient or a value"),
            };
            if distance > worst.0 {
                worst = (distance, tensor.name.clone());
            }
        }
        eprintln!("{}: loss {:.1e} off, {} {:.1e} off", case.name, (value - case.loss_value).abs(), worst.1, worst.0);
        assert!(worst.0 < most, "{}: {} is {:e} off", case.name, worst.1, worst.0);
        let distance = case.evaluated.distance(network.predict(case.batch));
        assert!(distance < most, "{}: evaluated {distance:e} off", case.name);
        assert!(case.said.norm > 0.0);
    }
}

#[test]
fn the_bits_are_the_same_whatever_the_threads() {
    for case in cases().iter().filter(|case| ["cnn", "resnet18", "overlapping-pool"].contains(&&*case.name)) {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let with = |threads| pool(threads).install(|| bits(case, Simd::detect(), threads));
        let alone = with(1);
        assert!(alone == with(2) && alone == with(3), "{}", case.name);
    }
}

/// The vectors of the CPU change no bit of what is ours; the library for large products may add in another order.
#[test]
fn every_kind_of_vectors_comes_to_the_same_model() {
    for case in cases().iter().filter(|case| !case.name.starts_with("resnet")) {
        let best: Vec<f32> = bits(case, Simd::detect(), 1).into_iter().map(f32::from_bits).collect();
        for simd in [Simd::Avx2, Simd::Portable] {
            let other = bits(case, simd, 1).into_iter().map(f32::from_bits);
            let worst = best.iter().zip(other).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(worst < 1e-5, "{}: {worst} with {simd:?}", case.name);
        }
    }
}

/// Central differences of the loss along the gradient, and along a direction of no relation to it.
///
/// With a step h the loss is off by its third derivative times h²/6, and by its rounding, some 1e-7, over h.
fn check_differences(layers: Vec<LayerSpec>, input: Shape) {
    let (rows, classes) = (6, 3);
    let layers = numbered(layers);
    let body = Body::new(input, rows, &layers).unwrap();
    let mut network = Network::new(body, input, rows, LocalOptimizer::sgd(1.0), Simd::detect(), 1);
    let n = network.parameters();
    let params: Vec<f32> = made_up(9, n).into_iter().map(|v| v * 0.7 + 0.05).collect();
    let x: Vec<f32> = made_up(1 << 20, rows * input.floats());
    let labels: Vec<u16> = (0..rows as u16).map(|i| i % classes).collect();
    let loss = Loss::CrossEntropy { class_weights: None };
    let mut value = |params: &[f32], gradient: Option<&mut [f32]>| {
        network.load(params);
        network.inputs(rows).copy_from_slice(&x);
        let value = network.differentiate(rows, Targets::Classes(&labels), &loss, 5);
        gradient.into_iter().for_each(|gradient| network.store_gradient(gradient));
        value
    };
    let mut gradient = vec![0.0; n];
    value(&params, Some(&mut gradient));
    let norm = gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
    let across: Vec<f32> = made_up(77, n).into_iter().map(|v| v / (n as f32).sqrt()).collect();
    let along: Vec<f32> = gradient.iter().map(|g| g / norm as f32).collect();
    for direction in [along, across] {
        let h = 2e-3f32;
        let moved = |by: f32| params.iter().zip(&direction).map(|(p, d)| p + by * d).collect::<Vec<f32>>();
        let slope = (value(&moved(h), None) - value(&moved(-h), None)) / (2.0 * f64::from(h));
        let want: f64 = gradient.iter().zip(&direction).map(|(g, d)| f64::from(*g) * f64::from(*d)).sum();
        assert!((slope - want).abs() < 2e-3 * norm, "{layers:?}: {slope} instead of {want} (norm {norm})");
    }
}

/// FedProx: each step's gradient is the loss's and μ times the way from where the parameters were loaded.
#[test]
fn a_pull_adds_the_way_from_the_beginning_to_every_gradient() {
    let (rows, mu, rate, input) = (4, 0.5f32, 0.25f32, Shape::Flat(3));
    let body = Body::new(input, rows, &numbered([LayerSpec::Linear { units: 2, bias: true }])).unwrap();
    let mut network = Network::new(body, input, rows, LocalOptimizer::sgd(rate), Simd::detect(), 1);
    let (began, loss) = (made_up(3, network.parameters()), Loss::CrossEntropy { class_weights: None });
    let mut want = began.clone();
    let mut store = vec![0.0; network.parameters()];
    for _ in 0..4 {
        network.load(&want);
        network.inputs(rows).copy_from_slice(&made_up(50, rows * 3));
        network.differentiate(rows, Targets::Classes(&[0, 1, 1, 0]), &loss, 0);
        network.store_gradient(&mut store);
        let both = want.iter_mut().zip(&store).zip(&began);
        both.for_each(|((value, slope), began)| *value -= rate * (slope + mu * (*value - began)));
    }
    network.load(&began);
    network.pull_back(mu);
    for _ in 0..4 {
        network.inputs(rows).copy_from_slice(&made_up(50, rows * 3));
        network.step(rows, Targets::Classes(&[0, 1, 1, 0]), &loss, 0);
    }
    network.store(&mut store);
    let off = store.iter().zip(&want).map(|(got, want)| (got - want).abs()).fold(0.0, f32::max);
    assert!(off < 1e-6 && store != began, "{off}");
    // Who loads others is not pulled back any more.
    network.load(&began);
    network.inputs(rows).copy_from_slice(&made_up(50, rows * 3));
    network.step(rows, Targets::Classes(&[0, 1, 1, 0]), &loss, 0);
    network.step(rows, Targets::Classes(&[0, 1, 1, 0]), &loss, 0);
    let mut free = vec![0.0; network.parameters()];
    network.store(&mut free);
    assert_ne!(free, want);
}

fn halve() -> LayerSpec {
    LayerSpec::MaxPool { size: 2, stride: None, padding: 0 }
}

/// What a network says of made-up images with `layers` and then a linear layer, and its gradient.
fn outputs_and_gradient(layers: &[LayerSpec], input: Shape, simd: Simd, spoil: bool) -> (Vec<f32>, Vec<f32>) {
    let (rows, end) = (3, [LayerSpec::Flatten {}, LayerSpec::Linear { units: 4, bias: true }]);
    let body = Body::new(input, rows, &numbered(layers.iter().cloned().chain(end))).unwrap();
    let mut network = Network::new(body, input, rows, LocalOptimizer::sgd(1.0), simd, 1);
    network.load(&made_up(5, network.parameters()));
    let fill = |network: &mut Network| {
        network.inputs(rows).copy_from_slice(&made_up(1 << 21, rows * input.floats()));
        network.inputs(rows)[7] = if spoil { f32::NAN } else { 0.25 };
    };
    fill(&mut network);
    let said = network.predict(rows).to_vec();
    fill(&mut network);
    network.differentiate(rows, Targets::Classes(&[0, 2, 1]), &Loss::CrossEntropy { class_weights: None }, 0);
    let mut gradient = vec![0.0; network.parameters()];
    network.store_gradient(&mut gradient);
    (said, gradient)
}

/// Dropout of nothing stands between a convolution and its pool: each is done by itself.
#[test]
fn a_pool_within_a_convolution_is_the_pool_behind_it() {
    for (channels, made, kernel, padding) in
        [(1, 32, 5, 2), (2, 16, 3, 1), (3, 48, 2, 0), (16, 16, 3, 1), (32, 16, 5, 2)]
    {
        let conv = LayerSpec::Conv2d { channels: made, kernel, stride: 1, padding, bias: true };
        // What a 2 × 2 kernel leaves of nine pixels a side is eight.
        let side = if kernel == 2 { 9 } else { 8 };
        let input = Shape::Image(Image { height: side, width: side, channels });
        for relu in [vec![], vec![LayerSpec::Relu {}]] {
            for simd in [Simd::detect(), Simd::Avx2, Simd::Portable] {
                let with = |between: Vec<LayerSpec>, spoil| {
                    let layers = [vec![conv.clone()], relu.clone(), between, vec![halve()]].concat();
                    outputs_and_gradient(&layers, input, simd, spoil)
                };
                let apart = || vec![LayerSpec::Dropout { rate: 0.0 }];
                let ((said, gradient), (want, want_gradient)) = (with(vec![], false), with(apart(), false));
                assert_eq!(said, want, "{conv:?}, {simd:?}");
                let norm = want_gradient.iter().map(|g| f64::from(*g).powi(2)).sum::<f64>().sqrt();
                let off = gradient.iter().zip(&want_gradient).map(|(a, b)| f64::from(a - b).abs()).fold(0.0, f64::max);
                assert!(off < 1e-6 * norm, "{conv:?}, {simd:?}: {off} of {norm}");
                let (spoilt, spoilt_apart) = (with(vec![], true).0, with(apart(), true).0);
                let lost = |said: &[f32]| said.iter().map(|value| value.is_nan()).collect::<Vec<_>>();
                assert!(lost(&spoilt)[..4].iter().all(|nan| *nan), "what is no number is not lost: {conv:?}, {simd:?}");
                assert_eq!(lost(&spoilt), lost(&spoilt_apart));
            }
        }
    }
}

#[test]
fn every_layers_gradient_is_that_of_finite_differences() {
    let linear = |units| LayerSpec::Linear { units, bias: true };
    let conv = |channels, kernel, stride, padding| LayerSpec::Conv2d { channels, kernel, stride, padding, bias: true };
    let image = |channels| Shape::Image(Image { height: 6, width: 8, channels });
    let between = |layer| vec![linear(7), layer, linear(3)];
    let row = Shape::Flat(5);
    for layer in [
        LayerSpec::Tanh {},
        LayerSpec::Sigmoid {},
        LayerSpec::BatchNorm {},
        LayerSpec::GroupNorm { groups: 7 },
        LayerSpec::Dropout { rate: 0.4 },
    ] {
        check_differences(between(layer), row);
    }
    check_differences(vec![linear(16), LayerSpec::Relu {}, LayerSpec::Linear { units: 3, bias: false }], row);
    let pool = LayerSpec::AveragePool { size: 2, stride: None };
    for middle in [
        vec![conv(4, 3, 1, 1), LayerSpec::Tanh {}, pool],
        vec![conv(4, 3, 2, 0), LayerSpec::GroupNorm { groups: 2 }],
        vec![conv(4, 1, 1, 0), LayerSpec::BatchNorm {}, LayerSpec::Tanh {}],
        vec![conv(16, 1, 1, 0), conv(16, 3, 1, 1), LayerSpec::Tanh {}],
        vec![conv(16, 1, 1, 0), conv(16, 5, 1, 2), LayerSpec::Tanh {}],
        vec![LayerSpec::GroupNorm { groups: 2 }, conv(16, 3, 2, 1), LayerSpec::Tanh {}],
        vec![LayerSpec::GroupNorm { groups: 1 }, conv(16, 4, 1, 3), halve()],
        vec![conv(16, 1, 1, 0), LayerSpec::Relu {}, conv(16, 3, 1, 1), halve()],
        vec![conv(4, 5, 1, 3), LayerSpec::MaxPool { size: 3, stride: Some(2), padding: 1 }],
        vec![LayerSpec::BasicBlock { channels: 8, stride: 2 }, LayerSpec::GlobalAveragePool {}],
        vec![LayerSpec::Bottleneck { channels: 2, stride: 1 }, LayerSpec::GlobalAveragePool {}],
        vec![LayerSpec::Bottleneck { channels: 4, stride: 2 }, LayerSpec::GroupNorm { groups: 4 }],
    ] {
        let layers = middle.into_iter().chain([LayerSpec::Flatten {}, linear(3)]).collect();
        check_differences(layers, image(2));
    }
}
