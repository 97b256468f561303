//! Each round's parameters against an independent FedAvg: NumPy in f64, `vectors/fedavg_reference.py`.
//!
//! The reference is given what a round is given, the initial weights, the split and scaled rows and the order of rows. To make
//! its vectors again, or to compare on a real data set:
//!
//! ```text
//! cargo run --release -p dure-sim --example fedavg_inputs -- inputs.safetensors [FOLDER ROUNDS]
//! python crates/sim/tests/vectors/fedavg_reference.py inputs.safetensors expected.safetensors
//! ```

mod common;

#[path = "../examples/fedavg_inputs/inputs.rs"]
mod inputs;

use dure_core::{combine::combine, optimizer::Combined, plan::TrainingRows, update::DELTA};
use dure_learn::client::{Given, Trainer};
use safetensors::SafeTensors;

fn floats(file: &SafeTensors, name: &str) -> Vec<f32> {
    file.tensor(name).unwrap().data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
}

/// The largest |a − b| over the largest |b|.
fn relative_difference(a: &[f32], b: &[f32]) -> f32 {
    let largest = b.iter().fold(0f32, |largest, value| largest.max(value.abs()));
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max) / largest
}

#[test]
fn each_rounds_parameters_are_those_of_an_independent_fedavg() {
    let recipe = common::recipe(&["rounds=3", "training.epochs=2", "training.batch_size=4"]);
    let prepared = inputs::prepare(&recipe, common::people(4, &recipe), 1);
    // The committed inputs are these, so the reference and this test cannot drift apart.
    assert!(
        prepared.to_bytes() == include_bytes!("vectors/fedavg_inputs.safetensors"),
        "make the vectors again, see above"
    );
    let expected = SafeTensors::deserialize(include_bytes!("vectors/fedavg_expected.safetensors")).unwrap();
    let strategy = recipe.plan("fitbit").unwrap().strategy.build().unwrap();
    let mut params = prepared.initial.clone();
    let mut trainer = Trainer::new(&recipe.work(), &prepared.preprocessing, 100, 1);
    for round in 1..=3 {
        let train =
            |client| trainer.train(Given::model(&params), client, TrainingRows::Training, (1, round)).unwrap().0;
        let updates: Vec<_> = prepared.clients.iter().map(train).collect();
        let deltas: Vec<_> = updates.iter().map(|update| update.groups[DELTA].values()).collect();
        let weights: Vec<f64> = updates.iter().map(|update| update.weight.get()).collect();
        let delta = combine(&*strategy.combine, &deltas, &weights, &[]).unwrap();
        strategy.optimizer.step(&mut params, &mut Default::default(), &Combined::of(&delta)).unwrap();
        let difference = relative_difference(params.values(), &floats(&expected, &format!("round_{round}")));
        assert!(difference < 1e-4, "round {round}: {difference}");
    }
}

#[test]
fn a_simulation_goes_through_the_same_rounds() {
    let overrides = ["rounds=3", "training.epochs=2", "training.batch_size=4", "refit=false"];
    let run = common::run(4, &overrides, 1, 2);
    let expected = SafeTensors::deserialize(include_bytes!("vectors/fedavg_expected.safetensors")).unwrap();
    let difference = relative_difference(run.models.unwrap().params().values(), &floats(&expected, "round_3"));
    assert!(difference < 1e-4, "{difference}");
}
