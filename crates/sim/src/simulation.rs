//! The driver of a simulated federation: it does what the federation owes and what its clients are asked, until the job and
//! its refit are over.

mod asynchronous;

use std::{collections::BTreeMap, time::Instant};

use dure_core::{
    event::{Answer, Event, Outcome, Record},
    federation::{Command, Federation, Owed, Reject, Standing, Waiting},
    job::{Collection, Job, Next, Stage, Status},
    journal::Head,
    model::Params,
    name::ClientName,
    plan::Plan,
    round::{Kind, Round, RoundId, TaskId},
    statistics::Statistics,
    time::{Duration, Time},
    update::Update,
};
use dure_learn::world::Way;
use dure_wire::{AdvanceError, Answers, Models};

use crate::{
    clients::{Base, Clients, Reply, train_loss},
    past::Past,
    report::RoundRow,
};
use asynchronous::Coming;

/// A simulation that has come to its end.
pub struct Simulation {
    /// The final state.
    pub federation: Federation,
    /// The journal: a line for each event. None where they were handed over.
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
#[derive(Clone, Copy)]
pub struct Progress<'a> {
    /// The job, counted from 1.
    pub job: u32,
    /// Training rounds done.
    pub round: u32,
    /// Training rounds planned.
    pub rounds: u32,
    /// The newest model.
    pub params: Option<&'a Params>,
    /// The moments of the clients' columns, once measured.
    pub statistics: Option<&'a Statistics>,
}

impl<'a> Progress<'a> {
    /// Of a job.
    pub fn of(job: &'a Job, models: Option<&'a Models>) -> Self {
        let (params, statistics) = (models.map(Models::params), job.statistics.as_ref());
        Self { job: job.id, round: job.completed, rounds: job.plan.rounds, params, statistics }
    }
}

/// Why a simulation cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The rules refused something: a fault of ours.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// Nobody will come whom the job waits for.
    #[error("the job waits for ever: {waiting}; {remedy}")]
    Waiting {
        /// For whom.
        waiting: Waiting,
        /// What would help.
        remedy: &'static str,
    },
    /// Rounds were abandoned until the job gave up.
    #[error("the job gave up after {rounds} abandoned rounds: {reason}")]
    GaveUp {
        /// How many in a row.
        rounds: u32,
        /// Why nobody answered the last.
        reason: String,
    },
    /// Too few clients are ever there.
    #[error(
        "{needed} clients are needed, and in {periods} periods in a row fewer were there; raise world.availability.share or lower plan.cohort.size"
    )]
    Deserted {
        /// For how long.
        periods: u32,
        /// How many it waits for.
        needed: usize,
    },
    /// The world asks for more than there is.
    #[error("world.byzantine.clients = {asked} is not allowed: there are {clients} clients")]
    Liars {
        /// How many are to lie.
        asked: usize,
        /// How many there are.
        clients: usize,
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
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<Simulation, SimError> {
    let mut journal = String::new();
    let run = simulate_into(plan, seed, clients, progress, &mut |lines| journal.push_str(lines))?;
    Ok(Simulation { journal, ..run })
}

/// The same, with the lines of the journal handed to `journal` as they come, and none kept.
pub fn simulate_into(
    plan: Plan,
    seed: u64,
    clients: &mut Clients,
    progress: &mut dyn FnMut(Progress<'_>),
    journal: &mut dyn FnMut(&str),
) -> Result<Simulation, SimError> {
    let (asked, there) = (clients.world().byzantine.map_or(0, |liars| liars.clients), clients.data().clients.len());
    if asked > there {
        return Err(SimError::Liars { asked, clients: there });
    }
    let mut driver = Driver { journal: Some(journal), ..Driver::default() };
    driver.command(Command::Create { name: plan.name.clone(), recipe: None, schema: None })?;
    for client in &clients.data().clients {
        driver.command(Command::Join { client: client.name.clone(), ready: true })?;
    }
    if let Some(filter) = plan.cohort.filter {
        for client in &clients.data().clients {
            let facts = filter.of(&clients.world().facts_of(seed, &client.name, client.len()));
            driver.command(Command::Note { client: client.name.clone(), facts })?;
        }
    }
    driver.command(Command::CreateJob { plan: Box::new(plan), seed })?;
    driver.command(Command::Start { job: 1, rounds: None })?;
    while driver.go_on(clients)? {
        if let Some(job) = driver.federation.active() {
            progress(Progress::of(job, driver.models.as_ref()));
        }
    }
    driver.end()
}

/// An answer on its way.
struct Arrival {
    at: Time,
    client: ClientName,
    way: Option<Way>,
}

/// How long it takes until a client that vanished is missed: a server's lease.
const LEASE: Duration = Duration(30_000);

/// The most clients whose answers are made before the first of them is taken.
const AT_ONCE: usize = 1 << 12;

/// After how many periods without enough clients nobody waits any longer.
const DESERTED: u32 = 10_000;

/// Federation time counts milliseconds; what is begun is counted.
fn milliseconds(seconds: f64) -> u64 {
    (seconds * 1000.0).ceil() as u64
}

/// The federation, its journal, and the tensors that the journal only names.
#[derive(Default)]
struct Driver<'a> {
    federation: Federation,
    now: Time,
    /// Where its lines go.
    journal: Option<&'a mut dyn FnMut(&str)>,
    head: Head,
    models: Option<Models>,
    /// The decoded updates that a version is still to be made of.
    updates: BTreeMap<ClientName, Update>,
    /// In an asynchronous job, what will come of the tasks that are under way, and the versions that they are on.
    coming: BTreeMap<ClientName, Coming>,
    past: Past,
    /// How many tasks were given since the last version.
    tasks: usize,
    rounds: Vec<RoundRow>,
    tested: Option<Collection>,
    opened: Option<Instant>,
    /// When the last training round ended, in federation time: waiting for clients, and rounds that were tried in vain, are part of the next.
    ended_at: Time,
    declined: String,
    /// For whom the round that ended last has waited, and what that client did longest.
    waited_for: String,
    /// When each client of the open round got its task.
    given: BTreeMap<ClientName, Time>,
    /// Periods in which too few were there, one after another.
    deserted: u32,
}

impl Driver<'_> {
    /// Journals what `command` means, then applies it. The simulator's federation time stands still, but for what devices and
    /// networks of a world take, and for what an abandoned round waits until it is tried again.
    fn command(&mut self, command: Command) -> Result<bool, Reject> {
        let events = self.federation.decide(&command, self.now)?;
        let any = !events.is_empty();
        for event in events {
            let record = Record::new(self.now, event);
            let entry = self.head.append(&record);
            self.journal.iter_mut().for_each(|journal| journal(&(entry.line() + "\n")));
            self.federation.apply(&record);
            self.note(&record.event);
        }
        Ok(any)
    }

    /// One thing after another; `false` when there is nothing left to do.
    fn go_on(&mut self, clients: &mut Clients) -> Result<bool, SimError> {
        self.attend(clients)?;
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
            None if let Some(open) = self.federation.open_round() => {
                let asynchronous = self.federation.active().is_some_and(|job| job.is_asynchronous(open.id));
                if asynchronous {
                    self.go_on_working(clients)?
                } else {
                    self.ask(clients)?
                }
                Ok(true)
            }
            None => match self.federation.waiting() {
                Some(Waiting::Retry { at, .. }) => {
                    self.now = at;
                    Ok(true)
                }
                Some(Waiting::Clients { needed, .. }) if clients.world().availability.is_some() => {
                    self.deserted += 1;
                    if self.deserted > DESERTED || needed > clients.data().clients.len() {
                        return Err(SimError::Deserted { periods: self.deserted, needed });
                    }
                    self.now = self.next_period(clients);
                    Ok(true)
                }
                Some(waiting) => Err(SimError::Waiting { remedy: self.remedy(&waiting), waiting }),
                None => Ok(false),
            },
        }
    }

    /// Whoever is not there takes no tasks, where the world says who is there: before a training round. What is measured or
    /// judged is of everybody: figures are of the model, not of who was there.
    fn attend(&mut self, clients: &Clients) -> Result<(), SimError> {
        let Some(job) = self.federation.active().filter(|job| matches!(job.stage, Stage::Idle)) else { return Ok(()) };
        let (id, next) = (job.id, job.next(self.now));
        let members = self.federation.members.iter();
        let lost = members.filter(|(_, member)| member.standing == Standing::Lost).map(|(name, _)| name.clone());
        // Whoever vanished in a round is back for the next.
        for client in lost.collect::<Vec<_>>() {
            self.command(Command::Return { client })?;
        }
        let Some(job) = self.federation.job(id) else { return Ok(()) };
        let (Next::Open(round), Some(availability)) = (next, clients.world().availability) else { return Ok(()) };
        let (seed, period) = (job.seed, self.now.0 / milliseconds(availability.period_s).max(1));
        let is_there = |name: &ClientName| match round.kind {
            Kind::Measure | Kind::Evaluate | Kind::Test => true,
            Kind::Train => clients.world().is_there(seed, name, period),
        };
        let members = self.federation.members.iter();
        let changed: Vec<ClientName> =
            members.filter(|(name, member)| member.ready != is_there(name)).map(|(name, _)| name.clone()).collect();
        for client in changed {
            let ready = is_there(&client);
            self.command(Command::SetReady { client, ready, reason: if ready { "" } else { "away" }.into() })?;
        }
        Ok(())
    }

    /// What to change where nobody comes.
    fn remedy(&self, waiting: &Waiting) -> &'static str {
        let buffer = self.federation.active().and_then(|job| job.plan.asynchronous()).map_or(0, |job| job.buffer);
        match waiting {
            Waiting::Clients { left_out, .. } if !left_out.is_empty() => {
                "ask less by plan.cohort.filter, or give devices more in world.facts"
            }
            Waiting::Clients { needed, .. } if *needed == buffer => "lower plan.strategy.buffer or cohort.quorum",
            _ => "lower plan.cohort.size, quorum or min_clients",
        }
    }

    /// When who is there changes next.
    fn next_period(&self, clients: &Clients) -> Time {
        let length = clients.world().availability.map_or(1, |availability| milliseconds(availability.period_s)).max(1);
        Time((self.now.0 / length + 1) * length)
    }

    /// Gives every client of the open round its task, and reports what it answers, when it does.
    fn ask(&mut self, clients: &mut Clients) -> Result<(), SimError> {
        let (Some(job), Some(round)) = (self.federation.active(), self.federation.open_round()) else { return Ok(()) };
        let Round::Collecting { awaited, deadline, goal, .. } = &round.round else { return Ok(()) };
        let (goal, cohort) = (*goal, round.cohort.len());
        let (id, deadline, down) = (round.id, *deadline, self.models.as_ref().map_or(0, |m| m.blob().len() as u64));
        let heard = awaited.iter().filter(|name| !clients.is_silent(job, id, name));
        for name in awaited {
            self.given.entry(name.clone()).or_insert(self.now);
        }
        let given = |name: &ClientName| self.given.get(name).copied().unwrap_or(self.now);
        let arrival = |name: &ClientName| {
            let way = clients.way(job, id, name, down);
            let after = way.map_or(0, |way| milliseconds(way.total()));
            Arrival { at: Time(given(name).0.saturating_add(after)), client: name.clone(), way }
        };
        // A client that vanished is missed when its lease has ended.
        let missed = |name: &&ClientName| clients.vanishes(job, id, name);
        let lost = awaited.iter().filter(missed).map(|name| (given(name) + LEASE, name.clone())).min();
        let lost = lost.filter(|(at, _)| *at < deadline);
        let before = lost.as_ref().map_or(deadline, |(at, _)| *at);
        let mut coming: Vec<Arrival> = heard.map(arrival).filter(|arrival| arrival.at <= before).collect();
        // Of those that come at once any may be first, where not all are wanted.
        let chance =
            |client: &ClientName| if goal < cohort { clients.world().chance(job.seed, client, id.ordinal) } else { 0 };
        coming.sort_by_cached_key(|arrival| (arrival.at, chance(&arrival.client), arrival.client.clone()));
        let epoch = |client: &ClientName| self.federation.members.get(client).map_or(0, |member| member.epoch);
        let lost = lost.map(|(at, client)| (at, epoch(&client), client));
        self.waited_for.clear();
        // Nobody else's work is done: a round ends with the answers that it wants.
        while !coming.is_empty() && self.wanted() > 0 {
            let next = coming.drain(..self.wanted().clamp(1, coming.len()).min(AT_ONCE)).collect();
            self.come(clients, id, next)?;
        }
        if let Some((at, epoch, client)) = lost.filter(|_| self.wanted() > 0) {
            (self.now, self.waited_for) = (self.now.max(at), format!("{client}: drop-out"));
            self.command(Command::Lose { client, epoch })?;
            return Ok(());
        }
        // Whoever is silent, or later than that, is waited for until the deadline.
        if self.wanted() > 0 {
            (self.now, self.waited_for) = (self.now.max(deadline), "silence".into());
        }
        Ok(())
    }

    /// These answers come, one after another.
    fn come(&mut self, clients: &mut Clients, id: RoundId, arrivals: Vec<Arrival>) -> Result<(), SimError> {
        let (Some(job), Some(round)) = (self.federation.active(), self.federation.open_round()) else { return Ok(()) };
        let mut names: Vec<ClientName> = arrivals.iter().map(|arrival| arrival.client.clone()).collect();
        names.sort();
        let base = self.models.as_ref().filter(|_| round.version.is_some()).map(|models| Base::newest(models, job));
        let replies = clients.answer(job, id, base, &names);
        let mut replies: BTreeMap<ClientName, Reply> = names.into_iter().zip(replies).collect();
        for Arrival { at, client, way } in arrivals {
            let Some(reply) = replies.remove(&client) else { continue };
            self.take(TaskId { round: id, client }, (at, way), reply)?;
        }
        Ok(())
    }

    /// An answer comes.
    fn take(&mut self, task: TaskId, (at, way): (Time, Option<Way>), reply: Reply) -> Result<(), SimError> {
        self.now = self.now.max(at);
        if let Some(way) = way {
            self.waited_for = format!("{}: {}", task.client, way.longest());
        }
        match reply {
            Ok((answer, update)) => {
                self.updates.extend(update.map(|update| (task.client.clone(), update)));
                self.command(Command::Report { task, answer })?;
            }
            Err(error) => {
                self.declined = error.to_string();
                self.command(Command::Decline { task, reason: error.to_string() })?;
            }
        }
        Ok(())
    }

    /// How many more answers the open round wants of those who have not answered.
    fn wanted(&self) -> usize {
        match self.federation.open_round().map(|round| &round.round) {
            Some(Round::Collecting { goal, reported, awaited, .. }) => {
                goal.saturating_sub(reported.len()).min(awaited.len())
            }
            _ => 0,
        }
    }

    /// Stops 8 to 10: combine, step, publish.
    fn publish(&mut self, clients: &mut Clients) -> Result<(), SimError> {
        let (Some(Owed::Next(job, round)), Some(models)) = (self.federation.owed(), &mut self.models) else {
            return Ok(());
        };
        let asynchronous = job.plan.asynchronous();
        let mut updates: Vec<Update> = Vec::with_capacity(round.answers.len());
        for client in round.answers.keys() {
            let Some(mut update) = self.updates.remove(client) else { continue };
            if let Some(base) = self.past.of(round, client) {
                models.rebase(&mut update, base.params);
            }
            updates.push(update);
        }
        self.deserted = 0;
        let tasks = if asynchronous.is_some() { self.tasks } else { round.cohort.len() };
        let bytes_down = (models.blob().len() * tasks) as u64;
        let ages = round.ages();
        let answers = Answers { updates: &updates, staleness: &ages, among: round.among };
        let threads = clients.threads();
        threads.install(|| models.advance(job, answers, threads.current_num_threads()))?;
        clients.keep(round.answers.keys());
        let (id, sha256, state) = (job.id, models.sha256(), models.state_sha256());
        let wall_s = self.opened.map_or(0.0, |opened| opened.elapsed().as_secs_f64());
        self.rounds.push(RoundRow {
            job: id,
            round: round.id.ordinal,
            attempt: round.id.attempt,
            cohort: round.cohort.len(),
            participants: round.answers.len(),
            staleness: round.mean_staleness(),
            train_loss: train_loss(round),
            metrics: Default::default(),
            bytes_up: bytes_up(round),
            bytes_down,
            wall_s,
            virtual_s: self.now.since(self.ended_at).0 as f64 / 1e3,
            waited_for: std::mem::take(&mut self.waited_for),
        });
        (self.ended_at, self.tasks) = (self.now, 0);
        self.command(Command::Publish { job: id, sha256, state })?;
        Ok(())
    }

    /// What a report wants to know of an event.
    fn note(&mut self, event: &Event) {
        match event {
            Event::RoundOpened { round, .. } => {
                self.given.clear();
                self.begin(*round);
                if round.kind == Kind::Train {
                    self.opened = Some(Instant::now());
                }
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
            let last = job.last.as_ref().map(|last| &last.round);
            let reason = match last {
                _ if !self.declined.is_empty() => self.declined,
                Some(Round::Abandoned { reported, quorum }) => format!(
                    "the last had {reported} of the {quorum} answers that it needed by its deadline; lower cohort.quorum, or let fewer clients be lost or late"
                ),
                _ => "nobody was heard of".into(),
            };
            return Err(SimError::GaveUp { rounds: job.abandoned, reason });
        }
        let Self { federation, head, models, rounds, tested, .. } = self;
        Ok(Simulation { federation, journal: String::new(), head, models, rounds, tested })
    }
}

fn bytes_up(round: &Collection) -> u64 {
    let bytes = round.answers.values().map(|answer| match answer {
        Answer::Update { bytes, .. } => *bytes,
        _ => 0,
    });
    bytes.sum()
}
