//! `dure demo`: a server and a few agents as real processes on this machine, training on made-up people.

pub mod chaos;

use std::{
    ffi::OsStr,
    fs::{DirEntry, File},
    io::{BufRead as _, BufReader, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use dure_wire::api::{ClientState, FederationView};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    args::{Demo, Job, JobCommand, RemoteArgs, ServerArgs, Start},
    fail::Fail,
    job, process,
    remote::Remote,
};

/// How the names of the demos' folders begin.
const FOLDER: &str = "dure-demo-";

/// The file in a demo's folder that it holds locked.
const LOCK: &str = "lock";

/// What the server is called on this stage.
const SERVER: &str = "server";

/// How many agents there are, each with its part of the people.
pub const AGENTS: usize = 4;

/// What the job has in place of the recipe's own keys.
const KEYS: [&str; 3] = ["rounds=40", "training.epochs=3", "cohort.min_clients=33"];

/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_secs(90);

/// Shows a federation at work: each command that is run, and the job, live. Everything is gone at the end.
pub fn run(args: &Demo) -> Result<String, Fail> {
    let (stage, remote) = Stage::set(args.seed, false)?;
    if args.chaos {
        chaos::watch(&stage)?
    } else {
        stage.watch()?
    }
    stage.compare()?;
    let events = remote.get::<FederationView>("")?.journal.sequence;
    stage.curtain();
    Ok(format!("\nThe server and its agents have ended; the journal had {events} events. Nothing is left behind.\n"))
}

/// A folder with everything, and who runs in it.
pub struct Stage {
    folder: TempDir,
    /// Held as long as this process lives; see [`clear`].
    _lock: File,
    seed: u64,
    /// Whether nobody looks on.
    quiet: bool,
    /// The server's URL, once there is one.
    server: String,
    /// Who plays, in the order in which they came.
    cast: Arc<Mutex<Vec<Player>>>,
}

/// A process that ends when its standard input does: also when this one is killed.
struct Player {
    part: Part,
    child: Child,
}

/// What somebody plays, also when it has to enter again.
#[derive(Clone)]
struct Part {
    name: String,
    args: Vec<String>,
    invitation: Option<String>,
}

impl Stage {
    /// Everybody is there, and no job has begun. If `quiet`, nothing is said.
    pub fn set(seed: u64, quiet: bool) -> Result<(Self, Remote), Fail> {
        let (mut stage, text) = (Self::new(seed, quiet)?, seed.to_string());
        stage.say(
            "33 made-up people wear a tracker. Each keeps the rows of its days; together they train one model that tells the\n\
             calories of a day. What leaves a person is an update of the model, never a row.\n\n",
        )?;
        stage.alone(&["data", "generate", "fitbit", "--seed", &text, "--out", "people"])?;
        stage.server = stage.serve()?;
        stage.dure(&["federation", "create", "fitbit"])?;
        let invitation = stage.invite()?;
        for i in 1..=AGENTS {
            stage.join(&invitation, i)?;
        }
        let (remote, _) = Remote::federation(&stage.remote_args())?;
        stage.until_ready(&remote)?;
        Ok((stage, remote))
    }

    fn new(seed: u64, quiet: bool) -> Result<Self, Fail> {
        clear(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(FOLDER).tempdir().context("a temporary folder")?;
        let lock = File::create(folder.path().join(LOCK)).context("a lock")?;
        lock.try_lock().map_err(std::io::Error::from).context("a lock")?;
        let stage = Self { folder, _lock: lock, seed, quiet, server: String::new(), cast: Arc::default() };
        stage.heed_signals()?;
        Ok(stage)
    }

    /// Says it to those who look on, at once.
    fn say(&self, text: &str) -> Result<(), Fail> {
        if self.quiet {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")?;
        Ok(())
    }

    /// Told to stop in the middle, everybody goes home first, and the folder is removed.
    fn heed_signals(&self) -> Result<(), Fail> {
        let (cast, folder) = (self.cast.clone(), self.folder.path().to_owned());
        let runtime = process::runtime(false)?;
        let stopped = runtime.block_on(async { process::stopped(false) })?;
        std::thread::spawn(move || {
            runtime.block_on(stopped);
            go_home(&cast);
            drop(std::fs::remove_dir_all(folder));
            eprintln!("\nstopped: the server and its agents have ended, and nothing is left behind");
            std::process::exit(130);
        });
        Ok(())
    }

    /// Everybody goes home.
    pub fn curtain(&self) {
        go_home(&self.cast);
    }

    /// Kills an agent, who does not come back.
    pub fn kill_for_good(&self, agent: usize) {
        let mut cast = self.cast.lock().unwrap_or_else(PoisonError::into_inner);
        cast.get_mut(agent).into_iter().for_each(Player::die);
    }

    fn enters(&self, part: Part, child: Child) {
        self.cast.lock().unwrap_or_else(PoisonError::into_inner).push(Player { part, child });
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// This binary, in the folder, as the operator.
    fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Command, Fail> {
        let mut command = Command::new(std::env::current_exe().context("this program")?);
        command.args(args).current_dir(self.folder.path()).env_remove("DURE_DATA").env_remove("DURE_FEDERATION");
        command.env("DURE_SERVER", &self.server).env_remove("DURE_TOKEN");
        Ok(command)
    }

    /// A command of the operator, shown and run to its end; what it said.
    pub fn dure(&self, args: &[&str]) -> Result<String, Fail> {
        self.said(args, &["--token-file", "token"])
    }

    /// A command that needs no server.
    fn alone(&self, args: &[&str]) -> Result<String, Fail> {
        self.said(args, &[])
    }

    fn said(&self, args: &[&str], more: &[&str]) -> Result<String, Fail> {
        let shown = args.join(" ");
        self.say(&format!("$ dure {shown}\n"))?;
        let mut command = self.command(args.iter().chain(more))?;
        let output = command.stderr(Stdio::inherit()).output().with_context(|| format!("dure {shown}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
            false => Err(anyhow!("dure {shown}: {}", output.status).into()),
        }
    }

    /// Starts a command that runs for long. Its log is a file in the folder.
    fn start(&self, part: &Part) -> Result<Child, Fail> {
        let log = File::options().create(true).append(true).open(self.path(&format!("{}.log", part.name)));
        let mut command = self.command(&part.args)?;
        command.arg("--until-stdin-ends").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.context("a log")?);
        command.envs(part.invitation.iter().map(|text| ("DURE_INVITATION", text)));
        Ok(command.spawn().with_context(|| format!("dure {}", part.args.join(" ")))?)
    }

    /// As above, for all to see.
    fn show(&self, name: &str, args: &[&str], invitation: Option<&str>) -> Result<(Part, Child), Fail> {
        self.say(&format!("$ dure {} &\n", args.join(" ")))?;
        let (args, invitation) = (args.iter().map(|&arg| arg.to_owned()).collect(), invitation.map(str::to_owned));
        let part = Part { name: name.to_owned(), args, invitation };
        let child = self.start(&part)?;
        Ok((part, child))
    }

    fn serve(&self) -> Result<String, Fail> {
        #[derive(Deserialize)]
        struct Told {
            listening: String,
        }
        let args = ["serve", "--listen", "127.0.0.1:0", "--data-dir", "server", "--token-file", "token", "--json"];
        let (mut part, mut child) = self.show(SERVER, &args, None)?;
        let out = child.stdout.take().context("the server's output")?;
        let mut line = String::new();
        BufReader::new(out).read_line(&mut line).context("the server's output")?;
        let told = serde_json::from_str(&line);
        if let Ok(Told { listening }) = &told {
            // The next time it listens where the others know it to be.
            part.args[2] = listening.trim_start_matches("http://").to_owned();
        }
        self.enters(part, child);
        let told = told.map_err(|_| anyhow!("{}", self.log("server.log")))?;
        self.say(&format!("  listening on {}\n", told.listening))?;
        Ok(told.listening)
    }

    fn invite(&self) -> Result<String, Fail> {
        let said = self.dure(&["invite"])?;
        let url = said.split('#').next().unwrap_or_default();
        self.say(&format!("  {url}#…\n"))?;
        Ok(said.trim().to_owned())
    }

    fn join(&self, invitation: &str, i: usize) -> Result<(), Fail> {
        let (part, state) = (format!("{i}/{AGENTS}"), format!("agent-{i}"));
        let args = ["join", "--data", "people", "--part", &part, "--share", "rows,labels", "--state-dir", &state];
        let (part, child) = self.show(&state, &args, Some(invitation))?;
        self.enters(part, child);
        Ok(())
    }

    fn remote_args(&self) -> RemoteArgs {
        let server = ServerArgs {
            server: Some(self.server.clone()),
            token_file: Some(self.path("token")),
            ca: None,
            insecure_http: false,
        };
        RemoteArgs { server, federation: Some("fitbit".into()) }
    }

    /// Waits until everybody takes part.
    fn until_ready(&self, remote: &Remote) -> Result<(), Fail> {
        let began = Instant::now();
        loop {
            let view: FederationView = remote.get("")?;
            let ready = view.clients.get(&ClientState::Ready).copied().unwrap_or(0);
            if ready == 33 {
                return self.say(&format!("  {ready} clients in {AGENTS} processes are ready\n\n"));
            }
            if began.elapsed() > PATIENCE {
                return Err(anyhow!("only {ready} of 33 clients came\n{}", self.log("agent-1.log")).into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The job, live. In this process: one of its own would outlive a demo that is killed.
    fn watch(&self) -> Result<(), Fail> {
        self.say(&format!("$ dure job start fitbit {} --seed {} --watch\n\n", KEYS.join(" "), self.seed))?;
        let (what, overrides) = ("fitbit".into(), KEYS.map(str::to_owned).into());
        let start = Start { what, overrides, seed: Some(self.seed), rounds: None, watch: true, json: false };
        job::run(&Job { command: JobCommand::Start(start), remote: self.remote_args() })?;
        Ok(())
    }

    /// Whether the simulator comes to the same bits.
    fn compare(&self) -> Result<(), Fail> {
        let served = digest(&self.dure(&["model", "show", "--json"])?, &["sha256"])?;
        let seed = self.seed.to_string();
        let simulate = [&["simulate", "fitbit"][..], &KEYS, &["--seed", &seed, "--data", "people", "--json"]].concat();
        let simulated = digest(&self.alone(&simulate)?, &["model", "sha256"])?;
        let verdict = if served == simulated { "the same bits" } else { "OTHER bits: please report it" };
        self.say(&format!("\nserved     {served}\nsimulated  {simulated}\n           {verdict}\n"))
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// A text inside of JSON.
fn digest(json: &str, path: &[&str]) -> Result<String, Fail> {
    let value: serde_json::Value = serde_json::from_str(json)?;
    let found = path.iter().fold(&value, |value, key| &value[*key]);
    Ok(found.as_str().context("no digest was told")?.to_owned())
}

/// Removes what this user's demos have left that were killed: nobody holds their locks.
fn clear(folder: &Path) {
    let own = |entry: &DirEntry| {
        let ours =
            entry.metadata().is_ok_and(|found| found.is_dir() && found.uid() == rustix::process::geteuid().as_raw());
        ours && entry.file_name().to_string_lossy().starts_with(FOLDER)
    };
    for left in std::fs::read_dir(folder).into_iter().flatten().flatten().filter(own) {
        // One that has no lock may be about to take it.
        if File::open(left.path().join(LOCK)).is_ok_and(|lock| lock.try_lock().is_ok()) {
            drop(std::fs::remove_dir_all(left.path()));
        }
    }
}

/// The last who came goes first: the server hears everybody's goodbye.
fn go_home(cast: &Mutex<Vec<Player>>) {
    let mut cast = cast.lock().unwrap_or_else(PoisonError::into_inner);
    while let Some(player) = cast.pop() {
        drop(player);
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.curtain();
    }
}

impl Player {
    /// As by `kill -9`.
    fn die(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let began = Instant::now();
        while began.elapsed() < Duration::from_secs(15) {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // It had its time.
        self.die();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_killed_demo_left_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["killed", "alive", "begins"].map(|name| folder.path().join(format!("{FOLDER}{name}")));
        let foreign = folder.path().join("thesis");
        paths.iter().chain([&foreign]).for_each(|path| std::fs::create_dir(path).unwrap());
        let lock = |path: &Path| File::create(path.join(LOCK)).unwrap();
        drop(lock(&paths[0]));
        drop(lock(&foreign));
        let held = lock(&paths[1]);
        held.try_lock().unwrap();
        clear(folder.path());
        let there = [&paths[0], &paths[1], &paths[2], &foreign].map(|path| path.exists());
        assert_eq!(there, [false, true, true, true]);
    }
}
