//! The events of a federation, whatever becomes of the connection.

use std::{ops::ControlFlow, time::Duration};

use super::{Remote, RemoteError, sse::Parser};
use crate::fail::Fail;

/// How long to wait before asking again, at first and at most.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));

/// Where events go.
pub trait Reader {
    /// The number of the last event that was taken.
    fn last(&self) -> u64;

    /// Takes an event's data, a line of the journal; says when it has seen enough.
    fn take(&mut self, line: &str) -> Result<ControlFlow<()>, Fail>;

    /// All that has come so far is taken.
    fn caught_up(&mut self);

    /// The connection is lost, and will be made again.
    fn lost(&mut self, why: &str);
}

/// Reads a federation's events from its first on until `reader` has seen enough. A connection that is lost is made again.
pub fn follow(remote: &Remote, reader: &mut impl Reader) -> Result<(), Fail> {
    let mut pause = PAUSES.0;
    let mut quiet = false;
    loop {
        let before = reader.last();
        let why = match listen(remote, reader)? {
            ControlFlow::Break(()) => return Ok(()),
            ControlFlow::Continue(why) => why,
        };
        if reader.last() > before {
            (pause, quiet) = (PAUSES.0, false);
        }
        if !std::mem::replace(&mut quiet, true) {
            reader.lost(&why);
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// One connection: whether the reader has seen enough, or why there is no more.
fn listen(remote: &Remote, reader: &mut impl Reader) -> Result<ControlFlow<(), String>, Fail> {
    let lost = |error: RemoteError| match error.may_pass() {
        true => Ok(ControlFlow::Continue(error.to_string())),
        false => Err(Fail::from(error)),
    };
    let after = Some(reader.last()).filter(|last| *last > 0);
    let mut download = match remote.download("events", after) {
        Ok(download) => download,
        Err(error) => return lost(error),
    };
    let mut parser = Parser::default();
    loop {
        let piece = match download.next() {
            Ok(Some(piece)) => piece,
            Ok(None) => return Ok(ControlFlow::Continue("the stream of events has ended".into())),
            Err(error) => return lost(error),
        };
        for message in parser.push(&piece).map_err(anyhow::Error::new)? {
            if reader.take(&message.data)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        reader.caught_up();
    }
}
