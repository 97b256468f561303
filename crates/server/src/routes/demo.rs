//! What people may do in a demo. Where no demo has started the server, none of it is there.

use axum::{
    extract::{Path, State},
    http::StatusCode,
};
use dure_wire::api::Problem;

use super::short;
use crate::{app::App, auth::Caller, problem::Refused};

/// Kills an agent of the demo, which is started again after a moment. Nothing happens to one that is dead already.
#[utoipa::path(post, operation_id = "kill_demo_agent", path = "/v1/demo/{agent}/kill", tag = "system", params(("agent" = String, Path)),
    responses((status = 202), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn kill(State(app): State<App>, caller: Caller, Path(agent): Path<String>) -> Result<StatusCode, Refused> {
    caller.operator()?;
    let found = app.demo.as_ref().is_some_and(|demo| demo.kill(&agent));
    found
        .then_some(StatusCode::ACCEPTED)
        .ok_or_else(|| Refused::NotFound(format!("demo with an agent {:?}", short(&agent))))
}
