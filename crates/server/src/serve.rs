//! A server from its start to its end.

use std::{
    net::{SocketAddr, TcpListener},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use axum_server::{
    Handle,
    accept::DefaultAcceptor,
    tls_rustls::{RustlsAcceptor, RustlsConfig},
};
use dure_core::digest::Digest;
use hyper_util::{
    rt::{TokioExecutor, TokioTimer},
    server::conn::auto::Builder,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
use tokio::sync::watch;

use crate::{
    app::App,
    auth::draw_secret,
    config::{Config, Tls},
    door::{Door, Origin, Threshold},
    driver::ReplayError,
    routes::router,
    store::{Store, StoreError},
};

/// How long requests that are under way may take when the server stops.
const GRACE: Duration = Duration::from_secs(10);

/// How long a client may take for the head of a request, and keep a connection without one. HTTP clients let go of a
/// connection after 90 s or less: the side that may still send should close it.
const HEAD: Duration = Duration::from_secs(120);

/// How long a client may take to agree on TLS.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// How often an HTTP/2 connection is asked whether it is still there, and how long it may take to say so.
const PING: Duration = Duration::from_secs(30);
const PONG: Duration = Duration::from_secs(20);

/// A server that listens.
pub struct Server {
    /// Where.
    pub address: SocketAddr,
    /// The operator's token, if it was made just now. It is kept nowhere.
    pub new_token: Option<String>,
    app: App,
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    stop: watch::Sender<bool>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// It cannot listen.
    #[error("{address} cannot be listened on: {error}; stop what has it, or choose another with --listen")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
    /// It would send secrets and models in the clear.
    #[error(
        "{0} is not loopback, and plain HTTP there shows secrets and models to everybody on the way; give --tls-cert and --tls-key, or --insecure-http where something else encrypts"
    )]
    Insecure(SocketAddr),
    /// The certificate or its key is not usable.
    #[error("{path}: {why}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A journal.
    #[error(transparent)]
    Replay(#[from] ReplayError),
    /// It broke off.
    #[error("the server broke off: {0}")]
    Io(#[from] std::io::Error),
}

impl Server {
    /// Listens, and takes up every federation of the data directory. From here on clients may connect; they are answered once
    /// [`Self::run`] is called.
    pub async fn open(config: Config) -> Result<Self, ServeError> {
        if config.tls.is_none() && !config.insecure_http && !config.listen.ip().is_loopback() {
            return Err(ServeError::Insecure(config.listen));
        }
        let listen = |error| ServeError::Listen { address: config.listen, error };
        let tls = config.tls.as_ref().map(tls).transpose()?;
        let listener = TcpListener::bind(config.listen).map_err(listen)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let store = Store::open(&config.data_dir).await?;
        let (stop, stopping) = watch::channel(false);
        let app = App::open(store, &config, stopping).await?;
        let new_token = match app.bearers().operator {
            Some(_) => None,
            None => Some(draw_secret()),
        };
        if let Some(token) = &new_token {
            app.set_operator(Digest::of(token.as_bytes())).await?;
        }
        Ok(Self { address, new_token, app, listener, tls, stop })
    }

    /// Makes a new operator's token; the old one is worth nothing from now on.
    pub async fn renew_token(&mut self) -> Result<(), StoreError> {
        let token = draw_secret();
        self.app.set_operator(Digest::of(token.as_bytes())).await?;
        self.new_token = Some(token);
        Ok(())
    }

    /// Serves until `until`, then lets what is under way end.
    pub async fn run(self, until: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Self { app, listener, tls, stop, .. } = self;
        let handle = Handle::new();
        let service = router(app.clone()).into_make_service();
        let threshold = Threshold::new(tokio::net::TcpListener::from_std(listener)?);
        let mut server = axum_server::Server::<Origin>::from_listener(threshold).handle(handle.clone());
        limit(server.http_builder());
        let places = app.places.clone();
        let serving = match tls {
            Some(tls) => {
                let tls = RustlsAcceptor::new(tls).handshake_timeout(HANDSHAKE);
                tokio::spawn(server.acceptor(Door::new(tls, places)).serve(service))
            }
            None => {
                let door = Door::new(DefaultAcceptor::new(), places);
                tokio::spawn(server.acceptor(door).serve(service))
            }
        };
        tokio::pin!(serving);
        let ended = tokio::select! {
            biased;
            ended = &mut serving => ended,
            () = until => {
                tracing::info!("stopping: requests under way have {} s", GRACE.as_secs());
                stop.send_replace(true);
                handle.graceful_shutdown(Some(GRACE));
                serving.await
            }
        };
        app.close().await;
        ended.map_err(std::io::Error::other)?.map_err(ServeError::Io)
    }
}

/// Sets the timeouts of HTTP.
fn limit(http: &mut Builder<TokioExecutor>) {
    http.http1().timer(TokioTimer::new()).header_read_timeout(HEAD);
    http.http2().timer(TokioTimer::new()).keep_alive_interval(PING).keep_alive_timeout(PONG);
}

/// What rustls is to use.
fn tls(files: &Tls) -> Result<RustlsConfig, ServeError> {
    let refused = |path: &PathBuf, why: String| ServeError::Certificate { path: path.clone(), why };
    let chain = CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let chain = chain.map_err(|error| refused(&files.cert, format!("no certificate can be read: {error}")))?;
    let key = PrivateKeyDer::from_pem_file(&files.key);
    let key = key.map_err(|error| refused(&files.key, format!("no key can be read: {error}")))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = builder.and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key));
    let mut config = config.map_err(|error| refused(&files.cert, format!("it does not fit its key: {error}")))?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(RustlsConfig::from_config(Arc::new(config)))
}
