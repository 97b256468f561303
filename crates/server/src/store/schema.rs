//! How the database is opened, and its schema: migrations in the binary, in their order.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sqlx::{
    Connection as _, SqlSafeStr as _, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::StoreError;

/// The migrations, oldest first. One that was released is never changed: its checksum is in every database.
const MIGRATIONS: [(&str, &str); 1] = [("first", include_str!("../../migrations/0001_first.sql"))];

/// How many may read at once.
const READERS: u32 = 4;

/// Opens the database at `path` and brings its schema up to date: one connection that writes, and some that read. Whoever sets
/// `suspect` has the writer's replaced.
pub async fn open(path: &Path, suspect: &Arc<AtomicBool>) -> Result<(SqlitePool, SqlitePool), StoreError> {
    let fault = |error| StoreError::database(path, error);
    let writer = pool(1, suspect).connect_with(writing(path)).await.map_err(fault)?;
    migrate(path, &writer).await?;
    let readers =
        pool(READERS, &Arc::default()).connect_with(options(path).pragma("query_only", "ON")).await.map_err(fault)?;
    Ok((writer, readers))
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
mod tests {
    use super::*;
    use crate::store::testing::{again, fresh};

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
        check(store.writer(), "SELECT CAST(synchronous AS TEXT) FROM pragma_synchronous", "2").await;
        check(store.writer(), "SELECT journal_mode FROM pragma_journal_mode", "wal").await;
        check(store.writer(), "SELECT CAST(foreign_keys AS TEXT) FROM pragma_foreign_keys", "1").await;
        check(store.writer(), "SELECT CAST(timeout AS TEXT) FROM pragma_busy_timeout", "5000").await;
        check(store.readers(), "SELECT CAST(query_only AS TEXT) FROM pragma_query_only", "1").await;
        let written = sqlx::query("DELETE FROM events").execute(store.readers()).await.map_err(store.fault());
        assert!(matches!(written, Err(StoreError::ReadOnly { .. })), "{written:?}");
    }

    #[tokio::test]
    async fn a_writer_that_could_only_read_is_replaced() {
        let (_folder, store) = fresh().await;
        sqlx::query("PRAGMA query_only = ON").execute(store.writer()).await.unwrap();
        let error = store.remove_sessions().await.unwrap_err();
        assert!(matches!(error, StoreError::ReadOnly { .. }), "{error}");
        store.remove_sessions().await.unwrap();
    }

    #[tokio::test]
    async fn migrating_twice_is_harmless() {
        let (folder, store) = fresh().await;
        migrate(Path::new("dure.db"), store.writer()).await.unwrap();
        let store = again(&folder, store).await;
        let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM _sqlx_migrations").fetch_one(store.readers());
        assert_eq!(count.await.unwrap(), MIGRATIONS.len() as i64);
    }

    /// What opening says after `sql` was done to a database.
    async fn refused_after(sql: &'static str) -> StoreError {
        let (folder, store) = fresh().await;
        sqlx::query(sql).execute(store.writer()).await.unwrap();
        drop(store);
        crate::store::Store::open(&folder.path().join("data")).await.err().unwrap()
    }

    #[tokio::test]
    async fn a_newer_or_another_schema_is_refused() {
        let newer =
            "INSERT INTO _sqlx_migrations SELECT 7, 'later', installed_on, 1, checksum, 0 FROM _sqlx_migrations";
        let error = refused_after(newer).await;
        let ending = "data/dure.db: its schema is 7, this version knows 1 to 1; use a newer dure";
        assert!(error.to_string().ends_with(ending), "{error}");
        let error = refused_after("UPDATE _sqlx_migrations SET checksum = x'00'").await;
        assert!(matches!(error, StoreError::Schema { .. }), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_database_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("dure.db");
        std::fs::write(&path, "words, and not a few of them, where a database should be").unwrap();
        let error = open(&path, &Arc::default()).await.unwrap_err().to_string();
        assert!(error.starts_with(path.to_str().unwrap()) && error.contains("not a database"), "{error}");
    }
}
