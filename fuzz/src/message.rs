//! What people are told: a line that a terminal and a log can show.

use std::fmt::Display;

/// The longest message, in characters.
const MOST: usize = 1000;

/// Holds a message to what people can read, whatever the input said.
pub fn check(error: &impl Display) -> String {
    let text = error.to_string();
    assert!(!text.is_empty(), "nothing is said");
    assert!(text.len() <= MOST || text.chars().count() <= MOST, "{} bytes are said: {:.300}…", text.len(), text);
    assert!(!text.chars().any(char::is_control), "line ends or control characters are said: {text:?}");
    text
}
