//! The last head of the journal that this site has seen. A journal that was cut off or rewritten no longer has it, which a
//! chain alone cannot show.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dure_core::journal::Head;
use dure_wire::api::{ClientView, FederationView, TaskOutcome};
use serde::{Deserialize, Serialize};

use crate::calls::Polled;

/// The last head, and whether a later answer contradicted it.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    last: Option<Head>,
    saved: Option<Head>,
    contradiction: Option<Contradiction>,
    /// Whether the contradiction is on disk.
    told: bool,
}

/// What shows that a journal is not what it was: `witness-problem.json`. The site's operator removes it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Contradiction {
    /// In words.
    pub problem: String,
    /// The last head before.
    pub kept: Option<Head>,
    /// The head that contradicts it.
    pub seen: Head,
}

/// What an answer says of the journal.
pub trait Tells {
    /// Where it ends.
    fn head(&self) -> Option<Head> {
        None
    }
}

impl Witness {
    /// Begins with the head and the contradiction that were kept.
    pub fn new(kept: Option<Head>, contradiction: Option<Contradiction>) -> Self {
        if let Some(Contradiction { problem, .. }) = &contradiction {
            tracing::error!("{problem}; ask the operator, and remove witness-problem.json when it is settled");
        }
        let told = contradiction.is_some();
        Self(Mutex::new(Known { last: kept, saved: kept, contradiction, told }))
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last head.
    pub fn last(&self) -> Option<Head> {
        self.lock().last
    }

    /// What is wrong with the journal.
    pub fn problem(&self) -> Option<String> {
        self.lock().contradiction.as_ref().map(|contradiction| contradiction.problem.clone())
    }

    /// Takes in a head of an answer to a question that was asked when `before` was the last. Answers overtake one another, so
    /// a head may be older than the last one, but not older than `before`. Returns whether the journal contradicts
    /// itself; the head that shows it is kept from then on.
    pub fn see(&self, head: Head, before: Option<Head>) -> bool {
        let mut known = self.lock();
        let rewritten = [before, known.last].into_iter().flatten().find_map(|seen| {
            let differs = head.sequence == seen.sequence && head.hash != seen.hash;
            differs.then(|| fault(seen, "has another hash there now; it was rewritten"))
        });
        let cut = before.filter(|seen| head.sequence < seen.sequence);
        let cut = cut.map(|seen| fault(seen, &format!("ends at {} now; it was cut off", head.sequence)));
        if let Some(problem) = rewritten.or(cut) {
            if known.contradiction.is_none() {
                tracing::error!(sequence = head.sequence, "{problem}; the witness is kept, ask the operator");
                known.contradiction = Some(Contradiction { problem, kept: known.last, seen: head });
            }
            return true;
        }
        let newer = known.last.is_none_or(|last| head.sequence > last.sequence);
        if newer && known.contradiction.is_none() {
            known.last = Some(head);
        }
        false
    }

    /// The head that is to be written down, if it has changed since the last one was.
    pub fn unsaved(&self) -> Option<Head> {
        let known = self.lock();
        known.last.filter(|_| known.last != known.saved)
    }

    /// The contradiction that is to be written down, if it is not.
    pub fn untold(&self) -> Option<Contradiction> {
        let known = self.lock();
        known.contradiction.clone().filter(|_| !known.told)
    }

    /// The contradiction has been written down.
    pub fn told(&self) {
        self.lock().told = true;
    }

    /// `head` has been written down.
    pub fn saved(&self, head: Head) {
        self.lock().saved = Some(head);
    }
}

fn fault(seen: Head, now: &str) -> String {
    format!("the server's journal had the hash {} at {}, and {now}", seen.hash, seen.sequence)
}

impl Tells for FederationView {
    fn head(&self) -> Option<Head> {
        Some(self.journal)
    }
}

impl Tells for TaskOutcome {
    fn head(&self) -> Option<Head> {
        Some(self.journal)
    }
}

impl Tells for Polled {
    fn head(&self) -> Option<Head> {
        match self {
            Self::Task(task) => Some(task.journal),
            Self::Nothing(head) => *head,
        }
    }
}

impl Tells for ClientView {}
impl Tells for serde_json::Value {}
impl Tells for Vec<u8> {}
impl Tells for () {}

#[cfg(test)]
mod tests {
    use dure_core::digest::Digest;

    use super::*;

    fn head(sequence: u64, hash: u8) -> Head {
        Head { sequence, hash: Digest([hash; 32]) }
    }

    #[test]
    fn newer_heads_are_kept_and_are_to_be_saved() {
        let witness = Witness::new(Some(head(3, 3)), None);
        assert_eq!(witness.unsaved(), None);
        assert!(!witness.see(head(3, 3), witness.last()));
        assert_eq!(witness.unsaved(), None);
        assert!(!witness.see(head(5, 5), witness.last()));
        assert_eq!(witness.unsaved(), Some(head(5, 5)));
        witness.saved(head(5, 5));
        assert_eq!((witness.unsaved(), witness.problem()), (None, None));
    }

    #[test]
    fn answers_may_overtake_one_another() {
        let witness = Witness::new(None, None);
        let before = witness.last();
        assert!(!witness.see(head(5, 5), before));
        assert!(!witness.see(head(4, 4), before));
        assert_eq!((witness.last(), witness.problem()), (Some(head(5, 5)), None));
    }

    #[test]
    fn a_journal_that_was_cut_off_is_told_and_the_witness_stays() {
        let witness = Witness::new(Some(head(5, 5)), None);
        assert!(witness.see(head(4, 4), witness.last()));
        assert!(witness.problem().unwrap().ends_with("at 5, and ends at 4 now; it was cut off"));
        assert!(!witness.see(head(9, 9), witness.last()));
        assert_eq!((witness.last(), witness.unsaved()), (Some(head(5, 5)), None));
        // The first contradiction is the evidence; it is written down once, and stays after a restart.
        assert!(witness.see(head(5, 7), None));
        let untold = witness.untold().unwrap();
        assert_eq!((untold.kept, untold.seen), (Some(head(5, 5)), head(4, 4)));
        witness.told();
        assert_eq!(witness.untold(), None);
        let again = Witness::new(Some(head(5, 5)), Some(untold.clone()));
        assert!(!again.see(head(9, 9), again.last()));
        assert_eq!((again.problem(), again.last(), again.untold()), (Some(untold.problem), Some(head(5, 5)), None));
    }

    #[test]
    fn a_journal_that_was_rewritten_is_told() {
        let witness = Witness::new(Some(head(5, 5)), None);
        assert!(witness.see(head(5, 6), None));
        assert!(witness.problem().unwrap().ends_with("at 5, and has another hash there now; it was rewritten"));
    }
}
