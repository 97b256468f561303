//! `dure bench recover`: how long a killed server, and a killed agent, hold up the round that is open. The demo's processes, with
//! a job that does not end by itself.

use std::{
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use anyhow::anyhow;

use super::{Peer, Row, median};
use crate::{
    demo::{
        AGENTS, Audience, Stage,
        chaos::{kill, until_versions, versions},
    },
    fail::Fail,
    remote::Remote,
};

/// How often each is killed.
const DEATHS: usize = 15;

/// What the demo's job has in place of the recipe's own keys.
const KEYS: [&str; 3] = ["rounds=100000", "refit=false", "training.epochs=3"];

/// What was measured of Flower 1.41.0, four clients on a machine of two cores: `kill -9` of a SuperNode in a round, and it stayed
/// dead.
const FLOWER_S: f64 = 54.7;

/// Kills the server and the agents in turn; then an agent for good, twice.
pub fn run() -> Result<Vec<Row>, Fail> {
    let (quiet, server, agent) = again()?;
    let lease = for_good(&["cohort.deadline_s=600"])?;
    let deadline = for_good(&["cohort.deadline_s=5"])?;
    // The peer did other work: no ratio.
    let seconds = |what: &str, value, peer| Row { ratio: None, ..Row::new(what, "s", value, peer) };
    let flower = || Some(Peer { name: "Flower 1.41.0, measured before, other work".into(), value: FLOWER_S });
    Ok(vec![
        seconds("a round of 33 clients in 4 processes, nobody killed", quiet.median, None),
        seconds("agent killed and started again → next model version, median", agent.median, None),
        seconds("agent killed and started again → next model version, longest", agent.longest, None),
        seconds("server killed and started again → next model version, median", server.median, None),
        seconds("server killed and started again → next model version, longest", server.longest, None),
        seconds("agent killed for good → next model version, a deadline of 5 s and a quorum of 24", deadline, flower()),
        seconds(
            "agent killed for good → next model version, a quorum of 24, the default lease of 30 s and deadline of 600 s",
            lease,
            flower(),
        ),
    ])
}

/// How long it took, of several times.
struct Times {
    median: f64,
    longest: f64,
}

impl Times {
    fn of(mut times: Vec<f64>) -> Self {
        Self { median: median(&mut times), longest: times.iter().copied().fold(0.0, f64::max) }
    }
}

/// A job that has begun.
fn begin(keys: &[&str]) -> Result<(Stage, Remote), Fail> {
    let (stage, remote) = Stage::set(0, Audience::Nobody)?;
    stage.dure(&[&["job", "start", "fitbit"][..], &KEYS, keys].concat())?;
    if !until_versions(&remote, 5, &AtomicBool::new(false)) {
        return Err(anyhow!("the job does not begin").into());
    }
    Ok((stage, remote))
}

/// Rounds without a death, with the server's, and with an agent's, when whoever is killed is started again at once.
fn again() -> Result<(Times, Times, Times), Fail> {
    let (stage, remote) = begin(&["cohort.min_clients=33"])?;
    let over = AtomicBool::new(false);
    let quiet = next_versions(&remote, &over);
    let (mut server, mut agent) = (vec![], vec![]);
    for i in 0..DEATHS {
        for (times, victim) in [(&mut server, 0), (&mut agent, 1 + i % AGENTS)] {
            let waited = kill(&stage, &remote, victim, &over)?;
            times.push(waited.ok_or_else(|| anyhow!("the job did not go on"))?.as_secs_f64());
            // A round without a death comes between two with one.
            until_versions(&remote, versions(&remote).unwrap_or_default() + 1, &over);
        }
    }
    stage.curtain();
    Ok((Times::of(quiet), Times::of(server), Times::of(agent)))
}

/// How long an agent that is not started again holds up a job with a quorum of others, in seconds.
fn for_good(keys: &[&str]) -> Result<f64, Fail> {
    let (stage, remote) = begin(&[&["cohort.min_clients=24", "cohort.quorum=24"][..], keys].concat())?;
    let (before, began) = (versions(&remote).unwrap_or_default(), Instant::now());
    stage.kill_for_good(1);
    until_versions(&remote, before + 1, &AtomicBool::new(false))
        .then(|| began.elapsed().as_secs_f64())
        .ok_or_else(|| anyhow!("the job did not go on").into())
}

/// Times from one version to the next.
fn next_versions(remote: &Remote, over: &AtomicBool) -> Vec<f64> {
    let mut times = vec![];
    for _ in 0..DEATHS {
        let (before, began) = (versions(remote).unwrap_or_default(), Instant::now());
        until_versions(remote, before + 1, over);
        times.push(began.elapsed());
    }
    times.iter().map(Duration::as_secs_f64).collect()
}
