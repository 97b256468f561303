//! Which server and which token: what was typed, else the environment. Nothing else reads it.

use std::path::Path;

use anyhow::Context as _;
use dure_core::name::ClientName;
use dure_learn::data::table::read_bounded;
use reqwest::{Certificate, Url, header::HeaderValue};

use crate::{args::ServerArgs, fail::Fail};

/// Where `dure serve` listens unless it is told otherwise.
const DEFAULT: &str = "http://127.0.0.1:3873";

/// The largest token or certificate file that is read, in bytes.
const MAX_BYTES: u64 = 1 << 20;

/// What it takes to ask a server.
pub struct Settings {
    /// The server.
    pub base: Url,
    /// The header that says who asks.
    pub bearer: HeaderValue,
    /// The certificates to trust, and no others; the system's if there are none.
    pub certificates: Vec<Certificate>,
}

impl Settings {
    /// What was typed, and where nothing was, what the environment says.
    pub fn of(args: &ServerArgs) -> Result<Self, Fail> {
        let typed = args.server.clone().or_else(|| variable("DURE_SERVER"));
        let base = base(typed.as_deref().unwrap_or(DEFAULT))?;
        if base.scheme() == "http" && !is_loopback(&base) && !args.insecure_http {
            return Err(Fail::usage(format!(
                "plain http to {} would show the operator's token to everyone on the way; use https, or allow it with --insecure-http",
                base.host_str().unwrap_or_default()
            )));
        }
        let token = match &args.token_file {
            Some(file) => read(file)?,
            None => variable("DURE_TOKEN").ok_or_else(no_token)?,
        };
        let certificates = args.ca.as_deref().map(certificates).transpose()?.unwrap_or_default();
        Ok(Self { base, bearer: bearer(token.trim())?, certificates })
    }

    /// Whether the server is this machine, to which no proxy leads.
    pub fn is_here(&self) -> bool {
        is_loopback(&self.base)
    }
}

/// The federation that was typed or that the environment names.
pub fn federation(typed: Option<&str>) -> Result<Option<String>, Fail> {
    typed.map(str::to_owned).or_else(|| variable("DURE_FEDERATION")).map(|name| checked("federation", name)).transpose()
}

/// A name that can stand in a URL: federations and aliases are called as clients are.
pub fn checked(what: &str, name: String) -> Result<String, Fail> {
    let allowed = "use 1 to 64 of a-z, 0-9, '.', '_' and '-', beginning with a letter or a digit";
    match ClientName::new(name) {
        Ok(name) => Ok(name.into()),
        Err(error) => Err(Fail::usage(format!("{:?} cannot name a {what}: {allowed}", error.0))),
    }
}

/// Whether a URL leads to this machine.
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn base(typed: &str) -> Result<Url, Fail> {
    let wrong = |why: &str| Fail::usage(format!("the server {typed:?} {why}; one reads like {DEFAULT}"));
    let mut url = Url::parse(typed).map_err(|error| wrong(&format!("is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(wrong("is not reached by http or https"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("ends with more than a path"));
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Ok(url)
}

fn no_token() -> Fail {
    Fail::usage(
        "the operator's token is needed: set DURE_TOKEN to it, or name a file that holds it with --token-file. A server \
         prints it when it starts for the first time",
    )
}

fn bearer(token: &str) -> Result<HeaderValue, Fail> {
    let header = HeaderValue::from_str(&format!("Bearer {token}")).ok().filter(|_| !token.is_empty());
    let mut header = header.ok_or_else(|| Fail::usage("the token is none: it has 64 hexadecimal digits"))?;
    header.set_sensitive(true);
    Ok(header)
}

fn read(file: &Path) -> Result<String, Fail> {
    let shown = file.display();
    let bytes =
        read_bounded(file, MAX_BYTES).with_context(|| format!("{shown}: cannot be read")).map_err(Fail::Usage)?;
    String::from_utf8(bytes).map_err(|_| Fail::usage(format!("{shown}: is not UTF-8 text")))
}

fn certificates(file: &Path) -> Result<Vec<Certificate>, Fail> {
    let found = Certificate::from_pem_bundle(read(file)?.as_bytes()).ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| Fail::usage(format!("{}: has no certificate in PEM form", file.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_url_without_its_last_slash() {
        for (typed, want) in
            [("http://127.0.0.1:3873", "http://127.0.0.1:3873/"), ("https://a.example/dure/", "https://a.example/dure")]
        {
            assert_eq!(base(typed).map(String::from).unwrap(), want);
        }
        for bad in ["", "127.0.0.1:3873", "localhost:3873", "ftp://a", "http://a?x=1", "http://a/#b"] {
            let error = base(bad).unwrap_err().to_string();
            assert!(error.contains("one reads like http://127.0.0.1:3873"), "{error}");
        }
    }

    #[test]
    fn only_this_machine_is_loopback() {
        let loopback = |url: &str| is_loopback(&Url::parse(url).unwrap());
        assert!(
            ["http://127.0.0.1:1", "http://localhost", "http://[::1]:3873", "http://127.9.9.9"].map(loopback)
                == [true; 4]
        );
        assert!(["http://10.0.0.1", "https://localhost.example", "http://[2001:db8::1]"].map(loopback) == [false; 3]);
    }

    #[test]
    fn a_token_that_no_header_can_carry_is_refused() {
        assert!(bearer("5f0c").is_ok());
        for bad in ["", "two\nlines"] {
            assert_eq!(bearer(bad).unwrap_err().to_string(), "the token is none: it has 64 hexadecimal digits");
        }
    }
}
