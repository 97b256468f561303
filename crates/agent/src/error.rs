//! Why an agent cannot run.

use std::{io, net::SocketAddr};

use dure_core::name::ClientName;

use crate::{PolicyError, StateError};

/// Why an agent cannot run, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// There is nobody to run.
    #[error("the data hold no client for this process; check --part and --name")]
    NoClients,
    /// Two clients of one name.
    #[error("two clients are called {0}; a name is one client's")]
    Twice(ClientName),
    /// The folder cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// The site does not take part in this.
    #[error(transparent)]
    Policy(#[from] PolicyError),
    /// Secrets would travel in the clear.
    #[error(
        "plain http to {0} would show secrets and updates to everyone on the way; use https, or allow it with --insecure-http"
    )]
    PlainHttp(String),
    /// The certificates cannot be read.
    #[error("the certificates of --ca cannot be used: {0}")]
    Ca(String),
    /// There is no HTTP client.
    #[error("the HTTP client cannot be made: {0}")]
    Http(String),
    /// A status page that others could see.
    #[error("the status page shows what the site does and is for this machine only; {0} is no loopback address, use 127.0.0.1:{port}", port = .0.port())]
    StatusAddress(SocketAddr),
    /// The status page has no port.
    #[error("the status page cannot be at {address}: {source}")]
    StatusListen {
        /// Where it was to be.
        address: SocketAddr,
        /// Why it cannot.
        source: io::Error,
    },
    /// No answer, or none that can be read. The same call can succeed later.
    #[error("the server does not answer: {0}")]
    Away(String),
    /// The server refuses the call.
    #[error("the server refuses: {0}")]
    Refused(String),
    /// The names of all clients belong to others.
    #[error("no client could join: {0}")]
    NameTaken(String),
    /// A fault of ours.
    #[error("a client broke off: {0}")]
    Broken(String),
}
