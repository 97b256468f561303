//! `dure bench train`: a step of local training, and the memory that it takes.
//!
//! Every figure is of a process of its own, ours as PyTorch's.

use std::{hint::black_box, path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result, anyhow};
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

use serde::{Deserialize, Serialize};

use super::{Peer, Row, median, script, watch};
use crate::{args::BenchArgs, simulate::memory_of};

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

/// What a process that took steps has to say, ours or PyTorch's.
#[derive(Clone, Serialize, Deserialize)]
pub struct Stepped {
    /// Microseconds of a step, the median.
    us: f64,
    /// What model, batch and steps added to the memory that the process held, at most. Pages of program files are left out.
    added_bytes: f64,
    /// The most memory that the process held.
    peak_bytes: f64,
}

/// Ours and PyTorch's in turn, three times each: machines drift. Medians.
pub fn run(args: &BenchArgs) -> Result<Vec<Row>> {
    let mut rows = vec![];
    for workload in workloads() {
        let (mut ours, mut theirs) = (vec![], vec![vec![]; workload.peers.len()]);
        let mut version = String::new();
        for _ in 0..3 {
            let told = watch(Command::new(std::env::current_exe()?).args(["bench", "step", workload.what]))?;
            ours.push(serde_json::from_str(&told.last_line)?);
            for (peer, theirs) in workload.peers.iter().zip(&mut theirs) {
                if let Some((told, _)) = script(args.python.as_deref(), SCRIPT, &[*peer])? {
                    version = told["version"].as_str().unwrap_or_default().into();
                    theirs.push(serde_json::from_value(told)?);
                }
            }
        }
        for (peer, theirs) in workload.peers.iter().zip(theirs) {
            let way = peer.strip_prefix(workload.what).unwrap_or_default().replace('-', " ");
            let name = format!("pytorch {version}{way}");
            rows.extend(workload.rows(&ours, &name, &theirs));
        }
    }
    // Without a peer the ways of one are the same rows.
    let mut seen = vec![];
    rows.retain(|row| {
        let new = row.peer.is_some() || !seen.contains(&row.what);
        seen.push(row.what.clone());
        new
    });
    Ok(rows)
}

/// The steps of one of the workloads, in this process, as a JSON line.
pub fn step(what: &str) -> Result<String> {
    let workload = workloads().into_iter().find(|workload| workload.what == what).context("no such step")?;
    let memory = |field| memory_of(Path::new("/proc/self/status"), field).context("the system does not tell memory");
    let before = memory("RssAnon")?;
    let us = workload.step_us()?;
    let peak = memory("VmHWM")?;
    let added = peak.saturating_sub(memory("RssFile")?).saturating_sub(before);
    Ok(serde_json::to_string(&Stepped { us, added_bytes: added as f64, peak_bytes: peak as f64 })? + "\n")
}

impl Workload {
    /// Time and memory of the step, ours and a peer's.
    fn rows(&self, ours: &[Stepped], name: &str, theirs: &[Stepped]) -> Vec<Row> {
        let row = |what, unit, of: fn(&Stepped) -> f64| {
            let median = |all: &[Stepped]| median(&mut all.iter().map(of).collect::<Vec<_>>());
            let peer = (!theirs.is_empty()).then(|| Peer { name: name.into(), value: median(theirs) });
            Row::new(format!("{} step, batch {BATCH}, one thread{what}", self.what), unit, median(ours), peer)
        };
        let mut rows = vec![row("", "µs", |stepped| stepped.us)];
        // A perceptron's is lost in what a process takes anyway.
        if matches!(self.input, Shape::Image(_)) {
            rows.push(row(": memory that it adds, at most", "MiB", |stepped| stepped.added_bytes / 1048576.0));
            rows.push(row(": memory of the process, at most", "MiB", |stepped| stepped.peak_bytes / 1048576.0));
        }
        rows
    }

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
