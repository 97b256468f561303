//! A server of a few lines, in memory, that does what a test lays down; and an agent with made-up people to run against it.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method, StatusCode},
    response::{IntoResponse, Response},
};
use dure_agent::{AgentConfig, AgentError, Clock, Ended, Invitation, Policy, run_by};
use dure_core::{
    digest::Digest,
    federation::TaskState,
    journal::Head,
    model::Params,
    name::ClientName,
    plan::{Plan, PlanSpec},
    round::{Kind, RoundId, TaskId},
};
use dure_learn::{
    client::measure_everybody,
    data::{
        DataSet, Source,
        people::{Generator, generate},
        table::{self, Target},
    },
    recipe::Recipe,
};
use dure_wire::{
    api::{ClientState, ClientView, FederationView, JobStatus, JobView, Problem, TaskOutcome, TaskView},
    compress, decompress, encode_model,
};
use serde_json::Map;
use tokio::{
    runtime::Runtime,
    sync::{oneshot, watch},
    task::JoinHandle,
    time::timeout,
};

/// A test that waits longer than this for anything has failed.
const PATIENCE: Duration = Duration::from_secs(30);

pub fn recipe(overrides: &[&str]) -> Recipe {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    Recipe::parse("fitbit", include_str!("../../../../recipes/fitbit.toml"), &overrides).unwrap()
}

pub fn people(n: u32, recipe: &Recipe) -> DataSet {
    let csv = generate(Generator { people: n, days: 12 }, 3);
    let file = Path::new("made-up people");
    let rows = table::parse(file, csv.as_bytes(), &recipe.schema, &recipe.site, Target::Needed).unwrap();
    table::group(file, rows, &recipe.schema, &recipe.site, Source::Generated).unwrap()
}

/// A request that the server has got.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    pub path: String,
    pub query: String,
    pub bearer: String,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Seen {
    /// Whether it is of this method, and its path below the federation begins so.
    pub fn is(&self, method: &str, path: &str) -> bool {
        self.method == method && self.path.starts_with(path)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// What is inside the zstd frame.
    pub fn unpacked(&self) -> Vec<u8> {
        assert_eq!(self.headers["content-encoding"], "zstd");
        decompress(&self.body, 1 << 30).unwrap()
    }
}

type Script = Box<dyn FnMut(&Seen) -> Option<Response> + Send>;

/// What the server knows.
pub struct World {
    pub plan: Plan,
    pub seed: u64,
    pub statistics: Option<dure_core::statistics::Statistics>,
    pub model: Vec<u8>,
    pub view: FederationView,
    pub head: Head,
    /// What clients are asked, until they answer.
    pub tasks: BTreeMap<ClientName, TaskView>,
    pub outcomes: BTreeMap<TaskId, TaskState>,
    /// Whether polls wait for something to happen.
    pub patient: bool,
    /// The members who take no tasks.
    pub resting: BTreeSet<String>,
    /// Answers in the world's place where it has one.
    script: Script,
    pub seen: Vec<Seen>,
}

/// The server.
pub struct Fake {
    pub world: Arc<Mutex<World>>,
    changed: watch::Sender<()>,
    listener: Option<TcpListener>,
    address: std::net::SocketAddr,
    /// A runtime of its own: when it goes, so does every connection.
    serving: Option<Runtime>,
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stop();
    }
}

#[derive(Clone)]
struct Shared {
    world: Arc<Mutex<World>>,
    changed: watch::Sender<()>,
}

impl Fake {
    /// Serves a federation whose only job has the plan of `recipe`.
    pub async fn serve(recipe: &Recipe, data: &DataSet) -> Self {
        let mut fake = Self::bind(recipe, data);
        fake.start();
        fake
    }

    /// Has an address, and does not answer yet.
    pub fn bind(recipe: &Recipe, data: &DataSet) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let world = Arc::new(Mutex::new(World::new(recipe, data)));
        Self { world, changed: watch::Sender::new(()), listener: Some(listener), address, serving: None }
    }

    pub fn start(&mut self) {
        let listener = self.listener.take().expect("it starts once");
        let shared = Shared { world: Arc::clone(&self.world), changed: self.changed.clone() };
        let router = Router::new().fallback(handle).with_state(shared);
        listener.set_nonblocking(true).unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        self.serving = Some(runtime);
    }

    /// Nobody answers any more; what is open breaks off.
    pub fn stop(&mut self) {
        if let Some(serving) = self.serving.take() {
            serving.shutdown_background();
        }
    }

    /// The address's listener is gone, so that connections are refused.
    pub fn refuse(&mut self) {
        self.listener = None;
    }

    /// Serves again where it did.
    pub async fn return_to_its_port(&mut self) {
        // The system takes a moment to give the port back.
        let bound = timeout(PATIENCE, async {
            loop {
                match TcpListener::bind(self.address) {
                    Ok(listener) => return listener,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        });
        self.listener = Some(bound.await.expect("the port is free again"));
        self.start();
    }

    pub fn invitation(&self) -> Invitation {
        Invitation::parse(&format!("http://{}/test#{}", self.address, TOKEN.repeat(32))).unwrap()
    }

    pub fn change(&self, change: impl FnOnce(&mut World)) {
        change(&mut self.world.lock().unwrap());
        self.changed.send_replace(());
    }

    pub fn script(&self, script: impl FnMut(&Seen) -> Option<Response> + Send + 'static) {
        self.world.lock().unwrap().script = Box::new(script);
    }

    /// Asks a client to do something.
    pub fn ask(&self, client: &ClientName, kind: Kind, ordinal: u32) -> TaskId {
        let task = TaskId { round: RoundId { job: 1, kind, ordinal, attempt: 1 }, client: client.clone() };
        self.change(|world| {
            let view = world.task(&task);
            world.outcomes.insert(task.clone(), TaskState::Awaited);
            world.tasks.insert(client.clone(), view);
        });
        task
    }

    /// What has become of a task, from now on.
    pub fn becomes(&self, task: &TaskId, state: TaskState) {
        self.change(|world| {
            world.outcomes.insert(task.clone(), state);
        });
    }

    /// Waits until the requests so far are such that `enough`.
    pub async fn until<T>(&self, mut enough: impl FnMut(&[Seen]) -> Option<T>) -> T {
        let mut changed = self.changed.subscribe();
        let waiting = async {
            loop {
                if let Some(found) = enough(&self.world.lock().unwrap().seen) {
                    return found;
                }
                changed.changed().await.unwrap();
            }
        };
        match timeout(PATIENCE, waiting).await {
            Ok(found) => found,
            Err(_) => panic!("it did not happen; the server saw {:#?}", self.paths()),
        }
    }

    /// Waits for the `n`th request of this kind, counted from 1.
    pub async fn nth(&self, n: usize, method: &str, path: &str) -> Seen {
        self.until(|seen| seen.iter().filter(|seen| seen.is(method, path)).nth(n - 1).cloned()).await
    }

    pub fn count(&self, method: &str, path: &str) -> usize {
        self.world.lock().unwrap().seen.iter().filter(|seen| seen.is(method, path)).count()
    }

    pub fn paths(&self) -> Vec<String> {
        self.world.lock().unwrap().seen.iter().map(|seen| format!("{} {}", seen.method, seen.path)).collect()
    }
}

/// The beginning of the invitation's token.
pub const TOKEN: &str = "5f";

impl World {
    fn new(recipe: &Recipe, data: &DataSet) -> Self {
        let plan = recipe.plan("fitbit").unwrap();
        let params = Params::initial(Arc::new(plan.layout.clone()), 1);
        let serde_json::Value::Object(schema) = serde_json::to_value(&recipe.schema).unwrap() else { unreachable!() };
        let view = FederationView {
            name: "test".into(),
            recipe: Some("fitbit".into()),
            schema: Some(schema),
            clients: BTreeMap::new(),
            jobs: 1,
            active_job: Some(1),
            versions: 1,
            lease_s: 60.0,
            journal: Head::default(),
        };
        Self {
            plan,
            seed: 1,
            statistics: Some(measure_everybody(data, &recipe.schema)),
            model: encode_model(&params, &Map::new()),
            view,
            head: Head { sequence: 1, hash: Digest([1; 32]) },
            tasks: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            patient: true,
            resting: BTreeSet::new(),
            script: Box::new(|_| None),
            seen: Vec::new(),
        }
    }

    pub fn task(&self, task: &TaskId) -> TaskView {
        let round = task.round;
        let model = round.kind != Kind::Measure;
        TaskView {
            task: task.clone(),
            kind: round.kind,
            job: round.job,
            ordinal: round.ordinal,
            version: model.then_some(1),
            base: model.then(|| Digest::of(&self.model)),
            cohort: 3,
            max_bytes: 1 << 20,
            deadline_s: 600.0,
            journal: self.head,
        }
    }

    fn job(&self) -> JobView {
        JobView {
            job: 1,
            status: JobStatus::Running,
            waiting: None,
            seed: self.seed.to_string(),
            refit_of: None,
            completed: 0,
            rounds: self.plan.rounds,
            limit: None,
            version: Some(1),
            trained: None,
            best: None,
            round: None,
            plan: PlanSpec::from(self.plan.clone()),
            statistics: self.statistics.clone(),
        }
    }

    /// What a server would answer; `None` for a poll that brings nothing.
    fn answer(&mut self, seen: &Seen) -> Option<Response> {
        let parts: Vec<&str> = seen.path.split('/').skip(1).collect();
        Some(match (seen.method.as_str(), &parts[..]) {
            ("GET", [""]) => Json(FederationView { journal: self.head, ..self.view.clone() }).into_response(),
            ("PUT", ["clients", name]) => {
                let ready = seen.json()["ready"].as_bool().unwrap();
                self.member(name, ready)
            }
            ("PATCH", ["clients", name]) => {
                let ready = seen.json()["ready"].as_bool().unwrap_or(!self.resting.contains(*name));
                self.member(name, ready)
            }
            ("DELETE", ["clients", _]) => StatusCode::NO_CONTENT.into_response(),
            ("GET", ["clients", name, "task"]) => {
                let client = ClientName::new(*name).unwrap();
                return self.tasks.get(&client).map(|task| Json(task).into_response());
            }
            ("GET", ["jobs", "1"]) => Json(self.job()).into_response(),
            ("GET", ["models", "1", "weights"]) => {
                ([("content-encoding", "zstd")], compress(&self.model, 1)).into_response()
            }
            ("GET", ["tasks", task]) => self.outcome(task),
            ("PUT" | "POST", ["tasks", task, what]) => {
                let id: TaskId = task.parse().unwrap();
                self.tasks.remove(&id.client);
                let state = if *what == "decline" { TaskState::Dropped } else { TaskState::Answered };
                self.outcomes.insert(id, state);
                self.outcome(task)
            }
            _ => problem(404, "not-found", &format!("there is no {}", seen.path)),
        })
    }

    fn member(&mut self, name: &str, ready: bool) -> Response {
        if ready {
            self.resting.remove(name);
        } else {
            self.resting.insert(name.to_owned());
        }
        let view = ClientView {
            client: ClientName::new(name).unwrap(),
            state: if ready { ClientState::Ready } else { ClientState::Joined },
            reason: String::new(),
            epoch: 1,
            task: None,
            last_seen_s: None,
            lease_ends_in_s: None,
            facts: Map::new(),
        };
        Json(view).into_response()
    }

    fn outcome(&self, task: &str) -> Response {
        let task: TaskId = task.parse().unwrap();
        match self.outcomes.get(&task) {
            Some(state) => Json(TaskOutcome { task, state: *state, journal: self.head }).into_response(),
            None => problem(404, "not-found", "there is no such task"),
        }
    }

    fn nothing(&self) -> Response {
        let head = format!("{} {}", self.head.sequence, self.head.hash);
        (StatusCode::NO_CONTENT, [("dure-journal", head)]).into_response()
    }
}

pub fn problem(status: u16, kind: &str, detail: &str) -> Response {
    let (kind, title) = (format!("/problems/{kind}"), kind.to_owned());
    let body = Problem { kind, title, status, detail: detail.into() };
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/problem+json")], Json(body).into_response())
        .into_response()
}

/// The beginning of an answer, and then the connection breaks.
pub fn lost_reply() -> Response {
    let broken = std::io::Error::other("the line is cut");
    let stream = futures_util::stream::iter([Ok(Bytes::from_static(b"{")), Err(broken)]);
    Response::new(Body::from_stream(stream))
}

async fn handle(State(shared): State<Shared>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/v1/federations/test").expect("the federation's name").to_owned();
    let path = if path.is_empty() { "/".into() } else { path };
    let bearer = parts.headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let query = parts.uri.query().unwrap_or_default().to_owned();
    let body = to_bytes(body, 1 << 30).await.unwrap();
    let seen = Seen { method: parts.method, path, query, bearer, headers: parts.headers, body };
    let (mut changed, mut new) = (shared.changed.subscribe(), true);
    loop {
        changed.borrow_and_update();
        let (answer, patient) = {
            let mut world = shared.world.lock().unwrap();
            // A request is seen when it has been answered: what a test does then comes after it.
            let answer = (world.script)(&seen).or_else(|| world.answer(&seen));
            if std::mem::take(&mut new) {
                world.seen.push(seen.clone());
            }
            let patient = world.patient && !seen.query.ends_with("wait=0");
            (answer.or_else(|| (!patient).then(|| world.nothing())), patient)
        };
        shared.changed.send_if_modified(|()| answer.is_some() || patient);
        if let Some(answer) = answer {
            return answer;
        }
        changed.borrow_and_update();
        if timeout(Duration::from_secs(20), changed.changed()).await.is_err() {
            return shared.world.lock().unwrap().nothing();
        }
    }
}

/// An agent that runs.
pub struct Agent {
    running: JoinHandle<Result<Ended, AgentError>>,
    stop: Option<oneshot::Sender<()>>,
}

pub fn config(fake: &Fake, recipe: &Recipe, data: &DataSet, state_dir: impl Into<PathBuf>) -> AgentConfig {
    AgentConfig {
        invitation: fake.invitation(),
        clients: data.clients.clone(),
        schema: recipe.schema.clone(),
        recipe: recipe.name.clone(),
        state_dir: state_dir.into(),
        policy: Policy::default(),
        status: None,
        ca: None,
        threads: 2,
        facts: Map::new(),
        insecure_http: false,
    }
}

impl Agent {
    pub fn start(config: AgentConfig) -> Self {
        Self::start_by(config, Clock::local())
    }

    pub fn start_by(config: AgentConfig, clock: Clock) -> Self {
        let (stop, stopped) = oneshot::channel::<()>();
        let until = async {
            let _ = stopped.await;
        };
        Self { running: tokio::spawn(run_by(config, clock, until)), stop: Some(stop) }
    }

    /// How it ends by itself.
    pub async fn ended(self) -> Result<Ended, AgentError> {
        let stop = self.stop;
        let ended = timeout(PATIENCE, self.running).await.expect("it ends in time").unwrap();
        drop(stop);
        ended
    }

    /// Stops it as SIGTERM does.
    pub async fn stop(mut self) -> Result<Ended, AgentError> {
        drop(self.stop.take());
        timeout(PATIENCE, self.running).await.expect("it ends in time").unwrap()
    }

    /// Stops it as a power cut does.
    pub async fn kill(self) {
        self.running.abort();
        let _ = self.running.await;
    }
}

/// Waits until a file says so.
pub async fn until_file(path: &Path, enough: impl Fn(&str) -> bool) {
    let waiting = async {
        while !std::fs::read_to_string(path).is_ok_and(|text| enough(&text)) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let shown = || std::fs::read_to_string(path);
    assert!(timeout(PATIENCE, waiting).await.is_ok(), "{} is {:?}", path.display(), shown());
}

/// `config`, changed.
pub fn with(mut config: AgentConfig, change: impl FnOnce(&mut AgentConfig)) -> AgentConfig {
    change(&mut config);
    config
}
