//! `dure bench`: figures beside other software's, measured in turn in the same run.

mod asynchronous;
mod codec;
mod mnist;
mod orchestration;
mod population;
mod recover;
mod serve;
mod simulate;
mod tables;
mod thousand;
mod train;

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use indicatif::ProgressBar;
use serde::Serialize;

use crate::{
    args::{self, BenchCommand, SimulateTask},
    fail::Fail,
    show,
};

/// One figure of ours, and the same of somebody else's if it is installed.
#[derive(Debug, Serialize)]
pub struct Row {
    what: String,
    unit: &'static str,
    ours: f64,
    peer: Option<Peer>,
    /// The peer's figure divided by ours.
    ratio: Option<f64>,
}

/// Somebody else's figure.
#[derive(Debug, Serialize)]
pub struct Peer {
    name: String,
    value: f64,
}

impl Row {
    fn new(what: impl Into<String>, unit: &'static str, ours: f64, peer: Option<Peer>) -> Self {
        let ratio = peer.as_ref().map(|peer| peer.value / ours);
        Self { what: what.into(), unit, ours, peer, ratio }
    }
}

/// What was measured: the keys of the JSON, and the tables.
struct Measured {
    json: serde_json::Value,
    text: String,
}

/// Measures, and prints a table or JSON.
pub fn run(args: &args::Bench) -> Result<String, Fail> {
    let (python, json) = match &args.command {
        BenchCommand::Step { what } => return Ok(train::step(what)?),
        BenchCommand::Recover { json } => (None, *json),
        BenchCommand::Table(table) => (None, table.json),
        BenchCommand::Train(bench)
        | BenchCommand::Simulate { bench, .. }
        | BenchCommand::Serve { bench, .. }
        | BenchCommand::Codec(args::Codec { bench, .. }) => (bench.python.as_ref(), bench.json),
    };
    if let Some(python) = python {
        let answers = Command::new(python).arg("--version").output().is_ok_and(|output| output.status.success());
        if !answers {
            return Err(Fail::usage(format!("--python {}: is no Python that runs", python.display())));
        }
    }
    let live = show::live();
    let say = |what: String| live.iter().for_each(|line| line.set_message(what.clone()));
    say("measuring; this takes minutes".into());
    let measured = measured(&args.command, &say);
    live.iter().for_each(ProgressBar::finish_and_clear);
    let Measured { json: mut told, text } = measured?;
    if !json {
        return Ok(text);
    }
    let cpu = cpu().unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    told["machine"] = serde_json::json!({"cpu": cpu, "cores": cores, "os": std::env::consts::OS});
    Ok(format!("{told:#}\n"))
}

/// The figures of a command; `say` shows what goes on.
fn measured(command: &BenchCommand, say: &dyn Fn(String)) -> Result<Measured, Fail> {
    let rows = match command {
        BenchCommand::Train(args) => train::run(args)?,
        BenchCommand::Simulate { bench, data, task } => match task {
            SimulateTask::Fitbit => simulate::run(bench, needed(data)?)?,
            SimulateTask::MnistCnn => mnist::run(bench, needed(data)?, say)?,
            SimulateTask::Thousand => thousand::run(bench, say)?,
            SimulateTask::Population => population::run(say)?,
        },
        BenchCommand::Serve { bench, clients } => serve::run(bench, usize::from(*clients))?,
        BenchCommand::Recover { .. } => recover::run()?,
        BenchCommand::Codec(args) => return codec::run(args, say),
        BenchCommand::Table(args) => return tables::run(args, say),
        BenchCommand::Step { .. } => vec![],
    };
    let cells = rows.iter().map(|row| {
        let (name, value) =
            row.peer.as_ref().map_or(("–".into(), "–".into()), |peer| (peer.name.clone(), number(peer.value)));
        let ratio = row.ratio.map_or_else(|| "–".into(), |ratio| format!("{ratio:.1} ×"));
        vec![row.what.clone(), row.unit.into(), number(row.ours), name, value, ratio]
    });
    let table = show::table(&["what", "unit", "dure", "peer", "its figure", "peer ÷ dure"], cells);
    Ok(Measured { text: format!("{table}\n"), json: serde_json::json!({"rows": rows}) })
}

/// The folder of a task that is measured on real data.
fn needed(data: &Option<PathBuf>) -> Result<&Path, Fail> {
    data.as_deref().ok_or_else(|| Fail::usage("--data DIR is needed: the folder of the task's data set"))
}

/// A figure in a table.
fn number(value: f64) -> String {
    if value < 10.0 { format!("{value:.3}") } else { format!("{value:.1}") }
}

fn cpu() -> Option<String> {
    let info = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = info.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split(':').nth(1)?.trim().to_owned())
}

/// The middle one of `values`.
fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest of `values` that `percent` of them do not exceed: the nearest rank.
fn percentile(values: &mut [f64], percent: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

/// What another program printed last, and how it was while it ran.
struct Watched {
    last_line: String,
    wall_s: f64,
    peak_rss_bytes: u64,
}

/// Runs a program to its end. Its memory is looked at now and then, seldom enough not to slow it down on the same core; what
/// its children hold is not counted.
fn watch(command: &mut Command) -> Result<Watched> {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).stdin(Stdio::null()).spawn()?;
    let status_file = PathBuf::from(format!("/proc/{}/status", child.id()));
    let (ended, end) = mpsc::channel::<()>();
    let memory = std::thread::spawn(move || {
        let mut peak = 0;
        loop {
            peak = crate::simulate::memory_of(&status_file, "VmHWM").unwrap_or(0).max(peak);
            if end.recv_timeout(Duration::from_millis(50)) != Err(mpsc::RecvTimeoutError::Timeout) {
                return peak;
            }
        }
    });
    let complaints = child.stderr.take().context("no errors")?;
    let complaints = std::thread::spawn(move || std::io::read_to_string(complaints));
    let output = std::io::read_to_string(child.stdout.take().context("no output")?)?;
    let status = child.wait()?;
    let wall_s = started.elapsed().as_secs_f64();
    drop(ended);
    let badly = |_| anyhow::anyhow!("a reader ended badly");
    let (peak_rss_bytes, complaints) = (memory.join().map_err(badly)?, complaints.join().map_err(badly)??);
    anyhow::ensure!(status.success(), "{}", complaints.lines().last().unwrap_or("it failed and did not say why"));
    Ok(Watched { last_line: output.lines().last().unwrap_or_default().into(), wall_s, peak_rss_bytes })
}

/// Runs one of our scripts in `python`; `None`, with a word on standard error, where it cannot run.
fn script(
    python: Option<&Path>,
    (name, text): (&str, &str),
    args: &[&str],
) -> Result<Option<(serde_json::Value, Watched)>> {
    let Some(python) = python else { return Ok(None) };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join(name);
    std::fs::write(&path, text)?;
    match watch(Command::new(python).arg(&path).args(args)) {
        Ok(watched) => Ok(Some((serde_json::from_str(&watched.last_line).context("the script's last line")?, watched))),
        Err(error) => {
            eprintln!("dure: {name} {}: {error:#}", args.join(" "));
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_the_value_that_so_many_do_not_exceed() {
        let check = |count: u32, percent, want| {
            let mut values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
            assert_eq!(percentile(&mut values, percent), want, "{percent} % of {count}");
        };
        check(100, 50.0, 50.0);
        check(100, 99.0, 99.0);
        check(1000, 99.0, 990.0);
        check(3, 50.0, 2.0);
        check(3, 99.0, 3.0);
        check(1, 0.0, 1.0);
        assert!(percentile(&mut [], 50.0).is_nan());
    }
}
