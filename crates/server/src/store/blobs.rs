//! Tensors as files that are named by their SHA-256: `models/{sha256}` and `updates/{federation}/{sha256}`.
//!
//! That bytes have the digest that names them is not looked at here: whoever decodes them holds them to it.

use std::{
    fs,
    io::ErrorKind,
    ops::Range,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use dure_core::digest::Digest;
use object_store::{ObjectStore as _, ObjectStoreExt as _, local::LocalFileSystem, path::Path as Location};

use super::{StoreError, folder};

const MODELS: &str = "models";
const UPDATES: &str = "updates";

/// The blobs of a data directory.
pub struct Blobs {
    root: PathBuf,
    files: LocalFileSystem,
}

impl Blobs {
    /// Opens the folder, and deletes what an earlier process had not written to the end.
    pub(super) fn open(root: &Path) -> Result<Self, StoreError> {
        folder::make(root)?;
        delete_unfinished(root)?;
        let files = LocalFileSystem::new_with_prefix(root).map_err(|error| StoreError::blobs(root, error))?;
        // The file is synced before it gets its name, and its folder (and every new one above) after.
        Ok(Self { root: root.into(), files: files.with_fsync(true) })
    }

    /// Stores a model, on the disk on return. One that is there whole is not written again.
    pub async fn put_model(&self, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        self.put(model(sha256), sha256, bytes).await
    }

    /// A whole model.
    pub async fn model(&self, sha256: Digest) -> Result<Bytes, StoreError> {
        self.get(model(sha256), sha256).await
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
        let location = model(sha256);
        let got = self.files.get_range(&location, range).await;
        got.map_err(|error| self.fault(&location, sha256, error))
    }

    /// How many bytes a model has.
    pub async fn model_len(&self, sha256: Digest) -> Result<u64, StoreError> {
        let location = model(sha256);
        let head = self.files.head(&location).await;
        head.map(|file| file.size).map_err(|error| self.fault(&location, sha256, error))
    }

    /// Stores a client's update, on the disk on return. One that is there whole is not written again.
    pub async fn put_update(&self, federation: &str, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        self.put(update(federation, sha256), sha256, bytes).await
    }

    /// A client's update.
    pub async fn update(&self, federation: &str, sha256: Digest) -> Result<Bytes, StoreError> {
        self.get(update(federation, sha256), sha256).await
    }

    /// Deletes an update; harmless if there is none. After a power cut it may be there again: [`Self::updates`] tells.
    pub async fn delete_update(&self, federation: &str, sha256: Digest) -> Result<(), StoreError> {
        let location = update(federation, sha256);
        match self.files.delete(&location).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.fault(&location, sha256, error)),
        }
    }

    /// Every update of a federation, in the order of digests. Files that are not named by a digest are not ours.
    pub async fn updates(&self, federation: &str) -> Result<Vec<Digest>, StoreError> {
        let folder = Location::from_iter([UPDATES, federation]);
        let listed = self.files.list_with_delimiter(Some(&folder)).await;
        let listed = listed.map_err(|error| StoreError::blobs(&self.path(&folder), error))?;
        let names = listed.objects.iter().filter_map(|file| file.location.filename());
        let mut digests: Vec<Digest> = names.filter_map(|name| name.parse().ok()).collect();
        digests.sort();
        Ok(digests)
    }

    async fn put(&self, location: Location, sha256: Digest, bytes: Bytes) -> Result<(), StoreError> {
        let there = self.files.head(&location).await;
        if there.is_ok_and(|file| file.size == bytes.len() as u64) {
            return self.sync_name(&location).await;
        }
        let put = self.files.put(&location, bytes.into()).await;
        put.map(drop).map_err(|error| self.fault(&location, sha256, error))
    }

    /// A file that has its name has its bytes on the disk, but whoever put it may have died, or be about to, before the
    /// name was: so its folder is synced again.
    async fn sync_name(&self, location: &Location) -> Result<(), StoreError> {
        let path = self.path(location);
        let folder = path.parent().unwrap_or(&self.root).to_owned();
        let synced = tokio::task::spawn_blocking(move || folder::sync(&folder)).await;
        synced.unwrap_or_else(|stopped| Err(stopped.into())).map_err(|error| StoreError::io(&path, error))
    }

    async fn get(&self, location: Location, sha256: Digest) -> Result<Bytes, StoreError> {
        let got = async { self.files.get(&location).await?.bytes().await };
        got.await.map_err(|error| self.fault(&location, sha256, error))
    }

    fn path(&self, location: &Location) -> PathBuf {
        self.files.path_to_filesystem(location).unwrap_or_else(|_| self.root.join(location.as_ref()))
    }

    fn fault(&self, location: &Location, sha256: Digest, error: object_store::Error) -> StoreError {
        StoreError::blob(&self.path(location), sha256, error)
    }
}

/// Parts of a location are encoded: none is `..`, and none has a `/`.
fn model(sha256: Digest) -> Location {
    Location::from_iter([MODELS, &sha256.to_string()])
}

fn update(federation: &str, sha256: Digest) -> Location {
    Location::from_iter([UPDATES, federation, &sha256.to_string()])
}

/// Files are written as `{sha256}#{number}` and renamed when they are whole. Those of a process that died would stay,
/// and they may come from patients' data. The lock is held, so nobody is writing one.
fn delete_unfinished(root: &Path) -> Result<(), StoreError> {
    let mut folders = vec![root.join(MODELS)];
    folders.extend(entries(&root.join(UPDATES))?.into_iter().filter(|path| path.is_dir()));
    for folder in folders {
        for path in entries(&folder)?.into_iter().filter(|path| is_unfinished(path)) {
            fs::remove_file(&path).map_err(|error| StoreError::io(&path, error))?;
        }
    }
    Ok(())
}

fn is_unfinished(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.split_once('#'));
    name.is_some_and(|(name, number)| name.parse::<Digest>().is_ok() && number.bytes().all(|b| b.is_ascii_digit()))
}

/// What is in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<PathBuf>, StoreError> {
    let listed = fs::read_dir(folder).and_then(|all| all.map(|entry| Ok(entry?.path())).collect());
    match listed {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        listed => listed.map_err(|error| StoreError::io(folder, error)),
    }
}

#[cfg(test)]
mod tests {
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
        let inside = entries(&updates_folder(&folder)).unwrap();
        assert_eq!(inside.iter().filter(|path| path.join(sha256.to_string()).is_file()).count(), 6, "{inside:?}");
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
        assert!(error.contains(&format!("blobs/updates/f/{sha256}")), "{error}");
    }
}
