//! The driver of a federation: whom routes ask, and what readers see. Its writer, the only one of the journal, is in
//! `driver/writer.rs`.

mod past;
mod writer;

use std::{
    collections::BTreeSet,
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use dure_core::{
    digest::Digest,
    event::Event,
    federation::{Command, Federation, Reject},
    job::Job,
    journal::Head,
    name::ClientName,
    time,
};
use serde_json::{Map, Value};
use tokio::sync::{OwnedRwLockReadGuard, Semaphore, SemaphorePermit, mpsc, oneshot, watch};

pub use past::Past;
use past::Pasts;
pub use writer::Writer;

use crate::{
    clock::Clock,
    metrics::Metrics,
    presence::{Presences, wall_ms},
    store::{JobKey, Seen, Store, StoreError},
    view::Moment,
};

/// How many commands wait for the writer at most; who comes later waits before the door.
const INBOX: usize = 1024;

/// How much memory all updates on their way in may take together, in bytes, and in which steps it is given out.
const ROOM_BYTES: usize = 1 << 30;
const ROOM_UNIT: usize = 1 << 16;

/// Speaks with the driver of one federation.
#[derive(Clone)]
pub struct Driver {
    /// What readers see.
    pub shared: Arc<Shared>,
    inbox: mpsc::Sender<Asked>,
}

/// What readers see of a federation: what is durable, and who is there.
pub struct Shared {
    /// The federation's name.
    pub name: String,
    /// Federation time.
    pub clock: Clock,
    /// Who was heard of when.
    pub presences: Presences,
    /// For how long a client that is not heard of stays.
    pub lease: time::Duration,
    /// The head of the durable journal; changes with every commit.
    pub head: watch::Sender<Head>,
    /// Changes when clients that wait are to look again: there is work, or somebody was sent away.
    pub news: watch::Sender<u64>,
    /// Held for reading while an update is stored and until its report is durable, for writing while left-overs are cleared.
    pub uploads: Arc<tokio::sync::RwLock<()>>,
    /// Whether left-overs are still to be cleared, for it was put off.
    uncleared: AtomicBool,
    /// Whether the last append has failed. Until another succeeds, a restart may find it in the journal after all.
    doubtful: AtomicBool,
    /// How many bytes the largest update had that the store has refused; 0 if it refuses none.
    wanted: AtomicU64,
    /// Held while rows of last-seen are stored: an older row is never written over a newer one.
    saving: tokio::sync::Mutex<()>,
    /// What updates on their way in may take of memory; see [`Shared::room_for`].
    room: Semaphore,
    /// Why the driver cannot go on for the moment.
    trouble: Mutex<Option<String>>,
    pasts: tokio::sync::Mutex<Pasts>,
    state: RwLock<Federation>,
    store: Store,
    metrics: Arc<Metrics>,
}

/// Why a command was not done.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// The rules refuse it.
    #[error(transparent)]
    Reject(#[from] Reject),
    /// It could not be made durable.
    #[error("{0}")]
    Store(String),
    /// The driver is gone.
    #[error("the server is being stopped")]
    Stopped,
}

/// A journal that cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// It cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A fault of ours.
    #[error("the journal could not be replayed")]
    Fault,
    /// Its chain is broken.
    #[error("the journal of federation {federation:?} is damaged: {broken}; restore the data directory from a copy")]
    Broken {
        /// The federation.
        federation: String,
        /// Where, and how.
        broken: dure_core::journal::Broken,
    },
}

/// A hold on the updates that are being stored; see [`Shared::uploads`].
pub type Upload = OwnedRwLockReadGuard<()>;

struct Asked {
    command: Command,
    key: Option<(String, Digest)>,
    /// Let go of when the command is done, whether or not somebody still waits for it.
    upload: Option<Upload>,
    reply: oneshot::Sender<Result<Done, CommandError>>,
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Done {
    /// The events that it meant; none if everything was so already.
    pub events: Vec<Event>,
    /// The job of an idempotency key that was used before, with the digest of what it was used for.
    pub known: Option<JobKey>,
}

impl Driver {
    /// Takes up a federation where its journal ends. Nothing is done before the writer runs.
    pub async fn open(
        name: &str,
        store: &Store,
        lease: Duration,
        metrics: &Arc<Metrics>,
    ) -> Result<(Self, Writer), ReplayError> {
        let Past { federation, head } = Past::default().replayed(store, name, u64::MAX).await?;
        let clock = Clock::from(federation.at, lease);
        let presences = Presences::new(&federation, store.seen(name).await?, federation.at);
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            clock,
            presences,
            lease: time::Duration(lease.as_millis() as u64),
            head: watch::Sender::new(head),
            news: watch::Sender::new(0),
            uploads: Arc::default(),
            uncleared: AtomicBool::new(false),
            doubtful: AtomicBool::new(false),
            wanted: AtomicU64::new(0),
            saving: tokio::sync::Mutex::default(),
            room: Semaphore::new(ROOM_BYTES / ROOM_UNIT),
            trouble: Mutex::new(None),
            pasts: Default::default(),
            state: RwLock::new(federation.clone()),
            store: store.clone(),
            metrics: metrics.clone(),
        });
        let (inbox, commands) = mpsc::channel(INBOX);
        let writer = Writer::new(shared.clone(), commands, federation, head);
        Ok((Self { shared, inbox }, writer))
    }

    /// How many commands wait for the writer, and how many may.
    pub fn queue(&self) -> (usize, usize) {
        let most = self.inbox.max_capacity();
        (most - self.inbox.capacity(), most)
    }

    /// Does a command. On return it is durable.
    pub async fn command(&self, command: Command) -> Result<Vec<Event>, CommandError> {
        self.ask(command, None, None).await.map(|done| done.events)
    }

    /// As [`Self::command`], for the report of an update that was stored under `upload`.
    pub async fn report(&self, command: Command, upload: Upload) -> Result<Vec<Event>, CommandError> {
        self.ask(command, None, Some(upload)).await.map(|done| done.events)
    }

    /// As [`Self::command`], at most once for each key: a text, and the digest of what it is used for.
    pub async fn command_once(&self, command: Command, key: (String, Digest)) -> Result<Done, CommandError> {
        self.ask(command, Some(key), None).await
    }

    async fn ask(
        &self,
        command: Command,
        key: Option<(String, Digest)>,
        upload: Option<Upload>,
    ) -> Result<Done, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.inbox.send(Asked { command, key, upload, reply }).await.map_err(|_| CommandError::Stopped)?;
        answer.await.map_err(|_| CommandError::Stopped)?
    }
}

impl Shared {
    /// The federation, as far as it is durable. Hold it briefly, and across no `await`.
    pub fn read(&self) -> RwLockReadGuard<'_, Federation> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until there is room for an update that takes so many bytes; the room is taken until what is returned is dropped.
    /// One that is larger than all the room gets all of it.
    pub async fn room_for(&self, bytes: usize) -> Option<SemaphorePermit<'_>> {
        let units = bytes.div_ceil(ROOM_UNIT).min(ROOM_BYTES / ROOM_UNIT);
        self.room.acquire_many(units as u32).await.ok()
    }

    /// Where the durable journal ends.
    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    /// Looks at the federation as it stands. Look briefly.
    pub fn look<T>(&self, look: impl FnOnce(&Moment<'_>) -> T) -> T {
        look(&Moment::now(self, &self.read()))
    }

    /// The federation as it was after its event `at`; as it stands, if there is none so late.
    pub async fn past(&self, at: u64) -> Result<Arc<Past>, ReplayError> {
        let length = self.head().sequence;
        self.pasts.lock().await.at(&self.store, &self.name, at.min(length), length).await
    }

    /// Renews a client's lease.
    pub fn touch(&self, client: &ClientName) {
        self.presences.touch(client, self.clock.now(), |_| ());
    }

    /// Why the driver cannot go on for the moment.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Notes that the store has refused a route what it asked, `bytes` of an update or a change of the database: the driver is in
    /// trouble until as much can be written.
    pub fn stored<T>(&self, done: Result<T, StoreError>, bytes: usize) -> Result<T, StoreError> {
        if let Err(error) = &done
            && !matches!(error, StoreError::SecretTaken { .. })
        {
            self.wanted.fetch_max(bytes as u64, Ordering::Relaxed);
            self.set_trouble(Some(error.to_string()));
        }
        done
    }

    /// Whether the store takes what it has refused.
    async fn try_the_store(&self) -> Result<(), StoreError> {
        self.store.try_to_write().await?;
        let wanted = self.wanted.load(Ordering::Relaxed);
        if wanted > 0 {
            self.store.blobs().try_to_write(&self.name, wanted).await?;
            self.wanted.store(0, Ordering::Relaxed);
        }
        Ok(())
    }

    fn set_trouble(&self, why: Option<String>) {
        if let Some(why) = &why {
            tracing::error!(federation = self.name, "federation {} cannot go on: {why}; trying again", self.name);
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Renews a client's lease, and stores what its site says of itself if that is new: an agent says it once.
    pub async fn keep_facts(&self, client: &ClientName, facts: Map<String, Value>) -> Result<(), StoreError> {
        let _no_other = self.saving.lock().await;
        if self.presences.look(client, |known| known.map_or(!facts.is_empty(), |known| known.facts != facts)) {
            let row = Seen { client: client.clone(), wall_ms: wall_ms(), facts: facts.clone() };
            self.stored(self.store.put_seen(&self.name, &[row]).await, 0)?;
        }
        self.presences.touch(client, self.clock.now(), |presence| presence.facts = facts);
        Ok(())
    }

    /// Stores when clients were last seen. What cannot be stored now is stored when they are heard of again.
    async fn save_seen(&self) -> Result<(), StoreError> {
        let _no_other = self.saving.lock().await;
        let rows = self.presences.unsaved();
        if rows.is_empty() { Ok(()) } else { self.store.put_seen(&self.name, &rows).await }
    }

    /// Deletes the updates that no open round names: their rounds were committed or abandoned, or they were refused. What an
    /// append that failed may have named waits for one that succeeds.
    pub async fn clear_updates(&self) -> Result<(), StoreError> {
        let _no_upload = self.uploads.write().await;
        if self.doubtful.load(Ordering::Relaxed) {
            self.uncleared.store(true, Ordering::Relaxed);
            return Ok(());
        }
        let needed = needed_updates(&self.read());
        for sha256 in self.store.blobs().updates(&self.name).await? {
            if !needed.contains(&sha256) {
                self.store.blobs().delete_update(&self.name, sha256).await?;
            }
        }
        Ok(())
    }
}

/// The updates that versions are still to be made of.
fn needed_updates(federation: &Federation) -> BTreeSet<Digest> {
    federation.jobs.iter().flat_map(Job::updates).collect()
}
