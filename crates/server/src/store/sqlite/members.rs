//! By what clients authenticate: their own secrets, and invitations. Both are stored as SHA-256 only.

use async_trait::async_trait;
use dure_core::name::ClientName;

use super::{Sqlite, row};
use crate::store::{Invitation, Members, Secret, StoreError};

/// A row of `secrets`.
type SecretRow = (String, String, Vec<u8>, Option<i64>, String);

/// A row of `invitations`.
type InvitationRow = (i64, String, Vec<u8>, Option<u32>, Option<i64>, String);

#[async_trait]
impl Members for Sqlite {
    async fn secrets(&self) -> Result<Vec<Secret>, StoreError> {
        let rows: Vec<SecretRow> = sqlx::query_as(
            "-- secrets
            SELECT federation, client, secret_sha256, invitation, site FROM secrets ORDER BY federation, client",
        )
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())?;
        rows.into_iter().map(secret).collect()
    }

    async fn put_secret(&self, secret: &Secret) -> Result<(), StoreError> {
        let mut writing = self.begin("put_secret").await?;
        let put = sqlx::query(
            "-- put_secret
            INSERT INTO secrets (federation, client, secret_sha256, invitation, site) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT (federation, client) DO UPDATE
            SET secret_sha256 = excluded.secret_sha256, invitation = excluded.invitation, site = excluded.site",
        )
        .bind(&secret.federation)
        .bind(secret.client.as_str())
        .bind(&secret.sha256.0[..])
        .bind(secret.invitation)
        .bind(&secret.site)
        .execute(&mut *writing)
        .await;
        match put {
            Err(error) if is_taken(&error) => {
                let (federation, client) = (secret.federation.clone(), secret.client.to_string());
                Err(StoreError::SecretTaken { federation, client })
            }
            Err(error) => Err(self.fault()(error)),
            Ok(_) => writing.commit().await,
        }
    }

    async fn forget_secret(&self, federation: &str, client: &ClientName) -> Result<(), StoreError> {
        let mut writing = self.begin("forget_secret").await?;
        let done = sqlx::query(
            "-- forget_secret
            DELETE FROM secrets WHERE federation = ? AND client = ?",
        )
        .bind(federation)
        .bind(client.as_str())
        .execute(&mut *writing)
        .await;
        done.map_err(self.fault())?;
        writing.commit().await
    }

    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError> {
        let rows: Vec<InvitationRow> = sqlx::query_as(
            "-- invitations
            SELECT id, federation, sha256, uses, expires_wall_ms, note FROM invitations ORDER BY id",
        )
        .fetch_all(self.readers())
        .await
        .map_err(self.fault())?;
        rows.into_iter().map(invitation).collect()
    }

    async fn add_invitation(&self, invitation: &Invitation) -> Result<i64, StoreError> {
        let mut writing = self.begin("add_invitation").await?;
        let added = sqlx::query(
            "-- add_invitation
            INSERT INTO invitations (federation, sha256, uses, expires_wall_ms, note) VALUES (?, ?, ?, ?, ?)",
        )
        .bind(&invitation.federation)
        .bind(&invitation.sha256.0[..])
        .bind(invitation.uses)
        .bind(invitation.expires_wall_ms)
        .bind(&invitation.note)
        .execute(&mut *writing)
        .await
        .map_err(self.fault())?;
        writing.commit().await.map(|()| added.last_insert_rowid())
    }

    async fn remove_invitation(&self, federation: &str, id: i64) -> Result<bool, StoreError> {
        let mut writing = self.begin("remove_invitation").await?;
        let removed = sqlx::query(
            "-- remove_invitation
            DELETE FROM invitations WHERE federation = ? AND id = ?",
        )
        .bind(federation)
        .bind(id)
        .execute(&mut *writing)
        .await
        .map_err(self.fault())?;
        writing.commit().await.map(|()| removed.rows_affected() > 0)
    }
}

fn is_taken(error: &sqlx::Error) -> bool {
    error.as_database_error().is_some_and(|error| error.is_unique_violation())
}

fn secret((federation, client, sha256, invitation, site): SecretRow) -> Result<Secret, StoreError> {
    let sha256 = row::digest("secrets", format!("{federation}/{client}"), &sha256)?;
    let client = row::client("secrets", &federation, client)?;
    Ok(Secret { federation, client, sha256, invitation, site })
}

fn invitation((id, federation, sha256, uses, expires_wall_ms, note): InvitationRow) -> Result<Invitation, StoreError> {
    let sha256 = row::digest("invitations", id, &sha256)?;
    Ok(Invitation { id, federation, sha256, uses, expires_wall_ms, note })
}

#[cfg(test)]
mod tests {
    use dure_core::digest::Digest;

    use super::super::testing::{again, fresh};
    use super::*;

    fn name(name: &str) -> ClientName {
        ClientName::new(name).unwrap()
    }

    fn secret(client: &str, byte: u8, invitation: Option<i64>) -> Secret {
        let site = format!("{client}'s 병동");
        Secret { federation: "f".into(), client: name(client), sha256: Digest([byte; 32]), invitation, site }
    }

    fn invitation(byte: u8, uses: Option<u32>) -> Invitation {
        let sha256 = Digest([byte; 32]);
        Invitation { id: 0, federation: "f".into(), sha256, uses, expires_wall_ms: Some(-5), note: "for 소라".into() }
    }

    #[tokio::test]
    async fn secrets_are_replaced_forgotten_and_survive_a_restart() {
        let (folder, store) = fresh().await;
        for secret in [secret("b", 1, None), secret("a", 2, Some(7)), secret("b", 3, Some(8)), secret("c", 4, None)] {
            store.put_secret(&secret).await.unwrap();
        }
        store.forget_secret("f", &name("c")).await.unwrap();
        store.forget_secret("f", &name("nobody")).await.unwrap();
        store.forget_secret("g", &name("a")).await.unwrap();
        let store = again(&folder, store).await;
        assert_eq!(store.secrets().await.unwrap(), [secret("a", 2, Some(7)), secret("b", 3, Some(8))]);
    }

    #[tokio::test]
    async fn two_clients_cannot_have_one_secret() {
        let (_folder, store) = fresh().await;
        store.put_secret(&secret("a", 1, None)).await.unwrap();
        let error = store.put_secret(&secret("b", 1, None)).await.unwrap_err().to_string();
        assert_eq!(error, "the secret of b in federation \"f\" belongs to another client; draw a new one");
    }

    #[tokio::test]
    async fn invitations_come_back_as_they_were_and_numbers_are_not_used_again() {
        let (folder, store) = fresh().await;
        let (one, two) = (invitation(1, None), invitation(2, Some(33)));
        assert_eq!(store.add_invitation(&one).await.unwrap(), 1);
        assert_eq!(store.add_invitation(&two).await.unwrap(), 2);
        assert_eq!(store.invitations().await.unwrap(), [Invitation { id: 1, ..one }, Invitation { id: 2, ..two }]);
        assert!(!store.remove_invitation("g", 2).await.unwrap());
        assert!(store.remove_invitation("f", 2).await.unwrap());
        assert!(!store.remove_invitation("f", 2).await.unwrap());
        let store = again(&folder, store).await;
        assert_eq!(store.add_invitation(&invitation(3, None)).await.unwrap(), 3);
    }

    #[tokio::test]
    async fn an_invitation_that_cannot_be_committed_has_no_number() {
        let (_folder, store) = fresh().await;
        // As on a full disk, the row can be made and its commit fails.
        for sql in [
            "CREATE TABLE parents (id INTEGER PRIMARY KEY)",
            "CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED)",
            "CREATE TRIGGER late AFTER INSERT ON invitations BEGIN INSERT INTO children VALUES (7); END",
        ] {
            sqlx::query(sql).execute(&store.writer).await.unwrap();
        }
        assert!(store.add_invitation(&invitation(1, None)).await.is_err());
        assert_eq!(store.invitations().await.unwrap(), []);
    }

    #[tokio::test]
    async fn a_damaged_row_is_named() {
        let (_folder, store) = fresh().await;
        store.put_secret(&secret("a", 1, None)).await.unwrap();
        sqlx::query("UPDATE secrets SET secret_sha256 = x'01'").execute(&store.writer).await.unwrap();
        let error = store.secrets().await.unwrap_err().to_string();
        assert!(error.starts_with("row f/a of table secrets is damaged: a digest has 1 bytes"), "{error}");
    }
}
