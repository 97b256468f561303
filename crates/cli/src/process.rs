//! What a process that runs for long needs: a runtime, a log, signals, secrets in files.

use std::{
    io::{IsTerminal as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use dure_machine::{
    disk::{Disk as _, SystemDisk},
    files::above,
    kill,
};
use tempfile::NamedTempFile;
use tokio::{runtime, signal, sync::oneshot};
use tracing_subscriber::EnvFilter;

use crate::fail::Fail;

/// A runtime: on all cores for a server, on one thread for what mostly waits.
pub fn runtime(all_cores: bool) -> Result<runtime::Runtime, Fail> {
    let mut builder =
        if all_cores { runtime::Builder::new_multi_thread() } else { runtime::Builder::new_current_thread() };
    // Files are read and updates decoded beside the runtime: more at once than there is memory for is no gain.
    builder.max_blocking_threads(16).thread_keep_alive(FOR_EVER);
    let runtime = builder.enable_all().build().context("no runtime")?;
    // Where the system gives no more threads, work waits for the ones there are. There has to be one.
    runtime.spawn_blocking(|| ());
    Ok(runtime)
}

/// Longer than any process runs.
const FOR_EVER: Duration = Duration::from_secs(100 * 366 * 86_400);

/// From now on only this user reads the files that the process makes: a database makes its own.
pub fn close_files() {
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
}

/// Begins the log on standard error. `RUST_LOG` says how much of it there is.
pub fn log() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false).with_writer(std::io::stderr);
    log.with_ansi(std::io::stderr().is_terminal()).init();
}

/// Raises how many files the process may have open, of which connections are most, to what its user may have, and says how
/// many those are.
pub fn open_files() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    let now = if raised.is_ok() { maximum } else { current };
    now.map_or(usize::MAX, |files| usize::try_from(files).unwrap_or(usize::MAX))
}

/// What reads standard input until that ends.
pub type Read = Box<dyn FnOnce() + Send>;

/// Reads standard input and does nothing with it.
pub fn drain() {
    drop(std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink()));
}

/// As [`stopped_after`], with nothing on standard input that is of interest.
pub fn stopped(stdin: bool) -> Result<impl Future<Output = ()>, Fail> {
    stopped_after(stdin.then(|| Box::new(drain) as Read))
}

/// Ends when the process is told to stop: by SIGTERM, by Ctrl-C, or, if it is to `read` it, when its standard input ends. Signals
/// count from this call on.
pub fn stopped_after(read: Option<Read>) -> Result<impl Future<Output = ()>, Fail> {
    let mut term = signal::unix::signal(signal::unix::SignalKind::terminate()).context("SIGTERM")?;
    let mut interrupt = signal::unix::signal(signal::unix::SignalKind::interrupt()).context("SIGINT")?;
    let (ended, end) = oneshot::channel::<()>();
    let mut never = Some(ended);
    if let Some(read) = read {
        let ended = never.take();
        // A thread of its own: nothing waits for it when the process ends otherwise. Its end of the channel goes with it.
        std::thread::spawn(move || {
            read();
            drop(ended);
        });
    }
    Ok(async move {
        let _never = never;
        tokio::select! {
            _ = term.recv() => {}
            _ = interrupt.recv() => {}
            _ = end => {}
        }
    })
}

/// A file that only its owner reads, and that is there, whole and on the disk, once it is kept.
pub struct PrivateFile {
    file: NamedTempFile,
    path: PathBuf,
}

impl PrivateFile {
    /// Sees that a file can be written at `path`.
    pub fn begin(path: &Path) -> std::io::Result<Self> {
        Ok(Self { file: NamedTempFile::new_in(above(path))?, path: path.to_owned() })
    }

    /// Writes a line, in place of whatever was there.
    pub fn keep(self, line: &str) -> std::io::Result<()> {
        let Self { mut file, path } = self;
        kill::around("keep-file", || {
            writeln!(file, "{line}")?;
            file.as_file().sync_all()?;
            file.persist(&path).map(drop).map_err(|failed| failed.error)
        })?;
        SystemDisk.sync_folder(above(&path))
    }
}
