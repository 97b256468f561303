//! What all routes share: the federations' drivers, and who may speak to them.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard},
    time::{Duration, Instant},
};

use dure_core::{
    digest::Digest,
    federation::{Command, Standing},
    name::ClientName,
};
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::{
    auth::{Bearers, Caller},
    config::Config,
    demo::Demo,
    driver::{Driver, ReplayError, Writer},
    frames::Frames,
    metrics::Metrics,
    page::Page,
    problem::Refused,
    recipes::Recipes,
    store::{Store, StoreError},
};

/// What all routes share. Cheap to clone.
#[derive(Clone)]
pub struct App(Arc<Inner>);

/// Behind [`App`].
pub struct Inner {
    /// The stores.
    pub store: Store,
    /// For Prometheus.
    pub metrics: Arc<Metrics>,
    /// Turns true when the server is to stop.
    pub stopping: watch::Receiver<bool>,
    /// Held while somebody joins or a federation is made: what is looked up is still so when it is written.
    pub joining: tokio::sync::Mutex<()>,
    /// Model files in zstd frames.
    pub frames: Frames,
    /// The most parameters that a job's model may have.
    pub max_parameters: usize,
    /// Whether the server itself speaks TLS.
    pub tls: bool,
    /// The dashboard.
    pub page: Page,
    /// What jobs can be made from.
    pub recipes: &'static dyn Recipes,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// By federation, what its simulation came to.
    pub reports: BTreeMap<String, String>,
    /// The demo that has started the server, if one has.
    pub demo: Option<Arc<Demo>>,
    /// Where the stores are.
    pub data_dir: PathBuf,
    /// When it was started.
    pub started: Instant,
    /// How many connections may be open at a time.
    pub max_connections: usize,
    /// A place for each of them; one that is open holds its own.
    pub places: Arc<Semaphore>,
    lease: Duration,
    drivers: RwLock<BTreeMap<String, Driver>>,
    writers: Mutex<Vec<JoinHandle<()>>>,
    bearers: RwLock<Bearers>,
}

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl App {
    /// Takes up every federation of the store.
    pub async fn open(store: Store, config: &Config, stopping: watch::Receiver<bool>) -> Result<Self, ReplayError> {
        let bearers = Bearers {
            operator: store.operator().await?,
            sessions: store.sessions().await?.into_iter().collect(),
            secrets: store.secrets().await?.into_iter().collect(),
            invitations: store.invitations().await?.into_iter().map(|i| (i.sha256, i)).collect(),
        };
        let names = store.federations().await?;
        let max_connections = config.max_connections.min(Semaphore::MAX_PERMITS);
        let app = Self(Arc::new(Inner {
            store,
            metrics: Arc::default(),
            stopping,
            joining: Default::default(),
            frames: Frames::default(),
            max_parameters: config.max_parameters,
            tls: config.tls.is_some(),
            page: config.page,
            read_only: config.reports.is_some(),
            reports: config.reports.clone().unwrap_or_default(),
            demo: config.demo.clone(),
            data_dir: config.data_dir.clone(),
            started: Instant::now(),
            max_connections,
            places: Arc::new(Semaphore::new(max_connections)),
            recipes: config.recipes,
            lease: config.lease,
            drivers: RwLock::default(),
            writers: Mutex::default(),
            bearers: RwLock::new(bearers),
        }));
        // Nobody's time runs while others are still read.
        let mut writers = Vec::with_capacity(names.len());
        for name in names {
            let (driver, writer) = Driver::open(&name, &app.store, app.lease, &app.metrics).await?;
            app.add_driver(driver);
            writers.push(writer);
        }
        if !app.read_only {
            writers.into_iter().for_each(|writer| app.run_writer(writer));
        }
        Ok(app)
    }

    /// A driver for a federation to be. Nobody else knows of it before [`Self::add_driver`].
    pub async fn open_driver(&self, name: &str) -> Result<Driver, ReplayError> {
        let (driver, writer) = Driver::open(name, &self.store, self.lease, &self.metrics).await?;
        self.run_writer(writer);
        Ok(driver)
    }

    /// Lets everybody ask a driver.
    pub fn add_driver(&self, driver: Driver) {
        let mut drivers = self.drivers.write().unwrap_or_else(PoisonError::into_inner);
        drivers.insert(driver.shared.name.clone(), driver);
    }

    fn run_writer(&self, writer: Writer) {
        self.writers.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(writer.run()));
    }

    /// Lets every driver finish what it has begun. Nobody asks them any more.
    pub async fn close(&self) {
        self.drivers.write().unwrap_or_else(PoisonError::into_inner).clear();
        let writers = std::mem::take(&mut *self.writers.lock().unwrap_or_else(PoisonError::into_inner));
        for writer in writers {
            drop(tokio::time::timeout(Duration::from_secs(10), writer).await);
        }
        // A folder that is copied now has one file of the database, not three.
        self.store.close().await;
    }

    /// Everything that authenticates.
    pub fn bearers(&self) -> RwLockReadGuard<'_, Bearers> {
        self.bearers.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The same, to change it.
    pub fn bearers_mut(&self) -> RwLockWriteGuard<'_, Bearers> {
        self.bearers.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every federation's driver, in the order of names.
    pub fn drivers(&self) -> Vec<Driver> {
        self.drivers.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// The driver of a federation, whoever asks.
    pub fn driver(&self, name: &str) -> Option<Driver> {
        self.drivers.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// A federation, for those who may know of it. A client is greeted; an invitation that has expired shows nothing.
    pub async fn federation(&self, caller: &Caller, name: &str) -> Result<Driver, Refused> {
        let missing = || Refused::NotFound(format!("federation {name:?}"));
        let driver = self.driver(name).filter(|_| caller.knows(name)).ok_or_else(missing)?;
        match caller {
            Caller::Client { client, .. } => greet(&driver, client).await?,
            Caller::Invited { id, .. } => drop(self.bearers().check_time(*id)?),
            Caller::Operator => {}
        }
        Ok(driver)
    }

    /// A federation, for its operator.
    pub async fn operated(&self, caller: &Caller, name: &str) -> Result<Driver, Refused> {
        let driver = self.federation(caller, name).await?;
        caller.operator().map(|()| driver)
    }

    /// A federation, for the client called `name` itself.
    pub async fn client(&self, caller: &Caller, federation: &str, name: &ClientName) -> Result<Driver, Refused> {
        match caller {
            Caller::Client { federation: own, client } if own == federation && client != name => {
                Err(Refused::Forbidden("this is another client's; send that client's own secret"))
            }
            Caller::Operator | Caller::Invited { .. }
                if caller.knows(federation) && self.driver(federation).is_some() =>
            {
                Err(Refused::Forbidden("only the client itself may do this; send its own secret"))
            }
            _ => self.federation(caller, federation).await,
        }
    }

    /// Stores what authenticates the operator, and ends the sessions that the old token has begun.
    pub async fn set_operator(&self, sha256: Digest) -> Result<(), StoreError> {
        self.store.remove_sessions().await?;
        self.store.set_operator(sha256).await?;
        let mut bearers = self.bearers_mut();
        bearers.operator = Some(sha256);
        bearers.sessions.clear();
        Ok(())
    }
}

/// Renews a client's lease; a lost one returns. Whoever has left or was evicted is told so.
async fn greet(driver: &Driver, client: &ClientName) -> Result<(), Refused> {
    let member = driver.shared.read().members.get(client).cloned();
    let Some(member) = member else { return Err(Refused::NotAMember(client.clone())) };
    match member.standing {
        Standing::Left => return Err(Refused::NotAMember(client.clone())),
        Standing::Evicted => return Err(Refused::Evicted(client.clone(), member.known().reason.clone())),
        Standing::Active => driver.shared.touch(client),
        Standing::Lost => {
            driver.shared.touch(client);
            driver.command(Command::Return { client: client.clone() }).await?;
        }
    }
    Ok(())
}
