//! `dure bench table asynchronous`: how soon, in virtual time, jobs with cohorts and jobs without come to an accuracy.
//!
//! Every row has as many clients at work at a time, and as many answers in all. Models are judged after every so many answers.

use anyhow::Context as _;
use comfy_table::Table;
use dure_learn::data::DataSet;
use dure_sim::{Progress, clients::Clients, repeat::Interval, simulate};
use serde::Serialize;

use super::{
    Measured, median,
    tables::{self, Experiment, Judge, SMOKE, held_out, within},
};
use crate::{
    args::BenchTable,
    fail::Fail,
    show,
    source::{self, Found},
};

/// The accuracy that counts as having come somewhere.
const TARGET: f64 = 0.9;

/// How many answers lie between two models that are judged: those of a round of a job with cohorts.
const ANSWERS: u32 = 20;

/// Devices that all take as long, and devices of which one in twenty takes twelve times as long as the median.
const ALIKE: &str = "world.devices={examples_per_s={median=10},latency_s={median=1}}";
const TAIL: &str = "world.devices={examples_per_s={median=10,sigma=1.5},latency_s={median=1}}";

const EVEN: &str = "site.partition={name=\"iid\",clients=100}";
const UNEVEN: &str = "site.partition={name=\"dirichlet_labels\",clients=100,alpha=0.1,min_examples=10}";

const EXPERIMENT: Experiment = Experiment {
    title: "MNIST, 100 clients, 20 at work at a time, 2,000 answers, one epoch, a hidden layer of 32: virtual time until 90 % of the test images are told",
    recipe: "mnist-fedavg",
    keys: &[
        "rounds=100",
        "cohort.size=20",
        "cohort.deadline_s=1000000",
        "model={name=\"mlp\",hidden=[32]}",
        "training.epochs=1",
        "training.batch_size=32",
        "training.optimizer={name=\"sgd\",learning_rate=0.05}",
    ],
    // So few examples cannot be dealt out unevenly.
    smoke: &["rounds=20", "site.partition={name=\"iid\",clients=30}", "generator.glyphs.per_class=200"],
    rows: &[
        ("fedavg", &["strategy.name=fedavg"]),
        ("fedavg, 30 asked for 20", &["strategy.name=fedavg", "cohort.over_selection=1.5"]),
        ("fedbuff, buffer of 10", &["strategy={name=\"fedbuff\",buffer=10}", "rounds=200"]),
        ("fedbuff, buffer of 5", &["strategy={name=\"fedbuff\",buffer=5}", "rounds=400"]),
        ("fedasync", &["strategy={name=\"fedasync\"}", "rounds=2000"]),
    ],
    columns: &[
        ("alike", &[ALIKE, EVEN]),
        ("alike, uneven labels", &[ALIKE, UNEVEN]),
        ("heavy tail", &[TAIL, EVEN]),
        ("heavy tail, uneven labels", &[TAIL, UNEVEN]),
    ],
    published: None,
};

/// A run, judged after every so many answers.
struct Run {
    /// Virtual seconds since the start, and the accuracy then.
    judged: Vec<(f64, f64)>,
    staleness: f64,
}

impl Run {
    /// When it first was as good as that.
    fn reached_s(&self, target: f64) -> Option<f64> {
        self.judged.iter().find(|(_, accuracy)| *accuracy >= target).map(|(seconds, _)| *seconds)
    }

    /// The mean accuracy of the last fifth of what was judged.
    fn last(&self) -> f64 {
        let last = &self.judged[self.judged.len() - self.judged.len().div_ceil(5)..];
        last.iter().map(|(_, accuracy)| accuracy).sum::<f64>() / last.len() as f64
    }
}

#[derive(Serialize)]
struct Made {
    title: &'static str,
    target: f64,
    seeds: Vec<u64>,
    cells: Vec<Cell>,
}

/// A row in a column.
#[derive(Serialize)]
struct Cell {
    row: &'static str,
    column: &'static str,
    /// Virtual seconds until the target, by seed; null if it was not reached.
    reached_s: Vec<Option<f64>>,
    /// The mean accuracy of the last fifth of models, over seeds.
    last: Interval,
    /// The mean number of versions that an answer was old.
    staleness: f64,
    /// Virtual seconds that all answers took, the mean over seeds.
    whole_s: f64,
}

impl Cell {
    /// The median over seeds, infinite where more than half have not come so far.
    fn median_s(&self) -> f64 {
        median(&mut self.reached_s.iter().map(|reached| reached.unwrap_or(f64::INFINITY)).collect::<Vec<_>>())
    }
}

/// Makes the table.
pub fn run(args: &BenchTable, say: &dyn Fn(String)) -> Result<Measured, Fail> {
    let (seeds, came) = tables::every_cell(&EXPERIMENT, args, say, run_one)?;
    let mean = |runs: &[Run], figure: fn(&Run) -> f64| runs.iter().map(figure).sum::<f64>() / runs.len() as f64;
    let cell = |((row, column), runs): tables::Came<Run>| Cell {
        row: EXPERIMENT.rows[row].0,
        column: EXPERIMENT.columns[column].0,
        reached_s: runs.iter().map(|run| run.reached_s(TARGET)).collect(),
        last: Interval::new(runs.iter().map(Run::last), 0.0),
        staleness: mean(&runs, |run| run.staleness),
        whole_s: mean(&runs, |run| run.judged.last().map_or(0.0, |(seconds, _)| *seconds)),
    };
    let cells = came.into_iter().map(cell).collect();
    let made = Made { title: EXPERIMENT.title, target: TARGET, seeds, cells };
    let over = format!(
        "Medians over {} seeds, of which so many came so far; × is how many times sooner than fedavg. Accuracy: of the last fifth of models, ± half of the 95 % interval (Student's t).\n",
        made.seeds.len()
    );
    let smoke = if args.smoke { SMOKE } else { "" };
    let text = format!("{}\n\n{}\n\n{over}{smoke}", made.title, table(&made.cells));
    Ok(Measured { text, json: serde_json::to_value(&made)? })
}

fn run_one(found: Found, data: DataSet, seed: u64) -> Result<Run, Fail> {
    let (plan, work) = (found.recipe.plan(&found.origin)?, found.recipe.work());
    let test = held_out(&data).with_context(|| format!("{}: holds no rows out to test on", found.origin))?;
    let answers = plan.asynchronous().map_or(ANSWERS, |asynchronous| asynchronous.buffer as u32);
    let every = (ANSWERS / answers).max(1);
    let mut clients =
        Clients::new(data, work.clone(), seed, 1)?.in_world(found.recipe.world.clone(), source::trace(&found)?);
    let (mut judge, mut accuracies, mut last) = (None, vec![], 0);
    let run = simulate(plan, seed, &mut clients, &mut |progress: Progress<'_>| {
        let Some(params) = progress.params.filter(|_| progress.round > last) else { return };
        last = progress.round;
        if last.is_multiple_of(every) {
            let judge = judge.get_or_insert_with(|| Judge::new(&work, progress.statistics, &test));
            accuracies.push((last, judge.accuracy(params)));
        }
    })?;
    let mut now = 0.0;
    let times: Vec<f64> = run
        .rounds
        .iter()
        .map(|row| {
            now += row.virtual_s;
            now
        })
        .collect();
    let judged =
        accuracies.into_iter().filter_map(|(round, accuracy)| Some((*times.get(round as usize - 1)?, accuracy)));
    let ages = run.rounds.iter().map(|row| row.staleness * row.participants as f64).sum::<f64>();
    let all: usize = run.rounds.iter().map(|row| row.participants).sum();
    Ok(Run { judged: judged.collect(), staleness: ages / all as f64 })
}

/// A line a cell, column by column.
fn table(cells: &[Cell]) -> Table {
    let heads = ["devices", "job", "reached after", "by", "×", "accuracy", "mean age", "all answers"];
    let columns = EXPERIMENT.columns.iter().flat_map(|(name, _)| cells.iter().filter(move |cell| cell.column == *name));
    let fedavg_s = |column| cells.iter().find(|cell| cell.column == column).map_or(f64::NAN, Cell::median_s);
    let row = |cell: &Cell| {
        let (median_s, first_s) = (cell.median_s(), fedavg_s(cell.column));
        let ratio = (median_s.is_finite() && first_s.is_finite()).then(|| format!("{:.2}", first_s / median_s));
        let reached = cell.reached_s.iter().flatten().count();
        vec![
            cell.column.to_owned(),
            cell.row.to_owned(),
            show::or_dash(median_s.is_finite().then(|| minutes(median_s))),
            format!("{reached} of {}", cell.reached_s.len()),
            show::or_dash(ratio),
            within(&cell.last),
            format!("{:.1}", cell.staleness),
            minutes(cell.whole_s),
        ]
    };
    show::table(&heads, columns.map(row))
}

fn minutes(seconds: f64) -> String {
    format!("{:.0} min", seconds / 60.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_reaches_what_it_first_reaches() {
        let run =
            Run { judged: vec![(10.0, 0.5), (20.0, 0.9), (30.0, 0.8), (40.0, 0.95), (50.0, 0.7)], staleness: 0.0 };
        assert_eq!((run.reached_s(0.9), run.reached_s(0.96)), (Some(20.0), None));
        assert_eq!(run.last(), 0.7);
    }

    #[test]
    fn a_median_of_runs_that_do_not_arrive_is_no_time() {
        let cell = |reached_s: &[Option<f64>]| Cell {
            row: "",
            column: "",
            reached_s: reached_s.to_vec(),
            last: Interval::new([0.5, 0.6].into_iter(), 0.0),
            staleness: 0.0,
            whole_s: 0.0,
        };
        assert_eq!(cell(&[Some(3.0), None, Some(1.0)]).median_s(), 3.0);
        assert!(cell(&[None, None, Some(1.0)]).median_s().is_infinite());
    }
}
