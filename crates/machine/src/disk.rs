//! A disk, as far as files have to survive on it: steps that a power cut can come between.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, ErrorKind, Read as _, Seek as _, SeekFrom, Write as _},
    ops::Range,
    path::Path,
};

use crate::kill;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file of so many bytes.
    File(u64),
    /// A folder.
    Folder,
}

/// A disk. Nothing that is written is safe from a power cut before it is synced: a file's bytes by [`DiskFile::sync`], its
/// name by [`Disk::sync_folder`].
pub trait Disk: Send + Sync {
    /// What is at `path`, if anything is.
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>>;

    /// The names in a folder, in any order.
    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>>;

    /// A whole file.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// Some bytes of a file, which must lie within it.
    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// An empty file for its owner alone, in place of one that was there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file another name, in place of whichever had that.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Returns when a folder's list of names is safe.
    fn sync_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes a file's name away.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes one folder, for its owner alone.
    fn make_folder(&self, folder: &Path) -> io::Result<()>;

    /// Lets nobody but its owner look into a folder.
    fn close_folder(&self, folder: &Path) -> io::Result<()>;

    /// Takes a lock for as long as what is returned lives, or the process; [`ErrorKind::WouldBlock`] if another has it.
    fn lock(&self, path: &Path) -> io::Result<Lock>;
}

/// A file that is being written.
pub trait DiskFile {
    /// Writes on.
    fn write(&mut self, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is safe.
    fn sync(&mut self) -> io::Result<()>;
}

/// A lock that is held.
pub type Lock = Box<dyn std::any::Any + Send + Sync>;

/// The disk of this machine. A step that changes something is a point to die at, before and after.
pub struct SystemDisk;

impl Disk for SystemDisk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => Ok(Some(Kind::Folder)),
            Ok(found) => Ok(Some(Kind::File(found.len()))),
            Err(error) if [ErrorKind::NotFound, ErrorKind::NotADirectory].contains(&error.kind()) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; range.end.saturating_sub(range.start) as usize];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let open = || private().create(true).truncate(true).write(true).open(path);
        Ok(Box::new(SystemFile(kill::around("create", open)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        kill::around("rename", || fs::rename(from, to))
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        kill::around("sync-folder", || sync_folder(folder))
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        kill::around("remove", || fs::remove_file(path))
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        kill::around("make-folder", || builder().create(folder))
    }

    fn close_folder(&self, folder: &Path) -> io::Result<()> {
        kill::around("close-folder", || close(folder))
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        let open = || private().create(true).truncate(false).write(true).open(path);
        let file = kill::around("lock", open)?;
        file.try_lock()?;
        Ok(Box::new(file))
    }
}

struct SystemFile(File);

impl DiskFile for SystemFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In two halves, for a process can also end between them.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        kill::around("write", || self.0.write_all(first))?;
        kill::around("write-rest", || self.0.write_all(second))
    }

    fn sync(&mut self) -> io::Result<()> {
        kill::around("sync", || self.0.sync_all())
    }
}

/// Opens files that only their owner may read.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn builder() -> DirBuilder {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder
}

#[cfg(unix)]
fn close(folder: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

#[cfg(not(unix))]
fn close(_: &Path) -> io::Result<()> {
    Ok(())
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere a folder cannot be opened for this.
#[cfg(not(unix))]
fn sync_folder(_: &Path) -> io::Result<()> {
    Ok(())
}
