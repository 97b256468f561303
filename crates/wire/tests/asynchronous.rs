//! Asynchronous servers against an independent implementation in NumPy: `vectors/asynchronous_reference.py` made the vectors.

use std::sync::Arc;

use dure_core::{
    job::Job,
    model::{Initial, Layout, Params, TensorSpec},
    plan::{Plan, PlanSpec, StopRules, TrainingRows},
    strategy::StrategySpec,
    update::{Update, Weight},
};
use dure_wire::{Answers, Models, encode_model};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    strategy: StrategySpec,
    first: Vec<f32>,
    arrivals: Vec<Arrival>,
    expected: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Arrival {
    version: usize,
    went: Vec<f32>,
}

fn job(strategy: StrategySpec, layout: &Layout) -> Job {
    let plan = PlanSpec {
        name: "asynchronous".into(),
        rounds: 100,
        strategy,
        cohort: Default::default(),
        codec: Default::default(),
        layout: layout.clone(),
        measure: vec![],
        classes: None,
        scalars: vec![],
        rows: TrainingRows::Training,
        evaluate_every: 0,
        stop: StopRules::default(),
        refit: false,
        test: false,
        work: Default::default(),
    };
    Job::new(1, 0, Plan::new(plan).unwrap(), None)
}

#[test]
fn every_version_is_that_of_an_independent_implementation() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("vectors/asynchronous.json")).unwrap();
    assert_eq!(cases.len(), 6);
    for Case { strategy, first, arrivals, expected } in cases {
        let layout = Arc::new(Layout::new(vec![TensorSpec::new("w", [first.len()], Initial::Zeros)]).unwrap());
        let job = job(strategy.clone(), &layout);
        let asynchronous = job.plan.asynchronous().unwrap();
        let params = |values| Params::new(layout.clone(), values).unwrap();
        let blob = encode_model(&params(first), &job.about());
        let sha256 = dure_core::digest::Digest::of(&blob);
        let mut models = Models::read(&job, (blob, sha256), None).unwrap();
        let mut versions = vec![models.params().clone()];
        for (round, (arrivals, want)) in arrivals.chunks(asynchronous.buffer).zip(&expected).enumerate() {
            let update = |arrival: &Arrival| {
                let weight = Weight::new(1.0 + arrival.version as f64).unwrap();
                let mut update = Update::of_delta(params(arrival.went.clone()), weight);
                if asynchronous.mixes {
                    models.rebase(&mut update, &versions[arrival.version]);
                }
                update
            };
            let updates: Vec<Update> = arrivals.iter().map(update).collect();
            let staleness: Vec<u32> = arrivals.iter().map(|arrival| (round - arrival.version) as u32).collect();
            let answers = Answers { updates: &updates, staleness: &staleness, among: updates.len() };
            models.advance(&job, answers, 1).unwrap();
            versions.push(models.params().clone());
            for (got, want) in models.params().values().iter().zip(want) {
                assert!((f64::from(*got) - want).abs() < 1e-6, "{strategy:?}, version {}: {got} of {want}", round + 1);
            }
        }
        assert_eq!(versions.len(), expected.len() + 1);
    }
}
