//! One server for one data directory. The kernel lets the lock go when the process dies, however it dies, so a restart
//! waits for nothing and finds nothing stale.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use super::StoreError;

/// The lock of a data directory; let go when it falls.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the lock, or says that another has it; does not wait.
    pub fn take(data_dir: &Path) -> Result<Self, StoreError> {
        let path = data_dir.join("lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(|error| StoreError::io(&path, error))?;
        match file.try_lock() {
            Ok(()) => Ok(Self(file)),
            Err(TryLockError::WouldBlock) => Err(StoreError::Locked { path }),
            Err(TryLockError::Error(error)) => Err(StoreError::io(&path, error)),
        }
    }
}
