//! The driver of a simulated federation: it does what the federation owes and what its clients are asked, until the job and
//! its refit are over.

use std::time::Instant;

use dure_core::{
    event::{Answer, Event, Outcome, Record},
    federation::{Command, Federation, Owed, Reject, Waiting},
    job::{Collection, Status},
    journal::Head,
    name::ClientName,
    plan::Plan,
    round::{Kind, RoundId, TaskId},
    time::Time,
    update::Update,
};
use dure_wire::{AdvanceError, Models};

use crate::{
    clients::{Clients, train_loss},
    report::RoundRow,
};

/// A simulation that has come to its end.
pub struct Simulation {
    /// The final state.
    pub federation: Federation,
    /// The journal: a line for each event.
    pub journal: String,
    /// Where the journal's chain ends.
    pub head: Head,
    /// The newest model.
    pub models: Option<Models>,
    /// What each training round came to.
    pub rounds: Vec<RoundRow>,
    /// Each client's answers to the test, for the spread over clients.
    pub tested: Option<Collection>,
}

/// How far a simulation is.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// The job, counted from 1.
    pub job: u32,
    /// Training rounds done.
    pub round: u32,
    /// Training rounds planned.
    pub rounds: u32,
}

/// Why a simulation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The rules refused something: a fault of ours.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// Nobody will come whom the job waits for.
    #[error("the job waits for ever: {0}; lower plan.cohort.size, quorum or min_clients")]
    Waiting(Waiting),
    /// Rounds were abandoned until the job gave up.
    #[error("the job gave up after {rounds} abandoned rounds; the last reason was: {reason}")]
    GaveUp {
        /// How many in a row.
        rounds: u32,
        /// Why a client declined.
        reason: String,
    },
    /// There is no next model version.
    #[error(transparent)]
    Advance(#[from] AdvanceError),
}

/// Runs a job of `plan` with everybody's clients, and its refit if the plan asks for one.
pub fn simulate(
    plan: Plan,
    seed: u64,
    clients: &mut Clients,
    progress: &mut dyn FnMut(Progress),
) -> Result<Simulation, SimError> {
    let mut driver = Driver::default();
    driver.command(Command::Create { name: plan.name.clone(), recipe: None, schema: None })?;
    for client in &clients.data().clients {
        driver.command(Command::Join { client: client.name.clone(), ready: true })?;
    }
    driver.command(Command::CreateJob { plan: Box::new(plan), seed })?;
    driver.command(Command::Start { job: 1, rounds: None })?;
    while driver.go_on(clients)? {
        if let Some(job) = driver.federation.active() {
            progress(Progress { job: job.id, round: job.completed, rounds: job.plan.rounds });
        }
    }
    driver.end()
}

/// The federation, its journal, and the tensors that the journal only names.
#[derive(Default)]
struct Driver {
    federation: Federation,
    now: Time,
    journal: String,
    head: Head,
    models: Option<Models>,
    /// The decoded updates of the open round, in the order of names.
    updates: Vec<Update>,
    rounds: Vec<RoundRow>,
    tested: Option<Collection>,
    opened: Option<Instant>,
    /// When the last training round was opened, in federation time.
    opened_at: Time,
    declined: String,
}

impl Driver {
    /// Journals what `command` means, then applies it. The simulator's federation time stands still, but for what an abandoned
    /// round waits until it is tried again.
    fn command(&mut self, command: Command) -> Result<bool, Reject> {
        let events = self.federation.decide(&command, self.now)?;
        let any = !events.is_empty();
        for event in events {
            let record = Record::new(self.now, event);
            self.journal.push_str(&self.head.append(&record).line());
            self.journal.push('\n');
            self.federation.apply(&record);
            self.note(&record.event);
        }
        Ok(any)
    }

    /// One thing after another; `false` when there is nothing left to do.
    fn go_on(&mut self, clients: &mut Clients) -> Result<bool, SimError> {
        if self.command(Command::Tick)? {
            return Ok(true);
        }
        match self.federation.owed() {
            Some(Owed::Initial(job)) => {
                let (id, models) = (job.id, Models::initial(job));
                let (sha256, state) = (models.sha256(), None);
                self.models = Some(models);
                self.command(Command::Publish { job: id, sha256, state })?;
                Ok(true)
            }
            Some(Owed::Next(..)) => self.publish(clients).map(|()| true),
            None if self.federation.open_round().is_some() => self.ask(clients).map(|()| true),
            None => match self.federation.waiting() {
                Some(Waiting::Retry { at, .. }) => {
                    self.now = at;
                    Ok(true)
                }
                Some(waiting) => Err(SimError::Waiting(waiting)),
                None => Ok(false),
            },
        }
    }

    /// Gives every client of the open round its task, and reports what it answers.
    fn ask(&mut self, clients: &mut Clients) -> Result<(), SimError> {
        let (Some(job), Some(round)) = (self.federation.active(), self.federation.open_round()) else { return Ok(()) };
        let id = round.id;
        let names: Vec<ClientName> = match &round.round {
            dure_core::round::Round::Collecting { awaited, .. } => awaited.iter().cloned().collect(),
            _ => return Ok(()),
        };
        let deadline = match &round.round {
            dure_core::round::Round::Collecting { deadline, .. } => *deadline,
            _ => self.now,
        };
        let (silent, names): (Vec<_>, Vec<_>) = names.into_iter().partition(|name| clients.is_silent(job, id, name));
        let replies = clients.answer(job, round, self.models.as_ref(), &names);
        self.updates.clear();
        for (client, reply) in names.into_iter().zip(replies) {
            let task = TaskId { round: id, client };
            match reply {
                Ok((answer, update)) => {
                    self.updates.extend(update);
                    self.command(Command::Report { task, answer })?;
                }
                Err(error) => {
                    self.declined = error.to_string();
                    self.command(Command::Decline { task, reason: error.to_string() })?;
                }
            }
        }
        // A round may have had all that it wanted; else it waits for whoever is silent until its deadline.
        if !silent.is_empty() && self.federation.open_round().is_some_and(|round| round.id == id) {
            self.now = self.now.max(deadline);
        }
        Ok(())
    }

    /// Stops 8 to 10: combine, step, publish.
    fn publish(&mut self, clients: &mut Clients) -> Result<(), SimError> {
        let (Some(Owed::Next(job, round)), Some(models)) = (self.federation.owed(), &mut self.models) else {
            return Ok(());
        };
        let updates = std::mem::take(&mut self.updates);
        let bytes_down = (models.blob().len() * round.cohort.len()) as u64;
        models.advance(job, &updates, clients.threads().current_num_threads())?;
        clients.keep(round.answers.keys());
        let (id, sha256, state) = (job.id, models.sha256(), models.state_sha256());
        let wall_s = self.opened.map_or(0.0, |opened| opened.elapsed().as_secs_f64());
        self.rounds.push(RoundRow {
            job: id,
            round: round.id.ordinal,
            attempt: round.id.attempt,
            cohort: round.cohort.len(),
            participants: round.answers.len(),
            train_loss: train_loss(round),
            metrics: Default::default(),
            bytes_up: bytes_up(round),
            bytes_down,
            wall_s,
            virtual_s: self.now.since(self.opened_at).0 as f64 / 1e3,
        });
        self.command(Command::Publish { job: id, sha256, state })?;
        Ok(())
    }

    /// What a report wants to know of an event.
    fn note(&mut self, event: &Event) {
        match event {
            Event::RoundOpened { round: RoundId { kind: Kind::Train, .. }, .. } => {
                (self.opened, self.opened_at) = (Some(Instant::now()), self.now);
            }
            Event::Evaluated { round, metrics, .. } if round.kind == Kind::Evaluate => {
                let wall_s = self.opened.map_or(0.0, |opened| opened.elapsed().as_secs_f64());
                if let Some(row) = self.rounds.last_mut() {
                    row.metrics = metrics.get("global").cloned().unwrap_or_default();
                    row.wall_s = wall_s;
                }
            }
            Event::Evaluated { round, .. } if round.kind == Kind::Test => {
                self.tested = self.federation.job(round.job).and_then(|job| job.last.clone());
            }
            _ => {}
        }
    }

    fn end(self) -> Result<Simulation, SimError> {
        let gave_up = self.federation.jobs.iter().find(|job| job.status == Status::Ended(Outcome::GaveUp));
        if let Some(job) = gave_up {
            return Err(SimError::GaveUp { rounds: job.abandoned, reason: self.declined });
        }
        let Self { federation, journal, head, models, rounds, tested, .. } = self;
        Ok(Simulation { federation, journal, head, models, rounds, tested })
    }
}

fn bytes_up(round: &Collection) -> u64 {
    let bytes = round.answers.values().map(|answer| match answer {
        Answer::Update { bytes, .. } => *bytes,
        _ => 0,
    });
    bytes.sum()
}
