//! `dure simulate`

mod repeat;
mod sweep;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::Context as _;
use dure_core::{
    event::{Event, Stop},
    journal,
    plan::Plan,
};
use dure_learn::{work::Work, world::World};
use dure_sim::{
    Simulation, baselines,
    clients::Clients,
    replay::{Replayed, replay},
    report::{DataReport, Figures, ModelReport, Report, RoundRow, rounds_csv},
    simulate_into,
};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    args::{Baseline, DataArgs, Simulate},
    fail::Fail,
    federation::{read_journal, standing},
    output::Output,
    report,
    show::{self, Bar, Says},
    source::{self, Found},
    words,
};

/// The files of a run, in the order in which they appear: the last one names the digests of the others.
const RESULTS: [&str; 5] = ["model.safetensors", "journal.jsonl", "rounds.csv", "report.html", "result.json"];

/// Trains a whole federation, or repeats a journal.
pub fn run(args: &Simulate, started: Instant) -> Result<String, Fail> {
    if !args.sweep.is_empty() || args.compare {
        return sweep::run(args, args.repeat.unwrap_or(1), started);
    }
    let found = source::recipe(&args.recipe)?;
    match (&args.replay, args.repeat) {
        (Some(journal), _) => replay_journal(args, &found, journal, started),
        (None, Some(seeds)) => repeat::run(args, &found, seeds, started),
        (None, None) => {
            warn(&found.recipe.plan(&found.origin)?, &found.recipe.world);
            let Came { clients, run, report } = train(args, &found, &mut Bar::new(started), started)?;
            if args.json {
                return Ok(serde_json::to_string_pretty(&report)? + "\n");
            }
            let written =
                args.out.as_ref().map(|out| format!("written  {}/{{{}}}\n", out.display(), RESULTS.join(", ")));
            Ok(tables(&found, &clients, &run, &report) + &written.unwrap_or_default())
        }
    }
}

/// What does nothing here.
fn warn(plan: &Plan, world: &World) {
    if world.takes_time() {
        return;
    }
    if plan.stop.time_limit_s.is_some() {
        eprintln!("dure: stop.time_limit_s does nothing here: the time of a simulation stands still");
    }
    if plan.cohort.over_selection > 1.0 {
        eprintln!(
            "dure: all clients of a simulation answer at once: cohort.over_selection only makes its cohorts larger"
        );
    }
}

/// What several runs came to, summed up: in the folder of their folders if there is one, and as JSON or in words.
fn told(
    args: &Simulate,
    output: Option<Output>,
    (name, summary): (&str, &impl Serialize),
    words: impl FnOnce() -> String,
) -> Result<String, Fail> {
    let json = serde_json::to_string_pretty(summary)? + "\n";
    if let Some(output) = output {
        output.write(&[(name, json.as_bytes())])?;
    }
    if args.json {
        return Ok(json);
    }
    let written = |out: &PathBuf| format!("written  {}/{name}, and a folder for each of them\n", out.display());
    Ok(words() + &args.out.as_ref().map(written).unwrap_or_default())
}

/// A run that has come to its end.
struct Came {
    clients: Clients,
    run: Simulation,
    report: Report,
}

/// Trains a whole federation, and its baselines if they are asked for; writes its folder if one is named.
fn train(args: &Simulate, found: &Found, bar: &mut Bar, started: Instant) -> Result<Came, Fail> {
    let plan = found.recipe.plan(&found.origin)?;
    let threads = threads(args.threads)?;
    let output = args.out.as_deref().map(|folder| Output::open(folder, &RESULTS)).transpose()?;
    let data = source::simulated(found, &args.data)?;
    let trace = source::trace(found)?;
    let clients = Clients::new(data, found.recipe.work(), args.data.seed, threads)?;
    let mut clients = clients.in_world(found.recipe.world.clone(), trace);
    // Of many clients it is longer than all else together.
    let mut journal = String::new();
    let mut keep = |lines: &str| {
        if output.is_some() {
            journal.push_str(lines);
        }
    };
    let run = simulate_into(plan, args.data.seed, &mut clients, &mut |progress| bar.show(progress), &mut keep)?;
    bar.clear();
    let line = args.baselines.and_then(|_| show::live());
    line.iter().for_each(|line| line.set_message(format!("{}training the baselines", bar.which)));
    let baselines =
        args.baselines.map(|which| baselines(which, found, &clients, &run)).transpose()?.unwrap_or_default();
    line.iter().for_each(ProgressBar::finish_and_clear);
    let report = came(found, args.data.seed, &clients, &run, baselines, (threads, started));
    if let (Some(output), Some(models)) = (&output, &run.models) {
        let rounds = [&report.rounds[..], &report.refit].concat();
        let [model, events, table, page, result] = RESULTS;
        let json = serde_json::to_string_pretty(&report)?;
        let html = report::html(&report::fill::filled(args, found, &mut clients, &run, &report)?);
        output.write(&[
            (model, models.blob()),
            (events, journal.as_bytes()),
            (table, rounds_csv(&rounds, Says::of_schema(&found.recipe.schema).metrics()).as_bytes()),
            (page, html.as_bytes()),
            (result, format!("{json}\n").as_bytes()),
        ])?;
    }
    Ok(Came { clients, run, report })
}

/// How many threads train.
fn threads(asked: Option<usize>) -> Result<usize, Fail> {
    match asked {
        Some(threads @ 1..=1024) => Ok(threads),
        Some(other) => Err(Fail::usage(format!("--threads {other} is not allowed: 1 to 1024"))),
        None => Ok(std::thread::available_parallelism().map_or(1, usize::from)),
    }
}

fn baselines(
    which: Baseline,
    found: &Found,
    clients: &Clients,
    run: &Simulation,
) -> Result<BTreeMap<String, Figures>, Fail> {
    let Some(job) = run.federation.jobs.last().filter(|job| job.completed > 0) else { return Ok(BTreeMap::new()) };
    // As many rounds as a client took part in, on average.
    let answers: usize = run.rounds.iter().filter(|row| row.job == job.id).map(|row| row.participants).sum();
    let rounds = (answers as f64 / clients.data().clients.len() as f64).round().max(1.0) as u32;
    let (alone, alone_rounds) = found.recipe.alone().unwrap_or_else(|| (clients.work().clone(), rounds));
    let mut figures = BTreeMap::new();
    if which != Baseline::Local {
        figures.insert("central".into(), baselines::central(clients, job, rounds)?);
    }
    if which != Baseline::Central {
        figures.insert("local".into(), baselines::local(clients, job, (&alone, alone_rounds))?);
    }
    Ok(figures)
}

/// What the run came to.
fn came(
    found: &Found,
    seed: u64,
    clients: &Clients,
    run: &Simulation,
    baselines: BTreeMap<String, Figures>,
    (threads, started): (usize, Instant),
) -> Report {
    let data = clients.data();
    let (rounds, refit) = run.rounds.iter().cloned().partition(|row| row.job == 1);
    let models = run.models.as_ref();
    Report {
        recipe: found.recipe.name.clone(),
        seed,
        data: DataReport {
            source: data.source.word().into(),
            clients: data.clients.len(),
            examples: data.rows(),
            dropped: data.dropped,
        },
        model: ModelReport {
            parameters: models.map_or(0, |models| models.params().values().len()),
            sha256: models.map_or(journal::GENESIS, |models| models.sha256()),
        },
        journal: run.head,
        rounds,
        refit,
        last: run.tested.as_ref().map(Figures::of_test).unwrap_or_default(),
        baselines,
        threads,
        wall_s: started.elapsed().as_secs_f64(),
        peak_rss_bytes: peak_rss_bytes(),
    }
}

/// The most memory that this process has held; 0 where the system does not tell.
fn peak_rss_bytes() -> u64 {
    memory_of(Path::new("/proc/self/status"), "VmHWM").unwrap_or(0)
}

/// What the status file of a process says about its memory, in bytes: `VmHWM` is the most that it has held.
pub fn memory_of(status: &Path, field: &str) -> Option<u64> {
    let status = std::fs::read_to_string(status).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    Some(line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok()? * 1024)
}

/// What the run came to, for people.
fn tables(found: &Found, clients: &Clients, run: &Simulation, report: &Report) -> String {
    let Report { model, journal, threads, wall_s, .. } = report;
    let mut said = format!("{}\n{}\n", found.recipe.title, source::describe(clients.data()));
    said += &format!("\n{}\n", show::rounds(&report.rounds, Says::of_schema(&found.recipe.schema)));
    said += stop_words(run);
    if report.rounds.iter().any(|row| !row.metrics.is_empty()) {
        said += "Metrics are on validation rows. ";
    }
    if !report.refit.is_empty() {
        let rounds = report.refit.len();
        said += &format!("Then {rounds} rounds from the start, on training and validation rows together.");
    }
    said += "\n";
    if !report.last.is_empty() {
        let unit = &found.recipe.schema.target.unit;
        said += &format!(
            "\n{}\n",
            show::figures(&report.last, &report.baselines, Says::of_schema(&found.recipe.schema), unit)
        );
    }
    let classes =
        report.last.get("global").and_then(|figures| show::classes(&found.recipe.schema.target.classes, figures));
    said += &classes.map_or_else(String::new, |table| format!("\n{table}\n"));
    said += &format!("\nmodel    {} parameters, sha256 {}\n", model.parameters, model.sha256);
    said += &format!("journal  {} events, head {}\n", journal.sequence, journal.hash);
    let memory = show::bytes(report.peak_rss_bytes);
    let rounds = [&report.rounds[..], &report.refit].concat();
    said += &age_words(&rounds);
    said += &world_words(&rounds);
    said += &format!("took     {wall_s:.2} s on {threads} threads, {memory} of memory at most\n");
    said
}

/// How old answers were, where rounds have no cohort.
fn age_words(rounds: &[RoundRow]) -> String {
    let ages: f64 = rounds.iter().map(|row| row.staleness * row.participants as f64).sum();
    let answers: usize = rounds.iter().map(|row| row.participants).sum();
    let oldest = rounds.iter().map(|row| row.staleness).fold(0.0, f64::max);
    if oldest == 0.0 {
        return String::new();
    }
    format!(
        "answers  {:.1} versions old in the mean, {oldest:.1} in the round with the oldest\n",
        ages / answers as f64
    )
}

/// What the rounds took in the simulated world, and what they waited for.
fn world_words(rounds: &[RoundRow]) -> String {
    let virtual_s: f64 = rounds.iter().map(|row| row.virtual_s).sum();
    if virtual_s == 0.0 {
        return String::new();
    }
    let mut counts = BTreeMap::<&str, usize>::new();
    for row in rounds.iter().filter(|row| !row.waited_for.is_empty()) {
        *counts.entry(row.waited_for.rsplit(": ").next().unwrap_or_default()).or_default() += 1;
    }
    let mut counts: Vec<(usize, &str)> = counts.into_iter().map(|(what, rounds)| (rounds, what)).collect();
    counts.sort_unstable_by(|a, b| b.cmp(a));
    let waited: Vec<String> =
        counts.into_iter().map(|(rounds, what)| format!("{what} {}", words::count(rounds, "time"))).collect();
    let waited = if waited.is_empty() { String::new() } else { format!("; rounds ended with {}", waited.join(", ")) };
    format!("world    {} of virtual time{waited}\n", words::span(virtual_s))
}

/// Why the training of the first job ended, where it was not by its number of rounds.
fn stop_words(run: &Simulation) -> &'static str {
    match run.federation.jobs.first().and_then(|job| job.trained) {
        Some(Stop::Target) => "Training stopped: the metric reached its target. ",
        Some(Stop::Patience) => "Training stopped: the metric had not improved for too long. ",
        _ => "",
    }
}

fn replay_journal(args: &Simulate, found: &Found, path: &Path, started: Instant) -> Result<String, Fail> {
    let threads = threads(args.threads)?;
    let of_recipe =
        |typed: &&String| ["site.", "generator.", "world."].iter().any(|section| typed.starts_with(section));
    if let Some(typed) = args.recipe.overrides.iter().find(|typed| !of_recipe(typed)) {
        return Err(Fail::usage(format!(
            "{typed} does nothing to a replay: the plan is the journal's; keys of site, generator and world are the recipe's"
        )));
    }
    let (records, head) = read_journal(path, None)?;
    let created = records.iter().find_map(|record| match &record.event {
        Event::JobCreated { seed, plan, .. } => Some((*seed, plan)),
        _ => None,
    });
    let (seed, plan) = created.ok_or_else(|| anyhow::anyhow!("{}: has no job to repeat", path.display()))?;
    let work = Work::of(plan).map_err(|error| Fail::usage(format!("{}: {error}", path.display())))?;
    // The site is the recipe's; what its rows mean and how they are divided is the journal's.
    let mut recipe = found.recipe.clone();
    (recipe.schema, recipe.plan.split) = (work.schema.clone(), work.split);
    let found = Found { recipe, origin: found.origin.clone() };
    let data_args = DataArgs { data: args.data.data.clone(), seed };
    let clients = Clients::new(source::simulated(&found, &data_args)?, work, seed, threads)?;
    let mut clients = clients.in_world(found.recipe.world.clone(), source::trace(&found)?);
    let rows = source::describe(clients.data());
    let mut bar = Bar::new(started);
    let replayed = replay(&records, &mut clients, &mut |progress| bar.show(progress));
    let (federation, models, seen) = replayed.with_context(|| format!("{}: on {rows}", path.display()))?;
    bar.clear();
    let sha256 = models.as_ref().map_or(journal::GENESIS, |models| models.sha256());
    let Replayed { answers, versions } = seen;
    let (standing, journal::Head { sequence, hash }) = (standing(&federation), head);
    if args.json {
        let told = serde_json::json!({
            "federation": federation.name, "standing": standing, "journal": head, "answers": answers, "versions": versions, "model": {"sha256": sha256},
        });
        return Ok(format!("{told:#}\n"));
    }
    Ok(format!(
        "rows     {rows}\n\
         journal  {sequence} events, the chain holds, head {hash}; {standing}\n\
         replay   {answers} answers and {versions} model versions came out alike\n\
         model    sha256 {sha256}\n"
    ))
}
