//! What a trainer is told: the part of a plan that the rules do not look inside.

use std::fmt::Display;

use dure_core::{
    excerpt::{SENTENCE, excerpt},
    model::{Layout, LayoutError},
    plan::{Plan, PlanError},
    strategy::Objective,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    client::JUDGED,
    local_optimizer::{LocalOptimizer, Schedule},
    loss::Loss,
    mask::{self, Mask},
    network::{
        Network,
        build::{Body, Shape},
        simd::Simd,
        spec::{self, LayerSpec, Named},
    },
    schema::Schema,
    split::SplitSpec,
};

/// The most memory that a thread's training may take, in bytes.
pub const MAX_TRAINER_BYTES: u64 = 8 << 30;

/// What a trainer is told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Work {
    /// What the rows mean.
    pub schema: Schema,
    /// How a client's rows are divided.
    pub split: SplitSpec,
    /// What is trained.
    pub model: ModelSpec,
    /// How.
    pub training: Training,
    /// How a client makes the final model its own.
    pub personalise: Personalise,
}

/// What is trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"mlp\", hidden = [64] }"
)]
pub enum ModelSpec {
    /// One linear layer.
    Logistic {},
    /// A multi-layer perceptron with ReLU.
    Mlp {
        /// Units of the hidden layers.
        hidden: Vec<usize>,
    },
    /// The convolutional network of McMahan et al. 2017.
    Cnn {},
    /// The chest X-ray network of a founding system.
    CnnXray {},
    /// A residual network of 18 layers for small images.
    Resnet18 {},
    /// A residual network of 50 layers for small images.
    Resnet50 {},
    /// Layers, one after another.
    Layers {
        /// Which.
        #[serde(deserialize_with = "spec::in_order")]
        layers: Vec<LayerSpec>,
    },
}

impl ModelSpec {
    /// Its layers, for so many outputs.
    pub fn layers(&self, outputs: usize) -> Vec<Named> {
        match self {
            Self::Logistic {} => spec::mlp(&[], outputs),
            Self::Mlp { hidden } => spec::mlp(hidden, outputs),
            Self::Cnn {} => spec::cnn(outputs),
            Self::CnnXray {} => spec::cnn_xray(outputs),
            Self::Resnet18 {} => spec::resnet([2, 2, 2, 2], false, outputs),
            Self::Resnet50 {} => spec::resnet([3, 4, 6, 3], true, outputs),
            Self::Layers { layers } => spec::numbered(layers.iter().cloned()),
        }
    }
}

/// One round of local training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the client's rows; 1 where `steps` says how long training is.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 100_000))]
    pub epochs: u32,
    /// So many steps in place of passes, whatever the number of rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000))]
    pub steps: Option<u32>,
    /// Rows of a step.
    #[schemars(range(min = 1, max = 1_048_576))]
    pub batch_size: usize,
    /// What is made small.
    pub loss: Loss,
    /// How a client steps; it begins afresh in every round.
    pub optimizer: LocalOptimizer,
    /// How its learning rate changes from round to round.
    #[serde(default, skip_serializing_if = "Schedule::is_constant")]
    #[schemars(extend("default" = Schedule::default()))]
    pub schedule: Schedule,
}

/// How a client has a model of its own: by layers that stay with it from round to round, and by training the final model on,
/// on its rows alone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Personalise {
    /// Passes over the client's rows; 0 leaves the model as it is.
    #[schemars(range(max = 100_000))]
    pub epochs: u32,
    /// The learning rate of those passes; training's if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: Option<f32>,
    /// How strongly a model of the client's own, trained beside the shared one in every round, is pulled to it: Ditto's λ.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub lambda: Option<f32>,
    /// Layers whose tensors each client keeps to itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<String>,
}

impl Personalise {
    fn check(&self) -> Result<(), PlanError> {
        if self.epochs > 100_000 {
            return refuse("personalise.epochs", self.epochs, "0 to 100000");
        }
        if let Some(lambda) = self.lambda {
            if !(lambda.is_finite() && lambda >= 0.0) {
                return refuse("personalise.lambda", lambda, "a number from 0");
            }
            let other = match (self.epochs, &self.layers[..]) {
                (0, []) => None,
                (0, layers) => Some(format!("personalise.layers = {}", layers.join(", "))),
                (epochs, _) => Some(format!("personalise.epochs = {epochs}")),
            };
            if let Some(second) = other {
                let (first, why) = (
                    format!("personalise.lambda = {lambda}"),
                    "a client has one personal model; leave lambda away, or set personalise.epochs=0 and personalise.layers=[]",
                );
                return Err(PlanError::Contradiction { first, second, why });
            }
        }
        match self.learning_rate {
            Some(rate) if !(rate.is_finite() && rate > 0.0) => {
                refuse("personalise.learning_rate", rate, "a number above 0")
            }
            _ => Ok(()),
        }
    }
}

impl Work {
    /// What a plan tells its trainers.
    pub fn of(plan: &Plan) -> Result<Self, PlanError> {
        let value = serde_json::Value::Object(plan.work.clone());
        let work: Self = serde_json::from_value(value).map_err(|error| PlanError::Value {
            key: "work",
            value: excerpt(error, SENTENCE),
            allowed: "what this version's trainer knows".into(),
        })?;
        work.check()?;
        let same = work.layout().is_ok_and(|layout| layout == plan.layout);
        if !same {
            return refuse("model", "a layout of other tensors", "the tensors of the model that is named");
        }
        work.fits(plan.objective())?;
        Ok(work)
    }

    /// Whether trainers can make this small.
    pub fn fits(&self, objective: Objective) -> Result<(), PlanError> {
        if objective == Objective::Controlled && !self.training.optimizer.is_plain() {
            return Err(PlanError::Contradiction {
                first: "strategy.name = scaffold".into(),
                second: "training.optimizer".into(),
                why: "a client's mean slope is known of plain steps only; use sgd without momentum",
            });
        }
        Ok(())
    }

    /// Holds every value to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        self.split.check()?;
        self.personalise.check()?;
        self.schema.check()?;
        self.training.check(&self.schema)?;
        if let ModelSpec::Mlp { hidden } = &self.model
            && (hidden.len() > 64 || hidden.iter().any(|units| !(1..=1 << 16).contains(units)))
        {
            return refuse("model.hidden", format!("{hidden:?}"), "up to 64 layers of 1 to 65536 units");
        }
        let body = self.body(self.training.batch_size.max(JUDGED))?;
        Mask::new(&body.tensors, &self.personalise.layers)?;
        let bytes = body.floats.saturating_mul(4);
        if bytes > MAX_TRAINER_BYTES {
            let allowed = format!("a model and batch whose training takes at most {MAX_TRAINER_BYTES} bytes a thread");
            let asked = format!("one with batches of {} ({bytes} bytes)", self.training.batch_size);
            return refuse("model", asked, &allowed);
        }
        Ok(())
    }

    /// What goes into the model.
    pub fn input(&self) -> Shape {
        self.schema.input()
    }

    /// The model, for batches of up to `rows` examples.
    pub fn body(&self, rows: usize) -> Result<Body, PlanError> {
        let wanted = self.schema.outputs();
        let mut layers = self.model.layers(wanted);
        // A model of rows by name sees an image as a row of its floats.
        if matches!(self.model, ModelSpec::Logistic {} | ModelSpec::Mlp { .. }) && self.schema.image.is_some() {
            layers.insert(0, (String::new(), LayerSpec::Flatten {}));
        }
        let body = Body::new(self.input(), rows, &layers)?;
        if body.outputs == wanted {
            return Ok(body);
        }
        let allowed = format!("{wanted}: one for each class, or one for a number");
        refuse("model.layers", format!("a last layer with {} outputs", body.outputs), &allowed)
    }

    /// The model's tensors that travel.
    pub fn layout(&self) -> Result<Layout, PlanError> {
        mask::layout(&self.body(1)?.tensors, &self.personalise.layers).map_err(no_layout)
    }

    /// A model to train on batches of up to `rows` examples, for which `body` was made, on `threads` threads.
    pub fn network(&self, body: Body, rows: usize, threads: usize) -> Network {
        Network::new(body, self.input(), rows, self.training.optimizer, Simd::detect(), threads)
    }
}

fn one() -> u32 {
    1
}

impl Training {
    /// How long a round's training is: steps if it says so, else epochs.
    pub fn amount(&self) -> u32 {
        self.steps.unwrap_or(self.epochs)
    }

    /// How many steps so much of it is for a client with so many rows.
    pub fn steps_of(&self, amount: u32, rows: usize) -> u64 {
        if self.steps.is_some() { amount.into() } else { self.steps_in(amount, rows) }
    }

    /// How many examples so much of it goes over, for a client with so many rows.
    pub fn examples_of(&self, amount: u32, rows: usize) -> u64 {
        u64::from(amount) * if self.steps.is_some() { self.batch_size } else { rows } as u64
    }

    /// How many steps so many passes over so many rows take.
    pub fn steps_in(&self, epochs: u32, rows: usize) -> u64 {
        rows.div_ceil(self.batch_size) as u64 * u64::from(epochs)
    }

    /// How many times at most a client with so many rows goes over one of them in a round.
    pub fn passes(&self, rows: usize) -> u32 {
        let Some(steps) = self.steps else { return self.epochs };
        u64::from(steps).div_ceil(self.steps_in(1, rows).max(1)) as u32
    }

    fn check(&self, schema: &Schema) -> Result<(), PlanError> {
        let rate = self.optimizer.learning_rate();
        if !(1..=100_000).contains(&self.epochs) {
            return refuse("training.epochs", self.epochs, "1 to 100000");
        }
        if let Some(steps) = self.steps {
            if !(1..=100_000_000).contains(&steps) {
                return refuse("training.steps", steps, "1 to 100000000");
            }
            if self.epochs != 1 {
                let (first, second) =
                    (format!("training.steps = {steps}"), format!("training.epochs = {}", self.epochs));
                let why = "training is so many steps or so many passes; leave the steps away, or set training.epochs=1";
                return Err(PlanError::Contradiction { first, second, why });
            }
        }
        if !(1..=1 << 20).contains(&self.batch_size) {
            return refuse("training.batch_size", self.batch_size, "1 to 1048576 rows");
        }
        if !(rate.is_finite() && rate > 0.0) {
            return refuse("training.optimizer.learning_rate", rate, "a number above 0");
        }
        if self.loss.is_of_classes() != schema.is_of_classes() {
            let allowed = if schema.is_of_classes() { "cross_entropy or bce_with_logits" } else { "huber or mse" };
            return refuse("training.loss", "a loss of another kind of target", allowed);
        }
        self.optimizer.check()?;
        self.schedule.check()?;
        match &self.loss {
            Loss::Huber { delta } if !(delta.is_finite() && *delta > 0.0) => {
                refuse("training.loss.delta", delta, "a number above 0")
            }
            Loss::CrossEntropy { class_weights: Some(weights) } => {
                let positive = weights.iter().all(|weight| weight.is_finite() && *weight > 0.0);
                let enough = weights.len() == schema.target.classes.len();
                let allowed = "a number above 0 for each class";
                if positive && enough {
                    Ok(())
                } else {
                    refuse("training.loss.class_weights", format!("{weights:?}"), allowed)
                }
            }
            _ => Ok(()),
        }
    }
}

fn no_layout(error: LayoutError) -> PlanError {
    PlanError::value("model", "a list of layers", error.to_string())
}

fn refuse<T>(key: &'static str, value: impl Display, allowed: &str) -> Result<T, PlanError> {
    Err(PlanError::value(key, value, allowed))
}
