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
        AGENTS, Stage,
        chaos::{kill, until_versions, versions},
    },
    fail::Fail,
    remote::Remote,
};

/// How often each is killed.
const DEATHS: usize = 15;

/// What the demo's job has in place of the recipe's own keys.
const KEYS: [&str; 4] = ["rounds=100000", "refit=false", "training.epochs=3", "cohort.min_clients=33"];

/// What was measured of Flower 1.41.0, four clients on a machine of two cores: `kill -9` of a SuperNode in a round.
const FLOWER_S: f64 = 54.7;

/// Kills the server and the agents in turn.
pub fn run() -> Result<Vec<Row>, Fail> {
    let (stage, remote) = Stage::set(0, true)?;
    stage.dure(&[&["job", "start", "fitbit"][..], &KEYS].concat())?;
    let over = AtomicBool::new(false);
    if !until_versions(&remote, 5, &over) {
        return Err(anyhow!("the job does not begin").into());
    }
    let mut quiet = next_versions(&remote, &over);
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
    let flower = Peer { name: "Flower 1.41.0, measured before; its node stayed dead".into(), value: FLOWER_S };
    let longest = |times: &[f64]| times.iter().copied().fold(0.0, f64::max);
    let (server_longest, agent_longest) = (longest(&server), longest(&agent));
    Ok(vec![
        Row::new("a round of 33 clients in 4 processes, nobody killed", "s", median(&mut quiet), None),
        Row::new("agent killed and started again → next model version, median", "s", median(&mut agent), Some(flower)),
        Row::new(
            format!("agent killed and started again → next model version, the longest of {DEATHS}"),
            "s",
            agent_longest,
            None,
        ),
        Row::new("server killed → next model version, median (Flower: the run fails)", "s", median(&mut server), None),
        Row::new(format!("server killed → next model version, the longest of {DEATHS}"), "s", server_longest, None),
    ])
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
