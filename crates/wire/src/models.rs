//! Stops 8 and 9 of a round: the updates become the next model version, and its file. For whoever drives a federation.

use std::{collections::BTreeMap, sync::Arc};

use dure_core::{
    codec::Codec,
    combine::{Combine, Coordinates, Geometry, InMemory, Whole},
    digest::Digest,
    job::Job,
    model::{Layout, LayoutMismatch, Params},
    optimizer::{Combined, State},
    update::{DELTA, Update},
};
use rayon::prelude::*;
use serde_json::Map;

use crate::{DecodeError, Expected, decode_model, decode_update, encode_model, update::encode_groups};

/// How many coordinates are combined at a time; bounds the memory of combining, whatever the model's size. Their sums stay in a
/// core's nearest cache.
pub const CHUNK: usize = 1 << 11;

/// How many coordinates of all updates together one thread combines before others would have begun.
const ALONE: usize = 1 << 18;

/// A job's newest model version, and what its optimizer remembers.
pub struct Models {
    params: Params,
    state: State,
    about: Map<String, serde_json::Value>,
    blob: Vec<u8>,
    sha256: Digest,
    /// The file of the state and its digest, if there is anything in it.
    remembered: Option<(Vec<u8>, Digest)>,
}

/// The updates of a round, in the order of names.
#[derive(Clone, Copy)]
pub struct Answers<'a> {
    /// What clients sent, decoded.
    pub updates: &'a [Update],
    /// How many versions had come since those that they are against; none is 0.
    pub staleness: &'a [u32],
    /// How many clients could have been asked for them.
    pub among: usize,
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
        Self { params, state: State::default(), about, sha256: Digest::of(&blob), blob, remembered: None }
    }

    /// The newest version of `job`, from its file, and what its optimizer remembers, from that file if there is one.
    pub fn read(
        job: &Job,
        (blob, sha256): (Vec<u8>, Digest),
        remembered: Option<(Vec<u8>, Digest)>,
    ) -> Result<Self, DecodeError> {
        let layout = Arc::new(job.plan.layout.clone());
        let (params, _) = decode_model(&blob, Some(&layout), blob.len(), Some(sha256))?;
        let state = match &remembered {
            Some((file, of)) => decode_state(file, *of, &layout, buffers(job), sha256)?,
            None => State::default(),
        };
        Ok(Self { params, state, about: job.about(), blob, sha256, remembered })
    }

    /// Takes an update, which is against `base`, from the newest version: what it says is then how to come to the client's model.
    pub fn rebase(&self, update: &mut Update, base: &Params) {
        let Some(delta) = update.groups.get_mut(DELTA) else { return };
        let between = base.values().iter().zip(self.params.values());
        delta.values_mut().iter_mut().zip(between).for_each(|(delta, (base, newest))| *delta += base - newest);
    }

    /// Combines the answers of a round on `threads` threads of the pool that it runs in, steps, and makes the next version.
    pub fn advance(&mut self, job: &Job, answers: Answers<'_>, threads: usize) -> Result<(), AdvanceError> {
        let Answers { updates, among, .. } = answers;
        // A round that nobody answered moves nothing, not even what an optimizer keeps of its way.
        if updates.is_empty() {
            return Ok(());
        }
        let strategy = job.plan.strategy.build().expect("a checked plan names a strategy that exists");
        let mut groups = Vec::new();
        for group in strategy.objective.groups() {
            let mut combined = vec![0.0; self.params.values().len()];
            combine(&*strategy.combine, answers, group, &mut combined, threads)?;
            groups.push(combined);
        }
        // They are in the order of their names: what changed of control variates comes before the delta.
        let mut delta = groups.pop().unwrap_or_default();
        let control = groups.pop().unwrap_or_default();
        self.params.settle(&mut delta);
        let share = updates.len() as f64 / among.max(updates.len()) as f64;
        let combined = Combined { delta: &delta, control: &control, share };
        strategy.optimizer.step(&mut self.params, &mut self.state, &combined)?;
        if !self.params.is_finite() {
            return Err(AdvanceError::NotFinite { round: job.completed + 1 });
        }
        self.blob = encode_model(&self.params, &self.about);
        self.sha256 = Digest::of(&self.blob);
        self.remembered = encode_state(&self.state, self.params.layout(), self.sha256);
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

    /// What the optimizer remembers, as a file with its digest; `None` if that is nothing.
    pub fn state(&self) -> Option<(&[u8], Digest)> {
        self.remembered.as_ref().map(|(file, sha256)| (file.as_slice(), *sha256))
    }

    /// What clients are told with the model; empty if that is nothing, or nothing yet.
    pub fn control(&self, job: &Job) -> &[f32] {
        self.state.buffers.first().filter(|_| job.plan.tells_control()).map_or(&[], |control| control)
    }

    /// The digest of what the optimizer remembers.
    pub fn state_sha256(&self) -> Option<Digest> {
        self.remembered.as_ref().map(|(_, sha256)| *sha256)
    }
}

/// How many buffers a job's optimizer remembers.
fn buffers(job: &Job) -> usize {
    job.plan.strategy.build().map_or(0, |strategy| strategy.optimizer.buffers())
}

/// An optimizer's state as a file: an update whose groups are its buffers, against the version that it is of.
fn encode_state(state: &State, layout: &Layout, of: Digest) -> Option<(Vec<u8>, Digest)> {
    let names: Vec<String> = (0..state.buffers.len()).map(|i| i.to_string()).collect();
    let groups = names.iter().map(String::as_str).zip(state.buffers.iter().map(|buffer| (layout, &buffer[..])));
    let file = encode_groups(groups, (&BTreeMap::new(), 1.0), Codec::F32, of);
    let sha256 = Digest::of(&file);
    Some((file, sha256)).filter(|_| !state.buffers.is_empty())
}

/// What a client is told with a model version of `base`, from the file of its state.
pub fn decode_control(file: &[u8], sha256: Digest, layout: &Arc<Layout>, base: Digest) -> Result<Params, DecodeError> {
    let expected = Expected { layout, groups: &["0"], scalars: &[], codec: Codec::F32, base };
    let mut read = decode_update(file, &expected, Some(sha256))?;
    Ok(read.groups.remove("0").unwrap_or_else(|| Params::zeros(layout.clone())))
}

fn decode_state(
    file: &[u8],
    sha256: Digest,
    layout: &Arc<Layout>,
    buffers: usize,
    of: Digest,
) -> Result<State, DecodeError> {
    let names: Vec<String> = (0..buffers).map(|i| i.to_string()).collect();
    let groups: Vec<&str> = names.iter().map(String::as_str).collect();
    let expected = Expected { layout, groups: &groups, scalars: &[], codec: Codec::F32, base: of };
    let mut read = decode_update(file, &expected, Some(sha256))?;
    let buffers = names.iter().filter_map(|name| Some(read.groups.remove(name)?.values().to_vec())).collect();
    Ok(State { buffers })
}

/// Weighs whole updates, then combines all coordinates, a chunk at a time. Threads take rows of distances and ranges of coordinates;
/// where a range ends changes nothing.
fn combine(
    rule: &dyn Combine,
    Answers { updates, staleness, .. }: Answers<'_>,
    group: &str,
    out: &mut [f32],
    threads: usize,
) -> Result<(), LayoutMismatch> {
    let deltas: Vec<&[f32]> = updates.iter().filter_map(|update| Some(update.groups.get(group)?.values())).collect();
    let weights: Vec<f64> = updates.iter().map(|update| update.weight.get()).collect();
    let scalars: Vec<_> = updates.iter().map(|update| &update.scalars).collect();
    let geometry = Shared { of: Coordinates(&deltas), threads: threads.max(1) };
    let weights = rule.weigh(&Whole { weights: &weights, scalars: &scalars, staleness, geometry: &geometry });
    let part = |first: usize, out: &mut [f32]| {
        out.chunks_mut(CHUNK).enumerate().try_for_each(|(i, out)| {
            let begin = first + i * CHUNK;
            rule.combine(begin..begin + out.len(), &mut InMemory::new(&deltas, &weights), out)
        })
    };
    if deltas.len() * out.len() <= ALONE || threads <= 1 {
        return part(0, out);
    }
    // Threads that are there already: small models are combined in less time than it takes to start one.
    let share = out.len().div_ceil(threads);
    out.par_chunks_mut(share).enumerate().try_for_each(|(i, out)| part(i * share, out))
}

/// Where updates lie, measured by threads: what is summed, and in which order, does not depend on their number.
struct Shared<'a> {
    of: Coordinates<'a>,
    threads: usize,
}

impl Shared<'_> {
    /// What `one` makes of each of `count` places. A thread takes every so manieth.
    fn each<T: Send + Default + Clone>(&self, count: usize, one: impl Fn(usize) -> T + Sync) -> Vec<T> {
        if self.threads == 1 {
            return (0..count).map(one).collect();
        }
        let (one, mut all) = (&one, vec![T::default(); count]);
        std::thread::scope(|scope| {
            let work =
                |first: usize| move || (first..count).step_by(self.threads).map(|i| (i, one(i))).collect::<Vec<_>>();
            let parts: Vec<_> = (0..self.threads).map(|first| scope.spawn(work(first))).collect();
            for (i, made) in parts.into_iter().flat_map(|part| part.join().expect("measuring does not panic")) {
                all[i] = made;
            }
        });
        all
    }
}

impl Geometry for Shared<'_> {
    fn norms(&self) -> Vec<f64> {
        self.each(self.of.0.len(), |i| self.of.norm(i))
    }

    fn distances(&self) -> Vec<Vec<f64>> {
        Coordinates::symmetric(self.each(self.of.0.len(), |i| self.of.row(i)))
    }

    fn distances_from(&self, weights: &[f64]) -> Vec<f64> {
        let steps: Vec<_> = self.of.steps().collect();
        self.of.whole(self.each(steps.len(), |i| self.of.part(steps[i].clone(), weights)))
    }
}
