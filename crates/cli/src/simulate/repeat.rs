//! `dure simulate --repeat`: the same recipe with several seeds, and with each of its folds.

use std::{collections::BTreeMap, path::PathBuf, time::Instant};

use dure_learn::split::{Fold, Split};
use dure_sim::{
    repeat::{Difference, Interval, OverRuns, over_runs},
    report::{Figures, Report, RoundRow},
};
use serde::Serialize;

use super::{told, train, warn};
use crate::{
    args::Simulate,
    fail::Fail,
    output::Output,
    show::{self, Bar, Says},
    source::Found,
    words,
};

/// What sums the runs up, in the folder of the runs' folders.
const SUMMARY: &str = "repeat.json";

/// `repeat.json`.
#[derive(Debug, Serialize)]
struct Repeated {
    /// The recipe's name.
    recipe: String,
    /// Each run's `result.json`, without its rounds.
    runs: Vec<Run>,
    /// By model: each metric on pooled test rows, over runs.
    over_runs: BTreeMap<String, BTreeMap<String, OverRuns>>,
    /// The federation's model against each baseline, by metric.
    differences: Vec<Against>,
}

/// One run.
#[derive(Debug, Serialize)]
pub struct Run {
    seed: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    fold: Option<u32>,
    /// Test rows for each row that was trained on.
    #[serde(skip)]
    shared: f64,
    /// The mean of MAE or accuracy on validation rows over the last fifth of rounds, of those that were evaluated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late: Option<f64>,
    /// Seconds of virtual time, of all training rounds.
    pub virtual_s: f64,
    /// Bytes of all updates.
    pub bytes_up: u64,
    #[serde(flatten)]
    pub report: Report,
}

/// The federation's model against a baseline.
#[derive(Debug, Serialize)]
struct Against {
    metric: &'static str,
    of: String,
    minus: String,
    #[serde(flatten)]
    difference: Difference,
}

/// Runs with `seeds` seeds, and every fold.
pub fn run(args: &Simulate, found: &Found, seeds: u32, started: Instant) -> Result<String, Fail> {
    warn(&found.recipe.plan(&found.origin)?, &found.recipe.world);
    let output = args.out.as_deref().map(|folder| Output::open(folder, &[SUMMARY])).transpose()?;
    let runs = runs(args, found, seeds, ("", &mut Bar::new(started)), started)?;
    let repeated = sum_up(found, runs);
    told(args, output, (SUMMARY, &repeated), || tables(found, &repeated, started))
}

/// Every fold with every seed, from --seed on. `of` says what they are runs of.
pub fn runs(
    args: &Simulate,
    found: &Found,
    seeds: u32,
    (of, bar): (&str, &mut Bar),
    started: Instant,
) -> Result<Vec<Run>, Fail> {
    let folds: Vec<Option<Fold>> = match found.recipe.plan.split.fold {
        Some(Fold { of, .. }) => (1..=of).map(|number| Some(Fold { number, of })).collect(),
        None => vec![None],
    };
    let all = seeds as usize * folds.len();
    let mut runs = Vec::with_capacity(all);
    for i in 0..u64::from(seeds) {
        let seed = args.data.seed.checked_add(i).ok_or_else(|| Fail::usage("--seed: too large to count from"))?;
        for fold in &folds {
            bar.which = format!("{of}run {} of {all}: ", runs.len() + 1);
            runs.push(one(args, found, (seed, *fold), bar, started)?);
        }
    }
    Ok(runs)
}

fn one(
    args: &Simulate,
    found: &Found,
    (seed, fold): (u64, Option<Fold>),
    bar: &mut Bar,
    started: Instant,
) -> Result<Run, Fail> {
    let (mut args, mut recipe) = (args.clone(), found.recipe.clone());
    let fold_name = fold.map_or_else(String::new, |fold| format!("-fold-{}", fold.number));
    args.out = args.out.map(|out: PathBuf| out.join(format!("seed-{seed}{fold_name}")));
    args.data.seed = seed;
    // What the run's page says of how it is repeated.
    args.repeat = None;
    if let Some(Fold { number, of }) = fold {
        recipe.plan.split.fold = fold;
        args.recipe.overrides.push(format!("split.fold={{number={number},of={of}}}"));
    }
    let came = train(&args, &Found { recipe, origin: found.origin.clone() }, bar, started)?;
    let rows = |of: fn(&Split) -> usize| came.clients.splits().map(|split| of(&split)).sum::<usize>();
    let shared = rows(|split| split.test.len()) as f64 / rows(|split| split.both.len()).max(1) as f64;
    let mut report = came.report;
    let late = late(&report.rounds, compared(Says::of_schema(&came.clients.work().schema))[0]);
    let rounds = [std::mem::take(&mut report.rounds), std::mem::take(&mut report.refit)].concat();
    let (virtual_s, bytes_up) =
        (rounds.iter().map(|row| row.virtual_s).sum(), rounds.iter().map(|row| row.bytes_up).sum());
    Ok(Run { seed, fold: fold.map(|fold| fold.number), shared, late, virtual_s, bytes_up, report })
}

/// The mean of a metric over the last fifth of rounds.
fn late(rounds: &[RoundRow], metric: &str) -> Option<f64> {
    let last = rounds.len().div_ceil(5);
    let values = rounds[rounds.len() - last..].iter().filter_map(|row| row.metrics.get(metric));
    let (sum, n) = values.fold((0.0, 0), |(sum, n), value| (sum + value, n + 1));
    (n > 0).then(|| sum / f64::from(n))
}

fn sum_up(found: &Found, runs: Vec<Run>) -> Repeated {
    let models = ["global", "personalised", "central", "local"];
    let over = |model: &str| (model.to_owned(), over_runs(runs.iter().filter_map(|run| figures(&run.report, model))));
    let over_runs = models.into_iter().map(over).filter(|(_, metrics)| !metrics.is_empty()).collect();
    // Where the data set holds its test rows out, all runs have the same ones, and nothing is known of other rows.
    let held_out = found.recipe.plan.split.held_out;
    let shared = if held_out { 0.0 } else { runs.iter().map(|run| run.shared).sum::<f64>() / runs.len() as f64 };
    let personal = runs.iter().any(|run| run.report.last.contains_key("personalised"));
    let of = if personal { "personalised" } else { "global" };
    let mut differences = vec![];
    for metric in compared(Says::of_schema(&found.recipe.schema)) {
        for minus in ["central", "local"] {
            let pair = |run| Some((figures(run, of)?, figures(run, minus)?));
            let pairs: Vec<_> = runs.iter().filter_map(|run| pair(&run.report)).collect();
            let difference = Difference::new(metric, &pairs, shared);
            if difference.runs.n > 0 {
                differences.push(Against { metric, of: of.into(), minus: minus.into(), difference });
            }
        }
    }
    Repeated { recipe: found.recipe.name.clone(), runs, over_runs, differences }
}

pub fn figures<'a>(report: &'a Report, model: &str) -> Option<&'a Figures> {
    report.last.get(model).or_else(|| report.baselines.get(model))
}

/// The metrics by which models are compared, the plainest first.
pub fn compared(says: Says) -> &'static [&'static str] {
    match says {
        Says::Number => &["mae"],
        Says::Class => &["accuracy", "macro_f1"],
    }
}

/// What the runs came to, for people.
fn tables(found: &Found, repeated: &Repeated, started: Instant) -> String {
    let Repeated { runs, over_runs, differences, .. } = repeated;
    let (says, unit) = (Says::of_schema(&found.recipe.schema), &found.recipe.schema.target.unit);
    let (main, head) = says.main();
    let there = show::MODELS.iter().map(|(key, _)| *key).filter(|key| over_runs.contains_key(*key));
    let models: Vec<&str> = there.collect();
    let name = |model: &str| show::MODELS.iter().find(|(key, _)| *key == model).map_or("", |(_, name)| *name);
    let mut said = format!("{}\n", found.recipe.title);
    let each = runs.iter().map(|run| {
        let fold = run.fold.map_or_else(String::new, |fold| format!(", fold {fold}"));
        let figure = |model: &&str| show::figure(figures(&run.report, model).and_then(|f| f.pooled.get(main)));
        std::iter::once(format!("seed {}{fold}", run.seed)).chain(models.iter().map(figure)).collect()
    });
    let of_test = format!("{head} on test rows");
    let heads: Vec<&str> = std::iter::once(&*of_test).chain(models.iter().map(|model| name(model))).collect();
    said += &format!("\n{}\n", show::table(&heads, each));
    let shown = says.of_test(unit);
    let means = models.iter().map(|model| {
        let cell = |metric: &str| {
            over_runs[*model].get(metric).map_or_else(
                || "–".into(),
                |OverRuns { mean, sd, .. }| format!("{} ± {}", show::figure(Some(mean)), show::figure(Some(sd))),
            )
        };
        std::iter::once(name(model).to_owned()).chain(shown.iter().map(|(metric, _)| cell(metric))).collect()
    });
    let over = format!("mean ± sd over {}", words::count(runs.len(), "run"));
    let heads: Vec<&str> = std::iter::once(&*over).chain(shown.iter().map(|(_, head)| head.as_str())).collect();
    said += &format!("\n{}\n", show::table(&heads, means));
    if !differences.is_empty() {
        let rows = differences.iter().map(|Against { metric, of, minus, difference }| {
            let Difference { runs, corrected, clients, better } = difference;
            let head = shown.iter().find(|(key, _)| key == metric).map_or(*metric, |(_, head)| head);
            vec![
                format!("{head}: {}", name(of)),
                name(minus).to_owned(),
                show::figure(Some(&runs.mean)),
                range(runs),
                range(corrected),
                range(clients),
                format!("{better} of {}", clients.n),
            ]
        });
        let heads = ["difference of", "from", "mean", "95 % over runs", "corrected", "95 % over clients", "better at"];
        said += &format!("\n{}\n", show::table(&heads, rows));
        said += "Corrected: for the rows that runs share (Nadeau and Bengio 2003). Each client's difference is its mean over runs.\n";
    }
    said + &format!("\ntook     {}\n", words::span(started.elapsed().as_secs_f64()))
}

/// Where a true mean may be.
fn range(Interval { mean, half_width, .. }: &Interval) -> String {
    half_width.map_or_else(
        || "–".into(),
        |half| format!("{} to {}", show::figure(Some(&(mean - half))), show::figure(Some(&(mean + half)))),
    )
}
