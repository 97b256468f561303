//! `dure serve` as a process of its own.

use std::{
    io::{BufRead as _, BufReader},
    path::Path,
    process::Command,
    time::Instant,
};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::process::Process;

/// A server that answers.
pub struct Server {
    /// Where.
    pub url: String,
    /// The operator's token, if the folder is new.
    pub token: Option<String>,
    /// From the process's start to its first line, in milliseconds.
    pub line_ms: f64,
    /// From the process's start to the first 200 of `/healthz`, in milliseconds.
    pub healthy_ms: f64,
    /// The process.
    pub process: Process,
}

/// Its first line.
#[derive(Deserialize)]
struct Said {
    listening: String,
    operator_token: Option<String>,
}

impl Server {
    /// Starts this binary's server on the data directory `data`, and waits until it answers.
    pub async fn start(data: &Path) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .env_remove("RUST_LOG")
            .args(["serve", "--json", "--until-stdin-ends", "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(data);
        let started = Instant::now();
        let mut process = Process::start(&mut command, &data.with_extension("log"))?;
        let mut line = String::new();
        BufReader::new(process.output()?).read_line(&mut line)?;
        let line_ms = ms_since(started);
        let said = serde_json::from_str(&line).with_context(|| process.last_complaint());
        let Said { listening: url, operator_token: token } = said?;
        let address = url.strip_prefix("http://").context("a server on loopback speaks HTTP")?;
        process.until_it_answers(address, "/healthz").await?;
        Ok(Self { healthy_ms: ms_since(started), url, token, line_ms, process })
    }
}

/// Milliseconds since `then`.
pub fn ms_since(then: Instant) -> f64 {
    then.elapsed().as_secs_f64() * 1e3
}
