//! `dure serve`

use std::{
    io::Write as _,
    path::absolute,
    sync::{Arc, mpsc::Receiver},
};

use anyhow::Context as _;
use dure_server::{Config, Server, config::Tls, demo::Demo};
use serde_json::json;

use crate::{
    args::Serve,
    fail::Fail,
    page,
    process::{self, PrivateFile, Read},
    recipe::served::BuiltIn,
};

/// Serves until it is told to stop.
pub fn run(args: &Serve) -> Result<String, Fail> {
    dure_machine::kill::prepare().map_err(Fail::usage)?;
    process::log();
    process::close_files();
    process::runtime(true)?.block_on(async {
        let (demo, wishes) = if args.demo { Some(Demo::new()).unzip() } else { (None, None) };
        let demo = demo.map(Arc::new);
        let hear = demo.clone().map(|demo| Box::new(move || hear(&demo)) as Read);
        let until = process::stopped_after(hear.or(args.until_stdin_ends.then_some(Box::new(process::drain))))?;
        let token_file = token_file(args)?;
        let mut server = Server::open(Config { demo, ..config(args) }).await?;
        if args.new_token && server.new_token.is_none() {
            server.renew_token().await.map_err(dure_server::ServeError::from)?;
        }
        announce(args, &server, token_file)?;
        // After the first line, for which whoever started it waits.
        wishes.into_iter().for_each(|wishes| drop(std::thread::spawn(move || wish(&wishes))));
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
        demo: None,
        recipes: &BuiltIn,
    }
}

/// Hears which agents a demo has, until standard input ends.
fn hear(demo: &Demo) {
    for line in std::io::stdin().lines().map_while(Result::ok) {
        match serde_json::from_str(&line) {
            Ok(agents) => demo.set(agents),
            Err(error) => tracing::warn!("a line of standard input says no agents: {error}"),
        }
    }
}

/// Says which of them are to be killed.
fn wish(kills: &Receiver<String>) {
    for name in kills {
        let mut out = std::io::stdout().lock();
        drop(writeln!(out, "{}", json!({"kill": name})).and_then(|()| out.flush()));
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
