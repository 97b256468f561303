//! What outlives the process, all of it below one data directory: the journals and a few tables in SQLite (`dure.db`),
//! tensors as files (`blobs/`), and a lock (`lock`) that makes this process the only writer.
//!
//! Only these modules write SQL. Read them in this order:

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use sqlx::SqlitePool;

mod blobs;
mod journal;

mod members;
mod seen;
mod settings;

mod folder;
mod lock;
mod schema;

mod error;
mod row;

pub use blobs::Blobs;
pub use error::StoreError;
pub use journal::{JobKey, Stored};
pub use members::{Invitation, Secret};
pub use seen::Seen;

use lock::Lock;

/// An open data directory. Clones share it; the lock is let go with the last one.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

/// Fields fall in this order: the lock last.
struct Inner {
    database: PathBuf,
    /// One connection: writes stand in a queue here, not at SQLite's door.
    writer: SqlitePool,
    /// Whether the writer's connection is to be replaced, for something failed.
    suspect: Arc<AtomicBool>,
    /// Connections that see what is committed, and cannot write.
    readers: SqlitePool,
    blobs: Blobs,
    _lock: Lock,
}

impl Store {
    /// Opens a data directory, for this process alone, and brings its schema up to date. Makes it (for this user alone)
    /// if it is not there.
    pub async fn open(data_dir: &Path) -> Result<Self, StoreError> {
        folder::make(data_dir)?;
        let lock = Lock::take(data_dir)?;
        let database = data_dir.join("dure.db");
        let suspect = Arc::default();
        let (writer, readers) = schema::open(&database, &suspect).await?;
        let blobs = Blobs::open(&data_dir.join("blobs"))?;
        Ok(Self { inner: Arc::new(Inner { database, writer, suspect, readers, blobs, _lock: lock }) })
    }

    /// Waits for what is being written and closes the database, which folds its log into one file. Without it nothing
    /// is lost. Afterwards every call fails.
    pub async fn close(&self) {
        self.inner.readers.close().await;
        self.inner.writer.close().await;
    }

    /// Models and updates.
    pub fn blobs(&self) -> &Blobs {
        &self.inner.blobs
    }

    fn writer(&self) -> &SqlitePool {
        &self.inner.writer
    }

    fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// Names the file that a query failed on.
    fn fault(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        |source| {
            self.inner.suspect.store(true, Ordering::Relaxed);
            StoreError::database(&self.inner.database, source)
        }
    }
}

#[cfg(test)]
mod testing {
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
