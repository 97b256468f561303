//! A database that does a change whole or not at all, and sometimes fails to say which.

use std::{
    collections::BTreeMap,
    io::{self, ErrorKind},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use dure_core::{digest::Digest, journal::Entry, name::ClientName};
use dure_server::store::{
    Invitation, JobKey, Journals, Members, Secret, Seen, Settings, Sightings, StoreError, Stored,
};
use serde::{Deserialize, Serialize};
use tokio::time::sleep;

use crate::life::Breath;

/// How long a change takes.
const COMMIT: Duration = Duration::from_millis(2);

/// How a change fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failing {
    /// It is not made.
    NotMade,
    /// It is made, and nobody is told.
    Made,
    /// It is not made, and is there after a restart if nothing else was made meanwhile: a log whose last sync failed.
    Ghost,
}

/// What is stored. It outlives the process that uses it.
#[derive(Default)]
pub struct Tables {
    rows: Rows,
    /// What a restart finds instead, after a failure.
    ghost: Option<Rows>,
    /// How the next changes fail.
    pub failing: Vec<Failing>,
    /// Whether nothing can be changed.
    pub full: bool,
}

#[derive(Clone, Default)]
struct Rows {
    events: BTreeMap<String, Vec<Arc<Stored>>>,
    keys: BTreeMap<(String, String), JobKey>,
    secrets: BTreeMap<(String, ClientName), Secret>,
    invitations: BTreeMap<i64, Invitation>,
    invited: i64,
    seen: BTreeMap<(String, ClientName), Seen>,
    operator: Option<Digest>,
}

impl Tables {
    /// The process that used it has died.
    pub fn died(&mut self) {
        self.rows = self.ghost.take().unwrap_or_else(|| self.rows.clone());
    }

    /// A federation's journal.
    pub fn journal(&self, federation: &str) -> Vec<Entry> {
        self.rows.events.get(federation).into_iter().flatten().map(|stored| stored.entry.clone()).collect()
    }

    /// A federation's entries after the first `count`.
    pub fn after(&self, federation: &str, count: usize) -> Vec<Entry> {
        let events = self.rows.events.get(federation).into_iter().flatten();
        events.skip(count).map(|stored| stored.entry.clone()).collect()
    }

    /// Cuts a journal off, as somebody might who has something to hide.
    pub fn cut(&mut self, federation: &str, length: usize) {
        if let Some(events) = self.rows.events.get_mut(federation) {
            events.truncate(length);
        }
    }
}

/// The database as one run of a machine has it.
pub struct SimulatedDatabase {
    tables: Arc<Mutex<Tables>>,
    breath: Breath,
}

impl SimulatedDatabase {
    /// Tables, for one run of a machine.
    pub fn new(tables: Arc<Mutex<Tables>>, breath: Breath) -> Self {
        Self { tables, breath }
    }

    fn lock(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, look: impl FnOnce(&Rows) -> T) -> Result<T, StoreError> {
        self.breath.check().map_err(fault)?;
        Ok(look(&self.lock().rows))
    }

    /// Makes a change: all of it is there afterwards, or nothing.
    async fn change<T>(&self, change: impl FnOnce(&mut Rows) -> Result<T, StoreError>) -> Result<T, StoreError> {
        sleep(COMMIT).await;
        let made = self.breath.step(|| {
            let mut tables = self.lock();
            if tables.full {
                return Ok(Err(StoreError::Full { path: path() }));
            }
            let mut rows = tables.rows.clone();
            let made = change(&mut rows);
            if made.is_err() {
                return Ok(made);
            }
            let failing = if tables.failing.is_empty() { None } else { Some(tables.failing.remove(0)) };
            match failing {
                None | Some(Failing::Made) => (tables.rows, tables.ghost) = (rows, None),
                Some(Failing::Ghost) => tables.ghost = Some(rows),
                Some(Failing::NotMade) => {}
            }
            if failing.is_some() { Err(io::Error::other("the disk failed")) } else { Ok(made) }
        });
        made.map_err(fault)?
    }
}

fn path() -> PathBuf {
    "/data/dure.db".into()
}

fn fault(source: io::Error) -> StoreError {
    match source.kind() {
        ErrorKind::StorageFull => StoreError::Full { path: path() },
        _ => StoreError::Io { path: path(), source },
    }
}

#[async_trait]
impl Journals for SimulatedDatabase {
    async fn federations(&self) -> Result<Vec<String>, StoreError> {
        self.look(|rows| rows.events.keys().cloned().collect())
    }

    async fn append(
        &self,
        federation: &str,
        entries: &[Entry],
        wall_ms: i64,
        keys: &[JobKey],
    ) -> Result<(), StoreError> {
        self.change(|rows| {
            let events = rows.events.entry(federation.into()).or_default();
            for entry in entries {
                let stored = events.len() as u64;
                if entry.sequence != stored + 1 {
                    let (federation, first) = (federation.into(), entry.sequence);
                    return Err(StoreError::Conflict { federation, stored, first });
                }
                events.push(Arc::new(Stored { entry: entry.clone(), wall_ms }));
            }
            rows.keys.extend(keys.iter().map(|key| ((federation.to_owned(), key.key.clone()), key.clone())));
            Ok(())
        })
        .await
    }

    async fn after(&self, federation: &str, sequence: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        self.look(|rows| {
            let events = rows.events.get(federation).into_iter().flatten();
            events.skip(sequence as usize).take(limit as usize).map(|stored| (**stored).clone()).collect()
        })
    }

    async fn job_of_key(&self, federation: &str, key: &str) -> Result<Option<JobKey>, StoreError> {
        self.look(|rows| rows.keys.get(&(federation.to_owned(), key.to_owned())).cloned())
    }
}

#[async_trait]
impl Members for SimulatedDatabase {
    async fn secrets(&self) -> Result<Vec<Secret>, StoreError> {
        self.look(|rows| rows.secrets.values().cloned().collect())
    }

    async fn put_secret(&self, secret: &Secret) -> Result<(), StoreError> {
        self.change(|rows| {
            rows.secrets.insert((secret.federation.clone(), secret.client.clone()), secret.clone());
            Ok(())
        })
        .await
    }

    async fn forget_secret(&self, federation: &str, client: &ClientName) -> Result<(), StoreError> {
        self.change(|rows| {
            rows.secrets.remove(&(federation.to_owned(), client.clone()));
            Ok(())
        })
        .await
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        self.look(|rows| rows.invitations.values().cloned().collect())
    }

    async fn add_invitation(&self, invitation: &Invitation) -> Result<i64, StoreError> {
        self.change(|rows| {
            rows.invited += 1;
            rows.invitations.insert(rows.invited, Invitation { id: rows.invited, ..invitation.clone() });
            Ok(rows.invited)
        })
        .await
    }

    async fn remove_invitation(&self, federation: &str, id: i64) -> Result<bool, StoreError> {
        self.change(|rows| {
            let own = rows.invitations.get(&id).is_some_and(|invitation| invitation.federation == federation);
            Ok(own && rows.invitations.remove(&id).is_some())
        })
        .await
    }
}

#[async_trait]
impl Sightings for SimulatedDatabase {
    async fn seen(&self, federation: &str) -> Result<Vec<Seen>, StoreError> {
        self.look(|rows| {
            rows.seen.iter().filter(|((of, _), _)| of == federation).map(|(_, seen)| seen.clone()).collect()
        })
    }

    async fn put_seen(&self, federation: &str, rows: &[Seen]) -> Result<(), StoreError> {
        self.change(|stored| {
            stored.seen.extend(rows.iter().map(|seen| ((federation.to_owned(), seen.client.clone()), seen.clone())));
            Ok(())
        })
        .await
    }
}

/// Browsers have no sessions here.
#[async_trait]
impl Settings for SimulatedDatabase {
    async fn operator(&self) -> Result<Option<Digest>, StoreError> {
        self.look(|rows| rows.operator)
    }

    async fn set_operator(&self, sha256: Digest) -> Result<(), StoreError> {
        self.change(|rows| {
            rows.operator = Some(sha256);
            Ok(())
        })
        .await
    }

    async fn try_to_write(&self) -> Result<(), StoreError> {
        self.change(|_| Ok(())).await
    }

    async fn add_session(&self, _: Digest, _: i64) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remove_session(&self, _: Digest) -> Result<(), StoreError> {
        Ok(())
    }

    async fn remove_sessions(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn sessions(&self) -> Result<Vec<(Digest, i64)>, StoreError> {
        Ok(vec![])
    }

    async fn close(&self) {}
}
