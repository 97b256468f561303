//! Stops 8 to 10 of a round, on the tensors: the blob of the model version that a federation owes.

use bytes::Bytes;
use dure_core::{
    digest::Digest,
    federation::{Federation, Owed},
    job::Job,
    update::{DELTA, Update},
};
use dure_wire::{AdvanceError, DecodeError, Expected, Models, decode_update};

use crate::store::{Store, StoreError};

/// What is to be made.
pub struct Order {
    /// The job that owes it.
    pub job: Job,
    /// The base version's digest and the updates' in the order of names; none for an initial model.
    next: Option<(Digest, Vec<Digest>)>,
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
                let base = federation.version(round.version?)?.sha256;
                Some(Self { job: job.clone(), next: Some((base, round.updates().collect())) })
            }
        }
    }

    /// Makes the version, and stores its blob durably. `held` is the newest version, if it is still in memory.
    pub async fn make(self, store: &Store, federation: &str, held: Option<Models>) -> Result<Models, WorkError> {
        let models = match self.next {
            None => store.machine().work(move || Models::initial(&self.job)).await?,
            Some((base, updates)) => {
                let held = held.filter(|held| held.sha256() == base);
                next(self.job, base, updates, store, federation, held).await?
            }
        };
        let blob = Bytes::copy_from_slice(models.blob());
        store.blobs().put_model(models.sha256(), blob).await?;
        Ok(models)
    }
}

async fn next(
    job: Job,
    base: Digest,
    updates: Vec<Digest>,
    store: &Store,
    federation: &str,
    held: Option<Models>,
) -> Result<Models, WorkError> {
    let models = match held {
        Some(models) => models,
        None => Models::read(&job, store.blobs().model(base).await?.to_vec(), base)?,
    };
    let mut decoded = Vec::with_capacity(updates.len());
    for sha256 in updates {
        let (bytes, layout) = (store.blobs().update(federation, sha256).await?, models.params().layout().clone());
        let plan = job.plan.clone();
        let decode = store.machine().work(move || {
            let (scalars, codec) = (&plan.scalars, plan.codec);
            let expected = Expected { layout: &layout, groups: &[DELTA], scalars, codec, base };
            decode_update(&bytes, &expected, Some(sha256))
        });
        decoded.push(decode.await??);
    }
    let cores = store.machine().cores();
    store.machine().work(move || advance(&job, models, &decoded, cores)).await?
}

fn advance(job: &Job, mut models: Models, updates: &[Update], cores: usize) -> Result<Models, WorkError> {
    models.advance(job, updates, cores)?;
    Ok(models)
}
