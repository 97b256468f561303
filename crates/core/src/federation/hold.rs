//! Holds a journal to the rules: whether an event is one that the rules would have decided.

use std::collections::VecDeque;

use super::{Command, Federation};
use crate::{
    event::{Event, Outcome, Record, Stop},
    round::TaskId,
    time::Time,
};

impl Federation {
    /// Holds the next record of a journal to the rules, before it is applied. `due` is what they decided together with the
    /// records before it; begin with nothing. `None` if they would not have decided this one.
    pub fn hold(&self, record: &Record, due: &mut VecDeque<Event>) -> Option<()> {
        match due.pop_front() {
            Some(event) => (event == record.event).then_some(()),
            None => self.would_decide(&record.event, record.at).map(|rest| due.extend(rest)),
        }
    }

    /// If the rules, at `now`, would have decided `event`, as it stands: what they decided together with it, and which must
    /// follow at once. `None` if they would not have.
    fn would_decide(&self, event: &Event, now: Time) -> Option<Vec<Event>> {
        let asked = std::iter::once(Command::Tick).chain(command_of(event)).chain(self.ends_of(event));
        asked.filter_map(|command| self.decide(&command, now).ok()).find_map(|mut decided| {
            let is_first = decided.first() == Some(event);
            is_first.then(|| decided.split_off(1))
        })
    }

    /// An abandoned round may be part of an abort, and a complete one may have been ended by hand.
    fn ends_of(&self, event: &Event) -> Option<Command> {
        match event {
            Event::RoundAbandoned { round, .. } => Some(Command::Abort { job: round.job }),
            Event::RoundCompleted { round, .. } => Some(Command::Aggregate { job: round.job }),
            _ => None,
        }
    }
}

/// The command that means `event`; none for what only time brings.
fn command_of(event: &Event) -> Option<Command> {
    match event.clone() {
        Event::FederationCreated { name, recipe, schema } => Some(Command::Create { name, recipe, schema }),
        Event::ClientJoined { client, ready, .. } => Some(Command::Join { client, ready }),
        Event::ReadinessChanged { client, ready, reason } => Some(Command::SetReady { client, ready, reason }),
        Event::AliasSet { alias, version } => Some(Command::SetAlias { alias, version }),
        Event::FactsChanged { client, facts } => Some(Command::Note { client, facts }),
        Event::ClientLeft { client, reason } => Some(Command::Leave { client, reason }),
        Event::ClientEvicted { client, reason } => Some(Command::Evict { client, reason }),
        Event::ClientLost { client, epoch } => Some(Command::Lose { client, epoch }),
        Event::ClientReturned { client, .. } => Some(Command::Return { client }),
        Event::JobCreated { seed, plan, .. } => Some(Command::CreateJob { plan, seed }),
        Event::JobStarted { job, rounds } => Some(Command::Start { job, rounds }),
        Event::JobPaused { job } => Some(Command::Pause { job }),
        Event::JobResumed { job, rounds } => Some(Command::Resume { job, rounds }),
        Event::JobStepped { job } => Some(Command::Train { job }),
        Event::TrainingEnded { job, reason: Stop::Stopped } => Some(Command::Stop { job }),
        Event::JobEnded { job, outcome: Outcome::Aborted, .. } => Some(Command::Abort { job }),
        Event::JobEnded { job, outcome: Outcome::Failed, reason } => Some(Command::Fail { job, reason }),
        Event::AnswerAccepted { round, client, answer } => {
            Some(Command::Report { task: TaskId { round, client }, answer })
        }
        Event::TaskDeclined { round, client, reason } => {
            Some(Command::Decline { task: TaskId { round, client }, reason })
        }
        Event::ModelPublished { job, sha256, state, .. } => Some(Command::Publish { job, sha256, state }),
        _ => None,
    }
}
