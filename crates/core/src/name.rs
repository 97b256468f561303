//! Names of clients. Everything that depends on a client derives from its name, so a name is checked once, here.

use std::{cmp::Ordering, fmt, hash, sync::Arc};

use serde::{Deserialize, Serialize, Serializer};

use crate::excerpt::{NAME, excerpt};

/// The name of a client: 1 to 64 characters of `a-z`, `0-9`, `.`, `_` and `-`, the first a letter or a digit.
///
/// Names are pseudonyms. The journal cannot be erased, so a name must not identify a person.
#[derive(Clone, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientName(Text);

/// The characters of a name. A round has a name in a dozen sets and maps: short ones lie in place, and a copy of a long one is a
/// count.
#[derive(Clone)]
enum Text {
    Short { length: u8, bytes: [u8; SHORT] },
    Long(Arc<str>),
}

/// The longest name that lies in place: then it is as large as a text that lies elsewhere.
const SHORT: usize = 22;

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
        if good { Ok(Self(Text::new(&name))) } else { Err(NameError(excerpt(name, NAME))) }
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short { length, bytes } => {
                std::str::from_utf8(&bytes[..usize::from(*length)]).expect("a name's characters are ASCII")
            }
            Text::Long(text) => text,
        }
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short { length, bytes } => &bytes[..usize::from(*length)],
            Text::Long(text) => text.as_bytes(),
        }
    }
}

impl Text {
    fn new(text: &str) -> Self {
        let mut bytes = [0; SHORT];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short { length: text.len() as u8, bytes }
            }
            None => Self::Long(text.into()),
        }
    }
}

impl PartialEq for ClientName {
    fn eq(&self, other: &Self) -> bool {
        self.as_bytes() == other.as_bytes()
    }
}

impl Eq for ClientName {}

impl PartialOrd for ClientName {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ClientName {
    fn cmp(&self, other: &Self) -> Ordering {
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl hash::Hash for ClientName {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.as_str().hash(state);
    }
}

impl fmt::Debug for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ClientName").field(&self.as_str()).finish()
    }
}

impl Serialize for ClientName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(self.as_str())
    }
}

impl fmt::Display for ClientName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
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
        name.as_str().to_owned()
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

    #[test]
    fn names_of_any_length_read_back_and_are_in_the_order_of_texts() {
        let texts: Vec<String> = (1..=64).flat_map(|n| ["x".repeat(n), format!("{}0", "x".repeat(n - 1))]).collect();
        let mut names: Vec<ClientName> = texts.iter().map(|text| ClientName::new(text).unwrap()).collect();
        names.sort();
        let read: Vec<String> = names.iter().map(|name| serde_json::to_string(name).unwrap()).collect();
        assert!(names.iter().zip(&read).all(|(name, json)| serde_json::from_str::<ClientName>(json).unwrap() == *name));
        let mut sorted = texts.clone();
        sorted.sort();
        assert_eq!(names.iter().map(ClientName::as_str).collect::<Vec<_>>(), sorted);
        assert_eq!(size_of::<ClientName>(), 24);
    }
}
