//! One collection of answers: `Collecting → Complete | Abandoned`. A round ends exactly once.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    excerpt::{NAME, excerpt},
    name::ClientName,
    time::Time,
};

/// What the clients of a round are asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The moments of their columns.
    Measure,
    /// An update.
    Train,
    /// The model's errors on validation rows.
    Evaluate,
    /// The final model's errors on test rows.
    Test,
}

/// The round's name: its job, its kind, its ordinal within the job, and the attempt at it. As text `1-train-3-1`.
///
/// The ordinal of an `evaluate` or `test` round is that of the training round whose model it judges; `measure` has 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RoundId {
    /// The job, counted from 1.
    pub job: u32,
    /// What is asked.
    pub kind: Kind,
    /// Counted from 1 within the job.
    pub ordinal: u32,
    /// Counted from 1; above 1 for the retries of abandoned rounds.
    pub attempt: u32,
}

/// One client's part in a round. As text `1-train-3-1-person-07`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct TaskId {
    /// The round.
    pub round: RoundId,
    /// The client.
    pub client: ClientName,
}

/// A round that collects answers, or how it ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Round {
    /// Waiting for the cohort's answers until the deadline.
    Collecting {
        /// When it ends, complete or not.
        deadline: Time,
        /// Whose answers are still to come.
        awaited: BTreeSet<ClientName>,
        /// Whose answers are in.
        reported: BTreeSet<ClientName>,
        /// How many answers it needs.
        quorum: usize,
        /// How many answers it wants; with so many it ends.
        goal: usize,
        /// Whether others take the places of those that have answered, so that the quorum may be more than are awaited.
        refilled: bool,
    },
    /// Enough clients answered.
    Complete {
        /// Those who did.
        participants: BTreeSet<ClientName>,
    },
    /// It ended without a quorum. The model is unchanged.
    Abandoned {
        /// How many had answered.
        reported: usize,
        /// How many were needed.
        quorum: usize,
    },
}

/// Why a round does not take a client's answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// The client was not asked.
    #[error("{0} is not in this round's cohort")]
    NotInCohort(ClientName),
    /// The client has answered already.
    #[error("{0} has already answered")]
    Duplicate(ClientName),
    /// The round has ended.
    #[error("the round has ended")]
    Closed,
}

impl Round {
    /// A round that asks `cohort`, needs `quorum` answers and wants `goal`; all of the cohort's if `None`.
    pub fn open(cohort: BTreeSet<ClientName>, quorum: usize, goal: Option<usize>, deadline: Time) -> Self {
        let goal = goal.unwrap_or(cohort.len());
        let (reported, goal) = (BTreeSet::new(), goal.max(quorum));
        Self::Collecting { deadline, awaited: cohort, reported, quorum, goal, refilled: false }
    }

    /// The same round, in which others take the places of those that have answered.
    pub fn refilled(mut self) -> Self {
        if let Self::Collecting { refilled, .. } = &mut self {
            *refilled = true;
        }
        self
    }

    /// Whether `client`'s answer would be taken.
    pub fn admits(&self, client: &ClientName) -> Result<(), NotTaken> {
        match self {
            Self::Collecting { awaited, .. } if awaited.contains(client) => Ok(()),
            Self::Collecting { reported, .. } if reported.contains(client) => Err(NotTaken::Duplicate(client.clone())),
            Self::Collecting { .. } => Err(NotTaken::NotInCohort(client.clone())),
            Self::Complete { .. } | Self::Abandoned { .. } => Err(NotTaken::Closed),
        }
    }

    /// Takes `client`'s answer.
    pub fn report(&mut self, client: &ClientName) -> Result<(), NotTaken> {
        self.admits(client)?;
        if let Self::Collecting { awaited, reported, .. } = self {
            reported.extend(awaited.take(client));
        }
        Ok(())
    }

    /// Waits for `client` as well.
    pub fn invite(&mut self, client: &ClientName) {
        if let Self::Collecting { awaited, .. } = self {
            awaited.insert(client.clone());
        }
    }

    /// Waits for `client` no longer: it declined, was lost, or left.
    pub fn excuse(&mut self, client: &ClientName) {
        if let Self::Collecting { awaited, .. } = self {
            awaited.remove(client);
        }
    }

    /// Whether the round is over at `now`, by [`Self::at`].
    pub fn is_over(&self, now: Time) -> bool {
        let Self::Collecting { deadline, awaited, reported, quorum, goal, refilled } = self else { return true };
        let enough = reported.len() >= *quorum && (reported.len() >= *goal || awaited.is_empty());
        let coming = if *refilled && !awaited.is_empty() { usize::MAX } else { awaited.len() };
        enough || reported.len().saturating_add(coming) < *quorum || now >= *deadline
    }

    /// The round as it stands at `now`. It ends when every answer that it wants is in, when nobody is left to wait for, when
    /// the deadline passes, or when the quorum is out of reach.
    pub fn at(self, now: Time) -> Self {
        let over = self.is_over(now);
        match self {
            Self::Collecting { reported, quorum, .. } if over && reported.len() >= quorum => {
                Self::Complete { participants: reported }
            }
            Self::Collecting { reported, quorum, .. } if over => Self::Abandoned { reported: reported.len(), quorum },
            as_it_is => as_it_is,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Measure => "measure",
            Self::Train => "train",
            Self::Evaluate => "evaluate",
            Self::Test => "test",
        })
    }
}

impl FromStr for Kind {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let kinds = [Self::Measure, Self::Train, Self::Evaluate, Self::Test];
        kinds.into_iter().find(|kind| kind.to_string() == text).ok_or_else(|| IdError::of(text))
    }
}

/// A text that names no round or task.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no round or task; one reads like 1-train-3-1 or 1-train-3-1-person-07")]
pub struct IdError(String);

impl IdError {
    fn of(text: &str) -> Self {
        Self(excerpt(text, NAME))
    }
}

impl fmt::Display for RoundId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}-{}", self.job, self.kind, self.ordinal, self.attempt)
    }
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.round, self.client)
    }
}

impl RoundId {
    /// Where the round stands among those of its job, in time.
    pub fn sequence(&self) -> (u32, Kind, u32) {
        (self.ordinal, self.kind, self.attempt)
    }
}

/// Splits `text` into a round and what follows it.
fn parse_round(text: &str) -> Result<(RoundId, Option<&str>), IdError> {
    let error = || IdError::of(text);
    let number = |part: Option<&str>| part.and_then(|p| p.parse().ok()).ok_or_else(error);
    let mut parts = text.splitn(5, '-');
    let job = number(parts.next())?;
    let kind = parts.next().ok_or_else(error)?.parse()?;
    let round = RoundId { job, kind, ordinal: number(parts.next())?, attempt: number(parts.next())? };
    Ok((round, parts.next()))
}

impl FromStr for RoundId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        match parse_round(text)? {
            // Only the one spelling: `1-train-03-1` is no other name of `1-train-3-1`.
            (round, None) if round.to_string() == text => Ok(round),
            _ => Err(IdError::of(text)),
        }
    }
}

impl FromStr for TaskId {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        let error = || IdError::of(text);
        let (round, client) = parse_round(text)?;
        let task = Self { round, client: ClientName::new(client.ok_or_else(error)?).map_err(|_| error())? };
        if task.to_string() == text { Ok(task) } else { Err(error()) }
    }
}

macro_rules! as_text {
    ($($id:ty),*) => {$(
        impl TryFrom<String> for $id {
            type Error = IdError;

            fn try_from(text: String) -> Result<Self, IdError> {
                text.parse()
            }
        }

        impl From<$id> for String {
            fn from(id: $id) -> String {
                id.to_string()
            }
        }
    )*};
}
as_text!(RoundId, TaskId);

#[cfg(test)]
mod tests {
    use super::*;

    fn client(name: &str) -> ClientName {
        ClientName::new(name).unwrap()
    }

    fn round(quorum: usize) -> Round {
        Round::open(["a", "b", "c"].map(client).into(), quorum, None, Time(100))
    }

    fn reported(quorum: usize, names: &[&str]) -> Round {
        let mut round = round(quorum);
        names.iter().for_each(|name| round.report(&client(name)).unwrap());
        round
    }

    #[test]
    fn a_round_is_complete_when_all_have_answered() {
        let ended = reported(3, &["c", "a", "b"]).at(Time(0));
        assert_eq!(ended, Round::Complete { participants: ["a", "b", "c"].map(client).into() });
    }

    #[test]
    fn a_round_that_asks_more_than_it_wants_ends_when_it_has_them() {
        let mut round = Round::open(["a", "b", "c"].map(client).into(), 1, Some(2), Time(100));
        round.report(&client("c")).unwrap();
        assert!(matches!(round.clone().at(Time(0)), Round::Collecting { .. }));
        round.report(&client("a")).unwrap();
        assert_eq!(round.at(Time(0)), Round::Complete { participants: ["a", "c"].map(client).into() });
    }

    #[test]
    fn at_the_deadline_a_quorum_is_enough_and_less_is_not() {
        assert!(matches!(reported(2, &["a", "b"]).at(Time(99)), Round::Collecting { .. }));
        assert!(matches!(reported(2, &["a", "b"]).at(Time(100)), Round::Complete { .. }));
        assert_eq!(reported(2, &["a"]).at(Time(100)), Round::Abandoned { reported: 1, quorum: 2 });
    }

    #[test]
    fn a_quorum_out_of_reach_ends_the_round_at_once() {
        let mut round = reported(3, &["a"]);
        round.excuse(&client("b"));
        assert_eq!(round.at(Time(0)), Round::Abandoned { reported: 1, quorum: 3 });
    }

    #[test]
    fn strangers_repeats_and_late_answers_are_not_taken() {
        let mut round = reported(1, &["a"]);
        assert_eq!(round.report(&client("z")), Err(NotTaken::NotInCohort(client("z"))));
        assert_eq!(round.report(&client("a")), Err(NotTaken::Duplicate(client("a"))));
        assert_eq!(round.at(Time(100)).report(&client("b")), Err(NotTaken::Closed));
    }

    #[test]
    fn ids_read_back_from_their_text_and_have_one_spelling() {
        let task: TaskId = "2-train-31-1-ward-b-2".parse().unwrap();
        assert_eq!((task.round.ordinal, task.client.as_str()), (31, "ward-b-2"));
        assert_eq!(task.to_string(), "2-train-31-1-ward-b-2");
        assert_eq!("2-train-31-1".parse(), Ok(task.round));
        for bad in [
            "",
            "2-train-31",
            "2-fly-1-1",
            "x-train-1-1",
            "2-train-031-1",
            "2-train-1-1-",
            "2-train-1-1-A",
            "2-train-1-1--",
        ] {
            assert!(bad.parse::<TaskId>().is_err(), "{bad}");
        }
        assert!("2-train-31-1-a".parse::<RoundId>().is_err());
        let error = format!("1-{}-1-1", "x".repeat(3000)).parse::<RoundId>().unwrap_err().to_string();
        assert!(error.chars().count() < 200, "{error}");
    }
}
