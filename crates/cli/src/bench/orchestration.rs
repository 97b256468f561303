//! `dure bench table orchestration`: how often a participant's job is done, and how soon, by how a machine is chosen for it.
//!
//! A founding system gave each of 20 jobs to one of a participant's five virtual machines, and published that a draw without retry does
//! 40 % of them and its own choice all. Here machines fail while they train, and what chooses is the federation's own rules.

mod participant;

use std::collections::BTreeMap;

use anyhow::Result;
use dure_core::cohort::Select;
use rayon::prelude::*;
use serde::Serialize;

use self::participant::{Done, Failure, Policy};
use super::{Measured, median, tables::SMOKE};
use crate::{args::BenchTable, fail::Fail, show};

const TITLE: &str = "A participant's five virtual machines, of which two can do a job: jobs that are done, by how a machine is chosen and how many fail while they train";

const POLICIES: [Policy; 4] = [
    Policy { name: "random", filters: false, select: Select::Random, reassign: false, tries: 1, published: Some(0.4) },
    Policy { name: "filter", filters: true, select: Select::Random, reassign: false, tries: 1, published: None },
    Policy {
        name: "filter, ring, reassignment",
        filters: true,
        select: Select::Ring {},
        reassign: true,
        tries: 1,
        published: Some(1.0),
    },
    // As a job does without `stop.abandoned`.
    Policy {
        name: "the same, tried again",
        filters: true,
        select: Select::Ring {},
        reassign: true,
        tries: 10,
        published: None,
    },
];

/// How many machines fail while they train, and the probability that one does.
const FAILING: [(&str, f64); 3] = [("0 %", 0.0), ("10 %", 0.1), ("30 %", 0.3)];

/// What ends a job's last try, in words.
const FAILURES: [(Failure, &str); 5] = [
    (Failure::Inactive, "inactive"),
    (Failure::Memory, "too little memory"),
    (Failure::Failed, "failed, no other free"),
    (Failure::AllFailed, "all failed"),
    (Failure::Deadline, "too late"),
];

/// The published number of jobs.
const JOBS: u32 = 20;

/// The table that was made. Its runs have the seeds from 0 on.
#[derive(Serialize)]
struct Made {
    title: &'static str,
    runs: u16,
    jobs_per_run: u32,
    cells: Vec<Cell>,
}

/// A policy where so many machines fail.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Cell {
    row: &'static str,
    column: &'static str,
    jobs: u64,
    done: Share,
    #[serde(skip_serializing_if = "Option::is_none")]
    published: Option<f64>,
    /// Of jobs that were done, from when they could have begun.
    median_s: Option<f64>,
    mean_s: Option<f64>,
    /// What a job that failed took on average.
    lost_s: Option<f64>,
    /// How many jobs failed, by what ended the last try.
    failures: BTreeMap<Failure, u64>,
}

/// A share, and its 95 % interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Share {
    share: f64,
    low: f64,
    high: f64,
}

impl Share {
    /// `some` of `all`. Wilson 1927, which has a width also where nothing or everything is done.
    fn new(some: u64, all: u64) -> Self {
        const Z: f64 = 1.959_964;
        let (n, share) = (all as f64, some as f64 / all as f64);
        let middle = share + Z * Z / (2.0 * n);
        let half = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
        let whole = 1.0 + Z * Z / n;
        Self { share, low: ((middle - half) / whole).max(0.0), high: ((middle + half) / whole).min(1.0) }
    }
}

/// Makes the table, its seeds side by side.
pub fn run(args: &BenchTable, say: &dyn Fn(String)) -> Result<Measured, Fail> {
    if let Some(folder) = &args.data {
        return Err(Fail::usage(format!(
            "--data {} is not allowed: the table orchestration reads no data",
            folder.display()
        )));
    }
    let runs = args.seeds.unwrap_or(if args.smoke { 20 } else { 1000 });
    let mut cells = vec![];
    for policy in &POLICIES {
        say(format!("orchestration: {}", policy.name));
        for failing in FAILING {
            cells.push(cell(policy, failing, runs)?);
        }
    }
    let made = Made { title: TITLE, runs, jobs_per_run: JOBS, cells };
    let smoke = if args.smoke { SMOKE } else { "" };
    Ok(Measured { text: table(&made) + smoke, json: serde_json::to_value(&made)? })
}

fn cell(policy: &Policy, (column, failing): (&'static str, f64), runs: u16) -> Result<Cell> {
    let of_seed = |seed| participant::run(policy, failing, u64::from(seed), JOBS);
    let jobs = (0..runs).into_par_iter().map(of_seed).collect::<Result<Vec<_>>>()?.concat();
    let seconds = |job: &Done| job.took.0 as f64 / 1000.0;
    let (done, failed): (Vec<&Done>, Vec<&Done>) = jobs.iter().partition(|job| job.failure.is_none());
    let mut times: Vec<f64> = done.into_iter().map(seconds).collect();
    let lost: Vec<f64> = failed.iter().copied().map(seconds).collect();
    let mut failures = BTreeMap::new();
    failed.iter().filter_map(|job| job.failure).for_each(|failure| *failures.entry(failure).or_default() += 1);
    Ok(Cell {
        row: policy.name,
        column,
        jobs: jobs.len() as u64,
        done: Share::new(times.len() as u64, jobs.len() as u64),
        published: policy.published.filter(|_| failing == 0.0),
        mean_s: mean(&times),
        median_s: Some(median(&mut times)).filter(|median| median.is_finite()),
        lost_s: mean(&lost),
        failures,
    })
}

fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

fn table(made: &Made) -> String {
    let Made { title, runs, jobs_per_run, cells } = made;
    let heads = ["", "machines fail", "jobs done", "95 % interval", "published", "median", "mean"];
    let done = show::table(&heads, cells.iter().map(done));
    let heads: Vec<&str> = ["of all jobs failed", "machines fail"]
        .into_iter()
        .chain(FAILURES.map(|(_, words)| words))
        .chain(["failed after, mean"])
        .collect();
    let failed = show::table(&heads, cells.iter().filter(|cell| !cell.failures.is_empty()).map(failed));
    format!(
        "{title}\n\n{done}\n\n{failed}\n\n\
         {runs} seeds with {jobs_per_run} jobs each; Wilson's intervals over jobs; virtual time, the wait for a machine that is free included.\n\
         Published: {jobs_per_run} jobs, no machine made to fail. Two of five machines can do a job: a uniform draw does 40 % of them by definition.\n"
    )
}

/// How many jobs are done, and how soon.
fn done(cell: &Cell) -> Vec<String> {
    let Share { share, low, high } = cell.done;
    vec![
        cell.row.to_owned(),
        cell.column.to_owned(),
        percent(share),
        format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high),
        cell.published.map_or_else(String::new, |published| format!("{:.0} %", 100.0 * published)),
        seconds(cell.median_s),
        seconds(cell.mean_s),
    ]
}

/// Why the others failed, and after how long.
fn failed(cell: &Cell) -> Vec<String> {
    let by = |(failure, _)| {
        let jobs = cell.failures.get(&failure);
        show::or_dash(jobs.map(|jobs| format!("{:.2} %", 100.0 * *jobs as f64 / cell.jobs as f64)))
    };
    let names = [cell.row, cell.column].map(str::to_owned).into_iter();
    names.chain(FAILURES.map(by)).chain([seconds(cell.lost_s)]).collect()
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn seconds(value: Option<f64>) -> String {
    show::or_dash(value.map(|value| format!("{value:.1} s")))
}

#[cfg(test)]
mod tests {
    use dure_core::plan::StopRules;

    use super::*;

    /// A policy's jobs of some seeds.
    fn jobs(policy: &Policy, failing: f64) -> Vec<Done> {
        (0..50).flat_map(|seed| participant::run(policy, failing, seed, JOBS).unwrap()).collect()
    }

    fn all_cells() -> Vec<Cell> {
        let pairs = POLICIES.iter().flat_map(|policy| FAILING.map(|failing| (policy, failing)));
        pairs.map(|(policy, failing)| cell(policy, failing, 10).unwrap()).collect()
    }

    #[test]
    fn a_share_has_wilsons_interval() {
        let check = |some, all, low: f64, high: f64| {
            let share = Share::new(some, all);
            assert!((share.low - low).abs() < 1e-4 && (share.high - high).abs() < 1e-4, "{share:?}");
        };
        // By hand: z²/(n + z²), and (p + z²/2n ± z·√(p(1 − p)/n + z²/4n²)) / (1 + z²/n).
        check(0, 10, 0.0, 0.2775);
        check(5, 10, 0.2366, 0.7634);
        check(10, 10, 0.7225, 1.0);
    }

    #[test]
    fn where_nothing_fails_a_draw_does_two_jobs_of_five_and_a_filter_does_all() {
        let drawn = jobs(&POLICIES[0], 0.0);
        let done = drawn.iter().filter(|job| job.failure.is_none()).count() as u64;
        let share = Share::new(done, drawn.len() as u64);
        assert!(share.low < 0.4 && 0.4 < share.high, "{share:?}");
        for policy in &POLICIES[1..] {
            assert!(jobs(policy, 0.0).iter().all(|job| job.failure.is_none()), "{}", policy.name);
        }
    }

    #[test]
    fn no_job_fails_for_a_task_that_another_machine_can_take_over() {
        for (_, failing) in FAILING {
            let [filter, reassigned, again] = [1, 2, 3].map(|policy| jobs(&POLICIES[policy], failing));
            for ((filter, reassigned), again) in filter.iter().zip(&reassigned).zip(&again) {
                assert!(filter.failure.is_some() || reassigned.failure.is_none(), "{filter:?} {reassigned:?}");
                assert!(reassigned.failure.is_some() || again.failure.is_none(), "{reassigned:?} {again:?}");
            }
        }
        assert_eq!(POLICIES[3].tries, StopRules::default().abandoned);
    }

    #[test]
    fn who_looks_at_machines_asks_none_that_cannot_do_it() {
        let by = |failure| jobs(&POLICIES[0], 0.3).iter().any(|job| job.failure == Some(failure));
        assert!(by(Failure::Inactive) && by(Failure::Memory) && by(Failure::Failed) && !by(Failure::AllFailed));
        for policy in &POLICIES[1..] {
            let failures: Vec<Failure> = jobs(policy, 0.3).iter().filter_map(|job| job.failure).collect();
            let cannot = [Failure::Inactive, Failure::Memory];
            assert!(!failures.iter().any(|failure| cannot.contains(failure)), "{failures:?}");
        }
    }

    #[test]
    fn the_same_seeds_make_the_same_table_on_any_number_of_threads() {
        let on = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(all_cells);
        let cells = on(1);
        assert_eq!(cells, on(3));
        for cell in cells {
            let failed: u64 = cell.failures.values().sum();
            assert_eq!(cell.done, Share::new(cell.jobs - failed, cell.jobs));
        }
    }
}
