//! One training run: measure, then train and evaluate round by round until a stop rule fires, then test.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::json;

use crate::{
    cohort::history::History,
    digest::Digest,
    event::{Answer, Outcome, Stop},
    name::ClientName,
    plan::Plan,
    round::{Kind, Round, RoundId},
    statistics::{Metrics, Statistics, larger_is_better, scales},
    time::{Duration, Time},
};

/// A job as its events have made it.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Counted from 1 within the federation.
    pub id: u32,
    /// From which all randomness of the job derives.
    pub seed: u64,
    /// Its checked choices.
    pub plan: Arc<Plan>,
    /// The job that chose this one's number of rounds.
    pub refit_of: Option<u32>,
    /// Whether it runs.
    pub status: Status,
    /// The last training round that it opens by itself. While paused: it is stepped by hand, up to this round.
    pub limit: Option<u32>,
    /// When it was started.
    pub started: Time,
    /// The round it is in.
    pub stage: Stage,
    /// In an asynchronous job, the tasks that are under way, and those whose answers no version was made of yet.
    pub under_way: BTreeMap<ClientName, UnderWay>,
    /// The moments of the clients' columns, once measured.
    pub statistics: Option<Statistics>,
    /// Its newest model version.
    pub version: Option<u32>,
    /// Training rounds that ended in a new version.
    pub completed: u32,
    /// Rounds that were abandoned in a row.
    pub abandoned: u32,
    /// Who has declined a task of it, and why; they are asked again only if too few others are there.
    pub declined: BTreeMap<ClientName, String>,
    /// What it remembers of its clients, to choose by.
    pub history: History,
    /// Before this no round is opened again: whoever has just gone takes others along.
    pub retry_at: Time,
    /// The last training round whose model was evaluated.
    pub evaluated: u32,
    /// The best evaluation yet: its round and the metric.
    pub best: Option<(u32, f64)>,
    /// Evaluations since the best.
    pub without_improvement: u32,
    /// Why training ended, once it has.
    pub trained: Option<Stop>,
    /// Whether the final model has been tested.
    pub tested: bool,
    /// Why it failed, if it did.
    pub reason: String,
    /// The round that ended last, to answer repeats by.
    pub last: Option<Collection>,
}

/// Whether a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Not started yet.
    Created,
    /// Opens rounds.
    Running,
    /// Opens no rounds until resumed.
    Paused,
    /// Over.
    Ended(Outcome),
}

/// The round a job is in.
#[derive(Clone, Debug, PartialEq)]
pub enum Stage {
    /// Between rounds.
    Idle,
    /// A round collects answers.
    Open(Collection),
    /// A training round is complete, and its model is not published yet.
    Commit(Collection),
}

/// A training task of an asynchronous job.
#[derive(Clone, Debug, PartialEq)]
pub struct UnderWay {
    /// The round that gave it: its answer is against the version that this round began with.
    pub round: RoundId,
    /// When.
    pub given: Time,
    /// Its answer, and when that came.
    pub answer: Option<(Time, Answer)>,
}

impl Collection {
    /// The updates that were accepted, in the order of names.
    pub fn updates(&self) -> impl Iterator<Item = Digest> {
        self.answers.values().filter_map(Answer::blob)
    }

    /// Of every answer, in the order of names, how many versions had come: see [`Self::staleness`].
    pub fn ages(&self) -> Vec<u32> {
        self.answers.keys().map(|client| self.staleness(client)).collect()
    }

    /// The mean of that; 0 without answers.
    pub fn mean_staleness(&self) -> f64 {
        let sum: u64 = self.staleness.values().map(|age| u64::from(*age)).sum();
        sum as f64 / self.answers.len().max(1) as f64
    }

    /// How many versions had come, when the round began, since the one that a client's answer is against.
    pub fn staleness(&self, client: &ClientName) -> u32 {
        self.staleness.get(client).copied().unwrap_or(0)
    }
}

impl Stage {
    /// The round whose answers are still to count.
    pub fn collection(&self) -> Option<&Collection> {
        match self {
            Self::Open(collection) | Self::Commit(collection) => Some(collection),
            Self::Idle => None,
        }
    }
}

/// A round with the answers that were accepted in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Collection {
    /// Which round.
    pub id: RoundId,
    /// The model version that the cohort was given.
    pub version: Option<u32>,
    /// Who was asked.
    pub cohort: BTreeSet<ClientName>,
    /// How many could have been asked.
    pub among: usize,
    /// How many were asked at first: as many places there are.
    pub places: usize,
    /// When it was opened.
    pub opened: Time,
    /// When those began who took somebody's place.
    pub joined: BTreeMap<ClientName, Time>,
    /// Who has answered, or how the round ended.
    pub round: Round,
    /// The answers, in the order of names.
    pub answers: BTreeMap<ClientName, Answer>,
    /// Which of them are against older versions than the round's, once it is complete: see [`Self::staleness`].
    pub staleness: BTreeMap<ClientName, u32>,
}

/// What a job does next when it is between rounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Its first model version is to be published.
    Initialise,
    /// A round is to be opened.
    Open(RoundId),
    /// Training is over.
    EndTraining(Stop),
    /// The job is over.
    End,
}

impl Job {
    /// A job that has not been started.
    pub fn new(id: u32, seed: u64, plan: Plan, refit_of: Option<u32>) -> Self {
        Self {
            id,
            seed,
            plan: Arc::new(plan),
            refit_of,
            status: Status::Created,
            limit: None,
            started: Time::default(),
            stage: Stage::Idle,
            under_way: BTreeMap::new(),
            statistics: None,
            version: None,
            completed: 0,
            abandoned: 0,
            declined: BTreeMap::new(),
            history: History::default(),
            retry_at: Time::default(),
            evaluated: 0,
            best: None,
            without_improvement: 0,
            trained: None,
            tested: false,
            reason: String::new(),
            last: None,
        }
    }

    /// What comes next, between rounds: the sequence of phases, in one place.
    pub fn next(&self, now: Time) -> Next {
        if self.trained.is_some() && self.completed == 0 {
            return Next::End;
        }
        if !self.plan.measure.is_empty() && self.statistics.is_none() {
            return self.open(Kind::Measure, 0);
        }
        if self.version.is_none() {
            return Next::Initialise;
        }
        if self.evaluation_is_due(now) {
            return self.open(Kind::Evaluate, self.completed);
        }
        if self.trained.is_none() {
            return match self.stop_reason(now) {
                Some(reason) => Next::EndTraining(reason),
                None => self.open(Kind::Train, self.completed.saturating_add(1)),
            };
        }
        let test = self.plan.test && !self.plan.refit && !self.tested && self.completed > 0;
        if test { self.open(Kind::Test, self.completed) } else { Next::End }
    }

    /// The round `id`, if its answers are still known: the one that counts now, or the one that ended last.
    pub fn collection(&self, id: RoundId) -> Option<&Collection> {
        [self.stage.collection(), self.last.as_ref()].into_iter().flatten().find(|round| round.id == id)
    }

    /// The updates that a version is still to be made of.
    pub fn updates(&self) -> impl Iterator<Item = Digest> {
        let held = self.under_way.values().filter_map(|task| task.answer.as_ref()?.1.blob());
        self.stage.collection().into_iter().flat_map(Collection::updates).chain(held)
    }

    /// Whether the round is one of an asynchronous job's training rounds.
    pub fn is_asynchronous(&self, round: RoundId) -> bool {
        round.kind == Kind::Train && self.plan.asynchronous().is_some()
    }

    /// Whether an answer of `client` to a task that `round` gave would count.
    pub fn expects(&self, round: RoundId, client: &ClientName) -> bool {
        if self.is_asynchronous(round) {
            return self.under_way.get(client).is_some_and(|task| task.round == round && task.answer.is_none());
        }
        matches!(&self.stage, Stage::Open(open) if open.id == round && open.round.admits(client).is_ok())
    }

    /// The answer of `client` to a task that `round` gave, if it was accepted and is still known.
    pub fn accepted(&self, round: RoundId, client: &ClientName) -> Option<&Answer> {
        let held = self.under_way.get(client).filter(|task| task.round == round);
        let held = held.and_then(|task| Some(&task.answer.as_ref()?.1));
        // While an asynchronous round is open, answers that it has are of tasks that any round may have given.
        let open = |known: &&Collection| self.is_asynchronous(round) && matches!(known.round, Round::Collecting { .. });
        let known = || self.collection(round).filter(|known| !open(known) && known.staleness(client) == 0);
        held.or_else(|| known()?.answers.get(client))
    }

    /// Whether it may do `next` without another command.
    pub fn may(&self, next: Next) -> bool {
        let within = |limit| !matches!(next, Next::Open(RoundId { kind: Kind::Train, ordinal, .. }) if ordinal > limit);
        match self.status {
            Status::Running => self.limit.is_none_or(within),
            Status::Paused => self.limit.is_some_and(within),
            Status::Created | Status::Ended(_) => false,
        }
    }

    /// Training rounds that have ended, also the one whose model is still to be made.
    pub fn ended_rounds(&self) -> u32 {
        self.completed.saturating_add(u32::from(matches!(self.stage, Stage::Commit(_))))
    }

    /// Whether `round` ends only when someone aggregates it.
    pub fn is_by_hand(&self, round: RoundId) -> bool {
        round.kind == Kind::Train && self.status == Status::Paused && self.limit.is_some()
    }

    /// What a file of this job's model says of itself: all that using it needs.
    pub fn about(&self) -> serde_json::Map<String, serde_json::Value> {
        let told = |key: &str| self.plan.work.get(key).cloned().unwrap_or_default();
        let preprocessing = self.statistics.as_ref().map(scales);
        let about = [
            ("recipe", json!(self.plan.name)),
            ("schema", told("schema")),
            ("model", told("model")),
            ("preprocessing", json!(preprocessing)),
        ];
        about.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
    }

    /// The first stop rule that fires at `now`.
    pub fn stop_reason(&self, now: Time) -> Option<Stop> {
        let rules = &self.plan.stop;
        let reached =
            |target: f64, best: f64| if larger_is_better(self.plan.metric()) { best >= target } else { best <= target };
        let limit = rules.time_limit_s.map(|seconds| Duration((seconds * 1000.0) as u64));
        if matches!((rules.target, self.best), (Some(target), Some((_, best))) if reached(target, best)) {
            Some(Stop::Target)
        } else if rules.patience.is_some_and(|patience| self.without_improvement >= patience) {
            Some(Stop::Patience)
        } else if self.completed >= self.plan.rounds {
            Some(Stop::Rounds)
        } else {
            limit.filter(|limit| now.since(self.started) >= *limit).map(|_| Stop::TimeLimit)
        }
    }

    /// How many rounds this job has chosen: those up to its best evaluation if it was to stop by patience, else all it did.
    pub fn chosen_rounds(&self) -> u32 {
        match (self.plan.stop.patience, self.best) {
            (Some(_), Some((round, _))) => round,
            _ => self.completed,
        }
    }

    /// Takes in the figures of an evaluation round.
    pub(crate) fn judge(&mut self, round: u32, metrics: &BTreeMap<String, Metrics>) {
        self.evaluated = round;
        let metric = self.plan.metric();
        let Some(value) = metrics.get("global").and_then(|figures| figures.get(metric)).copied() else { return };
        let better = |best: f64| if larger_is_better(metric) { value > best } else { value < best };
        if self.best.is_none_or(|(_, best)| better(best)) {
            (self.best, self.without_improvement) = (Some((round, value)), 0);
        } else {
            self.without_improvement = self.without_improvement.saturating_add(1);
        }
    }

    fn open(&self, kind: Kind, ordinal: u32) -> Next {
        let before = self.last.as_ref().map(|last| last.id).filter(|id| (id.kind, id.ordinal) == (kind, ordinal));
        Next::Open(RoundId {
            job: self.id,
            kind,
            ordinal,
            attempt: before.map_or(1, |id| id.attempt.saturating_add(1)),
        })
    }

    /// Every so many rounds, and after the last.
    fn evaluation_is_due(&self, now: Time) -> bool {
        let every = self.plan.evaluate_every;
        let last = || self.trained.is_some() || self.stop_reason(now).is_some();
        every > 0 && self.completed > self.evaluated && (self.completed.is_multiple_of(every) || last())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{StopRules, tests::spec};

    fn job(stop: StopRules) -> Job {
        let mut job = Job::new(
            1,
            7,
            Plan::new(crate::plan::PlanSpec { rounds: 10, evaluate_every: 1, stop, ..spec() }).unwrap(),
            None,
        );
        (job.statistics, job.version) = (Some(Statistics::new()), Some(1));
        job
    }

    /// Trains and evaluates until the job says stop; `maes` are the validation figures.
    fn run(stop: StopRules, maes: &[f64]) -> (u32, Stop, u32) {
        let mut job = job(stop);
        loop {
            match job.next(Time(1000 * u64::from(job.completed))) {
                Next::Open(RoundId { kind: Kind::Train, ordinal, .. }) => job.completed = ordinal,
                Next::Open(RoundId { kind: Kind::Evaluate, ordinal, .. }) => {
                    let figures = Metrics::from([("mae".into(), maes[ordinal as usize - 1])]);
                    job.judge(ordinal, &BTreeMap::from([("global".into(), figures)]));
                }
                Next::EndTraining(reason) => return (job.completed, reason, job.chosen_rounds()),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn each_stop_rule_fires() {
        let falling: Vec<f64> = (0..10).map(|i| 100.0 - f64::from(i)).collect();
        assert_eq!(run(StopRules::default(), &falling), (10, Stop::Rounds, 10));
        assert_eq!(run(StopRules { target: Some(95.0), ..StopRules::default() }, &falling), (6, Stop::Target, 6));
        let worse = [5.0, 4.0, 6.0, 4.0, 9.0];
        assert_eq!(run(StopRules { patience: Some(3), ..StopRules::default() }, &worse), (5, Stop::Patience, 2));
        assert_eq!(
            run(StopRules { time_limit_s: Some(2.5), ..StopRules::default() }, &falling),
            (3, Stop::TimeLimit, 3)
        );
    }

    #[test]
    fn phases_follow_one_another() {
        let mut job = job(StopRules::default());
        job.statistics = None;
        let kind = |job: &Job| match job.next(Time(0)) {
            Next::Open(round) => Some(round.kind),
            _ => None,
        };
        assert_eq!(kind(&job), Some(Kind::Measure));
        (job.statistics, job.version) = (Some(Statistics::new()), None);
        assert_eq!(job.next(Time(0)), Next::Initialise);
        job.version = Some(1);
        assert_eq!(kind(&job), Some(Kind::Train));
        (job.completed, job.evaluated, job.trained) = (10, 10, Some(Stop::Rounds));
        assert_eq!(kind(&job), Some(Kind::Test));
        job.tested = true;
        assert_eq!(job.next(Time(0)), Next::End);
    }
}
