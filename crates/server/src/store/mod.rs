//! What outlives the process, all of it below one data directory: the journals and a few tables in SQLite (`dure.db`),
//! tensors as files (`blobs/`), and a lock (`lock`) that makes this process the only writer.
//!
//! Only these modules write SQL. Read them in this order:

use std::{ops::Deref, path::Path, sync::Arc};

use dure_machine::{Machine, disk::Lock};

mod blobs;

mod database;
mod sqlite;

mod folder;
mod lock;

mod error;

pub use blobs::Blobs;
pub use database::{Database, Invitation, JobKey, Journals, Members, Secret, Seen, Settings, Sightings, Stored};
pub use error::StoreError;
use sqlite::Sqlite;

/// An open data directory, and the machine that it is on. Clones share it; the lock is let go with the last one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields fall in this order: the lock last.
struct Inner {
    database: Box<dyn Database>,
    blobs: Blobs,
    machine: Machine,
    _lock: Lock,
}

impl Store {
    /// Opens a data directory, for this process alone, and brings its schema up to date. Makes it (for this user alone)
    /// if it is not there.
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        let machine = Machine::this();
        let lock = take(&machine, data_dir)?;
        let database = Sqlite::open(&data_dir.join("dure.db")).await?;
        Self::with(machine, data_dir, lock, Box::new(database))
    }

    /// As [`Self::open`], on another machine and with its database.
    pub fn open_on(machine: Machine, data_dir: &Path, database: Box<dyn Database>) -> Result<Self, StoreError> {
        let lock = take(&machine, data_dir)?;
        Self::with(machine, data_dir, lock, database)
    }

    fn with(machine: Machine, data_dir: &Path, lock: Lock, database: Box<dyn Database>) -> Result<Self, StoreError> {
        let blobs = Blobs::open(&data_dir.join("blobs"), machine.clone())?;
        Ok(Self { inner: Arc::new(Inner { database, blobs, machine, _lock: lock }) })
    }

    /// Models and updates.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    /// Where it is.
    pub fn machine(&self) -> &Machine {
        &self.inner.machine
    }
}

/// The rest is in the database.
impl Deref for Store {
    type Target = dyn Database;

    fn deref(&self) -> &Self::Target {
        &*self.inner.database
    }
}

/// Makes the data directory, if need be, and takes its lock. One that somebody has made for it is closed to others.
fn take(machine: &Machine, data_dir: &Path) -> Result<Lock, StoreError> {
    folder::make_own(machine.disk(), data_dir)?;
    lock::take(machine.disk(), data_dir)
}

#[cfg(test)]
pub(crate) mod testing {
    use tempfile::TempDir;

    use super::Store;

    /// A store in a folder that goes away with the test.
    pub async fn fresh() -> (TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).await.unwrap();
        (folder, store)
    }

    /// The same after a restart.
    pub async fn again(folder: &TempDir, store: Store) -> Store {
        drop(store);
        Store::open(&folder.path().join("data")).await.unwrap()
    }
}

#[cfg(test)]
mod tests {
    use super::{testing::fresh, *};

    #[tokio::test]
    async fn a_second_server_is_refused_while_the_first_lives() {
        let (folder, store) = fresh().await;
        let data = folder.path().join("data");
        let clone = store.clone();
        drop(store);
        let refused = Store::open(&data).await.err().unwrap();
        assert!(matches!(&refused, StoreError::Locked { path } if *path == data.join("lock")), "{refused}");
        drop(clone);
        Store::open(&data).await.unwrap();
    }

    #[tokio::test]
    async fn an_impossible_folder_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "").unwrap();
        for data in [file.clone(), file.join("data"), file.join("data/more")] {
            let error = Store::open(&data).await.err().unwrap();
            assert!(matches!(&error, StoreError::InTheWay { path } if *path == file), "{error}");
        }
        let long = folder.path().join("n".repeat(300));
        let error = Store::open(&long).await.err().unwrap();
        assert!(matches!(&error, StoreError::Io { path, .. } if *path == long), "{error}");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_new_folder_is_for_its_user_alone() {
        use std::os::unix::fs::PermissionsExt as _;
        let (folder, _store) = fresh().await;
        for folder in ["data", "data/blobs"].map(|name| folder.path().join(name)) {
            assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[tokio::test]
    async fn a_closed_store_opens_again_and_is_one_file() {
        let (folder, store) = fresh().await;
        store.set_operator(dure_core::digest::Digest([1; 32])).await.unwrap();
        store.close().await;
        assert!(!folder.path().join("data/dure.db-wal").exists());
        assert!(store.operator().await.is_err());
        drop(store);
        let store = Store::open(&folder.path().join("data")).await.unwrap();
        assert!(store.operator().await.unwrap().is_some());
    }
}
