//! `dure bench simulate --task thousand`: rounds in which 100 of 1,000 clients train, each a process of its own.
//!
//! Equal work: made-up people with 32 days each, read from the same table, 100 of them drawn for a round, one epoch of one batch,
//! Adam, Huber, no evaluation. Ours is `dure simulate` as anybody runs it: it encodes, digests and journals as well.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result};
use dure_learn::data::people::{self, Generator};

use super::{
    Peer, Row, median, script,
    simulate::{ALIKE, PEERS, ROUNDS, SCRIPT, called},
    watch,
};
use crate::{args::BenchArgs, fail::Fail};

/// Everybody, their days, and how many of them a round asks.
const CLIENTS: u32 = 1000;
const DAYS: usize = 32;
const COHORT: u32 = 100;

/// How often ours and theirs take turns.
const TURNS: usize = 3;
/// How often one thread and two take turns.
const THREAD_TURNS: usize = 9;

/// Ours and theirs in turn, then one thread and two, where there are two cores.
pub fn run(args: &BenchArgs, say: &dyn Fn(String)) -> Result<Vec<Row>, Fail> {
    let folder = tempfile::tempdir()?;
    let table = folder.path().join("dailyActivity_merged.csv");
    std::fs::write(&table, people_with_as_many_days())?;
    let mut rows = beside_others(args, &table, say)?;
    if std::thread::available_parallelism().is_ok_and(|cores| cores.get() > 1) {
        rows.push(on_two_threads(folder.path(), say)?);
    }
    Ok(rows)
}

/// A table of people who have all worn their device for so many days. Who forgets it has more days to choose from.
pub fn people_with_as_many_days() -> String {
    let csv = people::generate(Generator { people: CLIENTS, days: 2 * DAYS as u32 }, 0);
    let (header, lines) = csv.split_once('\n').unwrap_or_default();
    let worn: Vec<&str> = lines.lines().filter(|line| !line.ends_with(",1440,0")).collect();
    let person = |line: &&str| line.split(',').next().unwrap_or_default().to_owned();
    let of_each = worn.chunk_by(|a, b| person(a) == person(b)).flat_map(|days| days.iter().take(DAYS));
    std::iter::once(&header).chain(of_each).map(|line| format!("{line}\n")).collect()
}

/// A round on one thread beside each of the others'.
fn beside_others(args: &BenchArgs, table: &Path, say: &dyn Fn(String)) -> Result<Vec<Row>> {
    let folder = table.parent().context("a table is in a folder")?;
    let file = table.to_str().context("the folder for temporary files is not UTF-8")?;
    let asked = [file, &ROUNDS.to_string(), &COHORT.to_string()];
    let (mut ours, mut theirs) = (vec![], PEERS.map(|_| (String::new(), vec![])));
    for turn in 1..=TURNS {
        say(format!("rounds on one thread, turn {turn} of {TURNS}"));
        ours.push(round_ms(folder, 1)?);
        for (peer, (name, rounds)) in PEERS.iter().zip(&mut theirs) {
            let Some((told, _)) = script(args.python.as_deref(), SCRIPT, &[&[*peer], &asked[..]].concat())? else {
                continue;
            };
            *name = called(&told);
            rounds.push(told["round_s"].as_f64().context("round_s")? * 1e3);
        }
    }
    let ours = median(&mut ours);
    let row = |peer| Row::new("round: 100 of 1,000 clients × 32 rows, one thread", "ms", ours, peer);
    let peers = theirs.into_iter().filter(|(_, rounds)| !rounds.is_empty());
    let rows: Vec<Row> = peers.map(|(name, mut rounds)| row(Some(Peer { name, value: median(&mut rounds) }))).collect();
    Ok(if rows.is_empty() { vec![row(None)] } else { rows })
}

/// A round on two threads beside one on one.
fn on_two_threads(folder: &Path, say: &dyn Fn(String)) -> Result<Row> {
    let (mut one, mut two) = (vec![], vec![]);
    for turn in 1..=THREAD_TURNS {
        say(format!("rounds on one thread and on two, turn {turn} of {THREAD_TURNS}"));
        one.push(round_ms(folder, 1)?);
        two.push(round_ms(folder, 2)?);
    }
    let alone = Peer { name: "dure, one thread".into(), value: median(&mut one) };
    Ok(Row::new("round: 100 of 1,000 clients × 32 rows, two threads", "ms", median(&mut two), Some(alone)))
}

/// The median round of a simulation but the first, in milliseconds.
fn round_ms(folder: &Path, threads: usize) -> Result<f64> {
    let out = tempfile::tempdir()?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["simulate", "fitbit", "--threads", &threads.to_string(), "--data"]).arg(folder);
    command.arg("--out").arg(out.path()).args(ALIKE);
    watch(command.args([format!("rounds={ROUNDS}"), format!("cohort.size={COHORT}")]))?;
    let told: serde_json::Value = serde_json::from_slice(&std::fs::read(out.path().join("result.json"))?)?;
    let rounds = told["rounds"].as_array().context("rounds")?;
    let mut times: Vec<f64> = rounds.iter().skip(1).filter_map(|round| Some(round["wall_s"].as_f64()? * 1e3)).collect();
    Ok(median(&mut times))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_has_as_many_days() {
        let table = people_with_as_many_days();
        let mut counts = std::collections::BTreeMap::<&str, usize>::new();
        for line in table.lines().skip(1) {
            *counts.entry(line.split(',').next().unwrap()).or_default() += 1;
        }
        assert!(counts.len() == CLIENTS as usize && counts.values().all(|days| *days == DAYS));
        assert!(table.starts_with("Id,ActivityDate,"));
    }
}
