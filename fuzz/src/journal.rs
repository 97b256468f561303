//! Rows of a journal, and what a federation makes of them.

use std::collections::VecDeque;

use dure_core::{
    digest::Digest,
    event::Record,
    federation::{Command, Federation},
    journal::{Entry, Head, verify},
    time::Time,
};
use serde_json::value::RawValue;

use crate::{memory, message, world::look};

/// The most rows that are folded.
const ROWS: usize = 64;

/// Takes `bytes` as the lines of a journal, and each line as an event that is chained on, so that no digest need be guessed.
///
/// A row that is taken is spelled as it was written, and its event says the same when it is written again. Any events make a
/// federation, the same one again on replay, and whatever it is asked it answers.
pub fn journal_row(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    check_lines(text);
    check_federation(&records(text));
}

fn check_lines(text: &str) {
    for line in text.split('\n').take(ROWS) {
        match Entry::parse(line) {
            Ok(entry) => assert_eq!(entry.line(), line),
            Err(why) => drop(message::check(&why)),
        }
    }
    match verify(text.split('\n')) {
        Ok((records, head)) => {
            assert_eq!(head.sequence, records.len() as u64);
            check_federation(&records);
        }
        Err(broken) => drop(message::check(&broken)),
    }
}

/// The records of the lines that are events.
fn records(text: &str) -> Vec<Record> {
    let (mut written, mut again) = (Head::default(), Head::default());
    let events = text.split('\n').take(ROWS).filter_map(|line| RawValue::from_string(line.into()).ok());
    let record = |event: Box<RawValue>| {
        let bytes = event.get().len();
        let hash = Digest::of_all(&[&written.hash.0, event.get().as_bytes()]);
        let entry = Entry { sequence: written.sequence + 1, hash, event };
        let line = entry.line();
        let same = Entry::parse(&line).unwrap_or_else(|why| panic!("{why}: {line}"));
        assert_eq!(same.line(), line);
        let followed = memory::within(64 * bytes + (64 << 10), || written.follow(&same));
        let record = followed.map_err(|broken| message::check(&broken)).ok()?;
        let rewritten = again.append(&record);
        let read: Record = serde_json::from_str(rewritten.event.get()).expect("an event that was read is read again");
        assert_eq!(read, record, "{}", rewritten.event);
        assert_eq!(serde_json::to_string(&read).ok().as_deref(), Some(rewritten.event.get()));
        Some(record)
    };
    events.filter_map(record).collect()
}

/// Folds the records, held to the rules or not.
fn check_federation(records: &[Record]) {
    let (mut federation, mut due) = (Federation::default(), VecDeque::new());
    for record in records {
        let _ = federation.hold(record, &mut due);
        federation.apply(record);
        look(&federation);
        for now in [Time(0), record.at, Time(u64::MAX)] {
            let _ = federation.decide(&Command::Tick, now).map_err(|reject| message::check(&reject));
        }
    }
    assert_eq!(Federation::replay(records), federation);
}
