//! `dure bench simulate`: rounds of FedAvg on the Fitbit people, and whole runs from start to end.
//!
//! Equal work: everybody's rows, 33 people in every round, one epoch, batch 32, Adam, Huber, no evaluation. `local work and
//! combine` leaves out what the others do not do at all: encoding, digests and the journal.

use std::{path::Path, process::Command, time::Instant};

use anyhow::{Context as _, Result};
use dure_core::{combine::combine, model::Params, optimizer::Combined, plan::TrainingRows, update::DELTA};
use dure_learn::{
    client::{Client, Given, Trainer, measure_everybody},
    recipe::Recipe,
    split::Split,
    standardise::Preprocessing,
};
use dure_sim::{clients::Clients, simulate};

use super::{Peer, Row, median, script, watch};
use crate::{
    args::{BenchArgs, DataArgs, RecipeArgs},
    fail::Fail,
    source::{self, Found},
};

/// The same for other software: by its name, in Python.
pub const SCRIPT: (&str, &str) = ("peer_fedavg.py", include_str!("peer_fedavg.py"));
/// The first is not counted.
pub const ROUNDS: u32 = 20;
const REPEATS: usize = 5;

/// What the script knows.
pub const PEERS: [&str; 3] = ["loop", "pfl", "flower"];

/// What makes the recipe do what the others do: no split, no evaluation, no second job.
pub const ALIKE: [&str; 4] = ["split.test=0", "split.validation=0", "evaluate.every=0", "refit=false"];

/// Ours, then each of the others.
pub fn run(args: &BenchArgs, data: &Path) -> Result<Vec<Row>, Fail> {
    let overrides: Vec<String> = ALIKE.iter().map(|text| (*text).to_owned()).collect();
    let alike = source::recipe(&RecipeArgs { recipe: "fitbit".into(), overrides, smoke: false })?;
    let as_it_is = source::recipe(&RecipeArgs { recipe: "fitbit".into(), overrides: vec![], smoke: false })?;
    let work_ms = local_work_ms(&alike, data)?;
    let round_ms = round_ms(&alike, data)?;
    let evaluated_ms = self::round_ms(&as_it_is, data)?;
    let whole = whole_run(data, &ALIKE)?;
    let recipe_run = whole_run(data, &[])?;
    let rows = |peer: Option<(&str, f64, f64, f64)>| {
        let of = |value: fn(&(&str, f64, f64, f64)) -> f64| {
            peer.as_ref().map(|p| Peer { name: p.0.to_owned(), value: value(p) })
        };
        [
            Row::new("round: local work and combine", "ms", work_ms, of(|peer| peer.1)),
            Row::new("round: with codec, digests, journal", "ms", round_ms, of(|peer| peer.1)),
            Row::new("round: the recipe's, evaluated as well", "ms", evaluated_ms, of(|peer| peer.1)),
            Row::new("whole run, equal work", "s", whole.0, of(|peer| peer.2)),
            Row::new("whole run, the recipe's two jobs", "s", recipe_run.0, of(|peer| peer.2)),
            Row::new("whole run, memory", "MiB", whole.1, of(|peer| peer.3)),
        ]
    };
    let mut all = vec![];
    for peer in PEERS {
        let file = data.join(&alike.recipe.site.file);
        let file = file.to_str().context("the data set's path is not UTF-8")?;
        let Some((told, watched)) = script(args.python.as_deref(), SCRIPT, &[peer, file, &ROUNDS.to_string()])? else {
            continue;
        };
        let name = called(&told);
        let its_round_ms = told["round_s"].as_f64().context("round_s")? * 1e3;
        all.extend(rows(Some((&name, its_round_ms, watched.wall_s, watched.peak_rss_bytes as f64 / 1048576.0))));
    }
    if all.is_empty() {
        all.extend(rows(None));
    }
    Ok(all)
}

/// What a peer calls itself, and its version.
pub fn called(told: &serde_json::Value) -> String {
    format!("{} {}", told["peer"].as_str().unwrap_or_default(), told["version"].as_str().unwrap_or_default())
}

fn load(found: &Found, data: &Path) -> Result<dure_learn::data::DataSet, Fail> {
    source::data(found, &DataArgs { data: Some(data.into()), seed: 0 })
}

/// The median round of a simulation on one thread, in milliseconds.
fn round_ms(found: &Found, data: &Path) -> Result<f64, Fail> {
    let mut times = vec![];
    for _ in 0..REPEATS {
        let mut clients = Clients::new(load(found, data)?, found.recipe.work(), 0, 1)?;
        let run = simulate(found.recipe.plan(&found.origin)?, 0, &mut clients, &mut |_| {})?;
        times.extend(run.rounds.iter().skip(1).map(|row| row.wall_s * 1e3));
    }
    Ok(median(&mut times))
}

/// Training everybody for a round, the mean and the step: what a loop without a framework does.
fn local_work_ms(found: &Found, data: &Path) -> Result<f64, Fail> {
    let Recipe { schema, .. } = &found.recipe;
    let plan = found.recipe.plan(&found.origin)?;
    let (rows, strategy) = (load(found, data)?, plan.strategy.build().context("the strategy")?);
    let all = |n: usize| (0..n as u32).collect::<Vec<u32>>();
    let preprocessing = Preprocessing::of(&measure_everybody(&rows, schema));
    let split = |n| Split { training: all(n), both: all(n), ..Split::default() };
    let clients: Vec<Client> =
        rows.clients.iter().map(|client| Client::new(client, split(client.len()), schema, &preprocessing)).collect();
    let mut trainer = Trainer::new(&found.recipe.work(), &preprocessing, 32, 1);
    let mut params = Params::initial(plan.layout.clone().into(), 0);
    let mut times = vec![];
    for round in 1..=ROUNDS * REPEATS as u32 {
        let started = Instant::now();
        let train = |client| trainer.train(Given::model(&params), client, TrainingRows::Training, (0, round));
        let updates = clients.iter().map(train).map(|trained| Ok(trained?.0)).collect::<Result<Vec<_>>>()?;
        let deltas: Vec<_> = updates.iter().map(|update| update.groups[DELTA].values()).collect();
        let weights: Vec<f64> = updates.iter().map(|update| update.weight.get()).collect();
        let combined = combine(&*strategy.combine, &deltas, &weights, &[]);
        combined
            .and_then(|delta| strategy.optimizer.step(&mut params, &mut Default::default(), &Combined::of(&delta)))
            .context("layouts")?;
        times.push(started.elapsed().as_secs_f64() * 1e3);
    }
    Ok(median(&mut times))
}

/// `dure simulate fitbit` as a process of its own, on one thread, writing its folder: median seconds, and MiB at most.
fn whole_run(data: &Path, overrides: &[&str]) -> Result<(f64, f64)> {
    let (mut walls, mut peak) = (vec![], 0);
    for _ in 0..REPEATS {
        let out = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command
            .args(["simulate", "fitbit", "--threads", "1", "--data"])
            .arg(data)
            .arg("--out")
            .arg(out.path())
            .args(overrides);
        let watched = watch(&mut command)?;
        let told: serde_json::Value = serde_json::from_slice(&std::fs::read(out.path().join("result.json"))?)?;
        walls.push(watched.wall_s);
        peak = peak.max(told["peak_rss_bytes"].as_u64().unwrap_or(0));
    }
    Ok((median(&mut walls), peak as f64 / 1048576.0))
}
