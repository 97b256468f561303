//! The work itself: a task, rows and a model in, an answer's bytes out. The simulator gives the same answers.

use std::{collections::BTreeMap, sync::Arc};

use dure_core::{
    digest::Digest,
    event::Answer,
    model::Params,
    round::{Kind, TaskId},
    statistics::{Statistics, Sums},
    update::Update,
};
use dure_learn::{
    client::{Client, measure},
    data::ClientRows,
    schema::Missing,
    split::Split,
    task::{Done, Task},
};
use dure_wire::{api::TaskView, encode_model, encode_update};

use crate::{calls, prepare::Job};

/// An answer, ready to be sent.
#[derive(Debug, PartialEq)]
pub enum Made {
    /// An update.
    Update(MadeUpdate),
    /// An [`Answer`] in JSON.
    Json(bytes::Bytes),
}

/// An update, ready to be sent.
#[derive(Debug, PartialEq)]
pub struct MadeUpdate {
    /// Its file.
    pub bytes: Vec<u8>,
    /// The file's digest.
    pub sha256: Digest,
    /// The digest of its job's plan and seed.
    pub job: Digest,
    /// How many rows it was trained on.
    pub examples: u64,
    /// The file of what the client keeps for the job's next round, if that is anything.
    pub own: Option<Vec<u8>>,
}

/// On what a task is done: the model that it names, what comes with that, and what the client keeps.
#[derive(Clone, Debug, Default)]
pub struct Grounds {
    /// The model.
    pub base: Option<Arc<Params>>,
    /// Everybody's control variate.
    pub control: Option<Arc<Params>>,
    /// As the job divides it.
    pub own: Arc<Vec<f32>>,
}

/// A client's rows, and as the job that it last worked for scales them.
#[derive(Clone)]
pub struct Rows {
    data: Arc<ClientRows>,
    scaled: Option<(Arc<Job>, Arc<Client>)>,
}

impl Rows {
    /// Not scaled yet.
    pub fn new(data: ClientRows) -> Self {
        Self { data: Arc::new(data), scaled: None }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    fn split(&self, job: &Job) -> Result<Split, String> {
        let (held_out, name) = (self.data.held_out, &self.data.name);
        let rows = self.len() - held_out;
        job.work
            .split
            .divide(rows, held_out, job.seed, name)
            .map_err(|few| format!("{name} has {rows} rows, and the plan's split needs {}", few.needed))
    }

    /// How many rows an answer of this kind would be made from, at the least.
    pub fn behind(&self, kind: Kind, job: &Job) -> Result<usize, String> {
        let split = self.split(job)?;
        let (training, personal) = (split.rows(job.plan.rows).len(), job.work.personalise.epochs > 0);
        Ok(match kind {
            // The mean of a column that is known of one row is that row's value, however many rows there are.
            Kind::Measure if job.work.schema.missing == Missing::Mean => {
                known(&measured(job, self)?).map_or(training, |known| known.min(training))
            }
            Kind::Measure | Kind::Train => training,
            Kind::Evaluate => split.validation.len(),
            Kind::Test if personal => split.test.len().min(training),
            Kind::Test => split.test.len(),
        })
    }

    /// The rows as `job` scales them.
    fn scaled(&mut self, job: &Arc<Job>) -> Result<Arc<Client>, String> {
        if let Some((_, client)) = self.scaled.as_ref().filter(|(known, _)| Arc::ptr_eq(known, job)) {
            return Ok(Arc::clone(client));
        }
        let preprocessing = job.preprocessing.as_ref().ok_or("the job's columns are not measured yet")?;
        let client = Client::new(&self.data, self.split(job)?, &job.work.schema, preprocessing);
        let client = Arc::new(client);
        self.scaled = Some((Arc::clone(job), Arc::clone(&client)));
        Ok(client)
    }
}

/// Refuses a task that is somebody else's, or that says two things of itself.
pub fn check(task: &TaskView, rows: &Rows) -> Result<(), String> {
    let TaskId { round, client } = &task.task;
    let same = (round.kind, round.job, round.ordinal) == (task.kind, task.job, task.ordinal);
    if same && *client == rows.data.name { Ok(()) } else { Err(format!("the task {} contradicts itself", task.task)) }
}

/// Answers `task`; if that cannot be done, why.
pub fn answer(task: &TaskView, job: &Arc<Job>, rows: &mut Rows, grounds: &Grounds) -> Result<Made, String> {
    match (task.kind, grounds.base.as_deref().zip(task.base)) {
        (Kind::Measure, _) => Ok(json(&Answer::Measured { statistics: measured(job, rows)? })),
        (_, Some((params, sha256))) => on_model(task, job, &*rows.scaled(job)?, (params, sha256), grounds),
        (_, None) => Err("the task names no model".into()),
    }
}

fn measured(job: &Job, rows: &Rows) -> Result<Statistics, String> {
    let split = rows.split(job)?;
    Ok(measure(&rows.data, &job.work.schema, split.rows(job.plan.rows)))
}

/// The fewest values that any column has, if it has some.
fn known(statistics: &Statistics) -> Option<usize> {
    statistics.values().map(|moments| moments.n as usize).filter(|n| *n > 0).min()
}

fn on_model(
    task: &TaskView,
    job: &Arc<Job>,
    client: &Client,
    (base, sha256): (&Params, Digest),
    grounds: &Grounds,
) -> Result<Made, String> {
    let control = grounds.control.as_ref().map_or(&[][..], |control| control.values());
    let asked = Task::of((&job.plan, job.seed), task.task.round, (base, control), &job.work);
    let preprocessing = job.preprocessing.as_ref().ok_or("the job's columns are not measured yet")?;
    let done = job.with_trainer(preprocessing, |trainer| asked.answer(trainer, client, &grounds.own));
    match done.map_err(|error| error.to_string())? {
        Done::Trained(update, own) => encode(task, job, client, (&update, own), sha256),
        Done::Evaluated(sums) => Ok(evaluated(sums)),
    }
}

/// Stop 5 of a round: the update as a file.
fn encode(
    task: &TaskView,
    job: &Job,
    client: &Client,
    (update, own): (&Update, Vec<f32>),
    base: Digest,
) -> Result<Made, String> {
    let bytes = encode_update(update, job.plan.codec, base);
    if bytes.len() > task.max_bytes {
        return Err(format!("the update has {} bytes, and the server takes {}", bytes.len(), task.max_bytes));
    }
    let (sha256, examples) = (Digest::of(&bytes), client.split.rows(job.plan.rows).len() as u64);
    let own = match &job.own_layout {
        Some(layout) => {
            let own = Params::new(Arc::clone(layout), own).map_err(|error| error.to_string())?;
            Some(encode_model(&own, &serde_json::Map::new()))
        }
        None => None,
    };
    Ok(Made::Update(MadeUpdate { bytes, sha256, job: job.digest, examples, own }))
}

fn evaluated(sums: BTreeMap<String, Sums>) -> Made {
    json(&Answer::Evaluated { sums })
}

fn json(answer: &Answer) -> Made {
    Made::Json(calls::bytes(answer))
}

#[cfg(test)]
mod tests {
    use dure_core::statistics::Moments;

    use super::*;

    #[test]
    fn the_column_that_fewest_rows_know_counts_and_one_that_none_knows_says_nothing() {
        let of = |counts: [u64; 3]| {
            let moments = |n| Moments { n, ..Moments::default() };
            known(&["a", "b", "c"].map(String::from).into_iter().zip(counts.map(moments)).collect())
        };
        assert_eq!(of([20, 1, 0]), Some(1));
        assert_eq!(of([20, 20, 7]), Some(7));
        assert_eq!(of([0; 3]), None);
    }
}
