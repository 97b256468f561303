//! `dure demo`: a server and a few agents as real processes on this machine, training on made-up people, for all to see in the
//! terminal and in the dashboard.

mod cast;
pub mod chaos;

use std::{
    ffi::OsStr,
    fs::{DirEntry, File},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, anyhow};
use dure_wire::api::{ClientState, FederationView, SystemView};
use serde::Deserialize;
use tempfile::TempDir;

use crate::{
    args::{self, DataArgs, Demo, Job, JobCommand, RecipeArgs, RemoteArgs, ServerArgs, Start},
    browser,
    fail::Fail,
    job, join, process,
    remote::Remote,
    source,
};
use cast::{AWAY, Cast, Part};

/// How the names of the demos' folders begin.
const FOLDER: &str = "dure-demo-";

/// The file in a demo's folder that it holds locked.
const LOCK: &str = "lock";

/// What the server is called on this stage.
const SERVER: &str = "server";

/// How many agents there are, each with its part of the people.
pub const AGENTS: usize = 4;

/// What the job has in place of the recipe's own keys: it is over in seconds, and every round has everybody.
const KEYS: &[&str] = &["rounds=40", "training.epochs=3", "cohort.min_clients=33"];

/// The same where the dashboard is looked at: there is time to look, and rounds go on without an agent or two.
const LONG_KEYS: &[&str] = &[
    "rounds=600",
    "training.epochs=3",
    "training.optimizer.learning_rate=0.0001",
    "cohort.min_clients=16",
    "cohort.quorum=16",
];

/// For how long a client that is not heard of stays, where the dashboard is looked at: shorter than an agent is away, who is then
/// seen to be lost, and long enough for a busy machine: agents renew it every third of that.
const LEASE_S: u64 = 4;
const _: () = assert!(LEASE_S < AWAY.as_secs());

/// How long the agents wait for somebody who looks: a browser that is open has the page by then.
const CURTAIN: Duration = Duration::from_secs(1);

/// How long anything may take to be there.
const PATIENCE: Duration = Duration::from_secs(90);

/// For whom it is played.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Nobody: nothing is said.
    Nobody,
    /// Readers of the terminal. It is over in seconds.
    Terminal,
    /// Those who look at the dashboard, too, in a browser that is opened for them or in their own. It is over when they say so.
    Dashboard {
        /// Whether a browser is opened.
        open: bool,
    },
}

impl Audience {
    fn of(args: &Demo) -> Self {
        let open = !args.no_browser && browser::is_there();
        if open || args.stay { Self::Dashboard { open } } else { Self::Terminal }
    }

    /// Whether there is time to look, and an end only when it is asked for.
    fn stays(self) -> bool {
        matches!(self, Self::Dashboard { .. })
    }
}

/// Shows a federation at work: each command that is run, and the job, live. Everything is gone at the end.
pub fn run(args: &Demo) -> Result<String, Fail> {
    let (stage, remote) = Stage::set(args.seed, Audience::of(args))?;
    let played = play(&stage, args.chaos);
    if stage.audience.stays() {
        return stage.stay(played);
    }
    played?;
    let events = remote.get::<FederationView>("")?.journal.sequence;
    stage.curtain();
    Ok(format!("\nThe server and its agents have ended; the journal had {events} events. Nothing is left behind.\n"))
}

fn play(stage: &Stage, chaos: bool) -> Result<(), Fail> {
    if chaos {
        chaos::watch(stage)?
    } else {
        stage.watch()?
    }
    stage.compare()
}

/// A folder with everything, and who runs in it.
pub struct Stage {
    folder: TempDir,
    /// Held as long as this process lives; see [`clear`].
    _lock: File,
    seed: u64,
    audience: Audience,
    /// The server's URL, once there is one.
    server: String,
    cast: Cast,
    /// Whether there is no more to come: an end is no interruption.
    over: Arc<AtomicBool>,
}

impl Stage {
    /// Everybody is there, and no job has begun.
    pub fn set(seed: u64, audience: Audience) -> Result<(Self, Remote), Fail> {
        let (mut stage, text) = (Self::new(seed, audience)?, seed.to_string());
        stage.say(
            "33 made-up people wear a tracker. Each keeps the rows of its days; together they train one model that tells the\n\
             calories of a day. What leaves a person is an update of the model, never a row.\n\n",
        )?;
        stage.server = stage.serve()?;
        let link = stage.link()?;
        stage.say(&format!("  the dashboard: {link}\n"))?;
        stage.dure(&["federation", "create", "fitbit"])?;
        if audience == (Audience::Dashboard { open: true })
            && let Err(error) = browser::open(&link)
        {
            stage.say(&format!("  no browser can be opened ({error}); open that address\n"))?;
        }
        stage.alone(&["data", "generate", "fitbit", "--seed", &text, "--out", "people"])?;
        if audience.stays() {
            stage.until_looked_at()?;
        }
        let (invitation, names) = (stage.invite()?, stage.names()?);
        for i in 1..=AGENTS {
            let part = args::Part { i, n: AGENTS };
            stage.join(&invitation, i, join::part_of(names.clone(), Some(part)))?;
        }
        let (remote, _) = Remote::federation(&stage.remote_args())?;
        stage.until_ready(&remote)?;
        Ok((stage, remote))
    }

    fn new(seed: u64, audience: Audience) -> Result<Self, Fail> {
        clear(&std::env::temp_dir());
        let folder = tempfile::Builder::new().prefix(FOLDER).tempdir().context("a temporary folder")?;
        let lock = File::create(folder.path().join(LOCK)).context("a lock")?;
        lock.try_lock().map_err(std::io::Error::from).context("a lock")?;
        let (server, cast, over) = (String::new(), Cast::default(), Arc::default());
        let stage = Self { folder, _lock: lock, seed, audience, server, cast, over };
        stage.heed_signals()?;
        Ok(stage)
    }

    /// Says it to those who look on, at once.
    fn say(&self, text: &str) -> Result<(), Fail> {
        if self.audience == Audience::Nobody { Ok(()) } else { cast::say(text) }
    }

    /// Told to stop, everybody goes home first, and the folder is removed.
    fn heed_signals(&self) -> Result<(), Fail> {
        let (cast, folder, over) = (self.cast.clone(), self.folder.path().to_owned(), self.over.clone());
        let runtime = process::runtime(false)?;
        let stopped = runtime.block_on(async { process::stopped(false) })?;
        std::thread::spawn(move || {
            runtime.block_on(stopped);
            cast.go_home();
            drop(std::fs::remove_dir_all(folder));
            eprintln!("\nstopped: the server and its agents have ended, and nothing is left behind");
            std::process::exit(if over.load(Ordering::Relaxed) { 0 } else { 130 });
        });
        Ok(())
    }

    /// Everybody goes home.
    pub fn curtain(&self) {
        self.cast.go_home();
    }

    /// Serves on, for those who look around, until it is told to stop. `played` is told of before.
    fn stay(&self, played: Result<(), Fail>) -> Result<String, Fail> {
        if let Err(fail) = played {
            eprintln!("dure: {fail}");
        }
        self.say(&format!(
            "\nThe server and its agents stay until Ctrl-C, for you to look around. The dashboard:\n  {}\n",
            self.link()?
        ))?;
        self.over.store(true, Ordering::Relaxed);
        loop {
            std::thread::park();
        }
    }

    /// Kills an agent, who does not come back.
    pub fn kill_for_good(&self, agent: usize) {
        self.cast.kill(agent);
    }

    /// The address that shows the federation and signs in by itself.
    fn link(&self) -> Result<String, Fail> {
        let token = std::fs::read_to_string(self.path("token")).context("the operator's token")?;
        Ok(browser::link(&self.server, "/federations/fitbit", token.trim()))
    }

    /// What the job has in place of the recipe's own keys.
    fn keys(&self) -> &'static [&'static str] {
        if self.audience.stays() { LONG_KEYS } else { KEYS }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// This binary, in the folder, as the operator.
    fn command<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(&self, args: I) -> Result<Command, Fail> {
        let mut command = cast::dure(self.folder.path())?;
        command.args(args).env("DURE_SERVER", &self.server);
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

    /// A command that runs for long, for all to see.
    fn part(&self, name: &str, args: &[&str]) -> Result<Part, Fail> {
        self.say(&format!("$ dure {} &\n", args.join(" ")))?;
        let args = args.iter().map(|&arg| arg.to_owned()).collect();
        Ok(Part {
            name: name.to_owned(),
            args,
            invitation: None,
            clients: vec![],
            folder: self.folder.path().to_owned(),
        })
    }

    fn serve(&self) -> Result<String, Fail> {
        #[derive(Deserialize)]
        struct Told {
            listening: String,
        }
        let lease = format!("{LEASE_S}s");
        let mut args =
            vec!["serve", "--listen", "127.0.0.1:0", "--data-dir", "server", "--token-file", "token", "--json"];
        if self.audience.stays() {
            args.extend(["--lease", &lease]);
        }
        let mut part = self.part(SERVER, &args)?;
        part.args.push("--demo".into());
        let mut listening = None;
        self.cast.enter_server(part, |line, part| {
            if let Ok(told) = serde_json::from_str::<Told>(line) {
                // The next time it listens where the others know it to be.
                part.args[2] = told.listening.trim_start_matches("http://").to_owned();
                listening = Some(told.listening);
            }
        })?;
        let listening = listening.ok_or_else(|| anyhow!("{}", self.log("server.log")))?;
        self.say(&format!("  listening on {listening}\n"))?;
        Ok(listening)
    }

    fn invite(&self) -> Result<String, Fail> {
        let said = self.dure(&["invite"])?;
        let url = said.split('#').next().unwrap_or_default();
        self.say(&format!("  {url}#…\n"))?;
        Ok(said.trim().to_owned())
    }

    fn join(&self, invitation: &str, i: usize, clients: Vec<String>) -> Result<(), Fail> {
        let (part, state) = (format!("{i}/{AGENTS}"), format!("agent-{i}"));
        let args = ["join", "--data", "people", "--part", &part, "--share", "rows,labels", "--state-dir", &state];
        let part = self.part(&state, &args)?;
        self.cast.enter(Part { invitation: Some(invitation.to_owned()), clients, ..part })
    }

    /// What the made-up people are called, in their order.
    fn names(&self) -> Result<Vec<String>, Fail> {
        let found = source::recipe(&RecipeArgs { recipe: "fitbit".into(), overrides: vec![], smoke: false })?;
        let data = source::data(&found, &DataArgs { data: Some(self.path("people")), seed: self.seed })?;
        Ok(data.clients.iter().map(|client| client.name.to_string()).collect())
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

    /// Waits until somebody follows the federation's events, if anybody is to: so joining is seen.
    fn until_looked_at(&self) -> Result<(), Fail> {
        let (remote, began) = (Remote::open(&self.remote_args().server)?, Instant::now());
        while began.elapsed() < CURTAIN {
            let view: SystemView = remote.get("system")?;
            if view.federations.iter().any(|federation| federation.followers > 0) {
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
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
        let keys = self.keys();
        self.say(&format!("$ dure job start fitbit {} --seed {} --watch\n\n", keys.join(" "), self.seed))?;
        let (what, overrides) = ("fitbit".into(), keys.iter().map(|&key| key.to_owned()).collect());
        let start = Start { what, overrides, seed: Some(self.seed), rounds: None, watch: true, json: false };
        job::run(&Job { command: JobCommand::Start(start), remote: self.remote_args() })?;
        Ok(())
    }

    /// Whether the simulator comes to the same bits: by itself or, where clients may have come and gone, by what the journal says of
    /// who answered.
    fn compare(&self) -> Result<(), Fail> {
        let served = digest(&self.dure(&["model", "show", "--json"])?, &["sha256"])?;
        let (data, seed) = (["--data", "people", "--json"], self.seed.to_string());
        let simulate = if self.audience.stays() {
            self.dure(&["federation", "export", "--out", "journal.jsonl"])?;
            [&["simulate", "fitbit", "--replay", "journal.jsonl"][..], &data].concat()
        } else {
            [&["simulate", "fitbit"][..], KEYS, &["--seed", &seed], &data].concat()
        };
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

impl Drop for Stage {
    fn drop(&mut self) {
        self.curtain();
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
