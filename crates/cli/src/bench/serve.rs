//! `dure bench serve`: a server as a process of its own, on loopback, with its data in a temporary folder: how soon it is
//! there, what it holds, and how soon clients that wait have a task in hand.
//!
//! All clients are in this process, on one thread: what they take to send, read and parse is in the figures.

mod api;
mod crowd;
mod flower;
mod process;
mod server;

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use dure_wire::api::{JobAction, JobStatus};
use tokio::time::sleep;

use self::{
    api::Api,
    crowd::{Crowd, SETTLE, Step},
    flower::Flower,
    server::{Server, ms_since},
};
use super::{Row, median, percentile};
use crate::{args::BenchArgs, fail::Fail, process as runs};

/// How much is measured.
struct Amounts {
    /// How often a server is started on each kind of folder.
    starts: usize,
    /// For how long nothing happens before memory is looked at.
    idle: Duration,
    /// How often a client asks without waiting.
    polls: usize,
    /// How many rounds are opened by hand.
    rounds: u32,
    /// About how many events are in the journal at the end.
    events: u64,
}

impl Amounts {
    fn of(clients: usize) -> Self {
        match clients {
            ..10 => Self { starts: 3, idle: Duration::from_millis(100), polls: 50, rounds: 3, events: 100 },
            _ => Self { starts: 9, idle: Duration::from_secs(2), polls: 1000, rounds: 20, events: 10_000 },
        }
    }
}

/// Ours, then Flower's.
pub fn run(args: &BenchArgs, clients: usize) -> Result<Vec<Row>, Fail> {
    let (folder, amounts) = (tempfile::tempdir()?, Amounts::of(clients));
    runs::runtime(false)?.block_on(async {
        let stopped = runs::stopped(false)?;
        let measured = async {
            let ours = measure(folder.path(), clients, &amounts).await?;
            let flower = Flower::measure(args.python.as_deref(), folder.path(), amounts.idle).await;
            Ok(rows(ours, flower.as_ref(), clients, &amounts))
        };
        tokio::select! {
            rows = measured => rows,
            () = stopped => Err(Fail::Failed(anyhow::anyhow!("it was stopped"))),
        }
    })
}

/// Our figures: times in milliseconds, memory in MiB.
struct Ours {
    new: Starts,
    old: Starts,
    /// How many events the journal of `old` has.
    events: u64,
    alone: f64,
    idle: f64,
    most_idle: f64,
    most: f64,
    polls: Vec<f64>,
    in_hand: Vec<f64>,
    rounds: Vec<f64>,
}

/// Times from a server's start to its first line, and to its first answer.
#[derive(Default)]
struct Starts {
    line: Vec<f64>,
    healthy: Vec<f64>,
}

fn rows(mut ours: Ours, flower: Option<&Flower>, clients: usize, amounts: &Amounts) -> Vec<Row> {
    let Ours { new, old, events, alone, idle, most_idle, most, polls, in_hand, rounds } = &mut ours;
    let old_journal = format!("journal of {events} events");
    let asked = format!("task?wait=0, {clients} others waiting");
    let opened = format!("round asked for → task in hand, {clients} waiting");
    vec![
        Row::new("start → its first line, new folder", "ms", median(&mut new.line), None),
        Row::new("start → /healthz, new folder", "ms", median(&mut new.healthy), flower.map(Flower::healthy)),
        Row::new(format!("start → its first line, {old_journal}"), "ms", median(&mut old.line), None),
        Row::new(format!("start → /healthz, {old_journal}"), "ms", median(&mut old.healthy), None),
        Row::new("memory, idle, nobody there", "MiB", *alone, flower.map(Flower::idle)),
        Row::new(format!("memory, idle, {clients} members"), "MiB", *idle, None),
        Row::new("memory, the most until then", "MiB", *most_idle, flower.map(Flower::most)),
        Row::new(format!("memory, the most after {events} events"), "MiB", *most, None),
        Row::new(format!("{asked}: p50"), "ms", percentile(polls, 50.0), None),
        Row::new(format!("{asked}: p99"), "ms", percentile(polls, 99.0), None),
        Row::new(format!("{opened}: p50"), "ms", percentile(in_hand, 50.0), None),
        Row::new(format!("{opened}: p99 of {} rounds", amounts.rounds), "ms", percentile(in_hand, 99.0), None),
        Row::new(format!("round of {clients} that answer at once"), "ms", median(rounds), None),
    ]
}

async fn measure(folder: &Path, clients: usize, amounts: &Amounts) -> Result<Ours> {
    let (data, mut new) = (folder.join("data"), Starts::default());
    for i in 1..amounts.starts {
        new.add(&Server::start(&folder.join(format!("new-{i}"))).await?);
    }
    let server = Server::start(&data).await?;
    new.add(&server);
    let (alone, _) = idle_memory(&server, amounts).await?;
    let operator = Api::found(&server.url, server.token.as_deref().context("a new server tells its token")?).await?;
    let (asker, members) = join(&operator, clients).await?;
    let (idle, most_idle) = idle_memory(&server, amounts).await?;
    let mut crowd = Crowd::gather(members);
    sleep(SETTLE).await;
    let polls = polls(&asker, amounts.polls).await?;
    let in_hand = by_hand(&operator, &mut crowd, clients, amounts.rounds).await?;
    let (rounds, events) = at_once(&operator, &mut crowd, clients, amounts.events).await?;
    drop(crowd);
    let most = server.process.memory_mib("VmHWM")?;
    server.process.stop().await?;
    let old = restarts(&data, amounts.starts).await?;
    Ok(Ours { new, old, events, alone, idle, most_idle, most, polls, in_hand, rounds })
}

/// What a server holds after a while of nothing, and the most that it has held.
async fn idle_memory(server: &Server, amounts: &Amounts) -> Result<(f64, f64)> {
    sleep(amounts.idle).await;
    Ok((server.process.memory_mib("VmRSS")?, server.process.memory_mib("VmHWM")?))
}

/// Starts a server on what another has left, and stops it in good order.
async fn restarts(data: &Path, count: usize) -> Result<Starts> {
    let mut starts = Starts::default();
    for _ in 0..count {
        let server = Server::start(data).await?;
        starts.add(&server);
        server.process.stop().await?;
    }
    Ok(starts)
}

impl Starts {
    fn add(&mut self, server: &Server) {
        self.line.push(server.line_ms);
        self.healthy.push(server.healthy_ms);
    }
}

/// One who takes no tasks, and `clients` who do.
async fn join(operator: &Api, clients: usize) -> Result<(Api, Vec<Api>)> {
    let invited = operator.invite().await?;
    let asker = invited.join("asker", false).await?;
    let mut members = Vec::with_capacity(clients);
    for i in 1..=clients {
        members.push(invited.join(&format!("client-{i:03}"), true).await?);
    }
    Ok((asker, members))
}

/// Times of asking for a task when there is none, without waiting.
async fn polls(asker: &Api, count: usize) -> Result<Vec<f64>> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        anyhow::ensure!(asker.task(0).await?.is_none(), "a client that takes no tasks has one");
        times.push(ms_since(began));
    }
    Ok(times)
}

/// Opens rounds one after another, each while all clients wait. Times from the operator's request to each client's task in
/// hand: the decision, its way to the disk and the answers are between. Clients answer when the last has its task.
async fn by_hand(operator: &Api, crowd: &mut Crowd, clients: usize, rounds: u32) -> Result<Vec<f64>> {
    operator.create_job(clients).await?;
    let mut times = vec![];
    // The first waits for the initial model.
    for round in 1..=rounds + 1 {
        sleep(SETTLE).await;
        let asked = Instant::now();
        operator.act(JobAction::Train, None).await?;
        let in_hand = crowd.all(Step::Taken, round).await?;
        times.extend(in_hand.iter().filter(|_| round > 1).map(|at| at.duration_since(asked).as_secs_f64() * 1e3));
        crowd.answer_up_to(round);
        crowd.all(Step::Answered, round).await?;
        operator.act(JobAction::Aggregate, None).await?;
        until_completed(operator, round).await?;
    }
    Ok(times)
}

/// Lets the job go on by itself, and its clients answer at once, until the journal has about `events` events. Times from
/// one round's first task to the next's, and how many events there are.
async fn at_once(operator: &Api, crowd: &mut Crowd, clients: usize, events: u64) -> Result<(Vec<f64>, u64)> {
    let (head, done) = (operator.federation().await?.journal.sequence, operator.job().await?.completed);
    // A round is opened, answered by all, complete, and a version.
    let rounds = events.saturating_sub(head).div_ceil(clients as u64 + 3).max(2) as u32;
    crowd.answer_up_to(u32::MAX);
    operator.act(JobAction::Resume, Some(rounds)).await?;
    let openings = crowd.openings(rounds as usize).await?;
    until_completed(operator, done + rounds).await?;
    let times = openings.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64() * 1e3).collect();
    Ok((times, operator.federation().await?.journal.sequence))
}

/// Waits until the job has done so many rounds, and pauses.
async fn until_completed(operator: &Api, rounds: u32) -> Result<()> {
    let began = Instant::now();
    loop {
        let job = operator.job().await?;
        match job.status {
            JobStatus::Paused if job.completed == rounds => return Ok(()),
            JobStatus::Paused | JobStatus::Running if began.elapsed() < process::PATIENCE => {}
            status => bail!("the job is {status:?} after {} rounds of {rounds}", job.completed),
        }
        sleep(Duration::from_millis(2)).await;
    }
}
