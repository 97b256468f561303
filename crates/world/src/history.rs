//! What happens in a world, and when. A history is drawn from a seed, and can be written down and cut short.

use dure_core::random::{RngExt as _, Stream};
use rand::SeedableRng as _;
use serde::{Deserialize, Serialize};

use crate::{database::Failing, life::Fuse, network::Mishap};

/// What happens in a world.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// From which chance derives.
    pub seed: u64,
    /// How many sites there are.
    pub sites: usize,
    /// What is done, in the order of time.
    pub acts: Vec<Act>,
    /// At the end the server loses so many entries of its journal.
    pub cut: usize,
}

/// Something that happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Act {
    /// When, in milliseconds.
    pub at: u64,
    /// What.
    pub what: What,
}

/// What happens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum What {
    /// The operator makes a job and starts it.
    Job(JobKeys),
    /// The operator does something to the job that runs.
    Do(Deed),
    /// A site's agent is started.
    On(usize),
    /// A site's agent is stopped, and says goodbye.
    Off(usize),
    /// The operator sends a client away.
    Evict(usize),
    /// A machine dies, at one of its next steps, and is down for so many milliseconds.
    Die(Who, Fuse, u32),
    /// Something happens to a site's next request.
    Mishap(usize, Mishap),
    /// A site's line is cut for so many milliseconds, with or without a word.
    Cut(usize, u32, bool),
    /// The operator's next request meets with this.
    OperatorMishap(Mishap),
    /// A disk is full for so many milliseconds.
    Full(Who, u32),
    /// A disk cannot be written to for so many milliseconds.
    ReadOnly(Who, u32),
    /// So many of a disk's next syncs fail.
    SyncsFail(Who, u32),
    /// The database's next changes fail.
    ChangesFail(Vec<Failing>),
}

/// A job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobKeys {
    /// Training rounds.
    pub rounds: u32,
    /// How many answers a round wants; all if 0.
    pub size: usize,
    /// Whether it asks more clients than that.
    pub over: bool,
    /// How many answers a round needs; all if 0.
    pub quorum: usize,
    /// How long it waits for them, in seconds.
    pub deadline_s: u32,
    /// Whether columns are measured first. If not, each client moves its own weight alone.
    pub measure: bool,
    /// Whether the model is evaluated after each round.
    pub evaluate: bool,
    /// Whether it is trained once more in the end.
    pub refit: bool,
    /// How many answers make a version; 0 if rounds have cohorts.
    #[serde(default)]
    pub buffer: usize,
    /// Whether answers are mixed in, one at a time, where they make versions.
    #[serde(default)]
    pub mixes: bool,
}

/// What an operator does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "they are the API's words")]
pub enum Deed {
    Pause,
    Resume,
    Stop,
    Abort,
    Train,
    Aggregate,
}

/// A machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Who {
    /// The server's.
    Server,
    /// A site's.
    Site(usize),
}

/// For how long things happen, in milliseconds. Then all faults end.
pub const LENGTH: u64 = 30_000;

impl History {
    /// The history of a seed.
    pub fn draw(seed: u64) -> Self {
        let mut numbers = Stream::seed_from_u64(seed);
        let sites = numbers.random_range(2..=4);
        let mut acts = vec![];
        let mut act = |at, what| acts.push(Act { at, what });
        for site in 0..sites {
            act(numbers.random_range(0..2000), What::On(site));
        }
        act(numbers.random_range(500..3000), What::Job(job(&mut numbers, sites)));
        // Some histories are quiet, and some are not.
        let troubles = numbers.random_range(0..24);
        for _ in 0..troubles {
            act(numbers.random_range(0..LENGTH), trouble(&mut numbers, sites));
        }
        acts.sort_by_key(|act| act.at);
        let cut = if numbers.random_bool(0.25) { numbers.random_range(1..12) } else { 0 };
        Self { seed, sites, acts, cut }
    }

    /// The same with fewer acts, as many ways as are worth a try: halves first, single ones last.
    pub fn shorter(&self) -> impl Iterator<Item = Self> + '_ {
        let len = self.acts.len();
        let sizes = std::iter::successors(Some(len.div_ceil(2)), |size| (*size > 1).then(|| size.div_ceil(2)));
        let without = move |size: usize| {
            (0..len).step_by(size.max(1)).map(move |begin| {
                let left = self.acts.iter().enumerate().filter(|(i, _)| !(begin..begin + size).contains(i));
                Self { acts: left.map(|(_, act)| act.clone()).collect(), ..self.clone() }
            })
        };
        let uncut = (self.cut > 0).then(|| Self { cut: 0, ..self.clone() });
        uncut.into_iter().chain(sizes.flat_map(without)).filter(move |shorter| shorter != self)
    }
}

fn job(numbers: &mut Stream, sites: usize) -> JobKeys {
    JobKeys {
        rounds: numbers.random_range(1..=6),
        size: if numbers.random_bool(0.3) { numbers.random_range(1..=sites) } else { 0 },
        over: numbers.random_bool(0.5),
        quorum: if numbers.random_bool(0.6) { numbers.random_range(1..=sites) } else { 0 },
        deadline_s: numbers.random_range(2..=20),
        measure: numbers.random_bool(0.4),
        evaluate: numbers.random_bool(0.5),
        refit: numbers.random_bool(0.2),
        buffer: if numbers.random_bool(0.4) { numbers.random_range(1..=sites) } else { 0 },
        mixes: numbers.random_bool(0.4),
    }
}

fn trouble(numbers: &mut Stream, sites: usize) -> What {
    let site = numbers.random_range(0..sites);
    let who = if numbers.random_bool(0.6) { Who::Server } else { Who::Site(site) };
    let length = numbers.random_range(50..6000);
    match numbers.random_range(0..100) {
        0..24 => What::Die(who, fuse(numbers), length),
        24..50 => What::Mishap(site, mishap(numbers)),
        50..56 => What::Cut(site, length, numbers.random_bool(0.5)),
        56..62 => What::Off(site),
        62..70 => What::On(site),
        70..71 => What::Evict(site),
        71..75 => What::Job(job(numbers, sites)),
        75..82 => What::Do(deed(numbers)),
        82..85 => What::OperatorMishap(mishap(numbers)),
        85..89 => What::Full(who, length),
        89..91 => What::ReadOnly(who, length),
        91..95 => What::SyncsFail(who, numbers.random_range(1..4)),
        _ => What::ChangesFail((0..numbers.random_range(1..3)).map(|_| failing(numbers)).collect()),
    }
}

fn fuse(numbers: &mut Stream) -> Fuse {
    let steps = if numbers.random_bool(0.2) { 0 } else { numbers.random_range(1..40) };
    Fuse { steps, taken: numbers.random_bool(0.5), power: numbers.random_bool(0.5) }
}

fn failing(numbers: &mut Stream) -> Failing {
    match numbers.random_range(0..3) {
        0 => Failing::NotMade,
        1 => Failing::Made,
        _ => Failing::Ghost,
    }
}

fn deed(numbers: &mut Stream) -> Deed {
    match numbers.random_range(0..12) {
        0..3 => Deed::Pause,
        3..6 => Deed::Resume,
        6 => Deed::Stop,
        7 => Deed::Abort,
        8..10 => Deed::Train,
        _ => Deed::Aggregate,
    }
}

fn mishap(numbers: &mut Stream) -> Mishap {
    let by = numbers.random_range(1..4000);
    match numbers.random_range(0..12) {
        0 => Mishap::Lost,
        1 => Mishap::Swallowed,
        2 | 3 => Mishap::Unanswered,
        4 => Mishap::AnswerSwallowed,
        5 => Mishap::Late(by),
        6 => Mishap::Twice(by),
        7 => Mishap::AnsweredTwice(by),
        8 => Mishap::Refused([500, 502, 503, 404, 401, 403, 413][numbers.random_range(0..7)]),
        9 => Mishap::RefusedAfter([500, 502, 504, 413][numbers.random_range(0..4)]),
        10 => Mishap::Cut,
        _ => Mishap::CutRequest,
    }
}
