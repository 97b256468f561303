//! What a server is told when it starts.

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use crate::{demo::Demo, page::Page, recipes::Recipes};

/// What a server is told when it starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of its stores.
    pub data_dir: PathBuf,
    /// Where it listens.
    pub listen: SocketAddr,
    /// Certificate chain and key, as PEM; without them it speaks plain HTTP.
    pub tls: Option<Tls>,
    /// Whether it may speak plain HTTP beyond loopback.
    pub insecure_http: bool,
    /// For how long a client that is not heard of stays.
    pub lease: Duration,
    /// The most parameters that a job's model may have; up to [`MAX_PARAMETERS`].
    pub max_parameters: usize,
    /// How many connections may be open at a time; whoever comes later is turned away.
    pub max_connections: usize,
    /// The dashboard.
    pub page: Page,
    /// By federation, what its simulation came to (`result.json`), if the server only shows what was. It then changes nothing.
    pub reports: Option<BTreeMap<String, String>>,
    /// The demo that starts it, if one does.
    pub demo: Option<Arc<Demo>>,
    /// What jobs can be made from.
    pub recipes: &'static dyn Recipes,
}

/// A certificate chain and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Tls {
    /// The chain's file, the server's own certificate first.
    pub cert: PathBuf,
    /// The key's file.
    pub key: PathBuf,
}

/// The port of a server that was told none.
pub const PORT: u16 = 3873;

/// The most parameters that any server takes: files of 4 GiB.
pub const MAX_PARAMETERS: usize = 1 << 30;

/// The most parameters that a model may have, where nothing else is said: files of 1 GiB.
pub const PARAMETERS: usize = 1 << 28;

/// How many connections may be open at a time, where nothing else is said.
pub const CONNECTIONS: usize = 10_000;

/// The largest JSON body, in bytes. A plan with many tensors is the largest of them.
pub const MAX_JSON_BYTES: usize = 8 << 20;

/// The largest JSON body where no plan, schema or answer is expected, in bytes. What a site may say of itself is the longest,
/// however it is spelled. Values take up to fifty times the memory of their text.
pub const MAX_SHORT_JSON_BYTES: usize = 64 << 10;
