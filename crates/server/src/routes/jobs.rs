//! Jobs: what a federation trains, and how far it is.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use dure_core::{digest::Digest, event::Event, federation::Command, plan::Plan};
use dure_wire::api::{JobAction, JobSpec, JobView, Problem, Run};

use super::{number, short};
use crate::{app::App, auth::Caller, body, config::MAX_JSON_BYTES, driver::Driver, problem::Refused, view};

/// The header that makes creating a job harmless to repeat.
const KEY: &str = "idempotency-key";

/// The jobs of a federation.
#[utoipa::path(get, operation_id = "list_jobs", path = "/v1/federations/{federation}/jobs", tag = "jobs", params(("federation" = String, Path)),
    responses((status = 200, body = Vec<JobView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
) -> Result<Json<Vec<JobView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let federation = driver.shared.read();
    Ok(Json(federation.jobs.iter().map(|job| view::job(&driver.shared, &federation, job)).collect()))
}

/// A job, where it stands, and what it waits for.
#[utoipa::path(get, operation_id = "show_job", path = "/v1/federations/{federation}/jobs/{job}", tag = "jobs",
    params(("federation" = String, Path), ("job" = u32, Path)),
    responses((status = 200, body = JobView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, job)): Path<(String, String)>,
) -> Result<Json<JobView>, Refused> {
    if let Caller::Invited { .. } = caller {
        return Err(Refused::Forbidden("join first; an invitation shows no jobs"));
    }
    let driver = app.federation(&caller, &federation).await?;
    shown(&driver, number("job", &job)?)
}

/// Creates a job. With an `Idempotency-Key`, the same again is the same job.
#[utoipa::path(post, operation_id = "create_job", path = "/v1/federations/{federation}/jobs", tag = "jobs",
    params(("federation" = String, Path), ("Idempotency-Key" = Option<String>, Header)), request_body = JobSpec,
    responses((status = 201, body = JobView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    headers: HeaderMap,
    body: Body,
) -> Result<(StatusCode, Json<JobView>), Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let bytes = body::read(body, MAX_JSON_BYTES, || ()).await?;
    let JobSpec { plan, seed } = body::parse(&bytes)?;
    let seed =
        seed.parse().map_err(|_| Refused::Malformed("the body, at seed: a whole number below 2^64, as text".into()))?;
    let plan = Plan::new(plan).map_err(|error| Refused::Malformed(format!("the plan: {error}")))?;
    let command = Command::CreateJob { plan: Box::new(plan), seed };
    let job = match key(&headers)? {
        Some(key) => create_once(&driver, command, key, Digest::of(&bytes)).await?,
        None => created(&driver.command(command).await?)?,
    };
    Ok((StatusCode::CREATED, shown(&driver, job)?))
}

async fn create_once(driver: &Driver, command: Command, key: String, body: Digest) -> Result<u32, Refused> {
    let done = driver.command_once(command, (key, body)).await?;
    match done.known {
        Some(known) if known.body_sha256 == body => Ok(known.job),
        Some(_) => Err(Refused::KeyReused),
        None => created(&done.events),
    }
}

fn created(events: &[Event]) -> Result<u32, Refused> {
    let job = events.iter().find_map(|event| match event {
        Event::JobCreated { job, .. } => Some(*job),
        _ => None,
    });
    job.ok_or(Refused::Internal)
}

fn key(headers: &HeaderMap) -> Result<Option<String>, Refused> {
    let Some(key) = headers.get(KEY) else { return Ok(None) };
    let text = key.to_str().ok().filter(|text| (1..=255).contains(&text.len()));
    text.map(|text| Some(text.to_owned()))
        .ok_or_else(|| Refused::Malformed("an Idempotency-Key is 1 to 255 visible characters".into()))
}

/// Starts, pauses, resumes, stops or aborts a job, or steps it by hand: `train`, then `aggregate`.
#[utoipa::path(post, operation_id = "act_on_job", path = "/v1/federations/{federation}/jobs/{job}/{action}", tag = "jobs",
    params(("federation" = String, Path), ("job" = u32, Path), ("action" = JobAction, Path)), request_body = Option<Run>,
    responses((status = 200, body = JobView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn act(
    State(app): State<App>,
    caller: Caller,
    Path((federation, job, action)): Path<(String, String, String)>,
    body: Body,
) -> Result<Json<JobView>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let job = number("job", &job)?;
    let action = JobAction::ALL.into_iter().find(|(word, _)| *word == action).map(|(_, action)| action);
    let action = action.ok_or_else(|| {
        Refused::NotFound("such action; there are start, pause, resume, stop, abort, train, aggregate".into())
    })?;
    let Run { rounds } = body::json_or_default(body).await?;
    if rounds == Some(0) {
        return Err(Refused::Malformed("the body, at rounds: at least 1".into()));
    }
    if rounds.is_some() && !matches!(action, JobAction::Start | JobAction::Resume) {
        return Err(Refused::Malformed(format!("the body, at rounds: {} takes none", short(action.word()))));
    }
    driver.command(command(action, job, rounds)).await?;
    shown(&driver, job)
}

fn command(action: JobAction, job: u32, rounds: Option<u32>) -> Command {
    match action {
        JobAction::Start => Command::Start { job, rounds },
        JobAction::Pause => Command::Pause { job },
        JobAction::Resume => Command::Resume { job, rounds },
        JobAction::Stop => Command::Stop { job },
        JobAction::Abort => Command::Abort { job },
        JobAction::Train => Command::Train { job },
        JobAction::Aggregate => Command::Aggregate { job },
    }
}

fn shown(driver: &Driver, id: u32) -> Result<Json<JobView>, Refused> {
    let federation = driver.shared.read();
    let job = federation.job(id).ok_or_else(|| Refused::NotFound(format!("job {id}")))?;
    Ok(Json(view::job(&driver.shared, &federation, job)))
}
