//! Stops 8 and 9 of a round: the updates become the next model version.

use std::sync::Arc;

use dure_core::{
    combine::InMemory,
    digest::Digest,
    job::Job,
    model::{LayoutMismatch, Params},
    optimizer::State,
    update::{DELTA, Update, Weight},
};
use dure_learn::standardise::Preprocessing;
use dure_wire::encode_model;
use rayon::prelude::*;
use serde_json::{Map, json};

/// How many coordinates are combined at a time; bounds the memory of combining, whatever the model's size.
pub const CHUNK: usize = 1 << 14;

/// A job's newest model version, and what its optimizer remembers.
pub struct Models {
    params: Params,
    state: State,
    about: Map<String, serde_json::Value>,
    blob: Vec<u8>,
    sha256: Digest,
}

/// Why there is no next version.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdvanceError {
    /// A model and its updates differ in layout: a fault of ours.
    #[error(transparent)]
    Layout(#[from] LayoutMismatch),
    /// The server's step left what f32 can hold.
    #[error("round {round}'s step makes a parameter that is not finite; lower strategy.learning_rate")]
    NotFinite {
        /// The training round.
        round: u32,
    },
}

impl Models {
    /// The first version of `job`: parameters drawn from its seed.
    pub fn initial(job: &Job) -> Self {
        let params = Params::initial(Arc::new(job.plan.layout.clone()), job.seed);
        let about = about(job);
        let blob = encode_model(&params, &about);
        Self { params, state: State::default(), about, sha256: Digest::of(&blob), blob }
    }

    /// Combines `updates` (in the order of names), steps, and makes the next version.
    pub fn advance(&mut self, job: &Job, updates: &[Update], threads: &rayon::ThreadPool) -> Result<(), AdvanceError> {
        let Some(strategy) = job.plan.strategy.build() else {
            unreachable!("a checked plan names a strategy that exists")
        };
        let deltas: Vec<(Weight, &[f32])> =
            updates.iter().filter_map(|update| Some((update.weight, update.groups.get(DELTA)?.values()))).collect();
        let mut delta = vec![0.0; self.params.values().len()];
        let combine = |(i, out): (usize, &mut [f32])| {
            let range = i * CHUNK..i * CHUNK + out.len();
            strategy.combine.combine(range, &mut InMemory::new(&deltas), out)
        };
        if delta.len() <= CHUNK || threads.current_num_threads() == 1 {
            delta.chunks_mut(CHUNK).enumerate().try_for_each(combine)?;
        } else {
            threads.install(|| delta.par_chunks_mut(CHUNK).enumerate().try_for_each(combine))?;
        }
        strategy.optimizer.step(&mut self.params, &mut self.state, &delta)?;
        if !self.params.is_finite() {
            return Err(AdvanceError::NotFinite { round: job.completed + 1 });
        }
        self.blob = encode_model(&self.params, &self.about);
        self.sha256 = Digest::of(&self.blob);
        Ok(())
    }

    /// The parameters of the newest version.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Its blob: a safetensors file that says what it needs to be used.
    pub fn blob(&self) -> &[u8] {
        &self.blob
    }

    /// The blob's digest.
    pub fn sha256(&self) -> Digest {
        self.sha256
    }
}

/// What a model file says of itself: all that predicting with it needs.
fn about(job: &Job) -> Map<String, serde_json::Value> {
    let told = |key: &str| job.plan.work.get(key).cloned().unwrap_or_default();
    let preprocessing = job.statistics.as_ref().map(Preprocessing::of);
    let about = [
        ("recipe", json!(job.plan.name)),
        ("schema", told("schema")),
        ("model", told("model")),
        ("preprocessing", json!(preprocessing)),
    ];
    about.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
}
