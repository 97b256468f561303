//! Flower's server, the SuperLink, started and left alone.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf, absolute},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use tokio::time::sleep;

use super::{process::Process, server::ms_since};
use crate::bench::{Peer, median};

/// How often it is started: seconds each.
const STARTS: usize = 3;

/// Medians of starting it.
#[derive(Debug)]
pub struct Flower {
    name: String,
    healthy_ms: f64,
    idle_mib: f64,
    most_mib: f64,
}

impl Flower {
    /// Starts the SuperLink that is beside `python`; `None`, with a word on standard error, where it cannot run.
    pub async fn measure(python: Option<&Path>, folder: &Path, idle: Duration) -> Option<Self> {
        let program = python?.with_file_name("flower-superlink");
        match measure(&program, folder, idle).await {
            Ok(flower) => Some(flower),
            Err(error) => {
                eprintln!("dure: {}: {error:#}", program.display());
                None
            }
        }
    }

    /// From the process's start to the first 200 of `/health`, in milliseconds.
    pub fn healthy(&self) -> Peer {
        self.peer(self.healthy_ms)
    }

    /// What its processes hold while nothing happens, in MiB.
    pub fn idle(&self) -> Peer {
        self.peer(self.idle_mib)
    }

    /// The most that they have held, in MiB.
    pub fn most(&self) -> Peer {
        self.peer(self.most_mib)
    }

    fn peer(&self, value: f64) -> Peer {
        Peer { name: self.name.clone(), value }
    }
}

async fn measure(program: &Path, folder: &Path, idle: Duration) -> Result<Flower> {
    // It is started in another folder than this one.
    let program = &absolute(program)?;
    let name = format!("flower {}", version(program)?);
    let (mut healthy, mut held, mut most) = (vec![], vec![], vec![]);
    for _ in 0..STARTS {
        let started = Instant::now();
        let process = start(program, folder).await?;
        healthy.push(ms_since(started));
        sleep(idle).await;
        held.push(process.memory_mib("VmRSS")?);
        most.push(process.memory_mib("VmHWM")?);
        process.stop().await?;
    }
    Ok(Flower { name, healthy_ms: median(&mut healthy), idle_mib: median(&mut held), most_mib: median(&mut most) })
}

fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().context("it cannot be started")?;
    anyhow::ensure!(output.status.success(), "it does not tell its version: {}", output.status);
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().next_back().unwrap_or_default().to_owned())
}

/// Starts it on a free port, with its home in `folder`, and waits until it answers.
async fn start(program: &Path, folder: &Path) -> Result<Process> {
    let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
    let home = folder.join("flower");
    fs::create_dir_all(&home)?;
    let mut command = Command::new(program);
    command
        .args(["--insecure", "--disable-runtime-dependency-installation", "--port", &address.port().to_string()])
        .current_dir(folder)
        .env("PATH", path(program)?)
        .envs([("FLWR_TELEMETRY_ENABLED", "0"), ("FLWR_DISABLE_UPDATE_CHECK", "1")])
        .env("FLWR_HOME", &home);
    let mut process = Process::start(&mut command, &folder.join("flower.log"))?;
    process.until_it_answers(&address.to_string(), "/health").await?;
    Ok(process)
}

/// It looks for its other programs in the path.
fn path(program: &Path) -> Result<std::ffi::OsString> {
    let others = std::env::var_os("PATH").unwrap_or_default();
    let own = program.parent().map(PathBuf::from);
    Ok(std::env::join_paths(own.into_iter().chain(std::env::split_paths(&others)))?)
}
