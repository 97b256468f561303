//! What passes on the network, as far as laws speak of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use dure_core::{
    digest::Digest,
    event::{Event, Record},
    journal::{Entry, Head},
    name::ClientName,
    round::TaskId,
};
use dure_wire::{api::JOURNAL_HEADER, decompress};
use http::{Method, Request, Response, header};
use serde_json::Value;

use crate::{database::Tables, site::FEDERATION};

/// The largest update here.
const MAX_BYTES: usize = 1 << 20;

/// What has passed.
#[derive(Default)]
pub struct Records {
    inner: Mutex<Passed>,
}

/// What has passed.
#[derive(Clone, Default)]
pub struct Passed {
    /// Every head of the journal that the server has told anybody.
    pub heads: BTreeMap<u64, Digest>,
    /// Heads that contradict one another.
    pub contradiction: Option<String>,
    /// Every update that was sent, by its digest.
    pub updates: BTreeMap<Digest, Vec<u8>>,
    /// The tasks whose answer the server has said to have.
    pub taken: Vec<(TaskId, Option<Digest>)>,
    /// How many requests were made.
    pub requests: u64,
    /// What was acknowledged before it was in the journal.
    pub early: Option<String>,
    /// How much of the journal was read, and the answers, the members and the number of jobs that it has.
    read: usize,
    accepted: BTreeSet<TaskId>,
    members: BTreeSet<ClientName>,
    jobs: u64,
    /// Answers that only a fault of the server's program explains.
    pub faults: Vec<String>,
}

/// Of which request an answer is.
pub struct Asked {
    method: Method,
    path: String,
    sha256: Option<Digest>,
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Passed> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All that has passed yet.
    pub fn passed(&self) -> Passed {
        self.lock().clone()
    }

    /// Of which request an answer will be.
    pub fn asked(request: &Request<Bytes>) -> Asked {
        let sha256 = request.uri().query().and_then(|query| query.strip_prefix("sha256=")?.parse().ok());
        Asked { method: request.method().clone(), path: request.uri().path().to_owned(), sha256 }
    }

    /// A client makes a request.
    pub fn count(&self) {
        self.lock().requests += 1;
    }

    /// A request arrives.
    pub fn sent(&self, request: &Request<Bytes>) {
        let sha256 = Self::asked(request).sha256;
        let packed = request.headers().get(header::CONTENT_ENCODING).is_some();
        if let Some(sha256) = sha256.filter(|_| packed)
            && let Ok(file) = decompress(request.body(), MAX_BYTES)
            && Digest::of(&file) == sha256
        {
            self.lock().updates.insert(sha256, file);
        }
    }

    /// The server has answered; it may never be heard. What it says must be in the journal by now.
    pub fn answered(&self, asked: &Asked, answer: &Response<Bytes>, tables: &Mutex<Tables>) {
        let mut passed = self.lock();
        let read = passed.read;
        passed.read_on(tables.lock().unwrap_or_else(PoisonError::into_inner).after(FEDERATION, read));
        if answer.status() == 500 {
            passed.faults.push(format!("{} {}: {:?}", asked.method, asked.path, answer.body()));
        }
        if !answer.status().is_success() {
            return;
        }
        let told: Option<Value> = serde_json::from_slice(answer.body()).ok();
        let journal = told.as_ref().and_then(|told| serde_json::from_value(told.get("journal")?.clone()).ok());
        if let Some(head) = journal.or_else(|| head_of(answer)) {
            passed.see(head);
        }
        if asked.method == Method::PUT
            && let Some(task) = asked.path.split("/tasks/").nth(1).and_then(|rest| rest.strip_suffix("/result"))
            && let Ok(task) = task.parse()
        {
            if !passed.accepted.contains(&task) {
                passed.early.get_or_insert(format!("the answer to {task}"));
            }
            passed.taken.push((task, asked.sha256));
        }
        if asked.method == Method::PUT
            && let Some(client) = asked.path.split("/clients/").nth(1)
            && ClientName::new(client).is_ok_and(|client| !passed.members.contains(&client))
        {
            passed.early.get_or_insert(format!("that {client} has joined"));
        }
        if asked.method == Method::POST
            && asked.path.ends_with("/jobs")
            && told.is_some_and(|told| told["job"].as_u64().is_some_and(|job| job > passed.jobs))
        {
            passed.early.get_or_insert("a job".into());
        }
    }
}

impl Passed {
    fn read_on(&mut self, entries: Vec<Entry>) {
        self.read += entries.len();
        for entry in entries {
            match serde_json::from_str(entry.event.get()).map(|record: Record| record.event) {
                Ok(Event::AnswerAccepted { round, client, .. }) => drop(self.accepted.insert(TaskId { round, client })),
                Ok(Event::ClientJoined { client, .. }) => drop(self.members.insert(client)),
                Ok(Event::JobCreated { .. }) => self.jobs += 1,
                _ => {}
            }
        }
    }

    fn see(&mut self, head: Head) {
        let known = *self.heads.entry(head.sequence).or_insert(head.hash);
        if known != head.hash && head.sequence > 0 {
            let both = format!("the journal's entry {} was {known}, then {}", head.sequence, head.hash);
            self.contradiction.get_or_insert(both);
        }
    }
}

fn head_of(answer: &Response<Bytes>) -> Option<Head> {
    let (sequence, hash) = answer.headers().get(JOURNAL_HEADER)?.to_str().ok()?.split_once(' ')?;
    Some(Head { sequence: sequence.parse().ok()?, hash: hash.parse().ok()? })
}
