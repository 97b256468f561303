//! Names of clients. Everything that depends on a client derives from its name, so a name is checked once, here.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::excerpt::{NAME, excerpt};

/// The name of a client: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or a digit.
///
/// Names are pseudonyms. The journal cannot be erased, so a name must not identify a person.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ClientName(String);

/// A text that cannot name a client, or its beginning.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} cannot name a client: use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit")]
pub struct NameError(pub String);

impl ClientName {
    /// Checks `name` and makes it a client's name.
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let name = name.into();
        let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        let begins_well = name.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let good = begins_well && name.len() <= 64 && name.chars().all(allowed);
        if good { Ok(Self(name)) } else { Err(NameError(excerpt(name, NAME))) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for ClientName {
    type Error = NameError;

    fn try_from(name: String) -> Result<Self, NameError> {
        Self::new(name)
    }
}

impl From<ClientName> for String {
    fn from(name: ClientName) -> String {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        for good in ["person-01", "a", "7", "ward.b_2", &"x".repeat(64)] {
            assert!(ClientName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", ".a", "Ward", "a b", "a/b", "환자", &"x".repeat(65)] {
            assert!(ClientName::new(bad).is_err(), "{bad}");
        }
    }
}
