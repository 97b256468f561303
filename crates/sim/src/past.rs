//! The versions of an asynchronous job that its tasks under way are on.

use std::collections::BTreeMap;

use dure_core::{
    digest::Digest,
    job::{Collection, Job},
    model::Params,
    name::ClientName,
    round::RoundId,
};
use dure_wire::Models;

use crate::clients::Base;

/// By the round that gives them to clients: its job, and its ordinal.
#[derive(Default)]
pub struct Past(BTreeMap<(u32, u32), (Params, Digest)>);

impl Past {
    /// A round of `job` gives the newest version; those that nobody works on any more are let go.
    pub fn give(&mut self, job: &Job, round: RoundId, models: &Models) {
        let oldest = job.under_way.values().map(|task| task.round.ordinal).min().unwrap_or(round.ordinal);
        self.0.retain(|given, _| *given >= (job.id, oldest));
        self.0.insert((round.job, round.ordinal), (models.params().clone(), models.sha256()));
    }

    /// The version that `round` has given. An asynchronous job tells nothing beside it.
    pub fn given(&self, round: RoundId) -> Option<Base<'_>> {
        let (params, sha256) = self.0.get(&(round.job, round.ordinal))?;
        Some(Base { params, control: &[], sha256: *sha256 })
    }

    /// The version that the update of `client` in a complete round is against, if that is an older one.
    pub fn of(&self, round: &Collection, client: &ClientName) -> Option<Base<'_>> {
        let age = Some(round.staleness(client)).filter(|age| *age > 0)?;
        self.given(RoundId { ordinal: round.id.ordinal.checked_sub(age)?, ..round.id })
    }
}
