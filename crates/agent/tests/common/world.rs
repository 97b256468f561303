//! What the server of a test knows and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use dure_core::{
    digest::Digest,
    federation::TaskState,
    journal::Head,
    model::Params,
    name::ClientName,
    plan::{Plan, PlanSpec},
    round::{Kind, TaskId},
    statistics::Statistics,
};
use dure_learn::{client::measure_everybody, data::DataSet, recipe::Recipe};
use dure_wire::{
    api::{ClientState, ClientView, FederationView, JobStatus, JobView, Problem, TaskOutcome, TaskView},
    compress, encode_model,
};
use serde_json::Map;

use super::fake::Seen;

type Script = Box<dyn FnMut(&Seen) -> Option<Response> + Send>;

/// What the server knows.
pub struct World {
    pub plan: Plan,
    pub seed: u64,
    pub statistics: Option<Statistics>,
    pub model: Vec<u8>,
    pub view: FederationView,
    pub head: Head,
    /// What clients are asked, until they answer.
    pub tasks: BTreeMap<ClientName, TaskView>,
    pub outcomes: BTreeMap<TaskId, TaskState>,
    /// Whether polls wait for something to happen.
    pub patient: bool,
    /// The members who take no tasks.
    pub resting: BTreeSet<String>,
    /// Answers in the world's place where it has one.
    pub script: Script,
    pub seen: Vec<Seen>,
}

impl World {
    pub fn new(recipe: &Recipe, data: &DataSet) -> Self {
        let plan = recipe.plan("fitbit").unwrap();
        let params = Params::initial(Arc::new(plan.layout.clone()), 1);
        let serde_json::Value::Object(schema) = serde_json::to_value(&recipe.schema).unwrap() else { unreachable!() };
        let view = FederationView {
            name: "test".into(),
            recipe: Some("fitbit".into()),
            schema: Some(schema),
            clients: BTreeMap::new(),
            jobs: 1,
            active_job: Some(1),
            versions: 1,
            lease_s: 60.0,
            journal: Head::default(),
        };
        Self {
            plan,
            seed: 1,
            statistics: Some(measure_everybody(data, &recipe.schema)),
            model: encode_model(&params, &Map::new()),
            view,
            head: Head { sequence: 1, hash: Digest([1; 32]) },
            tasks: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            patient: true,
            resting: BTreeSet::new(),
            script: Box::new(|_| None),
            seen: Vec::new(),
        }
    }

    pub fn task(&self, task: &TaskId) -> TaskView {
        let round = task.round;
        let model = round.kind != Kind::Measure;
        TaskView {
            task: task.clone(),
            kind: round.kind,
            job: round.job,
            ordinal: round.ordinal,
            version: model.then_some(1),
            base: model.then(|| Digest::of(&self.model)),
            control: None,
            cohort: 3,
            max_bytes: 1 << 20,
            deadline_s: 600.0,
            journal: self.head,
        }
    }

    fn job(&self) -> JobView {
        JobView {
            job: 1,
            status: JobStatus::Running,
            waiting: None,
            seed: self.seed.to_string(),
            refit_of: None,
            completed: 0,
            rounds: self.plan.rounds,
            limit: None,
            version: Some(1),
            trained: None,
            best: None,
            round: None,
            plan: PlanSpec::from(self.plan.clone()),
            statistics: self.statistics.clone(),
        }
    }

    /// What a server would answer; `None` for a poll that brings nothing.
    pub fn answer(&mut self, seen: &Seen) -> Option<Response> {
        let parts: Vec<&str> = seen.path.split('/').skip(1).collect();
        Some(match (seen.method.as_str(), &parts[..]) {
            ("GET", [""]) => Json(FederationView { journal: self.head, ..self.view.clone() }).into_response(),
            ("PUT", ["clients", name]) => {
                let ready = seen.json()["ready"].as_bool().unwrap();
                self.member(name, ready)
            }
            ("PATCH", ["clients", name]) => {
                let ready = seen.json()["ready"].as_bool().unwrap_or(!self.resting.contains(*name));
                self.member(name, ready)
            }
            ("DELETE", ["clients", _]) => StatusCode::NO_CONTENT.into_response(),
            ("GET", ["clients", name, "task"]) => {
                let client = ClientName::new(*name).unwrap();
                return self.tasks.get(&client).map(|task| Json(task).into_response());
            }
            ("GET", ["jobs", "1"]) => Json(self.job()).into_response(),
            ("GET", ["models", "1", "weights"]) => {
                ([("content-encoding", "zstd")], compress(&self.model, 1)).into_response()
            }
            ("GET", ["tasks", task]) => self.outcome(task),
            ("PUT" | "POST", ["tasks", task, what]) => {
                let id: TaskId = task.parse().unwrap();
                self.tasks.remove(&id.client);
                let state = if *what == "decline" { TaskState::Dropped } else { TaskState::Answered };
                self.outcomes.insert(id, state);
                self.outcome(task)
            }
            _ => problem(404, "not-found", &format!("there is no {}", seen.path)),
        })
    }

    fn member(&mut self, name: &str, ready: bool) -> Response {
        if ready {
            self.resting.remove(name);
        } else {
            self.resting.insert(name.to_owned());
        }
        let view = ClientView {
            client: ClientName::new(name).unwrap(),
            state: if ready { ClientState::Ready } else { ClientState::Joined },
            reason: String::new(),
            epoch: 1,
            task: None,
            last_seen_s: None,
            lease_ends_in_s: None,
            site: String::new(),
            tasks: Default::default(),
            bytes_down: None,
            facts: Map::new(),
        };
        Json(view).into_response()
    }

    fn outcome(&self, task: &str) -> Response {
        let task: TaskId = task.parse().unwrap();
        match self.outcomes.get(&task) {
            Some(state) => Json(TaskOutcome { task, state: *state, journal: self.head }).into_response(),
            None => problem(404, "not-found", "there is no such task"),
        }
    }

    pub fn nothing(&self) -> Response {
        let head = format!("{} {}", self.head.sequence, self.head.hash);
        (StatusCode::NO_CONTENT, [("dure-journal", head)]).into_response()
    }
}

pub fn problem(status: u16, kind: &str, detail: &str) -> Response {
    let (kind, title) = (format!("/problems/{kind}"), kind.to_owned());
    let body = Problem { kind, title, status, detail: detail.into(), setting: None };
    (StatusCode::from_u16(status).unwrap(), [("content-type", "application/problem+json")], Json(body).into_response())
        .into_response()
}
