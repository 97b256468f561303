//! What is due: rounds that end, rounds that open, jobs that end. Called until it says nothing.

use std::collections::{BTreeMap, BTreeSet};

use super::Federation;
use crate::{
    cohort::{self, ring},
    event::{Answer, Event, Outcome},
    job::{Collection, Job, Next, Stage, Status, UnderWay},
    name::ClientName,
    round::{Kind, Round, RoundId},
    statistics::{Metrics, Statistics, Sums, merge},
    time::Time,
};

impl Federation {
    /// The events that are due at `now` without anybody's command.
    pub(super) fn due(&self, now: Time) -> Vec<Event> {
        let Some(job) = self.active() else { return vec![] };
        match &job.stage {
            Stage::Commit(_) => vec![],
            Stage::Open(collection) => match self.reassigned(collection, job, now) {
                events if events.is_empty() => end_of(collection, job, now),
                events => events,
            },
            Stage::Idle if job.status == Status::Paused && job.limit.is_none() => vec![],
            Stage::Idle if job.abandoned >= job.plan.stop.abandoned => {
                vec![Event::JobEnded { job: job.id, outcome: Outcome::GaveUp, reason: String::new() }]
            }
            Stage::Idle => self.next_of(job, now),
        }
    }

    /// Stop 2 of a round: whom it asks. Nothing while too few are there; [`Federation::waiting`] says so.
    fn next_of(&self, job: &Job, now: Time) -> Vec<Event> {
        match job.next(now) {
            next if !job.may(next) => self.limit_of(job),
            Next::Open(_) if now < job.retry_at => vec![],
            Next::Initialise => vec![],
            Next::EndTraining(reason) => vec![Event::TrainingEnded { job: job.id, reason }],
            Next::End => self.end(job),
            Next::Open(round) => self.open(job, round, now).into_iter().collect(),
        }
    }

    /// A job that was to do so many rounds pauses after them.
    fn limit_of(&self, job: &Job) -> Vec<Event> {
        if job.status == Status::Running { vec![Event::JobPaused { job: job.id }] } else { vec![] }
    }

    fn open(&self, job: &Job, round: RoundId, now: Time) -> Option<Event> {
        let (mut eligible, spec) = (self.eligible(), &job.plan.cohort);
        if round.kind == Kind::Train {
            eligible.retain(|client| self.left_out(job, client).is_none());
        }
        if eligible.len() < job.plan.needed() {
            return None;
        }
        // Who has declined once is likely to decline again; asked each time it would end the job for everybody.
        let declined = eligible.iter().filter(|client| job.declined.contains_key(**client)).count();
        if eligible.len() - declined >= job.plan.needed() {
            eligible.retain(|client| !job.declined.contains_key(*client));
        }
        let deadline = now + job.plan.cohort.deadline();
        if let Some(asynchronous) = job.plan.asynchronous().filter(|_| round.kind == Kind::Train) {
            return Some(self.go_on(job, round, asynchronous.buffer, &eligible, (now, deadline)));
        }
        // Only training draws a sample; what is measured or judged concerns everybody.
        let samples = round.kind == Kind::Train;
        let asked = if samples { spec.asked() } else { None };
        let drawn_by = (job.seed, round.ordinal, round.attempt);
        let cohort = cohort::select(spec.select, &eligible, asked, drawn_by, &job.history);
        let goal = if samples { spec.goal_of(cohort.len()) } else { None };
        // What is measured or judged has to be of somebody.
        let quorum = spec.quorum_of(goal.unwrap_or(cohort.len())).max(usize::from(!samples));
        // How many there are counts where clients remember: the server's step is of everybody's.
        let among = Some(eligible.len()).filter(|all| *all > cohort.len() && job.plan.objective().is_remembered());
        Some(Event::RoundOpened { round, version: job.version, quorum, goal, among, cohort, deadline })
    }

    /// The next round of an asynchronous job. Its cohort is whoever works already and has not worked for too long, and as many
    /// more as there are places; of the answers that came since the last round it takes the first, and no more than it wants.
    fn go_on(
        &self,
        job: &Job,
        round: RoundId,
        buffer: usize,
        eligible: &[&ClientName],
        (now, deadline): (Time, Time),
    ) -> Event {
        let mut held: Vec<(Time, &ClientName)> =
            job.under_way.iter().filter_map(|(client, task)| Some((task.answer.as_ref()?.0, client))).collect();
        held.sort();
        let works = |task: &UnderWay| task.answer.is_none() && now < task.given + job.plan.cohort.deadline();
        let working = job.under_way.iter().filter(|(_, task)| works(task)).map(|(client, _)| client);
        let mut cohort: BTreeSet<ClientName> = working.cloned().collect();
        let places = job.plan.cohort.size.unwrap_or(eligible.len()).saturating_sub(cohort.len());
        if places > 0 {
            let idle = |client: &&ClientName| !job.under_way.contains_key(*client);
            let others: Vec<&ClientName> = eligible.iter().copied().filter(idle).collect();
            let drawn_by = (job.seed, round.ordinal, round.attempt);
            cohort.extend(cohort::select(job.plan.cohort.select, &others, Some(places), drawn_by, &job.history));
        }
        cohort.extend(held.into_iter().take(buffer).map(|(_, client)| client.clone()));
        let (version, quorum, goal) = (job.version, job.plan.cohort.quorum_of(buffer), Some(buffer));
        Event::RoundOpened { round, version, quorum, goal, among: None, cohort, deadline }
    }

    /// Who takes the places of those that will not answer, if the plan gives their tasks to others, and in an asynchronous job the
    /// places of those that have answered as well.
    fn reassigned(&self, open: &Collection, job: &Job, now: Time) -> Vec<Event> {
        let Round::Collecting { awaited, reported, goal, deadline, .. } = &open.round else { return vec![] };
        if open.id.kind != Kind::Train || reported.len() >= *goal || now >= *deadline {
            return vec![];
        }
        let (spec, asynchronous) = (&job.plan.cohort, job.is_asynchronous(open.id));
        let free = match asynchronous {
            true => spec.size.unwrap_or(usize::MAX).saturating_sub(awaited.len()),
            false if spec.reassign && !job.is_by_hand(open.id) => {
                open.places.saturating_sub(awaited.len() + reported.len())
            }
            false => 0,
        };
        if free == 0 {
            return vec![];
        }
        let asked = |client: &ClientName| open.cohort.contains(client) || job.under_way.contains_key(client);
        let may = |client: &ClientName| {
            !asked(client) && !job.declined.contains_key(client) && self.left_out(job, client).is_none()
        };
        let others: Vec<&ClientName> = self.eligible().into_iter().filter(|client| may(client)).collect();
        let next = if asynchronous {
            // The cohort grows with every draw, so each draws numbers of its own.
            let drawn_by = (job.seed, open.id.ordinal, (open.cohort.len() as u32) << 8 | open.id.attempt);
            cohort::select(spec.select, &others, Some(free), drawn_by, &job.history)
        } else {
            // The next in the order of names, on from the one that was asked last.
            ring::select(&others, free, &job.history)
        };
        next.into_iter().map(|client| Event::TaskReassigned { round: open.id, client }).collect()
    }

    /// The end of a job, and the refit that follows one which chose its number of rounds on validation rows.
    fn end(&self, job: &Job) -> Vec<Event> {
        let mut events = vec![Event::JobEnded { job: job.id, outcome: Outcome::Completed, reason: String::new() }];
        if job.plan.refit && job.completed > 0 {
            let (refit, plan) = (self.jobs.len() as u32 + 1, Box::new(job.plan.refitted(job.chosen_rounds())));
            events.push(Event::JobCreated { job: refit, seed: job.seed, refit_of: Some(job.id), plan });
            events.push(Event::JobStarted { job: refit, rounds: None });
        }
        events
    }
}

/// How an open round ends at `now`, if it does, and what its answers come to.
fn end_of(collection: &Collection, job: &Job, now: Time) -> Vec<Event> {
    if !collection.round.is_over(now) {
        return vec![];
    }
    match collection.round.clone().at(now) {
        Round::Collecting { .. } => vec![],
        Round::Complete { .. } if job.is_by_hand(collection.id) => vec![],
        Round::Abandoned { .. } => vec![collection.abandoned()],
        Round::Complete { participants } => {
            std::iter::once(collection.completed(job, participants)).chain(result_of(collection, job)).collect()
        }
    }
}

/// What the answers come to, merged in the order of names. For a training round it is a model, which the driver makes.
fn result_of(collection: &Collection, job: &Job) -> Option<Event> {
    match collection.id.kind {
        Kind::Train => None,
        Kind::Measure => Some(Event::Measured { job: job.id, statistics: measured(collection) }),
        Kind::Evaluate | Kind::Test => {
            let version = collection.version?;
            Some(Event::Evaluated { round: collection.id, version, metrics: evaluated(collection) })
        }
    }
}

fn measured(collection: &Collection) -> Statistics {
    let mut total = Statistics::new();
    for answer in collection.answers.values() {
        if let Answer::Measured { statistics } = answer {
            merge(&mut total, statistics);
        }
    }
    total
}

fn evaluated(collection: &Collection) -> BTreeMap<String, Metrics> {
    let mut totals = BTreeMap::<String, Sums>::new();
    for answer in collection.answers.values() {
        if let Answer::Evaluated { sums } = answer {
            sums.iter().for_each(|(section, sums)| totals.entry(section.clone()).or_default().merge(sums));
        }
    }
    totals.into_iter().map(|(section, sums)| (section, sums.metrics())).collect()
}
