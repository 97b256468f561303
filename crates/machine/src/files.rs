//! Files that are there whole or not at all, and folders that are still there after a power cut.

use std::{
    io::{self, ErrorKind},
    path::Path,
};

use crate::disk::{Disk, Kind};

/// Writes a file under the name `beside`, then gives it its own. On return its bytes and its name are safe. Nobody else may
/// use the name `beside` meanwhile.
pub fn write(disk: &dyn Disk, path: &Path, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let written = write_beside(disk, beside, bytes).and_then(|()| disk.rename(beside, path));
    if let Err(error) = written {
        // It may hold what is nobody's business, and a full disk needs its room. What cannot be removed is overwritten or
        // removed later.
        drop(disk.remove(beside));
        return Err(error);
    }
    disk.sync_folder(above(path))
}

fn write_beside(disk: &dyn Disk, beside: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = disk.create(beside)?;
    file.write(bytes)?;
    file.sync()
}

/// Makes a folder, and those above it that are missing, for their owner alone; on return its name is safe. One that is there
/// keeps its mode; a file in the way is [`ErrorKind::NotADirectory`].
pub fn make_folder(disk: &dyn Disk, folder: &Path) -> Result<(), (std::path::PathBuf, io::Error)> {
    let fault = |at: &Path| {
        let at = at.to_owned();
        move |error| (at, error)
    };
    match disk.kind(folder).map_err(fault(folder))? {
        // Whoever made it may have died, or failed, before its name was safe.
        Some(Kind::Folder) => return sync_again(disk, above(folder)).map_err(fault(above(folder))),
        Some(Kind::File(_)) => return Err(fault(folder)(ErrorKind::NotADirectory.into())),
        None => {}
    }
    make_folder(disk, above(folder))?;
    match disk.make_folder(folder) {
        // Somebody else was quicker.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(()),
        made => made.map_err(fault(folder)),
    }?;
    disk.sync_folder(above(folder)).map_err(fault(above(folder)))
}

/// As [`make_folder`], for a folder in which a process keeps what is nobody else's business, and a file `lock`: one that was made for
/// it beforehand is closed to others. One with other things in it is not ours, and keeps its mode.
pub fn make_own_folder(disk: &dyn Disk, folder: &Path) -> Result<(), (std::path::PathBuf, io::Error)> {
    let ours = disk.kind(&folder.join("lock")).is_ok_and(|lock| lock.is_some()) || is_empty(disk, folder);
    make_folder(disk, folder)?;
    if ours { disk.close_folder(folder).map_err(|error| (folder.to_owned(), error)) } else { Ok(()) }
}

/// Syncs a folder in which nothing may have been changed, and in which we may have no business.
fn sync_again(disk: &dyn Disk, folder: &Path) -> io::Result<()> {
    match disk.sync_folder(folder) {
        Err(error) if [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem].contains(&error.kind()) => Ok(()),
        synced => synced,
    }
}

/// The folder that a path's name is in; the root is in itself.
pub fn above(path: &Path) -> &Path {
    match path.parent() {
        None => path,
        Some(above) if above.as_os_str().is_empty() => Path::new("."),
        Some(above) => above,
    }
}

/// Whether a folder is there and has nothing in it.
fn is_empty(disk: &dyn Disk, folder: &Path) -> bool {
    disk.names(folder).is_ok_and(|names| names.is_empty())
}
