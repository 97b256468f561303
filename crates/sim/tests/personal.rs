//! Layers that stay with each client: what travels, and that a client finds its own again in the next round.

mod common;

use common::{clients, people, recipe, run};
use dure_core::{combine::combine, journal, model::Params, optimizer::Combined, plan::TrainingRows, update::DELTA};
use dure_learn::{
    client::{Client, Given, Trainer},
    own::Own,
    standardise::Preprocessing,
};
use dure_sim::{clients::split, replay};

/// The last layer, 33 parameters, stays.
const OWN: &[&str] =
    &["rounds=3", "personalise.layers=[\"layers.6\"]", "refit=false", "personalise.learning_rate=0.0005"];

#[test]
fn the_same_bits_on_any_number_of_threads_and_in_a_replay() {
    let overrides = [OWN, &["cohort.size=3"]].concat();
    let first = run(6, &overrides, 8, 1);
    for threads in [2, 5] {
        assert_eq!(run(6, &overrides, 8, threads).journal, first.journal, "{threads} threads");
    }
    let (records, _) = journal::verify(first.journal.lines()).unwrap();
    let recipe = recipe(&overrides);
    let (_, models, seen) = replay(&records, &mut clients(6, &recipe, 8, 2), &mut |_| {}).unwrap();
    assert_eq!(models.unwrap().sha256(), first.models.unwrap().sha256());
    assert_eq!(seen.versions, 4);
}

#[test]
fn what_stays_is_in_no_update_and_no_model() {
    let run = run(4, OWN, 1, 1);
    let params = run.models.as_ref().unwrap().params();
    let names: Vec<&str> = params.layout().tensors().map(|(tensor, _)| tensor.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| name.starts_with("layers.6")).count(), 0, "{names:?}");
    assert_eq!(params.layout().parameters(), 6977 - 33);
    let whole = common::run(4, &["rounds=3", "refit=false"], 1, 1);
    let fewer = whole.rounds[0].bytes_up - run.rounds[0].bytes_up;
    assert!(fewer > 4 * 4 * 33, "{fewer} bytes fewer than four updates with the layer");
}

/// FedPer's Algorithm 1 by hand: shared tensors are averaged, every client goes on with its own layer.
#[test]
fn each_round_begins_with_the_average_and_the_clients_own_layer() {
    let recipe = recipe(OWN);
    let run = run(4, OWN, 1, 1);
    let (work, plan, data) = (recipe.work(), recipe.plan("fitbit").unwrap(), people(4, &recipe));
    let preprocessing = Preprocessing::of(run.federation.jobs[0].statistics.as_ref().unwrap());
    let splits = split(&data, &work.split, 1).unwrap();
    let client = |(data, split)| Client::new(data, split, &work.schema, &preprocessing);
    let clients: Vec<Client> = data.clients.iter().zip(splits).map(client).collect();
    let mut trainer = Trainer::new(&work, &preprocessing, 100, 1);
    let mut params = Params::initial(plan.layout.clone().into(), 1);
    let keeps = Own::of(&work, plan.objective()).unwrap();
    let mut own = vec![keeps.beginning(&work, 1).unwrap(); 4];
    assert_eq!(own[0].len(), 33);
    let strategy = plan.strategy.build().unwrap();
    for round in 1..=3 {
        let trained: Vec<_> = clients
            .iter()
            .zip(&own)
            .map(|(client, own)| {
                trainer
                    .train(
                        Given { own: keeps.parts(own), ..Given::model(&params) },
                        client,
                        TrainingRows::Training,
                        (1, round),
                    )
                    .unwrap()
            })
            .collect();
        let deltas: Vec<_> = trained.iter().map(|(update, _)| update.groups[DELTA].values()).collect();
        let weights: Vec<f64> = trained.iter().map(|(update, _)| update.weight.get()).collect();
        let delta = combine(&*strategy.combine, &deltas, &weights, &[]).unwrap();
        strategy.optimizer.step(&mut params, &mut Default::default(), &Combined::of(&delta)).unwrap();
        own = trained.into_iter().map(|(_, own)| own).collect();
    }
    assert_ne!(own[0], own[1]);
    assert_eq!(run.models.unwrap().params(), &params);
}
