//! Serving a federation and joining one.

use std::{collections::BTreeSet, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args as Arguments;
use dure_agent::policy::Share;
use dure_server::config::{CONNECTIONS, MAX_PARAMETERS, PARAMETERS, PORT};

use crate::words;

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure serve                                              on this machine only; the operator's token is printed once
  dure serve --listen 0.0.0.0:3873 --tls-cert chain.pem --tls-key key.pem
  dure serve --listen 0.0.0.0:3873 --insecure-http        behind something that speaks TLS

Everything is in the data directory; copy it while the server is stopped. Logs go to standard error; RUST_LOG says how much.")]
pub struct Serve {
    /// The folder of the journals, the models and the secrets' digests
    #[arg(long, value_name = "DIR", default_value = "dure-data")]
    pub data_dir: PathBuf,
    /// Where to listen; port 0 takes a free one
    #[arg(long, value_name = "ADDR", default_value_t = SocketAddr::from(([127, 0, 0, 1], PORT)))]
    pub listen: SocketAddr,
    /// The certificate chain, as PEM, the server's own first
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// The certificate's key, as PEM
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Speak plain HTTP beyond this machine: only where something else encrypts
    #[arg(long, conflicts_with = "tls_cert")]
    pub insecure_http: bool,
    /// How long a client that is not heard of stays: 30s, 5m
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = length)]
    pub lease: Duration,
    /// The most parameters that a job's model may have; each is 4 bytes of a version's file, and more of memory
    #[arg(long, value_name = "N", default_value_t = PARAMETERS as u64, value_parser = clap::value_parser!(u64).range(1..=MAX_PARAMETERS as u64))]
    pub max_parameters: u64,
    /// Connections that may be open at a time; each client holds one or two. Files that may be open are a limit, too
    #[arg(long, value_name = "N", default_value_t = CONNECTIONS as u32, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub max_connections: u32,
    /// Write a new operator's token to this file instead of the terminal
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// Make a new operator's token; the old one is worth nothing from then on
    #[arg(long)]
    pub new_token: bool,
    /// Stop as well when standard input ends: whoever started it need not live to stop it
    #[arg(long)]
    pub until_stdin_ends: bool,
    /// Print where it listens, and a new token, as a line of JSON
    #[arg(long)]
    pub json: bool,
    /// Let a demo's dashboard kill its agents: lines of standard input say which there are, of standard output which to kill
    #[arg(long, hide = true, requires = "until_stdin_ends")]
    pub demo: bool,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure join --invitation invitation --data DIR            every person in the data is a client
  dure join --invitation - --data DIR < invitation
  dure join --invitation invitation --data DIR --part 2/4     the second quarter of them
  dure join --invitation invitation --data DIR --policy policy.toml --status 127.0.0.1:3874

An invitation can also be in $DURE_INVITATION. Give one as an argument (URL#TOKEN) only where nobody else sees the list of processes.
A policy says what the site takes part in; what it does not accept is declined with the reason:
  federations = [\"fitbit\"]
  recipes = [\"fitbit\"]
  max_epochs = 20
  max_personalise_epochs = 100
  hours = \"20:00-06:00\"
  max_parameters = 1000000
  min_cohort = 5
  min_rows = 5
  share = [\"rows\", \"labels\"]")]
pub struct Join {
    /// The invitation itself: URL#TOKEN
    #[arg(value_name = "URL#TOKEN", conflicts_with = "invitation_file")]
    pub invitation: Option<String>,
    /// A file that holds the invitation; - is standard input; else $DURE_INVITATION holds it
    #[arg(long = "invitation", value_name = "FILE")]
    pub invitation_file: Option<PathBuf>,
    /// The folder that holds the data set. Without it $DURE_DATA/<data set>
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// The recipe whose [site] says how the rows are read; by default the one that the federation names
    #[arg(long, value_name = "RECIPE")]
    pub recipe: Option<String>,
    /// What the client is called; where the data hold several, what stands before their numbers
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Run only a part of the data's clients: 2/4 is the second quarter
    #[arg(long, value_name = "I/N", value_parser = part)]
    pub part: Option<Part>,
    /// The folder of secrets and kept answers; by default one for each federation below ~/.local/state/dure
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE")]
    pub ca: Option<PathBuf>,
    /// What the site takes part in, as TOML
    #[arg(long, value_name = "FILE")]
    pub policy: Option<PathBuf>,
    /// What the server is told of the data, in place of the policy's `share`: rows, labels, both or ""
    #[arg(long, value_name = "WHAT", value_parser = share)]
    pub share: Option<Shares>,
    /// Show what the site does on a page at this loopback address, such as 127.0.0.1:3874
    #[arg(long, value_name = "ADDR")]
    pub status: Option<SocketAddr>,
    /// Tasks that are worked on at a time. All cores if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
    /// Speak plain HTTP beyond this machine: only where something else encrypts
    #[arg(long)]
    pub insecure_http: bool,
    /// Stop as well when standard input ends: whoever started it need not live to stop it
    #[arg(long)]
    pub until_stdin_ends: bool,
}

/// What is told of the data.
pub type Shares = BTreeSet<Share>;

fn share(text: &str) -> Result<Shares, String> {
    let one = |text: &str| match text.trim() {
        "rows" => Ok(Share::Rows),
        "labels" => Ok(Share::Labels),
        other => Err(format!("{other:?} cannot be shared; rows and labels can")),
    };
    text.split(',').filter(|text| !text.trim().is_empty()).map(one).collect()
}

/// The i-th of n parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// Counted from 1.
    pub i: usize,
    /// How many there are.
    pub n: usize,
}

fn part(text: &str) -> Result<Part, String> {
    let refused = || "a part reads 2/4: the second of four".to_owned();
    let (i, n) = text.split_once('/').ok_or_else(refused)?;
    let part = Part { i: i.parse().map_err(|_| refused())?, n: n.parse().map_err(|_| refused())? };
    if (1..=part.n).contains(&part.i) { Ok(part) } else { Err(refused()) }
}

fn length(text: &str) -> Result<Duration, String> {
    let seconds = words::seconds(text)?;
    let allowed = (1..=7 * 86_400).contains(&seconds);
    if allowed { Ok(Duration::from_secs(seconds)) } else { Err("1s to 7d".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shared_is_named() {
        assert_eq!(share(""), Ok(Shares::new()));
        assert_eq!(share("labels,rows"), Ok(Shares::from([Share::Rows, Share::Labels])));
        assert_eq!(share("names"), Err("\"names\" cannot be shared; rows and labels can".into()));
    }

    #[test]
    fn parts_are_counted_from_one() {
        assert_eq!(part("2/4"), Ok(Part { i: 2, n: 4 }));
        for bad in ["", "2", "0/4", "5/4", "a/b", "1/0", "-1/4"] {
            assert!(part(bad).is_err(), "{bad}");
        }
    }
}
