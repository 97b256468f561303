//! Members, jobs and model versions. State changes by events alone: [`Federation::decide`] says which events a command
//! means, [`Federation::apply`] folds them in, and nothing else writes to a federation.

use std::collections::{BTreeMap, BTreeSet};

mod apply;
mod decide;
mod due;
mod hold;
mod reject;

pub use reject::Reject;

use crate::{
    digest::Digest,
    event::Answer,
    job::{Collection, Job, Next, Stage, Status},
    name::ClientName,
    plan::Plan,
    round::{Round, RoundId, TaskId},
    statistics::Metrics,
    time::Time,
};

/// Who works together, and on what. A fold over the journal: equal journals make equal federations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Federation {
    /// Its name; empty before the first event.
    pub name: String,
    /// Everyone who ever joined.
    pub members: BTreeMap<ClientName, Member>,
    /// Every job; the one called n is at n − 1.
    pub jobs: Vec<Job>,
    /// Every model version; the one called n is at n − 1.
    pub versions: Vec<Version>,
    /// When the last event happened.
    pub at: Time,
}

/// A client and how it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Whether it takes part.
    pub standing: Standing,
    /// How often it has joined or returned. What concerns an earlier epoch is ignored.
    pub epoch: u32,
}

/// Whether a member takes part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It does.
    Active,
    /// Its lease ended.
    Lost,
    /// It said goodbye.
    Left,
    /// It was sent away, and may not come back.
    Evicted,
}

/// An immutable model version.
#[derive(Clone, Debug, PartialEq)]
pub struct Version {
    /// The job that made it.
    pub job: u32,
    /// After which training round; 0 is the initial model.
    pub round: u32,
    /// The digest of its blob.
    pub sha256: Digest,
    /// The version it was trained from.
    pub parent: Option<u32>,
    /// What evaluations and tests have said of it.
    pub metrics: BTreeMap<String, Metrics>,
}

/// What someone wants to happen.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the nouns of the design; a line on each would repeat its name")]
pub enum Command {
    /// Begin the journal.
    Create { name: String },
    /// Become a member; harmless for one who is.
    Join { client: ClientName },
    /// Say goodbye.
    Leave { client: ClientName, reason: String },
    /// Send a client away for good.
    Evict { client: ClientName, reason: String },
    /// The lease of this epoch ended.
    Lose { client: ClientName, epoch: u32 },
    /// A lost client was heard of.
    Return { client: ClientName },
    /// Make a job.
    CreateJob { plan: Box<Plan>, seed: u64 },
    /// Let a job open rounds.
    Start { job: u32 },
    /// Let it open none.
    Pause { job: u32 },
    /// Let it go on.
    Resume { job: u32 },
    /// End its training after the round it is in.
    Stop { job: u32 },
    /// End it now; an open round is abandoned.
    Abort { job: u32 },
    /// A client's answer.
    Report { task: TaskId, answer: Answer },
    /// A client will not answer.
    Decline { task: TaskId, reason: String },
    /// The blob of the model version that is owed exists.
    Publish { job: u32, sha256: Digest },
    /// Time has passed, or something has happened: whatever is due.
    Tick,
}

/// What a driver owes the federation: work on tensors, which the journal does not hold.
#[derive(Clone, Debug, PartialEq)]
pub enum Owed<'a> {
    /// Publish the initial model of this job.
    Initial(&'a Job),
    /// Combine the updates of this complete round, step, and publish.
    Next(&'a Job, &'a Collection),
}

/// What a running job waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// More clients.
    Clients {
        /// How many it needs.
        needed: usize,
        /// How many there are.
        present: usize,
    },
    /// Answers of a round.
    Answers {
        /// The round.
        round: RoundId,
        /// Who has not answered.
        awaited: BTreeSet<ClientName>,
    },
    /// Someone to resume it.
    Resume,
}

impl Federation {
    /// The job called `id`.
    pub fn job(&self, id: u32) -> Option<&Job> {
        self.jobs.get((id as usize).checked_sub(1)?)
    }

    /// The model version called `id`.
    pub fn version(&self, id: u32) -> Option<&Version> {
        self.versions.get((id as usize).checked_sub(1)?)
    }

    /// The job that is started and not over. There is at most one.
    pub fn active(&self) -> Option<&Job> {
        self.jobs.iter().find(|job| matches!(job.status, Status::Running | Status::Paused))
    }

    /// The members who take part.
    pub fn eligible(&self) -> BTreeSet<ClientName> {
        let active = self.members.iter().filter(|(_, member)| member.standing == Standing::Active);
        active.map(|(name, _)| name.clone()).collect()
    }

    /// The round that collects answers.
    pub fn open_round(&self) -> Option<&Collection> {
        match &self.active()?.stage {
            Stage::Open(collection) => Some(collection),
            _ => None,
        }
    }

    /// What the driver is to do on tensors before anything else can happen.
    pub fn owed(&self) -> Option<Owed<'_>> {
        let job = self.active()?;
        match &job.stage {
            Stage::Commit(round) => Some(Owed::Next(job, round)),
            Stage::Idle if job.status == Status::Running && job.next(self.at) == Next::Initialise => {
                Some(Owed::Initial(job))
            }
            _ => None,
        }
    }

    /// What the active job waits for, when that is somebody else.
    pub fn waiting(&self) -> Option<Waiting> {
        let job = self.active()?;
        match &job.stage {
            Stage::Open(Collection { id, round: Round::Collecting { awaited, .. }, .. }) => {
                Some(Waiting::Answers { round: *id, awaited: awaited.clone() })
            }
            Stage::Idle if job.status == Status::Paused => Some(Waiting::Resume),
            Stage::Idle => {
                let (needed, present) = (job.plan.cohort.needed(), self.eligible().len());
                (present < needed).then_some(Waiting::Clients { needed, present })
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clients { needed, present } => write!(f, "{needed} clients are needed, {present} are there"),
            Self::Answers { round, awaited } => {
                let names: Vec<_> = awaited.iter().take(5).map(ClientName::as_str).collect();
                let more = if awaited.len() > 5 { ", …" } else { "" };
                write!(f, "{} answers in round {round}: {}{more}", awaited.len(), names.join(", "))
            }
            Self::Resume => write!(f, "the job is paused; resume it"),
        }
    }
}
