//! The writer of a federation's journal: it asks the rules what commands mean, makes the events durable, and only then applies
//! them, answers, and does what the federation owes.

use std::{
    sync::{Arc, PoisonError, atomic::Ordering},
    time::Duration,
};

use dure_core::{
    digest::Digest,
    event::{Event, Outcome, Record},
    federation::{Command, Federation, Reject},
    job::Stage,
    journal::{Entry, Head},
    name::ClientName,
    time::Time,
};
use dure_machine::kill;
use dure_wire::Models;
use tokio::{sync::mpsc, task::JoinHandle, time::Instant};

use super::{Asked, CommandError, Done, Shared};
use crate::{
    presence::wall_ms,
    store::{JobKey, StoreError},
    work::{Order, WorkError},
};

/// How many commands are made durable together.
const BATCH: usize = 256;

/// How often rows of last-seen are stored.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// What whoever asks is told of a store's failure. It names paths, which are the log's.
const FAILED: &str = "its store failed";

/// The task that owns the journal.
pub struct Writer {
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Asked>,
    /// The federation with the events that are not durable yet.
    ahead: Federation,
    head: Head,
    pending: Vec<(Record, Entry)>,
    /// Whether an append has failed: it may have been written all the same, and more is stored than is shown.
    unsure: bool,
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
    /// Goes on where the journal ends.
    pub(super) fn new(shared: Arc<Shared>, inbox: mpsc::Receiver<Asked>, ahead: Federation, head: Head) -> Self {
        let now = Instant::now();
        let (pending, keys, unsure) = (vec![], vec![], false);
        let (held, work, broken) = (None, None, 0);
        let (not_before, next_look, saved) = (now, now, now);
        Self { shared, inbox, ahead, head, pending, unsure, keys, held, work, broken, not_before, next_look, saved }
    }

    /// Writes until nobody can ask any more.
    pub async fn run(mut self) {
        self.clear();
        loop {
            self.begin_work();
            let look = tokio::time::sleep_until(self.next_look());
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
        let sure = self.become_sure().await;
        let (mut replies, mut uploads) = (Vec::new(), Vec::new());
        let mut next = Some(first);
        while let Some(Asked { command, key, upload, reply }) = next.take() {
            uploads.extend(upload);
            let done = match &sure {
                Ok(()) => self.decide_once(&command, key).await,
                Err(why) => Err(CommandError::Store(why.clone())),
            };
            replies.push((reply, done));
            next = if replies.len() < BATCH { self.inbox.try_recv().ok() } else { None };
        }
        let stored = self.commit().await;
        drop(uploads);
        for (reply, done) in replies {
            let failed = |why: &String| CommandError::Store(why.clone());
            // Whatever was decided may rest on events of this batch: if they are not durable, nobody is told anything else.
            let answer = stored.as_ref().map_err(failed).and(done);
            // Who asked may have gone.
            kill::around("acknowledge", || drop(reply.send(answer)));
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
        self.note_facts();
        let now = self.now();
        while let Ok(events) = self.ahead.decide(&Command::Tick, now)
            && !events.is_empty()
        {
            self.chain(&events, now);
        }
    }

    /// Brings what clients say of their devices into the journal, while a job chooses by it and between its rounds: else it is nobody's
    /// business.
    fn note_facts(&mut self) {
        let idle = self.ahead.active().filter(|job| matches!(job.stage, Stage::Idle));
        let Some(filter) = idle.and_then(|job| job.plan.cohort.filter) else { return };
        let now = self.now();
        let eligible: Vec<ClientName> = self.ahead.eligible().into_iter().cloned().collect();
        for client in eligible {
            let facts = self.shared.presences.look(&client, |known| known.map(|known| filter.of(&known.facts)));
            let note = Command::Note { client, facts: facts.unwrap_or_default() };
            if let Ok(events) = self.ahead.decide(&note, now) {
                self.chain(&events, now);
            }
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

    /// Makes what is pending durable, and only then shows it. If that fails, nothing has happened, as far as anybody is told.
    async fn commit(&mut self) -> Result<(), String> {
        let (pending, keys) = (std::mem::take(&mut self.pending), std::mem::take(&mut self.keys));
        if pending.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let (records, entries): (Vec<Record>, Vec<Entry>) = pending.into_iter().unzip();
        let Shared { store, name, metrics, .. } = &*self.shared;
        if let Err(error) = store.append(name, &entries, wall_ms(), &keys).await {
            let meant = self.head;
            self.ahead = self.shared.read().clone();
            (self.head, self.unsure) = (self.shared.head(), true);
            self.shared.doubtful.store(true, Ordering::Relaxed);
            self.shared.set_trouble(Some(error.to_string()));
            self.become_sure().await?;
            if self.head != meant {
                return Err(FAILED.into());
            }
            self.shared.doubtful.store(false, Ordering::Relaxed);
            return Ok(());
        }
        self.shared.doubtful.store(false, Ordering::Relaxed);
        metrics.appended(name, records.len(), began.elapsed());
        self.show(&records);
        Ok(())
    }

    /// After an append that failed, takes up what is stored all the same. Until the store can be asked, nothing is decided: it
    /// would be decided on a journal that may be another.
    async fn become_sure(&mut self) -> Result<(), String> {
        while self.unsure {
            let page = self.shared.store.after(&self.shared.name, self.head.sequence, BATCH as u32).await;
            let mut records = Vec::new();
            for stored in page.map_err(|error| self.failed(&error))? {
                let record = self.head.follow(&stored.entry).map_err(|broken| self.failed(&broken))?;
                self.ahead.apply(&record);
                records.push(record);
            }
            match records.is_empty() {
                true => self.unsure = false,
                false => self.show(&records),
            }
        }
        Ok(())
    }

    /// What whoever asks is told of a store's failure; the log has the rest.
    fn failed(&self, why: &dyn std::fmt::Display) -> String {
        self.shared.set_trouble(Some(why.to_string()));
        FAILED.into()
    }

    /// Shows readers what is durable now.
    fn show(&mut self, records: &[Record]) {
        kill::around("publish", || {
            let mut state = self.shared.state.write().unwrap_or_else(PoisonError::into_inner);
            records.iter().for_each(|record| state.apply(record));
            self.shared.head.send_replace(self.head);
        });
        for record in records {
            log(&self.shared.name, &record.event);
        }
        let wakes = |event: &Event| {
            matches!(event, Event::RoundOpened { .. } | Event::TaskReassigned { .. } | Event::ClientEvicted { .. })
        };
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
        // An event is small: where an update did not fit, it is no proof.
        if self.shared.wanted.load(Ordering::Relaxed) == 0 {
            self.shared.set_trouble(None);
        }
    }

    /// Work for a job that is over is for nothing.
    fn give_up_work(&mut self) {
        let owes = |job: u32| self.ahead.owed().is_some_and(|owed| owed.job().id == job);
        if let Some((_, work)) = self.work.take_if(|(job, _)| !owes(*job)) {
            work.abort();
        }
    }

    fn clear(&self) {
        let shared = self.shared.clone();
        tokio::spawn(async move {
            if let Err(error) = shared.clear_updates().await {
                tracing::warn!("old updates cannot be deleted: {error}; trying again");
                shared.uncleared.store(true, Ordering::Relaxed);
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
        self.look().await;
        // From now on: where the store takes long to refuse, commands have their turn between two looks all the same.
        self.next_look = Instant::now() + Duration::from_millis((self.shared.lease.0 / 4).clamp(10, 1000));
    }

    /// Looks at what time has brought.
    async fn look(&mut self) {
        if self.become_sure().await.is_err() {
            return;
        }
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
        if self.shared.uncleared.swap(false, Ordering::Relaxed) {
            self.clear();
        }
        if self.saved.elapsed() >= SAVE_EVERY {
            self.save_seen().await;
        }
    }

    /// Whether what was in the way is gone. What is owed is tried again anyway, and says itself how it went.
    async fn look_at_the_store(&self) {
        if self.ahead.owed().is_none() && self.shared.try_the_store().await.is_ok() {
            self.shared.doubtful.store(false, Ordering::Relaxed);
            self.shared.set_trouble(None);
        }
    }

    async fn save_seen(&mut self) {
        if let Err(error) = self.shared.save_seen().await {
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
                let (sha256, state) = (models.sha256(), models.state_sha256());
                (self.held, self.broken) = (Some(models), 0);
                Command::Publish { job, sha256, state }
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
        let stored = match self.become_sure().await {
            Ok(()) => {
                // Refused if the job was aborted meanwhile.
                drop(self.decide(&command));
                self.commit().await
            }
            unsure => unsure,
        };
        // If it cannot be stored, it is owed as before and made again.
        if stored.is_err() {
            self.not_before = Instant::now() + Duration::from_secs(1);
            return;
        }
        self.clear_states().await;
    }
}

impl Writer {
    /// Deletes what optimizers remembered of versions that no job goes on from. Work alone stores it, and none is under way.
    async fn clear_states(&self) {
        let needed = self.ahead.states().collect();
        if let Err(error) = self.shared.store.blobs().clear_states(&self.shared.name, &needed).await {
            tracing::warn!("what an optimizer remembered cannot be deleted: {error}");
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
    CommandError::Store(FAILED.into())
}

fn words_of(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Completed => "is completed",
        Outcome::Aborted => "was aborted",
        Outcome::GaveUp => "gave up: too many rounds in a row were abandoned",
        Outcome::Failed => "failed",
    }
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
        Event::TaskReassigned { round, client } => {
            tracing::info!(federation, %round, %client, "{client} takes a place in round {round}");
        }
        Event::TaskDeclined { round, client, reason } => {
            tracing::warn!(federation, %round, %client, "{client} declined round {round}: {reason:?}");
        }
        Event::RoundOpened { round, cohort, .. } => {
            tracing::debug!(federation, %round, "round {round} asks {} clients", cohort.len());
        }
        Event::RoundCompleted { round, participants, .. } => {
            tracing::info!(federation, %round, "round {round} complete with {} participants", participants.len());
        }
        Event::RoundAbandoned { round, reported, quorum } => {
            tracing::warn!(federation, %round, "round {round} abandoned: {reported} answers of {quorum} needed");
        }
        Event::JobEnded { job, outcome, reason } => {
            let because = if reason.is_empty() { String::new() } else { format!(": {reason:?}") };
            tracing::info!(federation, job, "job {job} of {federation} {}{because}", words_of(*outcome));
        }
        _ => {}
    }
}
