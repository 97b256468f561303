//! A federation without sockets or files, for tests of the rules.
#![allow(dead_code, reason = "each test uses a part of it")]

use std::collections::BTreeMap;

use dure_core::{
    digest::Digest,
    event::{Answer, Record},
    federation::{Command, Federation, Owed, Reject, Waiting},
    model::{Initial, Layout, TensorSpec},
    name::ClientName,
    plan::{Plan, PlanSpec, StopRules, TrainingRows},
    round::{Kind, RoundId, TaskId},
    statistics::{Moments, Statistics, Sums, regression},
    time::Time,
    update::Weight,
};
use proptest::prelude::*;

/// A small plan of three rounds.
pub fn spec() -> PlanSpec {
    let tensor = TensorSpec::new("w", vec![8], Initial::Uniform(1.0));
    PlanSpec {
        name: "laws".into(),
        rounds: 3,
        strategy: Default::default(),
        cohort: Default::default(),
        codec: Default::default(),
        layout: Layout::new(vec![tensor]).unwrap(),
        classes: None,
        measure: vec!["x".into()],
        scalars: vec![],
        rows: TrainingRows::Training,
        evaluate_every: 2,
        stop: StopRules::default(),
        refit: false,
        test: true,
        work: Default::default(),
    }
}

/// A client's name.
pub fn client(i: u8) -> ClientName {
    ClientName::new(format!("c{i}")).unwrap()
}

/// A federation, its journal, and a driver that does what is owed.
#[derive(Default)]
pub struct World {
    pub federation: Federation,
    pub records: Vec<Record>,
    pub now: Time,
}

impl World {
    pub fn new(clients: u8, plan: PlanSpec) -> Self {
        let mut world = Self::default();
        world.must(Command::Create { name: "laws".into(), recipe: None, schema: None });
        (0..clients).for_each(|i| world.must(Command::Join { client: client(i), ready: true }));
        world.must(Command::CreateJob { plan: Box::new(Plan::new(plan).unwrap()), seed: 5 });
        world.must(Command::Start { job: 1, rounds: None });
        world
    }

    pub fn command(&mut self, command: Command) -> Result<usize, Reject> {
        let events = self.federation.decide(&command, self.now)?;
        let count = events.len();
        for event in events {
            let record = Record::new(self.now, event);
            self.federation.apply(&record);
            self.records.push(record);
        }
        Ok(count)
    }

    pub fn must(&mut self, command: Command) {
        self.command(command.clone()).unwrap_or_else(|reject| panic!("{command:?}: {reject}"));
    }

    /// Everything that is due, and every model that is owed. A model's digest is that of its parent and its answers, so two
    /// runs publish the same digest exactly if the same answers were combined onto the same version.
    pub fn settle(&mut self) {
        loop {
            while self.command(Command::Tick).unwrap() > 0 {}
            let Some(owed) = self.federation.owed() else { return };
            let (job, text) = match owed {
                Owed::Initial(job) => (job.id, format!("initial {}", job.seed)),
                Owed::Next(job, round) => {
                    let parent = self.federation.version(round.version.unwrap()).unwrap().sha256;
                    (job.id, format!("{parent} {:?}", round.answers))
                }
            };
            self.must(Command::Publish { job, sha256: Digest::of(text.as_bytes()), state: None });
        }
    }

    /// The same, with as much time as an abandoned round waits until it is tried again.
    pub fn retry(&mut self) {
        self.settle();
        if let Some(Waiting::Retry { at, .. }) = self.federation.waiting() {
            self.now = at;
            self.settle();
        }
    }

    pub fn open(&self) -> Option<RoundId> {
        self.federation.open_round().map(|open| open.id)
    }

    pub fn answer(&mut self, round: RoundId, from: &ClientName) -> Result<usize, Reject> {
        self.command(Command::Report { task: TaskId { round, client: from.clone() }, answer: answer(round, from) })
    }

    pub fn finish(&mut self) {
        for _ in 0..1000 {
            self.retry();
            let Some(round) = self.open() else { return };
            let names: Vec<_> = self.federation.eligible().into_iter().cloned().collect();
            for name in names {
                let asked = self.federation.task_of(&name).map_or(round, |asked| asked.round);
                drop(self.answer(asked, &name));
            }
        }
        panic!("the job does not end");
    }

    pub fn digests(&self) -> Vec<Digest> {
        self.federation.versions.iter().map(|version| version.sha256).collect()
    }
}

/// The first entry that the rules would not have decided.
pub fn held(records: &[Record]) -> Option<usize> {
    let (mut federation, mut due) = (Federation::default(), std::collections::VecDeque::new());
    for (i, record) in records.iter().enumerate() {
        if federation.hold(record, &mut due).is_none() {
            return Some(i);
        }
        federation.apply(record);
    }
    None
}

/// What a client answers: a function of the round's ordinal and of its name, not of the attempt.
pub fn answer(round: RoundId, from: &ClientName) -> Answer {
    let moments = Moments { n: 2, mean: from.as_str().len() as f64, m2: 1.5 };
    match round.kind {
        Kind::Measure => Answer::Measured { statistics: Statistics::from([("x".into(), moments)]) },
        Kind::Train => Answer::Update {
            sha256: Digest::of(format!("{} {from}", round.ordinal).as_bytes()),
            bytes: 32,
            weight: Weight::new(2.0).unwrap(),
            scalars: BTreeMap::new(),
        },
        Kind::Evaluate | Kind::Test => {
            let mut sums = Statistics::new();
            regression::add(&mut sums, 1.0, 2.0);
            let sums = Sums { moments: sums, ..Sums::default() };
            Answer::Evaluated { sums: BTreeMap::from([("global".into(), sums)]) }
        }
    }
}

/// One step of a random history.
#[derive(Clone, Debug)]
pub enum Step {
    Answer(u8),
    Decline(u8),
    Join(u8),
    Leave(u8),
    Lose(u8),
    Return(u8),
    Wait(u64),
    Ready(u8, bool),
    Pause,
    Resume(Option<u32>),
    Train,
    Aggregate,
    Stop,
    Abort,
}

/// Any step, answers more often than others.
pub fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0u8..5).prop_map(Step::Answer),
        1 => (0u8..5).prop_map(Step::Decline),
        2 => (0u8..5).prop_map(Step::Join),
        1 => (0u8..5).prop_map(Step::Leave),
        2 => (0u8..5).prop_map(Step::Lose),
        3 => (0u8..5).prop_map(Step::Return),
        2 => (1u64..700_000).prop_map(Step::Wait),
        1 => Just(Step::Pause),
        1 => (0u8..5, any::<bool>()).prop_map(|(i, ready)| Step::Ready(i, ready)),
        2 => prop::option::of(0u32..2).prop_map(Step::Resume),
        1 => Just(Step::Train),
        1 => Just(Step::Aggregate),
        1 => Just(Step::Stop),
        1 => Just(Step::Abort),
    ]
}

/// What comes of a random history of a job.
pub fn live(steps: &[Step], plan: PlanSpec) -> World {
    let mut world = World::new(3, plan);
    for step in steps {
        world.settle();
        let job = world.federation.jobs.len() as u32;
        // What it was asked; whoever was asked nothing tries the open round.
        let round = |i: u8| world.federation.task_of(&client(i)).map(|asked| asked.round).or(world.open());
        let task = |i: u8| round(i).map(|round| TaskId { round, client: client(i) });
        // Refusals are part of any history; they change nothing.
        let _ = match step {
            Step::Answer(i) => round(*i).map(|round| world.answer(round, &client(*i))),
            Step::Decline(i) => task(*i).map(|task| world.command(Command::Decline { task, reason: "busy".into() })),
            Step::Join(i) => Some(world.command(Command::Join { client: client(*i), ready: true })),
            Step::Leave(i) => Some(world.command(Command::Leave { client: client(*i), reason: "bye".into() })),
            Step::Lose(i) => Some(world.command(Command::Lose { client: client(*i), epoch: 1 })),
            Step::Return(i) => Some(world.command(Command::Return { client: client(*i) })),
            Step::Wait(ms) => {
                world.now = Time(world.now.0 + ms);
                None
            }
            Step::Pause => Some(world.command(Command::Pause { job })),
            Step::Ready(i, ready) => {
                Some(world.command(Command::SetReady { client: client(*i), ready: *ready, reason: "night".into() }))
            }
            Step::Resume(rounds) => Some(world.command(Command::Resume { job, rounds: *rounds })),
            Step::Train => Some(world.command(Command::Train { job })),
            Step::Aggregate => Some(world.command(Command::Aggregate { job })),
            Step::Stop => Some(world.command(Command::Stop { job })),
            Step::Abort => Some(world.command(Command::Abort { job })),
        };
    }
    world.settle();
    world
}
