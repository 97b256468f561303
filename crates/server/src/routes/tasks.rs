//! Tasks: a client asks for work, and answers.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use dure_core::{
    digest::Digest,
    event::Answer,
    federation::{Command, Standing, TaskState},
    name::ClientName,
    plan::Plan,
    round::{Kind, TaskId},
};
use dure_wire::{
    Expected,
    api::{Decline, JOURNAL_HEADER, MAX_WAIT_S, Problem, TaskOutcome, TaskView},
    decode_update, decompress,
};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{File, client_name, short};
use crate::{
    app::App,
    auth::Caller,
    body,
    driver::{Driver, Shared},
    problem::Refused,
    view::{self, MAX_ANSWER_BYTES},
};

/// How long to wait for a task.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Wait {
    /// Seconds, up to 60; the server may answer sooner.
    wait: u64,
}

/// What an upload is to be held against.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Announced {
    /// The SHA-256 of the file, before compression.
    sha256: Option<String>,
}

/// Waits for a task: 200 with the task, or 204 if there is none yet.
#[utoipa::path(get, operation_id = "wait_for_task", path = "/v1/federations/{federation}/clients/{client}/task", tag = "tasks",
    params(("federation" = String, Path), ("client" = String, Path), Wait),
    responses((status = 200, body = TaskView), (status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn wait(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
    query: Result<Query<Wait>, QueryRejection>,
) -> Result<Response, Refused> {
    let Query(Wait { wait }) = query.map_err(|error| Refused::Malformed(error.body_text()))?;
    let name = client_name(&client)?;
    let Driver { shared, .. } = app.client(&caller, &federation, &name).await?;
    // A poll is a sign of life when it begins: it must end before the lease does.
    let longest = Duration::from_secs(wait.min(MAX_WAIT_S)).min(Duration::from_millis(shared.lease.0 / 2));
    let (mut news, mut stopping) = (shared.news.subscribe(), app.stopping.clone());
    let end = tokio::time::sleep(longest);
    tokio::pin!(end);
    loop {
        news.mark_unchanged();
        still_welcome(&shared, &name)?;
        if let Some(task) = view::task(&shared, &name) {
            let taken = task.task.clone();
            shared.presences.touch(&name, shared.clock.now(), |presence| presence.taken = Some(taken));
            return Ok(Json(task).into_response());
        }
        // Even a sleep of nothing waits for the timer's next tick.
        if longest.is_zero() {
            return Ok(nothing_yet(&shared));
        }
        tokio::select! {
            biased;
            changed = news.changed() => if changed.is_err() { return Ok(nothing_yet(&shared)) },
            _ = stopping.wait_for(|stop| *stop) => return Ok(nothing_yet(&shared)),
            () = &mut end => return Ok(nothing_yet(&shared)),
        }
    }
}

/// Tells a client that was sent away while it waited.
fn still_welcome(shared: &Shared, name: &ClientName) -> Result<(), Refused> {
    match shared.read().members.get(name) {
        Some(member) if member.standing == Standing::Evicted => {
            Err(Refused::Evicted(name.clone(), member.known().reason.clone()))
        }
        _ => Ok(()),
    }
}

fn nothing_yet(shared: &Shared) -> Response {
    let head = shared.head();
    let mut response = StatusCode::NO_CONTENT.into_response();
    if let Ok(value) = HeaderValue::from_str(&format!("{} {}", head.sequence, head.hash)) {
        response.headers_mut().insert(JOURNAL_HEADER, value);
    }
    response
}

/// What has become of a task.
#[utoipa::path(get, operation_id = "show_task", path = "/v1/federations/{federation}/tasks/{task}", tag = "tasks",
    params(("federation" = String, Path), ("task" = String, Path)),
    responses((status = 200, body = TaskOutcome), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, task)): Path<(String, String)>,
) -> Result<Json<TaskOutcome>, Refused> {
    let task = task_id(&task)?;
    let driver = match caller {
        Caller::Operator => app.federation(&caller, &federation).await?,
        _ => app.client(&caller, &federation, &task.client).await?,
    };
    outcome(&driver, &task)
}

/// Takes a task's answer: an update's file (train), or JSON (measure, evaluate, test). The same answer again changes nothing.
#[utoipa::path(put, operation_id = "answer_task", path = "/v1/federations/{federation}/tasks/{task}/result", tag = "tasks",
    params(("federation" = String, Path), ("task" = String, Path), Announced),
    request_body(content((File = "application/octet-stream"), (Object = "application/json"))),
    responses((status = 200, body = TaskOutcome), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn answer(
    State(app): State<App>,
    caller: Caller,
    Path((federation, task)): Path<(String, String)>,
    query: Result<Query<Announced>, QueryRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TaskOutcome>, Refused> {
    let task = task_id(&task)?;
    let driver = app.client(&caller, &federation, &task.client).await?;
    let Query(Announced { sha256 }) = query.map_err(|error| Refused::Malformed(error.body_text()))?;
    let sha256 = sha256.map(|text| digest(&text)).transpose()?;
    let sending = Sending::begin(&driver.shared, &task.client);
    match task.round.kind {
        Kind::Train => take_update(&app, &driver, &task, &headers, body, sha256).await?,
        Kind::Measure | Kind::Evaluate | Kind::Test => {
            let bytes = body::read(body, MAX_ANSWER_BYTES, || driver.shared.touch(&task.client)).await?;
            let answer = body::parse(&unpacked(&headers, bytes, MAX_ANSWER_BYTES)?)?;
            driver.command(Command::Report { task: task.clone(), answer }).await?;
        }
    }
    drop(sending);
    // It was taken; what it came to may be forgotten by now.
    let known = view::outcome(&driver.shared, &task);
    let (state, journal) = (TaskState::Answered, driver.shared.head());
    Ok(Json(known.unwrap_or(TaskOutcome { task, state, journal })))
}

/// Stops 6 and 7 of a round for an update: receive, store, report.
async fn take_update(
    app: &App,
    driver: &Driver,
    task: &TaskId,
    headers: &HeaderMap,
    body: Body,
    announced: Option<Digest>,
) -> Result<(), Refused> {
    let asked = asked(driver, task)?;
    let (answer, file) = receive_update(app, driver, task, &asked, headers, body, announced).await?;
    let sha256 = answer.blob().ok_or(Refused::Internal)?;
    let upload = driver.shared.uploads.clone().read_owned().await;
    // What was accepted before is not stored again: its round may be over.
    if asked.accepted.is_none() {
        let bytes = file.len();
        driver.shared.stored(app.store.blobs().put_update(&driver.shared.name, sha256, file).await, bytes)?;
    }
    let reported = driver.report(Command::Report { task: task.clone(), answer }, upload).await;
    if reported.is_err() && asked.accepted.is_none() {
        driver.shared.clear_updates().await?;
    }
    Ok(reported.map(drop)?)
}

/// Stop 6: bytes become a checked update, or are refused before they are stored.
async fn receive_update(
    app: &App,
    driver: &Driver,
    task: &TaskId,
    asked: &Asked,
    headers: &HeaderMap,
    body: Body,
    announced: Option<Digest>,
) -> Result<(Answer, Bytes), Refused> {
    let Asked { plan, base, .. } = asked.clone();
    let layout = Arc::new(plan.layout.clone());
    let limit = Expected { layout: &layout, groups: plan.groups(), scalars: &plan.scalars, codec: plan.codec, base }
        .max_bytes();
    // What cannot be compressed grows a little when it is.
    let travelling = limit + limit / 64 + 1024;
    let _room = driver.shared.room_for(travelling + limit).await;
    let bytes = body::read(body, travelling, || driver.shared.touch(&task.client)).await?;
    app.metrics.received(&driver.shared.name, bytes.len());
    let headers = headers.clone();
    let checked = app.store.machine().work(move || -> Result<(Answer, Bytes), Refused> {
        let file = unpacked(&headers, bytes, limit)?;
        let (groups, scalars, codec) = (plan.groups(), &plan.scalars, plan.codec);
        let update = decode_update(&file, &Expected { layout: &layout, groups, scalars, codec, base }, announced)?;
        let (sha256, bytes) = (Digest::of(&file), file.len() as u64);
        Ok((Answer::Update { sha256, bytes, weight: update.weight, scalars: update.scalars }, file.into()))
    });
    checked.await.map_err(|_| Refused::Internal)?
}

/// What a training task asks for.
#[derive(Clone)]
struct Asked {
    plan: Arc<Plan>,
    /// The digest of the version that it was given.
    base: Digest,
    /// The digest of the client's answer, if one was accepted.
    accepted: Option<Digest>,
}

/// What a training task asks for, if its answer can still be taken or is known; else the rules say why not, before anything
/// is read.
fn asked(driver: &Driver, task: &TaskId) -> Result<Asked, Refused> {
    let federation = driver.shared.read();
    let job = federation.job(task.round.job);
    let accepted = job.and_then(|job| job.accepted(task.round, &task.client)?.blob());
    let taken = accepted.is_some() || job.is_some_and(|job| job.expects(task.round, &task.client));
    let base = federation.base_of(task.round).map(|(_, version)| version.sha256);
    match (job, base) {
        (Some(job), Some(base)) if taken => Ok(Asked { plan: job.plan.clone(), base, accepted }),
        _ => {
            let nothing = Answer::Evaluated { sums: Default::default() };
            let refusal = federation.decide(&Command::Report { task: task.clone(), answer: nothing }, federation.at);
            Err(refusal.err().map_or_else(|| Refused::NotFound(format!("task {task}")), Refused::Reject))
        }
    }
}

/// The file inside of what travelled.
fn unpacked(headers: &HeaderMap, bytes: Vec<u8>, limit: usize) -> Result<Vec<u8>, Refused> {
    match headers.get(header::CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"identity") => Ok(bytes),
        Some(b"zstd") => Ok(decompress(&bytes, limit)?),
        Some(_) => Err(Refused::Malformed("the Content-Encoding is to be zstd, or none".into())),
    }
}

/// Says that a task will not be answered.
#[utoipa::path(post, operation_id = "decline_task", path = "/v1/federations/{federation}/tasks/{task}/decline", tag = "tasks",
    params(("federation" = String, Path), ("task" = String, Path)), request_body = Decline,
    responses((status = 200, body = TaskOutcome), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn decline(
    State(app): State<App>,
    caller: Caller,
    Path((federation, task)): Path<(String, String)>,
    body: Body,
) -> Result<Json<TaskOutcome>, Refused> {
    let task = task_id(&task)?;
    let driver = app.client(&caller, &federation, &task.client).await?;
    let Decline { reason } = body::json(body).await?;
    driver.command(Command::Decline { task: task.clone(), reason }).await?;
    outcome(&driver, &task)
}

fn outcome(driver: &Driver, task: &TaskId) -> Result<Json<TaskOutcome>, Refused> {
    view::outcome(&driver.shared, task).map(Json).ok_or_else(|| Refused::NotFound(format!("task {task}")))
}

fn task_id(text: &str) -> Result<TaskId, Refused> {
    text.parse().map_err(|_| Refused::NotFound(format!("task {:?}", short(text))))
}

fn digest(text: &str) -> Result<Digest, Refused> {
    text.parse().map_err(|_| Refused::Malformed("sha256 is to be 64 hexadecimal digits".into()))
}

/// An answer on its way in; the client counts as updating meanwhile.
struct Sending<'a> {
    shared: &'a Shared,
    client: &'a ClientName,
}

impl<'a> Sending<'a> {
    fn begin(shared: &'a Shared, client: &'a ClientName) -> Self {
        shared.presences.touch(client, shared.clock.now(), |presence| presence.sending += 1);
        Self { shared, client }
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let now = self.shared.clock.now();
        self.shared.presences.touch(self.client, now, |presence| presence.sending = presence.sending.saturating_sub(1));
    }
}
