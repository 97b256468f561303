//! What a server's operator and its clients send.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use dure_core::{
    codec::Codec,
    cohort::CohortSpec,
    digest::Digest,
    model::{Initial, Layout, Params, TensorSpec},
    plan::{PlanSpec, StopRules, TrainingRows},
    strategy::StrategySpec,
    update::{Update, Weight},
};
use dure_wire::{
    api::{
        FederationSpec, FederationView, InvitationSpec, InvitationView, JobAction, JobSpec, JobView, JoinSpec, PREFIX,
        Run, TaskView,
    },
    encode_update,
};
use reqwest::{Client, Method, RequestBuilder, StatusCode};
use serde::de::DeserializeOwned;
use serde_json::Map;

/// What the federation is called.
const NAME: &str = "bench";

/// Sends as somebody.
#[derive(Clone)]
pub struct Api {
    client: Client,
    /// The federation's URL.
    url: String,
    bearer: String,
    /// What a client is called; nothing for others.
    name: String,
}

impl Api {
    /// As the operator of the server at `url`, in a new federation.
    pub async fn found(url: &str, token: &str) -> Result<Self> {
        // Whoever was first to install a provider has installed this one.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = Client::builder().no_proxy().build()?;
        let all = format!("{url}{PREFIX}/federations");
        let operator = Self { client, url: format!("{all}/{NAME}"), bearer: token.into(), name: String::new() };
        let spec = FederationSpec { name: NAME.into(), recipe: None, schema: None };
        operator.send(operator.client.post(all).json(&spec)).await?;
        Ok(operator)
    }

    /// An invitation, as whoever holds it.
    pub async fn invite(&self) -> Result<Self> {
        let invitation: InvitationView = self.ask(self.post("/invitations").json(&InvitationSpec::default())).await?;
        Ok(Self { bearer: invitation.token.context("an invitation without a token")?, ..self.clone() })
    }

    /// Joins; the same server as that client.
    pub async fn join(&self, name: &str, ready: bool) -> Result<Self> {
        let secret = Digest::of(format!("{} {name}", self.bearer).as_bytes()).to_string();
        let spec = JoinSpec { secret: secret.clone(), ready, facts: Map::new() };
        self.send(self.request(Method::PUT, &format!("/clients/{name}")).json(&spec)).await?;
        Ok(Self { bearer: secret, name: name.into(), ..self.clone() })
    }

    /// Creates a job whose rounds ask all of `clients`.
    pub async fn create_job(&self, clients: usize) -> Result<JobView> {
        self.ask(self.post("/jobs").json(&JobSpec { plan: plan(clients)?, seed: "0".into() })).await
    }

    /// Steps or starts the job.
    pub async fn act(&self, action: JobAction, rounds: Option<u32>) -> Result<()> {
        let request = self.post(&format!("/jobs/1/{}", action.word())).json(&Run { rounds });
        self.send(request).await.map(drop)
    }

    /// The job.
    pub async fn job(&self) -> Result<JobView> {
        self.ask(self.request(Method::GET, "/jobs/1")).await
    }

    /// The federation.
    pub async fn federation(&self) -> Result<FederationView> {
        self.ask(self.request(Method::GET, "")).await
    }

    /// Asks for the client's task, and waits for so many seconds.
    pub async fn task(&self, wait: u32) -> Result<Option<TaskView>> {
        let request = self.request(Method::GET, &format!("/clients/{}/task?wait={wait}", self.name));
        let (status, body) = self.send(request).await?;
        if status == StatusCode::NO_CONTENT { Ok(None) } else { Ok(Some(serde_json::from_slice(&body)?)) }
    }

    /// Answers a training task with `value` for each parameter.
    pub async fn answer(&self, task: &TaskView, value: f32) -> Result<()> {
        let layout = Arc::new(layout()?);
        let delta = Params::new(layout.clone(), vec![value; layout.parameters()])?;
        let update = Update::of_delta(delta, Weight::new(1.0)?);
        let file = encode_update(&update, Codec::F32, task.base.context("a training task has a version")?);
        let path = format!("/tasks/{}/result?sha256={}", task.task, Digest::of(&file));
        self.send(self.request(Method::PUT, &path).body(file)).await.map(drop)
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.request(Method::POST, path)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.url))
    }

    async fn ask<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T> {
        Ok(serde_json::from_slice(&self.send(request).await?.1)?)
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, Vec<u8>)> {
        let response = request.bearer_auth(&self.bearer).send().await?;
        let (status, url) = (response.status(), response.url().clone());
        let body = response.bytes().await?.to_vec();
        anyhow::ensure!(status.is_success(), "{url}: {status}: {}", String::from_utf8_lossy(&body));
        Ok((status, body))
    }
}

/// Four parameters: what is measured is the way, not the work.
fn layout() -> Result<Layout> {
    let tensor = TensorSpec::new("line", vec![4], Initial::Zeros);
    Ok(Layout::new(vec![tensor])?)
}

/// A plan that only trains, and goes on for as long as it is told to.
fn plan(clients: usize) -> Result<PlanSpec> {
    Ok(PlanSpec {
        name: "bench".into(),
        rounds: dure_core::plan::MAX_ROUNDS,
        strategy: StrategySpec::default(),
        cohort: CohortSpec { min_clients: Some(clients), ..CohortSpec::default() },
        codec: Codec::F32,
        layout: layout()?,
        classes: None,
        measure: vec![],
        scalars: vec![],
        rows: TrainingRows::Training,
        evaluate_every: 0,
        stop: StopRules::default(),
        refit: false,
        test: false,
        work: Map::new(),
    })
}
