//! What a round of FedAvg is given, as a file that another implementation can read.

use std::collections::HashMap;

use dure_core::{
    model::Params,
    random::{Purpose, SliceRandom, stream},
    statistics::{Statistics, merge},
};
use dure_learn::{
    client::{Client, measure},
    data::DataSet,
    recipe::Recipe,
    standardise::Preprocessing,
};
use dure_sim::clients::split;
use safetensors::{Dtype, tensor::TensorView};
use serde_json::json;

/// Everybody's training rows, scaled, and the first weights.
pub struct Prepared {
    pub initial: Params,
    pub preprocessing: Preprocessing,
    pub clients: Vec<Client>,
    tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)>,
    about: String,
}

/// What a job of `recipe` with this seed gives its clients.
pub fn prepare(recipe: &Recipe, data: DataSet, seed: u64) -> Prepared {
    let (plan, work) = (recipe.plan("recipe").expect("a plan"), recipe.work());
    let splits = split(&data, &work.split, seed).expect("enough rows");
    let mut statistics = Statistics::new();
    for (client, split) in data.clients.iter().zip(&splits) {
        merge(&mut statistics, &measure(client, &work.schema, &split.training));
    }
    let preprocessing = Preprocessing::of(&statistics);
    let scale = |(client, split): (_, &dure_learn::split::Split)| {
        Client::new(client, split.clone(), &work.schema, &preprocessing)
    };
    let clients: Vec<Client> = data.clients.iter().zip(&splits).map(scale).collect();
    let initial = Params::initial(plan.layout.clone().into(), seed);
    let mut tensors = vec![("initial".into(), Dtype::F32, vec![initial.values().len()], bytes(initial.values()))];
    for client in &clients {
        tensors.extend(tensors_of(client, &work.schema, (seed, plan.rounds, work.training.epochs)));
    }
    let rate = f64::from((work.training.optimizer.learning_rate() * 1e6).round()) / 1e6;
    let weights = plan.layout.tensors().map(|(tensor, _)| &tensor.shape).filter(|shape| shape.len() == 2);
    let dims: Vec<usize> = std::iter::once(work.schema.features.len()).chain(weights.map(|shape| shape[0])).collect();
    let about = json!({
        "dims": dims, "rounds": plan.rounds, "epochs": work.training.epochs,
        "batch_size": work.training.batch_size, "learning_rate": rate, "delta": 0.5, "server_learning_rate": 1.0,
    });
    Prepared { initial, preprocessing, clients, tensors, about: about.to_string() }
}

/// A client's scaled training rows, and the order in which each epoch goes through them.
fn tensors_of(
    client: &Client,
    schema: &dure_learn::schema::Schema,
    (seed, rounds, epochs): (u64, u32, u32),
) -> [(String, Dtype, Vec<usize>, Vec<u8>); 3] {
    let (rows, width) = (&client.split.training, schema.features.len());
    let x: Vec<f32> =
        rows.iter().flat_map(|row| client.rows().x()[*row as usize * width..][..width].to_vec()).collect();
    let y: Vec<f32> = rows.iter().map(|row| client.rows().y()[*row as usize]).collect();
    let mut order: Vec<u8> = vec![];
    for round in 1..=rounds {
        let mut numbers = stream(seed, Purpose::Batches, client.name.as_str(), u64::from(round));
        let mut epoch: Vec<i32> = (0..rows.len() as i32).collect();
        for _ in 0..epochs {
            epoch.shuffle(&mut numbers);
            order.extend(epoch.iter().flat_map(|row| row.to_le_bytes()));
        }
    }
    let name = |what: &str| format!("{}.{what}", client.name);
    [
        (name("x"), Dtype::F32, vec![rows.len(), width], bytes(&x)),
        (name("y"), Dtype::F32, vec![rows.len()], bytes(&y)),
        (name("order"), Dtype::I32, vec![(rounds * epochs) as usize, rows.len()], order),
    ]
}

fn bytes(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

impl Prepared {
    /// The file.
    pub fn to_bytes(&self) -> Vec<u8> {
        let about = HashMap::from([("dure".to_owned(), self.about.clone())]);
        let tensors = self.tensors.iter().map(|(name, dtype, shape, data)| {
            (name, TensorView::new(*dtype, shape.clone(), data).expect("as many bytes as elements"))
        });
        safetensors::serialize(tensors, Some(about)).expect("a small file")
    }
}
