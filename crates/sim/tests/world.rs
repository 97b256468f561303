//! Clients that have no time for all of their work, and clients that are pulled back to where they began.

mod common;

use common::{clients, recipe, run};
use dure_core::{event::Event, journal, round::Kind};
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

const DEVICES: &str =
    "world.devices={examples_per_s={median=4,sigma=1},up_bytes_per_s={median=5000,sigma=1},latency_s={median=0.5}}";

#[test]
fn a_round_takes_as_long_as_its_slowest_client_and_less_if_it_wants_fewer_answers() {
    let all = run(6, &with(&[DEVICES, "cohort.deadline_s=100000"]), 3, 2);
    assert!(all.rounds.iter().all(|row| row.participants == 6 && row.virtual_s > 10.0), "{:?}", all.rounds);
    let slowest = &all.rounds[0].waited_for;
    assert!(all.rounds.iter().all(|row| row.waited_for == *slowest), "devices do not change");
    assert!(slowest.ends_with(": training") || slowest.ends_with(": upload"), "{slowest}");
    // Nothing but time has changed.
    assert_eq!(all.models.unwrap().sha256().to_string(), model(&FEW));
    let few = [DEVICES, "cohort.deadline_s=100000", "cohort.size=3", "cohort.over_selection=2"];
    let fewer = run(6, &with(&few), 3, 2);
    for (row, of_all) in fewer.rounds.iter().zip(&all.rounds) {
        assert!(row.participants == 3 && row.cohort == 6 && row.virtual_s < of_all.virtual_s, "{row:?}");
        assert_ne!(row.waited_for, *slowest);
    }
    let short = run(6, &with(&[DEVICES, "cohort.deadline_s=20", "cohort.quorum=1"]), 3, 2);
    assert!(short.rounds.iter().all(|row| row.virtual_s <= 20.0));
    assert!(short.rounds.iter().any(|row| row.participants < 6 && row.waited_for == "silence"), "{:?}", short.rounds);
}

#[test]
fn a_world_is_the_same_on_any_number_of_threads_and_in_a_replay() {
    let overrides = with(&[
        DEVICES,
        "cohort.size=3",
        "cohort.over_selection=1.6",
        "cohort.quorum=1",
        "world.drop_out=0.2",
        "world.stragglers=0.3",
        "world.availability={share=0.7,period_s=10}",
        "world.byzantine={clients=2,attack={name=\"noise\",deviation=0.1}}",
    ]);
    let first = run(6, &overrides, 5, 1);
    assert_eq!(run(6, &overrides, 5, 3).journal, first.journal);
    let (records, _) = journal::verify(first.journal.lines()).unwrap();
    let (_, models, _) = replay(&records, &mut clients(6, &recipe(&overrides), 5, 2), &mut |_| {}).unwrap();
    assert_eq!(models.unwrap().sha256(), first.models.unwrap().sha256());
    assert!(first.journal.contains("\"reason\":\"away\""), "somebody was away");
}

#[test]
fn liars_spoil_a_mean_and_not_a_median() {
    let honest = |rule: &'static str, attack: &'static str| {
        let keys = ["rounds=3", "training.epochs=6", "refit=false", "evaluate.every=1", rule, attack];
        run(9, &keys, 3, 2).rounds.last().unwrap().metrics["mae"]
    };
    let (mean, median) = ("strategy.name=fedavg", "strategy.name=median");
    let (none, flip) = ("world.drop_out=0", "world.byzantine={clients=2,attack={name=\"sign_flip\",factor=20}}");
    assert!(honest(mean, flip) > 1.5 * honest(mean, none), "{} {}", honest(mean, flip), honest(mean, none));
    assert!(honest(median, flip) < 1.2 * honest(median, none), "{} {}", honest(median, flip), honest(median, none));
}

#[test]
fn what_is_no_update_is_refused_and_the_round_goes_on() {
    let keys = with(&["world.byzantine={clients=2,attack={name=\"malformed\"}}", "cohort.quorum=1"]);
    let run = run(6, &keys, 3, 2);
    assert!(run.rounds.iter().all(|row| row.participants == 4), "{:?}", run.rounds);
    assert!(run.journal.contains("the server refuses the answer: value 0 of tensor"));
}

#[test]
fn a_world_in_which_nobody_comes_ends_with_a_reason() {
    let refused = |keys: &[&str]| {
        let recipe = recipe(&[&FEW[..], keys].concat());
        let mut clients = clients(6, &recipe, 3, 1);
        let simulated = dure_sim::simulate(recipe.plan("fitbit").unwrap(), 3, &mut clients, &mut |_| {});
        simulated.err().map(|error| error.to_string()).unwrap_or_default()
    };
    let silent = refused(&["world.drop_out=1"]);
    assert!(
        silent.starts_with("the job gave up after 10 abandoned rounds: the last had 0 of the 6 answers"),
        "{silent}"
    );
    let away = refused(&[DEVICES, "world.availability={share=0.000001,period_s=10}", "cohort.min_clients=6"]);
    assert!(away.starts_with("6 clients are needed, and in 10001 periods in a row fewer were there"), "{away}");
    let liars = refused(&["world.byzantine={clients=7,attack={name=\"label_flip\"}}"]);
    assert!(liars.starts_with("world.byzantine.clients = 7 is not allowed: there are 6 clients"), "{liars}");
}

#[test]
fn the_task_of_a_client_that_vanishes_goes_to_the_next_one() {
    let overrides = with(&[
        "cohort.size=3",
        "cohort.quorum=3",
        "cohort.reassign=true",
        "cohort.select={name=\"ring\"}",
        "cohort.deadline_s=600",
        "world.drop_out=0.3",
    ]);
    let first = run(9, &overrides, 2, 1);
    let moved = first.journal.matches("\"type\":\"task_reassigned\"").count();
    assert!(moved > 0, "nobody vanished");
    assert!(first.rounds.iter().all(|row| row.participants == 3), "{:?}", first.rounds);
    assert!(
        first.rounds.iter().any(|row| row.virtual_s >= 30.0) && first.rounds.iter().all(|row| row.virtual_s < 600.0)
    );
    let (records, _) = journal::verify(first.journal.lines()).unwrap();
    let (_, models, _) = replay(&records, &mut clients(9, &recipe(&overrides), 2, 3), &mut |_| {}).unwrap();
    assert_eq!(models.unwrap().sha256(), first.models.unwrap().sha256());
}

#[test]
fn every_way_to_select_runs_alike_twice_and_otherwise_than_the_others() {
    let journal = |select: &'static str| {
        let keys = with(&["cohort.size=3", DEVICES, "cohort.deadline_s=100000", select]);
        let runs = [1, 3].map(|threads| run(8, &keys, 2, threads).journal);
        assert_eq!(runs[0], runs[1], "{select}");
        runs[0].clone()
    };
    let keys = [
        "cohort.select={name=\"random\"}",
        "cohort.select={name=\"ring\"}",
        "cohort.select={name=\"power_of_choice\",candidates=6}",
        "cohort.select={name=\"oort\",preferred_s=20}",
    ];
    let journals: std::collections::BTreeSet<String> = keys.into_iter().map(journal).collect();
    assert_eq!(journals.len(), 4);
}

#[test]
fn a_filter_asks_only_devices_that_have_enough() {
    let overrides = with(&[
        "world.facts={memory_mb={median=1000,sigma=1},load={median=0.5,sigma=1}}",
        "cohort.filter={memory_mb=800,load=0.8,rows=3}",
        "cohort.size=2",
    ]);
    let run = run(9, &overrides, 4, 1);
    let (records, _) = journal::verify(run.journal.lines()).unwrap();
    let (mut fit, mut asked) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
    for record in records {
        match record.event {
            Event::FactsChanged { client, facts } if facts["memory_mb"] >= 800.0 && facts["load"] <= 0.8 => {
                fit.insert(client);
            }
            Event::RoundOpened { round, cohort, .. } if round.kind == Kind::Train => asked.extend(cohort),
            _ => {}
        }
    }
    assert!((2..9).contains(&fit.len()) && asked.is_subset(&fit), "{asked:?} of {fit:?}");
    let nobody = recipe(&with(&["cohort.filter={cores=1}"]));
    let simulated = dure_sim::simulate(nobody.plan("fitbit").unwrap(), 4, &mut clients(3, &nobody, 4, 1), &mut |_| {});
    let error = simulated.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("0 are there; others are left out, 3 by cohort.filter.cores"), "{error}");
}
