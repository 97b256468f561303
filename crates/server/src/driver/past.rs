//! What a federation was: its journal, replayed up to an event.

use std::{collections::BTreeMap, sync::Arc};

use dure_core::{federation::Federation, journal::Head};

use super::ReplayError;
use crate::store::{Store, Stored};

/// How many entries are replayed at a time.
const PAGE: u32 = 1000;

/// The least number of events between two moments that are kept, and into about how many parts those cut a journal.
const LEAST_STEP: u64 = 1024;
const PARTS: u64 = 8;

/// A federation after an event of its journal.
#[derive(Clone, Default)]
pub struct Past {
    /// As it was.
    pub federation: Federation,
    /// Where the journal ended.
    pub head: Head,
}

/// Moments that were looked at lately, and some on the way there: whoever moves back and forth need not begin at the first event.
#[derive(Default)]
pub struct Pasts {
    kept: BTreeMap<u64, Arc<Past>>,
    /// The one that was asked for last.
    last: Option<Arc<Past>>,
}

impl Pasts {
    /// The federation called `name` after its event `at` of the `length` that its journal has.
    pub async fn at(&mut self, store: &Store, name: &str, at: u64, length: u64) -> Result<Arc<Past>, ReplayError> {
        let step = (length / PARTS).next_power_of_two().max(LEAST_STEP);
        // A journal that has grown is cut into larger parts.
        self.kept.retain(|sequence, _| sequence.is_multiple_of(step));
        let near = self.kept.range(..=at).next_back().map(|(_, past)| past);
        let last = self.last.as_ref().filter(|last| last.head.sequence <= at);
        let nearest = near.into_iter().chain(last).max_by_key(|past| past.head.sequence).cloned().unwrap_or_default();
        if nearest.head.sequence == at {
            self.last = Some(nearest.clone());
            return Ok(nearest);
        }
        let mut past = Past::clone(&nearest);
        while past.head.sequence < at {
            let stop = (past.head.sequence + 1).next_multiple_of(step).min(at);
            past = past.replayed(store, name, stop).await?;
            if past.head.sequence < stop {
                break;
            }
            if stop.is_multiple_of(step) {
                self.kept.insert(stop, Arc::new(past.clone()));
            }
        }
        let past = Arc::new(past);
        self.last = Some(past.clone());
        Ok(past)
    }
}

impl Past {
    /// Goes on to event `until`, or to the journal's end. The chain is verified on the way.
    pub async fn replayed(mut self, store: &Store, name: &str, until: u64) -> Result<Self, ReplayError> {
        loop {
            let left = u32::try_from(until.saturating_sub(self.head.sequence)).unwrap_or(PAGE).min(PAGE);
            let page = if left == 0 { Vec::new() } else { store.after(name, self.head.sequence, left).await? };
            if page.is_empty() {
                return Ok(self);
            }
            let federation = name.to_owned();
            let followed = store.machine().work(move || self.followed(&page, federation)).await;
            self = followed.map_err(|_| ReplayError::Fault)??;
        }
    }

    fn followed(mut self, page: &[Stored], federation: String) -> Result<Self, ReplayError> {
        for stored in page {
            match self.head.follow(&stored.entry) {
                Ok(record) => self.federation.apply(&record),
                Err(broken) => return Err(ReplayError::Broken { federation, broken }),
            }
        }
        Ok(self)
    }
}

#[cfg(test)]
mod tests {
    use dure_core::{
        event::{Event, Record, SCHEMA},
        name::ClientName,
        time::Time,
    };

    use super::*;
    use crate::store::testing::fresh;

    #[tokio::test]
    async fn every_moment_is_what_its_events_make_of_it_in_whichever_order_they_are_asked_for() {
        const LENGTH: u64 = 3000;
        let (_folder, store) = fresh().await;
        let mut head = Head::default();
        let mut events = vec![Event::FederationCreated { name: "f".into(), recipe: None, schema: None }];
        events.extend((1..LENGTH).map(|i| Event::ClientJoined {
            client: ClientName::new(format!("c{i}")).unwrap(),
            epoch: 1,
            ready: true,
        }));
        let records = (0..).zip(events).map(|(i, event)| Record { v: SCHEMA, at: Time(i), event });
        let entries: Vec<_> = records.map(|record| head.append(&record)).collect();
        store.append("f", &entries, 0, &[]).await.unwrap();
        let mut pasts = Pasts::default();
        for at in [1, 2999, 1500, 1501, 1023, 1024, 1025, 7, 3000, 2048] {
            let past = pasts.at(&store, "f", at, LENGTH).await.unwrap();
            assert_eq!((past.head.sequence, past.federation.members.len() as u64), (at, at - 1));
            assert_eq!((past.federation.at, past.head.hash), (Time(at - 1), entries[at as usize - 1].hash));
        }
        assert_eq!(pasts.kept.keys().copied().collect::<Vec<_>>(), [1024, 2048]);
    }
}
