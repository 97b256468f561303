//! Recipes, and the plans that they come to.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
};
use dure_core::plan::PlanSpec;
use dure_wire::api::{Problem, RecipeDetails, RecipeView, SettingsSpec};

use super::short;
use crate::{app::App, auth::Caller, body, problem::Refused};

/// The recipes that the server knows.
#[utoipa::path(get, operation_id = "list_recipes", path = "/v1/recipes", tag = "recipes",
    responses((status = 200, body = Vec<RecipeView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(State(app): State<App>, caller: Caller) -> Result<Json<Vec<RecipeView>>, Refused> {
    caller.operator()?;
    Ok(Json(app.recipes.list()))
}

/// A recipe, what can be set of its plan, and what it says of that.
#[utoipa::path(get, operation_id = "show_recipe", path = "/v1/recipes/{recipe}", tag = "recipes", params(("recipe" = String, Path)),
    responses((status = 200, body = RecipeDetails), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path(recipe): Path<String>,
) -> Result<Json<RecipeDetails>, Refused> {
    caller.operator()?;
    app.recipes.show(&recipe).map(Json).ok_or_else(|| missing(&recipe))
}

/// The plan of a recipe with some settings, from which a job can be created. Nothing is changed by it.
#[utoipa::path(post, operation_id = "plan_recipe", path = "/v1/recipes/{recipe}/plan", tag = "recipes", params(("recipe" = String, Path)),
    request_body = SettingsSpec,
    responses((status = 200, body = Object), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn plan(
    State(app): State<App>,
    caller: Caller,
    Path(recipe): Path<String>,
    body: Body,
) -> Result<Json<PlanSpec>, Refused> {
    caller.operator()?;
    let SettingsSpec { settings } = body::json_or_default(body).await?;
    let planned = app.recipes.plan(&recipe, &settings).ok_or_else(|| missing(&recipe))?;
    Ok(Json(planned?))
}

fn missing(recipe: &str) -> Refused {
    Refused::NotFound(format!("recipe {:?}", short(recipe)))
}
