//! An agent gives the simulator's answers, bit for bit.

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{Agent, Fake, config, people, recipe};
use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::Federation,
    journal,
    model::Params,
    name::ClientName,
    round::{Kind, TaskId},
};
use dure_sim::{Simulation, clients::Clients, simulate};
use dure_wire::encode_model;

const SEED: u64 = 7;

fn simulation(overrides: &[&str]) -> (Simulation, BTreeMap<String, Answer>) {
    let recipe = recipe(overrides);
    let mut clients = Clients::new(people(3, &recipe), recipe.work(), SEED, 1).unwrap();
    let simulation = simulate(recipe.plan("fitbit").unwrap(), SEED, &mut clients, &mut |_| {}).unwrap();
    let (records, _) = journal::verify(simulation.journal.lines()).unwrap();
    let answers = records.iter().filter_map(|record: &Record| match &record.event {
        Event::AnswerAccepted { round, client, answer } => {
            Some((TaskId { round: *round, client: client.clone() }.to_string(), answer.clone()))
        }
        _ => None,
    });
    let answers = answers.collect();
    (simulation, answers)
}

/// The initial model of the simulation's job, as a file.
fn initial(federation: &Federation) -> Vec<u8> {
    let job = federation.job(1).unwrap();
    encode_model(&Params::initial(Arc::new(job.plan.layout.clone()), SEED), &job.about())
}

/// What the agent says to a task, as the journal would have it.
async fn said(fake: &Fake, client: &ClientName, kind: Kind, ordinal: u32) -> (String, Answer) {
    let task = fake.ask(client, kind, ordinal);
    let put = fake.nth(1, "PUT", &format!("/tasks/{task}/result")).await;
    if kind != Kind::Train {
        return (task.to_string(), serde_json::from_slice(&put.body).unwrap());
    }
    let file = put.unpacked();
    let sha256 = Digest::of(&file);
    assert_eq!(put.query, format!("sha256={sha256}"));
    let text = String::from_utf8_lossy(&file[8..]);
    let number = |key: &str| {
        let rest = text.split(&format!(r#"\"{key}\":"#)).nth(1).unwrap();
        rest.split([',', '}']).next().unwrap().parse::<f64>().unwrap()
    };
    let scalars = BTreeMap::from([("train_loss".to_owned(), number("train_loss"))]);
    let weight = number("weight").try_into().unwrap();
    (task.to_string(), Answer::Update { sha256, bytes: file.len() as u64, weight, scalars })
}

async fn holds(overrides: &[&str], threads: usize) {
    let (simulation, answers) = simulation(overrides);
    let (recipe, folder) = (recipe(overrides), tempfile::tempdir().unwrap());
    let data = people(3, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let statistics = simulation.federation.job(1).unwrap().statistics.clone();
    fake.change(|world| (world.seed, world.statistics) = (SEED, None));
    let mut compared = 0;
    let agent = Agent::start(common::with(config(&fake, &recipe, &data, folder.path()), |it| it.threads = threads));
    for (kind, ordinal) in [(Kind::Measure, 0), (Kind::Train, 1), (Kind::Evaluate, 1), (Kind::Test, 1)] {
        let model = match kind {
            Kind::Train | Kind::Measure => initial(&simulation.federation),
            Kind::Evaluate | Kind::Test => simulation.models.as_ref().unwrap().blob().to_vec(),
        };
        fake.change(|world| {
            world.model = model;
            world.statistics = (kind != Kind::Measure).then(|| statistics.clone().unwrap());
            world.outcomes.values_mut().for_each(|state| *state = dure_core::federation::TaskState::Committed);
        });
        for client in &data.clients {
            let (task, answer) = said(&fake, &client.name, kind, ordinal).await;
            assert_eq!(answers.get(&task), Some(&answer), "{task}");
            compared += 1;
        }
    }
    assert_eq!(compared, 12);
    // One job, asked for before and after it was measured; one model for each of two versions.
    assert_eq!((fake.count("GET", "/jobs/1"), fake.count("GET", "/models/1/weights")), (2, 2));
    agent.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_of_every_kind_are_the_simulators() {
    holds(&["rounds=1", "refit=false"], 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_number_of_threads_changes_nothing_nor_does_bf16() {
    holds(&["rounds=1", "refit=false", "codec=bf16", "training.epochs=3"], 3).await;
}
