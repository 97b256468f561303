//! The journals' entries, byte for byte, and which job an Idempotency-Key made.

use async_trait::async_trait;
use dure_core::journal::Entry;
use serde_json::value::RawValue;
use sqlx::SqliteConnection;

use super::{Sqlite, row};
use crate::store::{JobKey, Journals, StoreError, Stored};

/// A row of `events`.
type Row = (i64, Vec<u8>, Vec<u8>, i64);

#[async_trait]
impl Journals for Sqlite {
    async fn federations(&self) -> Result<Vec<String>, StoreError> {
        sqlx::query_scalar(
            "-- federations
            SELECT DISTINCT federation FROM events ORDER BY federation",
        )
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())
    }

    async fn append(
        &self,
        federation: &str,
        entries: &[Entry],
        wall_ms: i64,
        keys: &[JobKey],
    ) -> Result<(), StoreError> {
        let mut writing = self.begin("append").await?;
        let stored = last(&mut writing, federation).await.map_err(self.fault())?;
        follow(federation, stored, entries)?;
        insert(&mut writing, federation, entries, wall_ms).await.map_err(self.fault())?;
        insert_keys(&mut writing, federation, keys).await.map_err(self.fault())?;
        writing.commit().await
    }

    async fn after(&self, federation: &str, sequence: u64, limit: u32) -> Result<Vec<Stored>, StoreError> {
        let rows: Vec<Row> = sqlx::query_as(
            "-- after
            SELECT sequence, hash, event, wall_ms FROM events
            WHERE federation = ? AND sequence > ? ORDER BY sequence LIMIT ?",
        )
        .bind(federation)
        .bind(number(sequence))
        .bind(limit)
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())?;
        rows.into_iter().map(|row| stored(federation, row)).collect()
    }

    async fn job_of_key(&self, federation: &str, key: &str) -> Result<Option<JobKey>, StoreError> {
        let row: Option<(Vec<u8>, u32)> = sqlx::query_as(
            "-- job_of_key
            SELECT body_sha256, job FROM job_keys WHERE federation = ? AND key = ?",
        )
        .bind(federation)
        .bind(key)
        .fetch_optional(self.readers())
        .await
        .map_err(self.fault())?;
        let Some((body, job)) = row else { return Ok(None) };
        let body_sha256 = row::digest("job_keys", format!("{federation}/{key}"), &body)?;
        Ok(Some(JobKey { key: key.into(), body_sha256, job }))
    }
}

/// Where the stored journal ends.
async fn last(writing: &mut SqliteConnection, federation: &str) -> sqlx::Result<i64> {
    sqlx::query_scalar(
        "-- append: last
        SELECT COALESCE(MAX(sequence), 0) FROM events WHERE federation = ?",
    )
    .bind(federation)
    .fetch_one(writing)
    .await
}

/// Holds `entries` to the numbers that come next.
fn follow(federation: &str, stored: i64, entries: &[Entry]) -> Result<(), StoreError> {
    let stored = stored.unsigned_abs();
    let wrong = (stored + 1..).zip(entries).find(|(next, entry)| entry.sequence != *next);
    wrong.map_or(Ok(()), |(_, entry)| {
        Err(StoreError::Conflict { federation: federation.into(), stored, first: entry.sequence })
    })
}

async fn insert(writing: &mut SqliteConnection, federation: &str, entries: &[Entry], wall_ms: i64) -> sqlx::Result<()> {
    for entry in entries {
        sqlx::query(
            "-- append: insert
            INSERT INTO events (federation, sequence, hash, event, wall_ms) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(federation)
        .bind(number(entry.sequence))
        .bind(&entry.hash.0[..])
        .bind(entry.event.get())
        .bind(wall_ms)
        .execute(&mut *writing)
        .await?;
    }
    Ok(())
}

async fn insert_keys(writing: &mut SqliteConnection, federation: &str, keys: &[JobKey]) -> sqlx::Result<()> {
    for key in keys {
        sqlx::query(
            "-- append: insert_keys
            INSERT INTO job_keys (federation, key, body_sha256, job) VALUES (?, ?, ?, ?)",
        )
        .bind(federation)
        .bind(&key.key)
        .bind(&key.body_sha256.0[..])
        .bind(key.job)
        .execute(&mut *writing)
        .await?;
    }
    Ok(())
}

/// SQLite's integers have a sign. No journal gets this long.
fn number(sequence: u64) -> i64 {
    i64::try_from(sequence).unwrap_or(i64::MAX)
}

fn stored(federation: &str, (sequence, hash, event, wall_ms): Row) -> Result<Stored, StoreError> {
    let sequence = sequence.unsigned_abs();
    let damaged = |why| StoreError::Damaged { federation: federation.into(), sequence, why };
    let hash = row::digest_of(&hash).map_err(damaged)?;
    let event = event_of(event).map_err(damaged)?;
    Ok(Stored { entry: Entry { sequence, hash, event }, wall_ms })
}

/// The text of an event, of which no byte may be other than JSON: spaces around it would be lost.
fn event_of(bytes: Vec<u8>) -> Result<Box<RawValue>, String> {
    let length = bytes.len();
    let text = String::from_utf8(bytes).map_err(|error| format!("its event is not UTF-8: {error}"))?;
    let event = RawValue::from_string(text).map_err(|error| format!("its event is not JSON: {error}"))?;
    if event.get().len() == length { Ok(event) } else { Err("there are spaces around its event".into()) }
}

#[cfg(test)]
mod tests {
    use dure_core::{
        digest::Digest,
        event::{Event, Record},
        journal::Head,
        name::ClientName,
        time::Time,
    };

    use super::super::testing::{again, fresh};
    use super::*;

    const ALL: u32 = u32::MAX;

    /// The first `count` entries of a journal.
    fn journal(count: u64) -> Vec<Entry> {
        let mut head = Head::default();
        let client = ClientName::new("a").unwrap();
        let event =
            |at| Event::ReadinessChanged { client: client.clone(), ready: false, reason: format!("눈 {at} \"") };
        (0..count).map(|at| head.append(&Record::new(Time(at), event(at)))).collect()
    }

    fn lines<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Vec<String> {
        entries.into_iter().map(Entry::line).collect()
    }

    fn key(key: &str, job: u32) -> JobKey {
        JobKey { key: key.into(), body_sha256: Digest([9; 32]), job }
    }

    #[tokio::test]
    async fn what_was_appended_is_read_back_verbatim_also_after_a_restart() {
        let (folder, store) = fresh().await;
        let entries = journal(5);
        store.append("f", &entries[..2], 10, &[]).await.unwrap();
        store.append("f", &entries[2..], 20, &[]).await.unwrap();
        let store = again(&folder, store).await;
        let back = store.after("f", 0, ALL).await.unwrap();
        assert_eq!(lines(back.iter().map(|stored| &stored.entry)), lines(&entries));
        assert_eq!(back.iter().map(|stored| stored.wall_ms).collect::<Vec<_>>(), [10, 10, 20, 20, 20]);
        let mut head = Head::default();
        back.iter().for_each(|stored| drop(head.follow(&stored.entry).unwrap()));
    }

    #[tokio::test]
    async fn a_page_begins_after_a_number_and_has_a_limit() {
        let (_folder, store) = fresh().await;
        store.append("f", &journal(5), 0, &[]).await.unwrap();
        let check = async |sequence, limit, want: &[u64]| {
            let page = store.after("f", sequence, limit).await.unwrap();
            assert_eq!(page.iter().map(|stored| stored.entry.sequence).collect::<Vec<_>>(), want);
        };
        check(1, 2, &[2, 3]).await;
        check(3, ALL, &[4, 5]).await;
        check(5, ALL, &[]).await;
        check(u64::MAX, ALL, &[]).await;
        check(0, 0, &[]).await;
    }

    #[tokio::test]
    async fn federations_are_apart_and_come_in_order() {
        let (_folder, store) = fresh().await;
        for name in ["b", "a", "a.b"] {
            store.append(name, &journal(2), 0, &[key("k", 1)]).await.unwrap();
        }
        assert_eq!(store.federations().await.unwrap(), ["a", "a.b", "b"]);
        assert_eq!(store.after("a", 0, ALL).await.unwrap().len(), 2);
        assert!(store.after("c", 0, ALL).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn entries_that_do_not_follow_are_a_conflict_and_leave_no_trace() {
        let (_folder, store) = fresh().await;
        let entries = journal(4);
        store.append("f", &entries[..2], 0, &[]).await.unwrap();
        for (wrong, first) in [(&entries[1..3], 2), (&entries[3..], 4)] {
            let error = store.append("f", wrong, 0, &[key("k", 1)]).await.unwrap_err();
            assert!(matches!(error, StoreError::Conflict { stored: 2, first: f, .. } if f == first), "{error}");
        }
        let gap = [entries[2].clone(), entries[2].clone()];
        assert!(matches!(store.append("f", &gap, 0, &[]).await, Err(StoreError::Conflict { first: 3, .. })));
        assert_eq!(store.after("f", 0, ALL).await.unwrap().len(), 2);
        assert_eq!(store.job_of_key("f", "k").await.unwrap(), None);
        store.append("f", &entries[2..], 0, &[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_key_is_stored_with_its_entries_or_not_at_all() {
        let (folder, store) = fresh().await;
        let entries = journal(2);
        store.append("f", &entries[..1], 0, &[key("k", 3)]).await.unwrap();
        assert!(store.append("f", &entries[1..], 0, &[key("k", 4)]).await.is_err());
        let store = again(&folder, store).await;
        assert_eq!(store.job_of_key("f", "k").await.unwrap(), Some(key("k", 3)));
        assert_eq!(store.job_of_key("g", "k").await.unwrap(), None);
        assert_eq!(store.after("f", 0, ALL).await.unwrap().len(), 1);
    }

    #[tokio::test]
    async fn a_damaged_entry_is_named() {
        let check = async |damage: &'static str, want: &str| {
            let (_folder, store) = fresh().await;
            store.append("f", &journal(3), 0, &[]).await.unwrap();
            sqlx::query(damage).execute(&store.writer).await.unwrap();
            let error = store.after("f", 0, ALL).await.unwrap_err().to_string();
            assert!(error.starts_with("entry 2 of federation \"f\" is damaged: ") && error.contains(want), "{error}");
        };
        check("UPDATE events SET hash = x'0102' WHERE sequence = 2", "2 bytes").await;
        check("UPDATE events SET event = substr(event, 1, 9) WHERE sequence = 2", "not JSON").await;
        check("UPDATE events SET event = event || ' ' WHERE sequence = 2", "spaces").await;
        check("UPDATE events SET event = CAST(x'22ff22' AS TEXT) WHERE sequence = 2", "not UTF-8").await;
    }

    #[tokio::test]
    async fn a_full_disk_says_so_and_when_there_is_space_again_the_store_goes_on() {
        let (_folder, store) = fresh().await;
        let entries = journal(3000);
        store.append("f", &entries[..1], 0, &[]).await.unwrap();
        sqlx::query("PRAGMA max_page_count = 1").execute(&store.writer).await.unwrap();
        let error = store.append("f", &entries[1..], 0, &[]).await.unwrap_err();
        assert!(matches!(&error, StoreError::Full { path } if path.ends_with("dure.db")), "{error}");
        assert_eq!(store.after("f", 0, ALL).await.unwrap().len(), 1);
        store.append("f", &entries[1..2], 0, &[]).await.unwrap();
    }
}
