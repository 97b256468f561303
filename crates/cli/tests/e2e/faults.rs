//! Every fault on every route: whatever is lost, late, doubled, cut or refused on the way, the golden job comes to the same bits.

use std::{
    collections::BTreeSet,
    time::{SystemTime, UNIX_EPOCH},
};

use dure_core::digest::Digest;
use serde_json::Value;

use crate::{
    golden::{Golden, KEYS, Outcome, quiet},
    harness::{How, Process, Serve, block_on, dure, said},
    layer::{Fault, Layer},
};

/// What agents ask. A route that is missing here, or that no agent asks any more, fails every test of this file.
const ROUTES: [&str; 14] = [
    "DELETE …/clients/_",
    "GET …",
    "GET …/clients/_/task",
    "GET …/jobs/_",
    "GET …/models/_/control",
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

/// Any of them to a third of all requests, as the seed says.
fn storm(seed: u64) -> impl Fn(&str, usize) -> Option<Fault> + Send + Sync + 'static {
    const ALL: [Fault; 15] = [
        Fault::LoseRequest,
        Fault::LoseReply,
        Fault::Delay,
        Fault::Twice,
        Fault::Again,
        Fault::CutRequest,
        Fault::CutReply,
        Fault::Refuse(500),
        Fault::Refuse(502),
        Fault::Refuse(403),
        Fault::RefuseAfter(500),
        Fault::RefuseAfter(503),
        Fault::RefuseAfter(302),
        Fault::TrickleRequest,
        Fault::TrickleReply,
    ];
    move |route, number| {
        let Digest(bytes) = Digest::of(format!("{seed} {route} {number}").as_bytes());
        ALL.get(usize::from(bytes[0]) % (3 * ALL.len())).copied()
    }
}

#[test]
fn a_storm_of_all_faults_changes_nothing() {
    for seed in [1, 2] {
        eprintln!("seed {seed}");
        block_on(async {
            let (layer, outcome, events) = run(storm(seed)).await;
            outcome.assert_unharmed();
            assert_routes(&layer);
            assert_once(&events);
        });
    }
}

/// What a command is told that was done already.
const DONE: [&str; 3] =
    ["The job's status does not allow it", "there is no invitation 1\n", "no training round open to aggregate"];

/// Runs an operator's command until it succeeds, or is refused because it was done already.
fn insist(server: &Serve, url: &str, words: &[&str]) -> String {
    let mut complaints = Vec::new();
    while complaints.len() < 9 {
        let output = server.dure().env("DURE_SERVER", url).args(words).output().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr).into_owned();
        if output.status.success() || DONE.iter().any(|done| complaint.contains(done)) {
            return String::from_utf8(output.stdout).unwrap();
        }
        complaints.push(complaint);
    }
    panic!("{words:?}: {complaints:?}");
}

#[test]
fn an_operators_commands_are_done_once_however_often_they_are_said() {
    // None comes again later: a late `pause` is one, whatever was said meanwhile.
    let faults = [
        Fault::LoseRequest,
        Fault::LoseReply,
        Fault::Twice,
        Fault::CutRequest,
        Fault::CutReply,
        Fault::Refuse(502),
        Fault::RefuseAfter(500),
        Fault::TrickleRequest,
        Fault::TrickleReply,
    ];
    for fault in faults {
        eprintln!("{fault:?}");
        block_on(operate(fault));
    }
}

/// Does `fault` to the first request of every route that an operator asks.
async fn operate(fault: Fault) {
    let server = Serve::start();
    let layer = Layer::before(&server.url, move |_, number| (number == 0).then_some(fault));
    let say = |words: &[&str]| insist(&server, &layer.url, words);
    say(&["federation", "create", "fitbit"]);
    let invitation = say(&["invite", "--uses", "3"]).trim().replace(&layer.url, &server.url);
    let golden = Golden { people: server.people(3), invitation, server };
    let server = &golden.server;
    let say = |words: &[&str]| insist(server, &layer.url, words);
    let mut agent = golden.join("agent");
    server.until_clients(3).await;
    say(&[&["job", "create", "fitbit"], &KEYS[..]].concat());
    say(&["job", "train", "1"]);
    server.until_answered(1).await;
    say(&["job", "aggregate", "1"]);
    say(&["job", "resume", "1"]);
    golden.over().await.assert_unharmed();

    say(&["job", "create", "fitbit", "rounds=100000", "refit=false"]);
    say(&["job", "start", "2"]);
    for action in ["pause", "resume", "stop"] {
        say(&["job", action, "2"]);
    }
    server.until_over(2).await;
    say(&["job", "list"]);
    say(&["job", "create", "fitbit"]);
    say(&["job", "abort", "3"]);
    let (file, journal) = (server.path("model"), server.path("exported"));
    say(&["model", "get", "1", "--out", file.to_str().unwrap()]);
    say(&["model", "list"]);
    say(&["model", "promote", "1"]);
    say(&["model", "promote", "2"]);
    say(&["model", "rollback"]);
    say(&["federation", "export", "--out", journal.to_str().unwrap()]);
    say(&["invite", "--list"]);
    say(&["invite", "--revoke", "1"]);
    say(&["client", "list"]);
    say(&["client", "evict", "person-01", "--reason", "wrong units"]);
    assert!(agent.stop().await.success());
    say(&["client", "release", "person-02"]);

    assert_eq!(Digest::of(&std::fs::read(file).unwrap()).to_string(), quiet().versions[0]);
    let events = server.journal();
    let count = |kind: &str| events.iter().filter(|event| event["type"] == kind).count();
    for (kind, times) in [
        ("federation_created", 1),
        ("job_created", 3),
        ("job_stepped", 1),
        ("job_started", 1),
        ("job_paused", 1),
        ("job_resumed", 2),
        ("alias_set", 3),
        ("client_evicted", 1),
        ("client_left", 2),
    ] {
        assert_eq!(count(kind), times, "{fault:?}: {kind}");
    }
    for (route, count) in layer.routes() {
        assert!(count.faults == 1, "{fault:?}: {route} {count:?}");
    }
}
