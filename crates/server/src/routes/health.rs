//! What machines ask a server: is it there, can it work, how much, and what does it speak.

use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

use dure_wire::api::Problem;

use crate::{app::App, auth::Caller, openapi::openapi_json, problem::Refused};

/// The process runs.
#[utoipa::path(get, operation_id = "healthz", path = "/healthz", tag = "health", security(()), responses((status = 200, body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// Every federation can go on.
#[utoipa::path(get, operation_id = "readyz", path = "/readyz", tag = "health", security(()), responses((status = 200, body = String), (status = 503, body = String)))]
pub async fn readyz(State(app): State<App>) -> Response {
    let troubled = app.drivers().into_iter().any(|driver| driver.shared.trouble().is_some());
    if troubled || *app.stopping.borrow() {
        (StatusCode::SERVICE_UNAVAILABLE, "not ready\n").into_response()
    } else {
        "ready\n".into_response()
    }
}

/// Figures for Prometheus.
#[utoipa::path(get, operation_id = "metrics", path = "/metrics", tag = "health", responses((status = 200, body = String), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn metrics(State(app): State<App>, caller: Caller) -> Result<Response, Refused> {
    caller.operator()?;
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], app.metrics.text(&app)).into_response())
}

/// This API, described.
#[utoipa::path(get, operation_id = "openapi", path = "/openapi.json", tag = "health", security(()), responses((status = 200, body = Object)))]
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi_json()).into_response()
}
