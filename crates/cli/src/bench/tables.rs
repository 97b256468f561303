//! `dure bench table`: published experiments as a table of runs, each cell over several seeds.
//!
//! The figure is the accuracy on all test images, the mean over the models of the last fifth of rounds. With a seed goes its own
//! partition of the data, and everything else that is drawn; rows and columns of the same seed share them.

use std::collections::BTreeMap;

use anyhow::Context as _;
use comfy_table::Table;
use dure_core::{digest::Digest, model::Params, statistics::Statistics};
use dure_learn::{
    client::{Rows, Trainer},
    data::{
        ClientRows, DataSet, Site,
        examples::{Inputs, Truth},
    },
    standardise::Preprocessing,
    work::Work,
};
use dure_sim::{Progress, clients::Clients, repeat::Interval, simulate};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::{Measured, asynchronous, orchestration};
use crate::{
    args::{BenchTable, DataArgs, RecipeArgs, TableName},
    fail::Fail,
    show,
    source::{self, Found},
};

/// An experiment: every row with every column.
pub(super) struct Experiment {
    pub(super) title: &'static str,
    pub(super) recipe: &'static str,
    /// What stands everywhere.
    pub(super) keys: &'static [&'static str],
    /// What makes it small, beside what the recipe says.
    pub(super) smoke: &'static [&'static str],
    /// What is tried, and its keys.
    pub(super) rows: &'static [(&'static str, &'static [&'static str])],
    /// Where it is tried, and its keys.
    pub(super) columns: &'static [(&'static str, &'static [&'static str])],
    /// The published figures, and those of an independent implementation, by row and column.
    pub(super) published: Option<Published>,
}

/// Figures that others have come to.
pub(super) struct Published {
    /// A row's in the order of columns.
    rows: &'static [&'static [f64]],
    /// Each repeat's, by row and column, as JSON.
    reference: &'static str,
}

/// What an independent implementation came to.
#[derive(Deserialize)]
struct Reference {
    figures: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
}

const FEDPROX: Experiment = Experiment {
    title: "Li et al. 2020, Figure 1, with a founding system's settings: accuracy by the share of stragglers",
    recipe: "fedprox",
    keys: &[],
    smoke: &[],
    rows: &[
        ("fedavg", &["strategy.mu=0", "world.partial=drop"]),
        ("mu=0", &["strategy.mu=0", "world.partial=keep"]),
        ("mu=2", &["strategy.mu=2", "world.partial=keep"]),
    ],
    columns: &[("0", &["world.stragglers=0"]), ("0.5", &["world.stragglers=0.5"]), ("0.9", &["world.stragglers=0.9"])],
    published: Some(Published {
        rows: &[&[0.79, 0.75, 0.65], &[0.77, 0.75, 0.74], &[0.84, 0.84, 0.84]],
        reference: include_str!("fedprox_reference.json"),
    }),
};

const NON_IID: Experiment = Experiment {
    title: "Fashion-MNIST, 50 clients, 10 in each of 40 rounds of 5 epochs, a hidden layer of 64: accuracy by the alpha of Dirichlet's labels",
    recipe: "fmnist",
    keys: &[
        "model={name=\"mlp\",hidden=[64]}",
        "rounds=40",
        "cohort.size=10",
        "training.epochs=5",
        "training.batch_size=32",
        "training.optimizer={name=\"sgd\",learning_rate=0.05}",
    ],
    smoke: &["rounds=2", "training.epochs=1", "generator.glyphs.per_class=2000"],
    rows: &[
        ("fedavg", &["strategy.name=fedavg"]),
        ("fedavgm", &["strategy.name=fedavgm", "strategy.learning_rate=0.3"]),
        ("fedadam", &["strategy.name=fedadam", "strategy.learning_rate=0.01"]),
        ("scaffold", &["strategy.name=scaffold"]),
        ("fedprox", &["strategy.name=fedprox", "strategy.mu=0.1"]),
    ],
    columns: &[
        ("10", &["site.partition={name=\"dirichlet_labels\",clients=50,alpha=10,min_examples=10}"]),
        ("1", &["site.partition={name=\"dirichlet_labels\",clients=50,alpha=1,min_examples=10}"]),
        ("0.1", &["site.partition={name=\"dirichlet_labels\",clients=50,alpha=0.1,min_examples=10}"]),
    ],
    published: None,
};

const BYZANTINE: Experiment = Experiment {
    title: "MNIST, 20 clients in every one of 20 rounds, 4 of them lie, a hidden layer of 32: accuracy by attack",
    recipe: "mnist-fedavg",
    keys: &[
        "site.partition={name=\"iid\",clients=20}",
        "cohort.size=20",
        "rounds=20",
        "model={name=\"mlp\",hidden=[32]}",
        "training.epochs=1",
        "training.batch_size=32",
        "training.optimizer={name=\"sgd\",learning_rate=0.05}",
    ],
    smoke: &["rounds=2"],
    rows: &[
        ("fedavg", &["strategy.name=fedavg"]),
        ("norm-bounded", &["strategy.name=norm-bounded", "strategy.bound=1"]),
        ("median", &["strategy.name=median"]),
        ("trimmed-mean", &["strategy.name=trimmed-mean", "strategy.byzantine=4"]),
        ("rfa", &["strategy.name=rfa"]),
        ("krum", &["strategy.name=krum", "strategy.byzantine=4"]),
        ("multikrum", &["strategy.name=multikrum", "strategy.byzantine=4", "strategy.keep=12"]),
        ("bulyan", &["strategy.name=bulyan", "strategy.byzantine=4"]),
    ],
    columns: &[
        ("none", &[]),
        ("sign flip", &["world.byzantine={clients=4,attack={name=\"sign_flip\"}}"]),
        ("scaled by −10", &["world.byzantine={clients=4,attack={name=\"sign_flip\",factor=10}}"]),
        ("noise", &["world.byzantine={clients=4,attack={name=\"noise\",deviation=1}}"]),
        ("label flip", &["world.byzantine={clients=4,attack={name=\"label_flip\"}}"]),
    ],
    published: None,
};

/// What stands below a table of a smoke run.
pub(super) const SMOKE: &str = "A smoke run: it has fewer rounds, clients or rows than the heading says, and nothing in it can be held against other figures.\n";

/// A table that was made.
#[derive(Serialize)]
struct Made {
    title: &'static str,
    seeds: Vec<u64>,
    cells: Vec<Cell>,
}

/// A row in a column.
#[derive(Serialize)]
struct Cell {
    row: &'static str,
    column: &'static str,
    /// By seed.
    accuracy: Vec<f64>,
    /// The SHA-256 of the last model, by seed.
    models: Vec<Digest>,
    over_seeds: Interval,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reference: Option<Interval>,
    /// Ours less the reference's mean, and whether zero lies in the 95 % interval of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    difference: Option<Interval>,
}

/// Makes a table, a run a thread.
pub fn run(args: &BenchTable, say: &dyn Fn(String)) -> Result<Measured, Fail> {
    let experiment = match args.table {
        TableName::Fedprox => &FEDPROX,
        TableName::NonIid => &NON_IID,
        TableName::Byzantine => &BYZANTINE,
        TableName::Asynchronous => return asynchronous::run(args, say),
        TableName::Orchestration => return orchestration::run(args, say),
    };
    let (seeds, came) = every_cell(experiment, args, say, run_one)?;
    let reference: Option<Reference> =
        experiment.published.as_ref().map(|published| serde_json::from_str(published.reference)).transpose()?;
    let cell = |((row, column), runs): ((usize, usize), Vec<(f64, Digest)>)| {
        let (names, accuracy) =
            ((experiment.rows[row].0, experiment.columns[column].0), runs.iter().map(|run| run.0).collect::<Vec<_>>());
        let theirs = reference.as_ref().and_then(|reference| reference.figures.get(names.0)?.get(names.1));
        Cell {
            row: names.0,
            column: names.1,
            over_seeds: Interval::new(accuracy.iter().copied(), 0.0),
            published: experiment.published.as_ref().map(|published| published.rows[row][column]),
            reference: theirs.map(|theirs| Interval::new(theirs.iter().copied(), 0.0)),
            difference: theirs.map(|theirs| Interval::between(&accuracy, theirs)),
            models: runs.into_iter().map(|run| run.1).collect(),
            accuracy,
        }
    };
    let made = Made { title: experiment.title, seeds, cells: came.into_iter().map(cell).collect() };
    let mut text = table(&made);
    if args.smoke {
        text += SMOKE;
    }
    Ok(Measured { text, json: serde_json::to_value(&made)? })
}

/// A row and a column, and what came of each seed.
pub(super) type Came<T> = ((usize, usize), Vec<T>);

/// The seeds, and what `run_one` makes of each in every row and column, a run a thread.
pub(super) fn every_cell<T: Send>(
    experiment: &Experiment,
    args: &BenchTable,
    say: &dyn Fn(String),
    run_one: impl Fn(Found, DataSet, u64) -> Result<T, Fail> + Sync,
) -> Result<(Vec<u64>, Vec<Came<T>>), Fail> {
    let seeds: Vec<u64> = (0..u64::from(args.seeds.unwrap_or(5))).collect();
    let row = |row| (0..experiment.columns.len()).map(move |column| (row, column));
    let pairs: Vec<(usize, usize)> = (0..experiment.rows.len()).flat_map(row).collect();
    let mut came: Vec<Came<T>> = pairs.iter().map(|pair| (*pair, vec![])).collect();
    for seed in &seeds {
        say(format!("{}: seed {} of {}", experiment.recipe, seed + 1, seeds.len()));
        let data = data(experiment, args, *seed)?;
        let one = |(row, column): &(usize, usize)| {
            run_one(found(experiment, args, (*row, *column), *seed)?, data[*column].clone(), *seed)
        };
        let runs: Vec<T> = pairs.par_iter().with_max_len(1).map(one).collect::<Result<_, Fail>>()?;
        came.iter_mut().zip(runs).for_each(|((_, of_pair), run)| of_pair.push(run));
    }
    Ok((seeds, came))
}

fn found(experiment: &Experiment, args: &BenchTable, (row, column): (usize, usize), seed: u64) -> Result<Found, Fail> {
    let small = if args.smoke { experiment.smoke } else { &[] };
    let keys = [experiment.keys, experiment.rows[row].1, experiment.columns[column].1, small].concat();
    let mut overrides: Vec<String> = keys.into_iter().map(str::to_owned).collect();
    // Models are judged here, on the test images; nothing is chosen.
    overrides.extend(["evaluate.every=0".into(), format!("site.partition_seed={seed}")]);
    source::recipe(&RecipeArgs { recipe: experiment.recipe.into(), overrides, smoke: args.smoke })
}

/// Everybody's rows in each column. They are read once for columns that divide them alike.
fn data(experiment: &Experiment, args: &BenchTable, seed: u64) -> Result<Vec<DataSet>, Fail> {
    let mut all: Vec<(Site, DataSet)> = vec![];
    for column in 0..experiment.columns.len() {
        let found = found(experiment, args, (0, column), seed)?;
        let folder = args.data.as_ref().map(|folder| folder.join(&found.recipe.data));
        let data = match all.last() {
            Some((site, data)) if *site == found.recipe.site => data.clone(),
            _ => source::data(&found, &DataArgs { data: folder, seed: 0 })?,
        };
        all.push((found.recipe.site, data));
    }
    Ok(all.into_iter().map(|(_, data)| data).collect())
}

/// The mean accuracy of the models of the last fifth of rounds, and the last one's digest.
fn run_one(found: Found, data: DataSet, seed: u64) -> Result<(f64, Digest), Fail> {
    let (plan, work) = (found.recipe.plan(&found.origin)?, found.recipe.work());
    let test = held_out(&data).with_context(|| format!("{}: holds no rows out to test on", found.origin))?;
    let mut clients =
        Clients::new(data, work.clone(), seed, 1)?.in_world(found.recipe.world.clone(), source::trace(&found)?);
    let first = plan.rounds - plan.rounds.div_ceil(5) + 1;
    let (mut judge, mut sum, mut n, mut last) = (None, 0.0, 0, first - 1);
    let run = simulate(plan, seed, &mut clients, &mut |progress: Progress<'_>| {
        if progress.round <= last {
            return;
        }
        let Some(params) = progress.params else { return };
        last = progress.round;
        let judge = judge.get_or_insert_with(|| Judge::new(&work, progress.statistics, &test));
        (sum, n) = (sum + judge.accuracy(params), n + 1);
    })?;
    let sha256 = run.models.as_ref().context("a run without a model")?.sha256();
    Ok((sum / f64::from(n), sha256))
}

/// All rows that the data set holds out, as one.
pub(super) fn held_out(data: &DataSet) -> Option<(Inputs, Truth)> {
    let of = |client: &ClientRows| {
        let rows: Vec<u32> = ((client.len() - client.held_out) as u32..client.len() as u32).collect();
        (!rows.is_empty()).then(|| (client.inputs.take(&rows), client.truth.take(&rows)))
    };
    let parts: Vec<(Inputs, Truth)> = data.clients.iter().filter_map(of).collect();
    let inputs = Inputs::join(parts.iter().map(|(inputs, _)| inputs))?;
    Some((inputs, Truth::join(parts.iter().map(|(_, truth)| truth))?))
}

/// Judges models on the same rows.
pub(super) struct Judge {
    trainer: Trainer,
    rows: Rows,
    all: Vec<u32>,
}

impl Judge {
    pub(super) fn new(work: &Work, statistics: Option<&Statistics>, (inputs, truth): &(Inputs, Truth)) -> Self {
        let preprocessing = Preprocessing::of(&statistics.cloned().unwrap_or_default());
        let rows = Rows::new(inputs, truth, &work.schema, &preprocessing);
        let trainer = Trainer::new(work, &preprocessing, truth.len(), 1);
        Self { trainer, rows, all: (0..truth.len() as u32).collect() }
    }

    pub(super) fn accuracy(&mut self, params: &Params) -> f64 {
        let loaded = self.trainer.load(params, &[]);
        loaded.map_or(f64::NAN, |()| {
            let sums = self.trainer.evaluate(&self.rows, &self.all, false);
            sums.metrics().get("accuracy").copied().unwrap_or(f64::NAN)
        })
    }
}

fn table(made: &Made) -> String {
    let published = made.cells.iter().any(|cell| cell.published.is_some());
    let table = if published { beside_others(&made.cells) } else { crossed(&made.cells) };
    let alike = |(i, a): (usize, &Cell)| {
        let same = made.cells[i + 1..].iter().filter(|b| a.column == b.column && a.models == b.models);
        same.map(|b| format!("{} and {} at {} made the same models, bit for bit.\n", a.row, b.row, a.column))
            .collect::<String>()
    };
    let alike: String = made.cells.iter().enumerate().map(alike).collect();
    let over = format!("Means over {} seeds, ± half of the 95 % interval (Student's t).", made.seeds.len());
    format!("{}\n\n{table}\n\n{over}\n{alike}", made.title)
}

/// Rows down, columns across.
fn crossed(cells: &[Cell]) -> Table {
    let columns: Vec<&str> = cells.iter().take_while(|cell| cell.row == cells[0].row).map(|cell| cell.column).collect();
    let row = |cells: &[Cell]| {
        std::iter::once(cells[0].row.to_owned()).chain(cells.iter().map(|cell| within(&cell.over_seeds))).collect()
    };
    let heads: Vec<&str> = std::iter::once("").chain(columns.iter().copied()).collect();
    show::table(&heads, cells.chunks(columns.len().max(1)).map(row))
}

/// A line a cell, with what others came to.
fn beside_others(cells: &[Cell]) -> Table {
    let row = |cell: &Cell| {
        let theirs = cell.reference.as_ref().map_or_else(String::new, within);
        let difference = cell.difference.as_ref().map_or_else(String::new, |difference| {
            let sign = if difference.mean < 0.0 { "−" } else { "+" };
            let inside = difference.half_width.is_some_and(|half| difference.mean.abs() <= half);
            let half = difference.half_width.map_or_else(|| "–".into(), share);
            let verdict = if inside { "within" } else { "outside" };
            format!("{sign}{} ± {half}, {verdict}", share(difference.mean.abs()))
        });
        let published =
            cell.published.map_or_else(String::new, |p| format!("{p:.2}").trim_start_matches('0').to_owned());
        vec![cell.row.to_owned(), cell.column.to_owned(), within(&cell.over_seeds), published, theirs, difference]
    };
    show::table(&["", "", "accuracy", "published", "NumPy", "difference from NumPy"], cells.iter().map(row))
}

fn share(value: f64) -> String {
    format!("{value:.3}").trim_start_matches('0').to_owned()
}

pub(super) fn within(interval: &Interval) -> String {
    let half = interval.half_width.map_or_else(String::new, |half| format!(" ± {}", share(half)));
    format!("{}{half}", share(interval.mean))
}
