//! What comes back: taken in within bounds, and told apart into answers, refusals, and what is worth another try.

use std::{error::Error as _, time::Duration};

use dure_wire::{api::Problem, decompress};
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap},
};

use crate::http::{Call, STALL};

/// An answer that was taken well.
pub struct Reply {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body, unpacked.
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// Nobody answers, or with something that another try may mend.
    #[error("{why}")]
    Away {
        /// What happened.
        why: String,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The server refuses, and will again.
    #[error("{}", .0.detail)]
    Refused(Problem),
}

impl CallError {
    /// Nobody answers.
    pub fn away(why: impl Into<String>) -> Self {
        Self::Away { why: why.into(), retry_after: None }
    }
}

/// Whether a problem is of a kind: `is(&problem, "evicted")`.
pub fn is(problem: &Problem, kind: &str) -> bool {
    problem.kind.rsplit('/').next() == Some(kind)
}

/// Takes an answer in, within the call's bounds.
pub async fn receive<T>(mut response: Response, call: &Call<T>) -> Result<Reply, CallError> {
    let (status, headers, mut body) = (response.status(), response.headers().clone(), Vec::new());
    loop {
        let piece = tokio::time::timeout(STALL, response.chunk()).await.map_err(|_| stalled(call))?;
        let Some(piece) = piece.map_err(|error| CallError::away(cause(&error)))? else { break };
        if body.len() + piece.len() > call.limit {
            return Err(CallError::Refused(too_large(call, status)));
        }
        body.extend_from_slice(&piece);
    }
    if headers.get(header::CONTENT_ENCODING).is_some_and(|coding| coding == "zstd") {
        let unpacked = decompress(&body, call.limit);
        body = unpacked.map_err(|error| CallError::away(format!("{}: {error}", named(call))))?;
    }
    Ok(Reply { status, headers, body })
}

/// What to call a call's answer in messages.
pub fn named<T>(call: &Call<T>) -> String {
    format!("the answer to {} …{}", call.method, call.path)
}

/// Nothing moves.
pub fn stalled<T>(call: &Call<T>) -> CallError {
    CallError::away(format!("{} {}: nothing moves", call.method, call.path))
}

fn too_large<T>(call: &Call<T>, status: StatusCode) -> Problem {
    let detail = format!("{} has more than {} bytes", named(call), call.limit);
    Problem { kind: "/problems/too-large".into(), title: "Answer too large".into(), status: status.as_u16(), detail }
}

/// What an answer says that is none.
pub fn refusal(reply: &Reply) -> CallError {
    let (status, problem) = (reply.status, problem(reply));
    let mends = [408, 425, 429].contains(&status.as_u16()) || !status.is_client_error();
    if !mends {
        return CallError::Refused(problem);
    }
    let elsewhere = reply.headers.get(header::LOCATION).and_then(|url| url.to_str().ok());
    let elsewhere = elsewhere.map_or_else(String::new, |url| format!(" (it points to {url})"));
    CallError::Away {
        why: format!("{status}: {}{elsewhere}", problem.detail),
        retry_after: retry_after(&reply.headers),
    }
}

/// The problem of a body; one made of the status where somebody else has answered in the server's place.
fn problem(reply: &Reply) -> Problem {
    serde_json::from_slice(&reply.body).unwrap_or_else(|_| Problem {
        kind: "about:blank".into(),
        title: reply.status.canonical_reason().unwrap_or_default().into(),
        status: reply.status.as_u16(),
        detail: String::from_utf8_lossy(&reply.body).chars().filter(|c| !c.is_control()).take(200).collect(),
    })
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds: u64 = headers.get(header::RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(60)))
}

/// What is at the bottom of an error: `Connection refused`, not `error sending request`.
pub fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let what = if error.is_connect() { "cannot connect: " } else { "" };
    if error.source().is_none() { format!("{what}{error}") } else { format!("{what}{deepest}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(header::RETRY_AFTER, "7".parse().unwrap());
        Reply { status: StatusCode::from_u16(status).unwrap(), headers, body: body.into() }
    }

    #[test]
    fn what_may_mend_is_told_from_what_will_not() {
        for status in [301, 408, 425, 429, 500, 502, 503, 504] {
            let error = refusal(&reply(status, ""));
            let CallError::Away { retry_after, .. } = error else { panic!("{status}: {error:?}") };
            assert_eq!(retry_after, Some(Duration::from_secs(7)));
        }
        for status in [400, 401, 403, 404, 409, 413, 422] {
            assert!(matches!(refusal(&reply(status, "")), CallError::Refused(p) if p.status == status));
        }
    }

    #[test]
    fn a_problem_is_read_and_anything_else_is_quoted() {
        let body = r#"{"type":"/problems/evicted","title":"Evicted","status":403,"detail":"a was evicted: late"}"#;
        let CallError::Refused(problem) = refusal(&reply(403, body)) else { panic!("it is refused") };
        assert!(is(&problem, "evicted") && !is(&problem, "not-a-member"));
        assert_eq!(problem.detail, "a was evicted: late");
        let CallError::Refused(problem) = refusal(&reply(403, "<h1>Proxy\n</h1>")) else { panic!("it is refused") };
        assert_eq!((problem.kind.as_str(), problem.detail.as_str()), ("about:blank", "<h1>Proxy</h1>"));
    }
}
