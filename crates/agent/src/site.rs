//! What all clients of a process share: the way to the server, the models, the jobs, the threads, and how they stand.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dure_core::{digest::Digest, model::Params};
use dure_learn::schema::Schema;
use dure_machine::Machine;
use serde_json::{Map, Value};
use tokio::sync::{RwLock, Semaphore, watch};

use crate::{
    AgentConfig, AgentError, Clock, Invitation, Place, Policy, calls,
    config::Measure,
    http::{Call, Http, STALL},
    prepare::{Job, differences_of},
    recent::Recent,
    reply::CallError,
    status::{StatusView, Statuses},
    witness::{Tells, Witness},
};

/// The lease to live by until the server has said its own.
const LEASE: Duration = Duration::from_secs(30);

/// A server that names a shorter one is renewed no more often.
const SHORTEST_LEASE: Duration = Duration::from_millis(300);

/// What all clients of a process share.
pub struct Site {
    /// Where they join.
    pub invitation: Invitation,
    /// Where its files are, and its threads.
    pub machine: Machine,
    /// What the site takes part in.
    pub policy: Policy,
    /// What it says of itself, whichever the client.
    pub facts: Map<String, Value>,
    /// What else it says of its machine as it is now.
    pub measure: Option<Measure>,
    /// The folder that it writes to.
    pub folder: PathBuf,
    /// What its columns mean.
    pub schema: Schema,
    /// The most rows that any of its clients has.
    pub most_rows: usize,
    /// Threads that a large step of a client may use: the process has some for each of its clients.
    pub threads_each: usize,
    /// The journal's last head.
    pub witness: Witness,
    /// How clients stand.
    pub statuses: Statuses,
    /// Whether the server answers.
    pub link: Link,
    /// Jobs, by number and by whether their columns were measured when they were asked for.
    pub jobs: Recent<(u32, bool), Arc<Job>>,
    /// Models, by the job whose layout they have and the digest of their file.
    pub models: Recent<(u32, Digest), Arc<Params>>,
    /// What comes with them, by job and digest.
    pub controls: Recent<(u32, Digest), Arc<Params>>,
    /// One permit for each task that may be worked on.
    pub threads: Arc<Semaphore>,
    /// Why clients take no tasks; `None` if they do.
    pub unready: watch::Sender<Option<String>>,
    recipe: String,
    http: Http,
    /// The federation's view, asked for once for all clients; forgotten when one has to join again.
    view: Recent<(), ()>,
    lease: Mutex<Duration>,
    differences: Mutex<Option<String>>,
    clock: Clock,
    disk: Arc<RwLock<()>>,
}

/// Whether the server answers. All clients see the same outage; one of them tells of it.
#[derive(Debug, Default)]
pub struct Link {
    online: AtomicBool,
    /// The most tries in a row that any client has made in this outage; 0 if there is none.
    worst: Mutex<u32>,
}

impl Link {
    /// A call has failed, for the `tries`th time in a row of this client's. The first is logged, and every doubling.
    pub fn failed(&self, tries: u32, why: &str) {
        self.online.store(false, Ordering::Relaxed);
        let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
        if tries > *worst {
            *worst = tries;
            if tries.is_power_of_two() {
                tracing::warn!(tries, "no good answer from the server: {why}; trying on");
            }
        }
    }

    /// A call was answered; `failed` if the client's last one was not.
    pub fn reached(&self, failed: bool) {
        self.online.store(true, Ordering::Relaxed);
        if failed {
            let mut worst = self.worst.lock().unwrap_or_else(PoisonError::into_inner);
            let tries = std::mem::take(&mut *worst);
            if tries > 0 {
                tracing::info!(tries, "the server is back");
            }
        }
    }
}

impl Site {
    /// What a client says of itself, and of its data `shared`.
    pub fn facts_of(&self, shared: &Map<String, Value>) -> Map<String, Value> {
        let mut facts = self.facts.clone();
        facts.extend(self.measure.map(|measure| measure(&self.folder)).unwrap_or_default());
        facts.extend(shared.clone());
        facts
    }

    /// Of an agent. `witness` has the head that was kept.
    pub fn new(config: &AgentConfig, place: Place, witness: Witness) -> Result<Self, AgentError> {
        let Place { machine, clock, carrier } = place;
        let AgentConfig { invitation, policy, facts, measure, state_dir: folder, schema, recipe, .. } = config.clone();
        Ok(Self {
            http: match carrier {
                Some(carrier) => Http::carried(&invitation, carrier),
                None => Http::new(&invitation, config.ca.as_deref(), config.insecure_http)?,
            },
            most_rows: config.clients.iter().map(|client| client.len()).max().unwrap_or(1),
            threads_each: (config.threads / config.clients.len().max(1)).max(1),
            statuses: Statuses::new(config.clients.iter().map(|client| &client.name)),
            threads: Arc::new(Semaphore::new(config.threads.max(1))),
            unready: watch::Sender::new(policy.closed(clock.now())),
            link: Link::default(),
            jobs: Recent::new(),
            models: Recent::new(),
            controls: Recent::new(),
            view: Recent::new(),
            lease: Mutex::new(LEASE),
            differences: Mutex::default(),
            disk: Arc::default(),
            invitation,
            policy,
            facts,
            measure,
            folder,
            schema,
            recipe,
            machine,
            clock,
            witness,
        })
    }

    /// Asks once, and holds what the answer says of the journal to what is known of it.
    pub async fn send<T: Tells>(&self, call: &Call<T>, bearer: &str) -> Result<T, CallError> {
        let before = self.witness.last();
        // Whose answer is lost has to ask again before the lease is over: anything may be lost, a poll, or who one is.
        let stall = if call.patient { STALL } else { (self.lease() / 3).min(STALL) };
        let told = self.http.send(call, bearer, stall).await?;
        if told.head().is_some_and(|head| self.witness.see(head, before)) {
            // Another history may have other jobs under the same numbers.
            self.jobs.clear();
        }
        Ok(told)
    }

    /// Learns the lease and the schema, once for all clients.
    pub async fn learn(&self, bearer: &str) -> Result<(), CallError> {
        let cell = self.view.cell(());
        cell.get_or_try_init(|| self.fetch(bearer)).await.copied()
    }

    /// Forgets what was learnt of the server: whoever has to join again may meet another under the same address.
    pub fn forget(&self) {
        self.view.clear();
        self.jobs.clear();
        self.models.clear();
        self.controls.clear();
    }

    async fn fetch(&self, bearer: &str) -> Result<(), CallError> {
        let view = self.send(&calls::federation(), bearer).await?;
        let differing = view.schema.as_ref().and_then(|told| differences_of(&self.schema, told));
        if let Some(differences) = &differing {
            tracing::warn!("clients join and take no tasks, for the site's columns differ: {differences}");
        }
        *self.differences.lock().unwrap_or_else(PoisonError::into_inner) = differing;
        if let Ok(lease) = Duration::try_from_secs_f64(view.lease_s) {
            *self.lease.lock().unwrap_or_else(PoisonError::into_inner) = lease.max(SHORTEST_LEASE);
        }
        self.look();
        Ok(())
    }

    /// Looks whether clients take tasks, and tells them if that has changed.
    pub fn look(&self) {
        let differences = self.differences.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let differing = differences.map(|differences| format!("the site's columns differ: {differences}"));
        let why = differing.or_else(|| self.policy.closed(self.clock.now()));
        self.unready.send_if_modified(|known| {
            let changed = *known != why;
            known.clone_from(&why);
            changed
        });
    }

    /// Keeps the site's hours, for ever.
    pub async fn keep_hours(self: Arc<Self>) {
        loop {
            tokio::time::sleep(self.clock.every).await;
            self.look();
        }
    }

    /// For how long a client that is not heard of stays a member.
    pub fn lease(&self) -> Duration {
        *self.lease.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works on files away from the runtime's threads. An agent that ends waits for it, see [`Self::files_are_still`].
    pub async fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
        let writing = Arc::clone(&self.disk).read_owned().await;
        let done = self.machine.work(move || (work(), drop(writing)).0).await;
        done.map_err(|error| format!("work on the state folder broke off: {error}"))
    }

    /// Waits until nobody works on files.
    pub async fn files_are_still(&self) {
        drop(self.disk.write().await);
    }

    /// What the status page shows.
    pub fn status(&self) -> StatusView {
        StatusView {
            federation: self.invitation.federation().into(),
            server: self.invitation.server().into(),
            recipe: self.recipe.clone(),
            online: self.link.online.load(Ordering::Relaxed),
            journal: self.witness.last(),
            journal_problem: self.witness.problem(),
            clients: self.statuses.all(),
        }
    }
}
