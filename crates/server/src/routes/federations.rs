//! Federations: who works together, and on what.

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
};
use dure_core::{federation::Command, name::ClientName};
use dure_wire::api::{FederationSpec, FederationView, Problem};

use super::{At, look, query};
use crate::{app::App, auth::Caller, body, config::MAX_JSON_BYTES, problem::Refused, view};

/// The federations of this server.
#[utoipa::path(get, operation_id = "list_federations", path = "/v1/federations", tag = "federations",
    responses((status = 200, body = Vec<FederationView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<FederationView>>, Refused> {
    caller.operator()?;
    Ok(Json(app.drivers().iter().map(|driver| driver.shared.look(view::federation)).collect()))
}

/// Creates a federation. The same again changes nothing.
#[utoipa::path(post, operation_id = "create_federation", path = "/v1/federations", tag = "federations", request_body = FederationSpec,
    responses((status = 200, body = FederationView), (status = 201, body = FederationView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    body: Body,
) -> Result<(StatusCode, Json<FederationView>), Refused> {
    caller.operator()?;
    let FederationSpec { name, recipe, schema } = body::parse(&body::read(body, MAX_JSON_BYTES, || ()).await?)?;
    ClientName::new(name.as_str()).map_err(|_| {
        Refused::Malformed(
            "a federation's name is 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit".into(),
        )
    })?;
    let _no_other = app.joining.lock().await;
    let there = app.driver(&name);
    let driver = match &there {
        Some(driver) => driver.clone(),
        None => app.open_driver(&name).await.map_err(|error| {
            tracing::error!("federation {name:?} cannot be made: {error}");
            Refused::Unavailable("its store failed".into())
        })?,
    };
    let events = driver.command(Command::Create { name, recipe, schema }).await?;
    if there.is_none() {
        app.add_driver(driver.clone());
    }
    let status = if events.is_empty() { StatusCode::OK } else { StatusCode::CREATED };
    Ok((status, Json(driver.shared.look(view::federation))))
}

/// A federation.
#[utoipa::path(get, operation_id = "show_federation", path = "/v1/federations/{federation}", tag = "federations", params(("federation" = String, Path), At),
    responses((status = 200, body = FederationView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<FederationView>, Refused> {
    let driver = app.federation(&caller, &federation).await?;
    look(&app, &driver, query(at)?.at, view::federation).await.map(Json)
}

/// What a federation's simulation came to: its `result.json`. A federation that is served has none.
#[utoipa::path(get, operation_id = "show_report", path = "/v1/federations/{federation}/report", tag = "federations", params(("federation" = String, Path)),
    responses((status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn report(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
) -> Result<Response, Refused> {
    app.operated(&caller, &federation).await?;
    let report = app.reports.get(&federation).cloned();
    let report = report.ok_or_else(|| Refused::NotFound(format!("report of federation {federation:?}")))?;
    Ok(([(header::CONTENT_TYPE, "application/json")], report).into_response())
}
