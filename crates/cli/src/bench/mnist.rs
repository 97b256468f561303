//! `dure bench simulate --task mnist-cnn`: rounds of FedAvg with the convolutional network of McMahan et al. 2017.
//!
//! Equal work: 60,000 images dealt out to 100 clients, 10 of them in a round, one epoch, batch 32, SGD, no evaluation. Beside a
//! plain PyTorch loop on one thread, and beside Flower on all cores. Ours encodes, digests and journals as well.

use std::path::Path;

use anyhow::Context as _;
use dure_learn::data;
use dure_sim::{clients::Clients, simulate};

use super::{Peer, Row, median, script};
use crate::{
    args::{BenchArgs, RecipeArgs},
    fail::Fail,
    source::{self, Found},
};

const SCRIPT: (&str, &str) = ("peer_mnist.py", include_str!("peer_mnist.py"));

/// The first is not counted.
const ROUNDS: u32 = 5;
/// How often ours and theirs take turns.
const TURNS: usize = 3;

/// What makes the recipe do what the others do: clients of equal size, no validation, one epoch of larger batches.
const ALIKE: [&str; 6] = [
    "site.partition={name=\"iid\",clients=100}",
    "split.validation=0",
    "evaluate.every=0",
    "cohort.size=10",
    "training.epochs=1",
    "training.batch_size=32",
];

/// Ours and theirs in turn: machines drift.
pub fn run(args: &BenchArgs, folder: &Path, say: &dyn Fn(String)) -> Result<Vec<Row>, Fail> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut rows = vec![];
    for (threads, peer) in [(1, "loop"), (cores, "flower")] {
        let (mut ours, mut theirs, mut name) = (vec![], vec![], String::new());
        for turn in 1..=TURNS {
            say(format!("rounds on {threads} threads, turn {turn} of {TURNS}"));
            ours.extend(rounds_s(folder, threads)?);
            let data = folder.to_str().context("the data set's path is not UTF-8")?;
            let asked = [peer, data, &ROUNDS.to_string(), &cores.to_string()];
            if let Some((told, _)) = script(args.python.as_deref(), SCRIPT, &asked)? {
                theirs.push(told["round_s"].as_f64().context("round_s")?);
                name = told["peer"].as_str().unwrap_or(peer).into();
            }
        }
        let threads = if threads == 1 { "one thread".into() } else { format!("{threads} threads") };
        let peer = (!theirs.is_empty()).then(|| Peer { name, value: median(&mut theirs) });
        let what = format!("round: mnist-cnn, 10 of 100 clients × 600, one epoch, batch 32, {threads}");
        rows.push(Row::new(what, "s", median(&mut ours), peer));
    }
    Ok(rows)
}

/// Seconds of each round but the first.
fn rounds_s(folder: &Path, threads: usize) -> Result<Vec<f64>, Fail> {
    let found = alike()?;
    let rows = data::load(folder, &found.recipe.schema, &found.recipe.site)?;
    let mut clients = Clients::new(rows, found.recipe.work(), 0, threads)?;
    let run = simulate(found.recipe.plan(&found.origin)?, 0, &mut clients, &mut |_| {})?;
    Ok(run.rounds.iter().skip(1).map(|row| row.wall_s).collect())
}

fn alike() -> Result<Found, Fail> {
    let mut overrides: Vec<String> = ALIKE.iter().map(|text| (*text).to_owned()).collect();
    overrides.push(format!("rounds={ROUNDS}"));
    source::recipe(&RecipeArgs { recipe: "mnist-fedavg".into(), overrides, smoke: false })
}

#[cfg(test)]
mod tests {
    use dure_learn::{local_optimizer::LocalOptimizer, work::ModelSpec};

    use super::*;

    #[test]
    fn the_recipe_does_what_the_script_does() {
        let found = alike().unwrap();
        let (plan, work) = (found.recipe.plan(&found.origin).unwrap(), found.recipe.work());
        assert_eq!((plan.rounds, plan.cohort.size, plan.evaluate_every), (ROUNDS, Some(10), 0));
        assert_eq!((work.training.epochs, work.training.batch_size), (1, 32));
        assert_eq!((work.training.optimizer, work.model), (LocalOptimizer::sgd(0.05), ModelSpec::Cnn {}));
        let script = SCRIPT.1;
        for line in ["CLIENTS = 100", "COHORT = 10", "BATCH = 32", "LEARNING_RATE = 0.05"] {
            assert!(script.contains(&format!("\n{line}\n")), "{line}");
        }
    }
}
