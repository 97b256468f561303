//! A client at work: it measures its columns, trains, and judges a model, on its own rows alone.

use std::sync::Arc;

use dure_core::{
    model::{LayoutMismatch, Params, Role},
    name::ClientName,
    plan::TrainingRows,
    random::{Purpose, Rng as _, SliceRandom, Stream, stream},
    statistics::{Moments, Scale, Statistics, Sums, classification, merge, regression},
    strategy::Objective,
    update::{CONTROL, TRAIN_LOSS, Update, Weight},
};

use crate::{
    data::{
        ClientRows, DataSet,
        examples::{Inputs, Truth},
    },
    loss::Targets,
    mask::Mask,
    network::Network,
    own::Parts,
    schema::Schema,
    split::Split,
    standardise::Preprocessing,
    work::{Training, Work},
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
#[derive(Clone, Debug)]
pub struct Rows {
    inputs: Scaled,
    /// The scaled target, if it is a number.
    y: Vec<f32>,
    truth: Truth,
}

/// What goes in, as the model sees it.
#[derive(Clone, Debug)]
enum Scaled {
    /// Rows of so many numbers.
    Table(usize, Vec<f32>),
    /// Images of so many bytes, and what a byte becomes in each channel.
    Images(usize, Arc<[u8]>, Vec<[f32; 256]>),
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
    /// What it sends is no update.
    #[error("the server refuses the answer: {0}")]
    Refused(String),
    /// The base version has other tensors than the plan's model.
    #[error(transparent)]
    Layout(#[from] LayoutMismatch),
}

/// The moments of a client's columns of numbers over `rows` of its rows, where they are known: all that a `measure` task lets
/// out. Of images it is the moments of each channel, over all pixels, from 0 to 1.
pub fn measure(data: &ClientRows, schema: &Schema, rows: &[u32]) -> Statistics {
    let mut statistics = Statistics::new();
    match &data.inputs {
        Inputs::Table(width, values) => {
            for (i, column) in schema.placed().filter(|(_, column)| column.is_number()) {
                let mut moments = Moments::default();
                let known = rows.iter().map(|row| values[*row as usize * width + i]).filter(|value| !value.is_nan());
                known.for_each(|value| moments.add(value));
                statistics.insert(column.name.clone(), moments);
            }
        }
        Inputs::Images(size, pixels) => {
            let names = schema.channels();
            // Neighbours are often alike; counted in one place, each would wait for the one before.
            let mut counts = vec![[0u64; 256]; names.len() * 4];
            for row in rows {
                for pixels in pixels[*row as usize * size..][..*size].chunks(names.len() * 4) {
                    counts.iter_mut().zip(pixels).for_each(|(counts, byte)| counts[usize::from(*byte)] += 1);
                }
            }
            let channels = names.len();
            let together = |channel: usize| {
                let of_channel = |byte: usize| counts.iter().skip(channel).step_by(channels).map(|c| c[byte]).sum();
                of_bytes(&std::array::from_fn(of_channel))
            };
            statistics.extend(names.into_iter().zip((0..channels).map(together)));
        }
    }
    if let Truth::Numbers(numbers) = &data.truth {
        let mut moments = Moments::default();
        rows.iter().for_each(|row| moments.add(numbers[*row as usize]));
        statistics.insert(schema.target.name.clone(), moments);
    }
    statistics
}

/// The moments of bytes from 0 to 1, by how often each was counted.
fn of_bytes(counts: &[u64; 256]) -> Moments {
    let value = |byte: usize| byte as f64 / 255.0;
    let n: u64 = counts.iter().sum();
    let sum: f64 = counts.iter().enumerate().map(|(byte, count)| *count as f64 * value(byte)).sum();
    let mean = if n > 0 { sum / n as f64 } else { 0.0 };
    let m2 = counts.iter().enumerate().map(|(byte, count)| *count as f64 * (value(byte) - mean).powi(2)).sum();
    Moments { n, mean, m2 }
}

/// The moments of every column over everybody's rows, merged as a federation would.
pub fn measure_everybody(data: &DataSet, schema: &Schema) -> Statistics {
    let mut total = Statistics::new();
    for client in &data.clients {
        let all: Vec<u32> = (0..client.len() as u32).collect();
        merge(&mut total, &measure(client, schema, &all));
    }
    total
}

impl Rows {
    /// Scales examples.
    pub fn new(inputs: &Inputs, truth: &Truth, schema: &Schema, preprocessing: &Preprocessing) -> Self {
        let scales = preprocessing.inputs(schema);
        let inputs = match inputs {
            Inputs::Table(width, values) => {
                // What is not known is the mean.
                let scaled = |value: f64, scale: &Scale| if value.is_nan() { 0.0 } else { scale.apply(value) };
                let scaled = values.iter().zip(scales.iter().cycle()).map(|(value, scale)| scaled(*value, scale));
                Scaled::Table(*width, scaled.collect())
            }
            Inputs::Images(size, pixels) => {
                let levels = |scale: &Scale| std::array::from_fn(|byte| scale.apply(byte as f64 / 255.0));
                Scaled::Images(*size, Arc::clone(pixels), scales.iter().map(levels).collect())
            }
        };
        let scale = preprocessing.of_column(&schema.target.name);
        let y = match truth {
            Truth::Numbers(numbers) => numbers.iter().map(|value| scale.apply(*value)).collect(),
            Truth::Classes(_) => vec![],
        };
        Self { inputs, y, truth: truth.clone() }
    }

    /// Writes the inputs of a batch.
    fn write(&self, batch: &[u32], inputs: &mut [f32]) {
        match &self.inputs {
            Scaled::Table(width, x) => {
                for (inputs, row) in inputs.chunks_exact_mut(*width).zip(batch) {
                    inputs.copy_from_slice(&x[*row as usize * width..][..*width]);
                }
            }
            Scaled::Images(size, pixels, levels) => {
                for (inputs, row) in inputs.chunks_exact_mut(*size).zip(batch) {
                    write_image(&pixels[*row as usize * size..][..*size], levels, inputs);
                }
            }
        }
    }

    /// How many floats an example is, if making them of its bytes takes longer than copying them.
    fn dear(&self) -> Option<usize> {
        match &self.inputs {
            Scaled::Table(..) => None,
            Scaled::Images(size, ..) => Some(*size),
        }
    }

    /// Writes what is true of a batch to `y` or to `classes`, and says which.
    fn targets<'a>(&self, batch: &[u32], y: &'a mut [f32], classes: &'a mut [u16]) -> Targets<'a> {
        match &self.truth {
            Truth::Numbers(_) => {
                y.iter_mut().zip(batch).for_each(|(y, row)| *y = self.y[*row as usize]);
                Targets::Numbers(y)
            }
            Truth::Classes(truth) => {
                classes.iter_mut().zip(batch).for_each(|(class, row)| *class = truth[*row as usize]);
                Targets::Classes(classes)
            }
        }
    }

    /// The scaled features of a table, a row after another; none of images.
    pub fn x(&self) -> &[f32] {
        match &self.inputs {
            Scaled::Table(_, x) => x,
            Scaled::Images(..) => &[],
        }
    }

    /// The scaled target, if it is a number.
    pub fn y(&self) -> &[f32] {
        &self.y
    }
}

fn write_image(bytes: &[u8], levels: &[[f32; 256]], inputs: &mut [f32]) {
    // A loop of its own for grey images: two thirds of the time.
    if let [levels] = levels {
        return inputs.iter_mut().zip(bytes).for_each(|(input, byte)| *input = levels[usize::from(*byte)]);
    }
    for (inputs, bytes) in inputs.chunks_exact_mut(levels.len()).zip(bytes.chunks_exact(levels.len())) {
        for ((input, byte), levels) in inputs.iter_mut().zip(bytes).zip(levels) {
            *input = levels[usize::from(*byte)];
        }
    }
}

impl Client {
    /// Scales a client's rows.
    pub fn new(data: &ClientRows, split: Split, schema: &Schema, preprocessing: &Preprocessing) -> Self {
        Self { name: data.name.clone(), split, rows: Rows::new(&data.inputs, &data.truth, schema, preprocessing) }
    }

    /// Its scaled rows.
    pub fn rows(&self) -> &Rows {
        &self.rows
    }
}

/// The fewest rows that a model is judged on at a time, if there are as many: weights are read once for all of them.
pub const JUDGED: usize = 32;

/// From what a client trains.
#[derive(Clone, Copy, Debug)]
pub struct Given<'a> {
    /// The model that it is given.
    pub params: &'a Params,
    /// Everybody's control variate, which comes with it; empty is zero.
    pub control: &'a [f32],
    /// What the client keeps.
    pub own: Parts<'a>,
}

impl<'a> Given<'a> {
    /// The model alone.
    pub fn model(params: &'a Params) -> Self {
        Self { params, control: &[], own: Parts { layers: &[], control: &[], personal: &[] } }
    }
}

/// The most floats that are made once for all passes over a client's images: they stay near the processor.
const AT_HAND: usize = 1 << 20;

/// Images as the model takes them, for a client that goes over them several times.
#[derive(Default)]
struct AtHand {
    /// Where each row stands; of those that are not there, anything.
    places: Vec<u32>,
    size: usize,
    floats: Vec<f32>,
}

impl AtHand {
    /// Makes these rows, if that pays for so many steps with such batches.
    fn make(&mut self, data: &Rows, rows: &[u32], steps: u64, batch_size: usize) -> bool {
        let Some(size) = data.dear() else { return false };
        if rows.len() * size > AT_HAND || steps <= rows.len().div_ceil(batch_size) as u64 {
            return false;
        }
        self.size = size;
        self.floats.resize(rows.len() * size, 0.0);
        data.write(rows, &mut self.floats);
        self.places.resize(data.truth.len(), 0);
        (0..).zip(rows).for_each(|(place, row)| self.places[*row as usize] = place);
        true
    }

    fn write(&self, batch: &[u32], inputs: &mut [f32]) {
        for (inputs, row) in inputs.chunks_exact_mut(self.size).zip(batch) {
            inputs.copy_from_slice(&self.floats[self.places[*row as usize] as usize * self.size..][..self.size]);
        }
    }
}

/// The buffers of local training, used for one client after another.
pub struct Trainer {
    network: Network,
    mask: Mask,
    /// The whole model's parameters as a file has them.
    whole: Vec<f32>,
    /// A batch's targets: numbers, or classes.
    y: Vec<f32>,
    classes: Vec<u16>,
    training: Training,
    /// What training makes small beside the loss.
    objective: Objective,
    /// How strongly a personal model is pulled to the shared one.
    lambda: f32,
    /// How much of a round there is time for: epochs, or steps if training is so many steps.
    amount: u32,
    /// What the optimiser's learning rate is multiplied by.
    factor: f32,
    target: Scale,
    /// How many classes there are; 0 for a number.
    of_classes: usize,
    order: Vec<u32>,
    at_hand: AtHand,
}

impl Trainer {
    /// For models and training as `work` says, which was checked. `preprocessing` gives predictions their unit.
    /// `most_rows` is the most that any client trains on: a batch is never larger. A large step uses `threads` threads of the
    /// pool it runs in, and comes to the same bits on any number.
    pub fn new(work: &Work, preprocessing: &Preprocessing, most_rows: usize, threads: usize) -> Self {
        let rows = work.training.batch_size.max(JUDGED).min(most_rows.max(1));
        let body = work.body(rows).expect("the work was checked, and a smaller batch needs less");
        let mask = Mask::new(&body.tensors, &work.personalise.layers).expect("the work was checked");
        let network = work.network(body, rows, threads);
        let whole = vec![0.0; network.parameters()];
        Self {
            network,
            mask,
            whole,
            y: vec![0.0; rows],
            classes: vec![0; rows],
            training: work.training.clone(),
            objective: Objective::Plain,
            lambda: work.personalise.lambda.unwrap_or(0.0),
            amount: work.training.amount(),
            factor: 1.0,
            target: preprocessing.of_column(&work.schema.target.name),
            of_classes: work.schema.target.classes.len(),
            order: vec![],
            at_hand: AtHand::default(),
        }
    }

    /// Stop 4 of a round: trains from what a client is given and keeps, on its rows. Returns what changed of the model, weighted
    /// by examples, and what the client keeps from now on. The order of rows derives from the seed, the client's name and
    /// the round's ordinal.
    pub fn train(
        &mut self,
        given: Given<'_>,
        client: &Client,
        which: TrainingRows,
        (seed, ordinal): (u64, u32),
    ) -> Result<(Update, Vec<f32>), TrainError> {
        let (base, rows) = (given.params, client.split.rows(which));
        self.load(base, given.own.layers)?;
        self.aim(&given)?;
        let mut numbers = stream(seed, Purpose::Batches, client.name.as_str(), u64::from(ordinal));
        let loss = self.run(&client.rows, rows, self.steps(rows.len()), &mut numbers);
        self.network.store(&mut self.whole);
        let mut delta = self.mask.shared(&self.whole);
        delta.iter_mut().zip(base.values()).for_each(|(after, before)| *after -= before);
        let mut own = self.mask.own(&self.whole);
        let weight = Weight::new(rows.len() as f64).map_err(|_| TrainError::Diverged(client.name.clone()))?;
        let delta = Params::new(Arc::clone(base.layout()), delta)?;
        let change = self.remember(&given, &delta, rows.len(), &mut own);
        if !given.own.personal.is_empty() {
            let mut numbers = stream(seed, Purpose::Personalise, client.name.as_str(), u64::from(ordinal));
            self.train_personal(&given, &client.rows, rows, &mut numbers);
            own.extend_from_slice(&self.whole);
        }
        if !loss.is_finite() || !delta.is_finite() || !own.iter().all(|value| value.is_finite()) {
            return Err(TrainError::Diverged(client.name.clone()));
        }
        let mut update = Update::of_delta(delta, weight);
        if let Some(change) = change {
            update.groups.insert(CONTROL.into(), Params::new(Arc::clone(base.layout()), change)?);
        }
        update.scalars.insert(TRAIN_LOSS.into(), loss);
        Ok((update, own))
    }

    /// Turns and pulls every step as the objective says.
    fn aim(&mut self, given: &Given<'_>) -> Result<(), LayoutMismatch> {
        let (told, kept) = (given.control, given.own.control);
        let want = given.params.values().len();
        if let Some(got) = [told, kept].map(<[f32]>::len).into_iter().find(|len| ![0, want].contains(len)) {
            return Err(LayoutMismatch { want, got });
        }
        match self.objective {
            Objective::Plain => {}
            Objective::Proximal { mu } => self.network.pull_back(mu),
            Objective::Controlled => self.turn(kept.iter().enumerate().map(|(i, c)| told.get(i).unwrap_or(&0.0) - c)),
            Objective::Dynamic { alpha } => {
                self.network.pull_back(alpha);
                self.turn(kept.iter().map(|g| -g));
            }
        }
        Ok(())
    }

    /// Adds this to the gradient of what is shared in every step.
    fn turn(&mut self, by: impl Iterator<Item = f32>) {
        let (by, none) = (by.collect::<Vec<_>>(), vec![0.0; self.mask.owned()]);
        self.mask.join(&by, &none, &mut self.whole);
        self.network.turn(&self.whole);
    }

    /// Appends what the client remembers of its direction after a round in which it came `delta` far. Returns what is sent of
    /// that. Running statistics have no direction.
    fn remember(&self, given: &Given<'_>, delta: &Params, rows: usize, own: &mut Vec<f32>) -> Option<Vec<f32>> {
        let (kept, told) = (given.own.control, |i: usize| given.control.get(i).copied().unwrap_or(0.0));
        match self.objective {
            Objective::Plain | Objective::Proximal { .. } => None,
            Objective::Dynamic { alpha } => {
                own.extend(kept.iter().zip(delta.values()).map(|(g, delta)| g - alpha * delta));
                None
            }
            Objective::Controlled => {
                let way = self.steps(rows) as f32 * self.training.optimizer.learning_rate() * self.factor;
                let mut change: Vec<f32> =
                    delta.values().iter().enumerate().map(|(i, delta)| -told(i) - delta / way).collect();
                let tensors = delta.layout().tensors();
                for (_, range) in tensors.filter(|(tensor, _)| tensor.role == Role::Statistic) {
                    change[range].fill(0.0);
                }
                own.extend(kept.iter().zip(&change).map(|(c, change)| c + change));
                Some(change)
            }
        }
    }

    /// Trains the client's personal model, which the shared one pulls, and leaves it in `whole`: Ditto, Algorithm 1 of Li et al.
    /// 2021 <https://arxiv.org/abs/2012.04221>.
    fn train_personal(&mut self, given: &Given<'_>, data: &Rows, rows: &[u32], numbers: &mut Stream) {
        self.network.load(given.params.values());
        self.network.pull_back(self.lambda);
        self.network.go_to(given.own.personal);
        self.run(data, rows, self.steps(rows.len()), numbers);
        self.network.store(&mut self.whole);
    }

    /// Starts from `params` and a client's `own` layers, with an optimiser that has not stepped yet.
    pub fn load(&mut self, params: &Params, own: &[f32]) -> Result<(), LayoutMismatch> {
        let (want, got) = (self.network.parameters(), params.values().len() + own.len());
        if want != got || self.mask.is_personal() == own.is_empty() {
            return Err(LayoutMismatch { want, got });
        }
        if own.is_empty() {
            self.network.load(params.values());
        } else {
            self.mask.join(params.values(), own, &mut self.whole);
            self.network.load(&self.whole);
        }
        Ok(())
    }

    /// Goes on with a client's personal model.
    ///
    /// # Panics
    /// If it is not as long as the whole model.
    pub fn load_personal(&mut self, personal: &[f32]) {
        self.network.load(personal);
    }

    /// From now on training makes this small, and lasts so many epochs, or steps if training is so many steps.
    pub fn pursue(&mut self, objective: Objective, amount: u32) {
        (self.objective, self.amount) = (objective, amount);
    }

    /// From now on the learning rate is `factor` times the optimiser's.
    pub fn scale_rate(&mut self, factor: f32) {
        self.factor = factor;
        self.network.scale_rate(factor);
    }

    /// Trains on from where it is, so many steps: over all `rows` again and again, in another order each time. Returns the mean
    /// loss over all examples seen.
    pub fn run(&mut self, data: &Rows, rows: &[u32], mut steps: u64, numbers: &mut Stream) -> f64 {
        let Self { network, training, order, y, classes, at_hand, .. } = self;
        let made = at_hand.make(data, rows, steps, training.batch_size);
        let (mut total, mut seen) = (0.0, 0u64);
        let mut draw = if network.draws() { numbers.next_u64() } else { 0 };
        order.clear();
        order.extend_from_slice(rows);
        while steps > 0 && !rows.is_empty() {
            order.shuffle(numbers);
            for batch in order.chunks(training.batch_size).take(steps.min(usize::MAX as u64) as usize) {
                let inputs = network.inputs(batch.len());
                if made {
                    at_hand.write(batch, inputs)
                } else {
                    data.write(batch, inputs)
                }
                let targets = data.targets(batch, y, classes);
                draw = draw.wrapping_add(1);
                total += network.step(batch.len(), targets, &training.loss, draw) * batch.len() as f64;
                (seen, steps) = (seen + batch.len() as u64, steps - 1);
            }
        }
        total / seen as f64
    }

    /// How many steps the training of a client with so many rows takes.
    pub fn steps(&self, rows: usize) -> u64 {
        self.training.steps_of(self.amount, rows)
    }

    /// The mean loss of the model as it is on `rows`.
    pub fn mean_loss(&mut self, data: &Rows, rows: &[u32]) -> f64 {
        let Self { network, training, y, classes, .. } = self;
        let (outputs, mut total) = (network.outputs(), 0.0);
        let mut slopes = vec![0.0; network.batch_size() * outputs];
        for batch in rows.chunks(network.batch_size()) {
            data.write(batch, network.inputs(batch.len()));
            let (said, targets) = (network.predict(batch.len()), data.targets(batch, y, classes));
            let mean = training.loss.differentiate(said, outputs, targets, &mut slopes[..batch.len() * outputs]);
            total += mean * batch.len() as f64;
        }
        total / rows.len() as f64
    }

    /// What the model as it is comes to on `rows`: sums that add across clients. Errors are in the target's unit; of classes,
    /// with `scores`, it is also counted how probable each was thought.
    pub fn evaluate(&mut self, data: &Rows, rows: &[u32], scores: bool) -> Sums {
        let mut sums = Sums::default();
        match &data.truth {
            Truth::Numbers(numbers) => {
                for (row, prediction) in rows.iter().zip(self.predict(data, rows)) {
                    regression::add(&mut sums.moments, numbers[*row as usize], prediction);
                }
            }
            Truth::Classes(classes) => {
                let probabilities = self.probabilities(data, rows);
                for (row, probabilities) in rows.iter().zip(probabilities.chunks_exact(self.of_classes)) {
                    let truth = usize::from(classes[*row as usize]);
                    classification::add(&mut sums.moments, &mut sums.counts, truth, probabilities, scores);
                }
            }
        }
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

    /// How probable the model as it is thinks each class of each of `rows`, a row after another. What is no number stays so.
    pub fn probabilities(&mut self, data: &Rows, rows: &[u32]) -> Vec<f32> {
        let mut probabilities = vec![0.0; rows.len() * self.of_classes];
        let size = self.network.batch_size();
        for (batch, to) in rows.chunks(size).zip(probabilities.chunks_mut(size * self.of_classes)) {
            data.write(batch, self.network.inputs(batch.len()));
            let outputs = self.network.outputs();
            let said = self.network.predict(batch.len()).chunks_exact(outputs);
            for (said, to) in said.zip(to.chunks_exact_mut(self.of_classes)) {
                self.training.loss.probabilities(said, to);
            }
        }
        probabilities
    }
}
