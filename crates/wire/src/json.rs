//! Reads JSON from outside. What is wrong with it is named by its place.

use dure_core::excerpt::{NAME, SENTENCE, excerpt};
use serde::de::DeserializeOwned;

/// Why JSON cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// As a whole.
    #[error("the body: {0}")]
    Whole(String),
    /// At a place: `plan.cohort.size`.
    #[error("the body, at {place}: {why}")]
    At {
        /// Where.
        place: String,
        /// Why.
        why: String,
    },
}

/// Reads a value, and nothing after it.
pub fn read<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, JsonError> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let (place, why) = (excerpt(error.path(), 2 * NAME), excerpt(error.inner(), SENTENCE));
        // Nothing but a question mark stands for a key that broke off.
        if [".", "?"].contains(&&*place) { JsonError::Whole(why) } else { JsonError::At { place, why } }
    })?;
    reader.end().map_err(|error| JsonError::Whole(excerpt(error, SENTENCE)))?;
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{AliasSpec, JobSpec};

    fn check<T: DeserializeOwned + std::fmt::Debug>(text: &str, want: &str) {
        assert_eq!(read::<T>(text.as_bytes()).unwrap_err().to_string(), want);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_place() {
        check::<AliasSpec>(
            r#"{"version":"x"}"#,
            "the body, at version: invalid type: string \"x\", expected u32 at line 1 column 14",
        );
        check::<AliasSpec>(r#"{"version":1}x"#, "the body: trailing characters at line 1 column 14");
        check::<AliasSpec>("{\"", "the body: EOF while parsing a string at line 1 column 2");
        check::<AliasSpec>("[", "the body: EOF while parsing a list at line 1 column 1");
        let unknown = read::<JobSpec>(br#"{"plan":{"rounds":1,"round":2}}"#).unwrap_err().to_string();
        assert!(
            unknown.starts_with("the body, at plan.round: unknown field `round`, expected one of `name`, `rounds`"),
            "{unknown}"
        );
        assert!(unknown.ends_with("at line 1 column 27"), "{unknown}");
    }

    #[test]
    fn what_a_body_says_stays_in_its_place() {
        let long = format!(r#"{{"{}\u001b[2J":1}}"#, r"x\n".repeat(4000));
        let why = read::<AliasSpec>(long.as_bytes()).unwrap_err().to_string();
        assert!(why.starts_with("the body, at x�x�x�") && why.chars().count() < 800, "{why}");
        assert!(!why.contains(char::is_control), "{why}");
    }
}
