//! The operator's commands against a server that says what a test wants.

mod fake;

use std::fs;

use dure_core::{digest::Digest, plan::Plan};
use dure_wire::api::{AliasView, ClientState, ClientView, InvitationView, JobSpec, JobStatus, JobView, VersionView};
use fake::{Reply, Server, TOKEN, dure, fails, text, view};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

/// The journal of a small simulation, and its result.
fn simulated(more: &[&str]) -> (String, Value) {
    let folder = tempfile::tempdir().unwrap();
    let small = [
        "simulate",
        "fitbit",
        "rounds=3",
        "personalise.epochs=2",
        "generator.activity.people=4",
        "generator.activity.days=9",
    ];
    let output = dure().args(small).args(more).arg("--out").arg(folder.path()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("journal.jsonl"), serde_json::from_str(&read("result.json")).unwrap())
}

fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().into()
}

fn job(job: u32, status: JobStatus) -> JobView {
    let plan: Plan =
        serde_json::from_slice(&dure().args(["recipe", "plan", "fitbit"]).output().unwrap().stdout).unwrap();
    let waiting = Some("4 clients are needed, 3 are there".into());
    JobView {
        job,
        status,
        waiting,
        seed: "0".into(),
        refit_of: None,
        completed: 2,
        rounds: 20,
        limit: None,
        version: Some(3),
        trained: None,
        best: None,
        round: None,
        plan: plan.into(),
        statistics: None,
    }
}

#[test]
fn a_problem_is_shown_as_title_and_detail() {
    let server = Server::start(|line, _| match line {
        "GET /v1/federations/fitbit" => Reply::json(200, &view("fitbit", "")),
        "GET /v1/federations/fitbit/jobs/7" => Reply::problem(404, "No such job", "fitbit has 2 jobs\nlist them"),
        "GET /v1/federations/fitbit/jobs/2" => Reply::file("what?"),
        _ => Reply::file("<html>").header("x", "y").cut(),
    });
    let show = |job: &str| server.fails(1, &["job", "show", job, "--federation", "fitbit"]);
    assert_eq!(show("7"), "dure: No such job: fitbit has 2 jobs list them\n");
    let error = show("2");
    assert!(error.contains("/jobs/2 cannot be read: expected value at line 1"), "{error}");
    let error = server.fails(1, &["federation", "list"]);
    assert!(error.contains("the connection to http://127.0.0.1:") && error.contains("was lost: "), "{error}");
    let server = Server::start(|_, _| Reply::json(502, &"bad gateway"));
    let error = server.fails(1, &["federation", "list"]);
    assert!(error.contains("/v1/federations answers with 502 and names no problem"), "{error}");
}

#[test]
fn a_server_that_is_not_there_is_named() {
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let url = format!("http://{nobody}");
    let args = ["client", "list", "--server", &url];
    let error =
        fails(1, dure().args(args).env("DURE_TOKEN", TOKEN).env("http_proxy", "http://127.0.0.1:1").output().unwrap());
    assert!(error.starts_with(&format!("dure: the server at {url} cannot be reached: Connection refused")), "{error}");
    assert!(error.ends_with("; is `dure serve` running?\n"), "{error}");
    let error =
        fails(2, dure().args(["client", "list", "--server", "127.0.0.1"]).env("DURE_TOKEN", TOKEN).output().unwrap());
    assert!(error.contains("the server \"127.0.0.1\" is no URL"), "{error}");
}

#[test]
fn a_token_is_needed_and_sent_and_a_file_goes_before_the_environment() {
    let error = fails(2, dure().args(["federation", "list"]).output().unwrap());
    assert!(error.contains("set DURE_TOKEN") && error.contains("--token-file"), "{error}");
    let server = Server::start(|_, _| Reply::json(200, &json!([])));
    assert!(server.done(&["federation", "list"]).contains("dure federation create NAME"));
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("token"), "5f0c\n").unwrap();
    server.done(&["federation", "list", "--token-file", &path(&folder, "token")]);
    let bearers: Vec<_> = server.asked().iter().map(|request| request.headers["authorization"].clone()).collect();
    assert_eq!(bearers, [format!("Bearer {TOKEN}"), "Bearer 5f0c".into()]);
    let error = server.fails(2, &["federation", "list", "--token-file", &path(&folder, "none")]);
    assert!(error.contains("none: cannot be read: No such file"), "{error}");
    let error = server.fails(2, &["federation", "list", "--ca", &path(&folder, "token")]);
    assert!(error.contains("token: has no certificate in PEM form"), "{error}");
}

#[test]
fn the_only_federation_is_meant_unless_there_are_several() {
    let server = Server::of_journal("", |line, _| match line {
        "GET /v1/federations/fitbit/jobs" => Reply::json(200, &[job(1, JobStatus::GaveUp), job(2, JobStatus::Running)]),
        line => Reply::problem(404, "Nothing here", line),
    });
    let listed = server.done(&["job", "list"]);
    assert!(listed.contains("gave up") && listed.contains("2/20"), "{listed}");
    let names = ["fitbit", "ward"].map(|name| view(name, ""));
    let server = Server::start(move |line, _| match line {
        "GET /v1/federations" => Reply::json(200, &names),
        "GET /v1/federations/ward" => Reply::json(200, &names[1]),
        _ => Reply::json(200, &json!([])),
    });
    let error = server.fails(2, &["job", "list"]);
    assert_eq!(error, "dure: the server has several federations; say which with --federation: fitbit, ward\n");
    assert!(server.done(&["job", "--federation", "ward", "list"]).contains("no job yet"));
    let error = server.fails(2, &["job", "list", "--federation", "../ward"]);
    assert!(error.contains("\"../ward\" cannot name a federation"), "{error}");
    let server = Server::start(|_, _| Reply::json(200, &json!([])));
    assert!(server.fails(1, &["job", "list"]).contains("no federation yet"));
}

#[test]
fn a_federation_is_made_for_its_recipe() {
    let server = Server::start(|_, _| Reply::json(201, &view("fitbit", "")));
    assert_eq!(server.done(&["federation", "create", "fitbit"]), "federation fitbit for recipe fitbit: made\n");
    server.done(&["federation", "create", "ward", "--no-recipe"]);
    server.done(&["federation", "create", "ward", "--recipe", "fitbit"]);
    let error = server.fails(2, &["federation", "create", "ward"]);
    assert!(error.contains("name the federation's recipe with --recipe, or say --no-recipe"), "{error}");
    let made = server.bodies("POST /v1/federations");
    assert_eq!((&made[0]["name"], &made[0]["recipe"]), (&"fitbit".into(), &"fitbit".into()));
    assert_eq!(made[1], json!({"name": "ward", "recipe": null, "schema": null}));
    assert_eq!((&made[2]["recipe"], &made[2]["schema"]), (&made[0]["recipe"], &made[0]["schema"]));
    let plan: Value = serde_json::from_str(&server.done(&["recipe", "plan", "fitbit"])).unwrap();
    assert_eq!(made[0]["schema"], plan["work"]["schema"]);
}

#[test]
fn an_invitation_is_printed_alone() {
    let told = |token: Option<&str>| InvitationView {
        id: 4,
        token: token.map(str::to_owned),
        uses: Some(1),
        used: 0,
        expires: Some("2026-05-01T00:00:00Z".into()),
        note: "ward 3".into(),
    };
    let server = Server::of_journal("", move |line, _| match line {
        "POST /v1/federations/fitbit/invitations" => Reply::json(201, &told(Some("5f0c"))),
        "DELETE /v1/federations/fitbit/invitations/4" => Reply::nothing(),
        _ => Reply::json(200, &[told(None)]),
    });
    let output = server.dure(&["invite", "--uses", "1", "--expires", "7d", "--note", "ward 3"]);
    assert_eq!((text(&output.stdout), text(&output.stderr)), (format!("{}/fitbit#5f0c\n", server.url), String::new()));
    let asked = server.bodies("POST /v1/federations/fitbit/invitations");
    assert_eq!(asked, [json!({"uses": 1, "expires_in_s": 604_800, "note": "ward 3"})]);
    let told: Value = serde_json::from_str(&server.done(&["invite", "--json"])).unwrap();
    assert_eq!(told["invitation"], format!("{}/fitbit#5f0c", server.url));
    let listed = server.done(&["invite", "--list"]);
    assert!(listed.contains("0 of 1") && listed.contains("ward 3") && listed.contains("2026-05-01"), "{listed}");
    server.done(&["invite", "--revoke", "4"]);
    let error = server.fails(2, &["invite", "--expires", "7"]);
    assert!(error.contains("45s, 30m, 12h or 7d"), "{error}");
}

#[test]
fn clients_are_listed_page_by_page_and_their_words_move_no_cursor() {
    let client = |name: &str| ClientView {
        client: name.to_owned().try_into().unwrap(),
        state: ClientState::Training,
        reason: "busy\u{1b}[2J\nnow".into(),
        epoch: 1,
        task: Some("1-train-3-1-a".to_owned().try_into().unwrap()),
        last_seen_s: Some(3.2),
        lease_ends_in_s: Some(56.8),
        site: String::new(),
        tasks: Default::default(),
        bytes_down: None,
        facts: Map::from_iter([("rows".to_owned(), 31.into()), ("device".to_owned(), "a ring".into())]),
    };
    let server = Server::of_journal("", move |line, _| match line.strip_prefix("GET /v1/federations/fitbit/clients") {
        Some("?limit=1000&state=training") => Reply::json(200, &[client("a"), client("b")]),
        Some("?limit=1000&state=training&after=b") => Reply::json(200, &[client("c")]),
        Some("?limit=1000") => Reply::json(200, &[client("b"), client("a")]),
        Some("/a") => Reply::json(200, &client("a")),
        Some(_) => Reply::json(200, &json!([])),
        None => Reply::nothing(),
    });
    let listed = server.done(&["client", "list", "--state", "training"]);
    assert_eq!(listed.lines().count(), 5, "{listed}");
    let row = listed.lines().nth(2).unwrap().split("  ").map(str::trim).filter(|cell| !cell.is_empty());
    assert_eq!(
        row.collect::<Vec<_>>(),
        ["a", "training", "3 s ago", "ends in 57 s", "1-train-3-1", "31", "busy [2J now"]
    );
    assert!(server.fails(1, &["client", "list"]).contains("out of the order of their names"));
    assert!(server.done(&["client", "show", "a"]).contains("device    a ring\n"));
    server.done(&["client", "evict", "a", "--reason", "no clock"]);
    server.done(&["client", "release", "a"]);
    assert_eq!(server.bodies("DELETE /v1/federations/fitbit/clients/a"), [json!({"reason": "no clock"})]);
    assert_eq!(server.bodies("POST /v1/federations/fitbit/clients/a/release").len(), 1);
    assert!(server.fails(2, &["client", "list", "--state", "away"]).contains("evicted"));
    assert!(server.fails(2, &["client", "evict", "A/b"]).contains("cannot name a client"));
}

#[test]
fn a_job_is_made_of_a_recipe_and_started_and_a_number_is_a_job() {
    let server = Server::of_journal("", |line, _| match line {
        "POST /v1/federations/fitbit/jobs" => Reply::json(201, &job(3, JobStatus::Created)),
        line if line.ends_with("/start") => Reply::json(200, &job(3, JobStatus::Running)),
        line if line.ends_with("/jobs/2/pause") => Reply::json(200, &job(2, JobStatus::Paused)),
        line => Reply::problem(404, "Nothing here", line),
    });
    let started = server.done(&["job", "start", "fitbit", "rounds=7", "--seed", "5", "--rounds", "2"]);
    assert_eq!(started, "job 3 of fitbit: running, 2 of 20 rounds; 4 clients are needed, 3 are there\n");
    server.done(&["job", "start", "3"]);
    assert_eq!(server.bodies("POST /v1/federations/fitbit/jobs/3/start"), [json!({"rounds": 2}), Value::Null]);
    assert!(server.done(&["job", "create", "fitbit"]).ends_with("`dure job start 3` starts it\n"));
    let made = server.bodies("POST /v1/federations/fitbit/jobs");
    let spec: JobSpec = serde_json::from_value(made[0].clone()).unwrap();
    assert_eq!((spec.plan.rounds, spec.seed.as_str()), (7, "5"));
    let asked = server.asked();
    let keys: Vec<_> = asked.iter().filter_map(|request| request.headers.get("idempotency-key")).collect();
    assert!(keys.len() == 2 && keys[0] != keys[1] && keys[0].len() == 32, "{keys:?}");
    // The newest job, where none is active.
    assert!(server.done(&["job", "pause"]).starts_with("job 2 of fitbit: paused"));
    assert!(server.fails(2, &["job", "start", "3", "rounds=7"]).contains("job 3 has its plan"));
    assert!(server.fails(2, &["job", "start", "fitbt"]).contains("did you mean \"fitbit\"?"));
}

/// A stream as a server sends it, from event `from` to event `to`.
#[test]
fn a_job_is_made_once_though_a_gateway_answers_for_the_server() {
    let asked = std::sync::atomic::AtomicUsize::new(0);
    let server = Server::of_journal("", move |line, _| match line {
        "POST /v1/federations/fitbit/jobs" if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => {
            Reply::page(502, "<html>Bad gateway")
        }
        "POST /v1/federations/fitbit/jobs" => Reply::json(201, &job(3, JobStatus::Created)),
        line => Reply::problem(404, "Nothing here", line),
    });
    server.done(&["job", "create", "fitbit"]);
    let asked = server.asked();
    let keys: Vec<_> = asked.iter().filter_map(|request| request.headers.get("idempotency-key")).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
}

fn stream(journal: &str, from: usize, to: usize) -> String {
    let events = journal.lines().enumerate().skip(from).take(to - from);
    let event = |(i, line): (usize, &str)| {
        let kind = serde_json::from_str::<Value>(line).unwrap()["event"]["type"].as_str().unwrap().to_owned();
        format!(": still here\r\n\r\nid: {}\r\nevent: {kind}\r\ndata: {line}\r\n\r\n", i + 1)
    };
    events.map(event).collect()
}

/// A server of a journal whose stream is cut, if it is, after so many events.
fn streaming(journal: &str, cut: Option<usize>) -> Server {
    let (lines, journal) = (journal.lines().count(), journal.to_owned());
    let whole = journal.clone();
    Server::of_journal(&whole, move |line, request| {
        assert_eq!(line, "GET /v1/federations/fitbit/events");
        let from = request.headers.get("last-event-id").map_or(0, |id| id.parse().unwrap());
        let to = cut.filter(|cut| *cut > from).unwrap_or(lines);
        Reply::events(stream(&journal, from, to), to < lines)
    })
}

#[test]
fn a_job_is_watched_to_the_end_of_its_refit_though_the_connection_is_cut() {
    let (journal, result) = simulated(&[]);
    let server = streaming(&journal, Some(40));
    let output = server.dure(&["job", "watch", "1"]);
    let (printed, noted) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{noted}");
    assert!(noted.contains("was lost: ") && noted.contains("asking again for what comes after event 40"), "{noted}");
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    let rows: Vec<_> =
        printed.lines().map(cells).filter(|cells| cells.get(1).is_some_and(|cell| cell == "4/4")).collect();
    let rounds = ["rounds", "refit"].map(|part| result[part].as_array().unwrap().clone()).concat();
    assert_eq!((rows.len(), rounds.len()), (6, 6), "{printed}");
    for (row, round) in rows.iter().zip(&rounds) {
        assert_eq!(row[2], format!("{:.4}", round["train_loss"].as_f64().unwrap()));
        let mae = round["metrics"]["mae"].as_f64().map_or_else(|| "–".into(), |mae| format!("{mae:.1}"));
        assert_eq!(row[3], mae);
    }
    assert!(
        printed.starts_with("job 1: 3 rounds of fitbit with fedavg, seed 0; figures are on validation rows\n"),
        "{printed}"
    );
    assert!(printed.contains("Then job 2: 3 rounds from the start, on training and validation rows together."));
    assert!(printed.contains("federated, personalised") && printed.contains("MAE, kcal"), "{printed}");
    assert!(printed.ends_with("job 2 completed after 3 rounds; its model is version 8\n"), "{printed}");
    let global = format!("{:.1}", result["final"]["global"]["mae"].as_f64().unwrap());
    assert!(printed.lines().any(|line| line.starts_with(" federated ") && line.contains(&global)), "{printed}");

    // The refit alone, and a stream that nothing happens to.
    let alone = streaming(&journal, None).done(&["job", "watch"]);
    assert!(alone.starts_with("job 2: 3 rounds of fitbit") && alone.contains("\njob 2 completed"), "{alone}");
}

#[test]
fn a_job_that_is_started_can_be_watched_at_once() {
    let (journal, _) = simulated(&["refit=false"]);
    let (lines, whole) = (journal.lines().count(), journal.clone());
    let server = Server::of_journal(&journal, move |line, _| match line {
        "POST /v1/federations/fitbit/jobs/1/start" => Reply::json(200, &job(1, JobStatus::Running)),
        _ => Reply::events(stream(&whole, 0, lines), false),
    });
    let watched = server.done(&["job", "start", "1", "--watch"]);
    assert!(watched.starts_with("job 1: 3 rounds") && watched.ends_with("; its model is version 4\n"), "{watched}");
}

#[test]
fn watching_prints_the_journals_own_lines_as_json() {
    let (journal, _) = simulated(&["refit=false"]);
    let server = streaming(&journal, Some(10));
    let printed = server.done(&["job", "watch", "1", "--json"]);
    let begin = journal.find("{\"sequence\":\"6\"").unwrap();
    assert!(journal[begin..].contains("\"type\":\"job_created\"") && printed == journal[begin..]);
}

#[test]
fn a_stream_that_breaks_the_chain_is_not_watched() {
    let (journal, _) = simulated(&[]);
    let error = streaming(&journal.replacen("\"epoch\":1", "\"epoch\":2", 1), None).fails(1, &["job", "watch", "1"]);
    assert!(error.contains("the server's journal: entry 2 is broken: its hash should be"), "{error}");
}

#[test]
fn an_export_is_whole_and_verified_or_is_none() {
    let (journal, _) = simulated(&[]);
    let serve = |told: String, cut: bool| {
        Server::of_journal(&journal, move |_, _| {
            let reply = Reply::file(told.clone());
            if cut { reply.cut() } else { reply }
        })
    };
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder, "journal.jsonl");
    let server = serve(journal.clone(), false);
    assert!(server.done(&["federation", "export", "--out", &out]).contains("events written to "));
    assert_eq!(fs::read_to_string(&out).unwrap(), journal);
    assert_eq!(server.done(&["federation", "export"]), journal);
    server.done(&["federation", "verify", &out]);

    fs::write(&out, "older").unwrap();
    let refused = |told: String, cut: bool, want: &str| {
        let server = serve(told, cut);
        for args in [&["federation", "export", "--out", &out][..], &["federation", "export"]] {
            let error = server.fails(1, args);
            assert!(error.contains(want), "{error}\ninstead of {want}");
        }
        assert_eq!((names(&folder), fs::read_to_string(&out).unwrap()), (vec!["journal.jsonl".into()], "older".into()));
    };
    refused(journal.replacen("\"epoch\":1", "\"epoch\":2", 1), false, "entry 2 is broken: its hash should be");
    refused(journal.split_inclusive('\n').take(30).collect(), false, "its end was cut off; nothing was written");
    refused(journal.trim_end().into(), false, "is cut off; nothing was written");
    refused(journal.clone(), true, "was lost: ");
}

fn version(version: u32, file: &[u8]) -> VersionView {
    VersionView {
        version,
        parent: Some(version - 1),
        job: 2,
        round: 3,
        sha256: Digest::of(file),
        parameters: 6977,
        recipe: "fitbit".into(),
        metrics: [("test".into(), [("mae".into(), 412.5)].into())].into(),
        preprocessing: [].into(),
        aliases: vec!["production".into()],
    }
}

#[test]
fn a_model_is_fetched_whole_and_held_to_its_digest() {
    let (good, bad) = (b"a model".to_vec(), b"a modem".to_vec());
    let etag = format!("\"{}\"", Digest::of(&good));
    let server = Server::of_journal("", move |line, _| match line.strip_prefix("GET /v1/federations/fitbit/models/") {
        Some("8" | "production") => Reply::json(200, &version(8, &good)),
        Some("8/weights") => Reply::file(good.clone()).header("etag", &etag),
        Some("7") => Reply::json(200, &version(7, &good)),
        Some("7/weights") => Reply::file(bad.clone()),
        Some("6") => Reply::json(200, &version(6, &bad)),
        Some("6/weights") => Reply::file(bad.clone()).header("etag", &etag),
        _ => Reply::json(200, &[version(8, &good)]),
    });
    let folder = tempfile::tempdir().unwrap();
    let out = path(&folder, "model.safetensors");
    let get: Vec<&str> = vec!["model", "get", "--out", &out];
    let error = server.fails(1, &[&get[..], &["7"]].concat());
    assert!(error.contains("version 7 should have the digest") && error.contains("Nothing was written"), "{error}");
    server.fails(1, &[&get[..], &["6"]].concat());
    assert!(names(&folder).is_empty());
    for version in [&["8"][..], &["production"], &[]] {
        let said = server.done(&[&get[..], version].concat());
        assert!(said.starts_with("version 8 written to ") && said.contains("(7 B)"), "{said}");
        assert_eq!(fs::read(&out).unwrap(), b"a model");
        fs::remove_file(&out).unwrap();
    }
    let listed = server.done(&["model", "list"]);
    assert!(listed.contains("production") && listed.contains("412.5"), "{listed}");
    let shown = server.done(&["model", "show"]);
    assert!(shown.contains("version   8, of job 2 after round 3\n") && shown.contains("412.5"), "{shown}");
}

#[test]
fn a_name_goes_to_a_version_and_back_again() {
    let alias = |alias: &str, previous| AliasView { alias: alias.into(), version: 8, previous };
    let server = Server::of_journal("", move |line, _| match line {
        "GET /v1/federations/fitbit/aliases" => Reply::json(200, &[alias("production", Some(5)), alias("first", None)]),
        line if line.starts_with("PUT ") => Reply::json(200, &alias("production", Some(5))),
        line => Reply::problem(404, "Nothing here", line),
    });
    assert_eq!(server.done(&["model", "promote", "8"]), "production stands for version 8, and for version 5 before\n");
    server.done(&["model", "rollback"]);
    let put = server.bodies("PUT /v1/federations/fitbit/aliases/production");
    assert_eq!(put, [json!({"version": 8}), json!({"version": 5})]);
    let error = server.fails(1, &["model", "rollback", "--alias", "first"]);
    assert!(error.contains("first has stood for version 8 alone"), "{error}");
    let error = server.fails(1, &["model", "rollback", "--alias", "staging"]);
    assert!(error.contains("nothing in fitbit is called staging"), "{error}");
}

#[test]
fn made_up_data_can_be_simulated_as_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let data = path(&folder, "data");
    let run = |args: &[&str]| {
        let output = dure().args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    };
    let said = run(&["data", "generate", "fitbit", "--people", "3", "--seed", "4", "--out", &data]);
    assert!(said.starts_with("3 made-up people with ") && said.contains("dailyActivity_merged.csv"), "{said}");
    let simulate = ["simulate", "fitbit", "rounds=1", "personalise.epochs=1", "--seed", "4", "--json"];
    let result = |more: &[&str]| serde_json::from_str::<Value>(&run(&[&simulate, more].concat())).unwrap();
    let (file, generated) = (result(&["--data", &data]), result(&["generator.activity.people=3"]));
    assert_eq!(file["data"]["source"], "file");
    assert_eq!(file["model"]["sha256"], generated["model"]["sha256"]);
    let error =
        fails(2, dure().args(["data", "generate", "fitbit", "--people", "0", "--out", &data]).output().unwrap());
    assert!(error.contains("1 to 100000 people"), "{error}");
}
