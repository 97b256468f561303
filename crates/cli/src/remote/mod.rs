//! The operator's side of a server's REST API, one question at a time.

mod download;
mod error;
mod events;
mod settings;
mod sse;

use std::time::Duration;

use dure_wire::api::{FederationView, PREFIX};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode, header, redirect};
use serde::{Serialize, de::DeserializeOwned};
use settings::Settings;
use tokio::runtime::Runtime;

pub use download::Download;
pub use error::RemoteError;
pub use events::{Reader, follow};
pub use settings::{checked, is_loopback};

use crate::{
    args::{RemoteArgs, ServerArgs},
    fail::Fail,
};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// How long a server may say nothing. Streams of events say something every quarter of a minute.
const SILENCE: Duration = Duration::from_secs(60);

/// The largest JSON that is read, in bytes.
const MAX_JSON: usize = 256 << 20;

/// The largest problem that is read, in bytes.
const MAX_PROBLEM: usize = 1 << 20;

/// A server, asked by the operator; or one of its federations, to which all paths then belong.
pub struct Remote {
    /// The server's URL without a slash at its end.
    server: String,
    /// What paths begin with.
    scope: String,
    client: Client,
    runtime: Runtime,
}

impl Remote {
    /// A server. Nothing is sent yet.
    pub fn open(args: &ServerArgs) -> Result<Self, Fail> {
        let settings = Settings::of(args)?;
        let server = settings.base.as_str().trim_end_matches('/').to_owned();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        Ok(Self { server, scope: format!("{PREFIX}/"), client: client(settings)?, runtime })
    }

    /// The federation that is meant, and how it stands: the one that is named, else the server's only one.
    pub fn federation(args: &RemoteArgs) -> Result<(Self, FederationView), Fail> {
        let remote = Self::open(&args.server)?;
        let view: FederationView = match settings::federation(args.federation.as_deref())? {
            Some(name) => remote.get(&format!("federations/{name}"))?,
            None => only(remote.get("federations")?)?,
        };
        let scope = format!("{PREFIX}/federations/{}/", checked("federation", view.name.clone())?);
        Ok((Self { scope, ..remote }, view))
    }

    /// The server's URL.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// Asks for something.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, RemoteError> {
        // A server that was started again has closed the connections that were kept.
        twice(|| self.json(self.request(Method::GET, path))).map(|(_, value)| value)
    }

    /// Adds or does something; whether it is new.
    pub fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: Option<&impl Serialize>,
    ) -> Result<(bool, T), RemoteError> {
        let request = body.into_iter().fold(self.request(Method::POST, path), RequestBuilder::json);
        self.json(request).map(|(status, value)| (status == StatusCode::CREATED, value))
    }

    /// Adds something, once even if it must be said again: `key` is this request's alone.
    pub fn post_once<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
        key: &str,
    ) -> Result<T, RemoteError> {
        let ask = || self.json(self.request(Method::POST, path).header("Idempotency-Key", key).json(body));
        twice(ask).map(|(_, value)| value)
    }

    /// Posts something to which there is nothing to say.
    pub fn tell(&self, path: &str) -> Result<(), RemoteError> {
        self.send(self.request(Method::POST, path)).map(drop)
    }

    /// Sets something.
    pub fn put<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, RemoteError> {
        twice(|| self.json(self.request(Method::PUT, path).json(body))).map(|(_, value)| value)
    }

    /// Takes something away.
    pub fn delete(&self, path: &str, body: Option<&impl Serialize>) -> Result<(), RemoteError> {
        let request = self.request(Method::DELETE, path);
        self.send(body.into_iter().fold(request, RequestBuilder::json)).map(drop)
    }

    /// Begins to fetch something large, or without end. Of events, those after `after`.
    pub fn download(&self, path: &str, after: Option<u64>) -> Result<Download<'_>, RemoteError> {
        let request = self.request(Method::GET, path);
        let request = after.iter().fold(request, |request, after| request.header("Last-Event-ID", *after));
        Ok(Download::new(self, self.send(request)?))
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{}{path}", self.server, self.scope);
        self.client.request(method, url.trim_end_matches('/'))
    }

    fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<(StatusCode, T), RemoteError> {
        let response = self.send(request)?;
        let (status, url) = (response.status(), response.url().to_string());
        let body = Download::new(self, response).whole(MAX_JSON)?;
        let value = serde_json::from_slice(&body);
        value.map(|value| (status, value)).map_err(|error| RemoteError::Unreadable { url, why: error.to_string() })
    }

    /// The answer, if it is none of an error.
    fn send(&self, request: RequestBuilder) -> Result<Response, RemoteError> {
        // Sent from within the runtime, whose clock it needs.
        let sent = self.runtime.block_on(async { request.send().await });
        let response = sent.map_err(|error| RemoteError::on_the_way(&self.server, &error))?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (status, url) = (response.status().as_u16(), response.url().to_string());
        let body = Download::new(self, response).whole(MAX_PROBLEM).unwrap_or_default();
        Err(RemoteError::of_body(&url, status, &body))
    }
}

/// What `ask` says, or says the second time: whether a request was done whose answer is lost, or is a gateway's, nobody knows,
/// and whoever typed the command would do it twice.
fn twice<T>(ask: impl Fn() -> Result<T, RemoteError>) -> Result<T, RemoteError> {
    match ask() {
        Err(error) if error.may_pass() => ask(),
        answer => answer,
    }
}

/// A client that sends the token nowhere but to the server that was named.
fn client(settings: Settings) -> Result<Client, Fail> {
    // Whoever was first to install a provider has installed this one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let secure = settings.base.scheme() == "https";
    let here = settings.is_here();
    let headers = header::HeaderMap::from_iter([(header::AUTHORIZATION, settings.bearer)]);
    let mut builder = Client::builder()
        .default_headers(headers)
        .redirect(redirect::Policy::none())
        .connect_timeout(CONNECT)
        .read_timeout(SILENCE);
    if here {
        builder = builder.no_proxy();
    }
    // Without TLS none are needed, and a machine may have none.
    if !secure || !settings.certificates.is_empty() {
        builder = builder.tls_certs_only(settings.certificates);
    }
    builder.build().map_err(|error| anyhow::Error::new(error).context("no connection can be made").into())
}

/// The only one.
fn only(mut federations: Vec<FederationView>) -> Result<FederationView, Fail> {
    match (federations.pop(), federations.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(Fail::Failed(anyhow::anyhow!(
            "the server has no federation yet; `dure federation create NAME` makes one"
        ))),
        (Some(last), _) => {
            let names: Vec<_> = federations.iter().chain([&last]).map(|view| view.name.as_str()).collect();
            let names = names.join(", ");
            Err(Fail::usage(format!("the server has several federations; say which with --federation: {names}")))
        }
    }
}
