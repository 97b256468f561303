//! Somebody is killed again and again while a job trains, and started again at once.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use dure_core::random::{Purpose, RngExt as _, stream};
use dure_wire::api::FederationView;

use super::{AGENTS, PATIENCE, SERVER, Stage};
use crate::{fail::Fail, remote::Remote};

/// How long everybody lives between two deaths, in milliseconds.
const LIFE_MS: std::ops::Range<u64> = 100..600;

/// How often it is looked whether there is another model version.
const LOOK: Duration = Duration::from_millis(5);

/// A death, and how long it was until the job had its next model version.
struct Death {
    server: bool,
    until_next: Option<Duration>,
}

/// Watches a job while somebody is killed, and tells how long that held it up.
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
    stage.say(&tell(&deaths, true, "the server was"))?;
    stage.say(&tell(&deaths, false, "agents were"))
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
        let victim = if numbers.random_bool(0.5) { 0 } else { numbers.random_range(1..=AGENTS) };
        deaths.push(Death { server: victim == 0, until_next: kill(stage, &remote, victim, over)? });
    }
}

/// Kills the server (0) or an agent and starts it again. How long it was until the job had its next model version, if it
/// was not over before.
pub fn kill(stage: &Stage, remote: &Remote, victim: usize, over: &AtomicBool) -> Result<Option<Duration>, Fail> {
    let (before, began) = (versions(remote).unwrap_or_default(), Instant::now());
    // Everybody may have gone home.
    let Some(name) = stage.cast.kill(victim) else { return Ok(None) };
    stage.cast.again(victim)?;
    let shown = if name == SERVER { "the server".to_owned() } else { name };
    stage.say(&format!("\r  kill -9 of {shown}; it is started again\n"))?;
    Ok(until_versions(remote, before + 1, over).then(|| began.elapsed()))
}

/// Waits for so many model versions; `false` if the job is over before.
pub fn until_versions(remote: &Remote, count: u32, over: &AtomicBool) -> bool {
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
pub fn versions(remote: &Remote) -> Option<u32> {
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
