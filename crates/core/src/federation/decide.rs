//! Which events a command means.

use std::collections::{BTreeMap, BTreeSet};

use super::{Command, Federation, Member, Reject, Standing, reject::MAX_TEXT};
use crate::{
    cohort::filter::Facts,
    digest::Digest,
    event::{Answer, Event, Outcome, Stop},
    excerpt::{NAME, SENTENCE, excerpt},
    job::{Collection, Job, Next, Stage, Status},
    name::ClientName,
    plan::Plan,
    round::{Kind, Round, RoundId, TaskId},
    statistics::{Moments, Statistics, Sums, classification, regression},
    time::Time,
};

type Schema = serde_json::Map<String, serde_json::Value>;

impl Federation {
    /// The events that `command` means at `now`; none if it asks for what is so already. Refusals change nothing.
    pub fn decide(&self, command: &Command, now: Time) -> Result<Vec<Event>, Reject> {
        if self.name.is_empty() && !matches!(command, Command::Create { .. } | Command::Tick) {
            return Err(Reject::NotCreated);
        }
        match command {
            Command::Create { name, recipe, schema } => self.create(name, recipe, schema),
            Command::Join { client, ready } => self.join(client, *ready),
            Command::SetReady { client, ready, reason } => self.set_ready(client, *ready, reason),
            Command::Note { client, facts } => self.note(client, facts),
            Command::Leave { client, reason } => self.leave(client, reason),
            Command::Evict { client, reason } => self.evict(client, reason),
            Command::Lose { client, epoch } => self.lose(client, *epoch),
            Command::Return { client } => self.come_back(client),
            Command::CreateJob { plan, seed } => self.new_job(plan.clone(), *seed),
            Command::Start { job, rounds } => {
                self.first(*job, &[Status::Created], Event::JobStarted { job: *job, rounds: *rounds })
            }
            Command::Pause { job } => self.change(*job, &[Status::Running], Event::JobPaused { job: *job }),
            Command::Resume { job, rounds } => {
                self.change(*job, &[Status::Paused], Event::JobResumed { job: *job, rounds: *rounds })
            }
            Command::Train { job } => self.train(*job),
            Command::Aggregate { job } => self.aggregate(*job),
            Command::Stop { job } => {
                let event = Event::TrainingEnded { job: *job, reason: Stop::Stopped };
                let trained = self.job(*job).is_some_and(|job| job.trained.is_some());
                if trained { Ok(vec![]) } else { self.change(*job, &[Status::Running, Status::Paused], event) }
            }
            Command::Abort { job } => self.abort(*job, Outcome::Aborted, ""),
            Command::Fail { job, reason } => self.abort(*job, Outcome::Failed, reason),
            Command::SetAlias { alias, version } => self.set_alias(alias, *version),
            Command::Report { task, answer } => self.report(task, answer),
            Command::Decline { task, reason } => self.decline(task, reason),
            Command::Publish { job, sha256, state } => self.publish(*job, *sha256, *state),
            Command::Tick => Ok(self.due(now)),
        }
    }

    fn create(&self, name: &str, recipe: &Option<String>, schema: &Option<Schema>) -> Result<Vec<Event>, Reject> {
        let (recipe, schema) = (recipe.clone(), schema.clone());
        match self.name.as_str() {
            "" => Ok(vec![Event::FederationCreated { name: short(name)?, recipe, schema }]),
            same if same == name && self.recipe == recipe && self.schema == schema => Ok(vec![]),
            _ => Err(Reject::Exists(excerpt(&self.name, NAME))),
        }
    }

    fn join(&self, client: &ClientName, ready: bool) -> Result<Vec<Event>, Reject> {
        let joined = |epoch| Ok(vec![Event::ClientJoined { client: client.clone(), epoch, ready }]);
        match self.members.get(client) {
            None => joined(1),
            Some(member) if member.standing == Standing::Active && member.ready == ready => Ok(vec![]),
            Some(Member { standing: Standing::Active, .. }) => self.set_ready(client, ready, ""),
            Some(Member { standing: Standing::Evicted, .. }) => Err(Reject::Evicted(client.clone())),
            Some(member) => joined(member.epoch.saturating_add(1)),
        }
    }

    fn set_ready(&self, client: &ClientName, ready: bool, reason: &str) -> Result<Vec<Event>, Reject> {
        let member = self.member(client)?;
        let reason = if ready { String::new() } else { short(reason)? };
        match member.standing {
            Standing::Evicted => Err(Reject::Evicted(client.clone())),
            Standing::Left => Err(Reject::UnknownClient(client.clone())),
            _ if (member.ready, &member.known().reason) == (ready, &reason) => Ok(vec![]),
            _ => Ok(vec![Event::ReadinessChanged { client: client.clone(), ready, reason }]),
        }
    }

    fn note(&self, client: &ClientName, facts: &Facts) -> Result<Vec<Event>, Reject> {
        let same = self.member(client)?.known().facts == *facts;
        Ok(if same { vec![] } else { vec![Event::FactsChanged { client: client.clone(), facts: facts.clone() }] })
    }

    fn leave(&self, client: &ClientName, reason: &str) -> Result<Vec<Event>, Reject> {
        match self.member(client)?.standing {
            Standing::Left | Standing::Evicted => Ok(vec![]),
            _ => Ok(vec![Event::ClientLeft { client: client.clone(), reason: short(reason)? }]),
        }
    }

    fn evict(&self, client: &ClientName, reason: &str) -> Result<Vec<Event>, Reject> {
        match self.member(client)?.standing {
            Standing::Evicted => Ok(vec![]),
            _ => Ok(vec![Event::ClientEvicted { client: client.clone(), reason: short(reason)? }]),
        }
    }

    fn lose(&self, client: &ClientName, epoch: u32) -> Result<Vec<Event>, Reject> {
        let member = self.member(client)?;
        let current = member.standing == Standing::Active && member.epoch == epoch;
        Ok(if current { vec![Event::ClientLost { client: client.clone(), epoch }] } else { vec![] })
    }

    fn come_back(&self, client: &ClientName) -> Result<Vec<Event>, Reject> {
        let member = self.member(client)?;
        match member.standing {
            Standing::Lost => {
                Ok(vec![Event::ClientReturned { client: client.clone(), epoch: member.epoch.saturating_add(1) }])
            }
            Standing::Active => Ok(vec![]),
            Standing::Left => Err(Reject::UnknownClient(client.clone())),
            Standing::Evicted => Err(Reject::Evicted(client.clone())),
        }
    }

    fn member(&self, client: &ClientName) -> Result<&Member, Reject> {
        self.members.get(client).ok_or_else(|| Reject::UnknownClient(client.clone()))
    }

    fn new_job(&self, plan: Box<Plan>, seed: u64) -> Result<Vec<Event>, Reject> {
        let told = plan.work.get("schema").and_then(serde_json::Value::as_object);
        if self.schema.is_some() && self.schema.as_ref() != told {
            return Err(Reject::OtherSchema);
        }
        Ok(vec![Event::JobCreated { job: self.jobs.len() as u32 + 1, seed, refit_of: None, plan }])
    }

    /// As [`Self::change`], where no other job is active.
    fn first(&self, job: u32, from: &[Status], event: Event) -> Result<Vec<Event>, Reject> {
        match self.active() {
            Some(active) if active.id != job => Err(Reject::Busy(active.id)),
            _ => self.change(job, from, event),
        }
    }

    fn train(&self, id: u32) -> Result<Vec<Event>, Reject> {
        match self.job(id) {
            Some(job) if job.status == Status::Paused && job.limit == Some(job.ended_rounds().saturating_add(1)) => {
                Ok(vec![])
            }
            _ => self.first(id, &[Status::Created, Status::Paused], Event::JobStepped { job: id }),
        }
    }

    fn aggregate(&self, id: u32) -> Result<Vec<Event>, Reject> {
        let job = self.job(id).ok_or(Reject::UnknownJob(id))?;
        match &job.stage {
            Stage::Open(open) if open.id.kind == Kind::Train => open.aggregated(job).map(|event| vec![event]),
            Stage::Commit(_) => Ok(vec![]),
            Stage::Open(_) | Stage::Idle => Err(Reject::NothingToAggregate(id)),
        }
    }

    fn set_alias(&self, alias: &str, version: u32) -> Result<Vec<Event>, Reject> {
        ClientName::new(alias).map_err(|_| Reject::BadAlias(excerpt(alias, NAME)))?;
        self.version(version).ok_or(Reject::UnknownVersion(version))?;
        let same = self.alias(alias) == Some(version);
        Ok(if same { vec![] } else { vec![Event::AliasSet { alias: alias.into(), version }] })
    }

    /// `event`, if the job's status is one of `from`.
    fn change(&self, job: u32, from: &[Status], event: Event) -> Result<Vec<Event>, Reject> {
        let status = self.job(job).ok_or(Reject::UnknownJob(job))?.status;
        let wanted = match event {
            Event::JobStarted { .. } => "only a job that was not started yet can be",
            Event::JobPaused { .. } => "only a running job can be paused",
            Event::JobResumed { .. } => "only a paused job can be resumed",
            Event::JobStepped { .. } => "only a job that is paused or was not started yet can be stepped by hand",
            _ => "only a job that was started and is not over can be stopped",
        };
        if from.contains(&status) {
            Ok(vec![event])
        } else {
            Err(Reject::WrongStatus { job, status: word(status), wanted })
        }
    }

    fn abort(&self, id: u32, outcome: Outcome, reason: &str) -> Result<Vec<Event>, Reject> {
        let job = self.job(id).ok_or(Reject::UnknownJob(id))?;
        if let Status::Ended(_) = job.status {
            return Ok(vec![]);
        }
        let open = match &job.stage {
            Stage::Open(round) => Some(round.abandoned()),
            // A round that is complete has ended; its model is simply not made.
            Stage::Commit(_) | Stage::Idle => None,
        };
        let ended = Event::JobEnded { job: id, outcome, reason: short(reason)? };
        Ok(open.into_iter().chain([ended]).collect())
    }

    fn report(&self, task: &TaskId, answer: &Answer) -> Result<Vec<Event>, Reject> {
        let (round, client) = (task.round, &task.client);
        let job = self.job(round.job).ok_or(Reject::UnknownRound(round))?;
        if let Some(accepted) = job.accepted(round, client) {
            let duplicate = Reject::Duplicate { round, client: client.clone() };
            return if accepted == answer { Ok(vec![]) } else { Err(duplicate) };
        }
        if !job.expects(round, client) {
            return Err(match job.collection(round) {
                Some(open) if matches!(open.round, Round::Collecting { .. }) => open.turned_away(client),
                _ => job.ended(round),
            });
        }
        check(answer, round.kind, &job.plan).map_err(|why| Reject::Unfit { round, why })?;
        Ok(vec![Event::AnswerAccepted { round, client: client.clone(), answer: answer.clone() }])
    }

    fn decline(&self, task: &TaskId, reason: &str) -> Result<Vec<Event>, Reject> {
        let (round, client) = (task.round, &task.client);
        let job = self.job(round.job).ok_or(Reject::UnknownRound(round))?;
        if job.expects(round, client) {
            return Ok(vec![Event::TaskDeclined { round, client: client.clone(), reason: short(reason)? }]);
        }
        match &job.stage {
            Stage::Open(open) if open.id == round => match job.accepted(round, client) {
                Some(_) => Err(Reject::Duplicate { round, client: client.clone() }),
                None if open.cohort.contains(client) => Ok(vec![]),
                None => Err(open.turned_away(client)),
            },
            _ => Err(job.ended(round)),
        }
    }

    fn publish(&self, id: u32, sha256: Digest, state: Option<Digest>) -> Result<Vec<Event>, Reject> {
        let job = self.job(id).ok_or(Reject::UnknownJob(id))?;
        let version = self.versions.len() as u32 + 1;
        let round = match &job.stage {
            Stage::Commit(closed) => closed.id.ordinal,
            Stage::Idle if job.may(Next::Initialise) && job.next(self.at) == Next::Initialise => 0,
            _ => return Err(Reject::NothingOwed(id)),
        };
        Ok(vec![Event::ModelPublished { version, job: id, round, sha256, state, parent: job.version }])
    }
}

impl Job {
    /// How a round that takes no answer is named.
    fn ended(&self, round: RoundId) -> Reject {
        let past = self.last.as_ref().is_some_and(|last| round.sequence() <= last.id.sequence());
        match &self.stage {
            Stage::Commit(closed) if round.sequence() <= closed.id.sequence() => Reject::Closed(round),
            Stage::Open(open) if past || round.sequence() < open.id.sequence() => {
                Reject::Stale { round, current: open.id }
            }
            _ if past => Reject::Closed(round),
            _ => Reject::UnknownRound(round),
        }
    }
}

impl Collection {
    /// Why a client's answer is not taken while the round is open.
    fn turned_away(&self, client: &ClientName) -> Reject {
        let (round, client) = (self.id, client.clone());
        if self.cohort.contains(&client) {
            Reject::NotAwaited { round, client }
        } else {
            Reject::NotInCohort { round, client }
        }
    }

    /// The end of the round with what it has.
    fn aggregated(&self, job: &Job) -> Result<Event, Reject> {
        let round = self.id;
        match &self.round {
            Round::Collecting { reported, quorum, .. } if reported.len() < *quorum => {
                Err(Reject::TooFew { round, reported: reported.len(), quorum: *quorum })
            }
            Round::Collecting { reported, .. } => Ok(self.completed(job, reported.clone())),
            Round::Complete { .. } | Round::Abandoned { .. } => Err(Reject::Closed(round)),
        }
    }

    /// Its end with the answers of these. Of those that are against older versions it says how old.
    pub(super) fn completed(&self, job: &Job, participants: BTreeSet<ClientName>) -> Event {
        let age = |client: &ClientName| {
            let given = job.under_way.get(client)?.round.ordinal;
            Some((client.clone(), self.id.ordinal.saturating_sub(given))).filter(|(_, age)| *age > 0)
        };
        let asynchronous = job.is_asynchronous(self.id);
        let staleness = participants.iter().filter(|_| asynchronous).filter_map(age).collect();
        Event::RoundCompleted { round: self.id, participants, staleness }
    }

    pub(super) fn abandoned(&self) -> Event {
        let (reported, quorum) = match &self.round {
            Round::Collecting { reported, quorum, .. } => (reported.len(), *quorum),
            Round::Abandoned { reported, quorum } => (*reported, *quorum),
            Round::Complete { participants } => (participants.len(), participants.len()),
        };
        Event::RoundAbandoned { round: self.id, reported, quorum }
    }
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Created => "not started",
        Status::Running => "running",
        Status::Paused => "paused",
        Status::Ended(_) => "over",
    }
}

fn short(text: &str) -> Result<String, Reject> {
    if text.len() <= MAX_TEXT { Ok(text.into()) } else { Err(Reject::TooLong(text.len())) }
}

fn list(names: &[String]) -> String {
    excerpt(names.join(", "), SENTENCE)
}

/// Holds an answer to the kind of its task and to what the plan declares.
fn check(answer: &Answer, kind: Kind, plan: &Plan) -> Result<(), String> {
    match (kind, answer) {
        (Kind::Train, Answer::Update { scalars, .. }) => check_scalars(scalars, plan),
        (Kind::Measure, Answer::Measured { statistics }) => {
            let declared =
                statistics.len() == plan.measure.len() && plan.measure.iter().all(|c| statistics.contains_key(c));
            if declared {
                check_moments(statistics)
            } else {
                Err(format!("the columns are to be {}", list(&plan.measure)))
            }
        }
        (Kind::Evaluate | Kind::Test, Answer::Evaluated { sums }) => {
            let allowed: &[&str] = if kind == Kind::Test { &["global", "personalised"] } else { &["global"] };
            match sums.keys().find(|section| !allowed.contains(&section.as_str())) {
                Some(section) => {
                    let section = excerpt(section, NAME);
                    Err(format!("there are no sums called {section:?}; allowed are {}", allowed.join(", ")))
                }
                None => sums.values().try_for_each(|sums| check_sums(sums, plan.classes)),
            }
        }
        _ => Err(format!("it is not an answer to a {kind} task")),
    }
}

fn check_scalars(scalars: &BTreeMap<String, f64>, plan: &Plan) -> Result<(), String> {
    match scalars.iter().find(|(name, value)| !value.is_finite() || !plan.scalars.contains(name)) {
        Some((name, value)) => {
            let name = excerpt(name, NAME);
            Err(format!("scalar {name:?} = {value:?}; finite ones are declared: {}", list(&plan.scalars)))
        }
        None if scalars.len() < plan.scalars.len() => Err(format!("the scalars are to be {}", list(&plan.scalars))),
        None => Ok(()),
    }
}

/// Sums of the plan's kind: all of its columns over the same rows, or none if there was no row.
fn check_sums(sums: &Sums, classes: Option<usize>) -> Result<(), String> {
    let Sums { moments, counts } = sums;
    if moments.is_empty() && counts.is_empty() {
        return Ok(());
    }
    if let Some(classes) = classes {
        let possible = classification::is_possible(moments, counts, classes);
        let wanted =
            || format!("its sums are to be log_loss and the confusion of {classes} classes, over the same rows");
        return if possible { Ok(()) } else { Err(wanted()) };
    }
    let rows = moments.values().next().map(|moments| moments.n);
    let whole = moments.len() == regression::COLUMNS.len()
        && regression::COLUMNS.iter().all(|column| moments.get(*column).map(|moments| moments.n) == rows);
    if !whole || !counts.is_empty() {
        return Err(format!("its sums are to be {}, over the same rows", regression::COLUMNS.join(", ")));
    }
    check_moments(moments)
}

fn check_moments(statistics: &Statistics) -> Result<(), String> {
    let impossible = |(_, moments): &(&String, &Moments)| !moments.is_possible();
    match statistics.iter().find(impossible) {
        Some((column, moments)) => Err(format!("{:?} has impossible moments: {moments:?}", excerpt(column, NAME))),
        None if statistics.len() > 10_000 => Err(format!("{} columns are too many", statistics.len())),
        None => Ok(()),
    }
}
