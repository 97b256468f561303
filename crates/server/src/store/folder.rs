//! Folders that are still there after a power cut.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use dure_machine::{disk::Disk, files};

use super::StoreError;

/// Makes a folder, and those above it that are missing, for this user alone. One that is there stays as it is.
pub fn make(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    files::make_folder(disk, folder).map_err(fault)
}

/// The same for the data directory itself.
pub fn make_own(disk: &dyn Disk, folder: &Path) -> Result<(), StoreError> {
    files::make_own_folder(disk, folder).map_err(fault)
}

fn fault((path, error): (PathBuf, io::Error)) -> StoreError {
    match error.kind() {
        ErrorKind::NotADirectory => StoreError::InTheWay { path },
        _ => StoreError::io(&path, error),
    }
}
