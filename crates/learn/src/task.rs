//! What a client is asked, on a model that it is given: train, evaluate, test. The simulator and the agent both answer here.

use std::collections::BTreeMap;

use dure_core::{
    combine::{fednova::STEPS, qfedavg::BASE_LOSS},
    model::Params,
    plan::{Plan, TrainingRows},
    random::{Purpose, stream},
    round::{Kind, RoundId},
    statistics::{Moments, Sums},
    strategy::Objective,
    update::Update,
};

use crate::{
    client::{Client, Given, TrainError, Trainer},
    own::{Own, Parts},
    work::Work,
};

/// What a round asks of each of its clients.
#[derive(Clone, Copy)]
pub struct Task<'a> {
    /// The round.
    pub round: RoundId,
    /// The job's seed.
    pub seed: u64,
    /// The rows that the job trains on.
    pub rows: TrainingRows,
    /// Of how many rounds the job is.
    pub rounds: u32,
    /// The model.
    pub base: &'a Params,
    /// Everybody's control variate, which comes with it; empty is zero.
    pub control: &'a [f32],
    /// What trainers are told.
    pub work: &'a Work,
    /// What training makes small.
    pub objective: Objective,
    /// What clients keep.
    pub keeps: Own,
    /// How much there is time for: epochs, or steps if training is so many steps.
    pub amount: u32,
    /// The scalars that an update is to bear.
    pub scalars: &'a [String],
}

/// What comes of a task.
#[derive(Clone, Debug, PartialEq)]
pub enum Done {
    /// What training changed, and what the client keeps from now on.
    Trained(Update, Vec<f32>),
    /// Sums of the errors and counts of the classes, by the model that made them (`global`, `personalised`).
    Evaluated(BTreeMap<String, Sums>),
}

impl<'a> Task<'a> {
    /// What a round of a job of this plan and seed asks, all of it.
    ///
    /// # Panics
    /// If the work was not checked.
    pub fn of(
        (plan, seed): (&'a Plan, u64),
        round: RoundId,
        (base, control): (&'a Params, &'a [f32]),
        work: &'a Work,
    ) -> Self {
        let (objective, amount, scalars) = (plan.objective(), work.training.amount(), &plan.scalars);
        let keeps = Own::of(work, objective).expect("the work was checked");
        let (rows, rounds) = (plan.rows, plan.rounds);
        Self { round, seed, rows, rounds, base, control, work, objective, keeps, amount, scalars }
    }

    /// Stop 4 of a round: a client, which keeps `own`, does what it is asked. `trainer` may have served others before.
    pub fn answer(&self, trainer: &mut Trainer, client: &Client, own: &[f32]) -> Result<Done, TrainError> {
        let own = self.keeps.parts(own);
        match self.round.kind {
            Kind::Train => {
                let drawn = (self.seed, self.round.ordinal);
                trainer.scale_rate(self.work.training.schedule.factor(self.round.ordinal, self.rounds));
                trainer.pursue(self.objective, self.amount);
                let weighed_by = self.weighed_by(trainer, client, own.layers)?;
                let given = Given { params: self.base, control: self.control, own };
                let (mut update, own) = trainer.train(given, client, self.rows, drawn)?;
                update.scalars.extend(weighed_by);
                Ok(Done::Trained(update, own))
            }
            Kind::Test => self.test(trainer, client, own).map(Done::Evaluated),
            Kind::Evaluate | Kind::Measure => {
                trainer.load(self.base, own.layers)?;
                let sums = judge(trainer, client, &client.split.validation, false)?;
                Ok(Done::Evaluated(BTreeMap::from([("global".into(), sums)])))
            }
        }
    }

    /// The scalars that the strategy weighs updates by, as far as the plan declares them.
    fn weighed_by(
        &self,
        trainer: &mut Trainer,
        client: &Client,
        layers: &[f32],
    ) -> Result<BTreeMap<String, f64>, TrainError> {
        let (asks, rows) =
            (|name: &str| self.scalars.iter().any(|scalar| scalar == name), client.split.rows(self.rows));
        let mut scalars = BTreeMap::new();
        if asks(STEPS) {
            scalars.insert(STEPS.into(), trainer.steps(rows.len()) as f64);
        }
        if asks(BASE_LOSS) {
            trainer.load(self.base, layers)?;
            let loss = trainer.mean_loss(client.rows(), rows);
            if !loss.is_finite() {
                return Err(TrainError::Unpredictable(client.name.clone()));
            }
            scalars.insert(BASE_LOSS.into(), loss);
        }
        Ok(scalars)
    }

    /// The final model on test rows, as it is and as the client makes it its own.
    fn test(
        &self,
        trainer: &mut Trainer,
        client: &Client,
        own: Parts<'_>,
    ) -> Result<BTreeMap<String, Sums>, TrainError> {
        let (personalise, training) = (&self.work.personalise, &self.work.training);
        let (epochs, rows) = (personalise.epochs, client.split.rows(self.rows));
        trainer.load(self.base, own.layers)?;
        let mut sums = BTreeMap::from([("global".into(), judge(trainer, client, &client.split.test, true)?)]);
        if epochs > 0 {
            let mut numbers = stream(self.seed, Purpose::Personalise, client.name.as_str(), 0);
            trainer.scale_rate(personalise.learning_rate.map_or(1.0, |rate| rate / training.optimizer.learning_rate()));
            trainer.run(client.rows(), rows, training.steps_in(epochs, rows.len()), &mut numbers);
        } else if !own.personal.is_empty() {
            trainer.load_personal(own.personal);
        }
        if epochs > 0 || !own.personal.is_empty() {
            // Fine-tuning that diverges is this client's loss alone: it has no personal model, and figures say how many have.
            sums.extend(
                judge(trainer, client, &client.split.test, true).ok().map(|sums| ("personalised".into(), sums)),
            );
        }
        Ok(sums)
    }
}

/// What the trainer's model comes to on some of a client's rows.
fn judge(trainer: &mut Trainer, client: &Client, rows: &[u32], scores: bool) -> Result<Sums, TrainError> {
    let sums = trainer.evaluate(client.rows(), rows, scores);
    let possible = sums.moments.values().all(Moments::is_possible);
    if possible { Ok(sums) } else { Err(TrainError::Unpredictable(client.name.clone())) }
}
