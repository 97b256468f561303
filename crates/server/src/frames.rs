//! Model files in zstd frames. A whole cohort asks for the same one, so the last few are kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use dure_core::digest::Digest;
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use crate::{problem::Refused, store::Store};

/// How many frames are kept.
const KEPT: usize = 4;

/// How many bytes all frames may have together: those that are made, those that are kept and those that are no longer kept
/// but still sent to somebody.
const ROOM_BYTES: usize = 256 << 20;

/// The unit of room, in bytes.
const KIB: u64 = 1024;

/// The frames that are kept.
pub struct Frames {
    /// The one that was asked for last is at the back.
    kept: Mutex<VecDeque<(Digest, Cell)>>,
    /// In KiB.
    room: Arc<Semaphore>,
}

/// A frame that may still be in the making: who asks for it meanwhile waits, and nobody else does.
type Cell = Arc<OnceCell<Bytes>>;

/// A frame. It gives back its room when nobody keeps it nor sends it any more.
struct Frame {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl AsRef<[u8]> for Frame {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Default for Frames {
    fn default() -> Self {
        Self::with_room(ROOM_BYTES)
    }
}

impl Frames {
    fn with_room(bytes: usize) -> Self {
        Self { kept: Mutex::default(), room: Arc::new(Semaphore::new(bytes / KIB as usize)) }
    }

    /// The frame of a model's file; `None` if there is no room for it, and the file has to be sent as it is.
    pub async fn of(&self, store: &Store, sha256: Digest) -> Result<Option<Bytes>, Refused> {
        let cell = self.cell(sha256);
        match cell.get_or_try_init(|| self.make(store, sha256)).await {
            Ok(frame) => Ok(Some(frame.clone())),
            Err(None) => Ok(None),
            Err(Some(refused)) => Err(refused),
        }
    }

    /// Makes a frame; without room the error is `None`.
    async fn make(&self, store: &Store, sha256: Digest) -> Result<Bytes, Option<Refused>> {
        let stored = |error| Some(Refused::from(error));
        let length = store.blobs().model_len(sha256).await.map_err(stored)?;
        let room = self.room_for(length, sha256).ok_or(None)?;
        let file = store.blobs().model(sha256).await.map_err(stored)?;
        let pack =
            move || Bytes::from_owner(Frame { bytes: dure_wire::compress(&file, dure_wire::LEVEL), _room: room });
        store.machine().work(pack).await.map_err(|_| Some(Refused::Internal))
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Digest, Cell)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn cell(&self, sha256: Digest) -> Cell {
        let mut kept = self.lock();
        let there = kept.iter().position(|(of, _)| *of == sha256).and_then(|at| kept.remove(at));
        let (_, cell) = there.unwrap_or_else(|| (sha256, Cell::default()));
        kept.push_back((sha256, cell.clone()));
        if kept.len() > KEPT {
            kept.pop_front();
        }
        cell
    }

    /// Room for the frame of a file of so many bytes; the oldest others make way for it.
    fn room_for(&self, bytes: u64, sha256: Digest) -> Option<OwnedSemaphorePermit> {
        // What cannot be compressed becomes a little longer.
        let kib = u32::try_from(bytes / KIB + bytes / KIB / 128 + 1).ok()?;
        if u64::from(kib) > (ROOM_BYTES as u64) / KIB {
            return None;
        }
        loop {
            if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(kib) {
                return Some(room);
            }
            let mut kept = self.lock();
            let other = kept.iter().position(|(of, _)| *of != sha256)?;
            kept.remove(other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;

    /// Models of 20 kB that cannot be compressed, and a store that has them.
    async fn models(count: u8) -> (tempfile::TempDir, Store, Vec<(Digest, Bytes)>) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("data")).await.unwrap();
        let noise = |i: u8, at: u16| Digest::of(&[i, at as u8, (at >> 8) as u8]).0;
        let model = |i| Bytes::from((0..625).flat_map(|at| noise(i, at)).collect::<Vec<u8>>());
        let models: Vec<_> = (0..count).map(model).map(|bytes| (Digest::of(&bytes), bytes)).collect();
        for (sha256, bytes) in &models {
            store.blobs().put_model(*sha256, bytes.clone()).await.unwrap();
        }
        (folder, store, models)
    }

    #[tokio::test]
    async fn the_last_frames_are_kept() {
        let (_folder, store, models) = models(6).await;
        let frames = Frames::with_room(1 << 20);
        for (sha256, bytes) in &models {
            let frame = frames.of(&store, *sha256).await.unwrap().unwrap();
            assert_eq!(dure_wire::decompress(&frame, bytes.len()).unwrap(), bytes[..]);
            let again = frames.of(&store, *sha256).await.unwrap().unwrap();
            assert_eq!(again.as_ptr(), frame.as_ptr(), "made once");
        }
        let kept: Vec<_> = frames.lock().iter().map(|(of, _)| *of).collect();
        assert_eq!(kept, models[2..].iter().map(|(of, _)| *of).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn a_frame_has_its_room_as_long_as_somebody_sends_it() {
        let (_folder, store, models) = models(3).await;
        let frames = Frames::with_room(45 * 1024);
        let sent = frames.of(&store, models[0].0).await.unwrap().unwrap();
        assert!(frames.of(&store, models[1].0).await.unwrap().is_some(), "there is room for two");
        let third = frames.of(&store, models[2].0).await.unwrap();
        assert!(third.is_some(), "the second was not being sent, and makes way");
        assert!(frames.of(&store, models[1].0).await.unwrap().is_none(), "both are being sent");
        drop((sent, third));
        assert!(frames.of(&store, models[1].0).await.unwrap().is_some());
    }
}
