//! The last head of the journal that this site has seen. A journal that was cut off or rewritten no longer has it, which a
//! chain alone cannot show.

use std::sync::{Mutex, MutexGuard, PoisonError};

use dure_core::journal::Head;
use dure_wire::api::{ClientView, FederationView, TaskOutcome};

use crate::calls::Polled;

/// The last head, and whether a later answer contradicted it.
#[derive(Debug, Default)]
pub struct Witness(Mutex<Known>);

#[derive(Clone, Debug, Default)]
struct Known {
    last: Option<Head>,
    saved: Option<Head>,
    problem: Option<String>,
}

/// What an answer says of the journal.
pub trait Tells {
    /// Where it ends.
    fn head(&self) -> Option<Head> {
        None
    }
}

impl Witness {
    /// Begins with the head that was kept.
    pub fn new(kept: Option<Head>) -> Self {
        Self(Mutex::new(Known { last: kept, saved: kept, problem: None }))
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
        self.lock().problem.clone()
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
            if known.problem.replace(problem.clone()).is_none() {
                tracing::error!(sequence = head.sequence, "{problem}; the witness is kept, ask the operator");
            }
            return true;
        }
        let newer = known.last.is_none_or(|last| head.sequence > last.sequence);
        if newer && known.problem.is_none() {
            known.last = Some(head);
        }
        false
    }

    /// The head that is to be written down, if it has changed since the last one was.
    pub fn unsaved(&self) -> Option<Head> {
        let known = self.lock();
        known.last.filter(|_| known.last != known.saved)
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
        let witness = Witness::new(Some(head(3, 3)));
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
        let witness = Witness::new(None);
        let before = witness.last();
        assert!(!witness.see(head(5, 5), before));
        assert!(!witness.see(head(4, 4), before));
        assert_eq!((witness.last(), witness.problem()), (Some(head(5, 5)), None));
    }

    #[test]
    fn a_journal_that_was_cut_off_is_told_and_the_witness_stays() {
        let witness = Witness::new(Some(head(5, 5)));
        assert!(witness.see(head(4, 4), witness.last()));
        assert!(witness.problem().unwrap().ends_with("at 5, and ends at 4 now; it was cut off"));
        assert!(!witness.see(head(9, 9), witness.last()));
        assert_eq!((witness.last(), witness.unsaved()), (Some(head(5, 5)), None));
    }

    #[test]
    fn a_journal_that_was_rewritten_is_told() {
        let witness = Witness::new(Some(head(5, 5)));
        assert!(witness.see(head(5, 6), None));
        assert!(witness.problem().unwrap().ends_with("at 5, and has another hash there now; it was rewritten"));
    }
}
