//! What a trainer is told: the part of a plan that the rules do not look inside.

use std::fmt::Display;

use dure_core::{
    excerpt::{SENTENCE, excerpt},
    model::{Layout, LayoutError},
    plan::{Plan, PlanError},
};
use serde::{Deserialize, Serialize};

use crate::{local_optimizer::LocalOptimizer, loss::Loss, mlp, schema::Schema, split::SplitSpec};

/// The scalar that every update bears: the mean loss over the examples of all its epochs, on the scaled target.
pub const TRAIN_LOSS: &str = "train_loss";

/// The most memory that a thread's training may take, in bytes.
pub const MAX_TRAINER_BYTES: u64 = 8 << 30;

/// The most features.
const MAX_FEATURES: usize = 4096;

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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields)]
pub enum ModelSpec {
    /// A multi-layer perceptron with ReLU.
    Mlp {
        /// Units of the hidden layers.
        hidden: Vec<usize>,
    },
}

/// One round of local training.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// Passes over the client's rows.
    pub epochs: u32,
    /// Rows of a step.
    pub batch_size: usize,
    /// What is made small.
    pub loss: Loss,
    /// How a client steps; it begins afresh in every round.
    pub optimizer: LocalOptimizer,
}

/// How a client makes the final model its own: by training it on, on its rows alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Personalise {
    /// Passes over the client's rows; 0 leaves the model as it is.
    pub epochs: u32,
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
        if same {
            Ok(work)
        } else {
            refuse("model", "a layout of other tensors", "the tensors of the model that is named")
        }
    }

    /// Holds every value to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let ModelSpec::Mlp { hidden } = &self.model;
        for (key, share) in [("split.test", self.split.test), ("split.validation", self.split.validation)] {
            if !(0.0..1.0).contains(&share) {
                return refuse(key, share, "a share from 0 to below 1");
            }
        }
        if hidden.iter().any(|units| !(1..=1 << 16).contains(units)) || hidden.len() > 64 {
            return refuse("model.hidden", format!("{hidden:?}"), "up to 64 layers of 1 to 65536 units");
        }
        if self.personalise.epochs > 100_000 {
            return refuse("personalise.epochs", self.personalise.epochs, "0 to 100000");
        }
        check_schema(&self.schema)?;
        self.training.check()?;
        let bytes = self.trainer_bytes();
        if bytes > MAX_TRAINER_BYTES {
            let allowed = format!("a model and batch whose training takes at most {MAX_TRAINER_BYTES} bytes a thread");
            return refuse(
                "model",
                format!("{hidden:?} with batches of {} ({bytes} bytes)", self.training.batch_size),
                &allowed,
            );
        }
        Ok(())
    }

    /// Inputs, hidden units, outputs.
    pub fn dims(&self) -> Vec<usize> {
        let ModelSpec::Mlp { hidden } = &self.model;
        std::iter::once(self.schema.features.len()).chain(hidden.iter().copied()).chain([1]).collect()
    }

    /// The model's tensors.
    pub fn layout(&self) -> Result<Layout, LayoutError> {
        Layout::new(mlp::layout(&self.dims()))
    }

    /// What a trainer holds: parameters, gradient and Adam's moments, the activations and errors of a batch, a layer turned.
    fn trainer_bytes(&self) -> u64 {
        let dims: Vec<u64> = self.dims().iter().map(|dim| *dim as u64).collect();
        let parameters: u64 = dims.windows(2).map(|pair| pair[1].saturating_mul(pair[0] + 1)).sum();
        let activations: u64 = dims.iter().sum::<u64>().saturating_mul(self.training.batch_size as u64);
        parameters.saturating_mul(5).saturating_add(activations.saturating_mul(2)).saturating_mul(4)
    }
}

/// Holds names and units to what a model file's header can carry.
fn check_schema(schema: &Schema) -> Result<(), PlanError> {
    if !(1..=MAX_FEATURES).contains(&schema.features.len()) {
        return refuse("schema.features", format!("{} columns", schema.features.len()), "1 to 4096 columns");
    }
    let plain =
        |text: &str, most: usize| text.len() <= most && !text.chars().any(|c| c.is_control() || c == '"' || c == '\\');
    let mut names = std::collections::BTreeSet::new();
    for column in schema.columns() {
        let good = !column.name.is_empty()
            && plain(&column.name, 128)
            && plain(&column.unit, 64)
            && names.insert(&column.name);
        if !good {
            let named = format!("{:?} in {:?}", excerpt(&column.name, 40), excerpt(&column.unit, 40));
            let allowed = "names of up to 128 bytes, each once, units of up to 64, without quotes, backslashes and control characters";
            return Err(PlanError::Value { key: "schema", value: named, allowed: allowed.into() });
        }
    }
    Ok(())
}

impl Training {
    fn check(&self) -> Result<(), PlanError> {
        let rate = self.optimizer.learning_rate();
        if !(1..=100_000).contains(&self.epochs) {
            return refuse("training.epochs", self.epochs, "1 to 100000");
        }
        if !(1..=1 << 20).contains(&self.batch_size) {
            return refuse("training.batch_size", self.batch_size, "1 to 1048576 rows");
        }
        if !(rate.is_finite() && rate > 0.0) {
            return refuse("training.optimizer.learning_rate", rate, "a number above 0");
        }
        match self.loss {
            Loss::Huber { delta } if !(delta.is_finite() && delta > 0.0) => {
                refuse("training.loss.delta", delta, "a number above 0")
            }
            _ => Ok(()),
        }
    }
}

fn refuse<T>(key: &'static str, value: impl Display, allowed: &str) -> Result<T, PlanError> {
    Err(PlanError::value(key, value, allowed))
}
