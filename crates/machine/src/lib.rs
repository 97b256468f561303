//! What a server or an agent has of its machine: a disk, and threads to work on. Everything that is to survive goes through
//! here, a step at a time, so a test can end the process before and after every step, and a simulated machine can lose its
//! power at any of them.

#![warn(clippy::unwrap_used)]

pub mod disk;
pub mod files;
pub mod kill;
pub mod usage;

use std::{sync::Arc, time::Duration};

use disk::{Disk, SystemDisk};
use tokio::{sync::oneshot, task::JoinError};

/// The machine that a server or an agent runs on. Cheap to clone.
#[derive(Clone)]
pub struct Machine {
    disk: Arc<dyn Disk>,
    /// How long work takes, where it is simulated.
    simulated: Option<Duration>,
}

impl Machine {
    /// The one that this process runs on.
    pub fn this() -> Self {
        Self { disk: Arc::new(SystemDisk), simulated: None }
    }

    /// One with another disk, on which work is done in order: at once, or after so long if it is long. Two runs of the same
    /// work are the same.
    pub fn simulated(disk: Arc<dyn Disk>, labour: Duration) -> Self {
        Self { disk, simulated: Some(labour) }
    }

    /// Its disk. Calls block.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// How many threads a calculation may use.
    pub fn cores(&self) -> usize {
        if self.simulated.is_some() { 1 } else { std::thread::available_parallelism().map_or(1, usize::from) }
    }

    /// Works away from the threads that serve others.
    pub async fn work<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, JoinError> {
        if self.simulated.is_some() { Ok(work()) } else { tokio::task::spawn_blocking(work).await }
    }

    /// As [`Self::work`], with the disk.
    pub async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Disk) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let disk = Arc::clone(&self.disk);
        self.work(move || work(&*disk)).await
    }

    /// Works for long, on a thread that no runtime waits for when it ends. `None` if the work broke off.
    pub async fn labour<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> std::io::Result<Option<T>> {
        if let Some(long) = self.simulated {
            tokio::time::sleep(long).await;
            return Ok(Some(work()));
        }
        let (tell, told) = oneshot::channel();
        // Nobody waits for it any more if the process is being stopped.
        let run = move || drop(tell.send(work()));
        std::thread::Builder::new().name("dure-task".into()).spawn(run)?;
        Ok(told.await.ok())
    }
}

impl std::fmt::Debug for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.simulated.is_some() { "Machine(simulated)" } else { "Machine(this)" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn long_work_comes_back_or_says_that_it_broke_off() {
        let machine = Machine::this();
        assert_eq!(machine.labour(|| 7).await.unwrap(), Some(7));
        assert_eq!(machine.labour(|| -> u8 { panic!("a fault for a test") }).await.unwrap(), None);
    }
}
