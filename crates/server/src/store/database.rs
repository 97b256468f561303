//! What a server keeps beside its blobs, in a database: journals, who may authenticate, and rows that are written over. A call
//! that writes does all of it or nothing, and it is safe from a power cut on return. One that fails may have written all
//! the same, unless it says otherwise.

use async_trait::async_trait;
use dure_core::{digest::Digest, journal::Entry, name::ClientName};
use serde_json::{Map, Value};

use super::StoreError;

/// A database.
pub trait Database: Journals + Members + Sightings + Settings {}

impl<T: Journals + Members + Sightings + Settings> Database for T {}

/// An entry as it was stored.
#[derive(Clone, Debug)]
pub struct Stored {
    /// The entry. That it follows the one before is for the reader to verify: `Head::follow`.
    pub entry: Entry,
    /// When it was appended, by the wall clock, in milliseconds since 1970; an annotation.
    pub wall_ms: i64,
}

/// Which job an Idempotency-Key made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobKey {
    /// The key, as its client sent it.
    pub key: String,
    /// The digest of the request's body: the same key with another body is a mistake.
    pub body_sha256: Digest,
    /// The job's number.
    pub job: u32,
}

/// A client's secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// Of which federation.
    pub federation: String,
    /// The client's name there.
    pub client: ClientName,
    /// The secret's digest.
    pub sha256: Digest,
    /// The invitation by which it joined, which may be gone.
    pub invitation: Option<i64>,
    /// For whom that invitation was.
    pub site: String,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invitation {
    /// Its number; the store gives it, and gives none twice.
    pub id: i64,
    /// To which federation.
    pub federation: String,
    /// The token's digest.
    pub sha256: Digest,
    /// How many clients may join by it; any number if absent.
    pub uses: Option<u32>,
    /// Until when, by the wall clock, in milliseconds since 1970; for ever if absent.
    pub expires_wall_ms: Option<i64>,
    /// For whom it is.
    pub note: String,
}

/// What is remembered of a client beside the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The client.
    pub client: ClientName,
    /// When it was last heard of, by the wall clock, in milliseconds since 1970; an annotation.
    pub wall_ms: i64,
    /// What its site says of itself.
    pub facts: Map<String, Value>,
}

/// The journals' entries, byte for byte, and which job an Idempotency-Key made.
#[async_trait]
pub trait Journals: Send + Sync {
    /// The names of all federations that have events, in their order.
    async fn federations(&self) -> Result<Vec<String>, StoreError>;

    /// Appends `entries` (and `keys` with them) to a journal. An entry that does not follow the stored ones is a
    /// [`StoreError::Conflict`], and nothing was written.
    ///
    /// When the returned future is dropped before its end, the entries may be there or not: see it through.
    async fn append(
        &self,
        federation: &str,
        entries: &[Entry],
        wall_ms: i64,
        keys: &[JobKey],
    ) -> Result<(), StoreError>;

    /// At most `limit` entries after the one called `sequence`, in their order.
    async fn after(&self, federation: &str, sequence: u64, limit: u32) -> Result<Vec<Stored>, StoreError>;

    /// The job that a key made.
    async fn job_of_key(&self, federation: &str, key: &str) -> Result<Option<JobKey>, StoreError>;
}

/// By what clients authenticate: their own secrets, and invitations. Both are stored as SHA-256 only.
#[async_trait]
pub trait Members: Send + Sync {
    /// Every client's secret, in the order of federations and names.
    async fn secrets(&self) -> Result<Vec<Secret>, StoreError>;

    /// Stores a client's secret in place of the one that it had.
    async fn put_secret(&self, secret: &Secret) -> Result<(), StoreError>;

    /// Forgets a client's secret; harmless if there is none.
    async fn forget_secret(&self, federation: &str, client: &ClientName) -> Result<(), StoreError>;

    /// Every invitation, in the order of their numbers.
    async fn invitations(&self) -> Result<Vec<Invitation>, StoreError>;

    /// Stores an invitation (its number is not looked at) and returns its number.
    async fn add_invitation(&self, invitation: &Invitation) -> Result<i64, StoreError>;

    /// Takes an invitation back; `false` if the federation has none of this number.
    async fn remove_invitation(&self, federation: &str, id: i64) -> Result<bool, StoreError>;
}

/// When clients were last heard of, and what their sites say of themselves: rows that are written over, never events.
#[async_trait]
pub trait Sightings: Send + Sync {
    /// Everybody's row in a federation, in the order of names.
    async fn seen(&self, federation: &str) -> Result<Vec<Seen>, StoreError>;

    /// Writes rows, each in place of its client's last.
    async fn put_seen(&self, federation: &str, rows: &[Seen]) -> Result<(), StoreError>;
}

/// By what the operator authenticates, the token's digest and browsers' sessions; and the end.
#[async_trait]
pub trait Settings: Send + Sync {
    /// The digest of the operator's token, if one was set.
    async fn operator(&self) -> Result<Option<Digest>, StoreError>;

    /// Sets the digest of the operator's token in place of the one before.
    async fn set_operator(&self, sha256: Digest) -> Result<(), StoreError>;

    /// Writes something, to see that it can be done: what can be read says nothing of that.
    async fn try_to_write(&self) -> Result<(), StoreError>;

    /// Stores the digest of a browser's session, and when it ends by the wall clock, in milliseconds since 1970.
    async fn add_session(&self, sha256: Digest, expires_wall_ms: i64) -> Result<(), StoreError>;

    /// Ends a session; harmless if there is none.
    async fn remove_session(&self, sha256: Digest) -> Result<(), StoreError>;

    /// Ends every session.
    async fn remove_sessions(&self) -> Result<(), StoreError>;

    /// Every session that has not ended, and when it does. Those that have are deleted.
    async fn sessions(&self) -> Result<Vec<(Digest, i64)>, StoreError>;

    /// Waits for what is being written and closes the database. Without it nothing is lost. Afterwards every call fails.
    async fn close(&self);
}
