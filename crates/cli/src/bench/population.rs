//! `dure bench simulate --task population`: what a client takes that waits, where 1,000 of 100,000 train in a round.
//!
//! The same simulation with 2,000 clients and with 100,000, each a process of its own: what one takes more at its peak, divided by how many
//! clients it has more. Everything counts: names, members, whom a round can ask, and what of all that is copied while
//! it does. The rows do not grow: all share those of 1,000. A measurement of columns asks everybody and keeps each answer until the round
//! after it, so it is a figure of its own.

use std::{path::Path, process::Command};

use anyhow::Result;

use super::{Row, thousand::people_with_as_many_days, watch};
use crate::fail::Fail;

const FEW: u32 = 2_000;
const MANY: u32 = 100_000;

/// Categories and classes: nothing of them is measured.
const RECIPE: &str = r#"
name = "population"
title = "Wards by how a patient arrives"
data = "population"

[schema]
features = [
    { name = "arrival", categories = ["walk-in", "ambulance", "transfer"] },
    { name = "night", categories = ["yes", "no"] },
    { name = "age", categories = ["to 18", "19 to 40", "41 to 65", "66 to 80", "above 80"] },
]
target = { name = "admitted", classes = ["yes", "no"] }

[plan]
rounds = 5
cohort = { size = 1000 }
split = { test = 0, validation = 0 }
evaluate = { every = 0 }
model = { name = "mlp", hidden = [64, 64, 32] }
training = { batch_size = 32, loss = { name = "cross_entropy" }, optimizer = { name = "adam", learning_rate = 0.001 } }

[site]
file = "patients.csv"
client = "ward"
prefix = "client"
"#;

/// What makes Fitbit's recipe a population's.
const MEASURED: [&str; 6] =
    ["split.test=0", "split.validation=0", "evaluate.every=0", "refit=false", "rounds=5", "cohort.size=1000"];

/// Ours alone: nobody else has such a client.
pub fn run(say: &dyn Fn(String)) -> Result<Vec<Row>, Fail> {
    let folder = tempfile::tempdir()?;
    let recipe = folder.path().join("population.toml");
    std::fs::write(&recipe, RECIPE)?;
    std::fs::write(folder.path().join("patients.csv"), patients())?;
    std::fs::write(folder.path().join("dailyActivity_merged.csv"), people_with_as_many_days())?;
    say(format!("{FEW} clients, then {MANY}"));
    let (few, _) = simulated(&recipe, folder.path(), FEW, &[])?;
    let (many, wall_s) = simulated(&recipe, folder.path(), MANY, &[])?;
    let fitbit = Path::new("fitbit");
    let (few_measured, _) = simulated(fitbit, folder.path(), FEW, &MEASURED)?;
    let (many_measured, _) = simulated(fitbit, folder.path(), MANY, &MEASURED)?;
    let each = |few: u64, many: u64| many.saturating_sub(few) as f64 / f64::from(MANY - FEW);
    Ok(vec![
        Row::new("memory of a client that waits, 1,000 of 100,000 in a round", "B", each(few, many), None),
        Row::new("the same while answers on 11 columns are there", "B", each(few_measured, many_measured), None),
        Row::new("memory of the process, 100,000 clients", "MiB", many as f64 / 1048576.0, None),
        Row::new("whole run of 5 rounds, 100,000 clients", "s", wall_s, None),
    ])
}

/// The most memory of `dure simulate` with so many clients, on one thread, and how long it took.
fn simulated(recipe: &Path, data: &Path, clients: u32, overrides: &[&str]) -> Result<(u64, f64)> {
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("simulate").arg(recipe).args(["--threads", "1", "--data"]).arg(data);
    let watched = watch(command.arg(format!("world.population={clients}")).args(overrides))?;
    Ok((watched.peak_rss_bytes, watched.wall_s))
}

/// A table of 1,000 wards with 32 patients each.
fn patients() -> String {
    let (arrivals, ages) =
        (["walk-in", "ambulance", "transfer"], ["to 18", "19 to 40", "41 to 65", "66 to 80", "above 80"]);
    let mut csv = String::from("ward,arrival,night,age,admitted\n");
    for i in 0..32_000usize {
        let word = |yes: bool| if yes { "yes" } else { "no" };
        let (ward, arrival, age) = (i / 32, i * 7 % 3, i * 11 % 5);
        let (night, admitted) = (word(i % 4 == 0), word((ward + arrival + age) % 3 == 0));
        csv.push_str(&format!("ward-{ward:04},{},{night},{},{admitted}\n", arrivals[arrival], ages[age]));
    }
    csv
}
