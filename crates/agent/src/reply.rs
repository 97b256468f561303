//! What comes back: taken in within bounds, and told apart into answers, refusals, and what is worth another try.

use std::{error::Error as _, time::Duration};

use dure_core::excerpt::{SENTENCE, excerpt};
use dure_wire::{api::Problem, decompress};
use reqwest::{
    Response, StatusCode,
    header::{self, HeaderMap},
};

use crate::http::Call;

/// How the kinds of this project's problems begin. A proxy's refusals have none, and say nothing of the server's mind.
const PROBLEMS: &str = "/problems/";

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
    problem.kind.strip_prefix(PROBLEMS) == Some(kind)
}

/// Takes an answer in, within the call's bounds, unless nothing moves for `stall`.
pub async fn receive<T>(mut response: Response, call: &Call<T>, stall: Duration) -> Result<Reply, CallError> {
    let (status, headers, mut body) = (response.status(), response.headers().clone(), Vec::new());
    loop {
        let piece = tokio::time::timeout(stall, response.chunk()).await.map_err(|_| stalled(call))?;
        let Some(piece) = piece.map_err(|error| CallError::away(cause(&error)))? else { break };
        if body.len() + piece.len() > call.limit {
            return Err(too_large(call, status));
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

fn too_large<T>(call: &Call<T>, status: StatusCode) -> CallError {
    let detail = format!("{} has more than {} bytes", named(call), call.limit);
    if !status.is_success() {
        return CallError::away(format!("{status}: {detail}"));
    }
    let (kind, title) = (format!("{PROBLEMS}too-large"), "Answer too large".into());
    CallError::Refused(Problem { kind, title, status: status.as_u16(), detail, setting: None })
}

/// What an answer says that is none. Only a problem of the server's own is final, and a body that is too large on any way.
pub fn refusal(reply: &Reply) -> CallError {
    let (status, problem) = (reply.status, problem(reply));
    let mends = [408, 425, 429].contains(&status.as_u16()) || !status.is_client_error();
    if !mends && (problem.kind.starts_with(PROBLEMS) || status == StatusCode::PAYLOAD_TOO_LARGE) {
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
    let status = reply.status.as_u16();
    let told = serde_json::from_slice(&reply.body);
    let told = told.map(|told: Problem| Problem { status, detail: excerpt(&told.detail, SENTENCE), ..told });
    told.unwrap_or_else(|_| Problem {
        kind: "about:blank".into(),
        title: reply.status.canonical_reason().unwrap_or_default().into(),
        status,
        detail: excerpt(String::from_utf8_lossy(&reply.body), 200),
        setting: None,
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
        let problem = r#"{"type":"/problems/some","title":"","status":0,"detail":""}"#;
        for status in [400, 401, 403, 404, 409, 413, 422] {
            assert!(matches!(refusal(&reply(status, problem)), CallError::Refused(p) if p.status == status));
        }
    }

    #[test]
    fn what_a_proxy_refuses_is_not_the_servers_word() {
        let others = r#"{"type":"https://proxy.example/evicted","title":"","status":403,"detail":"no"}"#;
        for body in ["", "<h1>Proxy</h1>", "{}", others] {
            for status in [400, 401, 403, 404, 407, 409, 422] {
                assert!(matches!(refusal(&reply(status, body)), CallError::Away { .. }), "{status} {body}");
            }
            assert!(matches!(refusal(&reply(413, body)), CallError::Refused(p) if p.status == 413));
        }
    }

    #[test]
    fn a_problem_is_read_and_anything_else_is_quoted() {
        let body = r#"{"type":"/problems/evicted","title":"Evicted","status":403,"detail":"a was evicted: late"}"#;
        let CallError::Refused(problem) = refusal(&reply(403, body)) else { panic!("it is refused") };
        assert!(is(&problem, "evicted") && !is(&problem, "not-a-member"));
        assert_eq!(problem.detail, "a was evicted: late");
        let CallError::Refused(problem) = refusal(&reply(403, &body.replace("late", r"late\nor so"))) else {
            panic!("it is refused")
        };
        assert_eq!(problem.detail, "a was evicted: late�or so");
        let CallError::Away { why, .. } = refusal(&reply(403, "<h1>Proxy\n</h1>")) else { panic!("it is away") };
        assert_eq!(why, "403 Forbidden: <h1>Proxy�</h1>");
    }
}
