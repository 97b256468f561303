//! `dure demo --chaos`: while the job is watched, somebody is killed again and again, and started again at once.

use std::{
    sync::{
        PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use dure_core::random::{Purpose, RngExt as _, Stream, stream};
use dure_wire::api::FederationView;

use super::{AGENTS, PATIENCE, SERVER, Stage, say};
use crate::{fail::Fail, remote::Remote};

/// How long everybody lives between two deaths, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 100..600;

/// How long a poll for the next model version waits.
const LOOK: Duration = Duration::from_millis(5);

/// A death, and how long it was until the job had its next model version.
struct Death {
    server: bool,
    until_next: Option<Duration>,
}

/// Watches the job while somebody is killed, and tells how long each death held it up.
pub fn watch(stage: &Stage) -> Result<(), Fail> {
    let over = AtomicBool::new(false);
    let (watched, deaths) = thread::scope(|scope| {
        let chaos = scope.spawn(|| kill_until(stage, &over));
        let watched = stage.watch();
        over.store(true, Ordering::Relaxed);
        (watched, chaos.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    watched?;
    let deaths = deaths?;
    say(&tell(&deaths, true, "the server was"))?;
    say(&tell(&deaths, false, "agents were"))
}

fn kill_until(stage: &Stage, over: &AtomicBool) -> Result<Vec<Death>, Fail> {
    let (remote, _) = Remote::federation(&stage.remote_args())?;
    let (mut numbers, mut deaths) = (stream(stage.seed, Purpose::People, "chaos", 0), vec![]);
    // Nobody is killed before there is something to lose.
    until_versions(&remote, 2, over);
    loop {
        thread::sleep(Duration::from_millis(numbers.random_range(LIFE_MS)));
        if over.load(Ordering::Relaxed) {
            return Ok(deaths);
        }
        deaths.push(kill(stage, &remote, over, &mut numbers)?);
    }
}

/// Kills the server, or an agent, and starts it again.
fn kill(stage: &Stage, remote: &Remote, over: &AtomicBool, numbers: &mut Stream) -> Result<Death, Fail> {
    let server = numbers.random_bool(0.5);
    let victim = if server { 0 } else { numbers.random_range(1..=AGENTS) };
    let before = versions(remote).unwrap_or_default();
    let began = Instant::now();
    let name = {
        let mut cast = stage.cast.lock().unwrap_or_else(PoisonError::into_inner);
        // Everybody may have gone home.
        let Some(player) = cast.get_mut(victim) else { return Ok(Death { server, until_next: None }) };
        drop(player.child.kill());
        drop(player.child.wait());
        player.child = stage.start(&player.part)?;
        player.part.name.clone()
    };
    let shown = if name == SERVER { "the server".to_owned() } else { name };
    say(&format!("\r  kill -9 of {shown}; it is started again\n"))?;
    let until_next = until_versions(remote, before + 1, over).then(|| began.elapsed());
    Ok(Death { server, until_next })
}

/// Waits for so many model versions; `false` if the job is over before.
fn until_versions(remote: &Remote, count: u32, over: &AtomicBool) -> bool {
    let began = Instant::now();
    while !over.load(Ordering::Relaxed) && began.elapsed() < PATIENCE {
        if versions(remote).is_some_and(|versions| versions >= count) {
            return true;
        }
        thread::sleep(LOOK);
    }
    false
}

/// How many versions there are; `None` if the server does not say.
fn versions(remote: &Remote) -> Option<u32> {
    remote.get::<FederationView>("").ok().map(|view| view.versions)
}

fn tell(deaths: &[Death], server: bool, who: &str) -> String {
    let of = deaths.iter().filter(|death| death.server == server);
    let mut waits: Vec<Duration> = of.clone().filter_map(|death| death.until_next).collect();
    waits.sort();
    let count = of.count();
    match (waits.get(waits.len() / 2), waits.last()) {
        (Some(median), Some(longest)) => format!(
            "{who} killed {count} times; until the next model version it took {:.2} s (median), {:.2} s at most\n",
            median.as_secs_f64(),
            longest.as_secs_f64()
        ),
        _ => format!("{who} killed {count} times\n"),
    }
}
