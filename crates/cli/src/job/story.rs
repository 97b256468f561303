//! What a journal tells of a job, event by event.

use std::collections::BTreeMap;

use dure_core::{
    event::{Answer, Event, Outcome, Stop},
    federation::Federation,
    job::{Collection, Job, Next, Status},
    journal::{Broken, Entry, Head},
    round::{Kind, RoundId},
    time::Time,
};
use dure_learn::work::Work;
use dure_sim::{
    clients::train_loss,
    report::{Figures, RoundRow},
};

use crate::{
    show::{self, Says},
    words::{count, plain, word},
};

/// Something for people.
#[derive(Debug)]
pub enum Said {
    /// What was asked for.
    Told(String),
    /// What they should know besides.
    Noted(String),
}

use Said::{Noted, Told};

/// A job as its journal tells it, and the refit that follows it.
pub struct Story {
    federation: Federation,
    head: Head,
    job: u32,
    /// When the round that was opened last was.
    opened: Time,
    /// The training round that has ended and whose model may still be judged.
    row: Option<RoundRow>,
    /// Whether the table of rounds has a head.
    headed: bool,
    /// How the job ended, and why.
    ended: Option<(Outcome, String)>,
}

impl Story {
    /// The story of a job, before it begins.
    pub fn of(job: u32) -> Self {
        let (federation, head, opened) = (Federation::default(), Head::default(), Time::default());
        Self { federation, head, job, opened, row: None, headed: false, ended: None }
    }

    /// The number of the last event.
    pub fn last(&self) -> u64 {
        self.head.sequence
    }

    /// Whether the job exists.
    pub fn has_begun(&self) -> bool {
        self.job().is_some()
    }

    /// Whether nothing more is to come: the job is over, and no refit follows.
    pub fn is_over(&self) -> bool {
        let refit = self.job().is_some_and(|job| job.plan.refit && job.completed > 0);
        self.ended.as_ref().is_some_and(|(outcome, _)| !refit || *outcome != Outcome::Completed)
    }

    /// Why the job ended, if it did not complete.
    pub fn failure(&self) -> Option<String> {
        let (outcome, reason) = self.ended.as_ref().filter(|(outcome, _)| *outcome != Outcome::Completed)?;
        let because = match outcome {
            Outcome::GaveUp => ": too many rounds in a row were abandoned".into(),
            _ if reason.is_empty() => String::new(),
            _ => format!(": {}", plain(reason)),
        };
        let word = match outcome {
            Outcome::Aborted => "was aborted",
            Outcome::GaveUp => "gave up",
            Outcome::Failed | Outcome::Completed => "failed",
        };
        Some(format!("job {} {word}{because}", self.job))
    }

    /// Takes in the journal's next line. One that it knows already says nothing.
    pub fn take(&mut self, line: &str) -> Result<Vec<Said>, Broken> {
        let broken = |why| Broken { sequence: self.head.sequence + 1, why };
        let entry = Entry::parse(line).map_err(broken)?;
        if entry.sequence <= self.head.sequence {
            return Ok(vec![]);
        }
        let record = self.head.follow(&entry)?;
        self.federation.apply(&record);
        Ok(self.tell(&record.event, record.at))
    }

    fn job(&self) -> Option<&Job> {
        self.federation.job(self.job)
    }

    fn tell(&mut self, event: &Event, at: Time) -> Vec<Said> {
        match event {
            Event::JobCreated { job, refit_of, .. } if *job == self.job || *refit_of == Some(self.job) => {
                self.begin(*job)
            }
            Event::JobPaused { job } if *job == self.job => self.noted("is paused"),
            Event::JobResumed { job, .. } if *job == self.job => self.noted("goes on"),
            Event::JobEnded { job, outcome, reason } if *job == self.job => self.end(*outcome, reason),
            Event::ModelPublished { job, round, .. } if *job == self.job && *round > 0 => self.published(at),
            Event::RoundOpened { round, .. }
            | Event::RoundAbandoned { round, .. }
            | Event::TaskDeclined { round, .. }
            | Event::Evaluated { round, .. }
                if round.job == self.job =>
            {
                self.tell_of_round(event, *round, at)
            }
            _ => vec![],
        }
    }

    /// A job begins: the one that is watched, or its refit, which is watched from now on.
    fn begin(&mut self, job: u32) -> Vec<Said> {
        let of = self.job;
        (self.job, self.headed, self.ended) = (job, false, None);
        let Some(begun) = self.job() else { return vec![] };
        let plan = &begun.plan;
        let rounds = count(plan.rounds as usize, "round");
        if job != of {
            let rows = "on training and validation rows together";
            return vec![Told(format!("\nThen job {job}: {rounds} from the start, {rows}.\n"))];
        }
        let figures = if plan.evaluate_every > 0 { "; figures are on validation rows" } else { "" };
        let (name, strategy, seed) = (plain(&plan.name), plain(&plan.strategy.name), begun.seed);
        vec![Told(format!("job {job}: {rounds} of {name} with {strategy}, seed {seed}{figures}\n"))]
    }

    fn noted(&self, what: &str) -> Vec<Said> {
        let rounds = self.job().map_or(0, |job| job.completed);
        vec![Noted(format!("job {} {what} after round {rounds}", self.job))]
    }

    fn tell_of_round(&mut self, event: &Event, round: RoundId, at: Time) -> Vec<Said> {
        match (event, round.kind) {
            (Event::RoundOpened { .. }, Kind::Train) => {
                let said = self.flush();
                self.opened = at;
                said
            }
            (Event::RoundOpened { .. }, Kind::Test) => self.flush(),
            (Event::Evaluated { metrics, .. }, Kind::Evaluate) => {
                let wall_s = self.seconds(at);
                if let Some(row) = self.row.as_mut().filter(|row| row.round == round.ordinal) {
                    (row.metrics, row.wall_s) = (metrics.get("global").cloned().unwrap_or_default(), wall_s);
                }
                self.flush()
            }
            (Event::RoundAbandoned { reported, quorum, .. }, _) => {
                let why = match reported < quorum {
                    true => format!("{}, and {quorum} were needed", count(*reported, "answer")),
                    false => "the job was ended in it".into(),
                };
                vec![Noted(format!("round {round} was abandoned: {why}"))]
            }
            (Event::TaskDeclined { client, reason, .. }, _) => {
                vec![Noted(format!("{client} declined {round}: {}", plain(reason)))]
            }
            _ => vec![],
        }
    }

    /// Seconds since the round was opened.
    fn seconds(&self, at: Time) -> f64 {
        at.since(self.opened).0 as f64 / 1000.0
    }

    /// A training round has ended in a model; its row waits for the figures, if the model is to be judged.
    fn published(&mut self, at: Time) -> Vec<Said> {
        let judged = |job: &Job| matches!(job.next(at), Next::Open(RoundId { kind: Kind::Evaluate, .. }));
        let wall_s = self.seconds(at);
        let Some(job) = self.job() else { return vec![] };
        let (row, judged) = (job.last.as_ref().map(|round| row(round, wall_s)), judged(job));
        self.row = row;
        if judged { vec![] } else { self.flush() }
    }

    /// The row that waited.
    fn flush(&mut self) -> Vec<Said> {
        let Some(row) = self.row.take() else { return vec![] };
        let says = self.job().map_or(Says::Number, |job| Says::of(job.plan.classes));
        let head = if std::mem::replace(&mut self.headed, true) {
            String::new()
        } else {
            format!("\n{}", show::rounds_head(says))
        };
        vec![Told(head + &show::round_line(&row, says))]
    }

    fn end(&mut self, outcome: Outcome, reason: &str) -> Vec<Said> {
        let mut said = self.flush();
        self.ended = Some((outcome, reason.into()));
        if let Some(job) = self.job().filter(|_| outcome == Outcome::Completed) {
            let tested = job.last.as_ref().filter(|last| last.id.kind == Kind::Test).map(Figures::of_test);
            if let Some(figures) = tested.filter(|figures| !figures.is_empty()) {
                said.push(Told(format!(
                    "\n{}\n",
                    show::figures(&figures, &BTreeMap::new(), Says::of(job.plan.classes), &unit(job))
                )));
            }
            let rounds = count(job.completed as usize, "round");
            let version = job.version.map_or_else(String::new, |version| format!("; its model is version {version}"));
            said.push(Told(format!("\njob {} completed after {rounds}{}{version}\n", job.id, stopped(job))));
        }
        said
    }

    /// What the job waits for now.
    pub fn now(&self) -> String {
        let Some(job) = self.job() else { return format!("job {} is to come", self.job) };
        let at = format!("job {}, {} of {} rounds", self.job, job.completed, job.plan.rounds);
        let active = self.federation.active().map(|active| active.id);
        match (job.status, self.federation.waiting().filter(|_| active == Some(self.job))) {
            (Status::Created, _) => format!("{at}: not started yet"),
            (_, Some(waiting)) => format!("{at}: {waiting}"),
            (Status::Running | Status::Paused, None) if self.federation.owed().is_some() => {
                format!("{at}: the server makes the next model")
            }
            (Status::Running | Status::Paused, None) => at,
            (Status::Ended(outcome), _) => format!("{at}: {}", word(&outcome)),
        }
    }
}

/// Why training ended, where it was not by its number of rounds.
fn stopped(job: &Job) -> &'static str {
    match job.trained {
        Some(Stop::Target) => ": the metric reached its target",
        Some(Stop::Patience) => ": the metric had not improved for too long",
        Some(Stop::TimeLimit) => ": its time was over",
        Some(Stop::Stopped) => ": someone stopped it",
        Some(Stop::Rounds) | None => "",
    }
}

/// The unit of what the job predicts.
fn unit(job: &Job) -> String {
    Work::of(&job.plan).map(|work| work.schema.target.unit).unwrap_or_default()
}

/// What a training round came to.
fn row(round: &Collection, wall_s: f64) -> RoundRow {
    let bytes = round.answers.values().map(|answer| match answer {
        Answer::Update { bytes, .. } => *bytes,
        _ => 0,
    });
    RoundRow {
        job: round.id.job,
        round: round.id.ordinal,
        attempt: round.id.attempt,
        cohort: round.cohort.len(),
        participants: round.answers.len(),
        staleness: round.mean_staleness(),
        train_loss: train_loss(round),
        metrics: BTreeMap::new(),
        bytes_up: bytes.fold(0, u64::saturating_add),
        bytes_down: 0,
        wall_s,
        virtual_s: 0.0,
        waited_for: String::new(),
    }
}

#[cfg(test)]
mod tests;
