//! A federation with its journal, which is read back and held to the rules as it grows.

use std::collections::{BTreeMap, VecDeque};

use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::{Command, Federation, Owed},
    journal::{Entry, Head},
    name::ClientName,
    plan::{Plan, PlanSpec},
    round::{Kind, TaskId},
    statistics::{Moments, Sums, regression},
    time::Time,
    update::Weight,
};

use crate::message;

/// The clients of every world.
pub const CLIENTS: [&str; 3] = ["a", "b", "c"];

/// A federation, where its journal ends, and what somebody who reads the journal has made of it.
#[derive(Clone, Default)]
pub struct World {
    pub federation: Federation,
    pub now: Time,
    head: Head,
    reader: Reader,
}

#[derive(Clone, Default)]
struct Reader {
    federation: Federation,
    head: Head,
    due: VecDeque<Event>,
}

impl World {
    /// With a federation of this schema and its clients.
    pub fn new(schema: Option<serde_json::Map<String, serde_json::Value>>) -> Self {
        let mut world = Self::default();
        world.must(&Command::Create { name: "world".into(), recipe: None, schema });
        CLIENTS.iter().for_each(|name| world.must(&Command::Join { client: client(name), ready: true }));
        world
    }

    /// What `command` means, done, written, read back and held to the rules; `None` if it is refused, which changes nothing.
    pub fn command(&mut self, command: &Command) -> Option<usize> {
        let decided = self.federation.decide(command, self.now);
        let events = decided.map_err(|reject| message::check(&reject)).ok()?;
        let count = events.len();
        if count == 0 {
            return Some(0);
        }
        for event in events {
            let record = Record::new(self.now, event);
            self.federation.apply(&record);
            self.reader.read(&self.head.append(&record).line(), &record);
        }
        assert_eq!(self.reader.federation, self.federation, "a replay makes another federation");
        look(&self.federation);
        Some(count)
    }

    /// As above, where it is allowed.
    pub fn must(&mut self, command: &Command) {
        assert!(self.command(command).is_some(), "{command:?} is refused");
    }

    /// Everything that is due, every model that is owed, and every answer that is awaited, in at most `steps` steps.
    pub fn run(&mut self, steps: usize) {
        for _ in 0..steps {
            if self.command(&Command::Tick) != Some(0) {
                continue;
            }
            if let Some(Owed::Initial(job) | Owed::Next(job, _)) = self.federation.owed() {
                let (job, sha256) = (job.id, Digest::of(&self.head.hash.0));
                self.must(&Command::Publish { job, sha256, state: None });
            } else if let Some(task) = self.task() {
                let answer = answer(&self.federation, task.round.kind);
                self.must(&Command::Report { task, answer });
            } else if let Some(due) = self.federation.due_at().filter(|due| *due > self.now) {
                self.now = due;
            } else {
                return;
            }
        }
    }

    /// A task that is not answered.
    pub fn task(&self) -> Option<TaskId> {
        let asked = |client: &ClientName| self.federation.task_of(client).map(|asked| asked.round);
        CLIENTS.iter().map(|name| client(name)).find_map(|client| Some(TaskId { round: asked(&client)?, client }))
    }
}

impl Reader {
    fn read(&mut self, line: &str, written: &Record) {
        let entry = Entry::parse(line).expect("a line of ours is read");
        assert_eq!(entry.line(), line);
        let record = self.head.follow(&entry).unwrap_or_else(|broken| panic!("{broken}: {line}"));
        assert_eq!(&record, written, "{line}");
        assert!(self.federation.hold(&record, &mut self.due).is_some(), "the rules would not have decided {line}");
        self.federation.apply(&record);
    }
}

/// Asks a federation whatever can be asked of it.
pub fn look(federation: &Federation) {
    let _ = (federation.due_at(), federation.owed());
    if let Some(waiting) = federation.waiting() {
        message::check(&waiting);
    }
    for client in federation.members.keys().take(3) {
        for round in federation.jobs.iter().filter_map(|job| job.last.as_ref().or(job.stage.collection())) {
            let _ = federation.task_state(&TaskId { round: round.id, client: client.clone() });
        }
        let _ = federation.task_of(client).map(|asked| asked.job.about());
    }
}

/// A client's name.
pub fn client(name: &str) -> ClientName {
    ClientName::new(name).expect("a letter is a name")
}

/// An answer that fits the active job's plan.
pub fn answer(federation: &Federation, kind: Kind) -> Answer {
    let plan: &PlanSpec = federation.active().map(|job| &**job.plan).expect("a job is active");
    let some = Moments { n: 3, mean: 1.5, m2: 0.5 };
    match kind {
        Kind::Measure => {
            Answer::Measured { statistics: plan.measure.iter().map(|name| (name.clone(), some)).collect() }
        }
        Kind::Train => Answer::Update {
            sha256: Digest::of(b"update"),
            bytes: 6,
            weight: Weight::new(3.0).expect("three rows are a weight"),
            scalars: plan.scalars.iter().map(|name| (name.clone(), 0.25)).collect(),
        },
        Kind::Evaluate | Kind::Test => {
            let moments = regression::COLUMNS.iter().map(|name| ((*name).to_owned(), some)).collect();
            let sums = Sums { moments, ..Sums::default() };
            Answer::Evaluated { sums: BTreeMap::from([("global".into(), sums)]) }
        }
    }
}

/// A plan as small as there is one, which goes through every kind of round.
pub fn plan() -> Plan {
    let plan = serde_json::json!({
        "name": "small", "rounds": 2, "codec": "f32", "rows": "training", "measure": ["x", "y"], "scalars": ["train_loss"],
        "evaluate_every": 1, "refit": false, "test": true, "work": {}, "stop": {}, "strategy": {}, "cohort": {"quorum": 1},
        "layout": [{"name": "w", "shape": [2], "initial": "zeros"}],
    });
    serde_json::from_value(plan).expect("the plan is one")
}
