//! Servers and agents die as by SIGKILL before and after every step that changes something, each time that they come to it. They
//! are started again, as any supervisor would, and the job comes to the quiet run's bits.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use reqwest::Method;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    golden::{CLIENTS, KEYS, Outcome},
    harness::{Api, How, Port, Process, Serve, begin_to_serve, block_on, dure, said, secret_of, until},
};

/// The steps of a server in a golden job.
const SERVER: [&str; 17] = [
    "make-folder",
    "close-folder",
    "lock",
    "open-database",
    "migrate",
    "append",
    "publish",
    "acknowledge",
    "put_secret",
    "put_seen",
    "create",
    "write",
    "write-rest",
    "sync",
    "rename",
    "sync-folder",
    "remove",
];

/// The steps of an agent.
const AGENT: [&str; 12] = [
    "lock",
    "close-folder",
    "make-folder",
    "call",
    "labour",
    "create",
    "write",
    "write-rest",
    "sync",
    "rename",
    "sync-folder",
    "remove",
];

/// The steps of a server while its operator sets it up and looks after it.
const OPERATOR: [&str; 17] = [
    "keep-file",
    "make-folder",
    "sync-folder",
    "lock",
    "open-database",
    "migrate",
    "end_sessions",
    "remove_sessions",
    "set_operator",
    "append",
    "publish",
    "acknowledge",
    "add_invitation",
    "remove_invitation",
    "add_session",
    "remove_session",
    "forget_secret",
];

/// How many runs go on at a time: they mostly wait.
const AT_ONCE: usize = 6;

/// A federation with a job that is not started yet, for every run to begin with.
struct Prepared {
    dir: TempDir,
    token: String,
    url: String,
    invitation: String,
}

impl Prepared {
    fn new() -> Self {
        let server = Serve::start();
        let (invitation, people) = (server.fitbit(), server.people(CLIENTS as u32));
        assert!(people.starts_with(server.dir.path()));
        let keys: Vec<&str> = KEYS[2..].to_vec();
        let plan: Value = serde_json::from_str(&said(dure().args(["recipe", "plan", "fitbit"]).args(keys))).unwrap();
        let mut server = server;
        block_on(async {
            let job = json!({ "plan": plan, "seed": KEYS[1] });
            server.operator.post("/v1/federations/fitbit/jobs", job).await.ok();
            assert!(server.process.stop().await.success());
        });
        let Serve { dir, url, operator, .. } = server;
        Self { dir, token: operator.bearer, url, invitation }
    }

    /// A copy of its folder.
    fn copy(&self) -> TempDir {
        let copy = tempfile::tempdir().unwrap();
        copy_folder(self.dir.path(), copy.path());
        copy
    }
}

fn copy_folder(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            fs::create_dir(&copy).unwrap();
            copy_folder(&path, &copy);
        } else if path.is_file() {
            fs::copy(&path, copy).unwrap();
        }
    }
}

/// Who is to die.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Victim {
    Server,
    Agent,
}

/// A golden job in which somebody dies once, and those who look after it.
struct Run {
    server: Serve,
    agent: Process,
    invitation: String,
    people: PathBuf,
}

impl Run {
    /// Begins, with somebody who is to die at a passage of a point.
    fn begin(prepared: &Prepared, victim: Victim, passage: &str) -> Self {
        let doomed = How::default().env("DURE_KILL", passage);
        let (server_how, agent_how) = match victim {
            Victim::Server => (doomed, How::default()),
            Victim::Agent => (How::default(), doomed),
        };
        let server = Serve::resume_in(prepared.copy(), &prepared.token, &server_how);
        let people = server.path("people");
        let invitation = prepared.invitation.replace(&prepared.url, &server.url);
        // Made by somebody who lets others look into it.
        fs::create_dir(server.path("state-agent")).unwrap();
        let agent = server.join_as(&agent_how, "agent", &invitation, &people);
        Self { server, agent, invitation, people }
    }

    /// Starts again whoever has died.
    fn look_after(&mut self) {
        if self.server.process.is_over() {
            self.server.restart();
        }
        if self.agent.is_over() {
            self.agent = self.server.join_as(&How::default(), "agent", &self.invitation, &self.people);
        }
    }

    /// Whether anybody has died.
    fn has_killed(&self) -> bool {
        self.server.process.log().contains("killed at") || self.agent.log().contains("killed at")
    }

    /// Starts the job when all are there, and waits for its end.
    async fn job(&mut self) {
        let patience = Instant::now() + Duration::from_secs(90);
        loop {
            assert!(Instant::now() < patience, "{}\n{}", self.server.process.log(), self.agent.log());
            self.look_after();
            let job = self.get("/v1/federations/fitbit/jobs/1").await.unwrap_or_default();
            match job["status"].as_str() {
                Some("completed") => return,
                Some("created") if self.all_are_there().await => {
                    let start = "/v1/federations/fitbit/jobs/1/start";
                    drop(self.server.operator.try_send(Method::POST, start, json!({})).await);
                }
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    }

    async fn get(&self, path: &str) -> Option<Value> {
        let said = self.server.operator.try_send(Method::GET, path, json!({})).await?;
        (said.status == 200).then_some(said.body)
    }

    async fn all_are_there(&self) -> bool {
        let clients = self.get("/v1/federations/fitbit/clients").await.unwrap_or_default();
        let ready = |client: &&Value| client["state"] == "ready";
        clients.as_array().is_some_and(|clients| clients.iter().filter(ready).count() == CLIENTS)
    }

    /// Holds the agent, in all its lives, to have been done with each task once.
    fn assert_nobody_answers_twice(&self) {
        let log = self.agent.log();
        let done = log.lines().filter(|line| line.contains(" has done its part in round "));
        let done = done.map(|line| line.split_once("INFO ").unwrap().1.split_once(" in round ").unwrap());
        let mut tasks = BTreeSet::new();
        for (client, round) in done {
            let round = round.split(' ').next().unwrap();
            assert!(tasks.insert((client, round)), "{client} in round {round} twice: {log}");
        }
    }

    /// Ends the agent and the server, who may die of it or meanwhile, and looks at what is there then.
    async fn end(&mut self) {
        // What the server does about updates that nobody needs any more, nobody waits for.
        let updates = self.server.path("server/blobs/updates/fitbit");
        until("no update is left", async || {
            self.look_after();
            (fs::read_dir(&updates).map_or(0, Iterator::count) == 0).then_some(())
        })
        .await;
        self.agent.stop().await;
        self.server.process.stop().await;
        self.server.restart();
        Outcome::on(&self.server).await.assert_unharmed();
    }
}

/// Lets somebody die at a passage; whether it came to that.
fn killed_at(prepared: &Prepared, victim: Victim, passage: &str) -> bool {
    block_on(async {
        let mut run = Run::begin(prepared, victim, passage);
        run.job().await;
        run.end().await;
        run.assert_nobody_answers_twice();
        run.has_killed()
    })
}

/// Counts, of each point, the passages at which `killed` could let somebody die: from the first on, until one is not reached.
fn passages(steps: &[&'static str], killed: impl Fn(&str) -> bool + Sync) -> BTreeMap<String, u64> {
    let points: Vec<String> =
        steps.iter().flat_map(|step| ["before", "after"].map(|when| format!("{step}.{when}"))).collect();
    // Of each point the next passage, and the first that nobody came to.
    let states: Vec<(AtomicU64, AtomicU64)> = points.iter().map(|_| (1.into(), u64::MAX.into())).collect();
    let turn = AtomicU64::new(0);
    let deaths = Mutex::new(BTreeSet::new());
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                let mut idle = 0;
                while idle < points.len() {
                    let i = turn.fetch_add(1, Ordering::Relaxed) as usize % points.len();
                    let (next, missed) = &states[i];
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= missed.load(Ordering::Relaxed) {
                        idle += 1;
                        continue;
                    }
                    idle = 0;
                    match killed(&format!("{}:{n}", points[i])) {
                        true => drop(deaths.lock().unwrap().insert((i, n))),
                        false => drop(missed.fetch_min(n, Ordering::Relaxed)),
                    }
                }
            });
        }
    });
    let deaths = deaths.into_inner().unwrap();
    points
        .iter()
        .enumerate()
        .map(|(i, point)| (point.clone(), deaths.range((i, 0)..(i + 1, 0)).count() as u64))
        .collect()
}

/// Prints how many passages there were, and holds every point to at least `least` of them.
fn tell(who: &str, counts: &BTreeMap<String, u64>, least: impl Fn(&str) -> u64) {
    let total: u64 = counts.values().sum();
    println!("{who}: {total} of {total} deaths came to the quiet run's bits: {counts:?}");
    for (point, count) in counts {
        let least = least(point.split('.').next().unwrap());
        assert!(*count >= least, "{who} died {count} times at {point}, and there are at least {least} passages");
    }
}

/// The rounds of a golden job: measure, two of training and of evaluation, and the test.
const ROUNDS: u64 = 6;

#[test]
fn a_server_may_die_at_every_step() {
    let prepared = Prepared::new();
    let counts = passages(&SERVER, |passage| killed_at(&prepared, Victim::Server, passage));
    // Answers that come together are appended together.
    tell("the server", &counts, |step| match step {
        "append" | "publish" | "acknowledge" => ROUNDS,
        "put_secret" => CLIENTS as u64,
        "close-folder" | "lock" | "open-database" | "migrate" | "put_seen" => 1,
        // For the updates, and for the models.
        "make-folder" => 2,
        // An update of each client in two rounds, and three models; updates are removed.
        "remove" => 2 * CLIENTS as u64,
        _ => 2 * CLIENTS as u64 + 3,
    });
}

#[test]
fn an_agent_may_die_at_every_step() {
    let prepared = Prepared::new();
    let counts = passages(&AGENT, |passage| killed_at(&prepared, Victim::Agent, passage));
    tell("the agent", &counts, |step| match step {
        "lock" | "close-folder" => 1,
        "call" | "labour" => ROUNDS * CLIENTS as u64,
        "make-folder" => CLIENTS as u64,
        "remove" => 2 * CLIENTS as u64,
        // A secret, and in two rounds an answer and a memory, and a memory when the round is over.
        _ => 7 * CLIENTS as u64,
    });
}

/// Asks a server that may die, and is then started again, until it says yes; or that there is nothing to be done any more.
async fn insist(server: &mut Serve, bearer: Option<&str>, method: Method, path: &str, body: Value) -> Value {
    until("the server says yes", async || {
        if server.process.is_over() {
            server.restart();
        }
        let asker = bearer.map_or_else(|| server.operator.clone(), |bearer| server.operator.as_bearer(bearer));
        let said = asker.try_send(method.clone(), path, body.clone()).await?;
        let done = said.status < 300 || [404, 409].contains(&said.status);
        done.then_some(said.body)
    })
    .await
}

/// What an operator does, in this order; what invitations there are then.
async fn operate(server: &mut Serve) -> Vec<Value> {
    let (fitbit, token) = ("/v1/federations/fitbit", server.operator.bearer.clone());
    let invitations = format!("{fitbit}/invitations");
    insist(server, None, Method::POST, "/v1/federations", json!({ "name": "fitbit" })).await;
    insist(server, None, Method::POST, &invitations, json!({ "note": "first" })).await;
    let second = insist(server, None, Method::POST, &invitations, json!({ "note": "second" })).await;
    insist(server, None, Method::DELETE, &format!("{invitations}/1"), json!({})).await;
    let (secret, invited) = (secret_of("a"), second["token"].as_str().unwrap());
    let client = format!("{fitbit}/clients/a");
    insist(server, Some(invited), Method::PUT, &client, json!({ "secret": secret })).await;
    insist(server, None, Method::POST, &format!("{client}/release"), json!({})).await;
    insist(server, None, Method::POST, "/v1/session", json!({ "token": token })).await;
    insist(server, None, Method::DELETE, "/v1/session", json!({})).await;
    server.operator.get(&invitations).await.ok().as_array().unwrap().clone()
}

/// Sets a server up that dies at a passage; whether it came to that.
fn operated(passage: &str) -> bool {
    block_on(async {
        let dir = tempfile::tempdir().unwrap();
        let (log, token) = (dir.path().join("serve.log"), dir.path().join("token"));
        let args = ["--token-file", token.to_str().unwrap()];
        let how = How::default().env("DURE_KILL", passage).args(&args);
        let port = Port::take();
        let (process, told) = begin_to_serve(dir.path(), &port.address, &how);
        let mut server = match (fs::read_to_string(&token), told) {
            (Ok(token), Some(told)) => {
                let url = told["listening"].as_str().unwrap().to_owned();
                let operator = Api::new(&url, token.trim());
                Serve { process, dir, url, operator, how: How::default(), port }
            }
            // It died when its token was written down, and before it listened.
            (Ok(token), None) => Serve::resume_in(dir, token.trim(), &How::default()),
            // It died before that: another token is made.
            (Err(_), _) => {
                drop(process);
                let again = Serve::start_in(dir, How::default().args(&["--new-token"]));
                Serve { how: How::default(), ..again }
            }
        };
        let invitations = operate(&mut server).await;
        let notes: BTreeSet<&str> = invitations.iter().map(|invitation| invitation["note"].as_str().unwrap()).collect();
        assert!(notes.contains("second"), "{passage}: {invitations:?}");
        assert!(invitations.iter().all(|invitation| invitation["id"] != 1), "{passage}: {invitations:?}");
        let events = server.journal();
        let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["federation_created", "client_joined", "client_left"], "{passage}");
        server.process.stop().await;
        server.restart();
        assert_eq!(server.journal(), events);
        fs::read_to_string(log).unwrap().contains("killed at")
    })
}

#[test]
fn a_server_may_die_while_it_is_set_up() {
    let counts = passages(&OPERATOR, operated);
    tell("the server", &counts, |_| 1);
}

/// A source of the workspace, or all of a folder, without its tests.
fn source(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let mut files = vec![path.clone()];
    let mut text = String::new();
    while let Some(file) = files.pop() {
        if file.is_dir() {
            files.extend(fs::read_dir(file).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let whole = fs::read_to_string(file).unwrap();
            text += whole.split("#[cfg(test)]").next().unwrap();
        }
    }
    text
}

/// What stands after `call(` in quotes.
fn named(source: &str, call: &str) -> BTreeSet<String> {
    let call = format!("{call}(\"");
    source.split(&call).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
}

fn set(steps: &[&str]) -> BTreeSet<String> {
    steps.iter().map(|step| (*step).to_owned()).collect()
}

#[test]
fn every_step_is_one_to_die_at() {
    let (server, agent) = (&set(&SERVER) | &set(&OPERATOR), set(&AGENT));
    let around = |path: &str| {
        let text = source(path);
        &named(&text, "kill::around") | &named(&text, "kill::around_async")
    };
    let disk = around("machine/src");
    // It changes nothing that anybody reads, and only while the store is in trouble.
    let harmless = set(&["try_to_write"]);
    let begun = &named(&source("server/src/store/sqlite"), "begin") - &harmless;
    let of_server = &(&around("server/src") | &around("cli/src")) | &(&begun | &disk);
    assert_eq!(of_server, server, "what a server comes to, and where one dies");
    assert_eq!(&around("agent/src") | &disk, agent, "what an agent comes to, and where one dies");
    assert_eq!(set(dure_machine::kill::STEPS), &(&server | &agent) | &harmless, "the list");
}

#[test]
fn nothing_changes_a_disk_but_by_a_step() {
    let disk = source("machine/src/disk.rs");
    let system = disk.split("impl Disk for SystemDisk").nth(1).unwrap().split("/// Opens files").next().unwrap();
    let reading = ["kind", "names", "read", "read_range"];
    let mut changing = 0;
    for function in system.split("\n    fn ").skip(1) {
        let (name, body) = function.split_once('(').unwrap();
        if !reading.contains(&name) {
            let calls = body.matches("kill::around(").count();
            assert!(calls == if name == "write" { 2 } else { 1 }, "{name} is no step to die at: {body}");
            changing += 1;
        }
    }
    assert_eq!(changing, 9);
    for folder in ["server/src", "agent/src"] {
        let text = source(folder);
        let past: Vec<&str> = text
            .lines()
            .filter(|line| ["fs::", "File::", "OpenOptions"].iter().any(|way| line.contains(way)))
            .collect();
        assert!(past.is_empty(), "{folder} is to change the disk by its machine: {past:?}");
    }
    let text = source("server/src/store/sqlite");
    let outside = text.lines().filter(|line| line.contains("self.writer") && !line.trim().starts_with("//"));
    let outside: Vec<&str> = outside.filter(|line| !line.contains("begin_with") && !line.contains("close()")).collect();
    assert!(outside.is_empty(), "only `begin` writes: {outside:?}");
}
