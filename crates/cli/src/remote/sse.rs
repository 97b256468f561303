//! Server-sent events, read from bytes as they come: <https://html.spec.whatwg.org/multipage/server-sent-events.html>.

/// The largest event that is taken, in bytes.
const MOST: usize = 64 << 20;

/// An event that has come whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    /// What it carries, its lines joined.
    pub data: String,
}

/// An event that cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It does not end.
    #[error("an event has more than {MOST} bytes")]
    TooLong,
    /// It is no text.
    #[error("an event is not UTF-8 text")]
    NoText,
}

/// Puts lines together to events, whatever pieces they come in.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    data: Option<String>,
    /// The last byte was a carriage return: a line feed after it belongs to the same line end.
    after_cr: bool,
    /// A line has been read: only the first may begin with a byte order mark.
    begun: bool,
}

impl Parser {
    /// Takes the next bytes and returns the events that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Message>, Malformed> {
        let mut messages = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let piece = match piece {
                [b'\n'] if std::mem::take(&mut self.after_cr) => continue,
                piece => piece,
            };
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            self.line.extend(text);
            self.after_cr = end == Some(b'\r');
            if self.line.len() + self.data.as_ref().map_or(0, String::len) > MOST {
                return Err(Malformed::TooLong);
            }
            if end.is_some() {
                messages.extend(self.end_line()?);
            }
        }
        Ok(messages)
    }

    /// Takes in a whole line; an empty one ends an event.
    fn end_line(&mut self) -> Result<Option<Message>, Malformed> {
        let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| Malformed::NoText)?;
        let line = if std::mem::replace(&mut self.begun, true) { &line } else { line.trim_start_matches('\u{feff}') };
        if line.is_empty() {
            return Ok(self.data.take().map(|data| Message { data }));
        }
        // Everything else is known from the data: the journal's entry has the event's number and type.
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        if field == "data" {
            let value = value.strip_prefix(' ').unwrap_or(value);
            match &mut self.data {
                Some(data) => data.extend(["\n", value]),
                None => self.data = Some(value.into()),
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: hello\n\nid: 1\nevent: client_joined\ndata: {\"a\":1}\n\nretry: 10\ndata:two\ndata: lines\n\n\
        event: nothing\n\ndata\n\n: still here\n\nid: 3\ndata: 한\n\ndata: cut off";

    fn data(pieces: &[&[u8]]) -> Vec<String> {
        let mut parser = Parser::default();
        let messages = pieces.iter().flat_map(|piece| parser.push(piece).unwrap());
        messages.map(|message| message.data).collect()
    }

    #[test]
    fn events_are_their_data_and_comments_and_other_fields_are_none() {
        assert_eq!(data(&[STREAM.as_bytes()]), ["{\"a\":1}", "two\nlines", "", "한"]);
    }

    #[test]
    fn it_does_not_matter_how_bytes_are_cut_or_lines_end() {
        for stream in [STREAM.to_owned(), STREAM.replace('\n', "\r\n"), STREAM.replace('\n', "\r")] {
            let whole = data(&[stream.as_bytes()]);
            assert_eq!(whole.len(), 4);
            for size in 1..=stream.len() {
                let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
                assert_eq!(data(&pieces), whole, "{size}");
            }
        }
    }

    #[test]
    fn an_event_without_end_and_one_that_is_no_text_are_refused() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(b"data: \xff\n"), Err(Malformed::NoText));
        let long = vec![b'x'; MOST];
        assert_eq!(parser.push(&long), Ok(vec![]));
        assert_eq!(parser.push(b"yz"), Err(Malformed::TooLong));
    }
}
