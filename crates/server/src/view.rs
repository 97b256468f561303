//! What the API shows of a federation.

use std::collections::BTreeMap;

use dure_core::{
    digest::Digest,
    event::Outcome,
    federation::{Asked, Federation, Member, Standing, Tally, Version, Waiting},
    job::{Collection, Job, Status},
    journal::Head,
    name::ClientName,
    round::{Kind, Round, TaskId},
    statistics::scales,
    time::{Duration, Time},
};
use dure_wire::{
    Expected,
    api::{
        AliasView, Best, ClientState, ClientView, FederationView, JobStatus, JobView, RoundView, TaskCounts,
        TaskOutcome, TaskView, VersionView,
    },
};

use crate::{
    driver::{Past, Shared},
    presence::{Presence, Presences},
};

/// The most bytes that an answer in JSON may have.
pub const MAX_ANSWER_BYTES: usize = 4 << 20;

/// A federation as it stands, or as it stood.
pub struct Moment<'a> {
    /// Its state.
    pub federation: &'a Federation,
    /// Where its journal ends.
    head: Head,
    now: Time,
    shared: &'a Shared,
    /// Who was heard of when; of the past nobody knows it.
    presences: Option<&'a Presences>,
}

impl<'a> Moment<'a> {
    /// As it stands.
    pub fn now(shared: &'a Shared, federation: &'a Federation) -> Self {
        let (head, now) = (shared.head(), shared.clock.now());
        Self { federation, head, now, shared, presences: Some(&shared.presences) }
    }

    /// As it stood.
    pub fn past(shared: &'a Shared, past: &'a Past) -> Self {
        let (federation, head) = (&past.federation, past.head);
        Self { federation, head, now: federation.at, shared, presences: None }
    }

    fn presence(&self, name: &ClientName) -> Option<Presence> {
        self.presences?.get(name)
    }
}

/// A federation.
pub fn federation(moment: &Moment) -> FederationView {
    let Moment { federation, head, shared, .. } = *moment;
    let mut clients = BTreeMap::new();
    for name in federation.members.keys() {
        if let Some(state) = client_state(moment, name) {
            *clients.entry(state).or_insert(0) += 1;
        }
    }
    FederationView {
        name: shared.name.clone(),
        recipe: federation.recipe.clone(),
        schema: federation.schema.clone(),
        clients,
        jobs: federation.jobs.len() as u32,
        active_job: federation.active().map(|job| job.id),
        versions: federation.versions.len() as u32,
        lease_s: seconds(shared.lease),
        journal: head,
    }
}

/// A client; `None` if there never was one of this name.
pub fn client(moment: &Moment, name: &ClientName) -> Option<ClientView> {
    let Moment { federation, now, shared, .. } = *moment;
    let member = federation.members.get(name)?;
    let presence = moment.presence(name);
    let open = federation.task_of(name).map(|asked| TaskId { round: asked.round, client: name.clone() });
    let seen = presence.as_ref().filter(|presence| presence.wall_ms > 0);
    let active = member.standing == Standing::Active;
    Some(ClientView {
        client: name.clone(),
        state: state(federation, name, member, presence.as_ref()),
        reason: reason(federation, name, member),
        epoch: member.epoch,
        task: open,
        last_seen_s: seen.map(Presence::last_seen_s),
        lease_ends_in_s: seen.filter(|_| active).map(|presence| left(presence.at + shared.lease, now)),
        site: String::new(),
        tasks: task_counts(member),
        bytes_down: presence.as_ref().map(|presence| presence.bytes_down),
        facts: presence.map(|presence| presence.facts).unwrap_or_default(),
    })
}

fn task_counts(member: &Member) -> TaskCounts {
    let Tally { asked, answered, declined, bytes: bytes_up } = member.known().tally;
    TaskCounts { asked, answered, declined, bytes_up }
}

/// Why a client takes no tasks, or has declined one of the job that is active or was last.
fn reason(federation: &Federation, name: &ClientName, member: &Member) -> String {
    let job = federation.active().or(federation.jobs.last());
    let declined = job.and_then(|job| job.declined.get(name)).map(|reason| format!("declined: {reason}"));
    let reason = &member.known().reason;
    if reason.is_empty() { declined.unwrap_or_default() } else { reason.clone() }
}

/// Whether a client's name, or its reason, has this text of small letters in it.
pub fn mentions(federation: &Federation, name: &ClientName, text: &str) -> bool {
    let reason = || Some(reason(federation, name, federation.members.get(name)?));
    name.as_str().contains(text) || reason().is_some_and(|reason| reason.to_lowercase().contains(text))
}

/// How a client stands; `None` if there never was one of this name.
pub fn client_state(moment: &Moment, name: &ClientName) -> Option<ClientState> {
    let member = moment.federation.members.get(name)?;
    let state = |presence: Option<&Presence>| state(moment.federation, name, member, presence);
    Some(moment.presences.map_or_else(|| state(None), |presences| presences.look(name, state)))
}

fn state(federation: &Federation, name: &ClientName, member: &Member, presence: Option<&Presence>) -> ClientState {
    match member.standing {
        Standing::Lost => return ClientState::Lost,
        Standing::Left => return ClientState::Left,
        Standing::Evicted => return ClientState::Evicted,
        Standing::Active => {}
    }
    let open = federation.open_round();
    let asked = federation.task_of(name).map(|asked| asked.round);
    let taken = presence.and_then(|presence| presence.taken.as_ref()).is_some_and(|task| asked == Some(task.round));
    match open {
        Some(open) if asked.is_none() && open.answers.contains_key(name) => ClientState::Finished,
        _ if presence.is_some_and(|presence| presence.sending > 0) => ClientState::Updating,
        _ if taken => ClientState::Training,
        _ if member.ready => ClientState::Ready,
        _ => ClientState::Joined,
    }
}

/// The task that a client has, if there is one.
pub fn task(shared: &Shared, name: &ClientName) -> Option<TaskView> {
    let federation = shared.read();
    let Asked { job, round, version, cohort, deadline } = federation.task_of(name)?;
    let base = version.and_then(|version| federation.version(version));
    Some(TaskView {
        task: TaskId { round, client: name.clone() },
        kind: round.kind,
        job: job.id,
        ordinal: round.ordinal,
        version,
        base: base.map(|version| version.sha256),
        control: base.filter(|_| round.kind == Kind::Train).and_then(|version| control(job, version)),
        cohort,
        max_bytes: max_bytes(job, base),
        deadline_s: left(deadline, shared.clock.now()),
        journal: shared.head(),
    })
}

/// The digest of what clients are told with a model version, if that is anything.
pub fn control(job: &Job, version: &Version) -> Option<Digest> {
    version.state.filter(|_| job.plan.tells_control())
}

/// The most bytes that an answer may have.
fn max_bytes(job: &Job, base: Option<&Version>) -> usize {
    let Some(base) = base else { return MAX_ANSWER_BYTES };
    let layout = std::sync::Arc::new(job.plan.layout.clone());
    let (groups, scalars, codec) = (job.plan.groups(), &job.plan.scalars, job.plan.codec);
    Expected { layout: &layout, groups, scalars, codec, base: base.sha256 }.max_bytes()
}

/// What has become of a task.
pub fn outcome(shared: &Shared, task: &TaskId) -> Option<TaskOutcome> {
    let state = shared.read().task_state(task)?;
    Some(TaskOutcome { task: task.clone(), state, journal: shared.head() })
}

/// A job, for its operator.
pub fn job(moment: &Moment, job: &Job) -> JobView {
    let active = moment.federation.active().filter(|active| active.id == job.id);
    let waiting = active.and_then(|_| waiting(moment));
    JobView {
        waiting: waiting.or_else(|| ended(job)),
        round: job.stage.collection().and_then(|open| round(open, moment.now)),
        ..job_of_member(job)
    }
}

/// A job, for a member: not who else takes part, nor how they or the server are.
pub fn job_of_member(job: &Job) -> JobView {
    JobView {
        job: job.id,
        status: status(job.status),
        waiting: None,
        round: None,
        seed: job.seed.to_string(),
        refit_of: job.refit_of,
        completed: job.completed,
        rounds: job.plan.rounds,
        limit: job.limit,
        version: job.version,
        trained: job.trained,
        best: job.best.map(|(round, value)| Best { round, metric: job.plan.metric().into(), value }),
        plan: job.plan.as_ref().clone().into(),
        statistics: job.statistics.clone(),
    }
}

fn status(status: Status) -> JobStatus {
    match status {
        Status::Created => JobStatus::Created,
        Status::Running => JobStatus::Running,
        Status::Paused => JobStatus::Paused,
        Status::Ended(outcome) => outcome.into(),
    }
}

fn ended(job: &Job) -> Option<String> {
    match job.status {
        Status::Created => Some("it was not started yet".into()),
        Status::Ended(Outcome::GaveUp) => {
            Some(format!("{} rounds in a row were abandoned{}", job.abandoned, declined(job)))
        }
        Status::Ended(_) if !job.reason.is_empty() => Some(job.reason.clone()),
        _ => None,
    }
}

/// What the active job waits for, in words, with when those were heard of whom it waits for.
fn waiting(moment: &Moment) -> Option<String> {
    let federation = moment.federation;
    let trouble = moment.presences.and_then(|_| moment.shared.trouble());
    let trouble = trouble.map(|why| format!("the server cannot go on: {why}; it tries again"));
    let words = || match federation.waiting()? {
        Waiting::Answers { round, reported, quorum, awaited } => {
            let late = awaited.iter().take(3).map(|name| heard(moment, name));
            let more = awaited.len().saturating_sub(3);
            let more = if more > 0 { format!("; and {more} more") } else { String::new() };
            let names: Vec<String> = late.collect();
            Some(format!("round {round}: {reported} of {quorum} needed; {}{more}", names.join("; ")))
        }
        Waiting::Retry { .. } => Some(format!("{}{}", federation.waiting()?, declined(federation.active()?))),
        other => Some(other.to_string()),
    };
    trouble.or_else(words).or_else(|| federation.owed().map(|_| "the next model version is being made".into()))
}

/// Who has declined, in words.
fn declined(job: &Job) -> String {
    let Some((client, reason)) = job.declined.first_key_value() else { return String::new() };
    let more = job.declined.len() - 1;
    let more = if more > 0 { format!("; and {more} more declined") } else { String::new() };
    format!("; {client} declined: {reason}{more}")
}

/// A client that is waited for, and when it was heard of.
fn heard(moment: &Moment, name: &ClientName) -> String {
    let Moment { federation, now, shared, .. } = *moment;
    let Some(presence) = moment.presence(name) else { return name.to_string() };
    let doing = match federation.members.get(name).map(|member| state(federation, name, member, Some(&presence))) {
        Some(ClientState::Training) => " is training,",
        Some(ClientState::Updating) => " is sending its answer,",
        _ => "",
    };
    let lease = left(presence.at + shared.lease, now);
    let seen = match presence.wall_ms {
        0 => "not seen since the server was started".to_owned(),
        _ => format!("last seen {:.0} s ago", presence.last_seen_s()),
    };
    format!("{name}{doing} {seen}, its lease ends in {lease:.0} s")
}

fn round(open: &Collection, now: Time) -> Option<RoundView> {
    let Round::Collecting { awaited, reported, quorum, goal, .. } = &open.round else { return None };
    Some(RoundView {
        round: open.id,
        cohort: open.cohort.len(),
        quorum: *quorum,
        goal: *goal,
        reported: reported.iter().cloned().collect(),
        awaited: awaited.iter().cloned().collect(),
        deadline_s: deadline(open, now),
    })
}

fn deadline(open: &Collection, now: Time) -> f64 {
    match &open.round {
        Round::Collecting { deadline, .. } => left(*deadline, now),
        Round::Complete { .. } | Round::Abandoned { .. } => 0.0,
    }
}

/// A model version.
pub fn version(federation: &Federation, id: u32) -> Option<VersionView> {
    let version = federation.version(id)?;
    let job = federation.job(version.job)?;
    let named = federation.aliases.iter().filter(|(_, versions)| versions.last() == Some(&id));
    Some(VersionView {
        version: id,
        parent: version.parent,
        job: version.job,
        round: version.round,
        sha256: version.sha256,
        parameters: job.plan.layout.parameters(),
        recipe: job.plan.name.clone(),
        metrics: version.metrics.clone(),
        preprocessing: job.statistics.as_ref().map(scales).unwrap_or_default(),
        aliases: named.map(|(alias, _)| alias.clone()).collect(),
    })
}

/// What a name stands for.
pub fn alias(federation: &Federation, alias: &str) -> Option<AliasView> {
    let versions = federation.aliases.get(alias)?;
    let previous = versions.len().checked_sub(2).map(|i| versions[i]);
    Some(AliasView { alias: alias.to_owned(), version: *versions.last()?, previous })
}

fn seconds(length: Duration) -> f64 {
    length.0 as f64 / 1000.0
}

fn left(end: Time, now: Time) -> f64 {
    seconds(end.since(now))
}
