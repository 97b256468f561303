//! Everybody's rows and the threads that work on them: tasks in, answers out, in the order of names.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use dure_core::{
    codec::Codec,
    digest::Digest,
    event::Answer,
    job::{Collection, Job},
    model::Params,
    name::ClientName,
    plan::TrainingRows,
    round::{Kind, RoundId},
    statistics::Statistics,
    update::{TRAIN_LOSS, Update},
};
use dure_learn::{
    client::{Client, TrainError, Trainer, measure},
    data::{ClientRows, DataSet, examples::Truth},
    own::Own,
    split::{Split, SplitSpec, TooFewRows},
    standardise::Preprocessing,
    task::{Done, Task},
    work::Work,
    world::{Attack, Byzantine, Device, Way, World},
};
use dure_wire::{Expected, Models, decode_update, encode_update};
use rayon::prelude::*;

/// What comes back for a task: the answer that the journal keeps, and for a training task the decoded update.
pub type Reply = Result<(Answer, Option<Update>), TrainError>;

/// A model version, as clients are given it.
#[derive(Clone, Copy)]
pub struct Base<'a> {
    /// Its parameters.
    pub params: &'a Params,
    /// Everybody's control variate, which comes with it; empty is zero.
    pub control: &'a [f32],
    /// The digest of its file.
    pub sha256: Digest,
}

impl<'a> Base<'a> {
    /// The newest version of `job`.
    pub fn newest(models: &'a Models, job: &Job) -> Self {
        Self { params: models.params(), control: models.control(job), sha256: models.sha256() }
    }
}

/// What a client makes of its task: its reply, and what it keeps from now on if it trained.
struct Made {
    answer: Answer,
    update: Option<Update>,
    own: Vec<f32>,
}

/// A trainer for each thread of a job, and what each client keeps.
struct Prepared {
    job: u32,
    reading: Reading,
    trainers: Vec<Trainer>,
    /// What a client begins with of what it keeps.
    beginning: Vec<f32>,
    /// How that is divided.
    keeps: Own,
    /// Of clients that have trained in a round that counts.
    own: BTreeMap<usize, Vec<f32>>,
    /// Of their last tasks: they count when the answers do.
    pending: BTreeMap<usize, Vec<f32>>,
}

/// How a job reads rows: scaled by what it has measured, and with what liars say of theirs.
struct Reading {
    preprocessing: Preprocessing,
    byzantine: Option<Byzantine>,
    liars: BTreeSet<ClientName>,
}

impl Reading {
    /// A client as the job sees it. It is made whenever it is asked something: whoever waits has nothing of its own.
    fn client(&self, data: &ClientRows, work: &Work, seed: u64) -> Client {
        let (mut data, split) = (Cow::Borrowed(data), divide(data, &work.split, seed));
        if let Some(attack) = self.attack(&data.name) {
            let target = &work.schema.target;
            let scale = self.preprocessing.of_column(&target.name);
            attack.spoil(&mut data.to_mut().truth, &split, target.classes.len(), scale);
        }
        Client::new(&data, split, &work.schema, &self.preprocessing)
    }

    /// How a client lies, if it does.
    fn attack(&self, client: &ClientName) -> Option<Attack> {
        self.byzantine.filter(|_| self.liars.contains(client)).map(|byzantine| byzantine.attack)
    }
}

/// All clients of a simulation.
pub struct Clients {
    data: DataSet,
    work: Work,
    seed: u64,
    world: World,
    /// The world's devices, if they are not drawn.
    trace: Vec<Device>,
    threads: rayon::ThreadPool,
    prepared: Option<Prepared>,
}

/// Why there are no clients.
#[derive(Debug, thiserror::Error)]
pub enum ClientsError {
    /// A client cannot be divided.
    #[error("a client has too few rows: {} are needed", .0.needed)]
    TooFewRows(TooFewRows),
    /// The system gives no threads.
    #[error("the threads cannot be made: {0}; ask for fewer")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl From<TooFewRows> for ClientsError {
    fn from(few: TooFewRows) -> Self {
        Self::TooFewRows(few)
    }
}

impl Clients {
    /// Divides everybody's rows by `seed`, for work on `threads` threads.
    pub fn new(data: DataSet, work: Work, seed: u64, threads: usize) -> Result<Self, ClientsError> {
        check(&data, &work.split)?;
        let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        Ok(Self { data, work, seed, world: World::default(), trace: vec![], threads, prepared: None })
    }

    /// The same clients in a world, on the devices of its trace if it has one.
    pub fn in_world(self, world: World, trace: Vec<Device>) -> Self {
        Self { world, trace, ..self }
    }

    /// The world that they are in.
    pub fn world(&self) -> &World {
        &self.world
    }

    /// Whether nothing will be heard of a client in a round of `job`.
    pub fn is_silent(&self, job: &Job, round: RoundId, client: &ClientName) -> bool {
        let whole = self.work.training.amount();
        let amount = || self.world.amount(job.seed, client, round.ordinal, whole);
        round.kind == Kind::Train && self.world.is_silent(job.seed, client, round, (amount(), whole))
    }

    /// Whether a client vanishes in a round of `job`, so that it is lost.
    pub fn vanishes(&self, job: &Job, round: RoundId, client: &ClientName) -> bool {
        round.kind == Kind::Train && self.world.vanishes(job.seed, client, round)
    }

    /// How long a client's part in a round takes, on its device; `None` where nothing takes time: what is measured or
    /// judged, and all of it in a world without devices. `down` is what the model
    /// has in bytes.
    pub fn way(&self, job: &Job, round: RoundId, client: &ClientName, down: u64) -> Option<Way> {
        if round.kind != Kind::Train {
            return None;
        }
        let device = match &self.world.devices {
            Some(devices) => devices.of(job.seed, client),
            None => Device::drawn(&self.trace, job.seed, client)?,
        };
        let (training, plan) = (&self.work.training, &job.plan);
        let rows = self.split(self.position(client)?).rows(plan.rows).len();
        let amount = self.world.amount(job.seed, client, round.ordinal, training.amount());
        let groups = plan.groups().len() as u64;
        // The server's control variate comes with the model, and is as long.
        let up = plan.layout.parameters() as u64 * plan.codec.width() as u64 * groups;
        Some(device.way(down * groups, training.examples_of(amount, rows), up))
    }

    /// Goes on with a job of other work or another seed, on the same rows.
    pub fn take_up(&mut self, work: Work, seed: u64) -> Result<(), ClientsError> {
        if (&work, seed) != (&self.work, self.seed) {
            check(&self.data, &work.split)?;
            (self.work, self.seed, self.prepared) = (work, seed, None);
        }
        Ok(())
    }

    /// The data set.
    pub fn data(&self) -> &DataSet {
        &self.data
    }

    /// What each client's rows are for.
    pub fn splits(&self) -> impl Iterator<Item = Split> {
        self.data.clients.iter().map(|client| divide(client, &self.work.split, self.seed))
    }

    /// What the rows of the client at `position` are for.
    fn split(&self, position: usize) -> Split {
        divide(&self.data.clients[position], &self.work.split, self.seed)
    }

    /// What trainers are told.
    pub fn work(&self) -> &Work {
        &self.work
    }

    /// The threads.
    pub fn threads(&self) -> &rayon::ThreadPool {
        &self.threads
    }

    /// The answers of `names` to a round's tasks, in the order of names. `base` is the version that they are given, if the round
    /// gives one.
    pub fn answer(&mut self, job: &Job, round: RoundId, base: Option<Base<'_>>, names: &[ClientName]) -> Vec<Reply> {
        let positions: Vec<usize> = names.iter().filter_map(|name| self.position(name)).collect();
        assert_eq!(positions.len(), names.len(), "only clients of the data set are asked");
        let Some(base) = base else {
            return positions.iter().map(|i| Ok((self.measure(*i, job.plan.rows), None))).collect();
        };
        self.prepare(job);
        let Some(prepared) = &mut self.prepared else { unreachable!("just prepared") };
        let Prepared { reading, trainers, beginning, own, pending, .. } = prepared;
        let task = Task::of((&job.plan, job.seed), round, (base.params, base.control), &self.work);
        let (codec, digest) = (job.plan.codec, base.sha256);
        let (data, work, seed) = (&self.data.clients, &self.work, self.seed);
        let (world, next) = (&self.world, AtomicUsize::new(0));
        // Every thread takes the next client until there is none, so that a slow one holds up nobody.
        let take = |trainer: &mut Trainer| {
            let mut replies = Vec::new();
            while let Some(position) = positions.get(next.fetch_add(1, Ordering::Relaxed)) {
                let client = reading.client(&data[*position], work, seed);
                let amount = world.amount(job.seed, &client.name, round.ordinal, task.amount);
                let own = own.get(position).unwrap_or(beginning);
                let mut done = Task { amount, ..task }.answer(trainer, &client, own);
                if let (Ok(Done::Trained(update, _)), Some(attack)) = (&mut done, reading.attack(&client.name)) {
                    attack.forge(update, job.seed, &client.name, round.ordinal);
                }
                replies.push((*position, done.and_then(|done| reply(done, &task, codec, digest))));
            }
            replies
        };
        let mut replies: Vec<(usize, Result<Made, TrainError>)> = match &mut trainers[..] {
            [alone] if self.threads.current_num_threads() == 1 => take(alone),
            trainers => self.threads.install(|| trainers.par_iter_mut().flat_map_iter(take).collect()),
        };
        replies.sort_by_key(|(position, _)| *position);
        let come = |(position, made): (usize, Result<Made, TrainError>)| {
            let Made { answer, update, own } = made?;
            if !own.is_empty() {
                pending.insert(position, own);
            }
            Ok((answer, update))
        };
        replies.into_iter().map(come).collect()
    }

    /// The answers of `names` count: they keep what they made with them.
    pub fn keep<'a>(&mut self, names: impl Iterator<Item = &'a ClientName>) {
        let positions: Vec<usize> = names.filter_map(|name| self.position(name)).collect();
        let Some(Prepared { own, pending, .. }) = &mut self.prepared else { return };
        own.extend(positions.iter().filter_map(|position| pending.remove_entry(position)));
    }

    /// Everybody's test rows, in the order of names: the truth, and what the model `params` of `job` says, in the target's unit.
    /// None of a model that says classes.
    pub fn predictions(&mut self, job: &Job, params: &Params) -> Result<Vec<(f64, f64)>, TrainError> {
        self.prepare(job);
        let Some(prepared) = &mut self.prepared else { unreachable!("just prepared") };
        let Prepared { reading, trainers, beginning, keeps, own, .. } = prepared;
        let Some(trainer) = trainers.first_mut() else { return Ok(vec![]) };
        let mut pairs = Vec::new();
        for (i, data) in self.data.clients.iter().enumerate() {
            let client = reading.client(data, &self.work, self.seed);
            trainer.load(params, keeps.parts(own.get(&i).unwrap_or(beginning)).layers)?;
            let (test, Truth::Numbers(target)) = (&client.split.test, &data.truth) else { return Ok(vec![]) };
            let truths = test.iter().map(|row| target[*row as usize]);
            pairs.extend(truths.zip(trainer.predict(client.rows(), test)));
        }
        Ok(pairs)
    }

    /// Where a client stands among the data set's.
    pub fn position(&self, name: &ClientName) -> Option<usize> {
        self.data.clients.binary_search_by(|client| client.name.cmp(name)).ok()
    }

    fn measure(&self, position: usize, which: TrainingRows) -> Answer {
        let (data, split) = (&self.data.clients[position], self.split(position));
        Answer::Measured { statistics: measure(data, &self.work.schema, split.rows(which)) }
    }

    /// Makes trainers for what the job has measured, once a job.
    fn prepare(&mut self, job: &Job) {
        if self.prepared.as_ref().is_some_and(|prepared| prepared.job == job.id) {
            return;
        }
        let preprocessing =
            job.statistics.as_ref().map_or_else(|| Preprocessing::of(&Statistics::new()), Preprocessing::of);
        let names = self.data.clients.iter().map(|client| &client.name);
        let byzantine = self.world.byzantine;
        let liars = byzantine.map(|byzantine| byzantine.among(job.seed, names)).unwrap_or_default();
        let most_rows = self.splits().map(|split| split.both.len().max(split.test.len())).max().unwrap_or(1);
        // A thread for each client of a round; where there are more, a large step shares out its work.
        let threads = self.threads.current_num_threads();
        let at_once = threads.min(job.plan.cohort.size.unwrap_or(usize::MAX)).clamp(1, self.data.clients.len().max(1));
        let trainer = |_| Trainer::new(&self.work, &preprocessing, most_rows, threads / at_once);
        let trainers = (0..at_once).map(trainer).collect();
        let keeps = Own::of(&self.work, job.plan.objective()).expect("the work was checked");
        let beginning = keeps.beginning(&self.work, job.seed).expect("the work was checked");
        let (own, pending) = (BTreeMap::new(), BTreeMap::new());
        let (job, reading) = (job.id, Reading { preprocessing, byzantine, liars });
        self.prepared = Some(Prepared { job, reading, trainers, beginning, keeps, own, pending });
    }
}

/// Divides everybody's rows.
pub fn split(data: &DataSet, spec: &SplitSpec, seed: u64) -> Result<Vec<Split>, TooFewRows> {
    check(data, spec)?;
    Ok(data.clients.iter().map(|client| divide(client, spec, seed)).collect())
}

/// Whether every client has the rows that it takes to divide them.
fn check(data: &DataSet, spec: &SplitSpec) -> Result<(), TooFewRows> {
    let few = |client: &ClientRows| client.len() - client.held_out < spec.needed();
    if data.clients.iter().any(few) { Err(TooFewRows { needed: spec.needed() }) } else { Ok(()) }
}

/// Divides the rows of a client that was checked.
fn divide(client: &ClientRows, spec: &SplitSpec, seed: u64) -> Split {
    let rows = client.len() - client.held_out;
    spec.divide(rows, client.held_out, seed, &client.divided_as).expect("the client was checked")
}

/// Stops 5 and 6 of a round: what was done becomes an answer. An update is encoded, and read back as a server would.
fn reply(done: Done, task: &Task<'_>, codec: Codec, base: Digest) -> Result<Made, TrainError> {
    let (update, own) = match done {
        Done::Evaluated(sums) => return Ok(Made { answer: Answer::Evaluated { sums }, update: None, own: vec![] }),
        Done::Trained(update, own) => (update, own),
    };
    let bytes = encode_update(&update, codec, base);
    let sha256 = Digest::of(&bytes);
    let names: Vec<String> = update.scalars.keys().cloned().collect();
    let groups = task.objective.groups();
    let expected = Expected { layout: task.base.layout(), groups, scalars: &names, codec, base };
    let update = match codec {
        // Exact: reading it back would change nothing, and the tests hold that it does not.
        Codec::F32 if update.groups.values().all(Params::is_finite) => update,
        _ => decode_update(&bytes, &expected, None).map_err(|error| TrainError::Refused(error.to_string()))?,
    };
    let (weight, scalars) = (update.weight, update.scalars.clone());
    let answer = Answer::Update { sha256, bytes: bytes.len() as u64, weight, scalars };
    Ok(Made { answer, update: Some(update), own })
}

/// The mean training loss of a round, weighted as its updates are; not a number if it has none.
pub fn train_loss(round: &Collection) -> f64 {
    let (mut sum, mut total) = (0.0, 0.0);
    for answer in round.answers.values() {
        if let Answer::Update { weight, scalars, .. } = answer {
            sum += weight.get() * scalars.get(TRAIN_LOSS).copied().unwrap_or(0.0);
            total += weight.get();
        }
    }
    sum / total
}
