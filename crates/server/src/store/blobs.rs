//! Tensors as files that are named by their SHA-256: `models/{sha256}`, `updates/{federation}/{sha256}`, and
//! `states/{federation}/{sha256}`, which are what optimizers remember.
//!
//! That bytes have the digest that names them is not looked at here: whoever decodes them holds them to it.

use std::{
    collections::BTreeSet,
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use dure_core::digest::Digest;
use dure_machine::{
    Machine,
    disk::{Disk, Kind},
    files::{self, above},
};

use super::{StoreError, folder};

const MODELS: &str = "models";
const UPDATES: &str = "updates";
const STATES: &str = "states";

/// The blobs of a data directory.
pub struct Blobs {
    root: PathBuf,
    machine: Machine,
    /// How many files were begun.
    begun: AtomicU64,
    /// The folders whose names are safe.
    safe: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl Blobs {
    /// Opens the folder, and deletes what an earlier process had not written to the end.
    pub fn open(root: &Path, machine: Machine) -> Result<Self, StoreError> {
        folder::make(machine.disk(), root)?;
        delete_unfinished(machine.disk(), root)?;
        Ok(Self { root: root.into(), machine, begun: AtomicU64::new(0), safe: Arc::default() })
    }

    /// Stores a model, on the disk on return. One that is there whole is not written again.
    pub async fn put_model(&self, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        self.put(self.model_path(sha256), bytes).await
    }

    /// A whole model.
    pub async fn model(&self, sha256: Digest) -> Result<Bytes, StoreError> {
        self.get(self.model_path(sha256), sha256).await
    }

    /// Some bytes of a model; they must lie within it.
    pub async fn model_range(&self, sha256: Digest, range: Range<u64>) -> Result<Bytes, StoreError> {
        let len = self.model_len(sha256).await?;
        // Below, memory is taken for whatever is asked.
        if range.start > range.end || range.end > len {
            return Err(StoreError::Range { sha256, start: range.start, end: range.end, len });
        }
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let read = |disk: &dyn Disk, path: &Path| disk.read_range(path, range).map(Bytes::from);
        self.read(self.model_path(sha256), sha256, read).await
    }

    /// How many bytes a model has.
    pub async fn model_len(&self, sha256: Digest) -> Result<u64, StoreError> {
        let len = |disk: &dyn Disk, path: &Path| match disk.kind(path)? {
            Some(Kind::File(len)) => Ok(len),
            _ => Err(io::ErrorKind::NotFound.into()),
        };
        self.read(self.model_path(sha256), sha256, len).await
    }

    /// Stores a client's update, on the disk on return. One that is there whole is not written again.
    pub async fn put_update(&self, federation: &str, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        self.put(self.update_path(federation, sha256), bytes).await
    }

    /// A client's update.
    pub async fn update(&self, federation: &str, sha256: Digest) -> Result<Bytes, StoreError> {
        self.get(self.update_path(federation, sha256), sha256).await
    }

    /// Stores what an optimizer remembers, on the disk on return.
    pub async fn put_state(&self, federation: &str, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        self.put(self.of_federation(STATES, federation).join(sha256.to_string()), bytes).await
    }

    /// What an optimizer remembers.
    pub async fn state(&self, federation: &str, sha256: Digest) -> Result<Bytes, StoreError> {
        self.get(self.of_federation(STATES, federation).join(sha256.to_string()), sha256).await
    }

    /// Deletes all that optimizers of a federation have remembered but what is `needed`.
    pub async fn clear_states(&self, federation: &str, needed: &BTreeSet<Digest>) -> Result<(), StoreError> {
        let folder = self.of_federation(STATES, federation);
        for sha256 in self.digests(folder.clone()).await?.into_iter().filter(|sha256| !needed.contains(sha256)) {
            self.delete(folder.join(sha256.to_string())).await?;
        }
        Ok(())
    }

    /// Deletes an update; harmless if there is none. After a power cut it may be there again: [`Self::updates`] tells.
    pub async fn delete_update(&self, federation: &str, sha256: Digest) -> Result<(), StoreError> {
        self.delete(self.update_path(federation, sha256)).await
    }

    /// Every update of a federation, in the order of digests. Files that are not named by a digest are not ours.
    pub async fn updates(&self, federation: &str) -> Result<Vec<Digest>, StoreError> {
        self.digests(self.of_federation(UPDATES, federation)).await
    }

    /// Sees whether an update of so many bytes could be stored now; nothing of it stays.
    pub async fn try_to_write(&self, federation: &str, bytes: u64) -> Result<(), StoreError> {
        let nothing = self.update_path(federation, Digest([0; 32]));
        let path = beside(&nothing, self.begun.fetch_add(1, Ordering::Relaxed));
        let attempt = move |disk: &dyn Disk, path: &Path| {
            folder::make(disk, above(path))?;
            let written = try_to_write(disk, path, bytes);
            let removed = disk.remove(path);
            written.and(removed).map_err(|error| StoreError::io(path, error))
        };
        self.on_disk(path, attempt).await
    }

    /// The files of a folder that are named by digests, in their order.
    async fn digests(&self, folder: PathBuf) -> Result<Vec<Digest>, StoreError> {
        let names = self.on_disk(folder, names).await?;
        let mut digests: Vec<Digest> = names.iter().filter_map(|name| name.parse().ok()).collect();
        digests.sort();
        Ok(digests)
    }

    async fn delete(&self, path: PathBuf) -> Result<(), StoreError> {
        self.on_disk(path, |disk, path| match disk.remove(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path, error)),
            _ => Ok(()),
        })
        .await
    }

    async fn put(&self, path: PathBuf, bytes: Bytes) -> Result<(), StoreError> {
        let (number, safe) = (self.begun.fetch_add(1, Ordering::Relaxed), self.safe.clone());
        let put = move |disk: &dyn Disk, path: &Path| {
            let folder = above(path);
            let known = || safe.lock().unwrap_or_else(PoisonError::into_inner);
            if !known().contains(folder) {
                folder::make(disk, folder)?;
                known().insert(folder.to_owned());
            }
            put(disk, path, &bytes, number)
        };
        self.on_disk(path, put).await
    }

    async fn get(&self, path: PathBuf, sha256: Digest) -> Result<Bytes, StoreError> {
        self.read(path, sha256, |disk, path| disk.read(path).map(Bytes::from)).await
    }

    async fn read<T: Send + 'static>(
        &self,
        path: PathBuf,
        sha256: Digest,
        read: impl FnOnce(&dyn Disk, &Path) -> io::Result<T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let named =
            move |disk: &dyn Disk, path: &Path| read(disk, path).map_err(|error| StoreError::blob(path, sha256, error));
        self.on_disk(path, named).await
    }

    async fn on_disk<T: Send + 'static>(
        &self,
        path: PathBuf,
        work: impl FnOnce(&dyn Disk, &Path) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let at = path.clone();
        let done = self.machine.on_disk(move |disk| work(disk, &path)).await;
        done.unwrap_or_else(|broken| Err(StoreError::io(&at, broken.into())))
    }

    fn model_path(&self, sha256: Digest) -> PathBuf {
        self.root.join(MODELS).join(sha256.to_string())
    }

    fn update_path(&self, federation: &str, sha256: Digest) -> PathBuf {
        self.of_federation(UPDATES, federation).join(sha256.to_string())
    }

    fn of_federation(&self, folder: &str, federation: &str) -> PathBuf {
        self.root.join(folder).join(encoded(federation))
    }
}

/// Writes `path` as `{path}#{number}`, and renames it when it is whole.
fn put(disk: &dyn Disk, path: &Path, bytes: &[u8], number: u64) -> Result<(), StoreError> {
    let fault = |error| StoreError::io(path, error);
    if disk.kind(path).map_err(fault)? == Some(Kind::File(bytes.len() as u64)) {
        // A file that has its name has its bytes on the disk, but whoever put it may have died, or be about to, before the
        // name was.
        return disk.sync_folder(above(path)).map_err(fault);
    }
    files::write(disk, path, &beside(path, number), bytes).map_err(fault)
}

/// What a file is called until it is whole.
fn beside(path: &Path, number: u64) -> PathBuf {
    let mut beside = path.to_owned().into_os_string();
    beside.push(format!("#{number}"));
    beside.into()
}

fn try_to_write(disk: &dyn Disk, path: &Path, bytes: u64) -> io::Result<()> {
    const PIECE: u64 = 1 << 20;
    let mut file = disk.create(path)?;
    for begin in (0..bytes).step_by(PIECE as usize) {
        file.write(&vec![0; PIECE.min(bytes - begin) as usize])?;
    }
    file.sync()
}

/// A federation's name as the name of a folder: none is `..`, and none has a `/`.
fn encoded(federation: &str) -> String {
    let hidden = federation.starts_with('.');
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte) || (byte == b'.' && !hidden);
    let encode = |byte: u8| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    federation.bytes().map(encode).collect()
}

/// Files of a process that died before it renamed them would stay, and they may come from patients' data. The lock is held,
/// so nobody is writing one.
fn delete_unfinished(disk: &dyn Disk, root: &Path) -> Result<(), StoreError> {
    let mut folders = vec![root.join(MODELS)];
    for above in [UPDATES, STATES].map(|folder| root.join(folder)) {
        folders.extend(names(disk, &above)?.into_iter().map(|name| above.join(name)));
    }
    for folder in folders {
        for name in names(disk, &folder)?.into_iter().filter(|name| is_unfinished(name)) {
            let path = folder.join(name);
            disk.remove(&path).map_err(|error| StoreError::io(&path, error))?;
        }
    }
    Ok(())
}

fn is_unfinished(name: &str) -> bool {
    let parts = name.split_once('#');
    parts.is_some_and(|(name, number)| name.parse::<Digest>().is_ok() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What is in a folder; nothing if there is no such folder.
fn names(disk: &dyn Disk, folder: &Path) -> Result<Vec<String>, StoreError> {
    match disk.names(folder) {
        Ok(names) => Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect()),
        Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => Ok(vec![]),
        Err(error) => Err(StoreError::io(folder, error)),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::store::testing::{again, fresh};

    /// Bytes and their digest.
    fn blob(text: &'static str) -> (Digest, Bytes) {
        (Digest::of(text.as_bytes()), Bytes::from_static(text.as_bytes()))
    }

    fn updates_folder(folder: &tempfile::TempDir) -> PathBuf {
        folder.path().join("data/blobs/updates")
    }

    #[tokio::test]
    async fn a_model_comes_back_whole_and_in_ranges_also_after_a_restart() {
        let (folder, store) = fresh().await;
        let (sha256, bytes) = blob("weights");
        store.blobs().put_model(sha256, bytes.clone()).await.unwrap();
        let store = again(&folder, store).await;
        let blobs = store.blobs();
        assert_eq!(blobs.model(sha256).await.unwrap(), bytes);
        assert_eq!(blobs.model_len(sha256).await.unwrap(), 7);
        for range in [0..7, 2..5, 3..3, 7..7] {
            let want = bytes.slice(range.start as usize..range.end as usize);
            assert_eq!(blobs.model_range(sha256, range).await.unwrap(), want);
        }
        assert!(folder.path().join(format!("data/blobs/models/{sha256}")).is_file());
    }

    #[tokio::test]
    async fn a_range_outside_of_the_model_is_refused_before_it_takes_memory() {
        let (_folder, store) = fresh().await;
        let (sha256, bytes) = blob("weights");
        store.blobs().put_model(sha256, bytes).await.unwrap();
        #[expect(clippy::reversed_empty_ranges, reason = "it is what is tested")]
        for range in [0..8, 9..10, 0..u64::MAX, 5..2] {
            let error = store.blobs().model_range(sha256, range).await.unwrap_err();
            assert!(matches!(error, StoreError::Range { len: 7, .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_whole_blob_is_not_written_again_and_a_cut_off_one_is() {
        let (folder, store) = fresh().await;
        let (sha256, bytes) = blob("weights");
        let path = folder.path().join(format!("data/blobs/models/{sha256}"));
        store.blobs().put_model(sha256, bytes.clone()).await.unwrap();
        fs::write(&path, "another").unwrap();
        store.blobs().put_model(sha256, bytes.clone()).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"another");
        fs::write(&path, "weig").unwrap();
        store.blobs().put_model(sha256, bytes.clone()).await.unwrap();
        assert_eq!(fs::read(&path).unwrap(), bytes);
    }

    #[tokio::test]
    async fn updates_are_listed_by_federation_until_they_are_deleted() {
        let (_folder, store) = fresh().await;
        let blobs = store.blobs();
        let ((one, bytes), (two, other)) = (blob("one"), blob("two"));
        for federation in ["f", "g", "f"] {
            blobs.put_update(federation, one, bytes.clone()).await.unwrap();
        }
        blobs.put_update("f", two, other.clone()).await.unwrap();
        let mut both = [one, two];
        both.sort();
        assert_eq!(blobs.updates("f").await.unwrap(), both);
        blobs.delete_update("f", one).await.unwrap();
        blobs.delete_update("f", one).await.unwrap();
        assert_eq!(blobs.updates("f").await.unwrap(), [two]);
        assert_eq!(blobs.update("f", two).await.unwrap(), other);
        assert_eq!(blobs.update("g", one).await.unwrap(), bytes);
        assert_eq!(blobs.updates("h").await.unwrap(), []);
    }

    #[tokio::test]
    async fn what_is_not_there_is_missing() {
        let (_folder, store) = fresh().await;
        let (blobs, sha256) = (store.blobs(), Digest([1; 32]));
        let missing = |error: StoreError| assert!(matches!(error, StoreError::Missing(of) if of == sha256), "{error}");
        missing(blobs.model(sha256).await.unwrap_err());
        missing(blobs.model_len(sha256).await.unwrap_err());
        missing(blobs.model_range(sha256, 0..1).await.unwrap_err());
        missing(blobs.update("f", sha256).await.unwrap_err());
    }

    #[tokio::test]
    async fn no_name_of_a_federation_leads_out_of_the_folder() {
        let (folder, store) = fresh().await;
        let (sha256, bytes) = blob("one");
        for federation in ["..", "../..", "a/../../..", "/etc", ".", "a\\b"] {
            store.blobs().put_update(federation, sha256, bytes.clone()).await.unwrap();
            assert_eq!(store.blobs().updates(federation).await.unwrap(), [sha256], "{federation}");
        }
        let inside = fs::read_dir(updates_folder(&folder)).unwrap().map(|entry| entry.unwrap().path());
        assert_eq!(inside.filter(|path| path.join(sha256.to_string()).is_file()).count(), 6);
    }

    #[tokio::test]
    async fn what_was_not_written_to_the_end_is_deleted_at_the_start() {
        let (folder, store) = fresh().await;
        let (sha256, bytes) = blob("one");
        store.blobs().put_update("f", sha256, bytes).await.unwrap();
        let unfinished = updates_folder(&folder).join(format!("f/{sha256}#1"));
        let foreign = updates_folder(&folder).join("f/notes#1");
        fs::write(&unfinished, "on").unwrap();
        fs::write(&foreign, "mine").unwrap();
        assert_eq!(store.blobs().updates("f").await.unwrap(), [sha256]);
        let store = again(&folder, store).await;
        assert!(!unfinished.exists() && foreign.exists());
        assert_eq!(store.blobs().updates("f").await.unwrap(), [sha256]);
    }

    #[tokio::test]
    async fn a_folder_that_cannot_be_made_is_named() {
        let (folder, store) = fresh().await;
        fs::write(updates_folder(&folder), "in the way").unwrap();
        let (sha256, bytes) = blob("one");
        let error = store.blobs().put_update("f", sha256, bytes).await.unwrap_err().to_string();
        assert!(error.contains("blobs/updates") && error.contains("in the way"), "{error}");
    }
}
