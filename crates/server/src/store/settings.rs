//! By what the operator authenticates: the token's digest, and browsers' sessions.

use dure_core::digest::Digest;

use super::{Store, StoreError, row};

impl Store {
    /// The digest of the operator's token, if one was set.
    pub async fn operator(&self) -> Result<Option<Digest>, StoreError> {
        let value: Option<Vec<u8>> = sqlx::query_scalar(
            "-- operator
            SELECT value FROM settings WHERE name = 'operator_sha256'",
        )
        .fetch_optional(self.readers())
        .await
        .map_err(self.fault())?;
        value.map(|value| row::digest("settings", "operator_sha256", &value)).transpose()
    }

    /// Sets the digest of the operator's token in place of the one before.
    pub async fn set_operator(&self, sha256: Digest) -> Result<(), StoreError> {
        sqlx::query(
            "-- set_operator
            INSERT INTO settings (name, value) VALUES ('operator_sha256', ?)
            ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .bind(&sha256.0[..])
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }

    /// Writes something, to see that it can be done: what can be read says nothing of that.
    pub async fn try_to_write(&self) -> Result<(), StoreError> {
        // SQLite writes no page that stays as it was.
        sqlx::query(
            "-- try_to_write
            INSERT INTO settings (name, value) VALUES ('written', randomblob(8))
            ON CONFLICT (name) DO UPDATE SET value = excluded.value",
        )
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }

    /// Stores the digest of a browser's session, and when it ends by the wall clock, in milliseconds since 1970.
    pub async fn add_session(&self, sha256: Digest, expires_wall_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "-- add_session
            INSERT INTO sessions (sha256, expires_wall_ms) VALUES (?, ?)
            ON CONFLICT (sha256) DO UPDATE SET expires_wall_ms = excluded.expires_wall_ms",
        )
        .bind(&sha256.0[..])
        .bind(expires_wall_ms)
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }

    /// Ends a session; harmless if there is none.
    pub async fn remove_session(&self, sha256: Digest) -> Result<(), StoreError> {
        sqlx::query(
            "-- remove_session
            DELETE FROM sessions WHERE sha256 = ?",
        )
        .bind(&sha256.0[..])
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }

    /// Ends every session.
    pub async fn remove_sessions(&self) -> Result<(), StoreError> {
        sqlx::query(
            "-- remove_sessions
            DELETE FROM sessions",
        )
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }

    /// Every session that has not ended, and when it does. Those that have are deleted.
    pub async fn sessions(&self) -> Result<Vec<(Digest, i64)>, StoreError> {
        self.end_sessions(jiff::Timestamp::now().as_millisecond()).await?;
        let rows: Vec<(Vec<u8>, i64)> = sqlx::query_as(
            "-- sessions
            SELECT sha256, expires_wall_ms FROM sessions ORDER BY expires_wall_ms, sha256",
        )
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())?;
        let session = |(sha256, ends): (Vec<u8>, i64)| Ok((row::digest("sessions", ends, &sha256)?, ends));
        rows.into_iter().map(session).collect()
    }

    async fn end_sessions(&self, wall_ms: i64) -> Result<(), StoreError> {
        sqlx::query(
            "-- end_sessions
            DELETE FROM sessions WHERE expires_wall_ms <= ?",
        )
        .bind(wall_ms)
        .execute(self.writer())
        .await
        .map(drop)
        .map_err(self.fault())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::testing::{again, fresh};

    #[tokio::test]
    async fn the_operator_is_the_last_that_was_set() {
        let (folder, store) = fresh().await;
        assert_eq!(store.operator().await.unwrap(), None);
        store.set_operator(Digest([1; 32])).await.unwrap();
        store.set_operator(Digest([2; 32])).await.unwrap();
        let store = again(&folder, store).await;
        assert_eq!(store.operator().await.unwrap(), Some(Digest([2; 32])));
    }

    #[tokio::test]
    async fn trying_to_write_is_writing() {
        let (folder, store) = fresh().await;
        let log = folder.path().join("data/dure.db-wal");
        for _ in 0..3 {
            let before = std::fs::read(&log).unwrap();
            store.try_to_write().await.unwrap();
            assert_ne!(std::fs::read(&log).unwrap(), before);
        }
        sqlx::query("PRAGMA query_only = ON").execute(store.writer()).await.unwrap();
        assert!(matches!(store.try_to_write().await, Err(StoreError::ReadOnly { .. })));
        store.try_to_write().await.unwrap();
    }

    #[tokio::test]
    async fn sessions_end_when_they_are_removed_or_over() {
        let (folder, store) = fresh().await;
        let (over, removed, open) = (Digest([1; 32]), Digest([2; 32]), Digest([3; 32]));
        for (sha256, ends) in [(over, 5), (removed, i64::MAX), (open, 6), (open, i64::MAX)] {
            store.add_session(sha256, ends).await.unwrap();
        }
        store.remove_session(removed).await.unwrap();
        let store = again(&folder, store).await;
        assert_eq!(store.sessions().await.unwrap(), [(open, i64::MAX)]);
        let left = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM sessions").fetch_one(store.readers());
        assert_eq!(left.await.unwrap(), 1);
    }

    #[tokio::test]
    async fn all_sessions_end_together() {
        let (_folder, store) = fresh().await;
        for byte in [1, 2] {
            store.add_session(Digest([byte; 32]), i64::MAX).await.unwrap();
        }
        store.remove_sessions().await.unwrap();
        assert_eq!(store.sessions().await.unwrap(), []);
    }
}
