//! Who asks. A bearer is looked up by its SHA-256: no secret is ever stored or compared as it is.

use std::collections::HashMap;

use axum::{
    extract::FromRequestParts,
    http::{header, request::Parts},
};
use dure_core::{digest::Digest, name::ClientName};
use rand::{TryRng as _, rngs::SysRng};

use crate::{
    app::App,
    presence::wall_ms,
    problem::Refused,
    store::{Invitation, Secret},
};

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
    pub secrets: HashMap<Digest, Secret>,
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

    /// The secret of a name.
    pub fn secret_of(&self, federation: &str, client: &ClientName) -> Option<&Secret> {
        self.secrets.values().find(|secret| secret.federation == federation && secret.client == *client)
    }

    /// How many clients have joined by an invitation.
    pub fn used(&self, id: i64) -> u32 {
        self.secrets.values().filter(|secret| secret.invitation == Some(id)).count() as u32
    }

    /// An invitation by its number.
    pub fn invitation(&self, id: i64) -> Option<&Invitation> {
        self.invitations.values().find(|invitation| invitation.id == id)
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
        caller.ok_or(Refused::Unauthenticated)
    }
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
