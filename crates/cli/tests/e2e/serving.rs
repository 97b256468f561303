//! What a server is given that is wrong, and what it says then. Nothing is lost by it.

use std::{fs, io::Write as _, net::TcpListener, os::unix::fs::PermissionsExt as _, path::Path, process::Command};

use dure_core::{
    codec::Codec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
    update::{Update, Weight},
};
use dure_wire::{compress, encode_update};
use serde_json::{Value, json};

use crate::harness::{Api, Serve, block_on, dure, failed, http, said, until};

/// A job for one tensor of four values that only trains.
pub fn plan() -> Value {
    json!({
        "name": "line", "rounds": 3, "codec": "f32", "rows": "training", "measure": [], "scalars": [], "evaluate_every": 0,
        "refit": false, "test": false, "work": {}, "strategy": {"name": "fedavg"}, "stop": {},
        "cohort": {"min_clients": 2, "quorum": 2, "deadline_s": 600.0},
        "layout": [{"name": "line", "shape": [4], "initial": "zeros"}],
    })
}

/// An update over `values`, of the version with this digest.
pub fn update(values: &[f32], base: &str) -> Vec<u8> {
    let tensor = TensorSpec::new("line", vec![values.len()], Initial::Zeros);
    let params = Params::new(Layout::new(vec![tensor]).unwrap().into(), values.to_vec()).unwrap();
    encode_update(&Update::of_delta(params, Weight::new(2.0).unwrap()), Codec::F32, base.parse().unwrap())
}

/// Two clients, anna and bora, of a job that waits for their updates.
pub async fn two(server: &Serve, plan: Value) -> [Api; 2] {
    let operator = &server.operator;
    operator.post("/v1/federations", json!({"name": "line"})).await.ok();
    let invitation = operator.post("/v1/federations/line/invitations", json!({})).await.ok();
    let invited = operator.as_bearer(invitation["token"].as_str().unwrap());
    let (anna, bora) = (invited.join("line", "anna").await, invited.join("line", "bora").await);
    operator.post("/v1/federations/line/jobs", json!({"plan": plan})).await.ok();
    operator.post("/v1/federations/line/jobs/1/start", json!({})).await.ok();
    [anna, bora]
}

/// They, and anna's task.
async fn world(server: &Serve) -> (Api, Api, Value) {
    let [anna, bora] = two(server, plan()).await;
    let task = anna.get("/v1/federations/line/clients/anna/task?wait=20").await.ok();
    (anna, bora, task)
}

pub fn result_of(task: &Value) -> String {
    format!("/v1/federations/line/tasks/{}/result", task["task"].as_str().unwrap())
}

#[test]
fn settings_by_http_and_keys_on_a_command_line_make_the_same_job_byte_for_byte() {
    block_on(async {
        let server = Serve::start();
        server.fitbit();
        let settings =
            json!({"rounds": 7, "training.optimizer.learning_rate": 3e-4, "strategy": {"name": "fedprox", "mu": 0.1}});
        let plan = server.operator.post("/v1/recipes/fitbit/plan", json!({"settings": settings})).await.ok();
        server.operator.post("/v1/federations/fitbit/jobs", json!({"plan": plan, "seed": "5"})).await.ok();
        let keys = ["rounds=7", "training.optimizer.learning_rate=3e-4", "strategy={name=\"fedprox\",mu=0.1}"];
        said(server.dure().args(["job", "create", "fitbit", "--seed", "5"]).args(keys));
        let journal = String::from_utf8(server.operator.bytes("/v1/federations/fitbit/journal").await).unwrap();
        let created = journal.lines().filter(|line| line.contains("job_created"));
        let plans: Vec<&str> =
            created.map(|line| &line[line.find("\"seed\"").unwrap()..line.rfind('}').unwrap()]).collect();
        assert!(plans.len() == 2 && plans[0].contains("\"rounds\":7") && plans[0].contains("fedprox"), "{plans:?}");
        assert_eq!(plans[0], plans[1]);
        let refused = server.operator.post("/v1/recipes/fitbit/plan", json!({"settings": {"rounds": 0}})).await;
        refused.refused(422, "bad-setting");
        assert_eq!(refused.body["setting"], "rounds");
        assert_eq!(refused.body["detail"], "rounds = 0 is not allowed: 1 to 1000000");
        server.operator.get("/v1/recipes/nowhere").await.refused(404, "not-found");
    });
}

#[test]
fn a_bad_update_is_refused_and_nothing_is_lost() {
    block_on(async {
        let server = Serve::start();
        let (anna, bora, task) = world(&server).await;
        let (path, base) = (result_of(&task), task["base"].as_str().unwrap().to_owned());
        let good = update(&[1.0, 2.0, 3.0, 4.0], &base);

        anna.put_bytes(&path, update(&[1.0, f32::NAN, 3.0, 4.0], &base)).await.refused(422, "not-finite");
        anna.put_bytes(&path, update(&[1.0, 2.0], &base)).await.refused(422, "wrong-layout");
        let stale = anna.put_bytes(&path, update(&[1.0; 4], &"07".repeat(32))).await;
        stale.refused(422, "bad-file");
        assert!(stale.body["detail"].as_str().unwrap().contains("the update is of base 0707"), "{stale:?}");
        let announced = format!("{path}?sha256={}", Digest::of(b"something else"));
        anna.put_bytes(&announced, good.clone()).await.refused(422, "wrong-digest");
        anna.put_bytes(&path, b"certainly no tensors".to_vec()).await.refused(422, "bad-file");
        anna.put_bytes(&path, vec![0; 1 << 20]).await.refused(413, "too-large");
        assert_eq!(ten_gigabytes(&server, &anna, &path), 413);
        let long = json!({"facts": {"of": "x".repeat(64 << 10)}});
        anna.put("/v1/federations/line/clients/anna", long).await.refused(413, "too-large");

        let accepted = anna.put_bytes(&path, good.clone()).await.ok();
        assert_eq!(accepted["state"], "answered");
        assert_eq!(anna.put_bytes(&path, good.clone()).await.ok()["state"], "answered", "said twice, counted once");
        anna.put_bytes(&path, update(&[9.0; 4], &base)).await.refused(409, "duplicate-answer");

        let theirs = bora.get("/v1/federations/line/clients/bora/task?wait=20").await.ok();
        bora.put_bytes(&result_of(&theirs), update(&[3.0, 2.0, 1.0, 0.0], &base)).await.ok();
        let next = anna.get("/v1/federations/line/clients/anna/task?wait=20").await.ok();
        assert_eq!(next["task"], "1-train-2-1-anna");
        assert_eq!(anna.put_bytes(&path, good).await.ok()["state"], "committed", "a late repeat is harmless");
        anna.put_bytes(&path, update(&[9.0; 4], &base)).await.refused(409, "duplicate-answer");
        let file = anna.bytes("/v1/federations/line/models/2/weights").await;
        let (params, _) = dure_wire::decode_model(&file, None, file.len(), None).unwrap();
        assert_eq!(params.values(), [2.0, 2.0, 2.0, 2.0], "the mean of the two good ones");

        let third = "/v1/federations/line/tasks/1-train-9-1-anna/result";
        anna.put_bytes(third, update(&[1.0; 4], &base)).await.refused(404, "not-found");
        let old = "/v1/federations/line/tasks/1-train-1-7-anna/result";
        assert_eq!(anna.put_bytes(old, update(&[1.0; 4], &base)).await.status / 100, 4);
    });
}

/// Says that ten gigabytes are to come, and what comes back.
fn ten_gigabytes(server: &Serve, client: &Api, path: &str) -> u16 {
    let address = server.url.split("//").nth(1).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "PUT {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {}\r\ncontent-length: 10000000000\r\n\r\n",
        client.bearer
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = [0; 12];
    std::io::Read::read_exact(&mut stream, &mut answer).unwrap();
    std::str::from_utf8(&answer[9..]).unwrap().parse().unwrap()
}

#[test]
fn a_zip_bomb_is_refused() {
    block_on(async {
        let server = Serve::start();
        let (anna, _, task) = world(&server).await;
        let bomb = compress(&vec![0; 1 << 30], 3);
        let request = http().put(format!("{}{}", server.url, result_of(&task)));
        let response =
            request.bearer_auth(&anna.bearer).header("content-encoding", "zstd").body(bomb).send().await.unwrap();
        assert_eq!(response.status(), 413);
        let peak = fs::read_to_string(format!("/proc/{}/status", server.process.pid())).unwrap();
        let peak: u64 = peak
            .lines()
            .find_map(|line| line.strip_prefix("VmHWM:"))
            .unwrap()
            .trim()
            .split(' ')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(peak < 300 << 10, "{peak} kB were held");
    });
}

#[test]
fn a_plan_with_an_unknown_key_is_refused_by_its_name() {
    block_on(async {
        let server = Serve::start();
        server.operator.post("/v1/federations", json!({"name": "line"})).await.ok();
        let mut bad = plan();
        bad["cohort"]["quorun"] = json!(3);
        let refused = server.operator.post("/v1/federations/line/jobs", json!({"plan": bad})).await;
        refused.refused(400, "malformed");
        let detail = refused.body["detail"].as_str().unwrap();
        assert!(detail.contains("plan.cohort") && detail.contains("quorun") && detail.contains("quorum"), "{detail}");
        let mut bad = plan();
        bad["rounds"] = json!(0);
        let refused = server.operator.post("/v1/federations/line/jobs", json!({"plan": bad})).await;
        assert!(
            refused.body["detail"].as_str().unwrap().contains("rounds = 0 is not allowed: 1 to 1000000"),
            "{refused:?}"
        );
        let typo = failed(server.dure().args(["job", "start", "fitbit", "round=3", "--federation", "line"]));
        assert!(typo.contains("did you mean \"rounds\"?"), "{typo}");
    });
}

#[test]
fn a_plan_that_is_too_large_is_refused_with_the_bound() {
    block_on(async {
        let server = Serve::start_with(&["--max-parameters", "100"]);
        server.operator.post("/v1/federations", json!({"name": "line"})).await.ok();
        let create = async |tensors: Vec<Value>| {
            let mut plan = plan();
            plan["layout"] = json!(tensors);
            server.operator.post("/v1/federations/line/jobs", json!({ "plan": plan })).await
        };
        let tensor = |name: String, size: u64| json!({"name": name, "shape": [size], "initial": "zeros"});
        create(vec![tensor("w".into(), 100)]).await.ok();
        let refused = create(vec![tensor("w".into(), 101)]).await;
        refused.refused(422, "plan-too-large");
        let why = refused.body["detail"].as_str().unwrap();
        assert!(
            why.contains("101 parameters where this server takes 100") && why.contains("--max-parameters"),
            "{why}"
        );
        create(vec![tensor("w".into(), 1 << 36)]).await.refused(422, "plan-too-large");
        create(vec![tensor("w".repeat(3 << 20), 1)]).await.refused(422, "plan-too-large");
        assert_eq!(server.operator.get("/readyz").await.status, 200);
    });
}

#[test]
fn a_model_is_sent_whole_in_part_and_compressed() {
    block_on(async {
        let server = Serve::start();
        let (anna, _, task) = world(&server).await;
        let base = task["base"].as_str().unwrap();
        let (plain, packed) = (format!("\"{base}\""), format!("\"{base}-zstd\""));
        let fetch = async |headers: &[(&str, &str)]| {
            let mut request = http().get(format!("{}/v1/federations/line/models/1/weights", server.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            let response = request.bearer_auth(&anna.bearer).send().await.unwrap();
            let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
            let (status, tag, length) = (response.status().as_u16(), header("etag"), header("content-length"));
            let bytes = response.bytes().await.unwrap();
            assert!(status == 304 || length == Some(bytes.len().to_string()), "{headers:?}: {length:?}");
            (status, tag.unwrap(), bytes.to_vec())
        };
        let (status, tag, file) = fetch(&[]).await;
        assert_eq!((status, &tag, Digest::of(&file).to_string().as_str()), (200, &plain, base));
        let (status, tag, frame) = fetch(&[("accept-encoding", "zstd")]).await;
        assert_eq!((status, &tag, dure_wire::decompress(&frame, 1 << 20).unwrap()), (200, &packed, file.clone()));
        let (status, tag, part) = fetch(&[("range", "bytes=8-19"), ("if-range", &plain)]).await;
        assert_eq!((status, &tag, &part[..]), (206, &plain, &file[8..20]));
        assert_eq!(fetch(&[("range", "bytes=8-19"), ("if-range", &packed)]).await.2, file, "it is of another text");
        for known in [&plain, &packed] {
            assert_eq!(fetch(&[("if-none-match", known)]).await.0, 304);
        }
    });
}

#[test]
fn connections_beyond_the_bound_are_closed() {
    block_on(async {
        let server = Serve::start_with(&["--max-connections", "2"]);
        let address = server.url.split("//").nth(1).unwrap();
        let connect = || std::net::TcpStream::connect(address).unwrap();
        let health = || http().get(format!("{}/healthz", server.url)).send();
        let mut silent = vec![connect(), connect()];
        let full = until("there is no place any more", async || {
            // Whoever comes at the same time may be faster.
            silent.push(connect());
            health().await.is_err().then_some(())
        });
        full.await;
        drop(silent);
        until("there is a place again", async || health().await.ok()).await;
    });
}

#[test]
fn a_job_is_created_once_for_a_key() {
    block_on(async {
        let server = Serve::start();
        server.operator.post("/v1/federations", json!({"name": "line"})).await.ok();
        let create = async |key: &'static str, seed: &'static str| {
            let client = http();
            let request =
                client.post(format!("{}/v1/federations/line/jobs", server.url)).header("idempotency-key", key);
            let response = request
                .bearer_auth(&server.operator.bearer)
                .json(&json!({"plan": plan(), "seed": seed}))
                .send()
                .await
                .unwrap();
            let status = response.status().as_u16();
            (status, response.json::<Value>().await.unwrap()["job"].clone())
        };
        assert_eq!(create("k1", "1").await, (201, json!(1)));
        assert_eq!(create("k1", "1").await, (201, json!(1)), "the same again is the same job");
        assert_eq!(create("k1", "2").await.0, 422, "another body is another job");
        assert_eq!(create("k2", "2").await, (201, json!(2)));
    });
}

#[test]
fn two_servers_do_not_share_a_data_directory_or_a_port() {
    let server = Serve::start();
    let locked = failed(dure().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(server.path("server")));
    assert!(locked.contains("server") && locked.contains("another"), "{locked}");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let refused = failed(dure().args(["serve", "--listen", &address, "--data-dir"]).arg(server.path("second")));
    assert!(refused.contains(&address) && refused.contains("--listen"), "{refused}");
    let insecure = failed(dure().args(["serve", "--listen", "0.0.0.0:0", "--data-dir"]).arg(server.path("third")));
    assert!(insecure.contains("--tls-cert") && insecure.contains("--insecure-http"), "{insecure}");
}

#[test]
fn a_data_directory_that_cannot_be_written_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a-file");
    fs::write(&file, "in the way").unwrap();
    let refused = failed(dure().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(file.join("data")));
    assert!(refused.contains("a-file"), "{refused}");
    let readonly = dir.path().join("readonly");
    fs::create_dir(&readonly).unwrap();
    fs::set_permissions(&readonly, fs::Permissions::from_mode(0o500)).unwrap();
    let refused = failed(as_nobody(dir.path()).args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(&readonly));
    assert!(refused.contains("readonly"), "{refused}");
}

/// The binary as somebody without root's rights, whom a read-only folder stops.
fn as_nobody(dir: &Path) -> Command {
    if !said(Command::new("id").arg("-u")).trim().eq("0") {
        return dure();
    }
    let copy = dir.join("dure");
    fs::copy(env!("CARGO_BIN_EXE_dure"), &copy).unwrap();
    fs::set_permissions(dir, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]).arg(copy);
    command
}

#[test]
fn a_journal_with_a_damaged_row_is_not_served() {
    block_on(async {
        let mut server = Serve::start();
        world(&server).await;
        server.process.kill();
        let sqlite = server.path("server").join("dure.db");
        let damage = "import sqlite3, sys; db = sqlite3.connect(sys.argv[1]); db.execute(\"UPDATE events SET event = replace(event, 'anna', 'otto') WHERE sequence = 2\"); db.commit()";
        said(Command::new("python3").args(["-c", damage]).arg(&sqlite));
        let refused =
            failed(dure().args(["serve", "--listen", "127.0.0.1:0", "--data-dir"]).arg(server.path("server")));
        assert!(refused.contains("line") && refused.contains("entry 2 is broken"), "{refused}");
    });
}

#[test]
fn a_server_stops_when_it_is_told_to_and_goes_on_where_it_was() {
    block_on(async {
        let mut server = Serve::start();
        let (anna, _, task) = world(&server).await;
        let base = task["base"].as_str().unwrap();
        anna.put_bytes(&result_of(&task), update(&[1.0; 4], base)).await.ok();
        let seen = async || {
            server.operator.get("/v1/federations/line/clients/anna").await.ok()["last_seen_s"].as_f64().unwrap()
        };
        until("a while has passed", async || (seen().await > 0.2).then_some(())).await;
        let poll = anna.get("/v1/federations/line/clients/anna/task?wait=60");
        let stop = async {
            until("the poll has begun", async || (seen().await < 0.2).then_some(())).await;
            server.process.signal("TERM");
        };
        let (poll, ()) = tokio::join!(poll, stop);
        assert_eq!(poll.status, 204, "a poll under way ends at once");
        assert!(server.process.ended().await.success());
        server.restart();
        let job = server.operator.get("/v1/federations/line/jobs/1").await.ok();
        assert_eq!(job["round"]["reported"], json!(["anna"]), "{job}");
        let waiting = job["waiting"].as_str().unwrap();
        assert!(waiting.starts_with("round 1-train-1-1: 1 of 2 needed; bora last seen"), "{waiting}");
    });
}

/// The cookie of a session that began over TLS.
async fn cookie_over_tls(server: &Serve, cert: &str) -> String {
    drop(rustls::crypto::ring::default_provider().install_default());
    let cert = reqwest::Certificate::from_pem(&fs::read(cert).unwrap()).unwrap();
    let browser = reqwest::Client::builder().no_proxy().tls_certs_only([cert]).build().unwrap();
    let begin = browser.post(format!("{}/v1/session", server.url)).json(&json!({ "token": server.operator.bearer }));
    begin.send().await.unwrap().headers()["set-cookie"].to_str().unwrap().to_owned()
}

#[test]
fn tls_is_spoken_with_a_certificate() {
    // Made for these tests: openssl req -x509 … -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1,DNS:localhost, 100 years.
    let file = |name: &str| format!("{}/tests/e2e/certificate/{name}.pem", env!("CARGO_MANIFEST_DIR"));
    let (cert, key) = (file("cert"), file("key"));
    let (cert_text, key_text) = (cert.as_str(), key.as_str());
    block_on(async {
        let server = Serve::start_with(&["--tls-cert", cert_text, "--tls-key", key_text]);
        assert!(server.url.starts_with("https://"));
        assert!(cookie_over_tls(&server, &cert).await.ends_with("; Secure"));
        said(server.dure().args(["federation", "create", "fitbit", "--ca", cert_text]));
        let invitation = said(server.dure().args(["invite", "--ca", cert_text]));
        let people = server.people(3);
        let mut agent = server.join("tls", invitation.trim(), &people, &["--ca", cert_text]);
        let shown = until("the agent's clients are there", async || {
            let shown = said(server.dure().args(["federation", "show", "--json", "--ca", cert_text]));
            shown.contains("\"ready\": 3").then_some(shown)
        });
        shown.await;
        assert!(agent.stop().await.success());
        let mut stranger = server.join("stranger", invitation.trim(), &people, &[]);
        until("an agent without the authority says why", async || stranger.log().contains("certificate").then_some(()))
            .await;
        stranger.kill();
    });
}
