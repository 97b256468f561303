//! Somebody else's words in a message.

use std::fmt::Display;

/// The most characters of a name or a value.
pub const NAME: usize = 80;

/// The most characters of what a reader says, which may list what is allowed.
pub const SENTENCE: usize = 600;

/// As much of `text` as a message shows: at most `most` characters, and `…` if there were more. Line ends and other control
/// characters become `�`: nobody's words are to begin a line of a log, or to move a terminal's cursor.
pub fn excerpt(text: impl Display, most: usize) -> String {
    let text = text.to_string();
    let shown = text.chars().take(most).map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let more = text.chars().nth(most).map(|_| '…');
    shown.chain(more).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_where_a_character_ends_and_stay_on_their_line() {
        assert_eq!(excerpt("환자 7", 80), "환자 7");
        assert_eq!((excerpt("환자들", 3), excerpt("환자들", 2)), ("환자들".into(), "환자…".into()));
        assert_eq!(excerpt("a\nb\u{1b}[2J\r\u{85}", 80), "a�b�[2J��");
        assert_eq!(excerpt("", 0), "");
    }
}
