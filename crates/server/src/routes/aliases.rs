//! Names that stand for model versions: `production` → version 17.

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
};
use dure_core::federation::Command;
use dure_wire::api::{AliasSpec, AliasView, Problem};

use super::{At, look, query, short};
use crate::{
    app::App,
    auth::Caller,
    body,
    problem::Refused,
    view::{self, Moment},
};

/// The names of a federation.
#[utoipa::path(get, operation_id = "list_aliases", path = "/v1/federations/{federation}/aliases", tag = "models", params(("federation" = String, Path), At),
    responses((status = 200, body = Vec<AliasView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<Vec<AliasView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let all = |Moment { federation, .. }: &Moment| {
        federation.aliases.keys().filter_map(|alias| view::alias(federation, alias)).collect()
    };
    look(&app, &driver, query(at)?.at, all).await.map(Json)
}

/// Lets a name stand for a version. Naming the one before takes the last back.
#[utoipa::path(put, operation_id = "set_alias", path = "/v1/federations/{federation}/aliases/{alias}", tag = "models",
    params(("federation" = String, Path), ("alias" = String, Path)), request_body = AliasSpec,
    responses((status = 200, body = AliasView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn set(
    State(app): State<App>,
    caller: Caller,
    Path((federation, alias)): Path<(String, String)>,
    body: Body,
) -> Result<Json<AliasView>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let AliasSpec { version } = body::json(body).await?;
    driver.command(Command::SetAlias { alias: alias.clone(), version }).await?;
    let view = view::alias(&driver.shared.read(), &alias);
    view.map(Json).ok_or_else(|| Refused::NotFound(format!("alias {:?}", short(&alias))))
}
