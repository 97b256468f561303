//! The server itself, as its operator sees it.

use axum::{Json, extract::State};
use dure_wire::api::{Problem, SystemView};

use crate::{app::App, auth::Caller, problem::Refused};

/// The server.
#[utoipa::path(get, operation_id = "show_system", path = "/v1/system", tag = "system",
    responses((status = 200, body = SystemView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(State(app): State<App>, caller: Caller) -> Result<Json<SystemView>, Refused> {
    caller.operator()?;
    Ok(Json(SystemView { version: env!("CARGO_PKG_VERSION").into(), read_only: app.read_only }))
}
