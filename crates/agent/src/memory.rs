//! What a client remembers from round to round. State k+1 is kept beside the answer that it belongs to, before that is sent;
//! it becomes current when the server says that the round counts, and is dropped when the round does not.

use dure_core::{
    digest::Digest,
    federation::TaskState,
    round::{Kind, RoundId, TaskId},
};
use serde::{Deserialize, Serialize};

/// What a client remembers: `memory.json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// How many states came before this one: k.
    pub version: u64,
    /// State k.
    pub state: Remembered,
    /// The answer whose round is not over, and state k+1.
    pub pending: Option<Pending>,
}

/// An answer that is kept until its round is over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pending {
    /// The task that it answers.
    pub task: TaskId,
    /// The digest of its file, `answer`.
    pub sha256: Digest,
    /// The model that it was made from; `None` in what an older version kept, which is made anew.
    #[serde(default)]
    pub base: Option<Digest>,
    /// The digest of its job's plan and seed. A server that begins anew gives the same names to other work.
    #[serde(default)]
    pub job: Option<Digest>,
    /// State k+1.
    pub state: Remembered,
}

/// An answer to be kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The task that it answers.
    pub task: TaskId,
    /// The digest of its file.
    pub sha256: Digest,
    /// The model that it was made from.
    pub base: Option<Digest>,
    /// The digest of its job's plan and seed.
    pub job: Digest,
    /// How many rows it was trained on.
    pub examples: u64,
    /// The digest of the file of what the client keeps for the job's next round, if that is anything.
    pub own: Option<Digest>,
}

/// State k of a client: what came of its work, and what it keeps for a job's next round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Remembered {
    /// Its training rounds that count.
    pub rounds: u64,
    /// The rows that it trained on in them.
    pub examples: u64,
    /// The layers, the direction and the model that never leave the site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Own>,
}

/// The file of what a client keeps for a job's next round.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Own {
    /// The job's number.
    pub job: u32,
    /// The digest of its plan and seed.
    pub plan: Digest,
    /// After which of its rounds.
    pub round: u32,
    /// The digest of the file.
    pub sha256: Digest,
}

/// What came of a client's work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Its training rounds that count.
    pub rounds: u64,
    /// The rows that it trained on in them.
    pub examples: u64,
}

impl Remembered {
    /// What came of the client's work.
    pub fn tally(&self) -> Tally {
        Tally { rounds: self.rounds, examples: self.examples }
    }
}

impl Own {
    /// Whether it is what a task of a job of this plan goes on from. A server that begins anew counts its rounds again.
    pub fn is_for(&self, round: RoundId, plan: Digest) -> bool {
        let before = round.kind != Kind::Train || self.round < round.ordinal;
        (self.job, self.plan) == (round.job, plan) && before
    }
}

impl Memory {
    /// With an answer, and the state that follows it.
    pub fn keeping(&self, kept: Kept) -> Self {
        let Kept { task, sha256, base, job, examples, own } = kept;
        let RoundId { job: number, ordinal: round, .. } = task.round;
        let own = own.map(|sha256| Own { job: number, plan: job, round, sha256 });
        let Remembered { rounds, examples: before, .. } = self.state;
        let state = Remembered { rounds: rounds + 1, examples: before + examples, own };
        Self { pending: Some(Pending { task, sha256, base, job: Some(job), state }), ..self.clone() }
    }

    /// When the kept answer's task has come to `state`; `None` if that changes nothing.
    pub fn settled(&self, state: TaskState) -> Option<Self> {
        let pending = self.pending.as_ref()?;
        match state {
            TaskState::Committed => Some(Self { version: self.version + 1, state: pending.state, pending: None }),
            TaskState::Dropped => Some(Self { pending: None, ..self.clone() }),
            TaskState::Awaited | TaskState::Answered => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Memory {
        let memory = Memory { version: 3, state: Remembered { rounds: 3, examples: 60, own: None }, pending: None };
        let [sha256, base, job] = [1, 2, 3].map(|byte| Digest([byte; 32]));
        let task = "1-train-5-1-a".parse().unwrap();
        memory.keeping(Kept { task, sha256, base: Some(base), job, examples: 20, own: None })
    }

    #[test]
    fn a_kept_state_becomes_current_when_the_round_counts() {
        let settled = kept().settled(TaskState::Committed).unwrap();
        assert_eq!(
            settled,
            Memory { version: 4, state: Remembered { rounds: 4, examples: 80, own: None }, pending: None }
        );
    }

    #[test]
    fn a_kept_state_is_dropped_when_the_round_does_not() {
        let settled = kept().settled(TaskState::Dropped).unwrap();
        assert_eq!(
            settled,
            Memory { version: 3, state: Remembered { rounds: 3, examples: 60, own: None }, pending: None }
        );
    }

    #[test]
    fn nothing_changes_while_the_round_is_open_or_when_nothing_is_kept() {
        assert_eq!(kept().settled(TaskState::Awaited), None);
        assert_eq!(kept().settled(TaskState::Answered), None);
        assert_eq!(Memory::default().settled(TaskState::Committed), None);
    }

    #[test]
    fn the_file_is_pinned() {
        let json = format!(
            r#"{{"version":3,"state":{{"rounds":3,"examples":60}},"pending":{{"task":"1-train-5-1-a","sha256":"{}","base":"{}","job":"{}","state":{{"rounds":4,"examples":80}}}}}}"#,
            "01".repeat(32),
            "02".repeat(32),
            "03".repeat(32)
        );
        assert_eq!(serde_json::to_string(&kept()).unwrap(), json);
        assert_eq!(serde_json::from_str::<Memory>(&json).unwrap(), kept());
    }
}
