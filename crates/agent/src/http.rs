//! One call: what is sent, to whom, and how long nothing may move.

use std::{
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use dure_machine::kill;
use reqwest::{Method, header};

use crate::{
    AgentError, Invitation,
    reply::{CallError, Reply, cause, named, receive, refusal, stalled},
};

/// How long nothing may move before a call is given up that brings a model or takes one away.
pub const STALL: Duration = Duration::from_secs(60);

/// A body is handed to the network in pieces of so many bytes, to see whether it moves.
const PIECE: usize = 64 << 10;

/// The server's side of a federation.
pub struct Http {
    way: Way,
    base: String,
}

/// How requests get there.
enum Way {
    Network(Network),
    Carried(Arc<dyn Carrier>),
}

/// Connections, and how new ones are made.
struct Network {
    client: Mutex<reqwest::Client>,
    /// The only authorities to trust; the system's if absent.
    trusted: Option<Vec<reqwest::Certificate>>,
    loopback: bool,
}

/// Carries requests in place of the network.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Brings a request to the server and its answer back, or says why there is none. May never come back.
    async fn carry(&self, request: http::Request<Bytes>) -> Result<http::Response<Bytes>, String>;
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
    /// A model is under way, for which the server may need its time. Another call has to be over well before the lease.
    pub patient: bool,
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

impl Http {
    /// For the federation of `invitation`. Plain http leaves this machine only if `insecure_http`.
    pub fn new(invitation: &Invitation, ca: Option<&[u8]>, insecure_http: bool) -> Result<Self, AgentError> {
        let (plain, loopback) = (invitation.server().starts_with("http://"), is_loopback(invitation.host()));
        if plain && !loopback && !insecure_http {
            return Err(AgentError::PlainHttp(invitation.host().into()));
        }
        // An error says that there is one already, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let trusted = match ca {
            Some(pem) => Some(certificates(pem)?),
            // The system's authorities are not needed, and a small machine may have none.
            None => plain.then(Vec::new),
        };
        let client = client(trusted.as_deref(), loopback).map_err(|error| AgentError::Http(cause(&error)))?;
        let base = format!("{}/v1/federations/{}", invitation.server(), invitation.federation());
        let network = Network { client: Mutex::new(client), trusted, loopback };
        Ok(Self { way: Way::Network(network), base })
    }

    /// As [`Self::new`], by another way than the network.
    pub fn carried(invitation: &Invitation, carrier: Arc<dyn Carrier>) -> Self {
        let base = format!("{}/v1/federations/{}", invitation.server(), invitation.federation());
        Self { way: Way::Carried(carrier), base }
    }

    /// Asks once. Gives up if nothing moves for `stall`.
    pub async fn send<T>(&self, call: &Call<T>, bearer: &str, stall: Duration) -> Result<T, CallError> {
        let reply = kill::around_async("call", self.exchange(call, bearer, stall)).await?;
        if reply.status.is_success() {
            (call.read)(reply).map_err(|why| CallError::away(format!("{} cannot be read: {why}", named(call))))
        } else {
            Err(refusal(&reply))
        }
    }

    async fn exchange<T>(&self, call: &Call<T>, bearer: &str, stall: Duration) -> Result<Reply, CallError> {
        let (moved, request) = (Moved::default(), self.request(call, bearer)?);
        let limit = stall + call.wait;
        match &self.way {
            Way::Network(network) => {
                let request = reqwest::Request::try_from(request.map(|body| moved.body(body)));
                let request = request.map_err(|error| CallError::away(cause(&error)))?;
                let Some(response) = moved.watch(limit, network.client().execute(request)).await else {
                    network.forget_connections();
                    return Err(stalled(call));
                };
                receive(response.map_err(|error| CallError::away(cause(&error)))?, call, stall).await
            }
            Way::Carried(carrier) => {
                let response = moved.watch(limit, carrier.carry(request)).await.ok_or_else(|| stalled(call))?;
                receive(response.map_err(CallError::away)?.map(reqwest::Body::from).into(), call, stall).await
            }
        }
    }

    fn request<T>(&self, call: &Call<T>, bearer: &str) -> Result<http::Request<Bytes>, CallError> {
        let request = http::Request::builder().method(call.method.clone()).uri(format!("{}{}", self.base, call.path));
        let mut secret = header::HeaderValue::from_str(&format!("Bearer {bearer}")).map_err(unsendable)?;
        secret.set_sensitive(true);
        let request = request.header(header::AUTHORIZATION, secret);
        let request = request.header(header::ACCEPT_ENCODING, "zstd");
        let (request, body) = match &call.body {
            Body::Empty => (request, Bytes::new()),
            Body::Json(json) => (request.header(header::CONTENT_TYPE, "application/json"), json.clone()),
            Body::Zstd(frame) => {
                let request = request.header(header::CONTENT_TYPE, "application/octet-stream");
                (request.header(header::CONTENT_ENCODING, "zstd"), frame.clone())
            }
        };
        request.header(header::CONTENT_LENGTH, body.len()).body(body).map_err(unsendable)
    }
}

impl Network {
    fn client(&self) -> reqwest::Client {
        self.client.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where one connection is dead and nobody was told, so are those that were kept for later: each would cost a stall.
    fn forget_connections(&self) {
        if let Ok(another) = client(self.trusted.as_deref(), self.loopback) {
            *self.client.lock().unwrap_or_else(PoisonError::into_inner) = another;
        }
    }
}

fn unsendable(error: impl std::fmt::Display) -> CallError {
    CallError::away(format!("the request cannot be made: {error}"))
}

fn client(trusted: Option<&[reqwest::Certificate]>, loopback: bool) -> reqwest::Result<reqwest::Client> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("dure-agent/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(Duration::from_secs(10))
        .tcp_keepalive(Duration::from_secs(20))
        // Polls wait: on one HTTP/2 connection those of many clients would keep renewals and answers waiting as well.
        .http1_only()
        // A redirect could carry the secret to where nobody meant it to go.
        .redirect(reqwest::redirect::Policy::none());
    if loopback {
        builder = builder.no_proxy();
    }
    if let Some(trusted) = trusted {
        builder = builder.tls_certs_only(trusted.to_vec());
    }
    builder.build()
}

/// How many pieces of a body the network has taken.
#[derive(Clone, Default)]
struct Moved(Arc<AtomicUsize>);

impl Moved {
    /// `bytes`, piece by piece if they are many.
    fn body(&self, bytes: Bytes) -> reqwest::Body {
        if bytes.len() <= PIECE {
            return bytes.into();
        }
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

    /// Answers the first request of a connection when `both` are there, and no later one; from the third connection on, all.
    async fn answer(mut stream: tokio::net::TcpStream, number: usize, both: Arc<tokio::sync::Barrier>) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let (mut head, mut answers) = (vec![0; 4096], 0);
        while stream.read(&mut head).await.is_ok_and(|read| read > 0) {
            answers += 1;
            match number {
                0 | 1 if answers > 1 => continue,
                0 | 1 => {
                    both.wait().await;
                }
                _ => {}
            }
            stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        }
    }

    #[tokio::test]
    async fn after_a_stall_no_connection_that_was_kept_is_used() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/f#{}", listener.local_addr().unwrap(), "0".repeat(64));
        tokio::spawn(async move {
            let both = Arc::new(tokio::sync::Barrier::new(2));
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, number, Arc::clone(&both)));
            }
        });
        let http = Http::new(&Invitation::parse(&url).unwrap(), None, false).unwrap();
        let call = Call {
            method: Method::GET,
            path: String::new(),
            body: Body::Empty,
            wait: Duration::ZERO,
            patient: false,
            limit: 0,
            read: |_| Ok(()),
        };
        let (first, second) = tokio::join!(http.send(&call, "a", STALL), http.send(&call, "a", STALL));
        assert!(first.is_ok() && second.is_ok());
        assert!(http.send(&call, "a", Duration::from_millis(50)).await.is_err(), "one of the two is used again");
        assert!(http.send(&call, "a", STALL).await.is_ok(), "the other one is not");
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
