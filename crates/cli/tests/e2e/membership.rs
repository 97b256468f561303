//! Clients that come, go, die, answer late or never, in real processes.

use std::{
    io::Write as _,
    net::TcpStream,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    clocks::off_by,
    harness::{Api, Serve, block_on, dure, failed, said, secret_of, until},
};

/// How clients stand, by name.
async fn states(server: &Serve) -> Vec<(String, String)> {
    let clients = server.operator.get("/v1/federations/fitbit/clients").await.ok();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    clients.as_array().unwrap().iter().map(|client| (text(&client["client"]), text(&client["state"]))).collect()
}

async fn until_state(server: &Serve, client: &str, state: &str) {
    until("the client's state is as expected", async || {
        states(server).await.contains(&(client.to_owned(), state.to_owned())).then_some(())
    })
    .await;
}

/// The events of one type.
fn of<'a>(events: &'a [Value], kind: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["type"] == kind).collect()
}

/// The digest that the simulator comes to on the same rows.
fn simulated(data: &std::path::Path, keys: &[&str]) -> String {
    let said = said(dure().args(["simulate", "fitbit", "--json", "--data"]).arg(data).args(keys));
    serde_json::from_str::<Value>(&said).unwrap()["model"]["sha256"].as_str().unwrap().to_owned()
}

/// A job that takes seconds a round.
const LONG: [&str; 5] = ["--seed", "5", "rounds=3", "refit=false", "training.epochs=3000"];

#[test]
fn who_joins_late_takes_part_from_the_next_round_and_who_leaves_is_not_waited_for() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(6));
        let mut first = server.join("first", &invitation, &people, &["--part", "1/2"]);
        server.until_clients(3).await;
        server.start_job(&["rounds=400", "refit=false", "training.epochs=30", "cohort.quorum=3"]);
        server.until_round(1, 2).await;
        let second = server.join("second", &invitation, &people, &["--part", "2/2"]);
        server.until_clients(6).await;
        let joined_at = server.job(1).await["completed"].as_u64().unwrap();
        server.until_round(1, joined_at + 3).await;
        assert!(first.stop().await.success(), "{}", first.log());
        let left_at = server.job(1).await["completed"].as_u64().unwrap();
        server.until_round(1, left_at + 2).await;
        said(server.dure().args(["job", "stop"]));
        assert_eq!(server.until_over(1).await["status"], "completed");
        drop(second);

        let events = server.journal();
        let trained = of(&events, "round_completed");
        let sizes = |round: &&Value| round["participants"].as_array().unwrap().len();
        let cohorts: Vec<usize> = trained.iter().map(sizes).collect();
        assert!(cohorts.first() == Some(&3) && cohorts.contains(&6) && cohorts.last() == Some(&3), "{cohorts:?}");
        assert_eq!(of(&events, "round_abandoned").len(), 0);
    });
}

#[test]
fn clients_are_found_by_their_names_and_their_reasons_a_page_at_a_time() {
    block_on(async {
        let server = Serve::start();
        let invitation = server.fitbit();
        let invited = server.operator.as_bearer(invitation.split('#').nth(1).unwrap());
        for name in ["anna", "anton", "bora", "johann"] {
            invited.join("fitbit", name).await;
        }
        let clients = "/v1/federations/fitbit/clients";
        let reason = json!({"reason": "Its scales are WRONG"});
        server.operator.send(Method::DELETE, &format!("{clients}/bora"), Some(reason)).await.ok();
        let found = async |query: &str| {
            let said = server.operator.get(&format!("{clients}?{query}")).await.ok();
            let names = said.as_array().unwrap().iter().map(|client| client["client"].as_str().unwrap().to_owned());
            names.collect::<Vec<_>>()
        };
        assert_eq!(found("search=AN").await, ["anna", "anton", "johann"]);
        assert_eq!(found("search=an&limit=2").await, ["anna", "anton"]);
        assert_eq!(found("search=an&limit=2&after=anton").await, ["johann"]);
        assert_eq!(found("search=are%20wrong").await, ["bora"]);
        assert_eq!(found("search=an&state=evicted").await, [""; 0]);
        assert_eq!(found("search=").await.len(), 4);
    });
}

#[test]
fn an_agent_killed_while_it_trains_comes_back_as_the_same_clients_to_the_same_bits() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(4));
        let _other = server.join("other", &invitation, &people, &["--part", "1/2"]);
        let mut agent = server.join("agent", &invitation, &people, &["--part", "2/2", "--threads", "1"]);
        server.until_clients(4).await;
        server.start_job(&[&LONG[..], &["cohort.min_clients=4"]].concat());
        for _ in 0..3 {
            until("one of its clients trains", async || {
                let training = |(name, state): &(String, String)| name.as_str() > "person-02" && state == "training";
                states(&server).await.iter().any(training).then_some(())
            })
            .await;
            agent.kill();
            agent = server.join("agent", &invitation, &people, &["--part", "2/2", "--threads", "1"]);
        }
        assert_eq!(server.until_over(1).await["status"], "completed");
        let events = server.journal();
        assert_eq!(of(&events, "round_abandoned").len(), 0);
        assert_eq!(of(&events, "client_joined").len(), 4, "it came back as the same clients");
        let last = server.digests().await.pop().unwrap();
        assert_eq!(last, simulated(&people, &[&LONG[..], &["cohort.min_clients=4"]].concat()));
    });
}

#[test]
fn an_upload_that_breaks_off_is_sent_again() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let operator = &server.operator;
        let anna = join(&server, "anna").await;
        server.start_job(&["rounds=1", "refit=false"]);
        let task = anna.get("/v1/federations/fitbit/clients/anna/task?wait=20").await.ok();
        assert_eq!(task["kind"], "measure");
        let path = format!("/v1/federations/fitbit/tasks/{}/result", task["task"].as_str().unwrap());
        let address = server.url.split("//").nth(1).unwrap();
        let mut cut = TcpStream::connect(address).unwrap();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: 1000\r\n\r\n{{\"meas",
            anna.bearer
        );
        cut.write_all(head.as_bytes()).unwrap();
        until_state(&server, "anna", "updating").await;
        drop(cut);
        until_state(&server, "anna", "training").await;
        let columns = server.job(1).await["plan"]["measure"].as_array().unwrap().clone();
        let moments = json!({"n": "5", "mean": 2.0, "m2": 3.0});
        let statistics: serde_json::Map<_, _> =
            columns.iter().map(|column| (column.as_str().unwrap().to_owned(), moments.clone())).collect();
        anna.put(&path, json!({"measured": {"statistics": statistics}})).await.ok();
        until("the measure round is over", async || {
            let statistics = operator.get("/v1/federations/fitbit/jobs/1").await.ok()["statistics"].clone();
            statistics.is_object().then_some(())
        })
        .await;
    });
}

/// A client that only this test speaks for.
async fn join(server: &Serve, name: &str) -> Api {
    let invitation = said(server.dure().arg("invite"));
    server.operator.as_bearer(invitation.trim().split('#').nth(1).unwrap()).join("fitbit", name).await
}

#[test]
fn a_name_is_one_clients_until_it_is_released() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(1));
        let mut first = server.join("first", &invitation, &people, &["--name", "ward"]);
        server.until_clients(1).await;
        let mut second = server.join("second", &invitation, &people, &["--name", "ward"]);
        assert!(!second.ended().await.success());
        assert!(second.log().contains("belongs to another secret"), "{}", second.log());
        let same_folder = server.path("state-first");
        let mut third = dure();
        third.args(["join", "--name", "ward", "--data"]).arg(&people).arg("--state-dir").arg(&same_folder);
        let locked = failed(third.env("DURE_INVITATION", &invitation));
        assert!(locked.contains("state-first"), "{locked}");

        assert!(first.stop().await.success());
        said(server.dure().args(["client", "release", "ward"]));
        let mut second = server.join("second", &invitation, &people, &["--name", "ward"]);
        server.until_clients(1).await;
        assert!(second.stop().await.success());
    });
}

#[test]
fn an_evicted_client_is_told_so_and_does_not_come_back() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(2));
        let mut agent = server.join("agent", &invitation, &people, &[]);
        server.until_clients(2).await;
        said(server.dure().args(["client", "evict", "person-01", "--reason", "wrong units"]));
        until_state(&server, "person-01", "evicted").await;
        server.start_job(&["rounds=1", "refit=false"]);
        let over = server.until_over(1).await;
        assert_eq!(over["status"], "completed", "the other one goes on: {over}");
        said(server.dure().args(["client", "evict", "person-02"]));
        assert!(!agent.ended().await.success(), "nobody is left");
        assert!(agent.log().contains("wrong units"), "{}", agent.log());
        let mut again = server.join("agent", &invitation, &people, &[]);
        assert!(!again.ended().await.success());
    });
}

#[test]
fn a_server_that_is_away_longer_than_a_deadline_abandons_no_round() {
    block_on(async {
        let mut server = Serve::start_with(&["--lease", "5s"]);
        let (invitation, people) = (server.fitbit(), server.people(2));
        let agent = server.join("agent", &invitation, &people, &[]);
        server.until_clients(2).await;
        let keys = [
            "--seed",
            "5",
            "rounds=3",
            "refit=false",
            "training.epochs=2000",
            "cohort.deadline_s=10",
            "cohort.min_clients=2",
        ];
        server.start_job(&keys);
        until_state(&server, "person-01", "training").await;
        server.process.kill();
        let away = Instant::now();
        until("more than the deadline has passed", async || (away.elapsed() > Duration::from_secs(12)).then_some(()))
            .await;
        server.restart();
        assert_eq!(server.until_over(1).await["status"], "completed");
        let events = server.journal();
        assert_eq!((of(&events, "round_abandoned").len(), of(&events, "client_lost").len()), (0, 0));
        assert_eq!(server.digests().await.pop().unwrap(), simulated(&people, &keys));
        assert!(agent.log().contains("back"), "{}", agent.log());
    });
}

#[test]
fn what_a_site_says_of_itself_survives_a_killed_server() {
    block_on(async {
        let mut server = Serve::start();
        let invitation = server.fitbit();
        let invited = server.operator.as_bearer(invitation.split('#').nth(1).unwrap());
        let path = "/v1/federations/fitbit/clients/a";
        let facts = json!({ "device": "watch" });
        invited.put(path, json!({ "secret": secret_of("a"), "facts": facts })).await.ok();
        server.process.kill();
        server.restart();
        let view = server.operator.get(path).await.ok();
        assert_eq!(view["facts"], facts);
        assert!(view["last_seen_s"].as_f64().unwrap() < 60.0, "{view}");
    });
}

#[test]
fn clocks_that_are_an_hour_off_change_nothing() {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (ahead, behind) = (off_by(dir.path(), 3600), off_by(dir.path(), -3600));
        let server = Serve::start_under(&ahead);
        let (invitation, people) = (server.fitbit(), server.people(2));
        let _first = server.join("first", &invitation, &people, &["--part", "1/2"]);
        let _second = server.join_under(&behind, "second", &invitation, &people, &["--part", "2/2"]);
        server.until_clients(2).await;
        let keys = ["--seed", "5", "rounds=2", "cohort.min_clients=2"];
        server.start_job(&keys);
        assert_eq!(server.until_over(2).await["status"], "completed");
        assert_eq!(server.digests().await.pop().unwrap(), simulated(&people, &keys));
    });
}

#[test]
fn rounds_go_on_at_their_deadline_when_a_quarter_never_answers() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(15));
        let _agent = server.join("agent", &invitation, &people, &[]);
        let mut silent = Vec::new();
        for i in 0..5 {
            silent.push(join(&server, &format!("silent-{i}")).await);
        }
        server.until_clients(20).await;
        server.start_job(&[
            "rounds=2",
            "refit=false",
            "evaluate.every=0",
            "cohort.quorum=15",
            "cohort.deadline_s=2",
            "split.test=0",
        ]);
        let waiting = until("the job says whom it waits for", async || {
            let waiting = server.job(1).await["waiting"].clone();
            waiting.as_str().filter(|text| text.contains("15 of 15 needed")).map(str::to_owned)
        })
        .await;
        assert!(waiting.contains("silent-0 last seen") && waiting.contains("; and 2 more"), "{waiting}");
        let over = server.until_over(1).await;
        assert_eq!((&over["status"], &over["completed"]), (&json!("completed"), &json!(2)), "{over}");
        let events = server.journal();
        for round in of(&events, "round_completed") {
            assert_eq!(round["participants"].as_array().unwrap().len(), 15, "{round}");
        }
        let shown = said(server.dure().args(["job", "show"]));
        assert!(shown.contains("completed"), "{shown}");
    });
}

#[test]
fn a_lost_client_is_not_waited_for_and_returns_by_asking() {
    block_on(async {
        let server = Serve::start_with(&["--lease", "1s"]);
        let (invitation, people) = (server.fitbit(), server.people(2));
        let silent = join(&server, "silent").await;
        let _agent = server.join("agent", &invitation, &people, &[]);
        server.start_job(&["rounds=2", "refit=false", "cohort.quorum=2"]);
        assert_eq!(server.until_over(1).await["status"], "completed", "no deadline of 600 s had to pass");
        until_state(&server, "silent", "lost").await;
        silent.get("/v1/federations/fitbit/clients/silent/task").await;
        until_state(&server, "silent", "ready").await;
        let events = server.journal();
        assert_eq!(of(&events, "client_returned").len(), 1);
    });
}

#[test]
fn a_job_is_stepped_by_hand_and_run_for_so_many_rounds() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(3));
        let _agent = server.join("agent", &invitation, &people, &[]);
        server.until_clients(3).await;
        let job = |args: &[&str]| said(server.dure().arg("job").args(args));
        job(&["create", "fitbit", "rounds=9", "refit=false"]);
        job(&["train", "1"]);
        until("the round waits to be aggregated", async || {
            let waiting = server.job(1).await["waiting"].clone();
            waiting
                .as_str()
                .is_some_and(|text| text.ends_with("has 3 answers and awaits 0 more; aggregate it"))
                .then_some(())
        })
        .await;
        assert_eq!(server.job(1).await["completed"], 0);
        job(&["aggregate", "1"]);
        server.until_round(1, 1).await;
        job(&["resume", "1", "--rounds", "3"]);
        until("it pauses after three more", async || {
            let job = server.job(1).await;
            (job["status"] == "paused" && job["completed"] == 4).then_some(())
        })
        .await;
        job(&["resume"]);
        job(&["pause"]);
        job(&["resume"]);
        job(&["stop"]);
        let over = server.until_over(1).await;
        assert_eq!((&over["status"], &over["trained"]), (&json!("completed"), &json!("stopped")), "{over}");
        job(&["start", "fitbit", "rounds=100000"]);
        job(&["abort"]);
        assert_eq!(server.until_over(2).await["status"], "aborted");
    });
}

#[test]
fn a_site_takes_part_in_what_its_policy_accepts() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(2));
        let policy = server.path("policy.toml");
        std::fs::write(&policy, "recipes = [\"fitbit\"]\nmax_epochs = 5\n").unwrap();
        let _agent = server.join("agent", &invitation, &people, &["--policy", policy.to_str().unwrap()]);
        server.until_clients(2).await;
        server.start_job(&["rounds=1", "refit=false", "training.epochs=6", "stop.abandoned=1"]);
        assert_eq!(server.until_over(1).await["status"], "gave_up");
        let events = server.journal();
        let declined = of(&events, "task_declined");
        assert!(declined[0]["reason"].as_str().unwrap().contains("at most 5 epochs"), "{declined:?}");
        server.start_job(&["rounds=1", "refit=false", "training.epochs=5"]);
        assert_eq!(server.until_over(2).await["status"], "completed");
    });
}

#[test]
fn the_operator_sees_what_a_site_shares_and_what_its_clients_did() {
    block_on(async {
        let server = Serve::start();
        let (_, people) = (server.fitbit(), server.people(3));
        let invite = said(server.dure().args(["invite", "--note", "ward 3"]));
        let site = |part: &str, args: &[&str]| {
            let args = [&["--part", part], args].concat();
            server.join(&part.replace('/', "-"), invite.trim(), &people, &args)
        };
        let policy = server.path("policy.toml");
        std::fs::write(&policy, "share = []\n").unwrap();
        let policy = ["--policy", policy.to_str().unwrap()];
        let _default = site("1/3", &[]);
        let _silent = site("2/3", &policy);
        let _open = site("3/3", &[&policy[..], &["--share", "rows,labels"]].concat());
        server.until_clients(3).await;
        server.start_job(&["rounds=2", "refit=false"]);
        server.until_over(1).await;
        said(server.dure().args(["invite", "--revoke", "2"]));
        let get = async |path: &str| server.operator.get(&format!("/v1/federations/fitbit/{path}")).await.ok();
        let clients = get("clients").await;
        let shared = |i: usize| ["rows", "labels"].map(|fact| !clients[i]["facts"][fact].is_null());
        assert_eq!([shared(0), shared(1), shared(2)], [[true, false], [false, false], [true, true]], "{clients}");
        for client in clients.as_array().unwrap() {
            let tasks = &client["tasks"];
            assert_eq!(
                (&client["site"], &tasks["asked"], &tasks["answered"]),
                (&json!("ward 3"), &json!(2), &json!(2))
            );
            assert!(tasks["bytes_up"].as_u64() > Some(20_000), "{client}");
            assert!(client["bytes_down"].as_u64() > Some(20_000), "{client}");
        }
        let (data, rows) = (get("data").await, |i: usize| clients[i]["facts"]["rows"].as_u64().unwrap());
        let told = ["clients", "tell_rows", "tell_labels", "rows"].map(|key| data[key].as_u64().unwrap());
        assert_eq!(told, [3, 2, 1, rows(0) + rows(2)], "{data}");
        let own = &clients[2]["facts"]["labels"]["number"];
        assert_eq!((&own["rows"], &data["number"]["mean"]), (&clients[2]["facts"]["rows"], &own["mean"]));
    });
}

#[test]
fn an_invitation_for_one_lets_one_in() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let invite = |args: &[&str]| said(server.dure().arg("invite").args(args)).trim().to_owned();
        let token = |invitation: &str| invitation.split('#').nth(1).unwrap().to_owned();
        let one = server.operator.as_bearer(&token(&invite(&["--uses", "1"])));
        let body = |name: &str| json!({"secret": secret_of(name)});
        one.join("fitbit", "anna").await;
        one.join("fitbit", "anna").await;
        one.put("/v1/federations/fitbit/clients/anna", body("otto")).await.refused(409, "name-taken");
        one.put("/v1/federations/fitbit/clients/bora", body("bora")).await.refused(403, "forbidden");
        let revoked = server.operator.as_bearer(&token(&invite(&[])));
        let list = server.operator.get("/v1/federations/fitbit/invitations").await.ok();
        let id = list.as_array().unwrap().last().unwrap()["id"].to_string();
        said(server.dure().args(["invite", "--revoke", &id]));
        revoked.put("/v1/federations/fitbit/clients/bora", body("bora")).await.refused(401, "unauthenticated");
        let anna = server.operator.as_bearer(&secret_of("anna"));
        anna.send(Method::DELETE, "/v1/federations/fitbit/clients/anna", None).await.ok();
        anna.put("/v1/federations/fitbit/clients/anna", body("anna")).await.ok();
        assert_eq!(states(&server).await, [("anna".to_owned(), "ready".to_owned())]);
    });
}

#[test]
fn who_has_joined_needs_the_invitation_no_more() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(2));
        let mut agent = server.join("agent", &invitation, &people, &["--part", "1/2"]);
        server.until_clients(1).await;
        assert!(agent.stop().await.success());
        said(server.dure().args(["invite", "--revoke", "1"]));
        let mut agent = server.join("agent", &invitation, &people, &["--part", "1/2"]);
        server.until_clients(1).await;
        assert!(agent.log().contains("known clients try their own secrets"), "{}", agent.log());
        let stranger = server.join("stranger", &invitation, &people, &["--part", "2/2"]);
        until("a stranger is refused", async || stranger.log().contains("refuse").then_some(())).await;
        assert_eq!(states(&server).await, [("person-01".to_owned(), "ready".to_owned())]);
        assert!(agent.stop().await.success());
    });
}

#[test]
fn many_clients_that_go_together_do_not_end_a_job() {
    block_on(async {
        let server = Serve::start_with(&["--lease", "2s"]);
        let (invitation, people) = (server.fitbit(), server.people(15));
        let mut many = server.join("many", &invitation, &people, &["--part", "2/2"]);
        let _few = server.join("few", &invitation, &people, &["--part", "1/2"]);
        server.until_clients(15).await;
        // Everybody of a cohort has to answer, and three abandoned rounds end the job.
        server.start_job(&["rounds=100000", "refit=false", "training.epochs=20", "stop.abandoned=3"]);
        server.until_round(1, 2).await;
        many.kill();
        let lost = async || states(&server).await.iter().filter(|(_, state)| state == "lost").count();
        until("eight are lost", async || (lost().await == 8).then_some(())).await;
        let after = server.job(1).await["completed"].as_u64().unwrap();
        server.until_round(1, after + 2).await;
        let mut many = server.join("many", &invitation, &people, &["--part", "2/2"]);
        server.until_clients(15).await;
        let after = server.job(1).await["completed"].as_u64().unwrap();
        server.until_round(1, after + 2).await;
        assert!(many.stop().await.success());
        let after = server.job(1).await["completed"].as_u64().unwrap();
        server.until_round(1, after + 2).await;
        said(server.dure().args(["job", "stop"]));
        assert_eq!(server.until_over(1).await["status"], "completed");
        let events = server.journal();
        assert!(of(&events, "round_abandoned").len() <= 4, "{:?}", of(&events, "round_abandoned"));
    });
}

#[test]
fn a_client_cannot_fill_the_journal_with_its_changes() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let anna = join(&server, "anna").await;
        let mut last = None;
        for i in 0..70 {
            let body = Some(json!({"ready": i % 2 == 0, "reason": "to and fro"}));
            last = Some(anna.send(Method::PATCH, "/v1/federations/fitbit/clients/anna", body).await);
        }
        last.unwrap().refused(429, "too-often");
        assert!(of(&server.journal(), "readiness_changed").len() < 60);
        let path = "/v1/federations/fitbit/clients/anna";
        anna.send(Method::PATCH, path, Some(json!({}))).await.ok();
        anna.send(Method::DELETE, path, None).await.ok();
    });
}

#[test]
fn a_server_does_not_say_which_file_a_site_reads() {
    block_on(async {
        let server = Serve::start();
        let people = server.people(1);
        let body = json!({"name": "other", "recipe": "/etc/hostname"});
        server.operator.post("/v1/federations", body).await.ok();
        let invitation = said(server.dure().args(["invite", "--federation", "other"]));
        let mut agent = server.join("agent", &invitation, &people, &[]);
        assert_eq!(agent.ended().await.code(), Some(2));
        assert!(agent.log().contains("\"/etc/hostname\", which is not built in"), "{}", agent.log());
    });
}

#[test]
fn nobody_is_called_as_somebody_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let people = dir.path().join("people");
    said(dure().args(["data", "generate", "fitbit", "--people", "2", "--out"]).arg(&people));
    let recipe = dir.path().join("ward.toml");
    let text = said(dure().args(["recipe", "show", "fitbit"])).replace("public = true", "public = false");
    std::fs::write(&recipe, text).unwrap();
    block_on(async {
        let server = Serve::start();
        let invitation = server.fitbit();
        let args = ["--name", "made-up-00001", "--part", "2/2", "--recipe", recipe.to_str().unwrap()];
        let mut agent = server.join("agent", &invitation, &people, &args);
        assert_eq!(agent.ended().await.code(), Some(2));
        assert!(agent.log().contains("choose a pseudonym"), "{}", agent.log());
    });
}

#[test]
fn a_job_asks_no_device_that_says_it_has_too_little() {
    block_on(async {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(3));
        let _agent = server.join("agent", &invitation, &people, &[]);
        server.until_clients(3).await;
        // A device that says nothing of itself.
        let _silent = join(&server, "silent").await;
        server.until_clients(4).await;
        let keys = ["rounds=1", "refit=false", "cohort.quorum=1", "cohort.deadline_s=3"];
        server.start_job(&[&keys[..], &["cohort.filter={memory_mb=1e9}"]].concat());
        let waiting = until("the job says who is left out", async || {
            let waiting = server.job(1).await["waiting"].clone();
            waiting.as_str().filter(|text| text.contains("left out")).map(str::to_owned)
        });
        let waiting = waiting.await;
        assert!(waiting.contains("0 are there; others are left out, 4 by cohort.filter.memory_mb"), "{waiting}");
        said(server.dure().args(["job", "abort"]));
        server.start_job(&[&keys[..], &["cohort.filter={cores=1,memory_mb=1,rows=2}"]].concat());
        assert_eq!(server.until_over(2).await["status"], "completed");
        let events = server.journal();
        let trained = |event: &&Value| event["round"].as_str().is_some_and(|round| round.starts_with("2-train-"));
        let opened = of(&events, "round_opened");
        let cohort = opened.into_iter().find(trained).map(|event| event["cohort"].as_array().unwrap().len());
        assert_eq!(cohort, Some(3));
        assert_eq!(of(&events, "facts_changed").len(), 3 + 3, "each job asks for its own");
    });
}
