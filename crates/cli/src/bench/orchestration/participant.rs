//! A participant's machines, and the jobs that a federation's own rules give to them. Only machines and time are made up.

use std::collections::BTreeMap;

use anyhow::Result;
use dure_core::{
    codec::Codec,
    cohort::{
        CohortSpec, Select,
        filter::{Facts, Filter},
    },
    digest::Digest,
    event::{Answer, Record},
    federation::{Command, Federation, Waiting},
    job::Collection,
    model::{Initial, Layout, TensorSpec},
    name::ClientName,
    plan::{MAX_ROUNDS, Plan, PlanSpec, StopRules, TrainingRows},
    random::{Purpose, RngExt as _, stream},
    round::{Round, TaskId},
    strategy::StrategySpec,
    time::{Duration, Time},
    update::Weight,
};
use dure_learn::world::LogNormal;
use serde::Serialize;

/// A virtual machine. A gigabyte has 1,024 megabytes here, as where it was published.
struct Machine {
    name: &'static str,
    /// Others exist and never answer.
    active: bool,
    cores: f64,
    memory_gb: f64,
    disk_gb: f64,
}

/// The published participant.
const MACHINES: [Machine; 5] = [
    Machine { name: "001", active: true, cores: 4.0, memory_gb: 8.0, disk_gb: 40.0 },
    Machine { name: "002", active: true, cores: 2.0, memory_gb: 4.0, disk_gb: 20.0 },
    Machine { name: "003", active: false, cores: 8.0, memory_gb: 16.0, disk_gb: 80.0 },
    Machine { name: "004", active: false, cores: 2.0, memory_gb: 4.0, disk_gb: 20.0 },
    Machine { name: "005", active: true, cores: 1.0, memory_gb: 1.0, disk_gb: 10.0 },
];

const MB_PER_GB: f64 = 1024.0;

/// The size of the published model.
const MODEL_MB: f64 = 500.0;

/// The memory that training it takes, by the published rule.
const MEMORY_MB: f64 = 2.0 * MODEL_MB + 512.0;

/// The published rules of who can do a job.
const FILTER: Filter = Filter {
    cores: Some(1.0),
    memory_mb: Some(MEMORY_MB),
    free_memory_mb: None,
    free_disk_mb: Some(3.0 * MODEL_MB + MB_PER_GB),
    load: Some(0.7),
    rows: None,
};

/// Seconds of one idle core that a job takes: 50 s of two, about what was published of a round.
const WORK: LogNormal = LogNormal { median: 100.0, sigma: 0.5 };

/// How many seconds it takes to load the model and, with too little memory, to find that out.
const LOADING_S: f64 = 10.0;

/// How long it takes until a machine that vanished is missed: a server's lease.
const LEASE: Duration = Duration(30_000);

/// How long a job waits, when no machine may be asked, before all are looked at anew.
const LOOK_AGAIN: Duration = Duration(30_000);

/// How machines are chosen for jobs.
pub(super) struct Policy {
    pub(super) name: &'static str,
    /// Whether it looks at what machines say of themselves, their status among it.
    pub(super) filters: bool,
    pub(super) select: Select,
    pub(super) reassign: bool,
    /// How often a job is tried before it has failed.
    pub(super) tries: u32,
    /// The published share of jobs that it does; no machine failed there.
    pub(super) published: Option<f64>,
}

/// What became of a job that is over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Done {
    /// From when it could have begun until its answer, or until it had failed.
    pub(super) took: Duration,
    pub(super) failure: Option<Failure>,
}

/// What ended the last try of a job that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Failure {
    /// The machine was inactive, and the deadline passed.
    Inactive,
    /// The machine had too little memory.
    Memory,
    /// The machine failed while it trained, and no other was asked.
    Failed,
    /// One machine after another failed while it trained.
    AllFailed,
    /// The deadline passed before a machine had done it, or was missed.
    Deadline,
}

/// What comes of asking a machine, and after how long.
#[derive(Clone, Copy)]
enum Fate {
    Silent,
    Declines(Duration),
    Answers(Duration),
    Vanishes(Duration),
}

impl Machine {
    /// How busy it is at a moment, and what comes of asking it then.
    fn at(&self, seed: u64, moment: u64, failing: f64) -> (f64, Fate) {
        let mut numbers = stream(seed, Purpose::World, self.name, moment);
        let [load, chance, part]: [f64; 3] = std::array::from_fn(|_| numbers.random());
        // Training has what others leave of the cores; a fair scheduler leaves it no less than half.
        let trains_s = WORK.draw(&mut numbers) / (self.cores * (1.0 - load).max(0.5));
        let fate = if !self.active {
            Fate::Silent
        } else if self.memory_gb * MB_PER_GB < MEMORY_MB {
            Fate::Declines(milliseconds(LOADING_S))
        } else if chance < failing {
            Fate::Vanishes(milliseconds(LOADING_S + part * trains_s))
        } else {
            Fate::Answers(milliseconds(LOADING_S + trains_s))
        };
        (load, fate)
    }

    /// What it says of itself. It has nothing else on its disk.
    fn facts(&self, load: f64) -> Facts {
        let (memory_mb, free_disk_mb) = (self.memory_gb * MB_PER_GB, self.disk_gb * MB_PER_GB);
        let told = [("cores", self.cores), ("memory_mb", memory_mb), ("free_disk_mb", free_disk_mb), ("load", load)];
        told.map(|(fact, value)| (fact.to_owned(), value)).into()
    }
}

fn milliseconds(seconds: f64) -> Duration {
    Duration((seconds * 1000.0).ceil() as u64)
}

/// A federation of one participant's machines, with a training round for each of its jobs.
struct Participant<'a> {
    policy: &'a Policy,
    /// The probability that a machine fails while it trains.
    failing: f64,
    seed: u64,
    machines: BTreeMap<ClientName, &'static Machine>,
    federation: Federation,
    now: Time,
    /// When its machines were looked at last: the job, and how often in it. Every policy finds them the same at the same moment.
    moment: u64,
}

/// What becomes of the jobs of a participant, one after another.
pub(super) fn run(policy: &Policy, failing: f64, seed: u64, jobs: u32) -> Result<Vec<Done>> {
    let mut participant = Participant::new(policy, failing, seed)?;
    (0..jobs).map(|number| participant.job(number)).collect()
}

impl<'a> Participant<'a> {
    /// Its machines are members, and training has begun.
    fn new(policy: &'a Policy, failing: f64, seed: u64) -> Result<Self> {
        let named = |machine: &'static Machine| Ok((ClientName::new(machine.name)?, machine));
        let machines = MACHINES.iter().map(named).collect::<Result<_>>()?;
        let (federation, now, moment) = (Federation::default(), Time::default(), 0);
        let mut participant = Self { policy, failing, seed, machines, federation, now, moment };
        participant.command(Command::Create { name: "participant".into(), recipe: None, schema: None })?;
        for (client, machine) in participant.machines.clone() {
            // The status is what a machine itself says: who does not look takes all of them for active.
            participant.command(Command::Join { client, ready: machine.active || !policy.filters })?;
        }
        participant.command(Command::CreateJob { plan: Box::new(plan(policy)?), seed })?;
        participant.command(Command::Start { job: 1, rounds: None })?;
        participant.publish()?;
        Ok(participant)
    }

    /// Does what `command` means.
    fn command(&mut self, command: Command) -> Result<()> {
        for event in self.federation.decide(&command, self.now)? {
            self.federation.apply(&Record::new(self.now, event));
        }
        Ok(())
    }

    /// The model that is owed exists.
    fn publish(&mut self) -> Result<()> {
        self.command(Command::Publish { job: 1, sha256: Digest::of(b"model"), state: None })
    }

    /// Has a job done, and tries it again as often as the policy says.
    fn job(&mut self, number: u32) -> Result<Done> {
        // The pause after a job that failed is nobody's time.
        self.now = self.federation.due_at().map_or(self.now, |retry_at| self.now.max(retry_at));
        self.moment = u64::from(number) << 32;
        let (began, mut failure) = (self.now, None);
        for _ in 0..self.policy.tries {
            self.open()?;
            failure = self.collect()?;
            if failure.is_none() {
                self.publish()?;
                break;
            }
        }
        Ok(Done { took: self.now.since(began), failure })
    }

    /// Opens a round as soon as there is a machine to ask.
    fn open(&mut self) -> Result<()> {
        loop {
            self.look()?;
            self.command(Command::Tick)?;
            self.now = match self.federation.waiting() {
                Some(Waiting::Clients { .. }) => self.now + LOOK_AGAIN,
                Some(Waiting::Retry { at, .. }) => at,
                _ => return Ok(()),
            };
        }
    }

    /// Whoever was gone is back, and everybody says anew how it is.
    fn look(&mut self) -> Result<()> {
        self.moment += 1;
        for (client, machine) in self.machines.clone() {
            self.command(Command::Return { client: client.clone() })?;
            if self.federation.job(1).is_some_and(|job| job.declined.contains_key(&client)) {
                self.restart(&client)?;
            }
            if self.policy.filters {
                let (load, _) = machine.at(self.seed, self.moment, self.failing);
                self.command(Command::Note { client, facts: machine.facts(load) })?;
            }
        }
        Ok(())
    }

    /// A machine that ran out of memory is started anew, and may be asked again: a policy that looks at nothing does not look at that.
    fn restart(&mut self, client: &ClientName) -> Result<()> {
        for ready in [false, true] {
            self.command(Command::SetReady { client: client.clone(), ready, reason: "restarting".into() })?;
        }
        Ok(())
    }

    /// Has the open round's task done by whoever has it, until the round is over; why it failed, if it did.
    fn collect(&mut self) -> Result<Option<Failure>> {
        let mut failure = None;
        while let Some((task, deadline, asked)) = self.federation.open_round().and_then(task_of) {
            failure = self.ask(task, deadline, asked)?;
            self.command(Command::Tick)?;
        }
        Ok(failure)
    }

    /// Asks a machine, the last of `asked`, and lets time pass until something comes of it; why the round fails if no other takes over.
    fn ask(&mut self, task: TaskId, deadline: Time, asked: usize) -> Result<Option<Failure>> {
        let client = task.client.clone();
        let fate = self.machines.get(&client).map(|machine| machine.at(self.seed, self.moment, self.failing).1);
        let (after, command, failure) = match fate.unwrap_or(Fate::Silent) {
            Fate::Silent => (Duration(u64::MAX), Command::Tick, Some(Failure::Inactive)),
            Fate::Declines(after) => {
                (after, Command::Decline { task, reason: "out of memory".into() }, Some(Failure::Memory))
            }
            Fate::Answers(after) => (after, Command::Report { task, answer: answer()? }, None),
            Fate::Vanishes(after) => {
                let epoch = self.federation.members.get(&client).map_or(0, |member| member.epoch);
                let failure = if asked > 1 { Failure::AllFailed } else { Failure::Failed };
                (Duration(after.0 + LEASE.0), Command::Lose { client, epoch }, Some(failure))
            }
        };
        let at = self.now + after;
        self.now = at.min(deadline);
        if at < deadline {
            self.command(command)?;
            return Ok(failure);
        }
        Ok(failure.filter(|failure| *failure == Failure::Inactive).or(Some(Failure::Deadline)))
    }
}

/// The task that the open round waits for, its deadline, and how many were asked.
fn task_of(open: &Collection) -> Option<(TaskId, Time, usize)> {
    let Round::Collecting { awaited, deadline, .. } = &open.round else { return None };
    Some((TaskId { round: open.id, client: awaited.first()?.clone() }, *deadline, open.cohort.len()))
}

/// A model that was trained; what is in it does not matter here.
fn answer() -> Result<Answer> {
    let (weight, scalars) = (Weight::new(1.0)?, BTreeMap::new());
    Ok(Answer::Update { sha256: Digest::of(b"update"), bytes: (MODEL_MB * 1e6) as u64, weight, scalars })
}

/// Training rounds that want one answer each, one after another.
fn plan(policy: &Policy) -> Result<Plan> {
    let filter = policy.filters.then_some(FILTER);
    let cohort =
        CohortSpec { size: Some(1), select: policy.select, reassign: policy.reassign, filter, ..CohortSpec::default() };
    // A job that failed is given up here, and the rounds go on with the next.
    let stop = StopRules { abandoned: u32::MAX, ..StopRules::default() };
    Ok(Plan::new(PlanSpec {
        name: "orchestration".into(),
        rounds: MAX_ROUNDS,
        strategy: StrategySpec::default(),
        cohort,
        codec: Codec::F32,
        layout: Layout::new(vec![TensorSpec::new("weight", [1], Initial::Zeros)])?,
        classes: None,
        measure: vec![],
        scalars: vec![],
        rows: TrainingRows::Training,
        evaluate_every: 0,
        stop,
        refit: false,
        test: false,
        work: serde_json::Map::new(),
    })?)
}
