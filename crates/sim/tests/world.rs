//! Clients that have no time for all of their work, and clients that are pulled back to where they began.

mod common;

use common::{clients, recipe, run};
use dure_core::journal;
use dure_sim::replay;

const FEW: [&str; 4] = ["rounds=4", "training.epochs=6", "refit=false", "cohort.deadline_s=30"];

fn with(more: &[&'static str]) -> Vec<&'static str> {
    [&FEW[..], more].concat()
}

fn model(overrides: &[&str]) -> String {
    run(6, overrides, 3, 2).models.unwrap().sha256().to_string()
}

#[test]
fn nobody_is_pulled_back_by_nothing_and_everybody_by_something() {
    let fedavg = model(&FEW);
    assert_eq!(model(&with(&["strategy.name=fedprox", "strategy.mu=0"])), fedavg);
    assert_ne!(model(&with(&["strategy.name=fedprox", "strategy.mu=0.1"])), fedavg);
}

/// How far the first round goes from the initial model, squared.
fn way(mu: &'static str) -> f64 {
    let overrides = ["rounds=1", "training.epochs=30", "refit=false", "strategy.name=fedprox", mu];
    let run = run(6, &overrides, 3, 1);
    let initial = dure_core::model::Params::initial(run.federation.jobs[0].plan.layout.clone().into(), 3);
    let models = run.models.unwrap();
    let pairs = models.params().values().iter().zip(initial.values());
    pairs.map(|(now, began)| f64::from(now - began).powi(2)).sum()
}

#[test]
fn the_stronger_the_pull_the_shorter_the_way() {
    let ways = ["strategy.mu=0", "strategy.mu=1", "strategy.mu=100"].map(way);
    assert!(ways[0] > ways[1] && ways[1] > ways[2], "{ways:?}");
}

#[test]
fn a_straggler_sends_what_it_has_done_or_is_not_waited_for_beyond_the_deadline() {
    let kept = run(6, &with(&["world.stragglers=0.5"]), 3, 2);
    assert!(kept.rounds.iter().all(|row| row.participants == 6 && row.virtual_s == 0.0));
    assert_ne!(kept.models.unwrap().sha256().to_string(), model(&FEW));
    let dropped = run(6, &with(&["world.stragglers=0.5", "world.partial=drop", "cohort.quorum=1"]), 3, 2);
    let heard: Vec<usize> = dropped.rounds.iter().map(|row| row.participants).collect();
    assert!(heard.iter().any(|n| *n < 6) && heard.len() == 4, "{heard:?}");
    for row in &dropped.rounds {
        assert_eq!(row.virtual_s, if row.participants < 6 { 30.0 } else { 0.0 }, "round {}", row.round);
    }
}

#[test]
fn a_round_that_nobody_answers_counts_if_none_is_needed_and_leaves_the_model() {
    let all = &["world.stragglers=1", "world.partial=drop", "strategy.name=fedadam", "strategy.learning_rate=0.1"];
    let run = run(6, &with(&[&all[..], &["cohort.quorum=0"]].concat()), 3, 2);
    assert_eq!(run.rounds.iter().map(|row| row.participants).sum::<usize>(), 0);
    let digests: std::collections::BTreeSet<_> = run.federation.versions.iter().map(|version| version.sha256).collect();
    assert_eq!((run.federation.versions.len(), digests.len()), (5, 1), "one model, published five times");
    assert!(run.rounds.iter().all(|row| row.virtual_s == 30.0 && row.train_loss.is_nan()));
}

#[test]
fn a_run_of_stragglers_replays_to_its_digests() {
    for partial in ["world.partial=keep", "world.partial=drop"] {
        let overrides = with(&["world.stragglers=0.5", partial, "cohort.quorum=0", "strategy.name=fednova"]);
        let original = run(6, &overrides, 3, 2);
        let records = journal::verify(original.journal.lines()).unwrap().0;
        let (federation, ..) = replay(&records, &mut clients(6, &recipe(&overrides), 3, 1), &mut |_| {}).unwrap();
        assert_eq!(federation, original.federation);
    }
}
