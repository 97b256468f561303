//! The API's table of contents.

use axum::{
    Router,
    extract::{MatchedPath, Query, Request, State, rejection::QueryRejection},
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::{get, post, put},
};
use dure_core::name::ClientName;
use serde::Deserialize;
use utoipa::IntoParams;

use crate::{app::App, driver::Driver, page, problem::Refused, view::Moment};

pub mod aliases;
pub mod clients;
pub mod data;
pub mod demo;
pub mod events;
pub mod federations;
pub mod health;
pub mod invitations;
pub mod jobs;
pub mod models;
pub mod recipes;
pub mod session;
pub mod system;
pub mod tasks;

/// Bytes, for the description of the API.
#[derive(utoipa::ToSchema)]
#[schema(value_type = String, format = Binary)]
pub struct File(#[expect(dead_code, reason = "it only describes")] Vec<u8>);

/// Every route.
pub fn router(app: App) -> Router {
    let federation = Router::new()
        .route("/", get(federations::show))
        .route("/report", get(federations::report))
        .route("/invitations", get(invitations::list).post(invitations::create))
        .route("/invitations/{id}", axum::routing::delete(invitations::revoke))
        .route("/clients", get(clients::list))
        .route("/clients/{client}", get(clients::show).put(clients::join).patch(clients::change).delete(clients::leave))
        .route("/data", get(data::show))
        .route("/clients/{client}/release", post(clients::release))
        .route("/clients/{client}/task", get(tasks::wait))
        .route("/tasks/{task}", get(tasks::show))
        .route("/tasks/{task}/result", put(tasks::answer))
        .route("/tasks/{task}/decline", post(tasks::decline))
        .route("/jobs", get(jobs::list).post(jobs::create))
        .route("/jobs/{job}", get(jobs::show))
        .route("/jobs/{job}/{action}", post(jobs::act))
        .route("/models", get(models::list))
        .route("/models/{version}", get(models::show))
        .route("/models/{version}/weights", get(models::weights))
        .route("/models/{version}/control", get(models::control))
        .route("/aliases", get(aliases::list))
        .route("/aliases/{alias}", put(aliases::set))
        .route("/events", get(events::stream))
        .route("/journal", get(events::journal));
    Router::new()
        .route("/v1/federations", get(federations::list).post(federations::create))
        .nest("/v1/federations/{federation}", federation)
        .route("/v1/recipes", get(recipes::list))
        .route("/v1/recipes/{recipe}", get(recipes::show))
        .route("/v1/recipes/{recipe}/plan", post(recipes::plan))
        .route("/v1/session", post(session::begin).delete(session::end))
        .route("/v1/system", get(system::show))
        .route("/v1/demo/{agent}/kill", post(demo::kill))
        .route("/metrics", get(health::metrics))
        .route("/healthz", get(health::healthz))
        .route("/readyz", get(health::readyz))
        .route("/openapi.json", get(health::openapi))
        .merge(page::routes())
        .fallback(missing)
        .method_not_allowed_fallback(other_method)
        .layer(axum::extract::DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), unchanged))
        .layer(from_fn_with_state(app.clone(), counted))
        .with_state(app)
}

async fn missing() -> Refused {
    Refused::NotFound("such path; see /openapi.json".into())
}

async fn other_method() -> Refused {
    Refused::Method
}

/// Lets nothing be changed where a server only shows what was, but who looks at it.
async fn unchanged(State(app): State<App>, request: Request, next: Next) -> Result<Response, Refused> {
    let harmless = request.method().is_safe() || request.uri().path() == "/v1/session";
    if app.read_only && !harmless {
        return Err(Refused::Forbidden("this server only shows what was; nothing can be changed here"));
    }
    Ok(next.run(request).await)
}

/// Counts what was answered, by route: never by a path, which anybody can make up.
async fn counted(State(app): State<App>, request: Request, next: Next) -> Response {
    let route =
        request.extensions().get::<MatchedPath>().map_or_else(|| "none".into(), |path| path.as_str().to_owned());
    let method = request.method().clone();
    let response = next.run(request).await;
    let word = ["GET", "PUT", "POST", "PATCH", "DELETE", "HEAD"].into_iter().find(|word| *word == method.as_str());
    app.metrics.answered(word.unwrap_or("other"), &route, response.status().as_u16());
    response
}

/// Which moment of a federation.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct At {
    /// As it was after this event of its journal; as it stands, if absent.
    at: Option<u64>,
}

/// Looks at a federation as it stands or, after an event of its journal, as it stood.
async fn look<T>(
    app: &App,
    driver: &Driver,
    at: Option<u64>,
    look: impl FnOnce(&Moment<'_>) -> T,
) -> Result<T, Refused> {
    // Where nothing goes on, the time of the last event is the present.
    let end = || app.read_only.then(|| driver.shared.head().sequence);
    let Some(at) = at.or_else(end) else { return Ok(driver.shared.look(look)) };
    let past = driver.shared.past(at).await.map_err(|error| {
        tracing::error!("the past of federation {:?} cannot be read: {error}", driver.shared.name);
        Refused::Unavailable("its store failed".into())
    })?;
    Ok(look(&Moment::past(&driver.shared, &past)))
}

/// A query, or why it is none.
fn query<T>(query: Result<Query<T>, QueryRejection>) -> Result<T, Refused> {
    query.map(|Query(query)| query).map_err(|error| Refused::Malformed(error.body_text()))
}

/// A client's name out of a path.
fn client_name(text: &str) -> Result<ClientName, Refused> {
    ClientName::new(text).map_err(|_| Refused::NotFound(format!("client {:?}", short(text))))
}

/// A number out of a path.
fn number<T: std::str::FromStr>(what: &str, text: &str) -> Result<T, Refused> {
    text.parse().map_err(|_| Refused::NotFound(format!("{what} {:?}", short(text))))
}

/// As much of a text as fits in a message.
fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
