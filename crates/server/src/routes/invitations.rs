//! Invitations: who may join.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::StatusCode,
};
use dure_core::digest::Digest;
use dure_wire::api::{InvitationSpec, InvitationView, Problem};

use super::number;
use crate::{
    app::App,
    auth::{Bearers, Caller, draw_secret},
    body,
    presence::wall_ms,
    problem::Refused,
    store::Invitation,
};

/// Invites. The token is told this once.
#[utoipa::path(post, operation_id = "invite", path = "/v1/federations/{federation}/invitations", tag = "invitations",
    params(("federation" = String, Path)), request_body = InvitationSpec,
    responses((status = 201, body = InvitationView), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn create(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
    body: Body,
) -> Result<(StatusCode, Json<InvitationView>), Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let InvitationSpec { uses, expires_in_s, note } = body::json_or_default(body).await?;
    if note.len() > 1000 {
        return Err(Refused::Malformed("a note has at most 1000 bytes".into()));
    }
    let token = draw_secret();
    let expires_wall_ms = expires_in_s.map(ends).transpose()?;
    let sha256 = Digest::of(token.as_bytes());
    let mut invitation = Invitation { id: 0, federation, sha256, uses, expires_wall_ms, note };
    invitation.id = driver.shared.stored(app.store.add_invitation(&invitation).await, 0)?;
    let view = InvitationView { token: Some(token), ..view(&invitation, &app.bearers()) };
    app.bearers_mut().invitations.insert(sha256, invitation);
    Ok((StatusCode::CREATED, Json(view)))
}

/// The invitations of a federation, without their tokens: nobody has those but who was invited.
#[utoipa::path(get, operation_id = "list_invitations", path = "/v1/federations/{federation}/invitations", tag = "invitations",
    params(("federation" = String, Path)),
    responses((status = 200, body = Vec<InvitationView>), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn list(
    State(app): State<App>,
    caller: Caller,
    Path(federation): Path<String>,
) -> Result<Json<Vec<InvitationView>>, Refused> {
    app.operated(&caller, &federation).await?;
    let bearers = app.bearers();
    let own = bearers.invitations.values().filter(|invitation| invitation.federation == federation);
    let mut views: Vec<_> = own.map(|invitation| view(invitation, &bearers)).collect();
    views.sort_by_key(|view| view.id);
    Ok(Json(views))
}

/// Takes an invitation back. Who has joined by it stays.
#[utoipa::path(delete, operation_id = "revoke_invitation", path = "/v1/federations/{federation}/invitations/{id}", tag = "invitations",
    params(("federation" = String, Path), ("id" = i64, Path)),
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn revoke(
    State(app): State<App>,
    caller: Caller,
    Path((federation, id)): Path<(String, String)>,
) -> Result<StatusCode, Refused> {
    let driver = app.operated(&caller, &federation).await?;
    let id: i64 = number("invitation", &id)?;
    let was_there = driver.shared.stored(app.store.remove_invitation(&federation, id).await, 0)?;
    // Also if it was not: whoever asked before may have gone away in between.
    app.bearers_mut().invitations.retain(|_, invitation| (invitation.id, &invitation.federation) != (id, &federation));
    if was_there { Ok(StatusCode::NO_CONTENT) } else { Err(Refused::NotFound(format!("invitation {id}"))) }
}

fn view(invitation: &Invitation, bearers: &Bearers) -> InvitationView {
    let Invitation { id, uses, expires_wall_ms, note, .. } = invitation.clone();
    let expires = expires_wall_ms.and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok()).map(|at| at.to_string());
    InvitationView { id, token: None, uses, used: bearers.secrets.used(id), expires, note }
}

/// When something ends that begins now, on the wall clock.
fn ends(seconds: u64) -> Result<i64, Refused> {
    const MOST: u64 = 100 * 366 * 86_400;
    let refused = || Refused::Malformed(format!("expires_in_s = {seconds} is not allowed: 1 to {MOST}"));
    let allowed = (1..=MOST).contains(&seconds);
    allowed.then(|| wall_ms() + seconds as i64 * 1000).ok_or_else(refused)
}
