//! How an event changes the state. Total: a record that was appended is never refused, whatever it counts to.

use std::collections::BTreeMap;

use super::{Federation, Member, Standing, Version};
use crate::{
    event::{Event, Record, Stop},
    job::{Collection, Job, Stage, Status},
    name::ClientName,
    round::{Kind, Round, RoundId},
    time::Duration,
};

impl Federation {
    /// The federation that these records make.
    pub fn replay<'a>(records: impl IntoIterator<Item = &'a Record>) -> Self {
        let mut federation = Self::default();
        records.into_iter().for_each(|record| federation.apply(record));
        federation
    }

    /// Folds a record in.
    pub fn apply(&mut self, record: &Record) {
        self.at = record.at;
        match &record.event {
            Event::FederationCreated { name, recipe, schema } => {
                self.name.clone_from(name);
                self.recipe.clone_from(recipe);
                self.schema.clone_from(schema);
            }
            Event::ClientJoined { client, epoch, ready } => {
                self.ask_again(client);
                let answered = self.members.get(client).and_then(|member| member.answered);
                let (standing, epoch, ready, reason) = (Standing::Active, *epoch, *ready, String::new());
                self.members.insert(client.clone(), Member { standing, epoch, ready, reason, answered });
            }
            Event::ClientReturned { client, epoch } => {
                if let Some(member) = self.members.get_mut(client) {
                    (member.standing, member.epoch) = (Standing::Active, *epoch);
                }
            }
            Event::ReadinessChanged { client, ready, reason } => {
                self.ask_again(client);
                if let Some(member) = self.members.get_mut(client) {
                    (member.ready, member.reason) = (*ready, reason.clone());
                }
            }
            Event::AliasSet { alias, version } => self.name_version(alias, *version),
            Event::ClientLeft { client, reason } => self.away(client, Standing::Left, Some(reason)),
            Event::ClientEvicted { client, reason } => self.away(client, Standing::Evicted, Some(reason)),
            Event::ClientLost { client, .. } => self.away(client, Standing::Lost, None),
            Event::JobCreated { job, seed, refit_of, plan } => {
                self.jobs.push(Job::new(*job, *seed, (**plan).clone(), *refit_of));
            }
            event => self.apply_to_job(event, record),
        }
    }

    /// A member is gone, and no round waits for it.
    fn away(&mut self, client: &ClientName, standing: Standing, reason: Option<&String>) {
        if let Some(member) = self.members.get_mut(client) {
            member.standing = standing;
            member.reason = reason.unwrap_or(&member.reason).clone();
        }
        for job in &mut self.jobs {
            if let Stage::Open(open) = &mut job.stage {
                open.round.excuse(client);
            }
        }
    }

    /// Who joins anew, or is ready again, may have changed its mind.
    fn ask_again(&mut self, client: &ClientName) {
        for job in &mut self.jobs {
            job.declined.remove(client);
        }
    }

    /// The version before the last takes the last one's place back; any other comes after it.
    fn name_version(&mut self, alias: &str, version: u32) {
        let named = self.aliases.entry(alias.to_owned()).or_default();
        if named.len() > 1 && named[named.len() - 2] == version {
            named.pop();
        } else {
            named.push(version);
        }
    }

    fn apply_to_job(&mut self, event: &Event, record: &Record) {
        if let Event::AnswerAccepted { round, client, .. } = event
            && round.kind == Kind::Train
            && let Some(member) = self.members.get_mut(client)
        {
            member.answered = Some(*round);
        }
        let Some(job) = job_of(event).and_then(|id| self.jobs.get_mut((id as usize).checked_sub(1)?)) else { return };
        match event {
            Event::JobStarted { rounds, .. } => {
                (job.status, job.started) = (Status::Running, record.at);
                job.limit = rounds.map(|rounds| rounds.saturating_add(job.ended_rounds()));
            }
            Event::JobPaused { .. } => (job.status, job.limit) = (Status::Paused, None),
            Event::JobResumed { rounds, .. } => {
                job.status = Status::Running;
                job.limit = rounds.map(|rounds| rounds.saturating_add(job.ended_rounds()));
            }
            Event::JobStepped { .. } => {
                if job.status == Status::Created {
                    job.started = record.at;
                }
                (job.status, job.limit) = (Status::Paused, Some(job.ended_rounds().saturating_add(1)));
            }
            Event::TrainingEnded { reason, .. } => {
                (job.trained, job.abandoned) = (Some(*reason), 0);
                // Whoever stops a paused job wants it to come to its end.
                if *reason == Stop::Stopped {
                    (job.status, job.limit) = (Status::Running, None);
                }
            }
            Event::JobEnded { outcome, reason, .. } => {
                (job.status, job.reason) = (Status::Ended(*outcome), reason.clone());
                if let Stage::Open(round) | Stage::Commit(round) = std::mem::replace(&mut job.stage, Stage::Idle) {
                    job.last = Some(round);
                }
            }
            Event::RoundOpened { round, version, cohort, quorum, goal, deadline } => {
                let (id, version, cohort) = (*round, *version, cohort.clone());
                let round = Round::open(cohort.clone(), *quorum, *goal, *deadline);
                job.stage = Stage::Open(Collection { id, version, cohort, round, answers: BTreeMap::new() });
            }
            Event::AnswerAccepted { round, client, answer } => {
                if let Some(open) = job.collecting(*round)
                    && open.round.report(client).is_ok()
                {
                    open.answers.insert(client.clone(), answer.clone());
                }
            }
            Event::TaskDeclined { round, client, reason } => {
                job.declined.insert(client.clone(), reason.clone());
                if let Some(open) = job.collecting(*round) {
                    open.round.excuse(client);
                }
            }
            Event::RoundCompleted { round, participants } => job.complete(*round, participants),
            Event::RoundAbandoned { reported, quorum, .. } => {
                job.close(Round::Abandoned { reported: *reported, quorum: *quorum });
                job.abandoned = job.abandoned.saturating_add(1);
                job.retry_at = record.at + pause_after(job.abandoned);
            }
            Event::Measured { statistics, .. } => job.statistics = Some(statistics.clone()),
            Event::ModelPublished { version, round, sha256, parent, .. } => {
                (job.version, job.completed, job.abandoned) = (Some(*version), *round, 0);
                let mut attempt = 1;
                if let Stage::Commit(closed) = std::mem::replace(&mut job.stage, Stage::Idle) {
                    attempt = closed.id.attempt;
                    job.last = Some(closed);
                }
                let (job, round, sha256, parent) = (job.id, *round, *sha256, *parent);
                self.versions.push(Version { job, round, attempt, sha256, parent, metrics: BTreeMap::new() });
            }
            Event::Evaluated { round, version, metrics } => {
                match round.kind {
                    Kind::Test => job.tested = true,
                    _ => job.judge(round.ordinal, metrics),
                }
                if let Some(version) = (*version as usize).checked_sub(1).and_then(|i| self.versions.get_mut(i)) {
                    version.metrics.insert(round.kind.to_string(), metrics.get("global").cloned().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

/// How long a job waits before it tries an abandoned round again: 1 s, then twice as long each time, up to a minute. Clients
/// go in groups; the next cohort is not to be drawn while they do.
fn pause_after(abandoned: u32) -> Duration {
    Duration(1000u64.saturating_mul(1 << abandoned.saturating_sub(1).min(6)).min(60_000))
}

impl Job {
    fn collecting(&mut self, round: RoundId) -> Option<&mut Collection> {
        match &mut self.stage {
            Stage::Open(open) if open.id == round => Some(open),
            _ => None,
        }
    }

    fn complete(&mut self, round: RoundId, participants: &std::collections::BTreeSet<ClientName>) {
        let ended = Round::Complete { participants: participants.clone() };
        if round.kind == Kind::Train {
            if let Stage::Open(mut closed) = std::mem::replace(&mut self.stage, Stage::Idle) {
                closed.round = ended;
                self.stage = Stage::Commit(closed);
            }
        } else {
            self.close(ended);
            self.abandoned = 0;
        }
    }

    /// The open round has ended and nothing is owed for it.
    fn close(&mut self, ended: Round) {
        if let Stage::Open(mut closed) | Stage::Commit(mut closed) = std::mem::replace(&mut self.stage, Stage::Idle) {
            closed.round = ended;
            self.last = Some(closed);
        }
    }
}

/// The job that an event concerns.
fn job_of(event: &Event) -> Option<u32> {
    match event {
        Event::JobStarted { job, .. }
        | Event::JobPaused { job }
        | Event::JobResumed { job, .. }
        | Event::JobStepped { job }
        | Event::TrainingEnded { job, .. }
        | Event::JobEnded { job, .. }
        | Event::Measured { job, .. }
        | Event::ModelPublished { job, .. } => Some(*job),
        Event::RoundOpened { round, .. }
        | Event::AnswerAccepted { round, .. }
        | Event::TaskDeclined { round, .. }
        | Event::RoundCompleted { round, .. }
        | Event::RoundAbandoned { round, .. }
        | Event::Evaluated { round, .. } => Some(round.job),
        _ => None,
    }
}
