//! Processes that end with the test, and requests to them.

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpSocket;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(90);

/// The binary.
pub fn dure() -> Command {
    How::default().command()
}

/// How a process is started, beyond what it needs.
#[derive(Clone, Debug, Default)]
pub struct How {
    /// What starts it in its own place, and with what arguments: `["prlimit", "--nofile=64"]`.
    pub under: Vec<String>,
    /// Variables of its environment.
    pub env: Vec<(String, String)>,
    /// More arguments.
    pub args: Vec<String>,
}

impl How {
    /// With more arguments.
    pub fn args(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// With a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Started by another program.
    pub fn under(mut self, words: &[&str]) -> Self {
        self.under.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// The binary, without the arguments: they come last.
    pub fn command(&self) -> Command {
        let mut words = self.under.iter().map(String::as_str).chain([env!("CARGO_BIN_EXE_dure")]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        for name in ["DURE_SERVER", "DURE_TOKEN", "DURE_FEDERATION", "DURE_INVITATION", "RUST_LOG"] {
            command.env_remove(name);
        }
        command.envs(self.env.iter().cloned());
        command
    }
}

/// Runs the binary to its end and returns what it printed. It must succeed.
pub fn said(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success(), "{command:?}: {}\n{out}\n{err}", output.status);
    out
}

/// Runs the binary to its end and returns what it complained about. It must fail.
pub fn failed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{command:?} was to fail");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Waits until `condition` gives something; says what was waited for if it never does.
pub async fn until<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(15)).await;
    }
}

/// A process that is killed when the test is over.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with its standard error in a file.
    pub fn start(command: &mut Command, log: &Path) -> Self {
        let file = File::options().create(true).append(true).open(log).unwrap();
        let child = command.stdin(Stdio::null()).stderr(file).spawn().unwrap();
        Self { child, log: log.to_owned() }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Sends a signal by its name.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill").args(["-s", name, &self.pid().to_string()]).status().unwrap();
        assert!(sent.success());
    }

    /// Sets a limit of the running process, as `prlimit` spells it: `--nofile=64:1000`.
    pub fn limit(&self, limit: &str) {
        said(Command::new("prlimit").args(["--pid", &self.pid().to_string(), limit]));
    }

    /// SIGTERM, and then the end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal("TERM");
        self.ended().await
    }

    /// Waits for the end.
    pub async fn ended(&mut self) -> ExitStatus {
        until("the process ends", async || self.child.try_wait().unwrap()).await
    }

    /// Whether it has ended.
    pub fn is_over(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// What it has written to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<&str> = log.lines().rev().take(30).collect();
            eprintln!("--- {} ---", self.log.display());
            tail.into_iter().rev().for_each(|line| eprintln!("{line}"));
        }
    }
}

/// A folder, a server in it, and its operator.
pub struct Serve {
    /// Goes before its folder, so that its log can still be read.
    pub process: Process,
    pub dir: TempDir,
    pub url: String,
    pub operator: Api,
    /// How it is started the next time.
    pub how: How,
    pub port: Port,
}

/// A port of this machine that nobody else is given, also while no server listens there: it would be another's before a killed
/// server is back.
pub struct Port {
    _socket: TcpSocket,
    /// The address to listen at.
    pub address: String,
}

impl Port {
    pub fn take() -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        // So the server may bind it as well, and the kernel gives it to nobody who asks for any.
        socket.set_reuseaddr(true).unwrap();
        socket.bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = socket.local_addr().unwrap().to_string();
        Self { _socket: socket, address }
    }
}

impl Serve {
    pub fn start() -> Self {
        Self::start_as(How::default())
    }

    /// A server that loads this library.
    pub fn start_under(library: &str) -> Self {
        Self::start_as(How::default().env("LD_PRELOAD", library))
    }

    /// A server with more arguments than it needs.
    pub fn start_with(args: &[&str]) -> Self {
        Self::start_as(How::default().args(args))
    }

    pub fn start_as(how: How) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), how)
    }

    /// A server in a folder where there has been one, whose operator has this token. If it dies before it listens, it is
    /// started again without that.
    pub fn resume_in(dir: TempDir, token: &str, how: &How) -> Self {
        let port = Port::take();
        let (mut process, said) = begin_to_serve(dir.path(), &port.address, how);
        let said = said.unwrap_or_else(|| {
            let (again, said) = serve(dir.path(), &port.address, &How::default());
            process = again;
            said
        });
        let url = said["listening"].as_str().unwrap().to_owned();
        Self { process, operator: Api::new(&url, token), url, dir, how: How::default(), port }
    }

    /// A server whose data are below `dir`.
    pub fn start_in(dir: TempDir, how: How) -> Self {
        let port = Port::take();
        let (process, said) = serve(dir.path(), &port.address, &how);
        let (url, token) = (said["listening"].as_str().unwrap(), said["operator_token"].as_str().unwrap());
        let operator = Api::new(url, token);
        Self { process, url: url.to_owned(), operator, dir, how, port }
    }

    /// Starts it again where it was: the same folder, the same port.
    pub fn restart(&mut self) {
        (self.process, _) = serve(self.dir.path(), &self.port.address, &self.how);
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The command line of its operator.
    pub fn dure(&self) -> Command {
        let mut command = dure();
        command.env("DURE_SERVER", &self.url).env("DURE_TOKEN", &self.operator.bearer);
        command
    }

    /// A federation for the built-in recipe, and an invitation to it.
    pub fn fitbit(&self) -> String {
        said(self.dure().args(["federation", "create", "fitbit"]));
        said(self.dure().arg("invite")).trim().to_owned()
    }

    /// Made-up people's rows.
    pub fn people(&self, people: u32) -> PathBuf {
        let folder = self.path("people");
        said(dure().args(["data", "generate", "fitbit", "--people", &people.to_string(), "--out"]).arg(&folder));
        folder
    }

    /// An agent called `name`, for its state folder and its log.
    pub fn join(&self, name: &str, invitation: &str, data: &Path, args: &[&str]) -> Process {
        self.join_as(&How::default().args(args), name, invitation, data)
    }

    /// The same, with a library loaded.
    pub fn join_under(&self, library: &str, name: &str, invitation: &str, data: &Path, args: &[&str]) -> Process {
        self.join_as(&How::default().env("LD_PRELOAD", library).args(args), name, invitation, data)
    }

    /// The same, in any way.
    pub fn join_as(&self, how: &How, name: &str, invitation: &str, data: &Path) -> Process {
        let mut command = how.command();
        command.arg("join").env("DURE_INVITATION", invitation).arg("--data").arg(data).args(&how.args);
        command.arg("--state-dir").arg(self.path(&format!("state-{name}"))).stdout(Stdio::null());
        Process::start(&mut command, &self.path(&format!("{name}.log")))
    }

    /// Waits until so many clients take part.
    pub async fn until_clients(&self, count: usize) {
        let here = |client: &Value| !["joined", "lost", "left", "evicted"].contains(&client["state"].as_str().unwrap());
        until("the clients are there", async || {
            let clients = self.operator.get("/v1/federations/fitbit/clients").await.ok();
            (clients.as_array().unwrap().iter().filter(|client| here(client)).count() == count).then_some(())
        })
        .await;
    }

    /// Waits until a client is in this state.
    pub async fn until_client(&self, client: &str, state: &str) {
        until("the client's state is as expected", async || {
            let said = self.operator.get(&format!("/v1/federations/fitbit/clients/{client}")).await;
            (said.body["state"] == state).then_some(())
        })
        .await;
    }

    /// Creates a job from the built-in recipe and starts it.
    pub fn start_job(&self, args: &[&str]) {
        said(self.dure().args(["job", "start", "fitbit", "--federation", "fitbit"]).args(args));
    }

    /// A job; null if there is none yet.
    pub async fn job(&self, job: u32) -> Value {
        let said = self.operator.get(&format!("/v1/federations/fitbit/jobs/{job}")).await;
        if said.status == 404 { Value::Null } else { said.ok() }
    }

    /// Waits until a job has come to its end, and returns it.
    pub async fn until_over(&self, job: u32) -> Value {
        until("the job is over", async || {
            let job = self.job(job).await;
            ["completed", "aborted", "gave_up", "failed"].contains(&job["status"].as_str()?).then_some(job)
        })
        .await
    }

    /// Waits until a round that is stepped by hand has all its answers.
    pub async fn until_answered(&self, job: u32) {
        until("the round waits to be aggregated", async || {
            let waiting = self.job(job).await["waiting"].clone();
            waiting.as_str().is_some_and(|text| text.ends_with("awaits 0 more; aggregate it")).then_some(())
        })
        .await;
    }

    /// Waits until so many rounds of the job are done.
    pub async fn until_round(&self, job: u32, round: u64) {
        until("the round is done", async || {
            (self.job(job).await["completed"].as_u64().unwrap() >= round).then_some(())
        })
        .await;
    }

    /// The digests of all model versions.
    pub async fn digests(&self) -> Vec<String> {
        let models = self.operator.get("/v1/federations/fitbit/models").await.ok();
        models.as_array().unwrap().iter().map(|model| model["sha256"].as_str().unwrap().to_owned()).collect()
    }

    /// The events of the journal, as they were exported.
    pub fn journal(&self) -> Vec<Value> {
        let file = self.path("journal.jsonl");
        said(self.dure().args(["federation", "export", "--out"]).arg(&file));
        let text = fs::read_to_string(&file).unwrap();
        text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect()
    }
}

fn serve(dir: &Path, listen: &str, how: &How) -> (Process, Value) {
    let (process, said) = begin_to_serve(dir, listen, how);
    let said = said.unwrap_or_else(|| panic!("the server does not listen: {}", process.log()));
    (process, said)
}

/// Starts a server, and waits until it says where it listens, or has ended.
pub fn begin_to_serve(dir: &Path, listen: &str, how: &How) -> (Process, Option<Value>) {
    let mut command = how.command();
    command.args(["serve", "--json", "--listen", listen, "--data-dir"]).arg(dir.join("server")).args(&how.args);
    let mut process = Process::start(command.stdout(Stdio::piped()), &dir.join("serve.log"));
    let mut line = String::new();
    BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (process, serde_json::from_str(&line).ok())
}

/// Speaks to a server as somebody.
#[derive(Clone)]
pub struct Api {
    client: Client,
    url: String,
    pub bearer: String,
}

/// What a server said.
#[derive(Debug)]
pub struct Said {
    pub status: u16,
    pub kind: String,
    pub body: Value,
}

impl Said {
    /// The body of an answer that is none of refusal.
    pub fn ok(self) -> Value {
        assert!(self.status < 300, "{self:?}");
        self.body
    }

    /// Holds a refusal to RFC 9457, and to its status and type.
    pub fn refused(&self, status: u16, problem: &str) {
        assert_eq!((self.status, self.kind.as_str()), (status, "application/problem+json"), "{self:?}");
        assert_eq!(self.body["type"], format!("/problems/{problem}"), "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        assert!(self.body["title"].is_string() && self.body["detail"].is_string(), "{self:?}");
    }
}

impl Api {
    pub fn new(url: &str, bearer: &str) -> Self {
        Self { client: http(), url: url.to_owned(), bearer: bearer.to_owned() }
    }

    /// The same server, as somebody else.
    pub fn as_bearer(&self, bearer: &str) -> Self {
        Self { bearer: bearer.to_owned(), ..self.clone() }
    }

    pub async fn get(&self, path: &str) -> Said {
        self.send(Method::GET, path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Said {
        self.send(Method::POST, path, Some(body)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Said {
        self.send(Method::PUT, path, Some(body)).await
    }

    pub async fn send(&self, method: Method, path: &str, body: Option<Value>) -> Said {
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if !self.bearer.is_empty() {
            request = request.bearer_auth(&self.bearer);
        }
        if let Some(body) = body {
            request = request.json(&body);
        }
        read(request.send().await.unwrap()).await
    }

    /// Sends, to a server that may be dying: `None` if there is no whole answer.
    pub async fn try_send(&self, method: Method, path: &str, body: Value) -> Option<Said> {
        let request = self.client.request(method, format!("{}{path}", self.url)).bearer_auth(&self.bearer);
        let request = request.header("idempotency-key", "once").header("cookie", "dure_session=none");
        let response = request.json(&body).send().await.ok()?;
        let (status, text) = (response.status().as_u16(), response.text().await.ok()?);
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Some(Said { status, kind: String::new(), body })
    }

    /// Sends bytes, as they are.
    pub async fn put_bytes(&self, path: &str, bytes: Vec<u8>) -> Said {
        let request = self.client.put(format!("{}{path}", self.url)).bearer_auth(&self.bearer).body(bytes);
        read(request.send().await.unwrap()).await
    }

    /// Fetches bytes, as they are.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let request = self.client.get(format!("{}{path}", self.url)).bearer_auth(&self.bearer);
        let response = request.send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    /// Joins as `name` with a secret made of it; the same server as that client.
    pub async fn join(&self, federation: &str, name: &str) -> Self {
        let secret = secret_of(name);
        self.put(&format!("/v1/federations/{federation}/clients/{name}"), json!({ "secret": secret })).await.ok();
        self.as_bearer(&secret)
    }
}

/// A secret that a test's client draws: not random at all.
pub fn secret_of(name: &str) -> String {
    let digits: String = name.bytes().cycle().take(32).map(|byte| format!("{byte:02x}")).collect();
    digits
}

async fn read(response: reqwest::Response) -> Said {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let kind = headers.get("content-type").map_or("", |kind| kind.to_str().unwrap()).to_owned();
    let text = response.text().await.unwrap();
    let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
    Said { status, kind, body }
}

/// A plain HTTP client.
pub fn http() -> Client {
    // The second and later times it is there already.
    drop(rustls::crypto::ring::default_provider().install_default());
    // A connection that is kept may be to a server that was killed meanwhile.
    Client::builder().no_proxy().pool_max_idle_per_host(0).build().unwrap()
}

/// Runs a test's future.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
