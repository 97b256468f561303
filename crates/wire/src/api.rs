//! The REST types: what servers, agents and command lines say to one another as JSON. Routes are in the server's
//! `/openapi.json`; tensors travel as the files of this crate's other modules.
//!
//! Requests refuse unknown fields, so that a misspelt one is an error and not a default.

use std::collections::BTreeMap;

use dure_core::{
    digest::Digest,
    event::{Outcome, Stop},
    federation::TaskState,
    journal::Head,
    name::ClientName,
    plan::PlanSpec,
    round::{Kind, RoundId, TaskId},
    statistics::{Metrics, Scale, Statistics},
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// Where the API begins.
pub const PREFIX: &str = "/v1";

/// The header that names the head of the journal in answers to clients: `12 5f0c…`.
pub const JOURNAL_HEADER: &str = "dure-journal";

/// The longest that a client may ask to wait for a task, in seconds.
pub const MAX_WAIT_S: u64 = 60;

/// The body of every error: RFC 9457 <https://www.rfc-editor.org/rfc/rfc9457>, `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Problem {
    /// Which kind of problem: a path below `/problems/`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// This one's cause, and what to do about it.
    pub detail: String,
    /// The setting of a recipe that is refused, if it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub setting: Option<String>,
}

/// A server, as its operator sees it. What is counted is counted since the process was started; what its system does not tell is
/// absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SystemView {
    /// The version of the program.
    pub version: String,
    /// Whether it only shows what was: nothing can be changed.
    pub read_only: bool,
    /// The agents of the demo that has started this server, if one has.
    pub demo: Option<Vec<DemoAgent>>,
    /// How long the server runs, in seconds.
    pub uptime_s: f64,
    /// Memory that the process uses, in bytes.
    pub memory_bytes: Option<u64>,
    /// The most memory that it ever used, in bytes.
    pub memory_peak_bytes: Option<u64>,
    /// How long its threads have worked, together, in seconds.
    pub cpu_s: Option<f64>,
    /// Processors that it may use.
    pub cores: usize,
    /// Open connections.
    pub connections: usize,
    /// The most that may be open.
    pub max_connections: usize,
    /// Requests that were answered.
    pub requests: u64,
    /// Events that were made durable.
    pub events: u64,
    /// In how many batches.
    pub appends: u64,
    /// How long that took, together, in seconds.
    pub append_s: f64,
    /// Bytes of updates that were received, as they travelled.
    pub received_bytes: u64,
    /// Bytes of models that were sent, as they travelled.
    pub sent_bytes: u64,
    /// Bytes that are free on the disk of the data directory.
    pub disk_free_bytes: Option<u64>,
    /// All bytes of that disk.
    pub disk_bytes: Option<u64>,
    /// Each federation's load.
    pub federations: Vec<LoadView>,
}

/// What a federation asks of its server now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct LoadView {
    /// The federation.
    pub federation: String,
    /// Commands that wait for the writer of its journal.
    pub queue: usize,
    /// The most that may wait; who comes later waits with its connection.
    pub max_queue: usize,
    /// How many follow its events.
    pub followers: usize,
}

/// A process of a demo, with clients in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DemoAgent {
    /// What it is called.
    pub name: String,
    /// Its clients.
    pub clients: Vec<String>,
    /// Whether it runs; one that was killed is started again.
    pub running: bool,
}

/// A federation to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct FederationSpec {
    /// 1 to 64 of `a-z`, `0-9`, `.`, `_` and `-`.
    pub name: String,
    /// The recipe that its sites look for to read their rows.
    #[serde(default)]
    pub recipe: Option<String>,
    /// What everybody's rows mean; jobs are held to it.
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Map<String, Value>>,
}

/// A federation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct FederationView {
    /// Its name.
    pub name: String,
    /// The recipe that its sites look for.
    pub recipe: Option<String>,
    /// What everybody's rows mean.
    #[schema(value_type = Option<Object>)]
    pub schema: Option<Map<String, Value>>,
    /// How many clients there are in each state.
    #[schema(value_type = Object)]
    pub clients: BTreeMap<ClientState, usize>,
    /// How many jobs there are; the newest has this number.
    pub jobs: u32,
    /// The job that is started and not over.
    pub active_job: Option<u32>,
    /// How many model versions there are; the newest has this number.
    pub versions: u32,
    /// For how long a client that is not heard of stays, in seconds.
    pub lease_s: f64,
    /// Where its journal ends.
    #[schema(value_type = Object)]
    pub journal: Head,
}

/// A recipe that the server knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecipeView {
    /// Its name.
    pub name: String,
    /// One line on what it does.
    pub title: String,
    /// The data set's name.
    pub data: String,
    /// What its model says.
    pub task: RecipeTask,
    /// What rows mean; jobs of a federation are held to its own.
    #[schema(value_type = Object)]
    pub schema: Map<String, Value>,
}

/// What a model says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RecipeTask {
    /// A number.
    Regression,
    /// One of some classes.
    Classification,
}

/// A recipe with its settings: the keys of its plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecipeDetails {
    /// Which.
    pub recipe: RecipeView,
    /// What can be set, as a JSON Schema.
    #[schema(value_type = Object)]
    pub settings: Value,
    /// What the recipe says of it.
    #[schema(value_type = Object)]
    pub values: Value,
}

/// What is set otherwise than a recipe says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SettingsSpec {
    /// Values by key, as a command line would set them: `{"rounds": 50, "training.epochs": 3}`.
    #[schema(value_type = Object)]
    pub settings: Map<String, Value>,
}

/// An invitation to be.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InvitationSpec {
    /// How many clients may join by it; any number if absent.
    pub uses: Option<u32>,
    /// For how long, in seconds; for ever if absent.
    pub expires_in_s: Option<u64>,
    /// For whom it is.
    pub note: String,
}

/// An invitation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct InvitationView {
    /// Its number.
    pub id: i64,
    /// What joins; told once, when it is made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// How many clients may join by it.
    pub uses: Option<u32>,
    /// How many have.
    pub used: u32,
    /// When it ends, as RFC 3339.
    pub expires: Option<String>,
    /// For whom it is.
    pub note: String,
}

/// How a client stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientState {
    /// A member that takes no tasks yet, or for a while.
    Joined,
    /// Takes tasks, and has none.
    Ready,
    /// Works on a task.
    Training,
    /// Sends its answer.
    Updating,
    /// Has answered in the open round.
    Finished,
    /// Its lease has ended.
    Lost,
    /// Said goodbye.
    Left,
    /// Was sent away.
    Evicted,
}

/// Asks to be a member. The bearer is an invitation, or the client's own secret if it has been one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JoinSpec {
    /// 64 hexadecimal digits that the client has drawn itself: its bearer from now on.
    pub secret: String,
    /// Whether it takes tasks.
    #[serde(default = "yes")]
    pub ready: bool,
    /// What the site says of itself: size, device, version.
    #[serde(default)]
    #[schema(value_type = Object)]
    pub facts: Map<String, Value>,
}

/// Changes what a client says of itself; what is absent stays. An empty one renews the lease.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientPatch {
    /// Whether it takes tasks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ready: Option<bool>,
    /// Why not.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the site says of itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub facts: Option<Map<String, Value>>,
}

/// A client.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClientView {
    /// Its name.
    #[schema(value_type = String)]
    pub client: ClientName,
    /// How it stands.
    pub state: ClientState,
    /// Why it takes no tasks, in its own words.
    pub reason: String,
    /// How often it has joined or returned.
    pub epoch: u32,
    /// The task that it works on.
    #[schema(value_type = Option<String>)]
    pub task: Option<TaskId>,
    /// How long ago it was heard of, in seconds.
    pub last_seen_s: Option<f64>,
    /// When its lease ends, in seconds from now.
    pub lease_ends_in_s: Option<f64>,
    /// For whom the invitation was by which it joined.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub site: String,
    /// What came of its training tasks, in all jobs.
    #[serde(default)]
    #[schema(required = true)]
    pub tasks: TaskCounts,
    /// The bytes of models that were sent to it since the server was started, as they travelled; of the past nobody knows.
    pub bytes_down: Option<u64>,
    /// What the site says of itself.
    #[schema(value_type = Object)]
    pub facts: Map<String, Value>,
}

/// What came of a client's training tasks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TaskCounts {
    /// How many it was given.
    pub asked: u32,
    /// How many of its answers were taken.
    pub answered: u32,
    /// How many it declined.
    pub declined: u32,
    /// The bytes of its updates, before they were packed for the network.
    pub bytes_up: u64,
}

/// What of a client's labels its site tells: the fact `labels`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Labels {
    /// Of classes, how many rows each has.
    Classes(BTreeMap<String, Rows>),
    /// Of a number, where its values lie.
    Number(NumberSummary),
}

/// How many rows there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
pub enum Rows {
    /// So many.
    Exactly(u64),
    /// Too few to be counted aloud: `"<5"`.
    Few(String),
}

impl Rows {
    /// How many, if they were counted aloud.
    pub fn counted(&self) -> Option<u64> {
        match self {
            Self::Exactly(rows) => Some(*rows),
            Self::Few(_) => None,
        }
    }
}

/// Where the values of a number lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberSummary {
    /// Of how many rows.
    pub rows: u64,
    /// Their mean.
    pub mean: f64,
    /// The quantiles at 5, 25, 50, 75 and 95 %.
    pub quantiles: [f64; 5],
}

/// What all clients together tell of their data. Who left or was sent away is not among them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct DataView {
    /// How many clients there are.
    pub clients: usize,
    /// How many tell how many rows they have.
    pub tell_rows: usize,
    /// How many tell of their labels.
    pub tell_labels: usize,
    /// The rows of those who tell.
    pub rows: u64,
    /// How many clients have how many rows.
    pub sizes: Vec<SizeBin>,
    /// The labels of those who tell of classes.
    pub classes: Option<ClassesView>,
    /// The labels of those who tell of a number.
    pub number: Option<NumberView>,
}

/// Clients of about the same size.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SizeBin {
    /// With at least so many rows.
    pub from: u64,
    /// And at most so many.
    pub to: u64,
    /// How many there are.
    pub clients: usize,
}

/// Labels that are classes, of everybody who tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ClassesView {
    /// Class by class, the one with most rows first.
    pub classes: Vec<ClassView>,
    /// How uneven they are: the total variation distance of a client's classes from everybody's, the mean over clients weighted by
    /// their rows. 0 if all have the same; near 1 if none has what others have. A class with too few rows to be counted counts as none.
    pub distance: f64,
}

/// A class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ClassView {
    /// Its name.
    pub class: String,
    /// The rows that it has, as far as they were counted aloud.
    pub rows: u64,
    /// At how many clients.
    pub clients: usize,
    /// How many clients have too few to say.
    pub few: usize,
}

/// Labels that are a number, of everybody who tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct NumberView {
    /// How many clients tell.
    pub clients: usize,
    /// Of how many rows.
    pub rows: u64,
    /// The mean of all their rows.
    pub mean: f64,
    /// How uneven they are: the standard deviation of clients' means around it, weighted by their rows.
    pub deviation: f64,
    /// The lowest 5 % quantile of any client.
    pub low: f64,
    /// The highest 95 % quantile of any client.
    pub high: f64,
}

/// What a client is asked to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskView {
    /// Its name, for the answer.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// `measure`, `train`, `evaluate` or `test`.
    #[schema(value_type = String)]
    pub kind: Kind,
    /// The job; its plan and seed are at `…/jobs/{job}`.
    pub job: u32,
    /// The round's ordinal, from which the client's randomness derives.
    pub ordinal: u32,
    /// The model version to work on.
    pub version: Option<u32>,
    /// The digest of that version's file; an update names it.
    #[schema(value_type = Option<String>)]
    pub base: Option<Digest>,
    /// The digest of what training takes beside that version: its file is at `…/models/{version}/control`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub control: Option<Digest>,
    /// How many clients the round asks.
    pub cohort: usize,
    /// The most bytes that an answer may have, before compression.
    pub max_bytes: usize,
    /// How long the round waits, in seconds from now.
    pub deadline_s: f64,
    /// Where the journal ends.
    #[schema(value_type = Object)]
    pub journal: Head,
}

/// What has become of a task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct TaskOutcome {
    /// The task.
    #[schema(value_type = String)]
    pub task: TaskId,
    /// `awaited`, `answered`, `committed` or `dropped`.
    #[schema(value_type = String)]
    pub state: TaskState,
    /// Where the journal ends.
    #[schema(value_type = Object)]
    pub journal: Head,
}

/// Says that a task will not be answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Decline {
    /// Why, for the operator to read.
    pub reason: String,
}

/// Why a client goes, or is sent away.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Goodbye {
    /// For the operator, or for the client, to read.
    pub reason: String,
}

/// A job to be.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct JobSpec {
    /// What is done. `dure recipe plan` prints one.
    #[schema(value_type = Object)]
    pub plan: PlanSpec,
    /// From which all randomness derives; a text, for many readers keep only 53 bits of a number.
    #[serde(default = "zero")]
    pub seed: String,
}

/// How far a job is to go.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Run {
    /// So many training rounds, and then it pauses; to its end if absent.
    pub rounds: Option<u32>,
}

/// What is done to a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobAction {
    /// Opens rounds from now on.
    Start,
    /// Opens none until it is resumed; an open round goes on.
    Pause,
    /// Goes on.
    Resume,
    /// Ends its training after the round that it is in.
    Stop,
    /// Ends now; an open round is abandoned.
    Abort,
    /// Opens one training round, which ends by `aggregate`.
    Train,
    /// Ends the open training round with the answers that it has.
    Aggregate,
}

/// Whether a job runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum JobStatus {
    /// Not started yet.
    Created,
    /// Opens rounds.
    Running,
    /// Opens no rounds until it is resumed.
    Paused,
    /// Did what was asked.
    Completed,
    /// Someone aborted it.
    Aborted,
    /// Too many rounds in a row were abandoned.
    GaveUp,
    /// There is no next model version.
    Failed,
}

/// A job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct JobView {
    /// Its number.
    pub job: u32,
    /// Whether it runs.
    pub status: JobStatus,
    /// What it waits for, in words; or why it is over. Only the operator is told.
    pub waiting: Option<String>,
    /// From which all randomness derives.
    pub seed: String,
    /// The job that chose this one's number of rounds.
    pub refit_of: Option<u32>,
    /// Training rounds that ended in a new version.
    pub completed: u32,
    /// Training rounds that are planned.
    pub rounds: u32,
    /// After which training round it pauses.
    pub limit: Option<u32>,
    /// Its newest model version.
    pub version: Option<u32>,
    /// Why training ended, once it has.
    #[schema(value_type = Option<String>)]
    pub trained: Option<Stop>,
    /// The best evaluation yet.
    pub best: Option<Best>,
    /// The round that collects answers. Only the operator is told.
    pub round: Option<RoundView>,
    /// What is done.
    #[schema(value_type = Object)]
    pub plan: PlanSpec,
    /// The moments of the clients' columns, all together, once measured.
    #[schema(value_type = Option<Object>)]
    pub statistics: Option<Statistics>,
}

/// The best evaluation of a job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Best {
    /// After which training round.
    pub round: u32,
    /// Which metric.
    pub metric: String,
    /// Its value.
    pub value: f64,
}

/// A round that collects answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RoundView {
    /// Its name.
    #[schema(value_type = String)]
    pub round: RoundId,
    /// How many clients it asks.
    pub cohort: usize,
    /// How many answers it needs.
    pub quorum: usize,
    /// How many answers it wants.
    pub goal: usize,
    /// Who has answered.
    #[schema(value_type = Vec<String>)]
    pub reported: Vec<ClientName>,
    /// Who has not.
    #[schema(value_type = Vec<String>)]
    pub awaited: Vec<ClientName>,
    /// When it ends, in seconds from now.
    pub deadline_s: f64,
}

/// A model version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct VersionView {
    /// Its number, across jobs.
    pub version: u32,
    /// The version that it was trained from.
    pub parent: Option<u32>,
    /// The job that made it.
    pub job: u32,
    /// After which training round; 0 is the initial model.
    pub round: u32,
    /// The digest of its file.
    #[schema(value_type = String)]
    pub sha256: Digest,
    /// How many parameters it has.
    pub parameters: usize,
    /// The recipe that its job came from.
    pub recipe: String,
    /// What evaluations (`evaluate`) and tests (`test`) have said of it.
    #[schema(value_type = Object)]
    pub metrics: BTreeMap<String, Metrics>,
    /// How columns are scaled for it, and its answers back.
    #[schema(value_type = Object)]
    pub preprocessing: BTreeMap<String, Scale>,
    /// The names that stand for it.
    pub aliases: Vec<String>,
}

/// Which version a name is to stand for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AliasSpec {
    /// The version. The one before the last takes the last back.
    pub version: u32,
}

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct AliasView {
    /// The name.
    pub alias: String,
    /// The version.
    pub version: u32,
    /// What it stood for before, and would again if it were rolled back.
    pub previous: Option<u32>,
}

/// Begins a browser's session.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SessionSpec {
    /// The operator's token.
    pub token: String,
}

impl From<Outcome> for JobStatus {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Completed => Self::Completed,
            Outcome::Aborted => Self::Aborted,
            Outcome::GaveUp => Self::GaveUp,
            Outcome::Failed => Self::Failed,
        }
    }
}

impl JobAction {
    /// All of them, by their names in URLs.
    pub const ALL: [(&'static str, Self); 7] = [
        ("start", Self::Start),
        ("pause", Self::Pause),
        ("resume", Self::Resume),
        ("stop", Self::Stop),
        ("abort", Self::Abort),
        ("train", Self::Train),
        ("aggregate", Self::Aggregate),
    ];

    /// Its name in URLs.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, action)| *action == self).map_or("", |(word, _)| *word)
    }
}

fn yes() -> bool {
    true
}

fn zero() -> String {
    "0".into()
}
