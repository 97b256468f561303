//! Models: layers with forward and backward passes written by hand, over one flat buffer of parameters and one arena for
//! all that a step needs. Nothing is allocated in a step.
//!
//! Parameters come and go in the order of PyTorch's `state_dict`, and every tensor in PyTorch's layout; within, images lie
//! as NHWC and kernels as matrices. Read the modules in this order:

pub mod spec;

pub mod build;
pub mod layer;
pub mod simd;

pub mod activation;
pub mod conv;
pub mod dropout;
pub mod linear;
pub mod norm;
pub mod pool;

pub mod residual;
pub mod sequence;

pub mod kernels;
pub mod matrix;

use std::ops::Range;

use build::{Body, Shape, Tensor};
use kernels::SLACK;
use layer::{Backward, Layer, Memory, Pass, room};
use simd::Simd;

use crate::{
    local_optimizer::{LocalOptimizer, Moments},
    loss::{Loss, Targets},
};

/// A model, its gradient and every buffer of a step.
#[derive(Debug)]
pub struct Network {
    body: Body,
    inputs: usize,
    rows: usize,
    pass: Pass,
    /// With [`SLACK`] behind.
    params: Vec<f32>,
    gradient: Vec<f32>,
    optimizer: LocalOptimizer,
    /// What the optimiser's learning rate is multiplied by.
    factor: f32,
    /// How strongly each step is pulled back to `began`; 0 is not at all.
    pull: f32,
    /// The parameters that were loaded, if steps are pulled back to them.
    began: Vec<f32>,
    /// What is added to every gradient; empty is nothing.
    turn: Vec<f32>,
    moments: Moments,
    weights: Vec<Range<usize>>,
    arena: Arena,
}

/// Where a step's floats are.
#[derive(Debug)]
struct Arena {
    x: Vec<f32>,
    y: Vec<f32>,
    dy: Vec<f32>,
    saved: Vec<f32>,
    scratch: Vec<f32>,
}

impl Network {
    /// Of `body`, which was made for `input` and for batches of up to `rows` examples, to be trained by `optimizer`.
    /// Parameters are zero. A large step may use `threads` threads of the pool it runs in.
    pub fn new(body: Body, input: Shape, rows: usize, optimizer: LocalOptimizer, simd: Simd, threads: usize) -> Self {
        let parameters = body.layers.parameters();
        let Memory { saved, scratch } = body.layers.memory(rows);
        let (x, y) = (room(rows, input.floats()), room(rows, body.outputs));
        let arena = Arena {
            x: vec![0.0; x],
            y: vec![0.0; y],
            dy: vec![0.0; y],
            saved: vec![0.0; saved],
            scratch: vec![0.0; scratch],
        };
        Self {
            inputs: input.floats(),
            rows,
            pass: Pass { rows: 0, train: false, draw: 0, simd: simd.available(), threads },
            params: vec![0.0; parameters + SLACK],
            gradient: vec![0.0; parameters],
            moments: Moments::new(parameters, optimizer),
            optimizer,
            factor: 1.0,
            pull: 0.0,
            began: vec![],
            turn: vec![],
            weights: build::weights(&body.tensors),
            body,
            arena,
        }
    }

    /// The most examples that a batch may have.
    pub fn batch_size(&self) -> usize {
        self.rows
    }

    /// How many parameters there are.
    pub fn parameters(&self) -> usize {
        self.gradient.len()
    }

    /// Outputs of an example.
    pub fn outputs(&self) -> usize {
        self.body.outputs
    }

    /// Starts from `params`, which lie as a file has them, with an optimiser that has not stepped yet.
    ///
    /// # Panics
    /// If there are not as many as the model has.
    pub fn load(&mut self, params: &[f32]) {
        self.go_to(params);
        self.pull = 0.0;
        self.turn.clear();
    }

    /// As [`Self::load`], but steps are pulled and turned as they were.
    ///
    /// # Panics
    /// If there are not as many as the model has.
    pub fn go_to(&mut self, params: &[f32]) {
        assert_eq!(params.len(), self.parameters(), "as many parameters as the model has");
        for (tensor, range) in ranges(&self.body.tensors) {
            tensor.arrangement.bring_in(&params[range.clone()], &mut self.params[range]);
        }
        self.moments.reset();
    }

    /// From now on until others are loaded the loss is larger by `mu` / 2 times the squared distance from the parameters as they are.
    pub fn pull_back(&mut self, mu: f32) {
        self.pull = mu;
        self.began.clone_from(&self.params);
    }

    /// From now on until others are loaded this is added to every gradient; it lies as a file has the parameters.
    ///
    /// # Panics
    /// If it is not as long.
    pub fn turn(&mut self, by: &[f32]) {
        assert_eq!(by.len(), self.parameters(), "as many slopes as the model has parameters");
        self.turn.resize(by.len(), 0.0);
        for (tensor, range) in ranges(&self.body.tensors) {
            tensor.arrangement.bring_in(&by[range.clone()], &mut self.turn[range]);
        }
    }

    /// Writes the parameters as a file has them.
    pub fn store(&self, to: &mut [f32]) {
        self.bring_out(&self.params, to);
    }

    /// Writes the gradient of the last step as a file has the parameters.
    pub fn store_gradient(&self, to: &mut [f32]) {
        self.bring_out(&self.gradient, to);
    }

    fn bring_out(&self, from: &[f32], to: &mut [f32]) {
        for (tensor, range) in ranges(&self.body.tensors) {
            tensor.arrangement.bring_out(&from[range.clone()], &mut to[range]);
        }
    }

    /// Whether a step makes random choices.
    pub fn draws(&self) -> bool {
        self.body.draws
    }

    /// From now on the learning rate is `factor` times the optimiser's.
    pub fn scale_rate(&mut self, factor: f32) {
        self.factor = factor;
    }

    /// The inputs of a batch of `rows` examples, to be written: tabular rows, or images as NHWC.
    ///
    /// # Panics
    /// If the batch is larger than the network's.
    pub fn inputs(&mut self, rows: usize) -> &mut [f32] {
        assert!(rows <= self.rows, "{rows} rows do not fit a batch of {}", self.rows);
        &mut self.arena.x[..rows * self.inputs]
    }

    /// One step on the batch whose inputs were written. `draw` is the number of the step's random choices. Returns the
    /// batch's mean loss.
    pub fn step(&mut self, rows: usize, targets: Targets, loss: &Loss, draw: u64) -> f64 {
        let value = self.differentiate(rows, targets, loss, draw);
        let Self { params, gradient, optimizer, factor, pull, began, turn, moments, weights, pass, .. } = self;
        pass.simd.run(
            #[inline(always)]
            || {
                if *pull > 0.0 {
                    for range in &*weights {
                        let (params, began) = (&params[range.clone()], &began[range.clone()]);
                        for ((slope, now), began) in gradient[range.clone()].iter_mut().zip(params).zip(began) {
                            *slope += *pull * (now - began);
                        }
                    }
                }
                gradient.iter_mut().zip(&*turn).for_each(|(slope, turn)| *slope += turn);
                optimizer.step(params, gradient, moments, weights, *factor);
            },
        );
        value
    }

    /// The loss of the batch whose inputs were written, and its gradient. As [`Self::step`], without the optimiser.
    pub fn differentiate(&mut self, rows: usize, targets: Targets, loss: &Loss, draw: u64) -> f64 {
        self.pass(rows, true, draw);
        let (outputs, Arena { x, y, dy, saved, scratch }) = (self.body.outputs, &mut self.arena);
        let size = rows * outputs;
        let value = loss.differentiate(&y[..size], outputs, targets, &mut dy[..size]);
        let given = Backward { params: &self.params, gradient: &mut self.gradient, x, y, dy, dx: None, saved, scratch };
        self.body.layers.backward(&self.pass, given);
        value
    }

    /// What the model says of the batch whose inputs were written, a row an example.
    pub fn predict(&mut self, rows: usize) -> &[f32] {
        self.pass(rows, false, 0);
        &self.arena.y[..rows * self.body.outputs]
    }

    fn pass(&mut self, rows: usize, train: bool, draw: u64) {
        self.pass = Pass { rows, train, draw, ..self.pass };
        let Arena { x, y, saved, scratch, .. } = &mut self.arena;
        self.body.layers.forward(&self.pass, &mut self.params, x, y, saved, scratch);
    }
}

/// The tensors, and where each lies among the parameters.
fn ranges(tensors: &[Tensor]) -> impl Iterator<Item = (&Tensor, Range<usize>)> {
    tensors.iter().scan(0, |end, tensor| {
        let start = *end;
        *end += tensor.spec.shape.iter().product::<usize>();
        Some((tensor, start..*end))
    })
}
