//! Lengths of time and names of states, as people type and read them.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

/// The longest text of somebody else's that is shown, in characters.
const MOST: usize = 200;

/// Reads a length of time, `45s`, `30m`, `12h` or `7d`, in seconds.
pub fn seconds(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match &text[digits.len()..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => 0,
    };
    let count = digits.parse::<u64>().ok().filter(|_| !digits.starts_with('+'));
    let length = count.and_then(|count| count.checked_mul(unit));
    length.filter(|seconds| *seconds > 0).ok_or_else(|| "say a number and its unit: 45s, 30m, 12h or 7d".into())
}

/// A length of time in the unit that suits it.
pub fn span(seconds: f64) -> String {
    match seconds.max(0.0) {
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s if s < 10.0 => format!("{s:.1} s"),
        s => whole(s),
    }
}

/// The same without a fraction.
fn whole(seconds: f64) -> String {
    match seconds {
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} d", s / 86_400.0),
    }
}

/// How long ago: `3 s ago`.
pub fn ago(seconds: f64) -> String {
    if seconds < 1.0 { "just now".into() } else { format!("{} ago", whole(seconds)) }
}

/// When: `in 57 s`, or that it is over.
pub fn until(seconds: f64) -> String {
    if seconds > 0.0 { format!("ends in {}", whole(seconds.ceil())) } else { "has ended".into() }
}

/// What serde calls `value`, with spaces: `gave up`.
pub fn word(value: &impl Serialize) -> String {
    let told = serde_json::to_value(value).ok();
    told.as_ref().and_then(Value::as_str).unwrap_or_default().replace('_', " ")
}

/// Reads a name that serde knows; the error lists those that there are.
pub fn parse<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    T::deserialize(Value::from(text)).map_err(|error| error.to_string())
}

/// Somebody else's text on one line of a terminal, without anything that a terminal obeys.
pub fn plain(text: &str) -> String {
    let shown = text.chars().take(MOST).map(|c| if c.is_control() { ' ' } else { c });
    let more = if text.chars().nth(MOST).is_some() { "…" } else { "" };
    shown.chain(more.chars()).collect()
}

/// So many of them: `1 answer`, `3 answers`.
pub fn count(n: usize, noun: &str) -> String {
    format!("{n} {noun}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use dure_wire::api::{ClientState, JobStatus};

    use super::*;

    #[test]
    fn a_length_of_time_is_a_number_and_a_unit() {
        for (text, want) in [("45s", 45), ("30m", 1800), ("12h", 43_200), ("7d", 604_800)] {
            assert_eq!(seconds(text), Ok(want), "{text}");
        }
        for bad in ["", "7", "d", "0s", "-1d", "+1d", "1.5h", "7 d", "7D", "1h30m", "7w", "99999999999999999d", "७d"]
        {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_span_is_shown_in_the_unit_that_suits_it() {
        let shown = [0.0021, 3.2, 57.0, 600.0, 10_000.0, 604_800.0].map(span);
        assert_eq!(shown, ["2.1 ms", "3.2 s", "57 s", "10 min", "3 h", "7 d"]);
        assert_eq!((ago(0.2), ago(3.4), until(56.2)), ("just now".into(), "3 s ago".into(), "ends in 57 s".into()));
        assert_eq!(until(-1.0), "has ended");
    }

    #[test]
    fn states_have_the_names_that_json_has() {
        assert_eq!(word(&JobStatus::GaveUp), "gave up");
        assert_eq!(parse::<ClientState>("lost"), Ok(ClientState::Lost));
        let error = parse::<ClientState>("away").unwrap_err();
        assert!(error.contains("away") && error.contains("evicted"), "{error}");
    }

    #[test]
    fn a_text_of_somebody_elses_stays_on_its_line_and_moves_no_cursor() {
        assert_eq!(plain("a\u{1b}[2Jb\nc"), "a [2Jb c");
        assert_eq!(plain(&"x".repeat(300)).chars().count(), MOST + 1);
    }
}
