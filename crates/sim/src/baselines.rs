//! What the federation is held against, on the same splits and with the same budget of epochs: all rows in one place
//! (`central`), and every client alone (`local`).

use std::sync::Arc;

use dure_core::{
    job::Job,
    model::Params,
    random::{Purpose, stream},
    statistics::Sums,
};
use dure_learn::{
    client::{Rows, TrainError, Trainer, measure},
    data::{
        ClientRows,
        examples::{Inputs, Truth},
    },
    split::Split,
    standardise::Preprocessing,
    work::Work,
};
use rayon::prelude::*;

use crate::{clients::Clients, report::Figures};

/// Each client's sums on its test rows, of one model trained on everybody's rows as if they were in one place: an epoch
/// for every epoch that a client had in the job.
pub fn central(clients: &Clients, job: &Job) -> Result<Figures, TrainError> {
    let (work, data) = (clients.work(), &clients.data().clients);
    let preprocessing = Preprocessing::of(&job.statistics.clone().unwrap_or_default());
    let (mut first, mut rows, mut tests) = (0, vec![], vec![]);
    for (client, split) in data.iter().zip(clients.splits()) {
        rows.extend(split.rows(job.plan.rows).iter().map(|row| first + row));
        tests.push(split.test.iter().map(|row| first + row).collect::<Vec<u32>>());
        first += client.len() as u32;
    }
    let inputs = Inputs::join(data.iter().map(|client| &client.inputs));
    let truth = Truth::join(data.iter().map(|client| &client.truth));
    let Some((inputs, truth)) = inputs.zip(truth) else { return Ok(Figures::of(std::iter::empty())) };
    let everything = Rows::new(&inputs, &truth, &work.schema, &preprocessing);
    let mut trainer = Trainer::new(work, &preprocessing, rows.len());
    trainer.load(&initial(job))?;
    trainer.epochs(&everything, &rows, epochs(job, work), &mut stream(job.seed, Purpose::Baseline, "", 0));
    let sums: Vec<Sums> = tests.iter().map(|test| trainer.evaluate(&everything, test, true)).collect();
    Ok(Figures::of(data.iter().map(|client| &client.name).zip(&sums)))
}

/// Each client's sums on its test rows, of a model trained on its own rows alone, with its own statistics.
pub fn local(clients: &Clients, job: &Job) -> Result<Figures, TrainError> {
    let work = clients.work();
    let start = initial(job);
    let alone = |(client, split): (&ClientRows, &Split)| {
        let preprocessing = Preprocessing::of(&measure(client, &work.schema, split.rows(job.plan.rows)));
        let rows = Rows::new(&client.inputs, &client.truth, &work.schema, &preprocessing);
        let mut trainer = Trainer::new(work, &preprocessing, split.both.len());
        trainer.load(&start)?;
        let mut numbers = stream(job.seed, Purpose::Baseline, client.name.as_str(), 0);
        trainer.epochs(&rows, split.rows(job.plan.rows), epochs(job, work), &mut numbers);
        Ok(trainer.evaluate(&rows, &split.test, true))
    };
    let everybody = clients.data().clients.par_iter().zip(clients.splits());
    let sums: Vec<Sums> = clients.threads().install(|| everybody.map(alone).collect::<Result<_, TrainError>>())?;
    Ok(Figures::of(clients.data().clients.iter().map(|client| &client.name).zip(&sums)))
}

fn initial(job: &Job) -> Params {
    Params::initial(Arc::new(job.plan.layout.clone()), job.seed)
}

/// The epochs that a client of the job had over all its rounds.
fn epochs(job: &Job, work: &Work) -> u32 {
    job.completed.saturating_mul(work.training.epochs)
}
