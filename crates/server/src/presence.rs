//! Who was heard of when, and what for. In memory: last-seen is a row that is written now and then, never an event.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use dure_core::{
    federation::{Federation, Standing},
    name::ClientName,
    round::TaskId,
    time::{Duration, Time},
};
use serde_json::{Map, Value};

use crate::store::Seen;

/// What a server remembers of a client beside the journal.
#[derive(Clone, Debug, Default)]
pub struct Presence {
    /// When its lease began, in federation time: when it was heard of, or when the server was started, if that was later.
    pub at: Time,
    /// When it was heard of, on the wall clock, in milliseconds since 1970; an annotation.
    pub wall_ms: i64,
    /// The task that it was given last.
    pub taken: Option<TaskId>,
    /// How many of its answers are on their way in.
    pub sending: usize,
    /// What its site says of itself.
    pub facts: Map<String, Value>,
    /// The bytes of models that were sent to it since the server was started.
    pub bytes_down: u64,
    /// Whether its row in the store is older.
    unsaved: bool,
    /// How often it has changed its membership since a moment; see [`Presences::may_change`].
    changes: (Time, u32),
}

impl Presence {
    /// How long ago it was heard of, in seconds, by whichever server there was then.
    pub fn last_seen_s(&self) -> f64 {
        wall_ms().saturating_sub(self.wall_ms).max(0) as f64 / 1000.0
    }
}

/// How often a client may join, leave or change its readiness within [`CHANGES_IN`]. Each is an event that stays for ever.
const CHANGES: u32 = 60;

/// The time in which changes are counted.
const CHANGES_IN: Duration = Duration(60_000);

/// Everybody's.
#[derive(Default)]
pub struct Presences(Mutex<BTreeMap<ClientName, Presence>>);

impl Presences {
    /// From the rows of the store. Every lease begins at `now`: after a restart it gets its full term.
    pub fn new(federation: &Federation, rows: Vec<Seen>, now: Time) -> Self {
        let mut all: BTreeMap<_, _> =
            federation.members.keys().map(|name| (name.clone(), Presence::default())).collect();
        for Seen { client, wall_ms, facts } in rows {
            all.insert(client, Presence { wall_ms, facts, ..Presence::default() });
        }
        all.values_mut().for_each(|presence| presence.at = now);
        Self(Mutex::new(all))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientName, Presence>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews a client's lease, and notes what `change` says.
    pub fn touch(&self, client: &ClientName, now: Time, change: impl FnOnce(&mut Presence)) {
        let mut all = self.lock();
        let presence = all.entry(client.clone()).or_default();
        (presence.at, presence.wall_ms, presence.unsaved) = (now, wall_ms(), true);
        change(presence);
    }

    /// Notes that so many bytes of a model were sent to a client. Its lease is not renewed: it may be a machine in between that reads.
    pub fn sent(&self, client: &ClientName, bytes: usize) {
        let mut all = self.lock();
        let down = &mut all.entry(client.clone()).or_default().bytes_down;
        *down = down.saturating_add(bytes as u64);
    }

    /// Looks at what is known of a client, without copying it.
    pub fn look<T>(&self, client: &ClientName, look: impl FnOnce(Option<&Presence>) -> T) -> T {
        look(self.lock().get(client))
    }

    /// Whether a client may change its membership once more by now.
    pub fn may_change(&self, client: &ClientName, now: Time) -> bool {
        let mut all = self.lock();
        let (since, count) = &mut all.entry(client.clone()).or_default().changes;
        if now.since(*since) >= CHANGES_IN {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= CHANGES
    }

    /// What is known of a client.
    pub fn get(&self, client: &ClientName) -> Option<Presence> {
        self.lock().get(client).cloned()
    }

    /// Members whose lease has ended, with their epochs.
    pub fn expired(&self, federation: &Federation, lease: Duration, now: Time) -> Vec<(ClientName, u32)> {
        let all = self.lock();
        let ended = |name: &ClientName| all.get(name).is_none_or(|presence| now.since(presence.at) >= lease);
        let members = federation.members.iter().filter(|(_, member)| member.standing == Standing::Active);
        members.filter(|(name, _)| ended(name)).map(|(name, member)| (name.clone(), member.epoch)).collect()
    }

    /// The rows that the store does not have yet.
    pub fn unsaved(&self) -> Vec<Seen> {
        let mut all = self.lock();
        let row = |(client, presence): (&ClientName, &mut Presence)| {
            let (client, wall_ms, facts) = (client.clone(), presence.wall_ms, presence.facts.clone());
            std::mem::take(&mut presence.unsaved).then_some(Seen { client, wall_ms, facts })
        };
        all.iter_mut().filter_map(row).collect()
    }
}

/// The wall clock, in milliseconds since 1970: for annotations only.
pub fn wall_ms() -> i64 {
    jiff::Timestamp::now().as_millisecond()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_restart_renews_a_lease_and_not_when_a_client_was_seen() {
        let client = ClientName::new("a").unwrap();
        let hour_ago = Seen { client: client.clone(), wall_ms: wall_ms() - 3_600_000, facts: Map::new() };
        let presences = Presences::new(&Federation::default(), vec![hour_ago], Time(7));
        let presence = presences.get(&client).unwrap();
        assert_eq!(presence.at, Time(7));
        assert!(presence.last_seen_s() >= 3600.0, "{}", presence.last_seen_s());
    }
}
