//! What the federation is held against, on the same splits: all rows in one place (`central`), and every client alone
//! (`local`). They have the federation's model and its budget of epochs, or what the recipe found best for them.

use std::sync::Arc;

use dure_core::{
    job::Job,
    model::Params,
    random::{Purpose, Stream, stream},
    statistics::Sums,
    strategy::Objective,
};
use dure_learn::{
    client::{Rows, TrainError, Trainer, measure},
    data::{
        ClientRows,
        examples::{Inputs, Truth},
    },
    own::Own,
    split::Split,
    standardise::Preprocessing,
    work::Work,
};
use rayon::prelude::*;

use crate::{clients::Clients, report::Figures};

/// Each client's sums on its test rows, of one model trained on everybody's rows as if they were in one place, for `rounds`
/// rounds of the plan's epochs.
pub fn central(clients: &Clients, job: &Job, rounds: u32) -> Result<Figures, TrainError> {
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
    let mut numbers = stream(job.seed, Purpose::Baseline, "", 0);
    let sums: Vec<Sums> = clients.threads().install(|| -> Result<_, TrainError> {
        let mut trainer = Trainer::new(work, &preprocessing, rows.len(), clients.threads().current_num_threads());
        train(&mut trainer, work, job, (&everything, &rows), rounds, &mut numbers)?;
        Ok(tests.iter().map(|test| trainer.evaluate(&everything, test, true)).collect())
    })?;
    Ok(Figures::of(data.iter().map(|client| &client.name).zip(&sums)))
}

/// Each client's sums on its test rows, of a model trained on its own rows alone, with its own statistics: what `work` says, for `rounds`
/// rounds.
pub fn local(clients: &Clients, job: &Job, (work, rounds): (&Work, u32)) -> Result<Figures, TrainError> {
    let alone = |(client, split): (&ClientRows, &Split)| {
        let preprocessing = Preprocessing::of(&measure(client, &work.schema, split.rows(job.plan.rows)));
        let rows = Rows::new(&client.inputs, &client.truth, &work.schema, &preprocessing);
        let mut trainer = Trainer::new(work, &preprocessing, split.both.len(), 1);
        let mut numbers = stream(job.seed, Purpose::Baseline, client.name.as_str(), 0);
        train(&mut trainer, work, job, (&rows, split.rows(job.plan.rows)), rounds, &mut numbers)?;
        Ok(trainer.evaluate(&rows, &split.test, true))
    };
    let splits: Vec<Split> = clients.splits().collect();
    let everybody = clients.data().clients.par_iter().zip(&splits);
    let sums: Vec<Sums> = clients.threads().install(|| everybody.map(alone).collect::<Result<_, TrainError>>())?;
    Ok(Figures::of(clients.data().clients.iter().map(|client| &client.name).zip(&sums)))
}

/// Trains from the job's first parameters on as if rounds were only for the learning rate to change.
fn train(
    trainer: &mut Trainer,
    work: &Work,
    job: &Job,
    (data, rows): (&Rows, &[u32]),
    rounds: u32,
    numbers: &mut Stream,
) -> Result<(), TrainError> {
    let checked = "the work was checked";
    let layout = work.layout().expect(checked);
    let keeps = Own::of(work, Objective::Plain).expect(checked);
    let own = keeps.beginning(work, job.seed).expect(checked);
    trainer.load(&Params::initial(Arc::new(layout), job.seed), keeps.parts(&own).layers)?;
    for round in 1..=rounds {
        trainer.scale_rate(work.training.schedule.factor(round, rounds));
        trainer.run(data, rows, work.training.steps_of(work.training.amount(), rows.len()), numbers);
    }
    Ok(())
}
