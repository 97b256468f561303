//! Stops 8 and 9 of a round: the updates become the next model version, and its file. For whoever drives a federation.

use std::sync::Arc;

use dure_core::{
    combine::{Combine, InMemory},
    digest::Digest,
    job::Job,
    model::{LayoutMismatch, Params},
    optimizer::State,
    update::{DELTA, Update, Weight},
};
use serde_json::Map;

use crate::{DecodeError, decode_model, encode_model};

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
        let about = job.about();
        let blob = encode_model(&params, &about);
        Self { params, state: State::default(), about, sha256: Digest::of(&blob), blob }
    }

    /// The newest version of `job`, from its file.
    pub fn read(job: &Job, blob: Vec<u8>, sha256: Digest) -> Result<Self, DecodeError> {
        let layout = Arc::new(job.plan.layout.clone());
        let (params, _) = decode_model(&blob, Some(&layout), blob.len(), Some(sha256))?;
        Ok(Self { params, state: State::default(), about: job.about(), blob, sha256 })
    }

    /// Combines `updates` (in the order of names) on `threads` threads, steps, and makes the next version.
    pub fn advance(&mut self, job: &Job, updates: &[Update], threads: usize) -> Result<(), AdvanceError> {
        let Some(strategy) = job.plan.strategy.build() else {
            unreachable!("a checked plan names a strategy that exists")
        };
        let deltas: Vec<(Weight, &[f32])> =
            updates.iter().filter_map(|update| Some((update.weight, update.groups.get(DELTA)?.values()))).collect();
        let mut delta = vec![0.0; self.params.values().len()];
        combine(&*strategy.combine, &deltas, &mut delta, threads)?;
        self.params.settle(&mut delta);
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

/// Combines all coordinates, a chunk at a time. Threads take ranges; where a range ends changes nothing.
fn combine(
    rule: &dyn Combine,
    deltas: &[(Weight, &[f32])],
    out: &mut [f32],
    threads: usize,
) -> Result<(), LayoutMismatch> {
    let part = |first: usize, out: &mut [f32]| {
        out.chunks_mut(CHUNK).enumerate().try_for_each(|(i, out)| {
            let begin = first + i * CHUNK;
            rule.combine(begin..begin + out.len(), &mut InMemory::new(deltas), out)
        })
    };
    if out.len() <= CHUNK || threads <= 1 {
        return part(0, out);
    }
    let share = out.len().div_ceil(threads);
    std::thread::scope(|scope| {
        let parts = out.chunks_mut(share).enumerate();
        let parts: Vec<_> = parts.map(|(i, out)| scope.spawn(move || part(i * share, out))).collect();
        let done = |part: std::thread::ScopedJoinHandle<'_, _>| part.join().expect("combining does not panic");
        parts.into_iter().try_for_each(done)
    })
}
