//! The operator, who asks again until there is an answer.

use std::time::Duration;

use bytes::Bytes;
use dure_agent::Carrier as _;
use dure_core::{
    plan::{Plan, PlanSpec},
    strategy::StrategySpec,
};
use http::{Method, Request, Response};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    history::{Deed, JobKeys},
    network::Connection,
    server::TOKEN,
    site::{FEDERATION, recipe},
};

/// How long the operator waits for an answer, and how long before asking again.
const PATIENCE: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(400);

/// How often the operator asks at most.
const TRIES: usize = 200;

/// The operator of the server.
pub struct Operator {
    /// The line to it.
    pub connection: Connection,
}

impl Operator {
    /// Makes the federation, and an invitation to it; the invitation's token.
    pub async fn begin(&self) -> Result<String, String> {
        self.insist(Method::POST, "/v1/federations", &json!({ "name": FEDERATION }), None).await?;
        let invited = self.insist(Method::POST, &path("/invitations"), &json!({}), None).await?;
        invited["token"].as_str().map(str::to_owned).ok_or_else(|| format!("{invited}: no token"))
    }

    /// Makes a job and starts it; its number, or why there is none.
    pub async fn job(&self, key: &str, keys: &JobKeys, sites: usize, seed: u64) -> Result<u32, String> {
        let body = json!({ "plan": plan(keys, sites), "seed": seed.to_string() });
        let job = self.insist(Method::POST, &path("/jobs"), &body, Some(key)).await?;
        let id = job["job"].as_u64().ok_or_else(|| format!("{job}: no number"))?;
        // Another job may be running, or the same.
        drop(self.insist(Method::POST, &path(&format!("/jobs/{id}/start")), &json!({}), None).await);
        Ok(id as u32)
    }

    /// Does something to a job, or is told that it cannot be done.
    pub async fn act(&self, job: u32, deed: Deed) -> Result<Value, String> {
        let action = match deed {
            Deed::Pause => "pause",
            Deed::Resume => "resume",
            Deed::Stop => "stop",
            Deed::Abort => "abort",
            Deed::Train => "train",
            Deed::Aggregate => "aggregate",
        };
        self.insist(Method::POST, &path(&format!("/jobs/{job}/{action}")), &json!({}), None).await
    }

    /// Starts a job that was made.
    pub async fn start(&self, job: u32) -> Result<Value, String> {
        self.insist(Method::POST, &path(&format!("/jobs/{job}/start")), &json!({}), None).await
    }

    /// Sends a client away.
    pub async fn evict(&self, client: &str) -> Result<Value, String> {
        let body = json!({ "reason": "it was sent away" });
        self.insist(Method::DELETE, &path(&format!("/clients/{client}")), &body, None).await
    }

    /// Asks until the server has said yes or no.
    async fn insist(&self, method: Method, path: &str, body: &Value, key: Option<&str>) -> Result<Value, String> {
        for _ in 0..TRIES {
            let request = request(&method, path, body, key)?;
            if let Ok(Ok(answer)) = timeout(PATIENCE, self.connection.carry(request)).await {
                let said = serde_json::from_slice(answer.body()).unwrap_or(Value::Null);
                if answer.status().is_success() {
                    return Ok(said);
                }
                if is_final(&answer, &said) {
                    return Err(said.to_string());
                }
            }
            sleep(AGAIN).await;
        }
        Err(format!("{method} {path}: no answer"))
    }
}

/// Only a problem of the server's own is.
fn is_final(answer: &Response<Bytes>, said: &Value) -> bool {
    let own = said["type"].as_str().is_some_and(|kind| kind.starts_with("/problems/"));
    answer.status().is_client_error() && own
}

fn request(method: &Method, path: &str, body: &Value, key: Option<&str>) -> Result<Request<Bytes>, String> {
    let request = Request::builder().method(method.clone()).uri(format!("http://world{path}"));
    let request = request.header("authorization", format!("Bearer {TOKEN}"));
    let request = request.header("content-type", "application/json");
    let request = match key {
        Some(key) => request.header("idempotency-key", key),
        None => request,
    };
    request.body(body.to_string().into()).map_err(|error| error.to_string())
}

fn path(rest: &str) -> String {
    format!("/v1/federations/{FEDERATION}{rest}")
}

/// What a job's keys mean.
pub fn plan(keys: &JobKeys, sites: usize) -> Plan {
    let recipe = recipe(sites);
    let plan = recipe.plan("world").unwrap_or_else(|error| unreachable!("{error}"));
    let mut spec = PlanSpec::from(plan);
    spec.rounds = keys.rounds;
    spec.refit = keys.refit;
    spec.evaluate_every = u32::from(keys.evaluate);
    spec.cohort.size = (keys.size > 0).then_some(keys.size);
    spec.cohort.over_selection = if keys.over && keys.size > 0 { 1.5 } else { 1.0 };
    let most = if keys.size > 0 { keys.size } else { sites };
    spec.cohort.quorum = (keys.quorum > 0).then_some(keys.quorum.min(most));
    if keys.buffer > 0 {
        spec.strategy = match keys.mixes {
            true => StrategySpec::of("fedasync"),
            false => StrategySpec { buffer: Some(keys.buffer), ..StrategySpec::of("fedbuff") },
        };
        spec.cohort.over_selection = 1.0;
        let buffer = if keys.mixes { 1 } else { keys.buffer };
        spec.cohort.quorum = spec.cohort.quorum.map(|quorum| quorum.min(buffer));
    }
    spec.cohort.deadline_s = keys.deadline_s.into();
    spec.stop.abandoned = 1000;
    if !keys.measure {
        spec.measure = vec![];
    }
    Plan::new(spec).unwrap_or_else(|error| unreachable!("{error}"))
}
