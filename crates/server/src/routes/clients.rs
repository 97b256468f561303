//! Clients: they join, say how they are, and leave.

use axum::{
    Json,
    body::Body,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use dure_core::{
    digest::Digest,
    federation::{Command, Standing},
    name::ClientName,
};
use dure_wire::api::{ClientPatch, ClientState, ClientView, Goodbye, JoinSpec, Problem};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::IntoParams;

use super::{At, client_name, look, query};
use crate::{
    app::App,
    auth::Caller,
    body,
    driver::Driver,
    problem::Refused,
    store::Secret,
    view::{self, Moment},
};

/// The most that a site may say of itself, in bytes of JSON.
const MAX_FACTS_BYTES: usize = 16 << 10;

/// Which clients, in the order of names.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Those after this name.
    after: String,
    /// At most so many, up to 1000; 1000 if absent.
    limit: Option<usize>,
    /// Those in this state.
    state: Option<ClientState>,
    /// As they were after this event of the journal; as they are, if absent.
    at: Option<u64>,
    /// Those that have this in their name, or in why they take no tasks or have declined one; capitals count for nothing.
    search: String,
}

impl Page {
    /// The clients of the page.
    fn of(&self, moment: &Moment) -> Vec<ClientView> {
        let search = self.search.to_lowercase();
        let federation = moment.federation;
        let names = federation.members.keys().filter(|name| name.as_str() > self.after.as_str());
        let wanted = names.filter(|name| self.state.is_none() || view::client_state(moment, name) == self.state);
        let found = wanted.filter(|name| search.is_empty() || view::mentions(federation, name, &search));
        found.filter_map(|name| view::client(moment, name)).take(self.limit.unwrap_or(1000).min(1000)).collect()
    }
}

/// The clients of a federation.
#[utoipa::path(get, operation_id = "list_clients", path = "/v1/federations/{federation}/clients", tag = "clients",
    params(("federation" = String, Path), Page),
    responses((status = 200, body = Vec<ClientView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    page: Result<Query<Page>, QueryRejection>,
) -> Result<Json<Vec<ClientView>>, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let page = query(page)?;
    let views = look(&app, &driver, page.at, |moment| page.of(moment)).await?;
    Ok(Json(with_sites(&app, &driver, views)))
}

/// A client.
#[utoipa::path(get, operation_id = "show_client", path = "/v1/federations/{federation}/clients/{client}", tag = "clients",
    params(("federation" = String, Path), ("client" = String, Path), At),
    responses((status = 200, body = ClientView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn show(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
    at: Result<Query<At>, QueryRejection>,
) -> Result<Json<ClientView>, Refused> {
    let name = client_name(&client)?;
    let is_operator = caller == Caller::Operator;
    let driver = match caller {
        Caller::Operator => app.federation(&caller, &federation).await?,
        _ => app.client(&caller, &federation, &name).await?,
    };
    let view = look(&app, &driver, query(at)?.at, |moment| view::client(moment, &name)).await?;
    let told = if is_operator { with_sites(&app, &driver, view.into_iter().collect()).pop() } else { view };
    found(told, &name)
}

/// Joins, for the first time or again. The bearer is an invitation, or the client's own secret. Repeating it changes nothing.
#[utoipa::path(put, operation_id = "join", path = "/v1/federations/{federation}/clients/{client}", tag = "clients",
    params(("federation" = String, Path), ("client" = String, Path)), request_body = JoinSpec,
    responses((status = 200, body = ClientView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn join(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
    body: Body,
) -> Result<Json<ClientView>, Refused> {
    let driver = app.driver(&federation).filter(|_| caller.knows(&federation));
    let driver = driver.ok_or_else(|| Refused::NotFound(format!("federation {federation:?}")))?;
    let name = ClientName::new(client).map_err(|error| Refused::Malformed(error.to_string()))?;
    let JoinSpec { secret, ready, facts } = body::json(body).await?;
    check_facts(&facts)?;
    let _no_other = app.joining.lock().await;
    admit(&app, &driver, &caller, &name, &secret).await?;
    bounded(&driver, &name)?;
    driver.shared.keep_facts(&name, facts).await?;
    driver.command(Command::Join { client: name.clone(), ready }).await?;
    shown(&driver, &name)
}

/// Whether the caller may be called so from now on; if so, its secret is stored.
async fn admit(app: &App, driver: &Driver, caller: &Caller, name: &ClientName, secret: &str) -> Result<(), Refused> {
    let federation = &driver.shared.name;
    let sha256 = digest_of(secret)?;
    let member = driver.shared.read().members.get(name).cloned();
    if let Some(member) = member.as_ref().filter(|member| member.standing == Standing::Evicted) {
        return Err(Refused::Evicted(name.clone(), member.known().reason.clone()));
    }
    let invitation = match caller {
        Caller::Invited { id, .. } => Some(*id),
        Caller::Client { client, .. } if client == name => None,
        Caller::Client { .. } => {
            return Err(Refused::Forbidden("this is another client's name; join with an invitation"));
        }
        Caller::Operator => return Err(Refused::Forbidden("the operator is no client; join with an invitation")),
    };
    let held = app.bearers().secrets.of(federation, name).cloned();
    match &held {
        Some(held) if held.sha256 == sha256 => return Ok(()),
        // A secret without a member is one whose joining broke off.
        Some(_) if member.is_some() => return Err(Refused::NameTaken(name.clone())),
        _ => {}
    }
    let site = check_invitation(app, invitation, held.as_ref())?;
    if app.bearers().knows(&sha256) {
        return Err(Refused::SecretTaken);
    }
    let secret = Secret { federation: federation.clone(), client: name.clone(), sha256, invitation, site };
    driver.shared.stored(app.store.put_secret(&secret).await, 0)?;
    app.bearers_mut().secrets.insert(secret);
    Ok(())
}

fn digest_of(secret: &str) -> Result<Digest, Refused> {
    let plain = secret.len() == 64 && secret.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let refused =
        || Refused::Malformed("the body, at secret: it is to be 64 hexadecimal digits, drawn at random".into());
    plain.then(|| Digest::of(secret.as_bytes())).ok_or_else(refused)
}

/// Whether an invitation lets one more in, who takes the place of the secret that `held` the name; for whom it is.
fn check_invitation(app: &App, id: Option<i64>, held: Option<&Secret>) -> Result<String, Refused> {
    let bearers = app.bearers();
    let id = id.ok_or(Refused::Unauthenticated)?;
    let invitation = bearers.check_time(id)?;
    let own = held.is_some_and(|held| held.invitation == Some(id));
    let others = bearers.secrets.used(id) - u32::from(own);
    if invitation.uses.is_some_and(|uses| others >= uses) {
        return Err(Refused::Forbidden("the invitation was used up; ask the operator for a new one"));
    }
    Ok(invitation.note.clone())
}

fn check_facts(facts: &Map<String, Value>) -> Result<(), Refused> {
    let bytes = serde_json::to_vec(facts).map_or(usize::MAX, |text| text.len());
    let refused =
        || Refused::Malformed(format!("facts have {bytes} bytes of JSON where {MAX_FACTS_BYTES} are allowed"));
    (bytes <= MAX_FACTS_BYTES).then_some(()).ok_or_else(refused)
}

/// Changes what a client says of itself, and renews its lease.
#[utoipa::path(patch, operation_id = "change_client", path = "/v1/federations/{federation}/clients/{client}", tag = "clients",
    params(("federation" = String, Path), ("client" = String, Path)), request_body = ClientPatch,
    responses((status = 200, body = ClientView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn change(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
    body: Body,
) -> Result<Json<ClientView>, Refused> {
    let name = client_name(&client)?;
    let driver = app.client(&caller, &federation, &name).await?;
    let ClientPatch { ready, reason, facts } = body::json_or_default(body).await?;
    if let Some(facts) = facts {
        check_facts(&facts)?;
        driver.shared.keep_facts(&name, facts).await?;
    }
    if let Some(ready) = ready {
        bounded(&driver, &name)?;
        driver.command(Command::SetReady { client: name.clone(), ready, reason }).await?;
    }
    shown(&driver, &name)
}

/// Leaves, or sends a client away for good.
#[utoipa::path(delete, operation_id = "leave", path = "/v1/federations/{federation}/clients/{client}", tag = "clients",
    params(("federation" = String, Path), ("client" = String, Path)), request_body = Option<Goodbye>,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn leave(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
    body: Body,
) -> Result<StatusCode, Refused> {
    let name = client_name(&client)?;
    let (driver, evicts) = match caller {
        Caller::Operator => (app.federation(&caller, &federation).await?, true),
        _ => (app.client(&caller, &federation, &name).await?, false),
    };
    let Goodbye { reason } = body::json_or_default(body).await?;
    let command = match evicts {
        true => Command::Evict { client: name, reason },
        false => Command::Leave { client: name, reason },
    };
    driver.command(command).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets a client's secret, so that its name can be joined by another.
#[utoipa::path(post, operation_id = "release_client", path = "/v1/federations/{federation}/clients/{client}/release", tag = "clients",
    params(("federation" = String, Path), ("client" = String, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn release(
    State(app): State<App>,
    caller: Caller,
    Path((federation, client)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let name = client_name(&client)?;
    let _no_other = app.joining.lock().await;
    let member = driver.shared.read().members.get(&name).cloned();
    if let Some(member) = member.filter(|member| member.standing == Standing::Evicted) {
        return Err(Refused::Evicted(name, member.known().reason.clone()));
    }
    driver.command(Command::Leave { client: name.clone(), reason: "its name was released".into() }).await?;
    driver.shared.stored(app.store.forget_secret(&federation, &name).await, 0)?;
    app.bearers_mut().secrets.remove(&federation, &name);
    Ok(StatusCode::NO_CONTENT)
}

/// Each change of a membership is journalled for ever: there is a bound on how many a client makes.
fn bounded(driver: &Driver, name: &ClientName) -> Result<(), Refused> {
    let may = driver.shared.presences.may_change(name, driver.shared.clock.now());
    may.then_some(()).ok_or_else(|| Refused::TooOften(name.clone()))
}

fn found(view: Option<ClientView>, name: &ClientName) -> Result<Json<ClientView>, Refused> {
    view.map(Json).ok_or_else(|| Refused::NotFound(format!("client {:?}", name.as_str())))
}

fn shown(driver: &Driver, name: &ClientName) -> Result<Json<ClientView>, Refused> {
    found(driver.shared.look(|moment| view::client(moment, name)), name)
}

/// Says of clients for whom their invitations were: to the operator, whose notes these are, and to nobody else.
fn with_sites(app: &App, driver: &Driver, mut views: Vec<ClientView>) -> Vec<ClientView> {
    let bearers = app.bearers();
    for view in &mut views {
        let secret = bearers.secrets.of(&driver.shared.name, &view.client);
        view.site = secret.map(|secret| secret.site.clone()).unwrap_or_default();
    }
    views
}
