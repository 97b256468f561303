//! Jobs: what a federation trains, and how far it is.

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
};
use dure_core::{digest::Digest, event::Event, federation::Command, model::TensorSpec, plan::Plan};
use dure_wire::{
    MAX_HEADER,
    api::{JobAction, JobSpec, JobView, Problem, Run},
};
use serde_json::{Value, json};

use super::{At, look, number, query, short};
use crate::{
    app::App,
    auth::Caller,
    body,
    config::{MAX_JSON_BYTES, MAX_PARAMETERS},
    driver::Driver,
    problem::Refused,
    view::{self, Moment},
};

/// The header that makes creating a job harmless to repeat.
const KEY: &str = "idempotency-key";

/// The jobs of a federation.
#[utoipa::path(get, operation_id = "list_jobs", path = "/v1/federations/{federation}/jobs", tag = "jobs", params(("federation" = String, Path), At),
    responses((status = 200, body = Vec<JobView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<Vec<JobView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let all = |moment: &Moment| moment.federation.jobs.iter().map(|job| view::job(moment, job)).collect();
    look(&app, &driver, query(at)?.at, all).await.map(Json)
}

/// A job, and where it stands. What it waits for, and the open round, are the operator's to see.
#[utoipa::path(get, operation_id = "show_job", path = "/v1/federations/{federation}/jobs/{job}", tag = "jobs",
    params(("federation" = String, Path), ("job" = u32, Path), At),
    responses((status = 200, body = JobView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, job)): Path<(String, String)>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<JobView>, Refused> {
    if let Caller::Invited { .. } = caller {
        return Err(Refused::Forbidden("join first; an invitation shows no jobs"));
    }
    let driver = app.federation(&caller, &federation).await?;
    let id = number("job", &job)?;
    match caller {
        Caller::Operator => {
            let view = look(&app, &driver, query(at)?.at, |moment| of(moment, id)).await?;
            found(view, id).map(Json)
        }
        _ => found(driver.shared.read().job(id).map(view::job_of_member), id).map(Json),
    }
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
    check_size(&plan, app.max_parameters)?;
    let command = Command::CreateJob { plan: Box::new(plan), seed };
    let job = match key(&headers)? {
        Some(key) => create_once(&driver, command, key, Digest::of(&bytes)).await?,
        None => created(&driver.command(command).await?)?,
    };
    Ok((StatusCode::CREATED, shown(&driver, job)?))
}

/// Whether the plan's model is one that this server can hold, and whose file can be read back.
fn check_size(plan: &Plan, max_parameters: usize) -> Result<(), Refused> {
    let (parameters, header) = (plan.layout.parameters(), header_bytes(plan));
    if parameters > max_parameters {
        return Err(Refused::PlanTooLarge(format!(
            "its model has {parameters} parameters where this server takes {max_parameters}; `dure serve --max-parameters` says how many, up to {MAX_PARAMETERS}"
        )));
    }
    if header > MAX_HEADER {
        return Err(Refused::PlanTooLarge(format!(
            "its tensors' names and shapes, its columns and its work may take {header} bytes of a model's header where {MAX_HEADER} are allowed; use fewer tensors or shorter names"
        )));
    }
    Ok(())
}

/// The most bytes that the header of the job's models has.
fn header_bytes(plan: &Plan) -> usize {
    // For what JSON puts around a tensor, and for the numbers of a column's scale.
    const ENTRY: usize = 128;
    let json_bytes = |value: &Value| value.to_string().len();
    let names: Vec<&str> = plan.layout.tensors().map(|(spec, _)| spec.name.as_str()).collect();
    // What is said about a model is JSON within JSON.
    let about = json!([plan.name, plan.work, plan.measure, names]).to_string();
    let about = json_bytes(&Value::String(about)) + ENTRY * (2 + plan.measure.len());
    let tensor = |spec: &TensorSpec| ENTRY + json_bytes(&json!(spec.name)) + json_bytes(&json!(spec.shape));
    about + plan.layout.tensors().map(|(spec, _)| tensor(spec)).sum::<usize>()
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
    found(driver.shared.look(|moment| of(moment, id)), id).map(Json)
}

fn of(moment: &Moment, id: u32) -> Option<JobView> {
    moment.federation.job(id).map(|job| view::job(moment, job))
}

fn found(job: Option<JobView>, id: u32) -> Result<JobView, Refused> {
    job.ok_or_else(|| Refused::NotFound(format!("job {id}")))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dure_core::model::Params;
    use dure_wire::encode_model;

    use super::*;

    /// A plan with so many tensors and columns.
    fn plan(tensors: usize, name: &str, shape: &[usize], columns: usize) -> Plan {
        let names = |count| (0..count).map(|i| format!("{name}{i}")).collect::<Vec<_>>();
        let tensor = |name: String| json!({"name": name, "shape": shape, "initial": "zeros"});
        let layout: Vec<_> = names(tensors).into_iter().map(tensor).collect();
        let plan = json!({
            "name": "line", "rounds": 3, "codec": "f32", "rows": "training", "measure": names(columns), "scalars": [],
            "evaluate_every": 0, "refit": false, "test": false, "work": {"schema": {name: name}}, "stop": {},
            "strategy": {"name": "fedavg"}, "cohort": {"deadline_s": 600.0}, "layout": layout,
        });
        serde_json::from_value(plan).unwrap()
    }

    /// The header of the plan's models, once all columns are measured.
    fn header(plan: &Plan) -> usize {
        let number = -1.234_567_890_123_456_7e-300;
        let scale = json!({"mean": number, "scale": number});
        let scales: serde_json::Map<_, _> = plan.measure.iter().map(|name| (name.clone(), scale.clone())).collect();
        let about = json!({"recipe": plan.name, "schema": plan.work["schema"], "model": null, "preprocessing": scales});
        let file = encode_model(&Params::zeros(Arc::new(plan.layout.clone())), about.as_object().unwrap());
        file.len() - size_of::<u64>() - size_of::<f32>() * plan.layout.parameters()
    }

    #[test]
    fn a_header_is_not_longer_than_was_said() {
        let odd = "\u{df}\"\\\u{1}";
        for plan in [
            plan(1, "w", &[1], 0),
            plan(500, odd, &[1; 40], 300),
            plan(3, "", &[2], 2000),
            plan(3000, "layers", &[1, 2], 0),
        ] {
            assert!(header(&plan) <= header_bytes(&plan), "{} > {}", header(&plan), header_bytes(&plan));
        }
    }

    #[test]
    fn a_plan_is_as_large_as_the_server_takes_it() {
        let refused = |plan: &Plan, most| check_size(plan, most).unwrap_err().to_string();
        assert!(check_size(&plan(2, "w", &[50], 0), 100).is_ok());
        let why = refused(&plan(1, "w", &[101], 0), 100);
        assert!(why.contains("has 101 parameters where this server takes 100; `dure serve --max-parameters`"), "{why}");
        let why = refused(&plan(40_000, "w", &[1], 0), 40_000);
        assert!(why.contains("where 4194304 are allowed"), "{why}");
    }
}
