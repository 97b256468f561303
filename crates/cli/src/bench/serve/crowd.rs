//! Many clients in this process: each waits for a task, answers it when it may, and waits again.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{api::Api, process::PATIENCE};

/// For how many seconds a client waits for a task before it asks again.
const WAIT: u32 = 20;

/// Long enough for all clients to be waiting again, on a machine that does nothing else.
pub const SETTLE: Duration = Duration::from_millis(100);

/// Clients that wait. They go away when this is dropped.
pub struct Crowd {
    size: usize,
    members: JoinSet<Result<()>>,
    seen: mpsc::UnboundedReceiver<Seen>,
    /// Clients answer the rounds up to this one.
    answered_up_to: watch::Sender<u32>,
}

/// What clients tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The task is in hand.
    Taken,
    /// Its answer was accepted.
    Answered,
}

/// What a client has done, and when.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What.
    pub step: Step,
    /// In which round.
    pub round: u32,
    /// When.
    pub at: Instant,
}

impl Crowd {
    /// Lets `clients` begin to wait.
    pub fn gather(clients: Vec<Api>) -> Self {
        let (tell, seen) = mpsc::unbounded_channel();
        let answered_up_to = watch::Sender::new(0);
        let size = clients.len();
        let mut members = JoinSet::new();
        for (i, api) in clients.into_iter().enumerate() {
            // Everybody's update is another file.
            members.spawn(take_part(api, i as f32 * 1e-3, tell.clone(), answered_up_to.subscribe()));
        }
        Self { size, members, seen, answered_up_to }
    }

    /// Lets the clients answer the rounds up to `round`.
    pub fn answer_up_to(&self, round: u32) {
        self.answered_up_to.send_replace(round);
    }

    /// When each of them has come as far as `step` in `round`: waits for the last.
    pub async fn all(&mut self, step: Step, round: u32) -> Result<Vec<Instant>> {
        let mut times = Vec::with_capacity(self.size);
        while times.len() < self.size {
            let seen = self.next().await?;
            times.extend((seen.step == step && seen.round == round).then_some(seen.at));
        }
        Ok(times)
    }

    /// Waits until `rounds` rounds have all their answers, and tells when the first client had its task in each of them.
    pub async fn openings(&mut self, rounds: usize) -> Result<Vec<Instant>> {
        let (mut first, mut answers) = (BTreeMap::new(), 0);
        while answers < rounds * self.size {
            let Seen { step, round, at } = self.next().await?;
            match step {
                Step::Taken => drop(first.entry(round).or_insert(at)),
                Step::Answered => answers += 1,
            }
        }
        Ok(first.into_values().collect())
    }

    async fn next(&mut self) -> Result<Seen> {
        tokio::select! {
            seen = self.seen.recv() => seen.context("all clients are gone"),
            Some(ended) = self.members.join_next() => {
                ended??;
                bail!("a client went away")
            }
            () = tokio::time::sleep(PATIENCE) => bail!("no client has done anything for {} s", PATIENCE.as_secs()),
        }
    }
}

async fn take_part(
    api: Api,
    value: f32,
    tell: mpsc::UnboundedSender<Seen>,
    mut answered_up_to: watch::Receiver<u32>,
) -> Result<()> {
    loop {
        let Some(task) = api.task(WAIT).await? else { continue };
        let round = task.ordinal;
        tell.send(Seen { step: Step::Taken, round, at: Instant::now() })?;
        answered_up_to.wait_for(|last| round <= *last).await?;
        api.answer(&task, value).await?;
        tell.send(Seen { step: Step::Answered, round, at: Instant::now() })?;
    }
}
