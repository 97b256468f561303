//! Who plays: processes that end when their standard input does, so also when this one is killed. One that dies can come again.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write as _},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use dure_wire::api::DemoAgent;
use serde::Deserialize;

use crate::fail::Fail;

/// How long an agent is away that somebody has killed in the dashboard: longer than a lease that is watched, so that its clients
/// are seen to be lost for some seconds, and rounds to go on.
pub const AWAY: Duration = Duration::from_secs(10);

/// What somebody plays, also when it has to enter again.
#[derive(Clone)]
pub struct Part {
    /// What it is called; its log has the same name.
    pub name: String,
    /// What it is told.
    pub args: Vec<String>,
    /// By what it joins, if it does.
    pub invitation: Option<String>,
    /// The clients that are in it.
    pub clients: Vec<String>,
    /// Where everything is.
    pub folder: PathBuf,
}

impl Part {
    /// Starts it. Its log is a file in the folder.
    fn start(&self) -> Result<Child, Fail> {
        let log = File::options().create(true).append(true).open(self.folder.join(format!("{}.log", self.name)));
        let mut command = dure(&self.folder)?;
        command.args(&self.args).arg("--until-stdin-ends");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log.context("a log")?);
        command.envs(self.invitation.iter().map(|text| ("DURE_INVITATION", text)));
        Ok(command.spawn().with_context(|| format!("dure {}", self.args.join(" ")))?)
    }
}

/// This binary, in a demo's folder. It knows of no server yet.
pub fn dure(folder: &std::path::Path) -> Result<Command, Fail> {
    let mut command = Command::new(std::env::current_exe().context("this program")?);
    command.current_dir(folder);
    for name in ["DURE_DATA", "DURE_FEDERATION", "DURE_SERVER", "DURE_TOKEN"] {
        command.env_remove(name);
    }
    Ok(command)
}

/// Everybody, in the order in which they came: the server first. Cheap to clone.
#[derive(Clone, Default)]
pub struct Cast(Arc<Mutex<Vec<Player>>>);

struct Player {
    part: Part,
    child: Child,
    /// Whether it was not killed.
    alive: bool,
}

impl Cast {
    fn lock(&self) -> MutexGuard<'_, Vec<Player>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody enters.
    pub fn enter(&self, part: Part) -> Result<(), Fail> {
        let child = part.start()?;
        let mut players = self.lock();
        players.push(Player { part, child, alive: true });
        tell(&mut players);
        Ok(())
    }

    /// The server enters. What it says first, and what is made of its part by that: it listens again where others know it to be.
    pub fn enter_server(&self, mut part: Part, known: impl FnOnce(&str, &mut Part)) -> Result<String, Fail> {
        let mut child = part.start()?;
        let mut said = BufReader::new(child.stdout.take().context("the server's output")?);
        let mut line = String::new();
        said.read_line(&mut line).context("the server's output")?;
        known(&line, &mut part);
        self.heed(said);
        self.lock().push(Player { part, child, alive: true });
        Ok(line)
    }

    /// Kills somebody. Whom, if anybody is there: everybody may have gone home.
    pub fn kill(&self, at: usize) -> Option<String> {
        let mut players = self.lock();
        let player = players.get_mut(at)?;
        player.die();
        let name = player.part.name.clone();
        tell(&mut players);
        Some(name)
    }

    /// Lets somebody who was killed enter again, unless another has.
    pub fn again(&self, at: usize) -> Result<(), Fail> {
        let mut players = self.lock();
        let Some(player) = players.get_mut(at).filter(|player| !player.alive) else { return Ok(()) };
        player.child = player.part.start()?;
        player.alive = true;
        if let Some(out) = player.child.stdout.take().filter(|_| at == 0) {
            self.heed(BufReader::new(out));
        }
        tell(&mut players);
        Ok(())
    }

    /// Does what people in the dashboard want, by what the server says.
    fn heed(&self, said: BufReader<ChildStdout>) {
        #[derive(Deserialize)]
        struct Wish {
            kill: String,
        }
        let cast = self.clone();
        thread::spawn(move || {
            for line in said.lines().map_while(Result::ok) {
                if let Ok(Wish { kill }) = serde_json::from_str(&line) {
                    let cast = cast.clone();
                    thread::spawn(move || cast.kill_for_a_while(&kill));
                }
            }
        });
    }

    fn kill_for_a_while(&self, name: &str) {
        let at = self.lock().iter().position(|player| player.alive && player.part.name == name);
        let Some(at) = at else { return };
        if self.kill(at).is_some() {
            drop(say(&format!("\r  kill -9 of {name}; it is started again in {} s\n", AWAY.as_secs())));
            thread::sleep(AWAY);
            if let Err(fail) = self.again(at) {
                eprintln!("dure: {name} cannot be started again: {fail}");
            }
        }
    }

    /// Everybody goes home. The last who came goes first: the server hears everybody's goodbye.
    pub fn go_home(&self) {
        let mut players = self.lock();
        while let Some(player) = players.pop() {
            drop(player);
        }
    }
}

/// Tells the server which agents there are.
fn tell(players: &mut [Player]) {
    let Some((server, agents)) = players.split_first_mut() else { return };
    let agent = |player: &Player| {
        let Part { name, clients, .. } = player.part.clone();
        DemoAgent { name, clients, running: player.alive }
    };
    let told: Vec<DemoAgent> = agents.iter().map(agent).collect();
    // A server that is dead is told when it is back.
    if let (Some(input), Ok(line)) = (&mut server.child.stdin, serde_json::to_string(&told)) {
        drop(writeln!(input, "{line}"));
    }
}

/// Says it to those who look on, at once.
pub fn say(text: &str) -> Result<(), Fail> {
    let mut out = std::io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).context("standard output")?;
    Ok(())
}

impl Player {
    /// As by `kill -9`.
    fn die(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        self.alive = false;
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
            thread::sleep(Duration::from_millis(10));
        }
        // It had its time.
        self.die();
    }
}
