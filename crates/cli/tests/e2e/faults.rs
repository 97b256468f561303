//! Every fault on every route: whatever is lost, late, doubled, cut or refused on the way, the golden job comes to the same bits.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use serde_json::Value;

use crate::{
    golden::{Golden, Outcome},
    harness::{How, Process, block_on, dure, said},
    layer::{Fault, Layer},
};

/// What agents ask. A route that is missing here, or that no agent asks any more, fails every test of this file.
const ROUTES: [&str; 13] = [
    "DELETE …/clients/_",
    "GET …",
    "GET …/clients/_/task",
    "GET …/jobs/_",
    "GET …/models/_/weights",
    "GET …/tasks/_",
    "PATCH …/clients/_",
    "POST …/tasks/_/decline",
    "PUT …/clients/_",
    "PUT …/tasks/evaluate/result",
    "PUT …/tasks/measure/result",
    "PUT …/tasks/test/result",
    "PUT …/tasks/train/result",
];

/// A golden job whose agents ask through a layer, and after it a job that they decline; so every route is asked.
async fn run(plan: impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static) -> (Layer, Outcome, Vec<Value>) {
    let golden = Golden::start();
    let layer = Layer::before(&golden.server.url, plan);
    let policy = golden.server.path("policy.toml");
    std::fs::write(&policy, "max_epochs = 1\n").unwrap();
    let site = How::default().args(&["--policy", policy.to_str().unwrap()]);
    let mut agent = golden.join_by(&layer.url, "agent", &site);
    let mut closed = join_closed(&golden, &layer.url);
    golden.server.until_client("closed", "joined").await;
    golden.begin().await;
    let outcome = golden.over().await;

    golden.server.start_job(&["rounds=1", "refit=false", "cohort.quorum=1", "training.epochs=2", "stop.abandoned=1"]);
    assert_eq!(golden.server.until_over(2).await["status"], "gave_up");
    assert!(agent.stop().await.success(), "{}", agent.log());
    assert!(closed.stop().await.success(), "{}", closed.log());
    let events = golden.server.journal();
    (layer, outcome, events)
}

/// An agent whose site is outside of its hours: it joins, says why it takes no tasks, and takes none.
fn join_closed(golden: &Golden, url: &str) -> Process {
    let server = &golden.server;
    let (people, policy) = (server.path("closed-people"), server.path("closed.toml"));
    said(dure().args(["data", "generate", "fitbit", "--people", "1", "--out"]).arg(&people));
    let hour = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() / 3600;
    let (from, to) = ((hour + 6) % 24, (hour + 7) % 24);
    std::fs::write(&policy, format!("hours = \"{from:02}:00-{to:02}:00\"\n")).unwrap();
    let how = How::default().env("TZ", "UTC").args(&["--name", "closed", "--policy", policy.to_str().unwrap()]);
    server.join_as(&how, "closed", &golden.invitation.replace(&server.url, url), &people)
}

/// Does `fault` to the first and the third request of every route, and holds the job to the quiet run's bits.
fn everywhere(fault: Fault) {
    block_on(async {
        let (layer, outcome, events) = run(move |_, number| [0, 2].contains(&number).then_some(fault)).await;
        outcome.assert_unharmed();
        assert_routes(&layer);
        assert!(layer.routes().values().all(|count| count.faults > 0), "{:?}", layer.routes());
        assert_once(&events);
    });
}

fn assert_routes(layer: &Layer) {
    assert_eq!(layer.routes().into_keys().collect::<Vec<_>>(), ROUTES);
}

/// Nobody joins, declines or leaves twice.
fn assert_once(events: &[Value]) {
    for (kind, at_least, at_most) in [("client_joined", 4, 4), ("task_declined", 3, 3), ("client_left", 0, 4)] {
        let whose: Vec<&Value> = events.iter().filter(|event| event["type"] == kind).map(|e| &e["client"]).collect();
        let names: BTreeSet<&str> = whose.iter().map(|name| name.as_str().unwrap()).collect();
        assert!((at_least..=at_most).contains(&whose.len()) && names.len() == whose.len(), "{kind}: {whose:?}");
    }
}

#[test]
fn the_routes_of_an_agent_are_known() {
    block_on(async {
        let (layer, outcome, events) = run(|_, _| None).await;
        outcome.assert_unharmed();
        assert_routes(&layer);
        assert_once(&events);
    });
}

#[test]
fn lost_requests_are_made_again() {
    everywhere(Fault::LoseRequest);
}

#[test]
fn lost_replies_are_asked_for_again() {
    everywhere(Fault::LoseReply);
}

#[test]
fn what_is_late_is_waited_for() {
    everywhere(Fault::Delay);
}

#[test]
fn what_comes_twice_counts_once() {
    everywhere(Fault::Twice);
}

#[test]
fn what_comes_again_later_counts_once() {
    everywhere(Fault::Again);
}

#[test]
fn requests_that_are_cut_are_made_again() {
    everywhere(Fault::CutRequest);
}

#[test]
fn replies_that_are_cut_are_not_believed() {
    everywhere(Fault::CutReply);
}

#[test]
fn a_500_before_the_server_is_no_answer() {
    everywhere(Fault::Refuse(500));
}

#[test]
fn a_500_in_place_of_the_answer_is_no_answer() {
    everywhere(Fault::RefuseAfter(500));
}

#[test]
fn a_502_before_the_server_is_no_answer() {
    everywhere(Fault::Refuse(502));
}

#[test]
fn a_503_in_place_of_the_answer_is_no_answer() {
    everywhere(Fault::RefuseAfter(503));
}

#[test]
fn a_gateway_that_forbids_is_not_the_server() {
    everywhere(Fault::Refuse(403));
}

#[test]
fn a_gateway_that_points_elsewhere_is_not_followed() {
    everywhere(Fault::RefuseAfter(302));
}

#[test]
fn requests_that_trickle_are_taken() {
    everywhere(Fault::TrickleRequest);
}

#[test]
fn replies_that_trickle_are_taken() {
    everywhere(Fault::TrickleReply);
}
