//! A disk that forgets what was not synced, fills up, and fails.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    io::{self, ErrorKind},
    ops::Range,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use dure_core::random::{RngExt as _, Stream};
use dure_machine::{
    disk::{Disk, DiskFile, Kind, Lock},
    files::above,
};

use tokio::time::Instant;

use crate::life::Breath;

/// What is wrong with a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// No byte more fits.
    pub full: bool,
    /// Nothing may be changed.
    pub read_only: bool,
    /// How many of the next syncs fail.
    pub syncs: u32,
}

/// A disk. It outlives the process that uses it.
#[derive(Default)]
pub struct Platter {
    inodes: BTreeMap<u64, Inode>,
    /// What each folder lists: now, and after a loss of power.
    folders: BTreeMap<PathBuf, Listing>,
    locks: BTreeSet<PathBuf>,
    made: u64,
    /// What is wrong with it.
    pub faults: Faults,
    /// When something last was.
    pub troubled: Option<Instant>,
    /// How many syncs have failed.
    pub failed_syncs: u64,
}

#[derive(Clone, Default)]
struct Inode {
    bytes: Vec<u8>,
    /// What a loss of power leaves for certain.
    synced: Vec<u8>,
    /// A sync has failed: the system forgets that the bytes were to be written, and no later sync writes them.
    forgotten: bool,
}

#[derive(Clone, Default)]
struct Listing {
    now: BTreeMap<OsString, Node>,
    synced: BTreeMap<OsString, Node>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Node {
    File(u64),
    Folder,
}

/// The disk as one run of a machine has it.
#[derive(Clone)]
pub struct SimulatedDisk {
    platter: Arc<Mutex<Platter>>,
    breath: Breath,
}

impl Platter {
    /// An empty one.
    pub fn new() -> Arc<Mutex<Self>> {
        let root = (PathBuf::from("/"), Listing::default());
        Arc::new(Mutex::new(Self { folders: BTreeMap::from([root]), ..Self::default() }))
    }

    /// The process that used it has died: nobody holds a lock. If the power was lost, what was not synced is lost, torn or,
    /// by chance, there.
    pub fn died(&mut self, power: bool, numbers: &mut Stream) {
        self.locks.clear();
        if !power {
            return;
        }
        for inode in self.inodes.values_mut() {
            if inode.bytes != inode.synced {
                inode.bytes = torn(inode, numbers);
                inode.synced = inode.bytes.clone();
            }
        }
        for listing in self.folders.values_mut() {
            let names: BTreeSet<OsString> = listing.now.keys().chain(listing.synced.keys()).cloned().collect();
            for name in names {
                let (now, synced) = (listing.now.get(&name).copied(), listing.synced.get(&name).copied());
                let left = if now == synced || numbers.random_bool(0.5) { now } else { synced };
                set(&mut listing.now, &name, left);
            }
            listing.synced = listing.now.clone();
        }
        self.forget_unreachable();
    }

    fn forget_unreachable(&mut self) {
        let listed = |folder: &Path, folders: &BTreeMap<PathBuf, Listing>| {
            let name = folder.file_name().unwrap_or_default();
            folder == Path::new("/")
                || folders.get(above(folder)).is_some_and(|listing| listing.now.get(name) == Some(&Node::Folder))
        };
        // A folder comes after the one that it is in.
        let paths: Vec<PathBuf> = self.folders.keys().cloned().collect();
        for path in paths {
            if !listed(&path, &self.folders) {
                self.folders.remove(&path);
            }
        }
        let named: BTreeSet<u64> =
            self.folders.values().flat_map(|listing| listing.now.values()).filter_map(file).collect();
        self.inodes.retain(|inode, _| named.contains(inode));
    }

    /// Every file, with its bytes.
    pub fn files(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let listed = |(folder, listing): (&PathBuf, &Listing)| {
            let files = listing.now.iter().filter_map(|(name, node)| Some((folder.join(name), file(node)?)));
            files.collect::<Vec<_>>()
        };
        let files = self.folders.iter().flat_map(listed);
        files.filter_map(|(path, inode)| Some((path, self.inodes.get(&inode)?.bytes.clone()))).collect()
    }

    fn node(&self, path: &Path) -> Option<Node> {
        if path == Path::new("/") {
            return Some(Node::Folder);
        }
        self.folders.get(above(path))?.now.get(path.file_name()?).copied()
    }

    fn inode(&self, path: &Path) -> io::Result<&Inode> {
        match self.node(path) {
            Some(Node::File(inode)) => self.inodes.get(&inode).ok_or_else(|| ErrorKind::NotFound.into()),
            Some(Node::Folder) => Err(ErrorKind::IsADirectory.into()),
            None => Err(ErrorKind::NotFound.into()),
        }
    }

    fn listing(&mut self, path: &Path) -> io::Result<(&mut Listing, OsString)> {
        let name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
        let listing = self.folders.get_mut(above(path)).ok_or(ErrorKind::NotFound)?;
        Ok((listing, name))
    }

    fn name(&mut self, path: &Path, node: Option<Node>) -> io::Result<()> {
        let (listing, name) = self.listing(path)?;
        set(&mut listing.now, &name, node);
        Ok(())
    }

    fn check_writable(&self) -> io::Result<()> {
        match self.faults {
            Faults { read_only: true, .. } => Err(ErrorKind::ReadOnlyFilesystem.into()),
            Faults { full: true, .. } => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }

    fn check_sync(&mut self) -> io::Result<()> {
        if self.faults.read_only {
            return Err(ErrorKind::ReadOnlyFilesystem.into());
        }
        match self.faults.syncs {
            0 => Ok(()),
            _ => {
                self.faults.syncs -= 1;
                self.failed_syncs += 1;
                Err(io::Error::other("the disk failed to sync"))
            }
        }
    }
}

fn set(names: &mut BTreeMap<OsString, Node>, name: &OsString, node: Option<Node>) {
    match node {
        Some(node) => drop(names.insert(name.clone(), node)),
        None => drop(names.remove(name)),
    }
}

fn file(node: &Node) -> Option<u64> {
    match node {
        Node::File(inode) => Some(*inode),
        Node::Folder => None,
    }
}

/// What a loss of power leaves of bytes that were not synced.
fn torn(inode: &Inode, numbers: &mut Stream) -> Vec<u8> {
    let (bytes, synced) = (&inode.bytes, &inode.synced);
    match numbers.random_range(0..4) {
        0 => bytes.clone(),
        1 => synced.clone(),
        2 => bytes[..numbers.random_range(0..=bytes.len())].to_vec(),
        _ => {
            // The length was written, and only some of the blocks.
            let written = numbers.random_range(0..=bytes.len());
            let mut left = vec![0; bytes.len()];
            left[..written].copy_from_slice(&bytes[..written]);
            left
        }
    }
}

impl SimulatedDisk {
    /// A platter, for one run of a machine.
    pub fn new(platter: Arc<Mutex<Platter>>, breath: Breath) -> Self {
        Self { platter, breath }
    }

    fn lock(&self) -> MutexGuard<'_, Platter> {
        self.platter.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn look<T>(&self, look: impl FnOnce(&Platter) -> io::Result<T>) -> io::Result<T> {
        self.breath.check()?;
        look(&self.lock())
    }

    fn step<T>(&self, take: impl FnOnce(&mut Platter) -> io::Result<T>) -> io::Result<T> {
        self.breath.step(|| take(&mut self.lock()))
    }
}

impl Disk for SimulatedDisk {
    fn kind(&self, path: &Path) -> io::Result<Option<Kind>> {
        self.look(|platter| {
            Ok(platter.node(path).map(|node| match node {
                Node::File(inode) => Kind::File(platter.inodes.get(&inode).map_or(0, |inode| inode.bytes.len() as u64)),
                Node::Folder => Kind::Folder,
            }))
        })
    }

    fn names(&self, folder: &Path) -> io::Result<Vec<OsString>> {
        self.look(|platter| {
            let listing = platter.folders.get(folder).ok_or(ErrorKind::NotFound)?;
            Ok(listing.now.keys().cloned().collect())
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.look(|platter| platter.inode(path).map(|inode| inode.bytes.clone()))
    }

    fn read_range(&self, path: &Path, range: Range<u64>) -> io::Result<Vec<u8>> {
        let bytes = self.read(path)?;
        let part = bytes.get(range.start as usize..range.end as usize).ok_or(ErrorKind::UnexpectedEof)?;
        Ok(part.to_vec())
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.step(|platter| {
            platter.check_writable()?;
            platter.made += 1;
            let inode = platter.made;
            // In place of one that was there: truncating a file is as good as a new one, but for its synced bytes.
            platter.inodes.insert(inode, Inode::default());
            platter.name(path, Some(Node::File(inode)))?;
            let file: Box<dyn DiskFile> = Box::new(SimulatedFile { disk: self.clone(), inode });
            Ok(file)
        })
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step(|platter| {
            if platter.faults.read_only {
                return Err(ErrorKind::ReadOnlyFilesystem.into());
            }
            let node = platter.node(from).ok_or(ErrorKind::NotFound)?;
            platter.name(to, Some(node))?;
            platter.name(from, None)
        })
    }

    fn sync_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|platter| {
            platter.check_sync()?;
            let listing = platter.folders.get_mut(folder).ok_or(ErrorKind::NotFound)?;
            listing.synced = listing.now.clone();
            Ok(())
        })
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step(|platter| {
            if platter.faults.read_only {
                return Err(ErrorKind::ReadOnlyFilesystem.into());
            }
            platter.inode(path)?;
            platter.name(path, None)
        })
    }

    fn make_folder(&self, folder: &Path) -> io::Result<()> {
        self.step(|platter| {
            platter.check_writable()?;
            if platter.node(folder).is_some() {
                return Err(ErrorKind::AlreadyExists.into());
            }
            platter.name(folder, Some(Node::Folder))?;
            platter.folders.insert(folder.to_owned(), Listing::default());
            Ok(())
        })
    }

    fn close_folder(&self, _: &Path) -> io::Result<()> {
        self.breath.check()
    }

    fn lock(&self, path: &Path) -> io::Result<Lock> {
        self.breath.check()?;
        let taken = self.lock().locks.insert(path.to_owned());
        if !taken {
            return Err(ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held { disk: self.clone(), path: path.to_owned() }))
    }
}

struct SimulatedFile {
    disk: SimulatedDisk,
    inode: u64,
}

impl SimulatedFile {
    fn step(&self, take: impl FnOnce(&mut Platter, &mut Inode) -> io::Result<()>) -> io::Result<()> {
        self.disk.step(|platter| {
            let mut inode = platter.inodes.remove(&self.inode).ok_or(ErrorKind::NotFound)?;
            let taken = take(platter, &mut inode);
            platter.inodes.insert(self.inode, inode);
            taken
        })
    }
}

impl DiskFile for SimulatedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In two halves: a machine also dies between them, and a disk fills up there.
        let (first, second) = bytes.split_at(bytes.len() / 2);
        self.step(|platter, inode| {
            if !platter.faults.read_only {
                inode.bytes.extend_from_slice(first);
            }
            platter.check_writable()
        })?;
        self.step(|_, inode| {
            inode.bytes.extend_from_slice(second);
            Ok(())
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.step(|platter, inode| {
            if let Err(error) = platter.check_sync() {
                inode.forgotten = true;
                return Err(error);
            }
            if !inode.forgotten {
                inode.synced = inode.bytes.clone();
            }
            Ok(())
        })
    }
}

/// A lock that is let go when it falls, unless the process died before.
struct Held {
    disk: SimulatedDisk,
    path: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.disk.breath.alive() {
            self.disk.lock().locks.remove(&self.path);
        }
    }
}
