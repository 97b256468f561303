//! `dure bench train`: a step of local training.

use std::{hint::black_box, time::Instant};

use anyhow::{Result, anyhow};
use dure_core::{
    model::Params,
    random::{Purpose, RngExt, stream},
};
use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::{Loss, Targets},
    network::{
        Network,
        build::{Body, Shape},
        conv::Image,
        simd::Simd,
    },
    work::ModelSpec,
};

use super::{Peer, Row, median, script};
use crate::args::BenchArgs;

const SCRIPT: (&str, &str) = ("peer_step.py", include_str!("peer_step.py"));

/// Examples of a step.
const BATCH: usize = 32;

/// A model and how it is trained.
struct Workload {
    what: &'static str,
    /// What the peer's script calls it, in each way that the peer has.
    peers: &'static [&'static str],
    model: ModelSpec,
    input: Shape,
    outputs: usize,
    loss: Loss,
    optimizer: LocalOptimizer,
    /// Runs, and steps of a run.
    times: (usize, usize),
}

fn workloads() -> [Workload; 4] {
    let image = |size, channels| Shape::Image(Image { height: size, width: size, channels });
    let classes = Loss::CrossEntropy { class_weights: None };
    let momentum = LocalOptimizer::Sgd { learning_rate: 0.01, momentum: 0.9, nesterov: false, weight_decay: 0.0 };
    [
        Workload {
            what: "fitbit-mlp",
            peers: &["fitbit-mlp"],
            model: ModelSpec::Mlp { hidden: vec![64, 64, 32] },
            input: Shape::Flat(10),
            outputs: 1,
            loss: Loss::Huber { delta: 0.5 },
            optimizer: LocalOptimizer::adam(1e-3),
            times: (31, 200),
        },
        Workload {
            what: "news-mlp",
            peers: &["news-mlp"],
            model: ModelSpec::Mlp { hidden: vec![16] },
            input: Shape::Flat(5),
            outputs: 4,
            loss: classes.clone(),
            optimizer: LocalOptimizer::adam(1e-3),
            times: (31, 200),
        },
        Workload {
            what: "mnist-cnn",
            peers: &["mnist-cnn"],
            model: ModelSpec::Cnn {},
            input: image(28, 1),
            outputs: 10,
            loss: classes.clone(),
            optimizer: LocalOptimizer::sgd(0.01),
            times: (9, 8),
        },
        Workload {
            what: "resnet18",
            peers: &["resnet18", "resnet18-channels-last"],
            model: ModelSpec::Resnet18 {},
            input: image(32, 3),
            outputs: 10,
            loss: classes,
            optimizer: momentum,
            times: (5, 1),
        },
    ]
}

/// Ours and PyTorch's in turn, three times each: machines drift. Medians.
pub fn run(args: &BenchArgs) -> Result<Vec<Row>> {
    let mut rows = vec![];
    for workload in workloads() {
        let (mut ours, mut theirs) = (vec![], vec![vec![]; workload.peers.len()]);
        let mut version = String::new();
        for _ in 0..3 {
            ours.push(workload.step_us()?);
            for (peer, theirs) in workload.peers.iter().zip(&mut theirs) {
                if let Some((told, _)) = script(args.python.as_deref(), SCRIPT, &[*peer])? {
                    theirs.extend(told["us"].as_f64());
                    version = told["version"].as_str().unwrap_or_default().into();
                }
            }
        }
        let ours = median(&mut ours);
        for (peer, mut theirs) in workload.peers.iter().zip(theirs) {
            let way = peer.strip_prefix(workload.what).unwrap_or_default().replace('-', " ");
            let name = format!("pytorch {version}{way}");
            let peer = (!theirs.is_empty()).then(|| Peer { name, value: median(&mut theirs) });
            rows.push(Row::new(format!("{} step, batch {BATCH}, one thread", workload.what), "µs", ours, peer));
        }
    }
    // Without a peer the ways of one are the same row.
    rows.dedup_by(|a, b| a.peer.is_none() && a.what == b.what);
    Ok(rows)
}

impl Workload {
    /// Forward, loss, backward and optimiser, in microseconds: the median of some runs.
    fn step_us(&self) -> Result<f64> {
        let mut network = self.network()?;
        let (mut numbers, (runs, steps)) = (stream(0, Purpose::People, "bench", 0), self.times);
        let targets: Vec<f32> = (0..BATCH).map(|_| numbers.random::<f32>() * 4.0 - 2.0).collect();
        let classes: Vec<u16> = (0..BATCH).map(|i| (i % self.outputs) as u16).collect();
        network.inputs(BATCH).fill_with(|| numbers.random::<f32>() * 4.0 - 2.0);
        let mut step = || {
            let targets =
                if self.loss.is_of_classes() { Targets::Classes(&classes) } else { Targets::Numbers(&targets) };
            black_box(network.step(BATCH, targets, &self.loss, 0));
        };
        (0..5 * steps).for_each(|_| step());
        let mut times: Vec<f64> = (0..runs)
            .map(|_| {
                let started = Instant::now();
                (0..steps).for_each(|_| step());
                started.elapsed().as_secs_f64() / steps as f64 * 1e6
            })
            .collect();
        Ok(median(&mut times))
    }

    fn network(&self) -> Result<Network> {
        let body =
            Body::new(self.input, BATCH, &self.model.layers(self.outputs)).map_err(|error| anyhow!("{error}"))?;
        let params = Params::initial(body.layout()?.into(), 0);
        let mut network = Network::new(body, self.input, BATCH, self.optimizer, Simd::detect(), 1);
        network.load(params.values());
        Ok(network)
    }
}
