//! The server's machine: the real server, but for its disk, its database and the network.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use axum::{Router, body::Body};
use bytes::Bytes;
use dure_core::{digest::Digest, federation::Federation, random::Stream};
use dure_machine::Machine;
use dure_server::{
    Config,
    app::App,
    config::{CONNECTIONS, PARAMETERS},
    router,
    store::Store,
};
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tokio::{sync::watch, task::AbortHandle, time::sleep};
use tower::ServiceExt as _;

use crate::{
    database::{SimulatedDatabase, Tables},
    disk::{Platter, SimulatedDisk},
    life::{Breath, Life},
};

/// The operator's token.
pub const TOKEN: &str = "0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f";

/// How long a client stays that is not heard of.
pub const LEASE: Duration = Duration::from_secs(3);

/// How soon a server that could not start is started again.
const AGAIN: Duration = Duration::from_millis(500);

/// The server's machine.
pub struct ServerMachine {
    /// Its life.
    pub life: Arc<Life>,
    /// Its disk.
    pub platter: Arc<Mutex<Platter>>,
    /// Its database.
    pub tables: Arc<Mutex<Tables>>,
    running: Mutex<Option<Running>>,
    /// How long it stays down after its next death.
    pub down: Mutex<Duration>,
}

#[derive(Clone)]
struct Running {
    breath: Breath,
    app: App,
    router: Router,
    /// What it does for those who ask.
    requests: Arc<Mutex<Vec<AbortHandle>>>,
}

impl Running {
    /// It works on something.
    fn note(&self, task: AbortHandle) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        requests.retain(|task| !task.is_finished());
        requests.push(task);
    }
}

/// Why there is no answer.
pub type Broken = String;

impl ServerMachine {
    /// One with nothing on it, that does not run yet.
    pub fn new() -> Arc<Self> {
        Arc::new(Self {
            life: Life::new(),
            platter: Platter::new(),
            tables: Arc::default(),
            running: Mutex::default(),
            down: Mutex::new(AGAIN),
        })
    }

    /// Runs it, again after each death, for ever.
    pub async fn live(self: Arc<Self>, mut numbers: Stream) {
        loop {
            let breath = self.life.breath();
            match self.start(&breath).await {
                Ok(()) => breath.end().await,
                // A full disk, or another fault that passes.
                Err(_) if breath.alive() => {
                    sleep(AGAIN).await;
                    if breath.alive() {
                        self.platter.lock().unwrap_or_else(PoisonError::into_inner).died(false, &mut numbers);
                        continue;
                    }
                }
                Err(_) => {}
            }
            self.stop();
            self.platter.lock().unwrap_or_else(PoisonError::into_inner).died(self.life.lost_power(), &mut numbers);
            self.tables.lock().unwrap_or_else(PoisonError::into_inner).died();
            let down = std::mem::replace(&mut *self.down.lock().unwrap_or_else(PoisonError::into_inner), AGAIN);
            sleep(down).await;
        }
    }

    async fn start(&self, breath: &Breath) -> Result<(), Broken> {
        let disk = SimulatedDisk::new(self.platter.clone(), breath.clone());
        let machine = Machine::simulated(Arc::new(disk), Duration::from_millis(20));
        let database = Box::new(SimulatedDatabase::new(self.tables.clone(), breath.clone()));
        let store = Store::open_on(machine, Path::new("/data"), database).map_err(|error| error.to_string())?;
        // Nobody tells it to stop: it dies.
        let (_, stopping) = watch::channel(false);
        let app = App::open(store, &config(), stopping).await.map_err(|error| error.to_string())?;
        if app.bearers().operator.is_none() {
            app.set_operator(Digest::of(TOKEN.as_bytes())).await.map_err(|error| error.to_string())?;
        }
        breath.check().map_err(|error| error.to_string())?;
        let running = Running { breath: breath.clone(), router: router(app.clone()), app, requests: Arc::default() };
        *self.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(running);
        Ok(())
    }

    /// Nobody is answered any more.
    fn stop(&self) {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(running) = running {
            running.requests.lock().unwrap_or_else(PoisonError::into_inner).drain(..).for_each(|task| task.abort());
        }
    }

    fn running(&self) -> Option<Running> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.clone().filter(|running| running.breath.alive())
    }

    /// A federation, as the server shows it to readers.
    pub fn federation(&self, name: &str) -> Option<Federation> {
        let driver = self.running()?.app.driver(name)?;
        let federation = driver.shared.read().clone();
        Some(federation)
    }

    /// What the server is in trouble about.
    pub fn trouble(&self, name: &str) -> Option<String> {
        self.running()?.app.driver(name)?.shared.trouble()
    }

    /// Answers a request. Whoever asks may go away: dropped, the server stops as well.
    pub async fn answer(&self, request: Request<Bytes>) -> Result<Response<Bytes>, Broken> {
        let running = self.running().ok_or("cannot connect: connection refused")?;
        let router = running.router.clone();
        let answering = tokio::spawn(async move {
            let answer = router.oneshot(request.map(Body::from)).await;
            let (parts, body) = answer.unwrap_or_else(|never| match never {}).into_parts();
            let body = body.collect().await.map_err(|error| format!("the body was cut off: {error}"))?;
            Ok::<_, Broken>(Response::from_parts(parts, body.to_bytes()))
        });
        running.note(answering.abort_handle());
        let given_up = GivenUp(answering.abort_handle());
        let answer = answering.await.unwrap_or_else(|_| Err("connection reset".into()));
        drop(given_up);
        // A server that has died has sent nothing.
        if running.breath.alive() { answer } else { Err("connection reset".into()) }
    }
}

/// Aborts a task when it falls.
struct GivenUp(AbortHandle);

impl Drop for GivenUp {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn config() -> Config {
    Config {
        data_dir: "/data".into(),
        listen: ([127, 0, 0, 1], 0).into(),
        tls: None,
        insecure_http: false,
        lease: LEASE,
        max_parameters: PARAMETERS,
        max_connections: CONNECTIONS,
        page: &dure_server::page::NONE,
        reports: None,
        demo: None,
        recipes: &dure_server::recipes::NoRecipes,
    }
}
