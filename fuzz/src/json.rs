//! The bodies of the REST API: what a server reads, what an agent reads, and what comes of them.

use std::{
    fmt::Debug,
    sync::{Arc, LazyLock},
};

use dure_core::{
    digest::Digest,
    event::Answer,
    federation::{Command, Federation},
    job::Job,
    journal::Head,
    model::Params,
    plan::{Plan, PlanSpec},
    round::Kind,
    update::{Update, Weight},
};
use dure_learn::{schema::Schema, standardise::Preprocessing, work::Work};
use dure_wire::{
    Answers, Expected, Models,
    api::{
        AliasSpec, AliasView, ClientPatch, ClientView, Decline, FederationSpec, FederationView, Goodbye,
        InvitationSpec, InvitationView, JobSpec, JobView, JoinSpec, Problem, Run, SessionSpec, TaskOutcome, TaskView,
        VersionView,
    },
    decode_update, encode_update, json,
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    memory, message,
    world::{World, client, plan},
};

/// The most lines that are taken.
const LINES: usize = 16;

/// The most steps that a new job is taken through, and an open round: to its end and a little further.
const STEPS: usize = 40;
const ROUND: usize = 8;

/// The largest plan that is taken through a job: columns and scalars, and parameters.
const COLUMNS: usize = 40;
const PARAMETERS: usize = 1 << 12;

/// Takes each line of `bytes` as every body that there is.
///
/// What is read is what it says when it is written and read again. A plan that is accepted makes a job that goes on until it
/// waits for somebody, whose models and updates are read back; an answer is taken or refused in every kind of round. Whatever
/// is decided replays to the same federation, and the rules would decide it again.
pub fn json_body(bytes: &[u8]) {
    bytes.split(|byte| *byte == b'\n').take(LINES).for_each(check);
}

fn check(bytes: &[u8]) {
    requests(bytes);
    answers(bytes);
    if let Some(spec) = read::<PlanSpec>(bytes) {
        run(spec, 1);
    }
    if let Some(JobSpec { plan, seed }) = read::<JobSpec>(bytes) {
        run(plan, seed.parse().unwrap_or_default());
    }
}

/// What a server reads.
fn requests(bytes: &[u8]) {
    if let Some(FederationSpec { name, recipe, schema }) = read(bytes) {
        let mut world = World::default();
        world.command(&Command::Create { name: name.clone(), recipe: recipe.clone(), schema: schema.clone() });
        world.command(&Command::Create { name, recipe, schema });
    }
    let a = || client("a");
    let commands = [
        read(bytes).map(|JoinSpec { ready, .. }| Command::Join { client: a(), ready }),
        read(bytes).map(|ClientPatch { ready, reason, .. }| Command::SetReady {
            client: a(),
            ready: ready.unwrap_or_default(),
            reason,
        }),
        read(bytes).map(|Goodbye { reason }| Command::Leave { client: a(), reason }),
        read(bytes).map(|Goodbye { reason }| Command::Evict { client: a(), reason }),
        read(bytes).map(|Run { rounds }| Command::Resume { job: 1, rounds }),
        read(bytes).map(|AliasSpec { version }| Command::SetAlias { alias: "production".into(), version }),
        read(bytes).zip(WORLDS[1].task()).map(|(Decline { reason }, task)| Command::Decline { task, reason }),
    ];
    for command in commands.into_iter().flatten() {
        let mut world = WORLDS[1].clone();
        world.must(&Command::Pause { job: 1 });
        world.command(&command);
        world.command(&command);
        world.run(ROUND);
    }
    read::<InvitationSpec>(bytes);
    read::<SessionSpec>(bytes);
}

/// What an agent and a command line read.
fn answers(bytes: &[u8]) {
    read::<Problem>(bytes);
    read::<TaskView>(bytes);
    read::<TaskOutcome>(bytes);
    read::<ClientView>(bytes);
    read::<InvitationView>(bytes);
    read::<VersionView>(bytes);
    read::<AliasView>(bytes);
    read::<Head>(bytes);
    if let Some(FederationView { schema: Some(schema), .. }) = read(bytes) {
        let _ = serde_json::from_value::<Schema>(Value::Object(schema)).map_err(|error| error.to_string());
    }
    if let Some(JobView { plan, statistics, .. }) = read(bytes)
        && let Some(plan) = accepted(plan)
        && let Some(work) = Work::of(&plan).map_err(|error| message::check(&error)).ok()
    {
        let preprocessing = statistics.map(|statistics| Preprocessing::of(&statistics));
        let _ = preprocessing.is_some_and(|scales| scales.fits(&work.schema));
    }
    if let Some(answer) = read::<Answer>(bytes) {
        WORLDS.iter().for_each(|world| report(world.clone(), &answer));
    }
}

/// A body, if it is one; and the same when it is written and read again, as text and as a value.
fn read<T: DeserializeOwned + Serialize + PartialEq + Debug>(bytes: &[u8]) -> Option<T> {
    let read = memory::within(64 * bytes.len() + (64 << 10), || json::read::<T>(bytes));
    let body = read.map_err(|error| message::check(&error)).ok()?;
    let text = serde_json::to_vec(&body).expect("a body is written");
    let value: Value = serde_json::from_slice(&text).expect("a body is JSON");
    for same in
        [json::read(&text).map_err(|error| error.to_string()), T::deserialize(&value).map_err(|e| e.to_string())]
    {
        assert_eq!(same.as_ref(), Ok(&body), "{}", String::from_utf8_lossy(&text));
    }
    Some(body)
}

fn accepted(spec: PlanSpec) -> Option<Plan> {
    Plan::new(spec).map_err(|error| message::check(&error)).ok()
}

/// An answer in an open round, and the round's end.
fn report(mut world: World, answer: &Answer) {
    let Some(task) = world.task() else { unreachable!("a round is open") };
    let report = Command::Report { task, answer: answer.clone() };
    if world.command(&report).is_some() {
        assert_eq!(world.command(&report), Some(0), "the same again is no event");
        world.run(ROUND);
    }
}

/// A job, as far as it goes.
fn run(spec: PlanSpec, seed: u64) {
    let Some(plan) = accepted(spec) else { return };
    if plan.measure.len() + plan.scalars.len() > COLUMNS {
        return;
    }
    let schema = plan.work.get("schema").and_then(Value::as_object).cloned();
    let mut world = World::new(schema);
    if plan.layout.parameters() <= PARAMETERS {
        keep(&Job::new(1, seed, plan.clone(), None));
    }
    world.must(&Command::CreateJob { plan: Box::new(plan), seed });
    world.must(&Command::Start { job: 1, rounds: None });
    world.run(STEPS);
}

/// The first model of a job, an update of it, and the next model.
fn keep(job: &Job) {
    let mut models = Models::initial(job);
    let read = |models: &Models| Models::read(job, (models.blob().to_vec(), models.sha256()), None);
    let same = read(&models).unwrap_or_else(|error| panic!("a model of an accepted plan is not read: {error}"));
    assert_eq!(same.params(), models.params());
    let layout = Arc::new(job.plan.layout.clone());
    let ones = vec![1.0; layout.parameters()];
    let delta = Params::new(layout.clone(), ones).expect("there are as many values as parameters");
    let mut update = Update::of_delta(delta.clone(), Weight::new(2.0).expect("two rows are a weight"));
    update.groups = job.plan.groups().iter().map(|group| ((*group).to_owned(), delta.clone())).collect();
    update.scalars = job.plan.scalars.iter().map(|name| (name.clone(), 0.25)).collect();
    let (scalars, codec, base) = (&job.plan.scalars, job.plan.codec, models.sha256());
    let file = encode_update(&update, codec, base);
    let expected = Expected { layout: &layout, groups: job.plan.groups(), scalars, codec, base };
    assert_eq!(decode_update(&file, &expected, Some(Digest::of(&file))).as_ref(), Ok(&update));
    let answers = Answers { updates: &[update.clone(), update], staleness: &[0, 2], among: 2 };
    match models.advance(job, answers, 1) {
        Ok(()) => assert!(read(&models).is_ok_and(|same| same.params() == models.params())),
        Err(error) => drop(message::check(&error)),
    }
}

/// A federation in each kind of round.
static WORLDS: LazyLock<[World; 4]> = LazyLock::new(|| {
    [Kind::Measure, Kind::Train, Kind::Evaluate, Kind::Test].map(|kind| {
        let mut world = World::new(None);
        world.must(&Command::CreateJob { plan: Box::new(plan()), seed: 7 });
        world.must(&Command::Start { job: 1, rounds: None });
        let is_open = |federation: &Federation| federation.open_round().is_some_and(|open| open.id.kind == kind);
        while !is_open(&world.federation) {
            world.run(1);
        }
        world
    })
});

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::answer;

    #[test]
    fn every_kind_of_answer_fits_its_world() {
        for world in WORLDS.iter() {
            let kind = world.federation.open_round().unwrap().id.kind;
            report(world.clone(), &answer(&world.federation, kind));
        }
    }
}
