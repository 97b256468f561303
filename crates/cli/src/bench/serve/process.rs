//! A program that was started to be measured: until it answers, what it holds, and its end.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::time::sleep;

/// How long a program may take for anything.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A process and its children. They are killed, by their ids, when this is dropped.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command`, which can be read from; its complaints go to the file `log`.
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(file).spawn();
        let child = child.with_context(|| format!("{} cannot be started", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }

    /// What it prints.
    pub fn output(&mut self) -> Result<ChildStdout> {
        self.child.stdout.take().context("its output is read already")
    }

    /// Waits until `GET path` at `address` is answered with 200. It is asked every millisecond.
    pub async fn until_it_answers(&mut self, address: &str, path: &str) -> Result<()> {
        let began = Instant::now();
        while !answers(address, path).unwrap_or(false) {
            self.is_alive()?;
            anyhow::ensure!(began.elapsed() < PATIENCE, "http://{address}{path} did not answer with 200");
            sleep(Duration::from_millis(1)).await;
        }
        Ok(())
    }

    fn is_alive(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => bail!("it ended at once, {status}: {}", self.last_complaint()),
        }
    }

    /// The last line that it wrote to its log.
    pub fn last_complaint(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().next_back().unwrap_or("it did not say why").to_owned()
    }

    /// What it and its children hold, in MiB, by a field of their status files: `VmRSS` is now, `VmHWM` the most yet. Pages
    /// that they share count once for each.
    pub fn memory_mib(&self, field: &str) -> Result<f64> {
        let held = self.family().into_iter().filter_map(|id| memory_kib(id, field)).sum::<u64>();
        anyhow::ensure!(held > 0, "/proc does not say {field}");
        Ok(held as f64 / 1024.0)
    }

    /// Its own id, and those of its children and theirs.
    fn family(&self) -> Vec<u32> {
        let all: Vec<(u32, u32)> = ids().filter_map(|id| Some((id, parent(id)?))).collect();
        let mut family = vec![self.child.id()];
        let mut next = 0;
        while let Some(id) = family.get(next).copied() {
            family.extend(all.iter().filter(|(_, parent)| *parent == id).map(|(child, _)| child));
            next += 1;
        }
        family
    }

    /// SIGTERM, and then its end.
    pub async fn stop(mut self) -> Result<()> {
        signal("TERM", &[self.child.id()]);
        let began = Instant::now();
        while self.child.try_wait()?.is_none() {
            anyhow::ensure!(began.elapsed() < PATIENCE, "it does not end: {}", self.last_complaint());
            sleep(Duration::from_millis(5)).await;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Its id is its own until it was waited for.
        if matches!(self.child.try_wait(), Ok(None)) {
            signal("KILL", &self.family());
            drop(self.child.wait());
        }
    }
}

fn signal(name: &str, ids: &[u32]) {
    // Who has ended meanwhile needs none.
    let ids = ids.iter().map(u32::to_string);
    drop(Command::new("kill").args(["-s", name]).args(ids).stderr(Stdio::null()).status());
}

/// Whether there is a 200 now.
fn answers(address: &str, path: &str) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
    let mut begin = [0; 12];
    stream.read_exact(&mut begin)?;
    Ok(begin == *b"HTTP/1.1 200")
}

/// Everybody's.
fn ids() -> impl Iterator<Item = u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
}

fn parent(id: u32) -> Option<u32> {
    // 12 (a name) S 1 …; the name may hold anything.
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn memory_kib(id: u32, field: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let value = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.trim().parse().ok()
}
