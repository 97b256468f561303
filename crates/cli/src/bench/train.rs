//! `dure bench train`: a step of local training.

use std::{hint::black_box, time::Instant};

use anyhow::Result;
use dure_core::{
    model::{Layout, Params},
    random::{Purpose, RngExt, stream},
};
use dure_learn::{
    local_optimizer::LocalOptimizer,
    loss::Loss,
    mlp::{Mlp, Simd, layout},
};

use super::{Peer, Row, median, script};
use crate::args::BenchArgs;

const SCRIPT: (&str, &str) = ("peer_step.py", include_str!("peer_step.py"));

/// Ours and PyTorch's in turn, three times each: machines drift. Medians.
pub fn run(args: &BenchArgs) -> Result<Vec<Row>> {
    let (mut ours, mut theirs, mut name) = (vec![], vec![], String::new());
    for _ in 0..3 {
        ours.push(fitbit_step_us()?);
        if let Some((told, _)) = script(args.python.as_deref(), SCRIPT, &["fitbit-mlp"])? {
            theirs.extend(told["us"].as_f64());
            name = format!("pytorch {}", told["version"].as_str().unwrap_or_default());
        }
    }
    let peer = (!theirs.is_empty()).then(|| Peer { name, value: median(&mut theirs) });
    Ok(vec![Row::new("fitbit-mlp step, batch 32, one thread", "µs", median(&mut ours), peer)])
}

/// Forward, Huber, backward and Adam of the Fitbit MLP, in microseconds: the median of 31 times 200 steps.
fn fitbit_step_us() -> Result<f64> {
    let dims = [10, 64, 64, 32, 1];
    let params = Params::initial(Layout::new(layout(&dims))?.into(), 0);
    let mut mlp = Mlp::new(&dims, 32, Simd::detect());
    mlp.load(params.values());
    let mut numbers = stream(0, Purpose::People, "bench", 0);
    let mut draw = |n: usize| (0..n).map(|_| numbers.random::<f32>() * 4.0 - 2.0).collect::<Vec<f32>>();
    let (x, y) = (draw(320), draw(32));
    let mut step = || {
        let fill = |row: usize, inputs: &mut [f32], targets: &mut [f32]| {
            inputs.copy_from_slice(&x[row * 10..][..10]);
            targets[0] = y[row];
        };
        black_box(mlp.step(32, fill, Loss::Huber { delta: 0.5 }, LocalOptimizer::Adam { learning_rate: 1e-3 }));
    };
    (0..1000).for_each(|_| step());
    let mut times: Vec<f64> = (0..31)
        .map(|_| {
            let started = Instant::now();
            (0..200).for_each(|_| step());
            started.elapsed().as_secs_f64() / 200.0 * 1e6
        })
        .collect();
    Ok(median(&mut times))
}
