//! An answer that comes piece by piece.

use reqwest::{Response, header};

use super::{Remote, RemoteError};

/// An answer whose status was good, and whose body is still to come.
pub struct Download<'a> {
    remote: &'a Remote,
    response: Response,
}

impl<'a> Download<'a> {
    pub(super) fn new(remote: &'a Remote, response: Response) -> Self {
        Self { remote, response }
    }

    /// The next piece; `None` at the end. A body that is shorter than was said is an error.
    pub fn next(&mut self) -> Result<Option<Vec<u8>>, RemoteError> {
        let piece = self.remote.runtime.block_on(self.response.chunk());
        let lost = |error| match RemoteError::on_the_way(&self.remote.server, &error) {
            RemoteError::Unreachable { server, why, .. } => RemoteError::Lost { server, why },
            error => error,
        };
        piece.map(|piece| piece.map(Vec::from)).map_err(lost)
    }

    /// Everything, if it has at most `limit` bytes.
    pub fn whole(mut self, limit: usize) -> Result<Vec<u8>, RemoteError> {
        let mut whole = Vec::new();
        while let Some(piece) = self.next()? {
            whole.extend(piece);
            if whole.len() > limit {
                let url = self.response.url().to_string();
                return Err(RemoteError::Unreadable { url, why: format!("it has more than {limit} bytes") });
            }
        }
        Ok(whole)
    }

    /// The digest that the server names the body by: its `ETag` without quotes.
    pub fn etag(&self) -> Option<&str> {
        self.response.headers().get(header::ETAG)?.to_str().ok()?.trim().strip_prefix('"')?.strip_suffix('"')
    }
}
