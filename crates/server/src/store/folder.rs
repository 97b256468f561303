//! Folders that are still there after a power cut.

use std::{fs::DirBuilder, io, path::Path};

use super::StoreError;

/// Makes a folder, and those above it that are missing, for this user alone. One that is there stays as it is.
pub fn make(folder: &Path) -> Result<(), StoreError> {
    if folder.is_dir() {
        return Ok(());
    }
    if folder.exists() {
        return Err(StoreError::InTheWay { path: folder.into() });
    }
    let above = folder.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
    make(above)?;
    private().create(folder).map_err(|error| StoreError::io(folder, error))?;
    sync(above).map_err(|error| StoreError::io(above, error))
}

#[cfg(unix)]
fn private() -> DirBuilder {
    use std::os::unix::fs::DirBuilderExt as _;
    let mut builder = DirBuilder::new();
    builder.mode(0o700);
    builder
}

#[cfg(not(unix))]
fn private() -> DirBuilder {
    DirBuilder::new()
}

/// Returns when the folder's list of files is on the disk.
#[cfg(unix)]
pub fn sync(folder: &Path) -> io::Result<()> {
    std::fs::File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for this.
#[cfg(not(unix))]
pub fn sync(_: &Path) -> io::Result<()> {
    Ok(())
}
