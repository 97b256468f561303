//! Fetches a federation's journal, whole and verified.

use std::path::Path;

use anyhow::anyhow;
use dure_core::journal::{Entry, Head};

use crate::{
    args::RemoteArgs,
    fail::Fail,
    output::Whole,
    remote::{Download, Remote},
    words::count,
};

/// The longest line that is taken, in bytes.
const MAX_LINE: usize = 256 << 20;

/// Writes the journal to a file or to standard output, if its chain holds and has the head that the server told before.
pub fn export(args: &RemoteArgs, out: Option<&Path>) -> Result<String, Fail> {
    let (remote, view) = Remote::federation(args)?;
    let mut file = Whole::begin(out)?;
    let mut chain = Chain { witness: view.journal, ..Chain::default() };
    fetch(remote.download("journal", None)?, &mut chain, &mut file)?;
    let head = chain.end()?;
    file.keep()?;
    let events = count(head.sequence as usize, "event");
    Ok(out.map_or_else(String::new, |out| format!("{events} written to {}\nhead {}\n", out.display(), head.hash)))
}

fn fetch(mut download: Download<'_>, chain: &mut Chain, file: &mut Whole) -> Result<(), Fail> {
    while let Some(piece) = download.next()? {
        chain.take(&piece)?;
        file.write(&piece)?;
    }
    Ok(())
}

/// A chain of which pieces come.
#[derive(Default)]
struct Chain {
    head: Head,
    /// A head that it is to have.
    witness: Head,
    /// The line that has begun.
    line: Vec<u8>,
}

impl Chain {
    fn take(&mut self, piece: &[u8]) -> Result<(), Fail> {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            self.line.extend(part);
            if self.line.pop_if(|last| *last == b'\n').is_some() {
                let line = std::mem::take(&mut self.line);
                self.follow(&line).map_err(broken)?;
            } else if self.line.len() > MAX_LINE {
                return Err(broken(format!("line {} has more than {MAX_LINE} bytes", self.head.sequence + 1)));
            }
        }
        Ok(())
    }

    fn follow(&mut self, line: &[u8]) -> Result<(), String> {
        let entry = std::str::from_utf8(line).map_err(|error| error.to_string()).and_then(Entry::parse);
        let entry = entry.map_err(|why| format!("entry {} is broken: {why}", self.head.sequence + 1))?;
        self.head.follow(&entry).map_err(|broken| broken.to_string())?;
        if self.head.sequence == self.witness.sequence && self.head != self.witness {
            let told = self.witness.hash;
            return Err(format!("entry {} is broken: the server has just told its hash as {told}", self.head.sequence));
        }
        Ok(())
    }

    fn end(self) -> Result<Head, Fail> {
        let Head { sequence, .. } = self.head;
        if !self.line.is_empty() {
            return Err(broken(format!("line {} is cut off", sequence + 1)));
        }
        if sequence < self.witness.sequence {
            let told = self.witness.sequence;
            return Err(broken(format!(
                "it has {sequence} entries, and the server has just told of {told}; its end was cut off"
            )));
        }
        Ok(self.head)
    }
}

fn broken(why: String) -> Fail {
    Fail::Failed(anyhow!("the server's journal: {why}; nothing was written"))
}

#[cfg(test)]
mod tests {
    use dure_core::{
        event::{Event, Record},
        time::Time,
    };

    use super::*;

    fn journal() -> (String, Head) {
        let mut head = Head::default();
        let event = |i| Event::JobPaused { job: i };
        let lines: String = (1..4).map(|i| head.append(&Record::new(Time(0), event(i))).line() + "\n").collect();
        (lines, head)
    }

    fn take(text: &str, size: usize, witness: Head) -> Result<Head, String> {
        let mut chain = Chain { witness, ..Chain::default() };
        let taken = text.as_bytes().chunks(size).try_for_each(|piece| chain.take(piece));
        taken.and_then(|()| chain.end()).map_err(|fail| fail.to_string())
    }

    #[test]
    fn a_chain_holds_in_whatever_pieces_it_comes() {
        let (text, head) = journal();
        assert!((1..text.len()).all(|size| take(&text, size, head) == Ok(head)));
    }

    #[test]
    fn a_changed_or_cut_chain_is_refused() {
        let (text, head) = journal();
        let refused = |text: &str, want: &str| {
            let error = take(text, 7, head).unwrap_err();
            assert!(error.contains(want), "{error}");
        };
        refused(&text.replacen("\"job\":2", "\"job\":7", 1), "entry 2 is broken: its hash should be");
        refused(text.trim_end(), "line 3 is cut off");
        let cut: String = text.split_inclusive('\n').take(2).collect();
        refused(&cut, "it has 2 entries, and the server has just told of 3");
        let mut other = Head::default();
        let records = [Event::JobPaused { job: 9 }, Event::JobPaused { job: 8 }, Event::JobPaused { job: 7 }];
        let rewritten: String = records.map(|event| other.append(&Record::new(Time(0), event)).line() + "\n").concat();
        refused(&rewritten, "entry 3 is broken: the server has just told its hash");
    }
}
