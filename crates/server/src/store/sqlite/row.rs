//! Columns that are read back as what was written, or as a damaged row.

use std::fmt::Display;

use dure_core::{digest::Digest, name::ClientName};

use super::StoreError;

/// 32 bytes, or what is wrong with them.
pub fn digest_of(bytes: &[u8]) -> Result<Digest, String> {
    let array = bytes.try_into().map_err(|_| format!("a digest has {} bytes where it has 32", bytes.len()));
    array.map(Digest)
}

/// A digest of a row of `table`.
pub fn digest(table: &'static str, row: impl Display, bytes: &[u8]) -> Result<Digest, StoreError> {
    digest_of(bytes).map_err(|why| StoreError::BadRow { table, row: row.to_string(), why })
}

/// A client's name of a row of `table`.
pub fn client(table: &'static str, federation: &str, name: String) -> Result<ClientName, StoreError> {
    let row = || format!("{federation}/{name}");
    ClientName::new(name.clone()).map_err(|error| StoreError::BadRow { table, row: row(), why: error.to_string() })
}
