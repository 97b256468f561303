//! Folders that are still there after a power cut.

use std::{io::ErrorKind, path::Path};

use dure_machine::{disk::Disk, files};

use super::StoreError;

/// Makes a folder, and those above it that are missing, for this user alone. One that is there stays as it is.
pub fn make(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    files::make_folder(disk, folder).map_err(|(path, error)| match error.kind() {
        ErrorKind::NotADirectory => StoreError::InTheWay { path },
        _ => StoreError::io(&path, error),
    })
}
