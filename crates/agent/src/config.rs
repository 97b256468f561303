//! What an agent is told when it starts.

use std::{
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use dure_learn::{data::ClientRows, schema::Schema};
use dure_machine::Machine;
use jiff::civil::Time;
use serde_json::{Map, Value};

use crate::{Carrier, Invitation, Policy};

/// What an agent is told when it starts. Not `Debug`: it holds rows.
#[derive(Clone)]
pub struct AgentConfig {
    /// Where to join, and by what right.
    pub invitation: Invitation,
    /// The clients that this process runs, in the order of names.
    pub clients: Vec<ClientRows>,
    /// What the site's columns mean.
    pub schema: Schema,
    /// The recipe by which the rows were read.
    pub recipe: String,
    /// The folder of secrets, kept answers and the witness. It belongs to one federation, and to one process at a time.
    pub state_dir: PathBuf,
    /// What the site takes part in.
    pub policy: Policy,
    /// Where the status page is; a loopback address.
    pub status: Option<SocketAddr>,
    /// Certificates of authorities to trust, as PEM; then only those.
    pub ca: Option<Vec<u8>>,
    /// How many tasks are worked on at a time.
    pub threads: usize,
    /// What the site says of itself; each client adds its number of rows.
    pub facts: Map<String, Value>,
    /// What else it says of the machine as it is now, given the folder that it writes to. Asked again from time to time.
    pub measure: Option<Measure>,
    /// Whether plain http may leave this machine.
    pub insecure_http: bool,
}

/// What a machine says of itself now, given the folder that the agent writes to.
pub type Measure = fn(&Path) -> Map<String, Value>;

/// How an agent came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// It was stopped, and said goodbye.
    Left,
    /// All of its clients were sent away.
    Evicted,
}

/// Where an agent runs: on which machine, by which clock, and how its requests get to the server.
#[derive(Clone)]
pub struct Place {
    /// Its machine.
    pub machine: Machine,
    /// By which the site's hours are.
    pub clock: Clock,
    /// What carries its requests in place of the network.
    pub carrier: Option<Arc<dyn Carrier>>,
}

/// Here and now.
impl Default for Place {
    fn default() -> Self {
        Self { machine: Machine::this(), clock: Clock::local(), carrier: None }
    }
}

/// The time of day at the site, and how often hours are looked at.
#[derive(Clone)]
pub struct Clock {
    now: Arc<dyn Fn() -> Time + Send + Sync>,
    /// How often the site's hours are looked at.
    pub every: Duration,
}

impl Clock {
    /// A clock that says what `now` says, looked at so often.
    pub fn new(now: impl Fn() -> Time + Send + Sync + 'static, every: Duration) -> Self {
        Self { now: Arc::new(now), every }
    }

    /// The machine's local time.
    pub fn local() -> Self {
        Self::new(|| jiff::Zoned::now().time(), Duration::from_secs(30))
    }

    /// What time it is.
    pub fn now(&self) -> Time {
        (self.now)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
