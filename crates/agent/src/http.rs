//! One call, one answer: what travels, how long it may take, and which failures are worth another try.

use std::{
    convert::Infallible,
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use dure_wire::{api::Problem, decompress};
use reqwest::{
    Method, Response, StatusCode,
    header::{self, HeaderMap},
};

use crate::{AgentError, Invitation};

/// How long nothing may move before a call is given up.
const STALL: Duration = Duration::from_secs(60);

/// An update is handed to the network in pieces of so many bytes, to see whether it moves.
const PIECE: usize = 64 << 10;

/// The server's side of a federation.
pub struct Http {
    client: reqwest::Client,
    base: String,
}

/// Something to ask, as often as need be.
pub struct Call<T> {
    /// The method.
    pub method: Method,
    /// What follows the federation's URL.
    pub path: String,
    /// What is sent.
    pub body: Body,
    /// How long the server may take on purpose.
    pub wait: Duration,
    /// The most bytes that an answer may have, packed or not.
    pub limit: usize,
    /// Reads the answer.
    pub read: fn(Reply) -> Result<T, String>,
}

/// What is sent.
#[derive(Clone, Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// JSON.
    Json(Bytes),
    /// A file in a zstd frame.
    Zstd(Bytes),
}

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
    fn away(why: impl Into<String>) -> Self {
        Self::Away { why: why.into(), retry_after: None }
    }
}

/// Whether a problem is of a kind: `is(&problem, "evicted")`.
pub fn is(problem: &Problem, kind: &str) -> bool {
    problem.kind.rsplit('/').next() == Some(kind)
}

impl Http {
    /// For the federation of `invitation`. Plain http leaves this machine only if `insecure_http`.
    pub fn new(invitation: &Invitation, ca: Option<&[u8]>, insecure_http: bool) -> Result<Self, AgentError> {
        let (host, loopback) = (invitation.host(), is_loopback(invitation.host()));
        if invitation.server().starts_with("http://") && !loopback && !insecure_http {
            return Err(AgentError::PlainHttp(host.into()));
        }
        // An error says that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("dure-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .tcp_keepalive(Duration::from_secs(20))
            // A redirect could carry the secret to where nobody meant it to go.
            .redirect(reqwest::redirect::Policy::none());
        if loopback {
            builder = builder.no_proxy();
        }
        if let Some(pem) = ca {
            builder = builder.tls_certs_only(certificates(pem)?);
        }
        let client = builder.build().map_err(|error| AgentError::Http(cause(&error)))?;
        let base = format!("{}/v1/federations/{}", invitation.server(), invitation.federation());
        Ok(Self { client, base })
    }

    /// Asks once.
    pub async fn send<T>(&self, call: &Call<T>, bearer: &str) -> Result<T, CallError> {
        let moved = Moved::default();
        let request = self.request(call, bearer, &moved).send();
        let response = moved.watch(STALL + call.wait, request).await.ok_or_else(|| stalled(call))?;
        let response = response.map_err(|error| CallError::away(cause(&error)))?;
        let reply = receive(response, call).await?;
        if reply.status.is_success() {
            (call.read)(reply).map_err(|why| CallError::away(format!("{} cannot be read: {why}", named(call))))
        } else {
            Err(refusal(&reply))
        }
    }

    fn request<T>(&self, call: &Call<T>, bearer: &str, moved: &Moved) -> reqwest::RequestBuilder {
        let url = format!("{}{}", self.base, call.path);
        let request = self.client.request(call.method.clone(), url).bearer_auth(bearer);
        let request = request.header(header::ACCEPT_ENCODING, "zstd");
        match &call.body {
            Body::Empty => request,
            Body::Json(json) => request.header(header::CONTENT_TYPE, "application/json").body(json.clone()),
            Body::Zstd(frame) => request
                .header(header::CONTENT_TYPE, "application/octet-stream")
                .header(header::CONTENT_ENCODING, "zstd")
                .header(header::CONTENT_LENGTH, frame.len())
                .body(moved.body(frame.clone())),
        }
    }
}

/// How many pieces of a body the network has taken.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicUsize>);

impl Moved {
    /// `bytes`, piece by piece.
    fn body(&self, bytes: Bytes) -> reqwest::Body {
        let moved = self.clone();
        let pieces = (0..bytes.len()).step_by(PIECE).map(move |at| {
            moved.0.fetch_add(1, Ordering::Relaxed);
            Ok::<_, Infallible>(bytes.slice(at..bytes.len().min(at + PIECE)))
        });
        reqwest::Body::wrap_stream(futures_util::stream::iter(pieces))
    }

    /// What `future` gives, or `None` once nothing has moved for `limit`. A slow line may take its time.
    async fn watch<T>(&self, limit: Duration, future: impl Future<Output = T>) -> Option<T> {
        let mut future = std::pin::pin!(future);
        loop {
            let before = self.0.load(Ordering::Relaxed);
            if let Ok(done) = tokio::time::timeout(limit, &mut future).await {
                return Some(done);
            }
            if self.0.load(Ordering::Relaxed) == before {
                return None;
            }
        }
    }
}

/// Takes an answer in, within the call's bounds.
async fn receive<T>(mut response: Response, call: &Call<T>) -> Result<Reply, CallError> {
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

fn named<T>(call: &Call<T>) -> String {
    format!("the answer to {} …{}", call.method, call.path)
}

fn stalled<T>(call: &Call<T>) -> CallError {
    CallError::away(format!("{} {}: nothing moves", call.method, call.path))
}

fn too_large<T>(call: &Call<T>, status: StatusCode) -> Problem {
    let detail = format!("{} has more than {} bytes", named(call), call.limit);
    Problem { kind: "/problems/too-large".into(), title: "Answer too large".into(), status: status.as_u16(), detail }
}

/// What an answer says that is none.
fn refusal(reply: &Reply) -> CallError {
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
fn cause(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    let what = if error.is_connect() { "cannot connect: " } else { "" };
    if error.source().is_none() { format!("{what}{error}") } else { format!("{what}{deepest}") }
}

fn certificates(pem: &[u8]) -> Result<Vec<reqwest::Certificate>, AgentError> {
    let read = reqwest::Certificate::from_pem_bundle(pem).map_err(|error| AgentError::Ca(cause(&error)))?;
    if read.is_empty() { Err(AgentError::Ca("there is none in the file".into())) } else { Ok(read) }
}

/// Whether a host's name or address is this machine's own.
pub fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

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

    #[test]
    fn loopback_has_names_and_addresses() {
        assert!(["localhost", "127.0.0.1", "127.9.9.9", "::1"].into_iter().all(is_loopback));
        assert!(!["localhost.example", "10.0.0.1", "dure.example", "0.0.0.0", ""].into_iter().any(is_loopback));
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_it_is_allowed() {
        let new = |url: &str, allowed| {
            let invitation = Invitation::parse(&format!("{url}/f#{}", "0".repeat(64))).unwrap();
            Http::new(&invitation, None, allowed).map(|_| ()).map_err(|error| error.to_string())
        };
        assert!(new("http://dure.example", false).unwrap_err().ends_with("allow it with --insecure-http"));
        for (url, allowed) in
            [("http://dure.example", true), ("https://dure.example", false), ("http://[::1]:1", false)]
        {
            assert_eq!(new(url, allowed), Ok(()));
        }
    }

    #[test]
    fn certificates_that_are_none_are_refused() {
        assert!(certificates(b"certainly not").unwrap_err().to_string().contains("there is none in the file"));
    }

    #[tokio::test]
    async fn a_slow_upload_goes_on_and_a_still_one_is_given_up() {
        let (moved, limit, mut looks) = (Moved::default(), Duration::from_millis(1), 0);
        assert_eq!(moved.watch(limit, std::future::pending::<()>()).await, None);
        let slowly = std::future::poll_fn(|_| {
            moved.0.fetch_add(1, Ordering::Relaxed);
            looks += 1;
            if looks == 5 { Poll::Ready(()) } else { Poll::Pending }
        });
        assert_eq!(moved.watch(limit, slowly).await, Some(()));
    }
}
