//! Members, jobs and model versions. State changes by events alone: [`Federation::decide`] says which events a command
//! means, [`Federation::apply`] folds them in, and nothing else writes to a federation.

use std::collections::{BTreeMap, BTreeSet};

mod apply;
mod decide;
mod due;
mod hold;
mod reject;

pub use reject::Reject;

use serde::{Deserialize, Serialize};

use crate::{
    cohort::filter::Facts,
    digest::Digest,
    event::Answer,
    job::{Collection, Job, Next, Stage, Status},
    name::ClientName,
    plan::Plan,
    round::{Kind, Round, RoundId, TaskId},
    statistics::Metrics,
    time::Time,
};

/// Who works together, and on what. A fold over the journal: equal journals make equal federations.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Federation {
    /// Its name; empty before the first event.
    pub name: String,
    /// The recipe that its sites look for.
    pub recipe: Option<String>,
    /// What everybody's rows mean. The rules look at it only to hold plans to it.
    pub schema: Option<serde_json::Map<String, serde_json::Value>>,
    /// Everyone who ever joined.
    pub members: BTreeMap<ClientName, Member>,
    /// Every job; the one called n is at n − 1.
    pub jobs: Vec<Job>,
    /// Every model version; the one called n is at n − 1.
    pub versions: Vec<Version>,
    /// What names stand for: the last version of each, after those before it.
    pub aliases: BTreeMap<String, Vec<u32>>,
    /// When the last event happened.
    pub at: Time,
}

/// A client and how it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Whether it takes part.
    pub standing: Standing,
    /// How often it has joined or returned. What concerns an earlier epoch is ignored.
    pub epoch: u32,
    /// Whether it takes tasks.
    pub ready: bool,
    /// What else is known of it. Of most members that is nothing, and there may be very many.
    pub known: Option<Box<Known>>,
}

/// What may be known of a member.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Known {
    /// Why it takes no tasks, has left or was evicted, in somebody's words.
    pub reason: String,
    /// The last training task that it has answered, by the round that gave it.
    pub answered: Option<RoundId>,
    /// The round that was completed with that answer, once one was: the same but in an asynchronous job.
    pub counted: Option<RoundId>,
    /// What its device says of itself, as far as a job asked for it.
    pub facts: Facts,
    /// What came of its training tasks.
    pub tally: Tally,
}

/// What came of the training tasks of a member, in all jobs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// How many it was given.
    pub asked: u32,
    /// How many of its answers were taken.
    pub answered: u32,
    /// How many it declined.
    pub declined: u32,
    /// The bytes of its updates, before they were packed for the network.
    pub bytes: u64,
}

static NOTHING: Known = Known {
    reason: String::new(),
    answered: None,
    counted: None,
    facts: Facts::new(),
    tally: Tally { asked: 0, answered: 0, declined: 0, bytes: 0 },
};

impl Member {
    /// What else is known of it.
    pub fn known(&self) -> &Known {
        self.known.as_deref().unwrap_or(&NOTHING)
    }

    /// The same, to be changed.
    fn known_mut(&mut self) -> &mut Known {
        self.known.get_or_insert_default()
    }
}

/// What has become of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TaskState {
    /// Its answer is awaited.
    Awaited,
    /// It was answered, and its round is not over.
    Answered,
    /// Its round counts.
    Committed,
    /// Its round does not count, or the answer came too late for it.
    Dropped,
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
    /// Which attempt at it succeeded; 1 for the initial model.
    pub attempt: u32,
    /// The digest of its blob.
    pub sha256: Digest,
    /// That of what the server's optimizer remembers after it, if it remembers anything.
    pub state: Option<Digest>,
    /// The version it was trained from.
    pub parent: Option<u32>,
    /// What evaluations and tests have said of it.
    pub metrics: BTreeMap<String, Metrics>,
}

/// What someone wants to happen.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the fields are the nouns of the design; a line on each would repeat its name")]
pub enum Command {
    /// Begin the journal; harmless if it has begun so.
    Create { name: String, recipe: Option<String>, schema: Option<serde_json::Map<String, serde_json::Value>> },
    /// Become a member; harmless for one who is.
    Join { client: ClientName, ready: bool },
    /// Take tasks, or take none for a while.
    SetReady { client: ClientName, ready: bool, reason: String },
    /// Note what a device says of itself.
    Note { client: ClientName, facts: Facts },
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
    /// Let a job open rounds, or so many.
    Start { job: u32, rounds: Option<u32> },
    /// Let it open none.
    Pause { job: u32 },
    /// Let it go on, or for so many rounds.
    Resume { job: u32, rounds: Option<u32> },
    /// Step by hand: go on to the next training round, which ends by [`Command::Aggregate`].
    Train { job: u32 },
    /// End the open training round with the answers that it has.
    Aggregate { job: u32 },
    /// End its training after the round it is in.
    Stop { job: u32 },
    /// End it now; an open round is abandoned.
    Abort { job: u32 },
    /// A client's answer.
    Report { task: TaskId, answer: Answer },
    /// A client will not answer.
    Decline { task: TaskId, reason: String },
    /// The blob of the model version that is owed exists.
    Publish { job: u32, sha256: Digest, state: Option<Digest> },
    /// There can be no next model version.
    Fail { job: u32, reason: String },
    /// Let a name stand for a version. Naming the one before the last takes the last back.
    SetAlias { alias: String, version: u32 },
    /// Time has passed, or something has happened: whatever is due.
    Tick,
}

/// What a client is asked.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The job.
    pub job: &'a Job,
    /// The round that gives the task.
    pub round: RoundId,
    /// The model version to work on.
    pub version: Option<u32>,
    /// How many are asked with it.
    pub cohort: usize,
    /// Until when.
    pub deadline: Time,
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
        /// How many there are that may be asked.
        present: usize,
        /// How many others are there that `cohort.filter` leaves out, by the fact that does it.
        left_out: BTreeMap<&'static str, usize>,
    },
    /// Answers of a round.
    Answers {
        /// The round.
        round: RoundId,
        /// How many have answered.
        reported: usize,
        /// How many are needed.
        quorum: usize,
        /// Who has not answered.
        awaited: BTreeSet<ClientName>,
    },
    /// Someone to aggregate the round.
    Aggregate {
        /// The round.
        round: RoundId,
        /// How many have answered.
        reported: usize,
        /// How many are needed.
        quorum: usize,
        /// Who has not answered.
        awaited: BTreeSet<ClientName>,
    },
    /// Time, before a round that was abandoned is tried again.
    Retry {
        /// When it is.
        at: Time,
        /// How often in a row it was abandoned.
        abandoned: u32,
    },
    /// Someone to resume it.
    Resume,
}

impl<'a> Owed<'a> {
    /// The job that owes it.
    pub fn job(&self) -> &'a Job {
        match self {
            Self::Initial(job) | Self::Next(job, _) => job,
        }
    }
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

    /// The members who take tasks, in the order of names.
    pub fn eligible(&self) -> Vec<&ClientName> {
        let ready = self.members.iter().filter(|(_, member)| member.standing == Standing::Active && member.ready);
        ready.map(|(name, _)| name).collect()
    }

    /// The fact by which a job's filter leaves a client out of its training rounds, if it does.
    pub fn left_out(&self, job: &Job, client: &ClientName) -> Option<&'static str> {
        job.plan.cohort.filter?.leaves_out(&self.members.get(client).map_or(&NOTHING, Member::known).facts)
    }

    /// What `client` is to do, if that is anything.
    pub fn task_of(&self, client: &ClientName) -> Option<Asked<'_>> {
        let job = self.active()?;
        if let Some(task) = job.under_way.get(client).filter(|task| task.answer.is_none()) {
            let (round, deadline) = (task.round, task.given + job.plan.cohort.deadline());
            let version = self.base_of(round).map(|(version, _)| version);
            return Some(Asked { job, round, version, cohort: job.under_way.len(), deadline });
        }
        let Stage::Open(open) = &job.stage else { return None };
        let Round::Collecting { deadline, .. } = open.round else { return None };
        let (round, version, cohort) = (open.id, open.version, open.cohort.len());
        job.expects(round, client).then_some(Asked { job, round, version, cohort, deadline })
    }

    /// The version that a training round gives to those whom it asks: its number, and what it is.
    pub fn base_of(&self, round: RoundId) -> Option<(u32, &Version)> {
        let before = round.ordinal.checked_sub(1)?;
        let is_base = |version: &Version| version.job == round.job && version.round == before;
        let i = self.versions.iter().rposition(is_base)?;
        Some((i as u32 + 1, &self.versions[i]))
    }

    /// The version that an update of a complete round is against.
    pub fn base_of_update(&self, round: &Collection, client: &ClientName) -> Option<&Version> {
        let ordinal = round.id.ordinal.checked_sub(round.staleness(client))?;
        self.base_of(RoundId { ordinal, ..round.id }).map(|(_, version)| version)
    }

    /// What has become of a task; `None` if there never was one of this name.
    pub fn task_state(&self, task: &TaskId) -> Option<TaskState> {
        let job = self.job(task.round.job)?;
        if let Some(given) = job.under_way.get(&task.client).filter(|given| given.round == task.round) {
            return Some(if given.answer.is_some() { TaskState::Answered } else { TaskState::Awaited });
        }
        let answered = self.members.get(&task.client).map(Member::known);
        let answered = answered.filter(|known| known.answered == Some(task.round));
        if matches!(&job.stage, Stage::Commit(round) if answered.and_then(|known| known.counted) == Some(round.id)) {
            return Some(TaskState::Answered);
        }
        let known = job.collection(task.round);
        if known.is_some_and(|round| !round.cohort.contains(&task.client)) {
            return None;
        }
        if job.stage.collection().is_some_and(|open| open.id == task.round) {
            let answered = job.accepted(task.round, &task.client).is_some();
            let awaited = job.expects(task.round, &task.client);
            return Some(match (answered, awaited) {
                (true, _) => TaskState::Answered,
                (false, true) => TaskState::Awaited,
                (false, false) => TaskState::Dropped,
            });
        }
        let counted = |yes: bool| Some(if yes { TaskState::Committed } else { TaskState::Dropped });
        match (task.round.kind, known) {
            (Kind::Train, _) => self.trained(task, job).and_then(counted),
            (_, Some(last)) => {
                counted(matches!(last.round, Round::Complete { .. }) && last.answers.contains_key(&task.client))
            }
            // Of older ones nothing is remembered: their answers are sums, and cheap to make again.
            (_, None) => None,
        }
    }

    /// Whether a training task of a round that has ended counts; `None` if that is not known. Of each client the last answer
    /// is remembered: it asks about that before it goes on.
    fn trained(&self, task: &TaskId, job: &Job) -> Option<bool> {
        let RoundId { job: id, ordinal, .. } = task.round;
        let known = self.members.get(&task.client)?.known();
        let makes = |v: &Version, round: RoundId| {
            (v.job, v.round, v.attempt) == (round.job, round.ordinal, round.attempt) && round.ordinal > 0
        };
        let made = |round| self.versions.iter().rev().any(|version| makes(version, round));
        match known.answered {
            Some(answered) if answered == task.round => Some(known.counted.is_some_and(made)),
            Some(answered) if (answered.job, answered.sequence()) > (id, task.round.sequence()) => None,
            // It has not answered a round that was.
            _ => (ordinal <= job.completed || job.last.as_ref().is_some_and(|last| last.id == task.round))
                .then_some(false),
        }
    }

    /// When something will be due without anybody's command; `None` if nothing will.
    pub fn due_at(&self) -> Option<Time> {
        let job = self.active()?;
        match &job.stage {
            Stage::Open(Collection { round: Round::Collecting { deadline, .. }, .. }) => Some(*deadline),
            Stage::Idle => Some(job.retry_at),
            _ => None,
        }
    }

    /// The blobs of optimizers that jobs which are not over will go on with.
    pub fn states(&self) -> impl Iterator<Item = Digest> {
        let going_on = self.jobs.iter().filter(|job| !matches!(job.status, Status::Ended(_)));
        going_on.filter_map(|job| self.version(job.version?)?.state)
    }

    /// The version that a name stands for.
    pub fn alias(&self, alias: &str) -> Option<u32> {
        self.aliases.get(alias)?.last().copied()
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
            Stage::Idle if job.may(Next::Initialise) && job.next(self.at) == Next::Initialise => {
                Some(Owed::Initial(job))
            }
            _ => None,
        }
    }

    /// What the active job waits for, when that is somebody else.
    pub fn waiting(&self) -> Option<Waiting> {
        let job = self.active()?;
        match &job.stage {
            Stage::Open(Collection { id, round: Round::Collecting { awaited, reported, quorum, .. }, .. }) => {
                let (round, reported, quorum, awaited) = (*id, reported.len(), *quorum, awaited.clone());
                Some(match job.is_by_hand(round) && reported >= quorum {
                    true => Waiting::Aggregate { round, reported, quorum, awaited },
                    false => Waiting::Answers { round, reported, quorum, awaited },
                })
            }
            Stage::Idle if !job.may(job.next(self.at)) => Some(Waiting::Resume),
            Stage::Idle => {
                let (needed, all) = (job.plan.needed(), self.eligible());
                let mut left_out = BTreeMap::new();
                let samples = matches!(job.next(self.at), Next::Open(RoundId { kind: Kind::Train, .. }));
                for fact in all.iter().filter(|_| samples).filter_map(|client| self.left_out(job, client)) {
                    *left_out.entry(fact).or_default() += 1;
                }
                let present = all.len() - left_out.values().sum::<usize>();
                let (at, abandoned) = (job.retry_at, job.abandoned);
                let retry = (abandoned > 0 && at > self.at).then_some(Waiting::Retry { at, abandoned });
                (present < needed).then_some(Waiting::Clients { needed, present, left_out }).or(retry)
            }
            _ => None,
        }
    }
}

impl std::fmt::Display for Waiting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Clients { needed, present, left_out } => {
                write!(f, "{needed} clients are needed, {present} are there")?;
                let others: Vec<String> =
                    left_out.iter().map(|(fact, n)| format!("{n} by cohort.filter.{fact}")).collect();
                if others.is_empty() { Ok(()) } else { write!(f, "; others are left out, {}", others.join(", ")) }
            }
            Self::Answers { round, reported, quorum, awaited } => {
                let names: Vec<_> = awaited.iter().take(5).map(ClientName::as_str).collect();
                let more = if awaited.len() > 5 { ", …" } else { "" };
                write!(
                    f,
                    "round {round} has {reported} answers of {quorum} needed; it waits for {}{more}",
                    names.join(", ")
                )
            }
            Self::Aggregate { round, reported, awaited, .. } => {
                write!(f, "round {round} has {reported} answers and awaits {} more; aggregate it", awaited.len())
            }
            Self::Retry { abandoned, .. } => {
                write!(f, "the round was abandoned ({abandoned} in a row); it is tried again in a moment")
            }
            Self::Resume => write!(f, "the job is paused; resume it, or train one round"),
        }
    }
}
