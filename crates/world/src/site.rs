//! A site's machine: the real agent, but for its disk, its rows and the network.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dure_agent::{AgentConfig, Clock, Ended, Invitation, Memory, Place, Policy, run_at};
use dure_core::{journal::Head, name::ClientName, random::Stream};
use dure_learn::{
    data::{
        ClientRows, Examples,
        date::Date,
        examples::{Inputs, Truth},
    },
    recipe::Recipe,
};
use dure_machine::Machine;
use serde_json::Map;
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

use crate::{
    disk::{Platter, SimulatedDisk},
    life::Life,
    network::{Connection, Line},
    records::Records,
    server::ServerMachine,
};

/// The federation.
pub const FEDERATION: &str = "world";

/// How many rows a client has.
const ROWS: usize = 10;

/// How soon an agent that could not start, or has died, is started again.
const AGAIN: Duration = Duration::from_millis(300);

/// A site's machine.
pub struct SiteMachine {
    /// Its life.
    pub life: Arc<Life>,
    /// Its disk.
    pub platter: Arc<Mutex<Platter>>,
    /// Its line.
    pub line: Arc<Line>,
    /// The client whose rows it has.
    pub client: ClientName,
    /// Whether its agent is to run.
    pub on: watch::Sender<bool>,
    /// How long it stays down after its next death.
    pub down: Mutex<Duration>,
    /// Why its agent does not run any more, if it does not.
    pub over: watch::Sender<Option<String>>,
}

impl SiteMachine {
    /// The machine of client `number`, which does not run yet.
    pub fn new(number: usize, numbers: Stream) -> Arc<Self> {
        Arc::new(Self {
            life: Life::new(),
            platter: Platter::new(),
            line: Line::new(numbers),
            client: client(number),
            on: watch::Sender::new(false),
            down: Mutex::new(AGAIN),
            over: watch::Sender::new(None),
        })
    }

    /// Runs the agent, again after each death, while it is on.
    pub async fn live(
        self: Arc<Self>,
        server: Arc<ServerMachine>,
        records: Arc<Records>,
        token: String,
        rows: ClientRows,
        mut numbers: Stream,
    ) {
        let mut on = self.on.subscribe();
        loop {
            if on.wait_for(|on| *on).await.is_err() {
                return;
            }
            let breath = self.life.breath();
            let disk = SimulatedDisk::new(self.platter.clone(), breath.clone());
            let connection = Connection {
                line: self.line.clone(),
                breath: breath.clone(),
                server: server.clone(),
                records: records.clone(),
            };
            let place = Place {
                machine: Machine::simulated(Arc::new(disk), Duration::from_millis(50)),
                clock: Clock::new(jiff::civil::Time::midnight, Duration::from_secs(30)),
                carrier: Some(Arc::new(connection)),
            };
            let mut off = self.on.subscribe();
            let until = async move { drop(off.wait_for(|on| !*on).await) };
            let ended = tokio::select! {
                biased;
                () = breath.end() => None,
                ended = run_at(place, config(&token, rows.clone()), until) => Some(ended),
            };
            match ended {
                Some(Ok(Ended::Evicted)) => {
                    self.over.send_replace(Some("evicted".into()));
                    return;
                }
                Some(Ok(Ended::Left)) => {
                    self.platter.lock().unwrap_or_else(PoisonError::into_inner).died(false, &mut numbers);
                    continue;
                }
                Some(Err(error)) if breath.alive() => {
                    let words = error.to_string();
                    // A full or failing disk is tried again; anything else is a fault of the agent's.
                    if !passes(&self.platter) {
                        self.over.send_replace(Some(words));
                        return;
                    }
                }
                _ => {}
            }
            let power = !breath.alive() && self.life.lost_power();
            self.platter.lock().unwrap_or_else(PoisonError::into_inner).died(power, &mut numbers);
            let down = std::mem::replace(&mut *self.down.lock().unwrap_or_else(PoisonError::into_inner), AGAIN);
            sleep(down).await;
        }
    }

    fn file(&self, name: &str) -> Option<Vec<u8>> {
        let platter = self.platter.lock().unwrap_or_else(PoisonError::into_inner);
        platter.files().remove(&std::path::Path::new("/state").join(name))
    }

    /// What its client remembers.
    pub fn memory(&self) -> Result<Memory, String> {
        let file = self.file(&format!("clients/{}/memory.json", self.client));
        file.map_or_else(|| Ok(Memory::default()), |json| serde_json::from_slice(&json).map_err(|e| e.to_string()))
    }

    /// The last head of the journal that it has written down.
    pub fn witness(&self) -> Option<Head> {
        serde_json::from_slice(&self.file("witness.json")?).ok()
    }

    /// Whether it has written down that the journal contradicts its witness.
    pub fn contradicts(&self) -> bool {
        self.file("witness-problem.json").is_some()
    }

    /// Whether it is to take part and can.
    pub fn takes_part(&self) -> bool {
        *self.on.borrow() && self.over.borrow().is_none()
    }
}

/// Whether a disk has, or has just had, a fault that explains why an agent ended.
fn passes(platter: &Mutex<Platter>) -> bool {
    let platter = platter.lock().unwrap_or_else(PoisonError::into_inner);
    platter.faults != Default::default() || platter.troubled.is_some_and(|at| at.elapsed() < Duration::from_secs(5))
}

/// When a disk last had a fault.
pub fn troubled_now(platter: &Mutex<Platter>) {
    platter.lock().unwrap_or_else(PoisonError::into_inner).troubled = Some(Instant::now());
}

/// What client `number` is called.
pub fn client(number: usize) -> ClientName {
    ClientName::new(format!("site-{number}")).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The recipe of a federation of so many clients: each has a feature that is 0 for all others, so what it learns moves a
/// weight of its own.
pub fn recipe(clients: usize) -> Recipe {
    let features: Vec<_> = (0..clients).map(|i| format!("{{ name = \"x{i}\", unit = \"1\" }}")).collect();
    let text = format!(
        r#"
name = "world"
data = "world"
[schema]
features = [{}]
target = {{ name = "y", unit = "1" }}
[plan]
rounds = 1
[plan.split]
test = 0.2
validation = 0.2
[plan.model]
name = "mlp"
hidden = []
[plan.training]
epochs = 1
batch_size = 4
loss = {{ name = "mse" }}
optimizer = {{ name = "sgd", learning_rate = 0.05 }}
[site]
file = "none"
client = "client"
prefix = "site"
date = "date"
public = true
"#,
        features.join(", ")
    );
    Recipe::parse("world", &text, &[]).unwrap_or_else(|error| unreachable!("{error}"))
}

/// The rows of client `number` of `clients`: its own feature is 1, and the target is its own.
pub fn rows(number: usize, clients: usize) -> ClientRows {
    let features = (0..ROWS).flat_map(|_| (0..clients).map(|i| f64::from(u8::from(i == number)))).collect();
    let target = (0..ROWS).map(|row| 1.0 + number as f64 + row as f64 / 16.0).collect();
    let day = Date::parse("2026-01-01").unwrap_or_else(|| unreachable!("it is a date"));
    let dates = std::iter::successors(Some(day), |day| Some(day.next())).take(ROWS).collect();
    let name = client(number);
    let (inputs, truth) = (Inputs::Table(clients, features), Truth::Numbers(target));
    let divided_as = name.clone();
    let examples = Examples { divided_as, id: name.to_string(), line: 1, dates, inputs, truth, held_out: 0 };
    ClientRows { name, examples: examples.into() }
}

fn config(token: &str, rows: ClientRows) -> AgentConfig {
    let Inputs::Table(clients, _) = rows.inputs else { unreachable!("a site's rows are a table") };
    let recipe = recipe(clients);
    let invitation = Invitation::parse(&format!("http://world/{FEDERATION}#{token}"));
    AgentConfig {
        invitation: invitation.unwrap_or_else(|error| unreachable!("{error}")),
        clients: vec![rows],
        schema: recipe.schema,
        recipe: recipe.name,
        state_dir: "/state".into(),
        policy: Policy::default(),
        status: None,
        ca: None,
        threads: 1,
        facts: Map::new(),
        measure: None,
        insecure_http: true,
    }
}
