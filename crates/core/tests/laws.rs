//! The laws of a federation, over random histories: what is decided and applied replays to the same state, an abandoned
//! round leaves no trace, each participant counts once, arrival does not matter.

use std::collections::{BTreeMap, BTreeSet};

use dure_core::{
    cohort::CohortSpec,
    digest::Digest,
    event::{Answer, Event, Outcome, Record, Stop},
    federation::{Command, Federation, Reject, Tally, TaskState, Waiting},
    job::{Stage, Status},
    journal,
    plan::{Plan, PlanSpec, StopRules, TrainingRows},
    round::{Kind, RoundId, TaskId},
    statistics::{Moments, Statistics},
    time::Time,
    update::Weight,
};
use proptest::prelude::*;

mod common;

use common::{World, answer, client, held, live, spec, step};

#[test]
fn a_quiet_job_goes_through_its_phases_and_ends() {
    let mut world = World::new(3, spec());
    world.finish();
    let kinds = world.records.iter().filter_map(|record| match &record.event {
        Event::RoundOpened { round, .. } => Some(round.to_string()),
        _ => None,
    });
    let kinds: Vec<_> = kinds.collect();
    let want = [
        "1-measure-0-1",
        "1-train-1-1",
        "1-train-2-1",
        "1-evaluate-2-1",
        "1-train-3-1",
        "1-evaluate-3-1",
        "1-test-3-1",
    ];
    assert_eq!(kinds, want);
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::Completed));
    assert_eq!(world.federation.jobs[0].trained, Some(Stop::Rounds));
    assert_eq!(world.federation.versions.len(), 4);
    assert_eq!(world.federation.versions[3].metrics["test"]["mae"], 1.0);
}

#[test]
fn what_becomes_of_training_tasks_is_counted_for_each_client_and_of_no_others() {
    let mut world = World::new(3, by_quorum(2));
    world.finish();
    let tally = |world: &World, i| world.federation.members[&client(i)].known().tally;
    // Three rounds, and three of the refit.
    assert_eq!(tally(&world, 0), Tally { asked: 6, answered: 6, declined: 0, bytes: 6 * 32 });
    let mut world = World::new(3, by_quorum(2));
    while world.open().is_none_or(|round| round.kind != Kind::Train) {
        world.settle();
        let Some(round) = world.open().filter(|round| round.kind != Kind::Train) else { continue };
        (0..3).for_each(|i| drop(world.answer(round, &client(i))));
    }
    let round = world.open().unwrap();
    world.must(Command::Decline { task: TaskId { round, client: client(1) }, reason: "no".into() });
    assert_eq!(tally(&world, 1), Tally { asked: 1, answered: 0, declined: 1, bytes: 0 });
    assert_eq!(tally(&world, 2), Tally { asked: 1, ..Tally::default() });
}

#[test]
fn a_refit_follows_with_the_rounds_that_were_chosen() {
    let stop = StopRules { patience: Some(1), ..StopRules::default() };
    let mut world = World::new(2, PlanSpec { refit: true, evaluate_every: 1, stop, ..spec() });
    world.finish();
    let refit = &world.federation.jobs[1];
    // Every evaluation is alike, so the first was the best and the second one too many.
    assert_eq!((world.federation.jobs[0].completed, refit.completed, refit.refit_of), (2, 1, Some(1)));
    assert_eq!(refit.plan.rows, TrainingRows::TrainingAndValidation);
    assert!(refit.tested && !world.federation.jobs[0].tested);
}

#[test]
fn an_abandoned_round_leaves_no_trace_in_the_model() {
    let mut quiet = World::new(3, spec());
    quiet.finish();
    let mut world = World::new(3, spec());
    for _ in 0..3 {
        world.settle();
        let round = world.open().unwrap();
        world.answer(round, &client(1)).unwrap();
        world.now = Time(world.now.0 + 600_000);
        world.retry();
        assert_eq!(world.open().unwrap(), RoundId { attempt: round.attempt + 1, ..round });
    }
    world.finish();
    assert_eq!(world.digests(), quiet.digests());
    assert_eq!(world.federation.jobs[0].statistics, quiet.federation.jobs[0].statistics);
}

#[test]
fn a_round_that_was_abandoned_before_a_stop_is_another_attempt_after_it() {
    let mut world = World::new(1, spec());
    let open_after = |world: &mut World, wait| {
        world.now = Time(world.now.0 + wait);
        world.retry();
        world.open().unwrap().to_string()
    };
    for round in ["1-measure-0-1", "1-train-1-1", "1-train-2-1"] {
        assert_eq!(open_after(&mut world, 0), round);
        world.answer(round.parse().unwrap(), &client(0)).unwrap();
    }
    assert_eq!(open_after(&mut world, 600_000), "1-evaluate-2-1");
    assert_eq!(open_after(&mut world, 600_000), "1-evaluate-2-2");
    world.must(Command::Stop { job: 1 });
    assert_eq!(open_after(&mut world, 600_000), "1-evaluate-2-3");
}

#[test]
fn a_job_gives_up_after_too_many_abandoned_rounds() {
    let mut world = World::new(2, PlanSpec { stop: StopRules { abandoned: 3, ..StopRules::default() }, ..spec() });
    for _ in 0..3 {
        world.retry();
        world.now = Time(world.now.0 + 600_000);
    }
    world.settle();
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::GaveUp));
}

#[test]
fn answers_are_held_to_their_task() {
    let mut world = World::new(2, PlanSpec { measure: vec![], ..spec() });
    world.settle();
    let first = world.open().unwrap();
    world.answer(first, &client(0)).unwrap();
    assert_eq!(world.answer(first, &client(0)), Ok(0), "the same answer again is harmless");
    let other = Answer::Measured { statistics: Statistics::new() };
    let report = |round, from, answer| Command::Report { task: TaskId { round, client: from }, answer };
    let check = |world: &mut World, command, want: &str| {
        assert_eq!(world.command(command).unwrap_err().to_string(), want);
    };
    check(
        &mut world,
        report(first, client(0), other.clone()),
        "c0 has already given another answer in round 1-train-1-1",
    );
    check(
        &mut world,
        report(first, client(9), answer(first, &client(9))),
        "c9 is not in the cohort of round 1-train-1-1",
    );
    check(
        &mut world,
        report(first, client(1), other.clone()),
        "the answer to round 1-train-1-1 does not fit the plan: it is not an answer to a train task",
    );
    let never = RoundId { ordinal: 9, ..first };
    check(&mut world, report(never, client(1), other.clone()), "there is no round 1-train-9-1");
    world.answer(first, &client(1)).unwrap();
    world.settle();
    assert_eq!(world.answer(first, &client(0)), Ok(0), "and still is when the round has ended");
    let stale = "round 1-train-1-1 ended before round 1-train-2-1, which is open; ask for the new task";
    check(&mut world, report(first, client(7), other), stale);
}

#[test]
fn a_refusal_repeats_only_the_beginning_of_what_is_long() {
    let measure = (0..2000).map(|i| format!("column {i}")).collect();
    let mut world = World::new(1, PlanSpec { measure, ..spec() });
    let mut check = |answer: Answer, want: &str| {
        world.settle();
        let task = TaskId { round: world.open().unwrap(), client: client(0) };
        let error = world.command(Command::Report { task, answer }).unwrap_err().to_string();
        assert!(error.contains(want) && error.chars().count() < 800 && !error.contains(char::is_control), "{error}");
    };
    check(Answer::Measured { statistics: Statistics::new() }, "the columns are to be column 0, column 1, column 2");
    let statistics = (0..2000).map(|i| (format!("column {i}"), Moments { n: 1, mean: 0.0, m2: -1.0 })).collect();
    check(
        Answer::Measured { statistics },
        "\"column 0\" has impossible moments: Moments { n: 1, mean: 0.0, m2: -1.0 }",
    );
    let mut world = World::new(1, PlanSpec { measure: vec![], ..spec() });
    world.settle();
    let task = TaskId { round: world.open().unwrap(), client: client(0) };
    let scalars = BTreeMap::from([("x\n".repeat(3000), 1.0)]);
    let weight = Weight::new(1.0).unwrap();
    let answer = Answer::Update { sha256: Digest::of(b"x"), bytes: 1, weight, scalars };
    let error = world.command(Command::Report { task, answer }).unwrap_err().to_string();
    assert!(error.contains("scalar \"x�x�") && error.chars().count() < 300, "{error}");
}

#[test]
fn counts_end_at_the_most_that_they_can_be() {
    let mut world = World::new(1, PlanSpec { measure: vec![], ..spec() });
    world.settle();
    let sha256 = Digest::of(b"the last");
    let last = Event::ModelPublished { version: 2, job: 1, round: u32::MAX, sha256, state: None, parent: None };
    let joined = Event::ClientJoined { client: client(0), epoch: u32::MAX, ready: true };
    let lost = Event::ClientLost { client: client(0), epoch: u32::MAX };
    for event in [last, Event::JobStepped { job: 1 }, joined, lost] {
        world.federation.apply(&Record::new(Time(0), event));
    }
    assert_eq!(world.federation.jobs[0].limit, Some(u32::MAX));
    world.must(Command::Return { client: client(0) });
    assert_eq!(world.federation.members[&client(0)].epoch, u32::MAX);
}

#[test]
fn a_lost_client_is_not_waited_for_and_may_return() {
    let mut world = World::new(
        3,
        PlanSpec { cohort: dure_core::cohort::CohortSpec { quorum: Some(2), ..Default::default() }, ..spec() },
    );
    world.settle();
    let round = world.open().unwrap();
    world.answer(round, &client(0)).unwrap();
    world.answer(round, &client(1)).unwrap();
    world.must(Command::Lose { client: client(2), epoch: 7 });
    assert_eq!(world.open(), Some(round), "a lease of another epoch does not count");
    world.must(Command::Lose { client: client(2), epoch: 1 });
    world.settle();
    assert_ne!(world.open(), Some(round));
    world.must(Command::Return { client: client(2) });
    assert_eq!(world.federation.members[&client(2)].epoch, 2);
    world.must(Command::Evict { client: client(2), reason: "bad data".into() });
    assert_eq!(world.command(Command::Join { client: client(2), ready: true }), Err(Reject::Evicted(client(2))));
}

#[test]
fn pause_stop_and_abort_do_what_they_say() {
    let mut world = World::new(1, PlanSpec { measure: vec![], ..spec() });
    world.settle();
    world.must(Command::Pause { job: 1 });
    let round = world.open().unwrap();
    world.answer(round, &client(0)).unwrap();
    world.settle();
    assert_eq!((world.open(), world.federation.versions.len()), (None, 2), "the open round went on, no other opened");
    assert_eq!(world.federation.waiting().unwrap().to_string(), "the job is paused; resume it, or train one round");
    world.must(Command::Resume { job: 1, rounds: None });
    world.settle();
    world.must(Command::Stop { job: 1 });
    world.finish();
    let job = &world.federation.jobs[0];
    assert_eq!((job.completed, job.trained, job.status), (2, Some(Stop::Stopped), Status::Ended(Outcome::Completed)));

    let mut world = World::new(1, spec());
    world.settle();
    world.must(Command::Abort { job: 1 });
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::Aborted));
    assert!(matches!(world.records[world.records.len() - 2].event, Event::RoundAbandoned { .. }));
}

#[test]
fn a_job_says_what_it_waits_for() {
    let mut world = World::new(1, PlanSpec { cohort: CohortSpec { size: Some(3), ..Default::default() }, ..spec() });
    world.settle();
    assert_eq!(world.federation.waiting().unwrap().to_string(), "3 clients are needed, 1 are there");
    (1..3).for_each(|i| world.must(Command::Join { client: client(i), ready: true }));
    world.settle();
    assert_eq!(
        world.federation.waiting().unwrap().to_string(),
        "round 1-measure-0-1 has 0 answers of 3 needed; it waits for c0, c1, c2"
    );
}

#[test]
fn a_job_that_is_stepped_by_hand_waits_for_every_command() {
    let mut world = World::new(2, PlanSpec { cohort: quorum(1), ..spec() });
    world.must(Command::Abort { job: 1 });
    world.must(Command::CreateJob {
        plan: Box::new(Plan::new(PlanSpec { cohort: quorum(1), evaluate_every: 1, ..spec() }).unwrap()),
        seed: 5,
    });
    assert_eq!(world.command(Command::Aggregate { job: 2 }), Err(Reject::NothingToAggregate(2)));
    assert_eq!(world.command(Command::Train { job: 2 }), Ok(1));
    assert_eq!(world.command(Command::Train { job: 2 }), Ok(0), "said twice, done once");
    world.settle();
    (0..2).for_each(|i| assert_eq!(world.answer(world.open().unwrap(), &client(i)).unwrap(), 1));
    world.settle();
    let round = world.open().unwrap();
    assert_eq!(round.to_string(), "2-train-1-1", "measured and initialised by itself");
    let few = Reject::TooFew { round, reported: 0, quorum: 1 };
    assert_eq!(world.command(Command::Aggregate { job: 2 }), Err(few));
    (0..2).for_each(|i| assert_eq!(world.answer(round, &client(i)).unwrap(), 1));
    world.now = Time(10_000_000);
    world.settle();
    assert_eq!(world.open(), Some(round), "neither all answers nor the deadline end it");
    assert!(world.federation.waiting().unwrap().to_string().ends_with("has 2 answers and awaits 0 more; aggregate it"));
    world.must(Command::Aggregate { job: 2 });
    world.settle();
    let evaluation = world.open().unwrap();
    assert_eq!(evaluation.to_string(), "2-evaluate-1-1", "the new model is evaluated by itself");
    (0..2).for_each(|i| assert_eq!(world.answer(evaluation, &client(i)).unwrap(), 1));
    world.settle();
    assert_eq!((world.open(), world.federation.jobs[1].completed), (None, 1), "and no round follows");
    world.must(Command::Resume { job: 2, rounds: None });
    world.finish();
    assert_eq!(world.federation.jobs[1].status, Status::Ended(Outcome::Completed));
    assert_eq!(held(&world.records), None);
}

#[test]
fn clients_that_go_together_cost_one_attempt() {
    let mut world = World::new(14, spec());
    world.settle();
    for i in 0..12 {
        world.must(Command::Leave { client: client(i), reason: "the agent was stopped".into() });
        world.settle();
    }
    assert!(matches!(world.federation.waiting(), Some(Waiting::Retry { abandoned: 1, .. })));
    world.retry();
    let open = world.federation.open_round().unwrap();
    assert_eq!((open.id.attempt, open.cohort.len()), (2, 2));
    world.finish();
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::Completed));
    assert_eq!(held(&world.records), None);
}

#[test]
fn a_round_by_hand_may_be_asked_for_while_the_last_ones_model_is_made() {
    let mut world = World::new(1, PlanSpec { measure: vec![], evaluate_every: 0, ..spec() });
    world.must(Command::Pause { job: 1 });
    world.must(Command::Train { job: 1 });
    world.settle();
    world.answer(world.open().unwrap(), &client(0)).unwrap();
    world.must(Command::Aggregate { job: 1 });
    assert_eq!(world.command(Command::Train { job: 1 }), Ok(1), "the model is not made yet");
    let late = world.answer("1-train-1-1".parse().unwrap(), &client(0));
    assert_eq!(late, Ok(0), "the same answer again is harmless");
    world.settle();
    assert_eq!(world.open().unwrap().to_string(), "1-train-2-1");
    assert_eq!(held(&world.records), None);
}

#[test]
fn a_paused_job_that_is_stopped_comes_to_its_end() {
    let mut world = World::new(1, spec());
    world.settle();
    (0..2).for_each(|_| {
        world.answer(world.open().unwrap(), &client(0)).unwrap();
        world.settle();
    });
    world.must(Command::Pause { job: 1 });
    world.answer(world.open().unwrap(), &client(0)).unwrap();
    world.must(Command::Stop { job: 1 });
    world.finish();
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::Completed));
    assert_eq!(held(&world.records), None);
}

#[test]
fn a_task_is_known_by_what_became_of_it() {
    let mut world = World::new(3, PlanSpec { measure: vec![], cohort: quorum(2), ..spec() });
    world.settle();
    let first = world.open().unwrap();
    let state = |world: &World, round: RoundId, i| world.federation.task_state(&TaskId { round, client: client(i) });
    (0..2).for_each(|i| assert_eq!(world.answer(first, &client(i)).unwrap(), 1));
    assert_eq!(state(&world, first, 0), Some(TaskState::Answered));
    assert_eq!(state(&world, first, 2), Some(TaskState::Awaited));
    world.now = Time(600_000);
    world.settle();
    let second = world.open().unwrap();
    (1..3).for_each(|i| assert_eq!(world.answer(second, &client(i)).unwrap(), 1));
    world.now = Time(1_200_000);
    world.settle();
    assert_eq!(state(&world, first, 0), Some(TaskState::Committed), "its last answer");
    assert_eq!(state(&world, second, 2), Some(TaskState::Committed));
    assert_eq!(state(&world, second, 0), Some(TaskState::Dropped), "it did not answer this one");
    assert_eq!(state(&world, first, 1), None, "it has answered another since");
    assert_eq!(state(&world, RoundId { ordinal: 77, ..first }, 0), None, "there never was such a round");
    let evaluation = world.open().unwrap();
    (0..3).for_each(|i| assert_eq!(world.answer(evaluation, &client(i)).unwrap(), 1));
    world.settle();
    assert_eq!((evaluation.kind, state(&world, evaluation, 0)), (Kind::Evaluate, Some(TaskState::Committed)));
}

#[test]
fn who_declines_is_not_asked_again_while_others_are_enough() {
    let mut world = World::new(3, PlanSpec { measure: vec![], evaluate_every: 0, ..spec() });
    world.settle();
    let task = TaskId { round: world.open().unwrap(), client: client(1) };
    world.must(Command::Decline { task, reason: "the site's policy allows at most 2 epochs".into() });
    world.retry();
    let asked = |world: &World| world.federation.open_round().unwrap().cohort.clone();
    assert_eq!(asked(&world), BTreeSet::from([client(0), client(2)]));
    (0..3).filter(|i| *i != 1).for_each(|i| drop(world.answer(world.open().unwrap(), &client(i))));
    world.must(Command::SetReady { client: client(1), ready: false, reason: "night".into() });
    world.must(Command::SetReady { client: client(1), ready: true, reason: String::new() });
    world.settle();
    (0..3).for_each(|i| drop(world.answer(world.open().unwrap(), &client(i))));
    world.settle();
    assert_eq!(asked(&world).len(), 3, "it may have changed its mind");
    assert_eq!(held(&world.records), None);
}

#[test]
fn nothing_happens_before_a_federation_is_created() {
    let mut world = World::default();
    assert_eq!(world.command(Command::Join { client: client(0), ready: true }), Err(Reject::NotCreated));
}

#[test]
fn a_round_may_be_aggregated_before_all_have_answered() {
    let mut world = World::new(3, PlanSpec { measure: vec![], cohort: quorum(2), ..spec() });
    world.settle();
    let round = world.open().unwrap();
    (0..2).for_each(|i| assert_eq!(world.answer(round, &client(i)).unwrap(), 1));
    world.must(Command::Aggregate { job: 1 });
    world.settle();
    let task = |i| TaskId { round, client: client(i) };
    assert_eq!(world.federation.task_state(&task(0)), Some(TaskState::Committed));
    assert_eq!(world.federation.task_state(&task(2)), Some(TaskState::Dropped));
    assert_eq!(world.federation.task_state(&task(9)), None);
    assert_eq!(world.answer(round, &client(2)), Err(Reject::Stale { round, current: world.open().unwrap() }));
}

#[test]
fn an_auto_run_pauses_after_its_rounds() {
    let mut world = World::new(1, spec());
    world.must(Command::Abort { job: 1 });
    world.must(Command::CreateJob { plan: Box::new(Plan::new(PlanSpec { rounds: 9, ..spec() }).unwrap()), seed: 5 });
    world.must(Command::Start { job: 2, rounds: Some(2) });
    world.finish();
    assert_eq!((world.federation.jobs[1].status, world.federation.jobs[1].completed), (Status::Paused, 2));
    world.must(Command::Resume { job: 2, rounds: Some(3) });
    world.finish();
    assert_eq!((world.federation.jobs[1].status, world.federation.jobs[1].completed), (Status::Paused, 5));
    assert_eq!(held(&world.records), None);
}

#[test]
fn who_is_not_ready_is_not_asked() {
    let mut world = World::new(2, PlanSpec { measure: vec![], ..spec() });
    let rest = |ready| Command::SetReady { client: client(1), ready, reason: "outside the site's hours".into() };
    world.must(rest(false));
    assert_eq!(world.command(rest(false)), Ok(0));
    world.settle();
    assert_eq!(world.federation.open_round().unwrap().cohort, BTreeSet::from([client(0)]));
    world.must(rest(true));
    world.answer(world.open().unwrap(), &client(0)).unwrap();
    world.settle();
    assert_eq!(world.federation.open_round().unwrap().cohort.len(), 2, "it takes part from the next round on");
}

#[test]
fn a_round_asks_more_than_it_wants_and_ends_with_what_it_wants() {
    let cohort = CohortSpec { size: Some(3), over_selection: 1.5, ..Default::default() };
    let mut world = World::new(8, PlanSpec { measure: vec![], cohort, ..spec() });
    world.settle();
    let open = world.federation.open_round().unwrap();
    let (round, cohort) = (open.id, open.cohort.clone());
    assert_eq!(cohort.len(), 5);
    cohort.iter().take(3).for_each(|name| assert_eq!(world.answer(round, name).unwrap(), 1));
    world.settle();
    assert_eq!(world.federation.versions.len(), 2);
    let late = world.answer(round, cohort.last().unwrap());
    assert!(matches!(late, Err(Reject::Stale { .. })), "{late:?}");
    assert_eq!(held(&world.records), None);
}

#[test]
fn who_takes_a_place_over_is_timed_from_then() {
    let select = dure_core::cohort::Select::Oort { preferred_s: 30.0, penalty: 2.0 };
    let cohort = CohortSpec { size: Some(1), reassign: true, select, ..Default::default() };
    let mut world = World::new(2, PlanSpec { measure: vec![], cohort, ..spec() });
    world.settle();
    let open = world.federation.open_round().unwrap();
    let (round, first) = (open.id, open.cohort.first().unwrap().clone());
    let other = if first == client(0) { client(1) } else { client(0) };
    world.now = Time(40_000);
    world.must(Command::Lose { client: first, epoch: 1 });
    world.settle();
    world.now = Time(50_000);
    assert_eq!(world.answer(round, &other), Ok(1));
    assert_eq!(world.federation.jobs[0].history.answers[&other].took.0, 10_000);
}

#[test]
fn a_name_stands_for_a_version_and_can_be_taken_back() {
    let mut world = World::new(1, spec());
    world.finish();
    let set = |version| Command::SetAlias { alias: "production".into(), version };
    for (version, stands) in [(1, vec![1]), (3, vec![1, 3]), (3, vec![1, 3]), (1, vec![1]), (2, vec![1, 2])] {
        world.must(set(version));
        assert_eq!(world.federation.aliases["production"], stands);
    }
    assert_eq!(world.command(set(99)), Err(Reject::UnknownVersion(99)));
    let bad = Command::SetAlias { alias: "../x".into(), version: 1 };
    assert!(matches!(world.command(bad), Err(Reject::BadAlias(_))));
}

#[test]
fn a_plan_is_held_to_the_schema_of_the_federation() {
    let schema = |unit: &str| serde_json::Map::from_iter([("target".to_owned(), serde_json::json!(unit))]);
    let create = Command::Create { name: "laws".into(), recipe: Some("fitbit".into()), schema: Some(schema("kcal")) };
    let mut world = World::default();
    assert_eq!((world.command(create.clone()), world.command(create)), (Ok(1), Ok(0)));
    let plan = |unit| {
        let work = serde_json::Map::from_iter([("schema".to_owned(), serde_json::json!(schema(unit)))]);
        Command::CreateJob { plan: Box::new(Plan::new(PlanSpec { work, ..spec() }).unwrap()), seed: 0 }
    };
    assert_eq!((world.command(plan("kJ")), world.command(plan("kcal"))), (Err(Reject::OtherSchema), Ok(1)));
}

#[test]
fn a_job_that_cannot_go_on_fails_with_its_reason() {
    let mut world = World::new(1, PlanSpec { measure: vec![], ..spec() });
    world.must(Command::Fail { job: 1, reason: "a parameter is not finite".into() });
    assert_eq!(world.federation.jobs[0].status, Status::Ended(Outcome::Failed));
    assert_eq!(held(&world.records), None);
}

fn quorum(quorum: usize) -> CohortSpec {
    CohortSpec { quorum: Some(quorum), ..Default::default() }
}

/// A job whose rounds need so many answers, and that is run once more when it has ended.
fn by_quorum(quorum: usize) -> PlanSpec {
    PlanSpec { cohort: self::quorum(quorum), refit: true, ..spec() }
}

proptest! {
    #![proptest_config(ProptestConfig::default())]

    #[test]
    fn decide_and_apply_replay_to_the_same_state(steps in prop::collection::vec(step(), 0..120), quorum in 1usize..4) {
        let world = live(&steps, by_quorum(quorum));
        let mut head = journal::Head::default();
        let text: Vec<String> = world.records.iter().map(|record| head.append(record).line()).collect();
        let (records, end) = journal::verify(text.iter().map(String::as_str)).unwrap();
        prop_assert_eq!(&records, &world.records);
        prop_assert_eq!(end, head);
        prop_assert_eq!(Federation::replay(&records), world.federation);
    }

    #[test]
    fn the_rules_would_decide_their_own_journal_and_no_forged_one(
        steps in prop::collection::vec(step(), 0..80), quorum in 1usize..4, at in any::<prop::sample::Index>(),
    ) {
        let world = live(&steps, by_quorum(quorum));
        prop_assert_eq!(held(&world.records), None);
        // Without one of its events a journal does not hold, unless it was the last one or a goodbye that changed nothing.
        let at = at.index(world.records.len());
        let mut forged = world.records.clone();
        let gone = forged.remove(at);
        if let Event::AnswerAccepted { .. } | Event::RoundOpened { .. } | Event::ModelPublished { .. } = gone.event
            && forged[at..].iter().any(|record| matches!(record.event, Event::RoundCompleted { .. } | Event::ModelPublished { .. }))
        {
            prop_assert!(held(&forged).is_some(), "{gone:?} is not missed");
        }
    }

    #[test]
    fn rounds_end_once_and_count_each_participant_once(steps in prop::collection::vec(step(), 0..120), quorum in 1usize..4) {
        let world = live(&steps, by_quorum(quorum));
        let (mut ended, mut opened, mut accepted) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let mut versions = 0;
        for record in &world.records {
            match &record.event {
                Event::RoundOpened { round, .. } => prop_assert!(opened.insert(*round), "{round} opened twice"),
                Event::AnswerAccepted { round, client, .. } => {
                    prop_assert!(opened.contains(round) && !ended.contains(round));
                    prop_assert!(accepted.insert((*round, client.clone())), "{client} counts twice in {round}");
                }
                Event::RoundCompleted { round, participants, .. } => {
                    prop_assert!(ended.insert(*round), "{round} ended twice");
                    let counted: BTreeSet<_> = accepted.iter().filter(|(r, _)| r == round).map(|(_, c)| c.clone()).collect();
                    prop_assert_eq!(participants, &counted);
                    prop_assert!(participants.len() >= quorum.min(participants.len().max(1)));
                }
                Event::RoundAbandoned { round, .. } => prop_assert!(ended.insert(*round), "{round} ended twice"),
                Event::ModelPublished { version, .. } => {
                    versions += 1;
                    prop_assert_eq!(*version, versions);
                }
                _ => {}
            }
        }
        for job in &world.federation.jobs {
            prop_assert!(!matches!(job.stage, Stage::Commit(_)), "what is owed was done");
        }
    }

    #[test]
    fn the_order_of_arrival_does_not_change_a_version(order in Just((0u8..6).collect::<Vec<_>>()).prop_shuffle()) {
        let run = |order: &[u8]| {
            let mut world = World::new(6, spec());
            loop {
                world.settle();
                let Some(round) = world.open() else { return world.digests() };
                for i in order {
                    world.answer(round, &client(*i)).unwrap();
                }
            }
        };
        prop_assert_eq!(run(&order), run(&[0, 1, 2, 3, 4, 5]));
    }
}
