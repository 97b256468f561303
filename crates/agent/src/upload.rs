//! Answers on their way. An update is on disk, with the state that follows it, before it is sent, and stays there until the
//! server says what became of its round. A lost reply is then no harm: the same bytes are sent again.

use std::sync::Arc;

use bytes::Bytes;
use dure_core::{digest::Digest, federation::TaskState};
use dure_wire::{
    LEVEL,
    api::{Problem, TaskView},
    compress,
};
use tokio::time::sleep;

use crate::{
    StateError, calls,
    client::{Client, Halt, Over, PAUSE},
    memory::{Kept, Pending},
    reply::is,
    status::{Left, State},
    work::MadeUpdate,
};

/// Why a kept answer is not to be had.
enum Unread {
    /// The disk has a fault that may pass.
    ForNow,
    /// It is damaged; in words for the server.
    ForEver(String),
}

impl Client {
    /// Keeps an update, then sends it.
    pub(crate) async fn send_update(&mut self, task: &TaskView, made: MadeUpdate) -> Result<(), Halt> {
        let MadeUpdate { bytes, sha256, job, examples, own } = made;
        let (task, base, kept) = (task.task.clone(), task.base, own.as_deref().map(Digest::of));
        let memory = self.memory.keeping(Kept { task, sha256, base, job, examples, own: kept });
        let (bytes, own) = (Arc::new(bytes), own.map(Arc::new));
        loop {
            let (home, kept, file, own) = (self.home.clone(), memory.clone(), Arc::clone(&bytes), own.clone());
            let keep = move || home.keep(&file, own.as_ref().map(|own| &own[..]), &kept);
            let Err(words) = self.written(keep).await else { break };
            if self.disk.is_over() {
                return Err(Halt::Decline(format!("the site cannot keep its answer: {words}")));
            }
            sleep(self.disk.next()).await;
        }
        self.disk.reset();
        self.memory = memory;
        self.send_kept(Some(bytes)).await
    }

    /// Writes. Where it fails, the log and the status page say all; what is returned names no path.
    async fn written(&self, write: impl FnOnce() -> Result<(), StateError> + Send + 'static) -> Result<(), String> {
        let (why, words) = match self.site.on_disk(write).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => (error.to_string(), error.words()),
            Err(why) => (why, "the work broke off".into()),
        };
        tracing::error!(client = %self.name, "what {} remembers cannot be kept: {why}", self.name);
        self.show(|status| status.last_error = Some(why));
        Err(words)
    }

    /// Sends the kept answer, until the server has taken or refused it. `bytes` are its file's, if they are at hand.
    pub(crate) async fn send_kept(&mut self, bytes: Option<Arc<Vec<u8>>>) -> Result<(), Halt> {
        let Some(pending) = self.memory.pending.clone() else { return Ok(()) };
        self.show(|status| status.state = State::Uploading);
        let kept_before = bytes.is_none();
        let (length, frame) = match self.packed(&pending, bytes).await {
            Ok(packed) => packed,
            Err(Unread::ForNow) => {
                sleep(self.disk.next()).await;
                return Err(Halt::Later);
            }
            Err(Unread::ForEver(why)) => {
                self.settle(TaskState::Dropped).await;
                return Err(Halt::Decline(format!("the site cannot read its answer again: {why}")));
            }
        };
        let said = self.call(&calls::update(&pending.task, pending.sha256, frame)).await?;
        self.show(|status| status.note(Left::now(&pending.task, length, pending.sha256)));
        match said {
            Ok(outcome) => self.settle(outcome.state).await,
            Err(problem) if [404, 409].contains(&problem.status) => self.too_late(&pending, &problem).await?,
            // It may have been made from another model than the task's; what is made anew is told apart by its refusal.
            Err(problem) if kept_before && is(&problem, "bad-file") => {
                self.forget_kept(&problem.detail).await;
                return Err(Halt::Later);
            }
            // Whoever refuses may stand between, and an earlier try may have come through.
            Err(problem) => match self.call(&calls::outcome(&pending.task)).await? {
                Ok(outcome) if outcome.state != TaskState::Awaited => self.settle(outcome.state).await,
                _ => {
                    self.settle(TaskState::Dropped).await;
                    return Err(Halt::Decline(format!("the server refuses the answer: {}", problem.detail)));
                }
            },
        }
        Ok(())
    }

    /// The length of the kept answer, and its bytes in a zstd frame.
    async fn packed(&self, pending: &Pending, bytes: Option<Arc<Vec<u8>>>) -> Result<(u64, Bytes), Unread> {
        let (home, pending) = (self.home.clone(), pending.clone());
        let pack = move || {
            let bytes = bytes.map_or_else(|| home.answer(&pending).map(Arc::new), Ok)?;
            Ok((bytes.len() as u64, Bytes::from(compress(&bytes, LEVEL))))
        };
        let packed = self.site.on_disk(pack).await;
        packed.map_err(|_| Unread::ForEver("the work broke off".into())).and_then(|packed| {
            packed.map_err(|error: StateError| {
                tracing::error!(client = %self.name, "the kept answer cannot be read: {error}");
                let may_pass = error.passes() && !self.disk.is_over();
                if may_pass { Unread::ForNow } else { Unread::ForEver(error.words()) }
            })
        })
    }

    /// The server does not take the answer, for its round is over or another answer counts: asks what became of the task.
    async fn too_late(&mut self, pending: &Pending, problem: &Problem) -> Result<(), Over> {
        tracing::debug!(client = %self.name, task = %pending.task, "the answer is not taken: {}", problem.detail);
        match self.call(&calls::outcome(&pending.task)).await? {
            Ok(outcome) => self.settle(outcome.state).await,
            Err(problem) if problem.status == 404 => self.settle(TaskState::Dropped).await,
            Err(problem) => self.show(|status| status.last_error = Some(problem.detail)),
        }
        if self.memory.pending.is_some() {
            // What became of it is not decided yet; it is asked again.
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Whether the kept answer was made for this job and, where it is known, from this model.
    pub(crate) fn is_of(&self, job: Digest, base: Option<Option<Digest>>) -> bool {
        let pending = self.memory.pending.as_ref();
        pending.is_some_and(|pending| pending.job == Some(job) && base.is_none_or(|base| pending.base == base))
    }

    /// Drops the kept answer, so that it is made anew if it is still wanted.
    pub(crate) async fn forget_kept(&mut self, why: &str) {
        if let Some(pending) = &self.memory.pending {
            tracing::warn!(client = %self.name, task = %pending.task, "the kept answer to {} is dropped: {why}", pending.task);
        }
        self.settle(TaskState::Dropped).await;
    }

    /// Sends the kept answer if it is of the job that the server has now.
    async fn send_if_ours(&mut self, pending: &Pending) -> Result<(), Halt> {
        let job = self.job(pending.task.round.job, true).await?;
        if self.is_of(job.digest, None) {
            return self.send_kept(None).await;
        }
        self.forget_kept("it was made for another job of the same number").await;
        Ok(())
    }

    /// Asks what became of the kept answer, if there is one. One that the server never got is sent.
    pub(crate) async fn resolve(&mut self) -> Result<(), Over> {
        let Some(pending) = self.memory.pending.clone() else { return Ok(()) };
        match self.call(&calls::outcome(&pending.task)).await? {
            Ok(outcome) if outcome.state == TaskState::Awaited => match self.send_if_ours(&pending).await {
                Err(Halt::Over(over)) => return Err(over),
                Err(Halt::Decline(why)) => self.show(|status| status.last_error = Some(why)),
                Ok(()) | Err(Halt::Later) => {}
            },
            Ok(outcome) => self.settle(outcome.state).await,
            Err(problem) if problem.status == 404 => {
                tracing::warn!(client = %self.name, task = %pending.task, "the server knows no task {}", pending.task);
                self.settle(TaskState::Dropped).await;
            }
            Err(problem) => self.show(|status| status.last_error = Some(problem.detail)),
        }
        Ok(())
    }

    /// The kept answer's task has come to `state`. What cannot be written is tried again with the next look at the task.
    async fn settle(&mut self, state: TaskState) {
        let Some((pending, settled)) = self.memory.pending.clone().zip(self.memory.settled(state)) else { return };
        let (home, memory) = (self.home.clone(), settled.clone());
        let written = self.written(move || home.settle(&memory)).await;
        if written.is_err() {
            let wait = self.disk.next();
            sleep(wait).await;
            return;
        }
        self.disk.reset();
        self.memory = settled;
        let (name, round, tally) = (&self.name, pending.task.round, self.memory.state.tally());
        match state {
            TaskState::Committed => tracing::info!(client = %name, %round, "round {round} counts, with {name} in it"),
            _ => tracing::info!(client = %name, %round, "round {round} does not count for {name}"),
        }
        self.show(|status| status.tally = tally);
    }

    /// Sends an answer that is small and would come out the same if it were computed again.
    pub(crate) async fn send_answer(&mut self, task: &TaskView, json: Bytes) -> Result<(), Halt> {
        self.show(|status| status.state = State::Uploading);
        let (length, sha256) = (json.len() as u64, Digest::of(&json));
        let said = self.call(&calls::answer(&task.task, json)).await?;
        self.show(|status| status.note(Left::now(&task.task, length, sha256)));
        match said {
            Err(problem) if problem.status != 409 => {
                Err(Halt::Decline(format!("the server refuses the answer: {}", problem.detail)))
            }
            _ => Ok(()),
        }
    }

    /// Says that a task will not be done.
    pub(crate) async fn decline(&mut self, task: &TaskView, reason: &str) -> Result<(), Over> {
        let (name, id) = (&self.name, &task.task);
        tracing::warn!(client = %name, task = %id, "{name} declines {id}: {reason}");
        self.show(|status| (status.state, status.last_error) = (State::Declined, Some(reason.into())));
        let said = self.call(&calls::decline(&task.task, reason)).await?;
        if let Err(problem) = said {
            tracing::debug!(client = %self.name, task = %task.task, "the server does not mind: {}", problem.detail);
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
