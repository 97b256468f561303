//! What sites tell of their data, all together.

use axum::{
    Json,
    extract::{Path, State},
};
use dure_core::federation::{Member, Standing};
use dure_wire::api::{DataView, Problem};

use crate::{app::App, auth::Caller, data::Told, problem::Refused};

/// What all clients together tell of their data: who tells, how many rows there are, and their labels.
#[utoipa::path(get, operation_id = "show_data", path = "/v1/federations/{federation}/data", tag = "clients",
    params(("federation" = String, Path)),
    responses((status = 200, body = DataView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
) -> Result<Json<DataView>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let (mut told, names) = {
        let federation = driver.shared.read();
        let stay = |member: &Member| matches!(member.standing, Standing::Active | Standing::Lost);
        let names = federation.members.iter().filter(|(_, member)| stay(member)).map(|(name, _)| name.clone());
        (Told::new(federation.schema.as_ref()), names.collect::<Vec<_>>())
    };
    for name in &names {
        driver.shared.presences.look(name, |presence| told.add(presence.map(|presence| &presence.facts)));
    }
    Ok(Json(told.view()))
}
