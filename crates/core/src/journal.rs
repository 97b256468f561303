//! The hash chain: `hash = SHA-256(previous hash ‖ the event's stored bytes)`.
//!
//! Event bytes are kept and sent verbatim, so a chain verifies whatever wrote it. A chain alone shows that a byte was
//! changed; that its end was cut off only a head that someone else has kept can show.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    digest::Digest,
    event::{Record, SCHEMA},
    excerpt::{SENTENCE, excerpt},
};

/// The head of an empty chain.
pub const GENESIS: Digest = Digest([0; 32]);

/// Where a chain ends. Whoever keeps one is a witness: a chain that was cut off or rewritten no longer has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// How many entries there are.
    #[serde(with = "crate::event::text")]
    pub sequence: u64,
    /// The last entry's hash.
    pub hash: Digest,
}

/// One link of the chain.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Counted from 1.
    #[serde(with = "crate::event::text")]
    pub sequence: u64,
    /// SHA-256 of the previous entry's hash and the bytes of `event`.
    pub hash: Digest,
    /// The record's bytes, verbatim.
    pub event: Box<RawValue>,
}

/// The first broken link of a chain.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("entry {sequence} is broken: {why}")]
pub struct Broken {
    /// Which entry, counted from 1; in a file its line.
    pub sequence: u64,
    /// What is wrong with it.
    pub why: String,
}

impl Default for Head {
    fn default() -> Self {
        Self { sequence: 0, hash: GENESIS }
    }
}

impl Head {
    /// Chains `record` on and returns its entry.
    pub fn append(&mut self, record: &Record) -> Entry {
        let event = serde_json::value::to_raw_value(record).expect("records have text keys and finite numbers only");
        let hash = Digest::of_all(&[&self.hash.0, event.get().as_bytes()]);
        *self = Self { sequence: self.sequence + 1, hash };
        Entry { sequence: self.sequence, hash, event }
    }

    /// Holds `entry` to the chain, and reads it.
    pub fn follow(&mut self, entry: &Entry) -> Result<Record, Broken> {
        let sequence = self.sequence + 1;
        let broken = |why: String| Broken { sequence, why };
        if entry.sequence != sequence {
            return Err(broken(format!("its sequence number is {}", entry.sequence)));
        }
        let hash = Digest::of_all(&[&self.hash.0, entry.event.get().as_bytes()]);
        if entry.hash != hash {
            return Err(broken(format!("its hash should be {hash} and is {}", entry.hash)));
        }
        let record: Record = serde_json::from_str(entry.event.get()).map_err(|error| broken(unreadable(&error)))?;
        if record.v == 0 || record.v > SCHEMA {
            return Err(broken(format!(
                "its schema is {}, this version reads 1 to {SCHEMA}; use a newer one",
                record.v
            )));
        }
        *self = Self { sequence, hash };
        Ok(record)
    }
}

impl Entry {
    /// The entry as a line of a journal file, without the line's end.
    pub fn line(&self) -> String {
        format!("{{\"sequence\":\"{}\",\"hash\":\"{}\",\"event\":{}}}", self.sequence, self.hash, self.event)
    }

    /// Reads a line. Only the one spelling is taken, so that no byte of a file can change unnoticed.
    pub fn parse(line: &str) -> Result<Self, String> {
        let entry: Self = serde_json::from_str(line).map_err(|error| unreadable(&error))?;
        if entry.line() == line { Ok(entry) } else { Err("it is spelled otherwise than it was written".into()) }
    }
}

fn unreadable(error: &serde_json::Error) -> String {
    format!("it cannot be read: {}", excerpt(error, SENTENCE))
}

/// Verifies a journal's lines and reads their records; returns where the chain ends.
pub fn verify<'a>(lines: impl Iterator<Item = &'a str>) -> Result<(Vec<Record>, Head), Broken> {
    verify_against(lines, Head::default())
}

/// As above, and holds the chain to a head that somebody has kept.
pub fn verify_against<'a>(lines: impl Iterator<Item = &'a str>, witness: Head) -> Result<(Vec<Record>, Head), Broken> {
    let (mut head, mut records) = (Head::default(), Vec::new());
    for line in lines {
        let entry = Entry::parse(line).map_err(|why| Broken { sequence: head.sequence + 1, why })?;
        records.push(head.follow(&entry)?);
        if head.sequence == witness.sequence && head != witness {
            let why = format!(
                "the witness saw the hash {} here; what came before was rewritten, or the witness is of another journal",
                witness.hash
            );
            return Err(Broken { sequence: head.sequence, why });
        }
    }
    if head.sequence < witness.sequence {
        let seen = witness.sequence;
        let why = format!("the witness saw {seen} entries; the end was cut off, or the witness is of another journal");
        return Err(Broken { sequence: head.sequence + 1, why });
    }
    Ok((records, head))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{event::Event, name::ClientName, time::Time};

    fn journal() -> (Vec<Record>, String, Head) {
        let mut events = vec![Event::FederationCreated { name: "test".into(), recipe: None, schema: None }];
        events.extend((0..4).map(|i| Event::ClientJoined {
            client: ClientName::new(format!("c{i}")).unwrap(),
            epoch: 1,
            ready: true,
        }));
        let records: Vec<_> = (0..).zip(events).map(|(i, event)| Record { v: SCHEMA, at: Time(i), event }).collect();
        let mut head = Head::default();
        let lines: Vec<_> = records.iter().map(|record| head.append(record).line()).collect();
        (records, lines.join("\n"), head)
    }

    #[test]
    fn what_was_appended_is_read_back() {
        let (records, text, head) = journal();
        assert_eq!(verify(text.lines()), Ok((records, head)));
    }

    #[test]
    fn a_missing_or_moved_line_is_found() {
        let (_, text, _) = journal();
        let lines: Vec<_> = text.lines().collect();
        let without_second = lines.iter().enumerate().filter(|(i, _)| *i != 1).map(|(_, line)| *line);
        assert_eq!(verify(without_second).unwrap_err().sequence, 2);
        let swapped = [lines[0], lines[2], lines[1]];
        assert_eq!(verify(swapped.into_iter()).unwrap_err().sequence, 2);
    }

    #[test]
    fn a_witness_shows_a_cut_off_end_and_a_rewritten_past() {
        let (records, text, head) = journal();
        assert!(verify_against(text.lines(), head).is_ok());
        let cut = verify_against(text.lines().take(3), head).unwrap_err();
        assert_eq!(
            (cut.sequence, cut.why.as_str()),
            (4, "the witness saw 5 entries; the end was cut off, or the witness is of another journal")
        );
        let mut rewritten = Head::default();
        let lines: Vec<_> =
            records.iter().skip(1).chain(&records).map(|record| rewritten.append(record).line()).collect();
        let error = verify_against(lines.iter().map(String::as_str), head).unwrap_err();
        assert!(error.sequence == 5 && error.why.contains("what came before was rewritten"), "{error}");
    }

    #[test]
    fn a_record_of_a_newer_schema_says_so() {
        let (mut records, _, _) = journal();
        records[0].v = SCHEMA + 1;
        let line = Head::default().append(&records[0]).line();
        assert!(verify([line.as_str()].into_iter()).unwrap_err().why.contains("use a newer one"));
    }

    proptest! {
        #[test]
        fn any_changed_byte_is_found(position in any::<prop::sample::Index>(), byte in 0u8..128) {
            let (_, text, _) = journal();
            let mut bytes = text.clone().into_bytes();
            let position = position.index(bytes.len());
            prop_assume!(bytes[position] != byte);
            bytes[position] = byte;
            let changed = String::from_utf8(bytes).unwrap();
            // `split`, not `lines`: the latter forgives a carriage return.
            prop_assert!(verify(changed.split('\n')).is_err(), "{changed}");
        }
    }
}
