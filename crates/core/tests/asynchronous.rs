//! Asynchronous jobs: answers are admitted without a cohort, whenever they come, and each counts once.

use std::collections::{BTreeMap, BTreeSet};

use dure_core::{
    cohort::CohortSpec,
    event::Event,
    federation::{Command, Federation, Reject, TaskState, Waiting},
    job::Status,
    journal,
    plan::{Plan, PlanSpec},
    round::{Kind, RoundId, TaskId},
    strategy::StrategySpec,
    time::Time,
};
use proptest::prelude::*;

mod common;

use common::{World, answer, client, held, live, spec, step};

/// So many answers make a version; `places` clients work at a time.
fn buffer(buffer: usize, places: Option<usize>) -> PlanSpec {
    let strategy = StrategySpec { buffer: Some(buffer), ..StrategySpec::of("fedbuff") };
    let cohort = CohortSpec { size: places, ..CohortSpec::default() };
    PlanSpec { strategy, cohort, measure: vec![], evaluate_every: 0, rounds: 9, ..spec() }
}

fn world(clients: u8, plan: PlanSpec) -> World {
    let mut world = World::new(clients, plan);
    world.settle();
    world
}

/// Who works, and on which version.
fn working(world: &World) -> Vec<(u8, u32)> {
    let of = |i: u8| Some((i, world.federation.task_of(&client(i))?.version?));
    (0..20).filter_map(of).collect()
}

/// Client `i` answers what it was asked.
fn reply(world: &mut World, i: u8) -> RoundId {
    let round = world.federation.task_of(&client(i)).unwrap().round;
    assert_eq!(world.answer(round, &client(i)), Ok(1));
    world.settle();
    round
}

fn state(world: &World, round: RoundId, i: u8) -> Option<TaskState> {
    world.federation.task_state(&TaskId { round, client: client(i) })
}

#[test]
fn a_version_is_made_of_so_many_answers_whoever_still_works() {
    let mut world = world(4, buffer(2, None));
    assert_eq!(working(&world), [(0, 1), (1, 1), (2, 1), (3, 1)]);
    let first = reply(&mut world, 2);
    assert_eq!((world.federation.versions.len(), state(&world, first, 2)), (1, Some(TaskState::Answered)));
    reply(&mut world, 0);
    assert_eq!(working(&world), [(0, 2), (1, 1), (2, 2), (3, 1)], "they go on, the others work still");
    assert_eq!(state(&world, first, 2), Some(TaskState::Committed));
    reply(&mut world, 2);
    let old = reply(&mut world, 3);
    assert_eq!(world.federation.versions.len(), 3);
    assert_eq!((old.ordinal, state(&world, old, 3)), (1, Some(TaskState::Committed)));
    let staleness = world.records.iter().filter_map(|record| match &record.event {
        Event::RoundCompleted { staleness, .. } => Some(staleness.clone()),
        _ => None,
    });
    assert_eq!(staleness.collect::<Vec<_>>(), [BTreeMap::new(), BTreeMap::from([(client(3), 1)])]);
    let tally = |i| world.federation.members[&client(i)].known().tally;
    let counted = [0, 1, 2, 3].map(|i| (tally(i).asked, tally(i).answered));
    assert_eq!(counted, [(2, 1), (1, 0), (3, 2), (2, 1)], "who works still was not asked anew");
    assert_eq!(held(&world.records), None);
}

#[test]
fn the_place_of_one_that_has_answered_goes_to_the_next() {
    let mut world = world(6, buffer(4, Some(2)));
    let mut seen = BTreeSet::new();
    for answers in 1..=4 {
        let now: Vec<u8> = working(&world).iter().map(|(i, _)| *i).collect();
        assert_eq!(now.len(), 2, "as many as there are places");
        seen.extend(now.iter().copied());
        assert_eq!(world.federation.versions.len(), 1, "after {} answers", answers - 1);
        reply(&mut world, now[0]);
    }
    assert!(seen.len() == 5, "nobody works twice for one version: {seen:?}");
    assert_eq!(world.federation.versions.len(), 2);
    assert_eq!(held(&world.records), None);
}

#[test]
fn answers_that_come_between_rounds_wait_for_the_next_and_it_takes_no_more_than_it_wants() {
    let mut world = World::new(5, PlanSpec { evaluate_every: 1, ..buffer(1, None) });
    world.settle();
    reply(&mut world, 4);
    assert_eq!(world.open().unwrap().kind, Kind::Evaluate);
    let tasks: Vec<RoundId> = [3, 1, 0]
        .map(|i| {
            world.now = Time(world.now.0 + 1);
            reply(&mut world, i)
        })
        .into();
    assert_eq!(state(&world, tasks[0], 3), Some(TaskState::Answered));
    for versions in 3..=5 {
        let evaluation = world.open().unwrap();
        assert_eq!(evaluation.kind, Kind::Evaluate);
        for i in 0..5 {
            drop(world.answer(evaluation, &client(i)));
        }
        world.settle();
        assert_eq!(world.federation.versions.len(), versions, "one after another");
    }
    let counted = |i| tasks.iter().map(|task| state(&world, *task, i)).collect::<Vec<_>>();
    assert_eq!(counted(3)[0], Some(TaskState::Committed));
    assert_eq!(held(&world.records), None);
}

#[test]
fn the_place_of_one_that_is_lost_goes_to_the_next_and_its_answer_is_refused() {
    let mut world = world(4, buffer(2, Some(2)));
    let (lost, _) = working(&world)[0];
    let round = world.federation.task_of(&client(lost)).unwrap().round;
    world.must(Command::Lose { client: client(lost), epoch: 1 });
    world.settle();
    assert_eq!(working(&world).len(), 2);
    let late = world.answer(round, &client(lost));
    assert_eq!(late, Err(Reject::NotAwaited { round, client: client(lost) }));
    assert_eq!(state(&world, round, lost), Some(TaskState::Dropped));
    assert_eq!(held(&world.records), None);
}

#[test]
fn who_works_longer_than_the_deadline_is_not_waited_for_when_the_next_round_begins() {
    let mut world = world(3, buffer(2, None));
    world.now = Time(599_000);
    let slow = world.federation.task_of(&client(1)).unwrap().round;
    reply(&mut world, 0);
    reply(&mut world, 2);
    assert_eq!(working(&world), [(0, 2), (1, 1), (2, 2)]);
    world.now = Time(600_000);
    reply(&mut world, 0);
    reply(&mut world, 2);
    assert_eq!(working(&world), [(0, 3), (1, 3), (2, 3)], "it is asked anew");
    let late = world.answer(slow, &client(1));
    assert!(matches!(late, Err(Reject::Stale { .. } | Reject::UnknownRound(_))), "{late:?}");
    assert_eq!(held(&world.records), None);
}

#[test]
fn what_came_before_a_round_was_abandoned_counts_in_the_next() {
    let mut world = world(3, buffer(3, None));
    let task = reply(&mut world, 1);
    world.now = Time(600_000);
    world.retry();
    assert_eq!(world.open().unwrap().to_string(), "1-train-1-2");
    assert_eq!(state(&world, task, 1), Some(TaskState::Answered));
    reply(&mut world, 0);
    reply(&mut world, 2);
    assert_eq!((world.federation.versions.len(), state(&world, task, 1)), (2, Some(TaskState::Committed)));
    assert_eq!(held(&world.records), None);
}

#[test]
fn a_buffer_that_is_larger_than_the_federation_waits_for_more_clients() {
    let world = world(2, buffer(3, None));
    let waiting = world.federation.waiting();
    assert_eq!(waiting, Some(Waiting::Clients { needed: 3, present: 2, left_out: BTreeMap::new() }));
}

#[test]
fn an_evaluation_asks_those_as_well_who_have_trained_first() {
    let mut world = World::new(3, PlanSpec { evaluate_every: 1, ..buffer(2, None) });
    world.settle();
    reply(&mut world, 0);
    reply(&mut world, 1);
    let evaluation = world.open().unwrap();
    assert_eq!(world.federation.task_of(&client(2)).unwrap().round.kind, Kind::Train);
    reply(&mut world, 2);
    assert_eq!(world.federation.task_of(&client(2)).unwrap().round, evaluation);
}

#[test]
fn a_job_without_cohorts_refuses_what_only_cohorts_have() {
    let refused = |change: fn(&mut PlanSpec)| {
        let mut plan = buffer(2, Some(3));
        change(&mut plan);
        Plan::new(plan).unwrap_err().to_string()
    };
    let over = refused(|plan| plan.cohort.over_selection = 1.5);
    assert!(over.starts_with("strategy.name = fedbuff and cohort.over_selection = 1.5 contradict"), "{over}");
    let quorum = refused(|plan| plan.cohort.quorum = Some(3));
    assert!(quorum.starts_with("cohort.quorum = 3 and strategy.name = fedbuff with a buffer of 2"), "{quorum}");
    let none = refused(|plan| plan.strategy.buffer = Some(0));
    assert!(none.starts_with("strategy.buffer = 0 is not allowed: how many answers make a version"), "{none}");
}

fn plan() -> impl Strategy<Value = PlanSpec> {
    let cohort = (prop::option::of(1usize..4), prop::option::of(0usize..2), 1usize..4);
    (cohort, any::<bool>(), 0u32..3).prop_map(|((places, quorum, answers), mixes, evaluate_every)| {
        let name = if mixes { "fedasync" } else { "fedbuff" };
        let buffer = Some(answers).filter(|_| !mixes);
        let strategy = StrategySpec { buffer, ..StrategySpec::of(name) };
        let cohort = CohortSpec { size: places, quorum, ..CohortSpec::default() };
        PlanSpec { strategy, cohort, evaluate_every, refit: true, ..spec() }
    })
}

proptest! {
    #[test]
    fn any_history_replays_and_holds(plan in plan(), steps in prop::collection::vec(step(), 0..120)) {
        let world = live(&steps, plan);
        let mut head = journal::Head::default();
        let text: Vec<String> = world.records.iter().map(|record| head.append(record).line()).collect();
        let (records, _) = journal::verify(text.iter().map(String::as_str)).unwrap();
        prop_assert_eq!(held(&records), None);
        prop_assert_eq!(Federation::replay(&records), world.federation);
    }

    #[test]
    fn each_answer_counts_at_most_once_and_in_a_round_that_knows_how_old_it_is(
        plan in plan(), steps in prop::collection::vec(step(), 0..200),
    ) {
        let world = live(&steps, plan);
        let (mut waiting, mut told) = (BTreeSet::new(), BTreeSet::new());
        for record in &world.records {
            match &record.event {
                Event::AnswerAccepted { round, client, answer: taken } if round.kind == Kind::Train => {
                    prop_assert_eq!(taken, &answer(*round, client));
                    let task = (round.job, round.ordinal, client.clone());
                    prop_assert!(told.insert((*round, client.clone())), "{client} answers {round} twice");
                    prop_assert!(waiting.insert(task), "{client} answers {round} while its answer waits");
                }
                Event::RoundCompleted { round, participants, staleness } if round.kind == Kind::Train => {
                    for client in participants {
                        let age = staleness.get(client).copied().unwrap_or(0);
                        let task = (round.job, round.ordinal - age, client.clone());
                        prop_assert!(waiting.remove(&task), "{client} counts in {round} with {task:?}");
                    }
                    prop_assert!(staleness.keys().all(|client| participants.contains(client)));
                }
                _ => {}
            }
        }
        for job in &world.federation.jobs {
            prop_assert!(job.under_way.is_empty() || !matches!(job.status, Status::Ended(_)));
        }
    }

    #[test]
    fn a_job_ends_whatever_the_order_in_which_its_clients_answer(order in prop::collection::vec(0u8..5, 400), buffer in 1usize..6) {
        let mut world = World::new(5, self::buffer(buffer, Some(3)));
        for i in order {
            world.settle();
            if let Some(asked) = world.federation.task_of(&client(i)) {
                let round = asked.round;
                world.answer(round, &client(i)).unwrap();
            }
        }
        world.finish();
        prop_assert_eq!(world.federation.jobs[0].status, Status::Ended(dure_core::event::Outcome::Completed));
        prop_assert_eq!(world.federation.versions.len(), 10);
        prop_assert_eq!(held(&world.records), None);
    }
}
