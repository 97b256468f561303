//! An agent with made-up people, and a server for it.

#![allow(dead_code, unused_imports, reason = "each test file uses some of it")]

mod fake;
mod world;

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use dure_agent::{AgentConfig, AgentError, Clock, Ended, Place, Policy, run_at};
use dure_learn::{
    data::{
        DataSet, Source,
        people::{Generator, generate},
        table::{self, Target},
    },
    recipe::Recipe,
};
use serde_json::{Map, Value};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::timeout,
};

pub use fake::{Fake, Seen, TOKEN, lost_reply};
pub use world::problem;

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
        measure: None,
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
        Self { running: tokio::spawn(run_at(Place { clock, ..Place::default() }, config, until)), stop: Some(stop) }
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

/// An address for a status page.
pub fn free_port() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// Asks the status page, by a name for this machine.
pub async fn get(address: SocketAddr, path: &str, host: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.ok()?;
    Some(answer)
}

/// The status once it is so.
pub async fn status_of(address: SocketAddr, enough: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let answer = get(address, "/status.json", "localhost").await.unwrap_or_default();
            let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
            if let Some(status) = serde_json::from_str(body).ok().filter(&enough) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, asking).await.expect("the status comes to be so")
}
