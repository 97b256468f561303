//! The driver of a federation: the only writer of its journal. It takes commands, asks the rules what they mean, makes the
//! events durable, and only then applies them, answers, and does what the federation owes.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant},
};

use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::{Command, Federation, Reject},
    journal::{Entry, Head},
    name::ClientName,
    time::{self, Time},
};
use dure_wire::Models;
use tokio::{
    sync::{OwnedRwLockReadGuard, Semaphore, SemaphorePermit, mpsc, oneshot, watch},
    task::JoinHandle,
};

use crate::{
    clock::Clock,
    metrics::Metrics,
    presence::{Presences, wall_ms},
    store::{JobKey, Store, StoreError},
    work::{Order, WorkError},
};

/// How many commands wait for the writer at most; who comes later waits before the door.
const INBOX: usize = 1024;

/// How many commands are made durable together.
const BATCH: usize = 256;

/// How much memory all updates on their way in may take together, in bytes, and in which steps it is given out.
const ROOM_BYTES: usize = 1 << 30;
const ROOM_UNIT: usize = 1 << 16;

/// How often rows of last-seen are stored.
const SAVE_EVERY: Duration = Duration::from_secs(5);

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
    /// What updates on their way in may take of memory; see [`Shared::room_for`].
    room: Semaphore,
    /// Why the driver cannot go on for the moment.
    trouble: Mutex<Option<String>>,
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
        let (federation, head) = replay(store, name).await?;
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
            room: Semaphore::new(ROOM_BYTES / ROOM_UNIT),
            trouble: Mutex::new(None),
            state: RwLock::new(federation.clone()),
            store: store.clone(),
            metrics: metrics.clone(),
        });
        let (inbox, commands) = mpsc::channel(INBOX);
        let writer = Writer::new(shared.clone(), commands, federation, head);
        Ok((Self { shared, inbox }, writer))
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

    /// Renews a client's lease.
    pub fn touch(&self, client: &ClientName) {
        self.presences.touch(client, self.clock.now(), |_| ());
    }

    /// Why the driver cannot go on for the moment.
    pub fn trouble(&self) -> Option<String> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_trouble(&self, why: Option<String>) {
        if let Some(why) = &why {
            tracing::error!(federation = self.name, "federation {} cannot go on: {why}; trying again", self.name);
        }
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = why;
    }

    /// Deletes the updates that no open round names: their rounds were committed or abandoned, or they were refused.
    pub async fn clear_updates(&self) -> Result<(), StoreError> {
        let _no_upload = self.uploads.write().await;
        let needed = needed_updates(&self.read());
        for sha256 in self.store.blobs().updates(&self.name).await? {
            if !needed.contains(&sha256) {
                self.store.blobs().delete_update(&self.name, sha256).await?;
            }
        }
        Ok(())
    }
}

/// The updates that rounds which still count have accepted.
fn needed_updates(federation: &Federation) -> BTreeSet<Digest> {
    let rounds = federation.jobs.iter().filter_map(|job| job.stage.collection());
    let answers = rounds.flat_map(|round| round.answers.values());
    let digest = |answer: &Answer| match answer {
        Answer::Update { sha256, .. } => Some(*sha256),
        Answer::Measured { .. } | Answer::Evaluated { .. } => None,
    };
    answers.filter_map(digest).collect()
}

/// The federation that a stored journal makes. The chain is verified on the way.
async fn replay(store: &Store, name: &str) -> Result<(Federation, Head), ReplayError> {
    const PAGE: u32 = 1000;
    let (mut federation, mut head) = (Federation::default(), Head::default());
    loop {
        let page = store.after(name, head.sequence, PAGE).await?;
        if page.is_empty() {
            return Ok((federation, head));
        }
        for stored in page {
            let broken = |broken| ReplayError::Broken { federation: name.to_owned(), broken };
            federation.apply(&head.follow(&stored.entry).map_err(broken)?);
        }
    }
}

/// The task that owns the journal.
pub struct Writer {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Asked>,
    /// The federation with the events that are not durable yet.
    ahead: Federation,
    head: Head,
    pending: Vec<(Record, Entry)>,
    keys: Vec<JobKey>,
    /// The newest model version, so that the next round need not read it.
    held: Option<Models>,
    work: Option<(u32, JoinHandle<Result<Models, WorkError>>)>,
    /// How often in a row the work broke off by a fault of ours.
    broken: u32,
    not_before: Instant,
    next_look: Instant,
    saved: Instant,
}

impl Writer {
    fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Asked>, ahead: Federation, head: Head) -> Self {
        let now = Instant::now();
        let (pending, keys) = (vec![], vec![]);
        let (held, work, broken) = (None, None, 0);
        let (not_before, next_look, saved) = (now, now, now);
        Self { shared, inbox, ahead, head, pending, keys, held, work, broken, not_before, next_look, saved }
    }

    /// Writes until nobody can ask any more.
    pub async fn run(mut self) {
        self.clear();
        loop {
            self.begin_work();
            let look = tokio::time::sleep_until(self.next_look().into());
            // Whatever is asked, time is looked at when it is due: commands alone would put it off for ever.
            tokio::select! {
                biased;
                () = look => self.tick().await,
                (job, made) = finished(&mut self.work) => self.finish_work(job, made).await,
                asked = self.inbox.recv() => match asked {
                    Some(asked) => self.serve(asked).await,
                    None => break,
                },
            }
        }
        if let Some((_, work)) = self.work.take() {
            work.abort();
        }
        self.save_seen().await;
    }

    /// Takes `first` and whatever else waits, and makes it durable together.
    async fn serve(&mut self, first: Asked) {
        let (mut replies, mut uploads) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Asked { command, key, upload, reply }) = next.take() {
            uploads.extend(upload);
            replies.push((reply, self.decide_once(&command, key).await));
            next = if replies.len() < BATCH { self.inbox.try_recv().ok() } else { None };
        }
        let stored = self.commit().await;
        drop(uploads);
        for (reply, done) in replies {
            let failed = |why: &String| CommandError::Store(why.clone());
            // Whatever was decided may rest on events of this batch: if they are not durable, nobody is told anything else.
            let answer = stored.as_ref().map_err(failed).and(done);
            // Who asked may have gone.
            drop(reply.send(answer));
        }
    }

    async fn decide_once(&mut self, command: &Command, key: Option<(String, Digest)>) -> Result<Done, CommandError> {
        let Some((key, body_sha256)) = key else { return Ok(Done { events: self.decide(command)?, known: None }) };
        let known = match self.keys.iter().find(|known| known.key == key) {
            Some(known) => Some(known.clone()),
            None => self.shared.store.job_of_key(&self.shared.name, &key).await.map_err(words)?,
        };
        if known.is_some() {
            return Ok(Done { events: vec![], known });
        }
        let events = self.decide(command)?;
        let job = events.iter().find_map(|event| match event {
            Event::JobCreated { job, .. } => Some(*job),
            _ => None,
        });
        self.keys.extend(job.map(|job| JobKey { key, body_sha256, job }));
        Ok(Done { events, known: None })
    }

    /// The events of a command, and after them whatever is due.
    fn decide(&mut self, command: &Command) -> Result<Vec<Event>, Reject> {
        let now = self.now();
        let events = self.ahead.decide(command, now)?;
        self.chain(&events, now);
        self.settle();
        Ok(events)
    }

    fn settle(&mut self) {
        let now = self.now();
        while let Ok(events) = self.ahead.decide(&Command::Tick, now)
            && !events.is_empty()
        {
            self.chain(&events, now);
        }
    }

    fn now(&self) -> Time {
        self.shared.clock.now().max(self.ahead.at)
    }

    fn chain(&mut self, events: &[Event], now: Time) {
        for event in events {
            let record = Record::new(now, event.clone());
            let entry = self.head.append(&record);
            self.ahead.apply(&record);
            self.pending.push((record, entry));
        }
    }

    /// Makes what is pending durable, and only then shows it. If that fails, nothing has happened.
    async fn commit(&mut self) -> Result<(), String> {
        let (pending, keys) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.keys));
        if pending.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let (records, entries): (Vec<Record>, Vec<Entry>) = pending.into_iter().unzip();
        let Shared { store, name, metrics, .. } = &*self.shared;
        if let Err(error) = store.append(name, &entries, wall_ms(), &keys).await {
            self.ahead = self.shared.read().clone();
            self.head = self.shared.head();
            self.shared.set_trouble(Some(error.to_string()));
            return Err("its store failed".into());
        }
        metrics.appended(name, records.len(), began.elapsed());
        self.show(&records);
        Ok(())
    }

    /// Shows readers what is durable now.
    fn show(&mut self, records: &[Record]) {
        {
            let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
            records.iter().for_each(|record| state.apply(record));
        }
        self.shared.head.send_replace(self.head);
        for record in records {
            log(&self.shared.name, &record.event);
        }
        let wakes = |event: &Event| matches!(event, Event::RoundOpened { .. } | Event::ClientEvicted { .. });
        if records.iter().any(|record| wakes(&record.event)) {
            self.shared.news.send_modify(|count| *count += 1);
        }
        let ends = |event: &Event| {
            matches!(event, Event::ModelPublished { .. } | Event::RoundAbandoned { .. } | Event::JobEnded { .. })
        };
        if records.iter().any(|record| ends(&record.event)) {
            self.clear();
        }
        self.give_up_work();
        self.shared.set_trouble(None);
    }

    /// Work for a job that is over is for nothing.
    fn give_up_work(&mut self) {
        let owes = |job: u32| Order::of(&self.ahead).is_some_and(|order| order.job.id == job);
        if let Some((_, work)) = self.work.take_if(|(job, _)| !owes(*job)) {
            work.abort();
        }
    }

    fn clear(&self) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if let Err(error) = shared.clear_updates().await {
                tracing::warn!("old updates cannot be deleted: {error}");
            }
        });
    }

    /// When to look at the time again: when something is due, and every so often for the leases.
    fn next_look(&self) -> Instant {
        let now = self.now();
        // What is past, such as the deadline of a round by hand, is looked at no more often than anything else.
        let due = self.ahead.due_at().map(|due| due.since(now).0).filter(|left| *left > 0);
        due.map_or(self.next_look, |left| self.next_look.min(Instant::now() + Duration::from_millis(left)))
    }

    async fn tick(&mut self) {
        let now = self.now();
        // All who are lost together are lost before the next round is opened.
        for (client, epoch) in self.shared.presences.expired(&self.ahead, self.shared.lease, now) {
            if let Ok(events) = self.ahead.decide(&Command::Lose { client, epoch }, now) {
                self.chain(&events, now);
            }
        }
        self.settle();
        if self.commit().await.is_ok() && self.work.is_none() && self.shared.trouble().is_some() {
            self.look_at_the_store().await;
        }
        if self.saved.elapsed() >= SAVE_EVERY {
            self.save_seen().await;
        }
        // From now on: where the store takes long to refuse, commands have their turn between two looks all the same.
        self.next_look = Instant::now() + Duration::from_millis((self.shared.lease.0 / 4).clamp(10, 1000));
    }

    /// Whether what was in the way is gone. What is owed is tried again anyway, and says itself how it went.
    async fn look_at_the_store(&self) {
        let owed = Order::of(&self.ahead).is_some();
        if !owed && self.shared.store.try_to_write().await.is_ok() {
            self.shared.set_trouble(None);
        }
    }

    async fn save_seen(&mut self) {
        let rows = self.shared.presences.unsaved();
        if !rows.is_empty()
            && let Err(error) = self.shared.store.put_seen(&self.shared.name, &rows).await
        {
            tracing::warn!("who was last seen when cannot be stored: {error}");
        }
        self.saved = Instant::now();
    }

    /// Begins what the federation owes, unless it is under way.
    fn begin_work(&mut self) {
        if self.work.is_some() || Instant::now() < self.not_before {
            return;
        }
        let Some(order) = Order::of(&self.ahead) else { return };
        let (shared, held, job) = (self.shared.clone(), self.held.take(), order.job.id);
        let make = async move { order.make(&shared.store, &shared.name, held).await };
        self.work = Some((job, tokio::spawn(make)));
    }

    async fn finish_work(&mut self, job: u32, made: Result<Models, WorkError>) {
        let command = match made {
            Ok(models) => {
                let sha256 = models.sha256();
                (self.held, self.broken) = (Some(models), 0);
                Command::Publish { job, sha256 }
            }
            Err(WorkError::Advance(error)) => Command::Fail { job, reason: error.to_string() },
            Err(WorkError::Broken(error)) if self.broken >= 3 => Command::Fail { job, reason: error.to_string() },
            Err(error) => {
                self.broken += u32::from(matches!(error, WorkError::Broken(_)));
                self.shared.set_trouble(Some(error.to_string()));
                self.not_before = Instant::now() + Duration::from_secs(1);
                return;
            }
        };
        // Refused if the job was aborted meanwhile. If it cannot be stored, it is owed as before and made again.
        drop(self.decide(&command));
        if self.commit().await.is_err() {
            self.not_before = Instant::now() + Duration::from_secs(1);
        }
    }
}

/// Waits for the work, if there is any.
async fn finished(work: &mut Option<(u32, JoinHandle<Result<Models, WorkError>>)>) -> (u32, Result<Models, WorkError>) {
    let Some((job, handle)) = work else { return std::future::pending().await };
    let made = handle.await;
    let job = *job;
    *work = None;
    (job, made.unwrap_or_else(|broken| Err(broken.into())))
}

fn words(error: StoreError) -> CommandError {
    tracing::error!("a store failed: {error}");
    CommandError::Store("its store failed".into())
}

/// A line in the log for what an operator wants to read there.
fn log(federation: &str, event: &Event) {
    match event {
        Event::ClientJoined { client, .. } => tracing::info!(federation, %client, "{client} joined {federation}"),
        Event::ClientLeft { client, reason } => {
            tracing::info!(federation, %client, "{client} left {federation}: {reason:?}")
        }
        Event::ClientEvicted { client, reason } => {
            tracing::info!(federation, %client, "{client} was evicted from {federation}: {reason:?}");
        }
        Event::ClientLost { client, .. } => tracing::warn!(federation, %client, "{client} was lost: its lease ended"),
        Event::ClientReturned { client, .. } => {
            tracing::info!(federation, %client, "{client} returned to {federation}")
        }
        Event::TaskDeclined { round, client, reason } => {
            tracing::warn!(federation, %round, %client, "{client} declined round {round}: {reason:?}");
        }
        Event::RoundOpened { round, cohort, .. } => {
            tracing::debug!(federation, %round, "round {round} asks {} clients", cohort.len());
        }
        Event::RoundCompleted { round, participants } => {
            tracing::info!(federation, %round, "round {round} complete with {} participants", participants.len());
        }
        Event::RoundAbandoned { round, reported, quorum } => {
            tracing::warn!(federation, %round, "round {round} abandoned: {reported} answers of {quorum} needed");
        }
        Event::JobEnded { job, outcome, reason } => {
            tracing::info!(federation, job, "job {job} of {federation} ended: {outcome:?} {reason:?}");
        }
        _ => {}
    }
}
