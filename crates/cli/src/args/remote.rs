//! Which server, and who may join what it serves.

use std::path::PathBuf;

use clap::{Args as Arguments, Subcommand};
use dure_core::name::ClientName;
use dure_wire::api::ClientState;

use crate::words;

/// Which server, and who asks.
#[derive(Debug, Arguments)]
#[command(next_help_heading = "Server")]
pub struct ServerArgs {
    /// The server; else $DURE_SERVER, else http://127.0.0.1:3873
    #[arg(long, value_name = "URL", global = true)]
    pub server: Option<String>,
    /// A file that holds the operator's token; else $DURE_TOKEN holds it
    #[arg(long, value_name = "FILE", global = true)]
    pub token_file: Option<PathBuf>,
    /// Trust the certificates of this PEM file, and no others
    #[arg(long, value_name = "FILE", global = true)]
    pub ca: Option<PathBuf>,
    /// Send the operator's token by plain HTTP beyond this machine: only where something else encrypts
    #[arg(long, global = true)]
    pub insecure_http: bool,
}

/// Which federation of which server.
#[derive(Debug, Arguments)]
#[command(next_help_heading = "Server")]
pub struct RemoteArgs {
    #[command(flatten)]
    pub server: ServerArgs,
    /// The federation; else $DURE_FEDERATION, else the server's only one
    #[arg(long, value_name = "NAME", global = true)]
    pub federation: Option<String>,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure invite --uses 1 --expires 7d --note 'ward 3' > invitation     and give the file to the site
  dure invite --server https://dure.example.org > invitation         the URL is in it: name the one that sites reach
  dure invite --list
  dure invite --revoke 4")]
pub struct Invite {
    /// How many clients may join by it; any number if absent
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub uses: Option<u32>,
    /// For how long: 45s, 30m, 12h, 7d; for ever if absent
    #[arg(long, value_name = "TIME", value_parser = words::seconds)]
    pub expires: Option<u64>,
    /// For whom it is
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// List the invitations there are
    #[arg(long, conflicts_with_all = ["uses", "expires", "note"])]
    pub list: bool,
    /// Take an invitation back; who has joined by it stays
    #[arg(long, value_name = "ID", conflicts_with_all = ["uses", "expires", "note", "list", "json"])]
    pub revoke: Option<i64>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Arguments)]
#[command(after_help = "\
Examples:
  dure client list --state lost
  dure client evict person-07 --reason 'its clock is wrong'
  dure client release person-07        its name can be joined by another machine")]
pub struct Client {
    #[command(subcommand)]
    pub command: ClientCommand,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Everybody, and how they stand
    List {
        /// Those only that are joined, ready, training, updating, finished, lost, left or evicted
        #[arg(long, value_name = "STATE", value_parser = words::parse::<ClientState>)]
        state: Option<ClientState>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// One client, and what it says of itself
    Show {
        /// The client
        #[arg(value_name = "NAME", value_parser = words::parse::<ClientName>)]
        client: ClientName,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Send a client away for good; it may not come back
    Evict {
        /// The client
        #[arg(value_name = "NAME", value_parser = words::parse::<ClientName>)]
        client: ClientName,
        /// Why, for the client and the journal
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
    },
    /// Forget a client's secret, so that its name can be joined anew: its machine is lost or replaced
    Release {
        /// The client
        #[arg(value_name = "NAME", value_parser = words::parse::<ClientName>)]
        client: ClientName,
    },
}
