//! Who asks. A bearer is looked up by its SHA-256: no secret is ever stored or compared as it is.

use std::collections::HashMap;

use axum::{
    extract::FromRequestParts,
    http::{Method, header, request::Parts},
};
use dure_core::{digest::Digest, name::ClientName};
use rand::{TryRng as _, rngs::SysRng};

use crate::{app::App, presence::wall_ms, problem::Refused, secrets::Secrets, store::Invitation};

const SEC_FETCH_SITE: header::HeaderName = header::HeaderName::from_static("sec-fetch-site");

/// The cookie of a browser's session.
pub const COOKIE: &str = "dure_session";

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// Whoever runs the server.
    Operator,
    /// A client, by its own secret.
    Client {
        /// Its federation.
        federation: String,
        /// Its name there.
        client: ClientName,
    },
    /// Someone who was invited.
    Invited {
        /// Whereto.
        federation: String,
        /// By which invitation.
        id: i64,
    },
}

/// Everything that authenticates, by digest.
#[derive(Default)]
pub struct Bearers {
    /// The operator's token.
    pub operator: Option<Digest>,
    /// Browser sessions, and when they end on the wall clock.
    pub sessions: HashMap<Digest, i64>,
    /// Clients' secrets.
    pub secrets: Secrets,
    /// Invitations.
    pub invitations: HashMap<Digest, Invitation>,
}

impl Bearers {
    /// Whose bearer this is.
    fn of(&self, bearer: &str) -> Option<Caller> {
        let sha256 = Digest::of(bearer.as_bytes());
        if self.operator == Some(sha256) {
            return Some(Caller::Operator);
        }
        if let Some(secret) = self.secrets.get(&sha256) {
            return Some(Caller::Client { federation: secret.federation.clone(), client: secret.client.clone() });
        }
        let invitation = self.invitations.get(&sha256)?;
        Some(Caller::Invited { federation: invitation.federation.clone(), id: invitation.id })
    }

    fn of_session(&self, session: &str) -> Option<Caller> {
        let ends = self.sessions.get(&Digest::of(session.as_bytes()))?;
        (wall_ms() < *ends).then_some(Caller::Operator)
    }

    /// Whether a digest is that of something that authenticates somebody.
    pub fn knows(&self, sha256: &Digest) -> bool {
        self.operator == Some(*sha256)
            || self.sessions.contains_key(sha256)
            || self.secrets.get(sha256).is_some()
            || self.invitations.contains_key(sha256)
    }

    /// An invitation by its number.
    pub fn invitation(&self, id: i64) -> Option<&Invitation> {
        self.invitations.values().find(|invitation| invitation.id == id)
    }

    /// Whether an invitation can still be used, as far as time goes. One that was taken back authenticates nobody.
    pub fn check_time(&self, id: i64) -> Result<&Invitation, Refused> {
        let invitation = self.invitation(id).ok_or(Refused::Unauthenticated)?;
        match invitation.expires_wall_ms {
            Some(ends) if wall_ms() >= ends => {
                Err(Refused::Forbidden("the invitation has expired; ask the operator for a new one"))
            }
            _ => Ok(invitation),
        }
    }
}

impl Caller {
    /// Only the operator may go on.
    pub fn operator(&self) -> Result<(), Refused> {
        match self {
            Self::Operator => Ok(()),
            _ => Err(Refused::Forbidden("only the operator may do this; send the operator's token")),
        }
    }

    /// Whether the caller has anything to do with `federation`; for anybody else it is not there.
    pub fn knows(&self, federation: &str) -> bool {
        match self {
            Self::Operator => true,
            Self::Client { federation: own, .. } | Self::Invited { federation: own, .. } => own == federation,
        }
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Refused> {
        let bearers = app.bearers();
        let bearer = text(parts, header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
        let caller = match bearer {
            Some(bearer) => bearers.of(bearer.trim()),
            None => session(parts).and_then(|session| bearers.of_session(session)),
        };
        let caller = caller.ok_or(Refused::Unauthenticated)?;
        if bearer.is_none() { from_own_page(parts).map(|()| caller) } else { Ok(caller) }
    }
}

/// A browser sends the cookie by itself, whichever page of this site (any port, any sibling host) asks it to. So it is worth
/// something for changes only on requests of the server's own pages, which browsers mark.
fn from_own_page(parts: &Parts) -> Result<(), Refused> {
    let harmless = matches!(parts.method, Method::GET | Method::HEAD);
    let marked = text(parts, SEC_FETCH_SITE) == Some("same-origin");
    if harmless || marked || text(parts, header::ORIGIN).is_some_and(|origin| is_own(parts, origin)) {
        return Ok(());
    }
    Err(Refused::Forbidden(
        "a session changes things only from the server's own pages: the request has neither `Sec-Fetch-Site: same-origin` nor the server's own Origin; elsewhere send the operator's token",
    ))
}

/// Whether an origin (`https://host:port`) is the host that the request was sent to.
fn is_own(parts: &Parts, origin: &str) -> bool {
    // HTTP/2 has the host in the place of an authority.
    let host = text(parts, header::HOST).or_else(|| parts.uri.authority().map(|authority| authority.as_str()));
    let from = origin.split_once("://").map(|(_, from)| from);
    from.zip(host).is_some_and(|(from, host)| from.eq_ignore_ascii_case(host))
}

/// The session that a request's cookies name.
pub fn session(parts: &Parts) -> Option<&str> {
    let mut cookies = text(parts, header::COOKIE)?.split(';').filter_map(|cookie| cookie.trim().split_once('='));
    cookies.find(|(name, _)| *name == COOKIE).map(|(_, session)| session)
}

fn text(parts: &Parts, name: header::HeaderName) -> Option<&str> {
    parts.headers.get(name)?.to_str().ok()
}

/// 256 random bits as 64 hexadecimal digits.
///
/// # Panics
/// Where the operating system has no randomness: nothing could be kept secret there.
pub fn draw_secret() -> String {
    let mut bits = [0; 32];
    SysRng.try_fill_bytes(&mut bits).expect("the operating system has randomness");
    Digest(bits).to_string()
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn check(method: &str, headers: &[(&str, &str)], want: bool) {
        let mut request = Request::builder().method(method).uri("/v1/session").header("host", "Fed.example:3873");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(from_own_page(&parts).is_ok(), want, "{method} {headers:?}");
    }

    #[test]
    fn a_session_changes_things_from_its_own_pages_alone() {
        check("GET", &[], true);
        check("HEAD", &[("sec-fetch-site", "cross-site")], true);
        check("POST", &[], false);
        check("DELETE", &[("sec-fetch-site", "same-site")], false);
        check("PUT", &[("sec-fetch-site", "same-origin")], true);
        check("POST", &[("origin", "https://fed.example:3873")], true);
        for other in ["https://fed.example", "http://fed.example:8080", "https://evil.example:3873", "null", ""] {
            check("POST", &[("origin", other)], false);
        }
    }

    #[test]
    fn the_host_of_http_2_is_its_authority() {
        let request = Request::post("https://fed.example:3873/v1/session").header("origin", "https://fed.example:3873");
        assert!(from_own_page(&request.body(()).unwrap().into_parts().0).is_ok());
    }
}
