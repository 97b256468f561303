//! How an event changes the state. Total: a record that was appended is never refused, whatever it counts to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Federation, Member, Standing, Tally, Version};
use crate::{
    cohort::{Select, history::Answered},
    event::{Answer, Event, Record, Stop},
    job::{Collection, Job, Stage, Status, UnderWay},
    name::ClientName,
    round::{Kind, Round, RoundId},
    time::{Duration, Time},
    update::TRAIN_LOSS,
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
                let mut known = self.members.remove(client).and_then(|before| before.known);
                known.iter_mut().for_each(|known| known.reason.clear());
                let (standing, epoch, ready) = (Standing::Active, *epoch, *ready);
                self.members.insert(client.clone(), Member { standing, epoch, ready, known });
            }
            Event::ClientReturned { client, epoch } => {
                if let Some(member) = self.members.get_mut(client) {
                    (member.standing, member.epoch) = (Standing::Active, *epoch);
                }
            }
            Event::ReadinessChanged { client, ready, reason } => {
                self.ask_again(client);
                if let Some(member) = self.members.get_mut(client) {
                    member.ready = *ready;
                    member.known_mut().reason.clone_from(reason);
                }
            }
            Event::FactsChanged { client, facts } => {
                if let Some(member) = self.members.get_mut(client) {
                    member.known_mut().facts.clone_from(facts);
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
            reason.into_iter().for_each(|reason| member.known_mut().reason.clone_from(reason));
        }
        for job in &mut self.jobs {
            job.under_way.retain(|name, task| name != client || task.answer.is_some());
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

    /// What an event changes in a job, and by it in clients and versions.
    fn apply_to_job(&mut self, event: &Event, record: &Record) {
        self.count(event);
        match event {
            Event::AnswerAccepted { round, client, .. } if round.kind == Kind::Train => {
                if let Some(member) = self.members.get_mut(client) {
                    let known = member.known_mut();
                    (known.answered, known.counted) = (Some(*round), None);
                }
            }
            Event::RoundCompleted { round, participants, .. } if round.kind == Kind::Train => {
                for client in participants {
                    if let Some(member) = self.members.get_mut(client) {
                        member.known_mut().counted = Some(*round);
                    }
                }
            }
            _ => {}
        }
        let Some(job) = job_of(event).and_then(|id| self.jobs.get_mut((id as usize).checked_sub(1)?)) else { return };
        job.apply_status(event, record.at);
        job.apply_round(event, record.at);
        job.let_go();
        match event {
            Event::ModelPublished { job: id, version, round, sha256, state, parent } => {
                let attempt = job.published(*version, *round);
                let (job, round, sha256, state, parent) = (*id, *round, *sha256, *state, *parent);
                self.versions.push(Version { job, round, attempt, sha256, state, parent, metrics: BTreeMap::new() });
            }
            Event::Evaluated { round, version, metrics } => {
                if let Some(version) = (*version as usize).checked_sub(1).and_then(|i| self.versions.get_mut(i)) {
                    version.metrics.insert(round.kind.to_string(), metrics.get("global").cloned().unwrap_or_default());
                }
            }
            _ => {}
        }
    }
}

impl Federation {
    /// Counts what becomes of training tasks, client by client.
    fn count(&mut self, event: &Event) {
        match event {
            Event::RoundOpened { round, cohort, .. } if round.kind == Kind::Train => {
                // In an asynchronous job who is at work already goes on with the task that it has.
                let at_work = self.job(round.job).map(|job| &job.under_way);
                let asks = |client: &&ClientName| at_work.is_none_or(|at_work| !at_work.contains_key(*client));
                let asked: Vec<ClientName> = cohort.iter().filter(asks).cloned().collect();
                asked.iter().for_each(|client| self.tally(client, |tally| tally.asked += 1));
            }
            Event::TaskReassigned { round, client } if round.kind == Kind::Train => {
                self.tally(client, |tally| tally.asked += 1);
            }
            Event::AnswerAccepted { client, answer: Answer::Update { bytes, .. }, .. } => self.tally(client, |tally| {
                tally.answered += 1;
                tally.bytes = tally.bytes.saturating_add(*bytes);
            }),
            Event::TaskDeclined { round, client, .. } if round.kind == Kind::Train => {
                self.tally(client, |tally| tally.declined += 1);
            }
            _ => {}
        }
    }

    fn tally(&mut self, client: &ClientName, change: impl FnOnce(&mut Tally)) {
        if let Some(member) = self.members.get_mut(client) {
            change(&mut member.known_mut().tally);
        }
    }
}

impl Job {
    /// What an event changes in whether a job runs, and how far.
    fn apply_status(&mut self, event: &Event, at: Time) {
        let limit = |job: &Self, rounds: &Option<u32>| rounds.map(|rounds| rounds.saturating_add(job.ended_rounds()));
        match event {
            Event::JobStarted { rounds, .. } => {
                (self.status, self.started, self.limit) = (Status::Running, at, limit(self, rounds));
            }
            Event::JobPaused { .. } => (self.status, self.limit) = (Status::Paused, None),
            Event::JobResumed { rounds, .. } => (self.status, self.limit) = (Status::Running, limit(self, rounds)),
            Event::JobStepped { .. } => {
                if self.status == Status::Created {
                    self.started = at;
                }
                (self.status, self.limit) = (Status::Paused, Some(self.ended_rounds().saturating_add(1)));
            }
            Event::TrainingEnded { reason, .. } => {
                (self.trained, self.abandoned) = (Some(*reason), 0);
                // Whoever stops a paused job wants it to come to its end.
                if *reason == Stop::Stopped {
                    (self.status, self.limit) = (Status::Running, None);
                }
            }
            Event::JobEnded { outcome, reason, .. } => {
                (self.status, self.reason) = (Status::Ended(*outcome), reason.clone());
                if let Stage::Open(round) | Stage::Commit(round) = std::mem::replace(&mut self.stage, Stage::Idle) {
                    self.last = Some(round);
                }
            }
            _ => {}
        }
    }

    /// What an event changes in a job's round, and in what the job learns from it.
    fn apply_round(&mut self, event: &Event, at: Time) {
        match event {
            Event::RoundOpened { round, version, cohort, quorum, goal, among, deadline } => {
                let places = cohort.len();
                let (among, opened) = (among.unwrap_or(places), at);
                let (joined, answers, staleness) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
                let (id, version, cohort) = (*round, *version, cohort.clone());
                let round = Round::open(cohort.clone(), *quorum, *goal, *deadline);
                self.begin(Collection {
                    id,
                    version,
                    cohort,
                    among,
                    places,
                    opened,
                    joined,
                    round,
                    answers,
                    staleness,
                });
            }
            Event::TaskReassigned { round, client } => self.invite(*round, client, at),
            Event::AnswerAccepted { round, client, answer } => {
                self.accept(*round, client, answer, at);
            }
            Event::TaskDeclined { round, client, reason } => {
                self.declined.insert(client.clone(), reason.clone());
                if self.is_asynchronous(*round) {
                    self.under_way.remove(client);
                }
                if let Some(open) = self.collecting(*round) {
                    open.round.excuse(client);
                }
            }
            Event::RoundCompleted { round, participants, staleness } => self.complete(*round, participants, staleness),
            Event::RoundAbandoned { reported, quorum, .. } => {
                self.close(Round::Abandoned { reported: *reported, quorum: *quorum });
                self.abandoned = self.abandoned.saturating_add(1);
                self.retry_at = at + pause_after(self.abandoned);
            }
            Event::Measured { statistics, .. } => self.statistics = Some(statistics.clone()),
            Event::Evaluated { round, .. } if round.kind == Kind::Test => self.tested = true,
            Event::Evaluated { round, metrics, .. } => self.judge(round.ordinal, metrics),
            _ => {}
        }
    }

    /// A client's answer counts: in the open round or, in an asynchronous job, in the next one that is opened.
    fn accept(&mut self, round: RoundId, client: &ClientName, answer: &Answer, at: Time) {
        let task = self.under_way.get_mut(client).filter(|task| task.round == round);
        let mut began = task.map(|task| {
            task.answer = Some((at, answer.clone()));
            task.given
        });
        if let Some(open) = self.collecting(round)
            && open.round.report(client).is_ok()
        {
            open.answers.insert(client.clone(), answer.clone());
            began = began.or(open.joined.get(client).copied()).or(Some(open.opened));
        }
        if let Some(began) = began {
            self.remember(round, client, answer, at.since(began));
        }
    }

    /// When the last training round is over, nobody works for another.
    fn let_go(&mut self) {
        let trains = matches!(&self.stage, Stage::Open(open) if open.id.kind == Kind::Train);
        let over = self.trained.is_some() || matches!(self.status, Status::Ended(_));
        if over && !trains {
            self.under_way.clear();
        }
    }

    /// Notes a client's answer to a training task, if clients are chosen by their answers.
    fn remember(&mut self, round: RoundId, client: &ClientName, answer: &Answer, took: Duration) {
        let chosen_by = matches!(self.plan.cohort.select, Select::PowerOfChoice { .. } | Select::Oort { .. });
        if let (true, Answer::Update { weight, scalars, .. }) = (chosen_by, answer) {
            let loss = scalars.get(TRAIN_LOSS).copied().unwrap_or(0.0);
            let answered = Answered { round: round.ordinal, loss, examples: weight.get(), took };
            self.history.answers.insert(client.clone(), answered);
        }
    }

    /// Its newest version exists; which attempt at the round it came from.
    fn published(&mut self, version: u32, round: u32) -> u32 {
        (self.version, self.completed, self.abandoned) = (Some(version), round, 0);
        let Stage::Commit(closed) = std::mem::replace(&mut self.stage, Stage::Idle) else { return 1 };
        self.last.insert(closed).id.attempt
    }
}

/// How long a job waits before it tries an abandoned round again: 1 s, then twice as long each time, up to a minute. Clients
/// go in groups; the next cohort is not to be drawn while they do.
fn pause_after(abandoned: u32) -> Duration {
    Duration(1000u64.saturating_mul(1 << abandoned.saturating_sub(1).min(6)).min(60_000))
}

impl Job {
    /// The open round that takes the answer to a task which `round` gave: that round itself or, in an asynchronous job, any
    /// training round.
    fn collecting(&mut self, round: RoundId) -> Option<&mut Collection> {
        let any = self.is_asynchronous(round);
        match &mut self.stage {
            Stage::Open(open) if open.id == round || (any && open.id.kind == Kind::Train) => Some(open),
            _ => None,
        }
    }

    /// A round begins, in an asynchronous job with the answers that came before it.
    fn begin(&mut self, mut open: Collection) {
        if self.is_asynchronous(open.id) {
            (open.answers, open.round) = (self.go_on_with(open.id, &open.cohort, open.opened), open.round.refilled());
            let _ = open.answers.keys().try_for_each(|client| open.round.report(client));
        } else if open.id.kind == Kind::Train {
            self.history.ask(&open.cohort);
        }
        self.stage = Stage::Open(open);
    }

    /// A client takes a place in the open round.
    fn invite(&mut self, round: RoundId, client: &ClientName, at: Time) {
        let Some(open) = self.collecting(round) else { return };
        open.cohort.insert(client.clone());
        open.joined.insert(client.clone(), at);
        open.round.invite(client);
        self.history.ask(&BTreeSet::from([client.clone()]));
        if self.is_asynchronous(round) {
            self.under_way.insert(client.clone(), UnderWay { round, given: at, answer: None });
        }
    }

    /// A round of an asynchronous job begins: those of its cohort that are under way go on, the others begin. Who is not of it and
    /// has not answered took too long. Returns the answers that came before it.
    fn go_on_with(&mut self, round: RoundId, cohort: &BTreeSet<ClientName>, at: Time) -> BTreeMap<ClientName, Answer> {
        self.under_way.retain(|client, task| task.answer.is_some() || cohort.contains(client));
        let fresh: BTreeSet<ClientName> =
            cohort.iter().filter(|client| !self.under_way.contains_key(*client)).cloned().collect();
        self.history.ask(&fresh);
        let begin = |client| (client, UnderWay { round, given: at, answer: None });
        self.under_way.extend(fresh.into_iter().map(begin));
        let held = |client: &ClientName| Some((client.clone(), self.under_way.get(client)?.answer.as_ref()?.1.clone()));
        cohort.iter().filter_map(held).collect()
    }

    fn complete(&mut self, round: RoundId, participants: &BTreeSet<ClientName>, staleness: &BTreeMap<ClientName, u32>) {
        let ended = Round::Complete { participants: participants.clone() };
        if round.kind == Kind::Train {
            self.under_way.retain(|client, _| !participants.contains(client));
            if let Stage::Open(mut closed) = std::mem::replace(&mut self.stage, Stage::Idle) {
                closed.round = ended;
                closed.staleness.clone_from(staleness);
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
        | Event::TaskReassigned { round, .. }
        | Event::RoundCompleted { round, .. }
        | Event::RoundAbandoned { round, .. }
        | Event::Evaluated { round, .. } => Some(round.job),
        _ => None,
    }
}
