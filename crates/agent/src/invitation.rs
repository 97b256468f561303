//! An invitation as people pass it on: `URL#TOKEN`, where the URL is the server's and the federation's name.

use std::{fmt, str::FromStr};

use dure_core::digest::Digest;
use reqwest::Url;

/// Where to join, and by what right. `Debug` does not show the token.
#[derive(Clone, PartialEq, Eq)]
pub struct Invitation {
    server: String,
    host: String,
    federation: String,
    token: String,
}

/// A text that is no invitation. The messages do not repeat the token.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvitationError {
    /// Nothing after a `#`.
    #[error("an invitation reads URL#TOKEN; this one has no `#`, copy it whole")]
    NoToken,
    /// A token of another shape.
    #[error("the invitation's token has {0} characters where 64 of 0-9 and a-f are expected; copy it whole")]
    Token(usize),
    /// Not a URL.
    #[error("the invitation's URL cannot be read: {0}")]
    Url(String),
    /// Another scheme.
    #[error("the invitation's URL begins with {0}:// where http:// or https:// is expected")]
    Scheme(String),
    /// A user, a password or a query.
    #[error("the invitation's URL has a user, a password or a query, and needs none")]
    Extra,
    /// No federation after the server.
    #[error("the invitation's URL does not end in a federation's name; it reads like https://host:3873/fitbit")]
    NoFederation,
    /// A federation's name of other characters.
    #[error("{0:?} cannot name a federation: use 1 to 64 of a-z, 0-9, '.', '_' and '-'")]
    Federation(String),
}

impl Invitation {
    /// Reads `URL#TOKEN`; spaces and line ends around it are fine.
    pub fn parse(text: &str) -> Result<Self, InvitationError> {
        let (url, token) = text.trim().split_once('#').ok_or(InvitationError::NoToken)?;
        token.parse::<Digest>().map_err(|_| InvitationError::Token(token.chars().count()))?;
        let url = Url::parse(url).map_err(|error| InvitationError::Url(error.to_string()))?;
        check(&url)?;
        let (server, federation) = divide(url.as_str())?;
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        Ok(Self { server, host, federation, token: token.into() })
    }

    /// The server's URL, without a slash at its end.
    pub fn server(&self) -> &str {
        &self.server
    }

    /// The server's name or address.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The federation's name.
    pub fn federation(&self) -> &str {
        &self.federation
    }

    /// The right to join. A secret.
    pub fn token(&self) -> &str {
        &self.token
    }
}

fn check(url: &Url) -> Result<(), InvitationError> {
    if !["http", "https"].contains(&url.scheme()) {
        return Err(InvitationError::Scheme(url.scheme().into()));
    }
    let plain = url.username().is_empty() && url.password().is_none() && url.query().is_none();
    if plain { Ok(()) } else { Err(InvitationError::Extra) }
}

/// The server's URL and the federation's name.
fn divide(url: &str) -> Result<(String, String), InvitationError> {
    let (server, federation) = url.trim_end_matches('/').rsplit_once('/').ok_or(InvitationError::NoFederation)?;
    if server.ends_with('/') {
        return Err(InvitationError::NoFederation);
    }
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let begins_well = federation.starts_with(|c: char| c.is_ascii_alphanumeric());
    if begins_well && federation.len() <= 64 && federation.chars().all(allowed) {
        Ok((server.trim_end_matches('/').into(), federation.into()))
    } else {
        Err(InvitationError::Federation(federation.chars().take(80).collect()))
    }
}

impl FromStr for Invitation {
    type Err = InvitationError;

    fn from_str(text: &str) -> Result<Self, InvitationError> {
        Self::parse(text)
    }
}

impl fmt::Debug for Invitation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Invitation({}/{}#…)", self.server, self.federation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token() -> String {
        "5f".repeat(32)
    }

    #[test]
    fn an_invitation_is_a_server_a_federation_and_a_token() {
        let check = |url: &str, server: &str, host: &str, federation: &str| {
            let read = Invitation::parse(&format!(" {url}#{}\n", token())).unwrap();
            assert_eq!((read.server(), read.host(), read.federation()), (server, host, federation));
            assert_eq!(read.token(), token());
        };
        check("http://127.0.0.1:3873/fitbit", "http://127.0.0.1:3873", "127.0.0.1", "fitbit");
        check("https://dure.example/a-1.b_2/", "https://dure.example", "dure.example", "a-1.b_2");
        check(
            "https://dure.example/behind/a/proxy/fitbit",
            "https://dure.example/behind/a/proxy",
            "dure.example",
            "fitbit",
        );
        check("http://[::1]:80/fitbit", "http://[::1]", "::1", "fitbit");
    }

    #[test]
    fn what_is_no_invitation_says_why_and_keeps_the_token_to_itself() {
        let check = |text: &str, want: &str| {
            let error = Invitation::parse(text).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
            assert!(!error.contains("5f5f"), "{error}");
        };
        let token = token();
        check("http://127.0.0.1:3873/fitbit", "has no `#`");
        check("http://127.0.0.1:3873/fitbit#", "has 0 characters");
        check(&format!("http://127.0.0.1:3873/fitbit#{}", &token[1..]), "has 63 characters");
        check(&format!("http://127.0.0.1:3873/fitbit#{}", token.to_uppercase()), "0-9 and a-f");
        check(&format!("fitbit#{token}"), "cannot be read");
        check(&format!("ftp://host/fitbit#{token}"), "begins with ftp://");
        check(&format!("http://host#{token}"), "does not end in a federation's name");
        check(&format!("http://host/#{token}"), "does not end in a federation's name");
        check(&format!("http://host/Fitbit#{token}"), "\"Fitbit\" cannot name a federation");
        check(&format!("http://host/%2e%2e%2f#{token}"), "cannot name a federation");
        check(&format!("http://me:pass@host/fitbit#{token}"), "a user, a password or a query");
        check(&format!("http://host/fitbit?a=b#{token}"), "a user, a password or a query");
    }

    #[test]
    fn debugging_does_not_show_the_token() {
        let read = Invitation::parse(&format!("http://host/fitbit#{}", token())).unwrap();
        assert_eq!(format!("{read:?}"), "Invitation(http://host/fitbit#…)");
    }
}
