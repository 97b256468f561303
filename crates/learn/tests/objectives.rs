//! What clients remember, and models of their own, against an independent implementation in NumPy:
//! `vectors/objectives_reference.py` made the vectors.

use std::sync::Arc;

use dure_core::{
    combine::combine,
    model::Params,
    name::ClientName,
    optimizer::{Combined, State},
    plan::Plan,
    round::{Kind, RoundId},
    update::{CONTROL, DELTA, Update},
};
use dure_learn::{
    client::{Client, Trainer},
    data::{
        ClientRows, Examples,
        examples::{Inputs, Truth},
    },
    own::Own,
    recipe::Recipe,
    standardise::Preprocessing,
    task::{Done, Task},
    work::Work,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    rate: f32,
    steps: u32,
    rounds: Vec<Vec<usize>>,
    first: Vec<f32>,
    clients: Vec<Rows>,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Rows {
    x: Vec<f64>,
    y: Vec<f64>,
}

#[derive(Deserialize)]
struct Case {
    keys: Vec<String>,
    expected: Vec<Vec<f64>>,
    personal: Vec<Vec<f64>>,
}

const RECIPE: &str = r#"
name = "line"
data = "line"
schema = { features = [{ name = "a", unit = "1" }, { name = "b", unit = "1" }, { name = "c", unit = "1" }], target = { name = "y", unit = "1" } }
site = { file = "rows.csv", client = "who", prefix = "client" }

[plan]
rounds = 5
split = { test = 0, validation = 0 }
model = { name = "logistic" }
training = { batch_size = 64, loss = { name = "mse" }, optimizer = { name = "sgd", learning_rate = 1.0 } }
"#;

/// A federation by hand: tasks answered, combined and stepped as the simulator and the server do it.
struct Federation {
    plan: Plan,
    work: Work,
    keeps: Own,
    clients: Vec<Client>,
    own: Vec<Vec<f32>>,
    params: Params,
    state: State,
}

impl Federation {
    fn new(vectors: &Vectors, keys: &[String]) -> Self {
        let always =
            [format!("training.steps={}", vectors.steps), format!("training.optimizer.learning_rate={}", vectors.rate)];
        let recipe = Recipe::parse("line", RECIPE, &[&always[..], keys].concat()).unwrap();
        let (plan, work) = (recipe.plan("line").unwrap(), recipe.work());
        let client = |(i, Rows { x, y }): (usize, &Rows)| {
            let name = ClientName::new(format!("client-{i}")).unwrap();
            let split = work.split.divide(y.len(), 0, 0, &name).unwrap();
            let (inputs, truth) = (Inputs::Table(3, x.clone()), Truth::Numbers(y.clone()));
            let divided_as = ClientName::new("a").unwrap();
            let examples =
                Examples { divided_as, id: String::new(), line: 2, dates: vec![], inputs, truth, held_out: 0 };
            let data = ClientRows { name, examples: examples.into() };
            Client::new(&data, split, &work.schema, &Preprocessing::of(&Default::default()))
        };
        let clients: Vec<Client> = vectors.clients.iter().enumerate().map(client).collect();
        let keeps = Own::of(&work, plan.objective()).unwrap();
        let mut own = keeps.beginning(&work, 0).unwrap();
        let personal = own.len() - keeps.personal;
        own[personal..].copy_from_slice(&vectors.first[..keeps.personal]);
        let own = vec![own; clients.len()];
        let params = Params::new(Arc::new(plan.layout.clone()), vectors.first.clone()).unwrap();
        Self { plan, work, keeps, clients, own, params, state: State::default() }
    }

    fn round(&mut self, ordinal: u32, cohort: &[usize]) {
        let strategy = self.plan.strategy.build().unwrap();
        let told = self.state.buffers.first().filter(|_| strategy.optimizer.tells_control());
        let control = told.map_or(&[][..], |control| control);
        let id = RoundId { job: 1, kind: Kind::Train, ordinal, attempt: 1 };
        let task = Task::of((&self.plan, 0), id, (&self.params, control), &self.work);
        let mut trainer = Trainer::new(&self.work, &Preprocessing::of(&Default::default()), 8, 1);
        let mut updates: Vec<Update> = vec![];
        for i in cohort {
            let Done::Trained(update, own) = task.answer(&mut trainer, &self.clients[*i], &self.own[*i]).unwrap()
            else {
                panic!("a training task trains")
            };
            self.own[*i] = own;
            updates.push(update);
        }
        let weights: Vec<f64> = updates.iter().map(|update| update.weight.get()).collect();
        let group = |group: &str| -> Vec<f32> {
            let values: Vec<&[f32]> =
                updates.iter().filter_map(|update| Some(update.groups.get(group)?.values())).collect();
            if values.is_empty() { vec![] } else { combine(&*strategy.combine, &values, &weights, &[]).unwrap() }
        };
        let (delta, control) = (group(DELTA), group(CONTROL));
        let share = cohort.len() as f64 / self.clients.len() as f64;
        let round = Combined { delta: &delta, control: &control, share };
        strategy.optimizer.step(&mut self.params, &mut self.state, &round).unwrap();
    }
}

/// The largest difference, relative to the largest value.
fn difference(got: &[f32], want: &[f64]) -> f64 {
    assert_eq!(got.len(), want.len());
    let largest = want.iter().fold(1e-30, |largest: f64, value| largest.max(value.abs()));
    got.iter().zip(want).map(|(got, want)| (f64::from(*got) - want).abs()).fold(0.0, f64::max) / largest
}

#[test]
fn every_objective_is_that_of_an_independent_implementation() {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/objectives.json")).unwrap();
    for case in &vectors.cases {
        let mut federation = Federation::new(&vectors, &case.keys);
        for ((ordinal, cohort), want) in (1..).zip(&vectors.rounds).zip(&case.expected) {
            federation.round(ordinal, cohort);
            let off = difference(federation.params.values(), want);
            assert!(off < 1e-6, "{:?}, round {ordinal}: {off}", case.keys);
        }
        assert_eq!(case.personal.is_empty(), federation.keeps.personal == 0);
        for (own, want) in federation.own.iter().zip(&case.personal) {
            let off = difference(federation.keeps.parts(own).personal, want);
            assert!(off < 1e-6, "{:?}: a personal model is {off} off", case.keys);
        }
    }
}
