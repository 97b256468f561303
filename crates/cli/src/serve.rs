//! `dure serve`

use std::{io::Write as _, path::absolute};

use anyhow::Context as _;
use dure_server::{Config, Server, config::Tls};
use serde_json::json;

use crate::{
    args::Serve,
    fail::Fail,
    page,
    process::{self, PrivateFile},
    recipe::served::BuiltIn,
};

/// Serves until it is told to stop.
pub fn run(args: &Serve) -> Result<String, Fail> {
    dure_machine::kill::prepare().map_err(Fail::usage)?;
    process::log();
    process::close_files();
    process::runtime(true)?.block_on(async {
        let until = process::stopped(args.until_stdin_ends)?;
        let token_file = token_file(args)?;
        let mut server = Server::open(config(args)).await?;
        if args.new_token && server.new_token.is_none() {
            server.renew_token().await.map_err(dure_server::ServeError::from)?;
        }
        announce(args, &server, token_file)?;
        server.run(until).await?;
        Ok(String::new())
    })
}

fn config(args: &Serve) -> Config {
    let tls = args.tls_cert.clone().zip(args.tls_key.clone()).map(|(cert, key)| Tls { cert, key });
    Config {
        data_dir: args.data_dir.clone(),
        listen: args.listen,
        tls,
        insecure_http: args.insecure_http,
        lease: args.lease,
        max_parameters: args.max_parameters as usize,
        max_connections: connections(args.max_connections as usize, process::open_files()),
        page: page::built(),
        reports: None,
        recipes: &BuiltIn,
    }
}

/// As many connections as are wanted, or as the files that may be open leave room for.
fn connections(wanted: usize, open_files: usize) -> usize {
    /// For the stores' own files.
    const RESERVED: usize = 128;
    let room = open_files.saturating_sub(RESERVED).max(1);
    if room < wanted {
        tracing::warn!(
            "{open_files} files may be open, so at most {room} connections are; raise the limit (ulimit -n)"
        );
    }
    room.min(wanted)
}

/// Says where the server listens, and its token if it is new.
fn announce(args: &Serve, server: &Server, token_file: Option<PrivateFile>) -> Result<(), Fail> {
    let scheme = if args.tls_cert.is_some() { "https" } else { "http" };
    let url = format!("{scheme}://{}", server.address);
    let mut told = server.new_token.as_deref();
    if let (Some(token), Some(file)) = (told, token_file) {
        file.keep(token).context("the token cannot be written; --new-token makes another")?;
        told = None;
    }
    let said = if args.json {
        format!("{}\n", json!({"listening": url, "operator_token": told}))
    } else {
        let folder = absolute(&args.data_dir).unwrap_or_else(|_| args.data_dir.clone());
        format!("dure serves on {url}, data in {}\n", folder.display()) + &told.map(token_words).unwrap_or_default()
    };
    // Whoever started it may wait for this line.
    let mut out = std::io::stdout().lock();
    out.write_all(said.as_bytes()).and_then(|()| out.flush()).context("standard output")?;
    Ok(())
}

/// Where a new token goes. Seen to before there is one: it is told once.
fn token_file(args: &Serve) -> Result<Option<PrivateFile>, Fail> {
    let Some(path) = &args.token_file else { return Ok(None) };
    let file = PrivateFile::begin(path).with_context(|| format!("{}: cannot be written", path.display()));
    file.map(Some).map_err(Fail::Usage)
}

fn token_words(token: &str) -> String {
    format!("the operator's token, shown only this once; keep it:\n\n  export DURE_TOKEN={token}\n\n")
}
