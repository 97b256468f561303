//! One server for one data directory. The kernel lets the lock go when the process dies, however it dies, so a restart
//! waits for nothing and finds nothing stale.

use std::{io::ErrorKind, path::Path};

use dure_machine::disk::{Disk, Lock};

use super::StoreError;

/// Takes the lock of a data directory, or says that another has it; does not wait.
pub fn take(disk: &dyn Disk, data_dir: &Path) -> Result<Lock, StoreError> {
    let path = data_dir.join("lock");
    disk.lock(&path).map_err(|error| match error.kind() {
        ErrorKind::WouldBlock => StoreError::Locked { path },
        _ => StoreError::io(&path, error),
    })
}
