//! Browser sessions: a cookie in place of the operator's token, which a page must not keep.

use axum::{
    body::Body,
    extract::{FromRequestParts as _, Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use dure_core::digest::Digest;
use dure_wire::api::{Problem, SessionSpec};

use crate::{
    app::App,
    auth::{COOKIE, Caller, draw_secret, session},
    body,
    presence::wall_ms,
    problem::Refused,
};

/// How long a session is, in seconds.
const LENGTH_S: i64 = 12 * 3600;

/// Begins a session. Requests that change something by its cookie need the server's own `Origin`, or `Sec-Fetch-Site: same-origin`.
#[utoipa::path(post, operation_id = "begin_session", path = "/v1/session", tag = "session", security(()), request_body = SessionSpec,
    responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn begin(State(app): State<App>, headers: HeaderMap, body: Body) -> Result<Response, Refused> {
    let SessionSpec { token } = body::json(body).await?;
    if app.bearers().operator != Some(Digest::of(token.as_bytes())) {
        return Err(Refused::Unauthenticated);
    }
    let (secret, ends) = (draw_secret(), wall_ms() + LENGTH_S * 1000);
    let sha256 = Digest::of(secret.as_bytes());
    app.store.add_session(sha256, ends).await?;
    let mut bearers = app.bearers_mut();
    bearers.sessions.retain(|_, ends| wall_ms() < *ends);
    bearers.sessions.insert(sha256, ends);
    Ok(with_cookie(&app, &headers, &secret, LENGTH_S))
}

/// Ends the session that the request's cookie names.
#[utoipa::path(delete, operation_id = "end_session", path = "/v1/session", tag = "session", responses((status = 204), (status = "4XX", body = Problem, content_type = "application/problem+json")))]
pub async fn end(State(app): State<App>, request: Request) -> Result<Response, Refused> {
    let (mut parts, _) = request.into_parts();
    Caller::from_request_parts(&mut parts, &app).await?;
    if let Some(secret) = session(&parts) {
        let sha256 = Digest::of(secret.as_bytes());
        app.store.remove_session(sha256).await?;
        app.bearers_mut().sessions.remove(&sha256);
    }
    Ok(with_cookie(&app, &parts.headers, "", 0))
}

/// No script reads the cookie, and no other site's page sends it.
fn with_cookie(app: &App, headers: &HeaderMap, secret: &str, max_age_s: i64) -> Response {
    let mut response = StatusCode::NO_CONTENT.into_response();
    let encrypted = app.tls || headers.get("x-forwarded-proto").is_some_and(|proto| proto == "https");
    let secure = if encrypted { "; Secure" } else { "" };
    let cookie = format!("{COOKIE}={secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age={max_age_s}{secure}");
    if let Ok(value) = HeaderValue::from_str(&cookie) {
        response.headers_mut().insert(header::SET_COOKIE, value);
    }
    response
}
