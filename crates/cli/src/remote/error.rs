//! How asking a server fails.

use std::error::Error;

use dure_wire::api::Problem;

use crate::words::plain;

/// Why a server's answer is not to be had.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// Nobody listens there, or not to us.
    #[error("the server at {server} cannot be reached: {why}; {hint}")]
    Unreachable {
        /// The server.
        server: String,
        /// What the system says.
        why: String,
        /// What to look at.
        hint: &'static str,
    },
    /// It was reached, and then nothing came.
    #[error("the connection to {server} was lost: {why}")]
    Lost {
        /// The server.
        server: String,
        /// What the system says.
        why: String,
    },
    /// It said no, and why.
    #[error("{title}: {detail}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The kind of problem.
        title: String,
        /// This one's cause.
        detail: String,
    },
    /// It said no in a way that Dure does not.
    #[error("{url} answers with {status} and names no problem; is it a Dure server?")]
    Strange {
        /// What was asked.
        url: String,
        /// The HTTP status.
        status: u16,
    },
    /// It said something that makes no sense here.
    #[error("the answer of {url} cannot be read: {why}; are it and this program of one version?")]
    Unreadable {
        /// What was asked.
        url: String,
        /// Why not.
        why: String,
    },
}

impl RemoteError {
    /// What happened on the way to `server`.
    pub fn on_the_way(server: &str, error: &reqwest::Error) -> Self {
        let (server, why) = (server.trim_end_matches('/').to_owned(), root(error));
        match error.is_connect() {
            true if server.starts_with("https:") => Self::Unreachable {
                server,
                why,
                hint: "does it serve TLS, with a certificate that is trusted (--ca FILE)?",
            },
            true => Self::Unreachable { server, why, hint: "is `dure serve` running?" },
            false if error.is_timeout() => Self::Lost { server, why: "nothing was heard for too long".into() },
            false => Self::Lost { server, why },
        }
    }

    /// What the body of an error says.
    pub fn of_body(url: &str, status: u16, body: &[u8]) -> Self {
        match serde_json::from_slice::<Problem>(body) {
            Ok(Problem { title, detail, .. }) => Self::Refused {
                status,
                title: plain(&title),
                detail: detail.lines().map(plain).collect::<Vec<_>>().join(" "),
            },
            Err(_) => Self::Strange { url: url.into(), status },
        }
    }

    /// Whether asking again can help.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { status, .. } | Self::Strange { status, .. } => *status >= 500,
            Self::Unreadable { .. } => false,
        }
    }
}

/// The innermost cause, which is the one that says something.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_its_title_and_detail_and_anything_else_is_strange() {
        let body = br#"{"type":"/problems/busy","title":"Another job is active","detail":"job 2 is running; stop it","status":409}"#;
        let error = RemoteError::of_body("http://a/v1", 409, body);
        assert_eq!(error.to_string(), "Another job is active: job 2 is running; stop it");
        assert!(!error.may_pass());
        let error = RemoteError::of_body("http://a/v1", 502, b"<html>Bad gateway");
        assert_eq!(error.to_string(), "http://a/v1 answers with 502 and names no problem; is it a Dure server?");
        assert!(error.may_pass());
    }
}
