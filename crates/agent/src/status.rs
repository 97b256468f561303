//! How the agent and its clients stand: what the status page shows, and what has left the site.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
};

use dure_core::{
    digest::Digest,
    journal::Head,
    name::ClientName,
    round::{Kind, TaskId},
};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::memory::Tally;

/// How many of a client's answers are shown.
const SHOWN: usize = 20;

/// How the agent stands: `/status.json`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusView {
    /// The federation.
    pub federation: String,
    /// The server's URL.
    pub server: String,
    /// The recipe by which rows are read.
    pub recipe: String,
    /// Whether the last call was answered.
    pub online: bool,
    /// The last head of the journal that was seen.
    pub journal: Option<Head>,
    /// What is wrong with the journal.
    pub journal_problem: Option<String>,
    /// The clients, in the order of names.
    pub clients: Vec<ClientStatus>,
}

/// How a client stands.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ClientStatus {
    /// Its name.
    pub client: ClientName,
    /// What it does.
    pub state: State,
    /// The task that it works on, or worked on last.
    pub task: Option<TaskId>,
    /// That task's job.
    pub job: Option<u32>,
    /// That task's round.
    pub round: Option<u32>,
    /// How many training rounds the job plans.
    pub rounds: Option<u32>,
    /// The model version that the task works on.
    pub version: Option<u32>,
    /// What came of its work.
    pub tally: Tally,
    /// What the server is told of its data, by the names of facts.
    pub shared: Map<String, Value>,
    /// Why its labels are not told although the policy shares them.
    pub withheld: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// What left the site last, the newest first.
    pub left: VecDeque<Left>,
    /// How many bytes have left since the agent started.
    pub bytes_left_total: u64,
    /// Whether the server is away; then that is its state.
    #[serde(skip)]
    pub away: bool,
}

/// What a client does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Asks to be a member.
    Joining,
    /// Is a member that takes no tasks for now.
    Joined,
    /// Waits for a task.
    Ready,
    /// Works on one.
    Training,
    /// Sends its answer.
    Uploading,
    /// Did not do what it was asked last; waits for a task.
    Declined,
    /// Cannot reach the server.
    Away,
    /// Was sent away.
    Evicted,
    /// May not join.
    Refused,
}

/// An answer that left the site.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Left {
    /// The task.
    pub task: TaskId,
    /// What was asked.
    #[serde(serialize_with = "as_text")]
    pub kind: Kind,
    /// Its size, before it was packed for the network.
    pub bytes: u64,
    /// Its digest; of an update, the one that the journal has.
    pub sha256: Digest,
    /// When, as RFC 3339 with milliseconds.
    pub at: String,
}

fn as_text<S: Serializer>(kind: &Kind, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(kind)
}

/// How all clients stand.
#[derive(Debug)]
pub struct Statuses(Mutex<BTreeMap<ClientName, ClientStatus>>);

impl Statuses {
    /// All of `clients` are joining.
    pub fn new<'a>(clients: impl Iterator<Item = &'a ClientName>) -> Self {
        Self(Mutex::new(clients.map(|client| (client.clone(), ClientStatus::new(client.clone()))).collect()))
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<ClientName, ClientStatus>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes how a client stands.
    pub fn change(&self, client: &ClientName, change: impl FnOnce(&mut ClientStatus)) {
        if let Some(status) = self.lock().get_mut(client) {
            change(status);
        }
    }

    /// How a client stands.
    pub fn state(&self, client: &ClientName) -> Option<State> {
        self.lock().get(client).map(|status| status.state)
    }

    /// How all stand, in the order of names.
    pub fn all(&self) -> Vec<ClientStatus> {
        self.lock().values().map(ClientStatus::shown).collect()
    }
}

impl ClientStatus {
    fn new(client: ClientName) -> Self {
        Self {
            client,
            state: State::Joining,
            task: None,
            job: None,
            round: None,
            rounds: None,
            version: None,
            tally: Tally::default(),
            shared: Map::new(),
            withheld: None,
            last_error: None,
            left: VecDeque::new(),
            bytes_left_total: 0,
            away: false,
        }
    }

    /// Away, as long as the server is.
    fn shown(&self) -> Self {
        let over = matches!(self.state, State::Evicted | State::Refused);
        let state = if self.away && !over { State::Away } else { self.state };
        Self { state, ..self.clone() }
    }

    /// Waits for a task, or takes none. That it declined the last one stays.
    pub fn wait(&mut self, ready: bool) {
        self.state = match (ready, self.state) {
            (true, State::Declined) => State::Declined,
            (true, _) => State::Ready,
            (false, _) => State::Joined,
        };
    }

    /// Notes that an answer left the site.
    pub fn note(&mut self, left: Left) {
        self.bytes_left_total += left.bytes;
        self.left.push_front(left);
        self.left.truncate(SHOWN);
    }
}

impl Left {
    /// An answer of these bytes, now.
    pub fn now(task: &TaskId, bytes: u64, sha256: Digest) -> Self {
        let at = jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string();
        Self { task: task.clone(), kind: task.round.kind, bytes, sha256, at }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status() -> ClientStatus {
        ClientStatus::new(ClientName::new("a").unwrap())
    }

    #[test]
    fn the_last_twenty_answers_are_shown_and_all_are_counted() {
        let mut status = status();
        for i in 1..=25 {
            status.note(Left::now(&format!("1-train-{i}-1-a").parse().unwrap(), 10, Digest([0; 32])));
        }
        assert_eq!((status.left.len(), status.bytes_left_total), (20, 250));
        assert_eq!((status.left[0].task.round.ordinal, status.left[19].task.round.ordinal), (25, 6));
    }

    #[test]
    fn a_client_is_away_with_the_server_unless_it_is_over() {
        let mut status = ClientStatus { away: true, ..status() };
        assert_eq!(status.shown().state, State::Away);
        status.state = State::Evicted;
        assert_eq!(status.shown().state, State::Evicted);
    }

    #[test]
    fn a_client_that_declined_is_shown_so_until_its_next_task() {
        let mut status = ClientStatus { state: State::Declined, ..status() };
        status.wait(true);
        assert_eq!(status.state, State::Declined);
        status.wait(false);
        assert_eq!(status.state, State::Joined);
        status.wait(true);
        assert_eq!(status.state, State::Ready);
    }
}
