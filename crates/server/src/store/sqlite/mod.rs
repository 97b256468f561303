//! The database of a server on one machine: SQLite. Only these modules write SQL.

use std::{
    ops::{Deref, DerefMut},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use dure_machine::kill;
use sqlx::{
    Connection as _, SqlSafeStr as _, SqliteConnection, SqlitePool, SqliteTransaction,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::StoreError;

mod journal;
mod members;
mod row;
mod seen;
mod settings;

/// The migrations, oldest first. One that was released is never changed: its checksum is in every database.
const MIGRATIONS: [(&str, &str); 2] = [
    ("first", include_str!("../../../migrations/0001_first.sql")),
    ("site", include_str!("../../../migrations/0002_site.sql")),
];

/// How many may read at once.
const READERS: u32 = 4;

/// A database in a file.
pub struct Sqlite {
    path: PathBuf,
    /// One connection: writes stand in a queue here, not at SQLite's door.
    writer: SqlitePool,
    /// Whether the writer's connection is to be replaced, for something failed.
    suspect: Arc<AtomicBool>,
    /// Connections that see what is committed, and cannot write.
    readers: SqlitePool,
}

/// A change that is being made. Dropped without [`Self::commit`], it never was.
struct Writing<'a> {
    database: &'a Sqlite,
    step: &'static str,
    transaction: SqliteTransaction<'static>,
}

impl Sqlite {
    /// Opens the database at `path`, which is made if it is not there, and brings its schema up to date.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let fault = |error| StoreError::database(path, error);
        let suspect = Arc::default();
        let opened = pool(1, &suspect).connect_with(writing(path));
        let writer = kill::around_async("open-database", opened).await.map_err(fault)?;
        kill::around_async("migrate", migrate(path, &writer)).await?;
        let reading = options(path).pragma("query_only", "ON");
        let readers = pool(READERS, &Arc::default()).connect_with(reading).await.map_err(fault)?;
        Ok(Self { path: path.into(), writer, suspect, readers })
    }

    /// Begins a change; there is no other way to write. `step` names the points to die at, before and after it is made.
    async fn begin(&self, step: &'static str) -> Result<Writing<'_>, StoreError> {
        let begun = self.writer.begin_with("BEGIN IMMEDIATE").await;
        begun.map(|transaction| Writing { database: self, step, transaction }).map_err(self.fault())
    }

    fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// Names the file that a query failed on.
    fn fault(&self) -> impl Fn(sqlx::Error) -> StoreError + '_ {
        |source| {
            self.suspect.store(true, Ordering::Relaxed);
            StoreError::database(&self.path, source)
        }
    }
}

impl Writing<'_> {
    /// Makes the change: on return it is on the disk.
    async fn commit(self) -> Result<(), StoreError> {
        let Self { database, step, transaction } = self;
        kill::around_async(step, transaction.commit()).await.map_err(database.fault())
    }
}

impl Deref for Writing<'_> {
    type Target = SqliteConnection;

    fn deref(&self) -> &SqliteConnection {
        &self.transaction
    }
}

impl DerefMut for Writing<'_> {
    fn deref_mut(&mut self) -> &mut SqliteConnection {
        &mut self.transaction
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).busy_timeout(Duration::from_secs(5)).foreign_keys(true)
}

/// A commit is on the disk when it returns: FULL syncs the write-ahead log each time, and on macOS, where a plain sync
/// stops at the drive's cache, fullfsync goes through it.
fn writing(path: &Path) -> SqliteConnectOptions {
    options(path)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .pragma("fullfsync", "ON")
        .pragma("checkpoint_fullfsync", "ON")
}

/// After a full disk SQLite rolls back by itself, sqlx's own ROLLBACK then fails, and the connection would refuse every
/// BEGIN from then on: such a one is closed, and another takes its place. And on a disk that is read-only for a while SQLite
/// opens a file for reading, says nothing, and reads it still when it could write again: so a suspect one is closed, too.
fn pool(connections: u32, suspect: &Arc<AtomicBool>) -> SqlitePoolOptions {
    let suspect = Arc::clone(suspect);
    SqlitePoolOptions::new().max_connections(connections).idle_timeout(None).max_lifetime(None).before_acquire(
        move |connection, _| {
            let sound = !suspect.swap(false, Ordering::Relaxed) && !connection.is_in_transaction();
            Box::pin(async move { Ok(sound) })
        },
    )
}

async fn migrate(path: &Path, writer: &SqlitePool) -> Result<(), StoreError> {
    let known = MIGRATIONS.len() as i64;
    Migrator::with_migrations(migrations()).run(writer).await.map_err(|error| match error {
        MigrateError::VersionMissing(found) if found > known => StoreError::Newer { path: path.into(), found, known },
        MigrateError::Execute(error) | MigrateError::ExecuteMigration(error, _) => StoreError::database(path, error),
        source => StoreError::Schema { path: path.into(), source },
    })
}

fn migrations() -> Vec<Migration> {
    let migration = |(version, (name, sql)): (i64, (&'static str, &'static str))| {
        Migration::new(version, name.into(), MigrationType::Simple, sql.into_sql_str(), false)
    };
    (1..).zip(MIGRATIONS).map(migration).collect()
}

#[cfg(test)]
mod testing {
    use tempfile::TempDir;

    use super::Sqlite;
    use crate::store::Settings as _;

    /// A database in a folder that goes away with the test.
    pub async fn fresh() -> (TempDir, Sqlite) {
        let folder = tempfile::tempdir().unwrap();
        let database = open(&folder).await.unwrap();
        (folder, database)
    }

    /// The same after a restart.
    pub async fn again(folder: &TempDir, database: Sqlite) -> Sqlite {
        database.close().await;
        open(folder).await.unwrap()
    }

    /// The database of a folder.
    pub async fn open(folder: &TempDir) -> Result<Sqlite, crate::store::StoreError> {
        Sqlite::open(&folder.path().join("dure.db")).await
    }
}

#[cfg(test)]
mod tests {
    use super::testing::{again, fresh};
    use super::*;
    use crate::store::Settings as _;

    async fn pragma(pool: &SqlitePool, sql: &'static str) -> String {
        let mut connection = pool.acquire().await.unwrap();
        let value = sqlx::query_scalar::<_, String>(sql).fetch_one(&mut *connection).await;
        value.unwrap()
    }

    #[tokio::test]
    async fn the_writer_syncs_every_commit_and_readers_cannot_write() {
        let (_folder, store) = fresh().await;
        let check = async |pool: &SqlitePool, sql: &'static str, want: &str| {
            assert_eq!(pragma(pool, sql).await, want, "{sql}");
        };
        check(&store.writer, "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2").await;
        check(&store.writer, "SELECT journal_mode FROM pragma_journal_mode", "wal").await;
        check(&store.writer, "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1").await;
        check(&store.writer, "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "5000").await;
        check(store.readers(), "SELECT CAST(query_only AS TEXT) FROM pragma_query_only", "1").await;
        let written = sqlx::query("DELETE FROM events").execute(store.readers()).await.map_err(store.fault());
        assert!(matches!(written, Err(StoreError::ReadOnly { .. })), "{written:?}");
    }

    #[tokio::test]
    async fn a_writer_that_could_only_read_is_replaced() {
        let (_folder, store) = fresh().await;
        sqlx::query("PRAGMA query_only = ON").execute(&store.writer).await.unwrap();
        let error = store.remove_sessions().await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        store.remove_sessions().await.unwrap();
    }

    #[tokio::test]
    async fn migrating_twice_is_harmless() {
        let (folder, store) = fresh().await;
        migrate(Path::new("dure.db"), &store.writer).await.unwrap();
        let store = again(&folder, store).await;
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations").fetch_one(store.readers());
        assert_eq!(count.await.unwrap(), MIGRATIONS.len() as i64);
    }

    /// What opening says after `sql` was done to a database.
    async fn refused_after(sql: &'static str) -> StoreError {
        let (folder, store) = fresh().await;
        sqlx::query(sql).execute(&store.writer).await.unwrap();
        store.close().await;
        super::testing::open(&folder).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_newer_or_another_schema_is_refused() {
        let newer = "INSERT INTO _sqlx_migrations SELECT 7, 'later', installed_on, 1, checksum, 0 FROM _sqlx_migrations LIMIT 1";
        let error = refused_after(newer).await;
        let ending = "/dure.db: its schema is 7, this version knows 1 to 2; use a newer dure";
        assert!(error.to_string().ends_with(ending), "{error}");
        let error = refused_after("UPDATE _sqlx_migrations SET checksum = x'00'").await;
        assert!(matches!(error, StoreError::Schema { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dure.db");
        std::fs::write(&path, "words, and not a few of them, where a database should be").unwrap();
        let error = Sqlite::open(&path).await.err().unwrap().to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains("not a database"), "{error}");
    }
}
