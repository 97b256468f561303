//! Stops 8 to 10 of a round, on the tensors: the blob of the model version that a federation owes.

use bytes::Bytes;
use dure_core::{
    digest::Digest,
    event::Answer,
    federation::{Federation, Owed},
    job::Job,
    name::ClientName,
};
use dure_wire::{AdvanceError, Answers, DecodeError, Expected, Models, decode_model, decode_update};

use crate::store::{Store, StoreError};

/// What is to be made.
pub struct Order {
    /// The job that owes it.
    pub job: Job,
    /// None for an initial model.
    next: Option<Step>,
}

/// From a version to the next.
struct Step {
    /// The base version's blob.
    base: Digest,
    /// What the optimizer remembers after it.
    state: Option<Digest>,
    /// The updates, in the order of names, and the version that each is against.
    updates: Vec<(Digest, Digest)>,
    /// How many versions had come since.
    staleness: Vec<u32>,
    /// How many clients could have been asked for them.
    among: usize,
}

/// Why it could not be made.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// It never can be.
    #[error(transparent)]
    Advance(#[from] AdvanceError),
    /// The store failed; later it may not.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A blob is not what it was when it was accepted.
    #[error("a stored blob is damaged: {0}; restore the data directory from a copy")]
    Damaged(#[from] DecodeError),
    /// The work was given up.
    #[error("the work broke off: {0}")]
    Broken(#[from] tokio::task::JoinError),
}

impl Order {
    /// What `federation` owes.
    pub fn of(federation: &Federation) -> Option<Self> {
        match federation.owed()? {
            Owed::Initial(job) => Some(Self { job: job.clone(), next: None }),
            Owed::Next(job, round) => {
                let version = federation.version(round.version?)?;
                let update = |(client, answer): (&ClientName, &Answer)| {
                    Some((answer.blob()?, federation.base_of_update(round, client)?.sha256))
                };
                let updates = round.answers.iter().filter_map(update).collect();
                let (base, state, staleness, among) = (version.sha256, version.state, round.ages(), round.among);
                Some(Self { job: job.clone(), next: Some(Step { base, state, updates, staleness, among }) })
            }
        }
    }

    /// Makes the version, and stores its blob durably. `held` is the newest version, if it is still in memory.
    pub async fn make(self, store: &Store, federation: &str, held: Option<Models>) -> Result<Models, WorkError> {
        let models = match self.next {
            None => store.machine().work(move || Models::initial(&self.job)).await?,
            Some(step) => {
                let held = held.filter(|held| (held.sha256(), held.state_sha256()) == (step.base, step.state));
                next(self.job, step, store, federation, held).await?
            }
        };
        if let Some((file, sha256)) = models.state() {
            store.blobs().put_state(federation, sha256, Bytes::copy_from_slice(file)).await?;
        }
        let blob = Bytes::copy_from_slice(models.blob());
        store.blobs().put_model(models.sha256(), blob).await?;
        Ok(models)
    }
}

async fn next(
    job: Job,
    Step { base, state, updates, staleness, among }: Step,
    store: &Store,
    federation: &str,
    held: Option<Models>,
) -> Result<Models, WorkError> {
    let models = match held {
        Some(models) => models,
        None => {
            let remembered = match state {
                Some(sha256) => Some((store.blobs().state(federation, sha256).await?.to_vec(), sha256)),
                None => None,
            };
            Models::read(&job, (store.blobs().model(base).await?.to_vec(), base), remembered)?
        }
    };
    let mut decoded = Vec::with_capacity(updates.len());
    let mixes = job.plan.asynchronous().is_some_and(|asynchronous| asynchronous.mixes);
    for (sha256, its_base) in updates {
        let (bytes, layout) = (store.blobs().update(federation, sha256).await?, models.params().layout().clone());
        let plan = job.plan.clone();
        let decode = store.machine().work(move || {
            let (groups, scalars, codec) = (plan.groups(), &plan.scalars, plan.codec);
            let expected = Expected { layout: &layout, groups, scalars, codec, base: its_base };
            decode_update(&bytes, &expected, Some(sha256))
        });
        let mut update = decode.await??;
        if mixes && its_base != base {
            let (file, layout) = (store.blobs().model(its_base).await?, models.params().layout().clone());
            let (params, _) = decode_model(&file, Some(&layout), file.len(), Some(its_base))?;
            models.rebase(&mut update, &params);
        }
        decoded.push(update);
    }
    let cores = store.machine().cores();
    let mut models = models;
    let advance = move || -> Result<Models, WorkError> {
        let answers = Answers { updates: &decoded, staleness: &staleness, among };
        models.advance(&job, answers, cores)?;
        Ok(models)
    };
    store.machine().work(advance).await?
}
