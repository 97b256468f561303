//! When clients were last heard of, and what their sites say of themselves: rows that are written over, never events.

use async_trait::async_trait;
use dure_core::name::ClientName;
use serde_json::{Map, Value};
use sqlx::SqliteConnection;

use super::{Sqlite, row};
use crate::store::{Seen, Sightings, StoreError};

#[async_trait]
impl Sightings for Sqlite {
    async fn seen(&self, federation: &str) -> Result<Vec<Seen>, StoreError> {
        let rows: Vec<(String, i64, String)> = sqlx::query_as(
            "-- seen
            SELECT client, wall_ms, facts FROM seen WHERE federation = ? ORDER BY client",
        )
        .bind(federation)
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())?;
        let seen = |(client, wall_ms, facts): (String, i64, String)| {
            let client = row::client("seen", federation, client)?;
            let facts = facts_of(federation, &client, &facts)?;
            Ok(Seen { client, wall_ms, facts })
        };
        rows.into_iter().map(seen).collect()
    }

    async fn put_seen(&self, federation: &str, rows: &[Seen]) -> Result<(), StoreError> {
        let mut writing = self.begin("put_seen").await?;
        for row in rows {
            put(&mut writing, federation, row).await.map_err(self.fault())?;
        }
        writing.commit().await
    }
}

async fn put(writing: &mut SqliteConnection, federation: &str, seen: &Seen) -> sqlx::Result<()> {
    sqlx::query(
        "-- put_seen
        INSERT INTO seen (federation, client, wall_ms, facts) VALUES (?, ?, ?, ?)
        ON CONFLICT (federation, client) DO UPDATE SET wall_ms = excluded.wall_ms, facts = excluded.facts",
    )
    .bind(federation)
    .bind(seen.client.as_str())
    .bind(seen.wall_ms)
    .bind(Value::from(seen.facts.clone()).to_string())
    .execute(writing)
    .await
    .map(drop)
}

fn facts_of(federation: &str, client: &ClientName, facts: &str) -> Result<Map<String, Value>, StoreError> {
    let bad = |why| StoreError::BadRow { table: "seen", row: format!("{federation}/{client}"), why };
    serde_json::from_str(facts).map_err(|error| bad(format!("its facts cannot be read: {error}")))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{again, fresh};
    use super::*;

    fn seen(client: &str, wall_ms: i64, rows: u64) -> Seen {
        let facts = Map::from_iter([("rows".into(), rows.into()), ("site".into(), "소라 \"2\"".into())]);
        Seen { client: ClientName::new(client).unwrap(), wall_ms, facts }
    }

    #[tokio::test]
    async fn the_last_row_of_each_client_stays() {
        let (folder, store) = fresh().await;
        store.put_seen("f", &[seen("b", 1, 10), seen("a", 2, 20)]).await.unwrap();
        store.put_seen("f", &[seen("b", 3, 30)]).await.unwrap();
        store.put_seen("g", &[seen("b", 4, 40)]).await.unwrap();
        store.put_seen("f", &[]).await.unwrap();
        let store = again(&folder, store).await;
        assert_eq!(store.seen("f").await.unwrap(), [seen("a", 2, 20), seen("b", 3, 30)]);
    }

    #[tokio::test]
    async fn a_damaged_row_is_named() {
        let (_folder, store) = fresh().await;
        store.put_seen("f", &[seen("a", 1, 1)]).await.unwrap();
        sqlx::query("UPDATE seen SET facts = '[]'").execute(&store.writer).await.unwrap();
        let error = store.seen("f").await.unwrap_err().to_string();
        assert!(error.starts_with("row f/a of table seen is damaged: its facts cannot be read"), "{error}");
    }
}
