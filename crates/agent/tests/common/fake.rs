//! A server of a few lines that does what a test lays down, and remembers what it was asked.

use std::{
    net::TcpListener,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    extract::{Request, State},
    http::{HeaderMap, Method},
    response::Response,
};
use dure_agent::Invitation;
use dure_core::{
    federation::TaskState,
    name::ClientName,
    round::{Kind, RoundId, TaskId},
};
use dure_learn::{data::DataSet, recipe::Recipe};
use dure_wire::decompress;
use tokio::{runtime::Runtime, sync::watch, time::timeout};

use super::{PATIENCE, world::World};

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
        let first = std::mem::take(&mut new);
        let answer = {
            let mut world = shared.world.lock().unwrap();
            let answer = (world.script)(&seen).or_else(|| world.answer(&seen));
            // A request is seen when it has been answered: what a test does then comes after it.
            if first {
                world.seen.push(seen.clone());
            }
            let waits = world.patient && !seen.query.ends_with("wait=0");
            answer.or_else(|| (!waits).then(|| world.nothing()))
        };
        if first {
            shared.changed.send_replace(());
        }
        if let Some(answer) = answer {
            return answer;
        }
        if timeout(Duration::from_secs(20), changed.changed()).await.is_err() {
            return shared.world.lock().unwrap().nothing();
        }
    }
}
