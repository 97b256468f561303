//! Why a store failed.

use std::{
    error::Error,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use dure_core::digest::Digest;

use crate::system::is_out_of_files;

/// Why a store failed, and what to do about it. For the log: it names paths.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum StoreError {
    /// Another server has the data directory.
    #[error("{} is held by another server; stop that one, or choose another data directory", path.display())]
    Locked { path: PathBuf },
    /// The disk is full, or the user's share of it.
    #[error("{}: there is no space left; free some", path.display())]
    Full { path: PathBuf },
    /// A disk or a file that cannot be written to.
    #[error("{}: it is read-only; make it writable, or choose another data directory", path.display())]
    ReadOnly { path: PathBuf },
    /// No file can be opened.
    #[error("{}: as many files are open as may be; raise the limit (ulimit -n)", path.display())]
    OutOfFiles { path: PathBuf },
    /// The database is somebody else's for the moment.
    #[error("{}: another process has it open and writes; end that one", path.display())]
    Busy { path: PathBuf },
    /// Something is where a folder has to be.
    #[error("{}: is in the way and no folder; remove it, or choose another data directory", path.display())]
    InTheWay { path: PathBuf },
    /// Another fault of a file or a folder.
    #[error("{}: {source}; see that it is there and that the server's user may read and write it", path.display())]
    Io { path: PathBuf, source: io::Error },
    /// The database was written by a later version.
    #[error("{}: its schema is {found}, this version knows 1 to {known}; use a newer dure", path.display())]
    Newer { path: PathBuf, found: i64, known: i64 },
    /// The database is not one of ours, or cannot be brought up to date.
    #[error("{}: its schema cannot be brought up to date: {source}; restore it from a copy", path.display())]
    Schema { path: PathBuf, source: sqlx::migrate::MigrateError },
    /// Someone else has written to the journal, or the entries have gaps. Nothing was written.
    #[error(
        "the journal of federation {federation:?} ends at {stored}, and {first} cannot follow it; restart the server"
    )]
    Conflict { federation: String, stored: u64, first: u64 },
    /// An entry of a journal that is no longer what was written.
    #[error("entry {sequence} of federation {federation:?} is damaged: {why}; restore the data directory from a copy")]
    Damaged { federation: String, sequence: u64, why: String },
    /// A row of another table that is no longer what was written.
    #[error("row {row} of table {table} is damaged: {why}; restore the data directory from a copy")]
    BadRow { table: &'static str, row: String, why: String },
    /// A secret that is somebody else's already. Nothing was written.
    #[error("the secret of {client} in federation {federation:?} belongs to another client; draw a new one")]
    SecretTaken { federation: String, client: String },
    /// There is no such blob.
    #[error("there is no blob {0}; if the journal names it, restore the data directory from a copy")]
    Missing(Digest),
    /// Bytes that a blob does not have.
    #[error("bytes {start} to {end} are not within the {len} bytes of blob {sha256}")]
    Range { sha256: Digest, start: u64, end: u64, len: u64 },
    /// Another fault of the blobs.
    #[error("{}: {source}; see that it can be read and written", path.display())]
    Blob { path: PathBuf, source: object_store::Error },
    /// Another fault of the database.
    #[error("{}: {source}; see that its disk and its file are sound", path.display())]
    Database { path: PathBuf, source: sqlx::Error },
}

impl StoreError {
    /// What an operation on `path` failed with.
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::of_system(path, &source).unwrap_or_else(|| Self::Io { path: path.into(), source })
    }

    /// What an operation on the blob at `path` failed with.
    pub(super) fn blob(path: &Path, sha256: Digest, source: object_store::Error) -> Self {
        match source {
            object_store::Error::NotFound { .. } => Self::Missing(sha256),
            source => Self::blobs(path, source),
        }
    }

    /// As above, of a folder.
    pub(super) fn blobs(path: &Path, source: object_store::Error) -> Self {
        let told = cause(&source).and_then(|cause| Self::of_system(path, cause));
        told.unwrap_or_else(|| Self::Blob { path: path.into(), source })
    }

    /// What the database at `path` failed with. The codes are SQLite's <https://www.sqlite.org/rescode.html>.
    pub(super) fn database(path: &Path, source: sqlx::Error) -> Self {
        const BUSY: i32 = 5;
        const READONLY: i32 = 8;
        const FULL: i32 = 13;
        let kind = match primary_code(&source) {
            Some(BUSY) => return Self::Busy { path: path.into() },
            Some(READONLY) => Some(ErrorKind::ReadOnlyFilesystem),
            Some(FULL) => Some(ErrorKind::StorageFull),
            _ => None,
        };
        let told = kind.and_then(|kind| Self::of_kind(path, kind));
        told.unwrap_or_else(|| Self::Database { path: path.into(), source })
    }

    fn of_system(path: &Path, error: &io::Error) -> Option<Self> {
        if is_out_of_files(error) {
            Some(Self::OutOfFiles { path: path.into() })
        } else {
            Self::of_kind(path, error.kind())
        }
    }

    fn of_kind(path: &Path, kind: ErrorKind) -> Option<Self> {
        let path = path.into();
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(Self::Full { path }),
            ErrorKind::ReadOnlyFilesystem => Some(Self::ReadOnly { path }),
            _ => None,
        }
    }
}

/// Extended codes have the primary one in their lowest byte.
fn primary_code(error: &sqlx::Error) -> Option<i32> {
    Some(error.as_database_error()?.code()?.parse::<i32>().ok()? & 0xff)
}

/// The error of the operating system that lies below `error`.
fn cause<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a io::Error> {
    std::iter::successors(Some(error), |&error| error.source()).find_map(|error| error.downcast_ref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_and_a_read_only_disk_are_told_apart_from_other_faults() {
        let check = |error: StoreError, want: &str| assert_eq!(error.to_string(), want);
        let path = Path::new("d/f");
        let full = || io::Error::from(ErrorKind::StorageFull);
        check(StoreError::io(path, full()), "d/f: there is no space left; free some");
        let blob = object_store::Error::Generic { store: "LocalFileSystem", source: Box::new(full()) };
        check(StoreError::blobs(path, blob), "d/f: there is no space left; free some");
        let read_only = StoreError::io(path, ErrorKind::ReadOnlyFilesystem.into());
        check(read_only, "d/f: it is read-only; make it writable, or choose another data directory");
        let files = StoreError::io(path, io::Error::from_raw_os_error(24));
        check(files, "d/f: as many files are open as may be; raise the limit (ulimit -n)");
        let other = StoreError::io(path, io::Error::other("odd"));
        check(other, "d/f: odd; see that it is there and that the server's user may read and write it");
        let other = StoreError::database(path, sqlx::Error::PoolClosed);
        assert!(matches!(other, StoreError::Database { .. }), "{other}");
    }
}
