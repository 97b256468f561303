//! Outages, the site's hours and limits, the witness, and the status page.

mod common;

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{Agent, Fake, config, free_port, get, people, problem, recipe, status_of, until_file, with};
use dure_agent::{Clock, Policy};
use dure_core::{digest::Digest, federation::TaskState, journal::Head, round::Kind};
use jiff::civil::time;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

#[tokio::test]
async fn refused_connections_and_failing_servers_are_waited_out() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(2, &recipe);
    let mut fake = Fake::bind(&recipe, &data);
    fake.refuse();
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    until_file(&folder.path().join("clients/person-02/identity.json"), |text| !text.is_empty()).await;
    // Whatever is asked fails in another way at first.
    let failures = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&failures);
    fake.script(move |seen| {
        let polled = seen.is("GET", "/clients/");
        let nth = counted.fetch_add(1, Ordering::Relaxed);
        let status = *[500, 429, 502, 503, 408, 302].get(nth / 2)?;
        Some(if polled { common::lost_reply() } else { problem(status, "unavailable", "not now") })
    });
    fake.return_to_its_port().await;
    let task = fake.ask(&data.clients[1].name, Kind::Train, 1);
    fake.nth(1, "PUT", &format!("/tasks/{task}")).await;
    assert!(failures.load(Ordering::Relaxed) > 12);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_reaches_a_server_that_was_away_meanwhile() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let mut fake = Fake::serve(&recipe, &data).await;
    let away = Arc::new(Mutex::new(false));
    let gone = Arc::clone(&away);
    fake.script(move |seen| {
        *gone.lock().unwrap() |= seen.is("PUT", "/tasks/");
        gone.lock().unwrap().then(|| problem(500, "internal", "the server failed"))
    });
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    let task = fake.ask(&data.clients[0].name, Kind::Train, 1);
    let first = fake.nth(1, "PUT", &format!("/tasks/{task}")).await;
    fake.stop();
    fake.script(|_| None);
    fake.return_to_its_port().await;
    let sent = fake.count("PUT", "/tasks/");
    let again = fake.nth(sent + 1, "PUT", &format!("/tasks/{task}")).await;
    assert_eq!(again.body, first.body);
    // The poll after that waits again: the outage is over.
    let poll = fake.until(|seen| seen.iter().rev().find(|seen| seen.is("GET", "/clients/")).cloned()).await;
    assert_eq!(poll.query, "wait=20");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn outside_its_hours_a_site_takes_no_tasks() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let now = Arc::new(Mutex::new(time(12, 0, 0, 0)));
    let read = Arc::clone(&now);
    let clock = Clock::new(move || *read.lock().unwrap(), Duration::from_millis(5));
    let policy = Policy::parse("hours = '20:00-06:00'", "site.toml").unwrap();
    let nightly = with(config(&fake, &recipe, &data, folder.path()), |it| it.policy = policy);
    let agent = Agent::start_by(nightly, clock);
    let outside = "outside the site's hours, 20:00-06:00";
    assert_eq!(fake.nth(1, "PUT", "/clients/").await.json()["ready"], false);
    assert_eq!(fake.nth(1, "PATCH", "/clients/").await.json(), json!({"ready": false, "reason": outside}));
    *now.lock().unwrap() = time(20, 0, 0, 0);
    assert_eq!(fake.nth(2, "PATCH", "/clients/").await.json(), json!({"ready": true}));
    let task = fake.ask(&data.clients[0].name, Kind::Measure, 0);
    fake.nth(1, "PUT", &format!("/tasks/{task}")).await;
    *now.lock().unwrap() = time(6, 0, 0, 0);
    assert_eq!(fake.nth(3, "PATCH", "/clients/").await.json(), json!({"ready": false, "reason": outside}));
    let task = fake.ask(&data.clients[0].name, Kind::Measure, 1);
    let declined = fake.nth(1, "POST", &format!("/tasks/{task}/decline")).await;
    assert_eq!(declined.json()["reason"], outside);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_task_against_the_policy_is_declined_and_none_of_its_files_is_fetched() {
    let (recipe, folder) = (recipe(&["training.epochs=50"]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let policy = Policy::parse("max_epochs = 20", "site.toml").unwrap();
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), |it| it.policy = policy));
    let task = fake.ask(&data.clients[0].name, Kind::Train, 1);
    let declined = fake.nth(1, "POST", &format!("/tasks/{task}/decline")).await;
    assert_eq!(declined.json()["reason"], "the site's policy allows at most 20 epochs; the plan asks for 50");
    assert_eq!(fake.count("GET", "/models/"), 0);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_too_large_for_the_site_is_not_fetched() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let policy = Policy::parse("max_parameters = 1000", "site.toml").unwrap();
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), |it| it.policy = policy));
    let task = fake.ask(&data.clients[0].name, Kind::Train, 1);
    let declined = fake.nth(1, "POST", &format!("/tasks/{task}/decline")).await;
    let why = "the site's policy allows at most 1000 parameters; the plan asks for 6977";
    assert_eq!(declined.json()["reason"], why);
    assert_eq!(fake.count("GET", "/models/"), 0);
    agent.stop().await.unwrap();
}

/// Asks for an answer of each kind of a client with 12 rows; those that are declined, and why.
async fn declined(keys: &[&str], refit: bool, policy: &str) -> Vec<(Kind, String)> {
    let (recipe, folder) = (recipe(keys), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    if refit {
        fake.change(|world| world.plan = world.plan.refitted(1));
    }
    let policy = Policy::parse(policy, "site.toml").unwrap();
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), |it| it.policy = policy));
    let mut declined = Vec::new();
    for kind in [Kind::Measure, Kind::Train, Kind::Evaluate, Kind::Test] {
        let task = fake.ask(&data.clients[0].name, kind, 1);
        let path = format!("/tasks/{task}/");
        let of = |seen: &&common::Seen| seen.path.starts_with(&path) && seen.method != "GET";
        let said = fake.until(|seen| seen.iter().find(of).cloned()).await;
        fake.becomes(&task, TaskState::Committed);
        if said.is("POST", "/tasks/") {
            declined.push((kind, said.json()["reason"].as_str().unwrap().to_owned()));
        }
    }
    agent.stop().await.unwrap();
    declined
}

#[tokio::test]
async fn no_answer_is_made_from_fewer_rows_than_the_site_wants() {
    let whose = |declined: Vec<(Kind, String)>| {
        let want = "rows behind an answer; this split, or a column of it, has fewer";
        assert!(declined.iter().all(|(_, why)| why.ends_with(want)), "{declined:?}");
        declined.into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    use Kind::{Evaluate, Measure, Test, Train};
    // Eight rows to train on, two to choose by, two to test on.
    assert_eq!(whose(declined(&[], false, "min_rows = 2").await), []);
    assert_eq!(whose(declined(&[], false, "min_rows = 3").await), [Evaluate, Test]);
    assert_eq!(whose(declined(&[], false, "min_rows = 9").await), [Measure, Train, Evaluate, Test]);
    // One row is left to train on; a test trains on it as well, where it fine-tunes.
    let lonely = ["split.test=0.75", "split.validation=0.67"];
    assert_eq!(whose(declined(&lonely, false, "min_rows = 2").await), [Measure, Train, Test]);
    let plain = ["split.test=0.75", "split.validation=0.67", "personalise.epochs=0"];
    assert_eq!(whose(declined(&plain, false, "min_rows = 2").await), [Measure, Train]);
    // A refit trains on validation rows as well.
    assert_eq!(whose(declined(&lonely, true, "min_rows = 2").await), []);
}

#[tokio::test]
async fn the_witness_is_kept_and_a_journal_that_goes_back_is_told() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let path = folder.path().join("witness.json");
    let head = |sequence, hash| Head { sequence, hash: Digest([hash; 32]) };
    let is = |want: Head| move |text: &str| serde_json::from_str::<Head>(text).is_ok_and(|kept| kept == want);
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    until_file(&path, is(head(1, 1))).await;
    fake.change(|world| (world.head, world.patient) = (head(9, 9), false));
    until_file(&path, is(head(9, 9))).await;
    agent.stop().await.unwrap();

    // The journal is cut off while the agent is away.
    fake.change(|world| world.head = head(8, 8));
    let status = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(status);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    fake.nth(fake.count("GET", "/clients/") + 1, "GET", "/clients/").await;
    let problem = status_of(status, |status| !status["journal_problem"].is_null()).await;
    let why = problem["journal_problem"].as_str().unwrap();
    assert!(why.ends_with("at 9, and ends at 8 now; it was cut off"), "{why}");
    fake.change(|world| world.head = head(20, 20));
    fake.nth(fake.count("GET", "/clients/") + 2, "GET", "/clients/").await;
    agent.stop().await.unwrap();
    let kept = std::fs::read_to_string(&path).unwrap();
    assert!(is(head(9, 9))(&kept), "the evidence stays: {kept}");

    // A restart does not forget it, although the journal now only grows.
    let start = || Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    let agent = start();
    fake.nth(fake.count("GET", "/clients/") + 2, "GET", "/clients/").await;
    let again = status_of(status, |status| status["clients"][0]["state"] == "ready").await;
    assert_eq!((&again["journal_problem"], &again["journal"]["sequence"]), (&json!(why), &json!("9")));
    agent.stop().await.unwrap();
    assert!(is(head(9, 9))(&std::fs::read_to_string(&path).unwrap()));

    // The site's operator has settled it.
    std::fs::remove_file(folder.path().join("witness-problem.json")).unwrap();
    let agent = start();
    until_file(&path, is(head(20, 20))).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_status_page_shows_what_is_done_and_what_has_left() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(2, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let address = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    let task = fake.ask(&data.clients[0].name, Kind::Train, 1);
    let sent = fake.nth(1, "PUT", &format!("/tasks/{task}")).await;
    fake.change(|world| {
        world.outcomes.insert(task.clone(), TaskState::Committed);
        world.patient = false;
    });
    let status = status_of(address, |status| status["clients"][0]["tally"]["rounds"] == 1).await;
    let (first, second) = (&status["clients"][0], &status["clients"][1]);
    assert_eq!(status["federation"], "test");
    assert_eq!((&status["recipe"], &status["online"]), (&json!("fitbit"), &json!(true)));
    assert_eq!(status["journal"], json!({"sequence": "1", "hash": "01".repeat(32)}));
    assert_eq!(status["journal_problem"], Value::Null);
    assert_eq!((&first["client"], &second["client"]), (&json!("person-01"), &json!("person-02")));
    assert_eq!((&first["state"], &second["state"]), (&json!("ready"), &json!("ready")));
    assert_eq!((&first["task"], &first["job"]), (&json!(task), &json!(1)));
    assert_eq!((&first["round"], &first["rounds"], &first["version"]), (&json!(1), &json!(20), &json!(1)));
    assert_eq!((&first["shared"], &first["withheld"]), (&json!({"rows": data.clients[0].len()}), &Value::Null));
    let file = sent.unpacked();
    let left = &first["left"][0];
    assert_eq!((&left["task"], &left["kind"]), (&json!(task), &json!("train")));
    assert_eq!((&left["bytes"], &left["sha256"]), (&json!(file.len()), &json!(Digest::of(&file))));
    assert!(left["at"].as_str().unwrap().parse::<jiff::Timestamp>().is_ok());
    assert_eq!((&first["bytes_left_total"], &second["bytes_left_total"]), (&json!(file.len()), &json!(0)));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn the_status_page_answers_to_this_machines_names_only() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let address = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    fake.nth(1, "PUT", "/clients/").await;
    for (path, kind) in [("/", "text/html"), ("/page.js", "text/javascript"), ("/page.css", "text/css")] {
        let answer = get(address, path, &address.to_string()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200 OK") && answer.contains(kind), "{answer}");
        assert!(answer.contains("content-security-policy: default-src 'none'; script-src 'self'"), "{answer}");
    }
    for host in ["evil.example", "127.0.0.1.evil.example:80"] {
        let answer = get(address, "/status.json", host).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 403") && !answer.contains("person-01"), "{answer}");
    }
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"DELETE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_refused_invitation_is_shown_and_asked_about_again() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    fake.script(|_| Some(problem(401, "unauthenticated", "the request has no valid bearer")));
    let address = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    let status = status_of(address, |status| !status["clients"][0]["last_error"].is_null()).await;
    let client = &status["clients"][0];
    assert_eq!(client["last_error"], "the server refuses the invitation: the request has no valid bearer");
    assert_eq!((&client["state"], &status["online"]), (&json!("joining"), &json!(true)));
    agent.stop().await.unwrap();
}
