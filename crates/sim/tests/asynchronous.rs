//! Asynchronous jobs in a world whose devices are slow and fast.

mod common;

use common::{clients, recipe, run};
use dure_core::{federation::Federation, journal};
use dure_sim::{Simulation, replay};

/// Some devices take a hundred times as long as others.
const DEVICES: &str = "world.devices={examples_per_s={median=4,sigma=2},latency_s={median=0.5}}";

const BASIC: [&str; 4] = ["training.epochs=2", "refit=false", "cohort.deadline_s=100000", DEVICES];

const FEDBUFF: [&str; 2] = ["strategy={name=\"fedbuff\",buffer=3}", "rounds=8"];
const FEDASYNC: [&str; 2] = ["strategy={name=\"fedasync\"}", "rounds=24"];

fn with(more: &[&[&'static str]]) -> Vec<&'static str> {
    BASIC.into_iter().chain(more.iter().copied().flatten().copied()).collect()
}

fn virtual_s(run: &Simulation) -> f64 {
    run.rounds.iter().map(|row| row.virtual_s).sum()
}

#[test]
fn versions_come_without_waiting_for_the_slowest() {
    let synchronous = run(9, &with(&[&["rounds=8"]]), 3, 2);
    let slowest = synchronous.rounds[0].waited_for.clone();
    for (keys, participants) in [(FEDBUFF, 3), (FEDASYNC, 1)] {
        let run = run(9, &with(&[&keys]), 3, 2);
        assert!(run.rounds.iter().all(|row| row.participants == participants), "{keys:?}");
        assert!(virtual_s(&run) < virtual_s(&synchronous) / 2.0, "{} s", virtual_s(&run));
        assert!(run.rounds.iter().any(|row| row.staleness > 0.0), "{:?}", run.rounds);
        assert!(run.rounds.iter().any(|row| row.waited_for != slowest));
        assert!(run.journal.contains("\"staleness\":{"));
        let asked: u64 = run.rounds.iter().map(|row| row.bytes_down).sum();
        let answered: usize = run.rounds.iter().map(|row| row.participants).sum();
        let model = run.models.as_ref().unwrap().blob().len() as u64;
        assert!((answered as u64..=answered as u64 + 9).contains(&(asked / model)), "who answers is asked again");
    }
}

#[test]
fn alone_a_client_is_waited_for_and_all_strategies_are_one() {
    let model = |keys: &[&'static str]| run(1, &with(&[&["rounds=5"], keys]), 3, 1).models.unwrap().sha256();
    let fedavg = model(&[]);
    assert_eq!(model(&["strategy={name=\"fedbuff\",buffer=1}"]), fedavg);
    assert_eq!(model(&["strategy={name=\"fedasync\",mixing=1}"]), fedavg);
    assert_ne!(model(&["strategy={name=\"fedasync\",mixing=0.5}"]), fedavg);
}

#[test]
fn a_run_is_the_same_on_any_number_of_threads_and_replays_to_its_digests() {
    let worlds: [&[&str]; 4] = [
        &[],
        &["cohort.size=4", "cohort.select={name=\"ring\"}"],
        &["world.drop_out=0.2", "cohort.size=3", "evaluate.every=1", "cohort.quorum=1"],
        &["personalise.layers=[\"layers.6\"]", "world.stragglers=0.5"],
    ];
    for keys in [FEDBUFF, FEDASYNC] {
        for world in worlds {
            let overrides = with(&[&keys, world]);
            let [one, three] = [1, 3].map(|threads| run(9, &overrides, 5, threads));
            assert_eq!(one.journal, three.journal, "{keys:?} {world:?}");
            let (records, _) = journal::verify(one.journal.lines()).unwrap();
            let mut clients = clients(9, &recipe(&overrides), 5, 2);
            let (federation, models, seen) = replay(&records, &mut clients, &mut |_| {})
                .unwrap_or_else(|error| panic!("{keys:?} {world:?}: {error}"));
            assert_eq!(federation, Federation::replay(&records));
            assert_eq!(models.unwrap().sha256(), one.models.unwrap().sha256());
            assert!(seen.answers > 24, "{seen:?}");
        }
    }
}

#[test]
fn who_is_lost_while_working_is_replaced_and_who_is_silent_is_given_up() {
    let lost = run(9, &with(&[&FEDBUFF, &["world.drop_out=0.4", "cohort.size=4"]]), 2, 1);
    assert!(lost.journal.contains("\"type\":\"client_lost\"") && lost.journal.contains("\"type\":\"task_reassigned\""));
    assert!(lost.rounds.iter().all(|row| row.participants == 3) && lost.rounds.len() == 8);
    let partial = ["world.stragglers=0.4", "world.partial=drop", "cohort.size=5", "cohort.deadline_s=2000"];
    let silent = run(9, &with(&[&FEDBUFF, &partial, &["cohort.quorum=1"]]), 2, 1);
    assert_eq!(silent.rounds.len(), 8);
}
