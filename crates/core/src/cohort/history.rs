//! What a job remembers of its clients, to choose by. A fold over the journal, like all state.

use std::collections::{BTreeMap, BTreeSet};

use crate::{name::ClientName, time::Duration};

/// What a job remembers of those that it has asked to train.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct History {
    /// Who was asked last, going round in the order of names.
    pub cursor: Option<ClientName>,
    /// Each client's last answer.
    pub answers: BTreeMap<ClientName, Answered>,
}

/// A client's last answer to a training task.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answered {
    /// In which round.
    pub round: u32,
    /// The mean loss of its examples while it trained.
    pub loss: f64,
    /// How many examples it has.
    pub examples: f64,
    /// How long it took.
    pub took: Duration,
}

impl History {
    /// These were asked.
    pub fn ask(&mut self, cohort: &BTreeSet<ClientName>) {
        self.cursor = round_from(cohort.iter(), self.cursor.as_ref()).last().cloned().or(self.cursor.take());
    }
}

/// All names, beginning with the first after `cursor`, and from the first name on after the last.
pub fn round_from<'a>(
    names: impl Iterator<Item = &'a ClientName> + Clone,
    cursor: Option<&'a ClientName>,
) -> impl Iterator<Item = &'a ClientName> {
    let after = move |name: &&ClientName| cursor.is_none_or(|cursor| *name > cursor);
    names.clone().filter(move |name| after(name)).chain(names.filter(move |name| !after(name)))
}
