//! Why a command is refused.

use crate::{name::ClientName, round::RoundId};

/// Why a command is refused; nothing has changed.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Reject {
    /// The journal has not begun.
    #[error("the federation was not created yet; create it first")]
    NotCreated,
    /// The journal has begun already.
    #[error("the federation exists already, as {0:?}, with another recipe or schema; choose another name")]
    Exists(String),
    /// Nobody of this name.
    #[error("{0} is not a member of this federation; join first")]
    UnknownClient(ClientName),
    /// The client was sent away.
    #[error("{0} was evicted from this federation")]
    Evicted(ClientName),
    /// No such job.
    #[error("there is no job {0}")]
    UnknownJob(u32),
    /// The job's state does not allow it.
    #[error("job {job} is {status}; {wanted}")]
    WrongStatus {
        /// The job.
        job: u32,
        /// How it stands.
        status: &'static str,
        /// What the command needs.
        wanted: &'static str,
    },
    /// One job at a time.
    #[error("job {0} is active; wait for its end, or abort it")]
    Busy(u32),
    /// No such round was ever opened.
    #[error("there is no round {0}")]
    UnknownRound(RoundId),
    /// The client was not asked.
    #[error("{client} is not in the cohort of round {round}")]
    NotInCohort {
        /// The round.
        round: RoundId,
        /// The client.
        client: ClientName,
    },
    /// The client was asked, and is waited for no longer.
    #[error("{client} is no longer awaited in round {round}: it declined, left or was lost; ask for the next task")]
    NotAwaited {
        /// The round.
        round: RoundId,
        /// The client.
        client: ClientName,
    },
    /// A different answer of the client has been accepted.
    #[error("{client} has already given another answer in round {round}")]
    Duplicate {
        /// The round.
        round: RoundId,
        /// The client.
        client: ClientName,
    },
    /// The round has ended.
    #[error("round {0} has ended")]
    Closed(RoundId),
    /// A later round is open.
    #[error("round {round} ended before round {current}, which is open; ask for the new task")]
    Stale {
        /// The round answered.
        round: RoundId,
        /// The round open.
        current: RoundId,
    },
    /// The answer is of another kind than the task, or holds what the plan does not declare.
    #[error("the answer to round {round} does not fit the plan: {why}")]
    Unfit {
        /// The round.
        round: RoundId,
        /// What does not fit.
        why: String,
    },
    /// The plan is about other rows than the federation's.
    #[error("the plan's schema is another than the federation's; use its recipe, or create a federation for this one")]
    OtherSchema,
    /// Too few answers to aggregate.
    #[error("round {round} has {reported} answers, and needs {quorum}; wait for more, or abort the job")]
    TooFew {
        /// The round.
        round: RoundId,
        /// How many there are.
        reported: usize,
        /// How many are needed.
        quorum: usize,
    },
    /// No training round is open.
    #[error("job {0} has no training round open to aggregate; train first")]
    NothingToAggregate(u32),
    /// No such version.
    #[error("there is no model version {0}")]
    UnknownVersion(u32),
    /// A text that cannot be an alias.
    #[error(
        "{0:?} cannot name a version: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit"
    )]
    BadAlias(String),
    /// No model version is owed.
    #[error("job {0} owes no model version now")]
    NothingOwed(u32),
    /// A text is too long.
    #[error("a text of {0} bytes is too long: at most {max} are kept", max = MAX_TEXT)]
    TooLong(usize),
}

/// The longest reason or name that the journal keeps, in bytes.
pub const MAX_TEXT: usize = 1000;
