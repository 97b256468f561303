//! A client at work: it measures its columns, trains, and judges a model, on its own rows alone.

use std::sync::Arc;

use dure_core::{
    model::{LayoutMismatch, Params},
    name::ClientName,
    plan::TrainingRows,
    random::{Purpose, Rng as _, SliceRandom, Stream, stream},
    statistics::{Moments, Scale, Statistics, merge, regression},
    update::{Update, Weight},
};

use crate::{
    data::{ClientRows, DataSet},
    loss::Targets,
    network::Network,
    schema::Schema,
    split::Split,
    standardise::Preprocessing,
    work::{TRAIN_LOSS, Training, Work},
};

/// A client's rows, scaled for the model.
#[derive(Clone, Debug)]
pub struct Client {
    /// Its name.
    pub name: ClientName,
    /// What its rows are for.
    pub split: Split,
    rows: Rows,
}

/// Rows scaled for the model, with the truth in its own unit.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    width: usize,
    x: Vec<f32>,
    y: Vec<f32>,
    truth: Vec<f64>,
}

/// Training that cannot go on.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrainError {
    /// A parameter is NaN or infinite.
    #[error("{0}'s training diverged: a parameter is no longer finite; lower the learning rate")]
    Diverged(ClientName),
    /// What a model says is NaN or infinite.
    #[error("{0}'s rows get predictions from the model that are not finite; lower the learning rate")]
    Unpredictable(ClientName),
    /// The base version has other tensors than the plan's model.
    #[error(transparent)]
    Layout(#[from] LayoutMismatch),
}

/// The moments of a client's columns over `rows` of its rows: all that a `measure` task lets out.
pub fn measure(data: &ClientRows, schema: &Schema, rows: &[u32]) -> Statistics {
    let width = schema.features.len();
    let mut statistics: Vec<_> = schema.columns().map(|column| (column.name.clone(), Default::default())).collect();
    for row in rows.iter().map(|row| *row as usize) {
        let values = data.features[row * width..][..width].iter().chain([&data.target[row]]);
        for ((_, moments), value) in statistics.iter_mut().zip(values) {
            Moments::add(moments, *value);
        }
    }
    statistics.into_iter().collect()
}

/// The moments of every column over everybody's rows, merged as a federation would.
pub fn measure_everybody(data: &DataSet, schema: &Schema) -> Statistics {
    let mut total = Statistics::new();
    for client in &data.clients {
        let all: Vec<u32> = (0..client.target.len() as u32).collect();
        merge(&mut total, &measure(client, schema, &all));
    }
    total
}

impl Rows {
    /// Scales `features` (a row after another) and `target`.
    pub fn new(features: &[f64], target: &[f64], schema: &Schema, preprocessing: &Preprocessing) -> Self {
        let scales = preprocessing.features(schema);
        let scale = preprocessing.of_column(&schema.target);
        Self {
            width: scales.len(),
            x: features.iter().zip(scales.iter().cycle()).map(|(value, scale)| scale.apply(*value)).collect(),
            y: target.iter().map(|value| scale.apply(*value)).collect(),
            truth: target.to_vec(),
        }
    }

    /// Writes the inputs of a batch.
    #[inline]
    fn write(&self, batch: &[u32], inputs: &mut [f32]) {
        for (inputs, row) in inputs.chunks_exact_mut(self.width).zip(batch) {
            inputs.copy_from_slice(&self.x[*row as usize * self.width..][..self.width]);
        }
    }

    /// The scaled features, a row after another.
    pub fn x(&self) -> &[f32] {
        &self.x
    }

    /// The scaled target.
    pub fn y(&self) -> &[f32] {
        &self.y
    }
}

impl Client {
    /// Scales a client's rows.
    pub fn new(data: &ClientRows, split: Split, schema: &Schema, preprocessing: &Preprocessing) -> Self {
        Self { name: data.name.clone(), split, rows: Rows::new(&data.features, &data.target, schema, preprocessing) }
    }

    /// Its scaled rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }
}

/// The buffers of local training, used for one client after another.
pub struct Trainer {
    network: Network,
    /// The parameters as a file has them.
    after: Vec<f32>,
    /// A batch's targets.
    y: Vec<f32>,
    training: Training,
    target: Scale,
    order: Vec<u32>,
}

impl Trainer {
    /// For models and training as `work` says, which was checked. `preprocessing` gives predictions their unit.
    /// `most_rows` is the most that any client trains on: a batch is never larger.
    pub fn new(work: &Work, preprocessing: &Preprocessing, most_rows: usize) -> Self {
        let rows = work.training.batch_size.min(most_rows.max(1));
        let network = work.network(rows, 1).expect("the work was checked, and a smaller batch needs less");
        let after = vec![0.0; network.parameters()];
        let (training, target) = (work.training.clone(), preprocessing.of_column(&work.schema.target));
        Self { network, after, y: vec![0.0; rows], training, target, order: vec![] }
    }

    /// Stop 4 of a round: trains from `base` on the client's rows and returns what changed, weighted by examples.
    /// The order of rows derives from the seed, the client's name and the round's ordinal.
    pub fn train(
        &mut self,
        base: &Params,
        client: &Client,
        which: TrainingRows,
        (seed, ordinal): (u64, u32),
    ) -> Result<Update, TrainError> {
        let rows = client.split.rows(which);
        self.load(base)?;
        let mut numbers = stream(seed, Purpose::Batches, client.name.as_str(), u64::from(ordinal));
        let loss = self.epochs(&client.rows, rows, self.training.epochs, &mut numbers);
        self.network.store(&mut self.after);
        let delta: Vec<f32> = self.after.iter().zip(base.values()).map(|(after, before)| after - before).collect();
        let weight = Weight::new(rows.len() as f64).map_err(|_| TrainError::Diverged(client.name.clone()))?;
        let delta = Params::new(Arc::clone(base.layout()), delta)?;
        if !loss.is_finite() || !delta.is_finite() {
            return Err(TrainError::Diverged(client.name.clone()));
        }
        let mut update = Update::of_delta(delta, weight);
        update.scalars.insert(TRAIN_LOSS.into(), loss);
        Ok(update)
    }

    /// Starts from `params`, with an optimiser that has not stepped yet.
    pub fn load(&mut self, params: &Params) -> Result<(), LayoutMismatch> {
        let (want, got) = (self.network.parameters(), params.values().len());
        if want != got {
            return Err(LayoutMismatch { want, got });
        }
        self.network.load(params.values());
        Ok(())
    }

    /// From now on the learning rate is `factor` times the optimiser's.
    pub fn scale_rate(&mut self, factor: f32) {
        self.network.scale_rate(factor);
    }

    /// Trains on from where it is, `epochs` times over `rows`. Returns the mean loss over all examples seen.
    pub fn epochs(&mut self, data: &Rows, rows: &[u32], epochs: u32, numbers: &mut Stream) -> f64 {
        let Self { network, training, order, y, .. } = self;
        let mut total = 0.0;
        let mut draw = if network.draws() { numbers.next_u64() } else { 0 };
        order.clear();
        order.extend_from_slice(rows);
        for _ in 0..epochs {
            order.shuffle(numbers);
            for batch in order.chunks(training.batch_size) {
                data.write(batch, network.inputs(batch.len()));
                y.iter_mut().zip(batch).for_each(|(y, row)| *y = data.y[*row as usize]);
                draw = draw.wrapping_add(1);
                total += network.step(batch.len(), Targets::Numbers(y), &training.loss, draw) * batch.len() as f64;
            }
        }
        total / (f64::from(epochs) * rows.len() as f64)
    }

    /// The errors of the model as it is, on `rows`, in the target's unit: sums that add across clients.
    pub fn evaluate(&mut self, data: &Rows, rows: &[u32]) -> Statistics {
        let mut sums = Statistics::new();
        let truth: Vec<f64> = rows.iter().map(|row| data.truth[*row as usize]).collect();
        let predictions = self.predict(data, rows);
        truth.iter().zip(predictions).for_each(|(truth, prediction)| regression::add(&mut sums, *truth, prediction));
        sums
    }

    /// What the model as it is says for `rows`, in the target's unit.
    pub fn predict(&mut self, data: &Rows, rows: &[u32]) -> Vec<f64> {
        let mut predictions = Vec::with_capacity(rows.len());
        for batch in rows.chunks(self.network.batch_size()) {
            data.write(batch, self.network.inputs(batch.len()));
            let said = self.network.predict(batch.len());
            predictions.extend(said.iter().map(|value| self.target.undo(*value)));
        }
        predictions
    }
}
