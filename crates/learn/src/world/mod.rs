//! `[world]` of a recipe: what a simulation's devices, networks and liars are like. It never leaves the simulator, and a served
//! federation has none. Everything is drawn from the job's seed by a client's name, so equal seeds make equal worlds.

pub mod byzantine;
pub mod device;

use std::collections::BTreeMap;

use dure_core::{
    cohort::filter::FACTS,
    name::ClientName,
    plan::PlanError,
    random::{Purpose, RngExt, Stream, stream},
    round::RoundId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::work::Training;

pub use byzantine::{Attack, Byzantine};
pub use device::{Device, Devices, LogNormal, Way};

/// What a simulation's devices are like; without it every client does all of its work at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// As many clients as this, where a simulation is to have more than there are: each shares the examples of one of those, in
    /// turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub population: Option<u32>,
    /// The share of clients that, drawn anew in every training round, have no time for all of their epochs: some number below
    /// all of them, each as likely. Li et al. 2020, §5.1 <https://arxiv.org/abs/1812.06127>.
    pub stragglers: f64,
    /// What becomes of their work.
    pub partial: Partial,
    /// The share of clients that, drawn anew in every training round, vanish while they work.
    pub drop_out: f64,
    /// How fast devices and their networks are. Without it nothing takes time.
    pub devices: Option<Devices>,
    /// A CSV file of devices in place of distributions: see [`device::parse`].
    #[serde(skip_serializing_if = "String::is_empty")]
    pub trace: String,
    /// What devices say of themselves, for a job that chooses by it: see [`FACTS`]. Each client draws each once.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub facts: BTreeMap<String, LogNormal>,
    /// When clients are there at all; always, if absent.
    pub availability: Option<Availability>,
    /// Clients that send something else than their training makes.
    pub byzantine: Option<Byzantine>,
}

/// What becomes of work that is not done when the time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Partial {
    /// It is sent as it is: variable amounts of work, as FedProx takes them.
    #[default]
    Keep,
    /// Nothing is heard of the client, and the round goes on without it when its deadline has passed.
    Drop,
}

/// A client is there in some periods of time and not in others, each drawn for itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Availability {
    /// The share of periods in which it is.
    pub share: f64,
    /// How long a period is, in seconds of federation time.
    pub period_s: f64,
}

impl World {
    /// Holds every value to what it may be.
    pub fn check(&self, training: &Training) -> Result<(), PlanError> {
        if self.stragglers > 0.0 && training.amount() == 1 {
            let (first, second) = (format!("world.stragglers = {}", self.stragglers), "training.epochs = 1".to_owned());
            let why = "nothing is less than one; raise the epochs, or say training.steps";
            return Err(PlanError::Contradiction { first, second, why });
        }
        let share = |key, value: f64, allowed: &str| {
            if (0.0..=1.0).contains(&value) { Ok(()) } else { Err(PlanError::value(key, value, allowed)) }
        };
        share("world.stragglers", self.stragglers, "a share from 0 to 1")?;
        if let Some(population) = self.population.filter(|population| !(1..10_000_000).contains(population)) {
            return Err(PlanError::value("world.population", population, "1 to 9999999 clients"));
        }
        share("world.drop_out", self.drop_out, "a share from 0 to 1")?;
        if let Some(Availability { share: there, period_s }) = self.availability {
            if there == 0.0 {
                return Err(PlanError::value("world.availability.share", there, "above 0: nobody would ever come"));
            }
            share("world.availability.share", there, "a share above 0, up to 1")?;
            if !(0.001..=1e9).contains(&period_s) {
                return Err(PlanError::value("world.availability.period_s", period_s, "0.001 to 1e9 seconds"));
            }
        }
        if let (Some(there), None, "") = (self.availability, &self.devices, &*self.trace) {
            return Err(PlanError::Contradiction {
                first: format!("world.availability = {{ period_s = {} }}", there.period_s),
                second: "no world.devices".into(),
                why: "nothing takes time in this world, so the next period never comes; say how fast devices are",
            });
        }
        if self.devices.is_some() && !self.trace.is_empty() {
            return Err(PlanError::Contradiction {
                first: "world.devices".into(),
                second: format!("world.trace = {:?}", self.trace),
                why: "devices are drawn or read; leave one of the two away",
            });
        }
        for (fact, LogNormal { median, sigma }) in &self.facts {
            let of = |allowed: String| Err(PlanError::value("world.facts", fact, allowed));
            if !FACTS.contains(&fact.as_str()) {
                return of(format!("one of {}", FACTS.join(", ")));
            }
            if !((0.0..=1e15).contains(median) && (0.0..=10.0).contains(sigma)) {
                return of("a median from 0 to 1e15 and a sigma from 0 to 10".into());
            }
        }
        self.devices.as_ref().map_or(Ok(()), Devices::check)?;
        self.byzantine.as_ref().map_or(Ok(()), Byzantine::check)
    }

    /// What a client with so many rows says of itself in jobs of this seed.
    pub fn facts_of(&self, seed: u64, client: &ClientName, rows: usize) -> Map<String, Value> {
        let draw = |(fact, drawn): (&String, &LogNormal)| {
            (fact.clone(), drawn.draw(&mut draws(seed, &format!("fact {fact}"), client, 0)).into())
        };
        std::iter::once(("rows".into(), rows.into())).chain(self.facts.iter().map(draw)).collect()
    }

    /// Whether anything takes time in it.
    pub fn takes_time(&self) -> bool {
        let silence = self.drop_out > 0.0 || (self.stragglers > 0.0 && self.partial == Partial::Drop);
        self.devices.is_some() || !self.trace.is_empty() || self.availability.is_some() || silence
    }

    /// How much of the `whole` of its training, in epochs or steps, a client has time for in a round.
    pub fn amount(&self, seed: u64, client: &ClientName, round: u32, whole: u32) -> u32 {
        // Drawn only where somebody straggles: it is asked of every client of every round.
        if self.stragglers == 0.0 || whole <= 1 {
            return whole;
        }
        let mut numbers = stream(seed, Purpose::World, client.as_str(), u64::from(round));
        let straggles = numbers.random::<f64>() < self.stragglers;
        if straggles { numbers.random_range(1..whole) } else { whole }
    }

    /// Whether nothing will be heard of a client in a round in which it has time for so much.
    pub fn is_silent(&self, seed: u64, client: &ClientName, round: RoundId, (done, whole): (u32, u32)) -> bool {
        (self.partial == Partial::Drop && done < whole) || self.vanishes(seed, client, round)
    }

    /// Whether a client vanishes in a round. Who has done so may do better when the round is tried again.
    pub fn vanishes(&self, seed: u64, client: &ClientName, round: RoundId) -> bool {
        let ordinal = u64::from(round.attempt.saturating_sub(1)) << 32 | u64::from(round.ordinal);
        let drawn = || draws(seed, "drop-out", client, ordinal).random::<f64>();
        self.drop_out > 0.0 && drawn() < self.drop_out
    }

    /// A number by which clients that answer at once are put in order.
    pub fn chance(&self, seed: u64, client: &ClientName, round: u32) -> u64 {
        draws(seed, "order", client, u64::from(round)).random()
    }

    /// Whether a client is there in a period.
    pub fn is_there(&self, seed: u64, client: &ClientName, period: u64) -> bool {
        let Some(Availability { share, .. }) = self.availability else { return true };
        draws(seed, "availability", client, period).random::<f64>() < share
    }
}

/// Numbers for one purpose within a world. No client's name has a space.
fn draws(seed: u64, what: &str, client: &ClientName, ordinal: u64) -> Stream {
    stream(seed, Purpose::World, &format!("{what} {client}"), ordinal)
}

#[cfg(test)]
mod tests {
    use dure_core::round::Kind;

    use super::*;
    use crate::{
        local_optimizer::{LocalOptimizer, Schedule},
        loss::Loss,
    };

    fn training(epochs: u32) -> Training {
        let (loss, optimizer) = (Loss::Mse {}, LocalOptimizer::sgd(1.0));
        Training { epochs, steps: None, batch_size: 1, loss, optimizer, schedule: Schedule::Constant }
    }

    #[test]
    fn nobody_has_time_for_less_than_one_epoch() {
        let world = World { stragglers: 0.5, ..World::default() };
        let error = world.check(&training(1)).unwrap_err().to_string();
        assert!(error.starts_with("world.stragglers = 0.5 and training.epochs = 1 contradict each other"), "{error}");
        assert_eq!(world.check(&training(2)), Ok(()));
    }

    fn name() -> ClientName {
        ClientName::new("a").unwrap()
    }

    #[test]
    fn as_many_straggle_as_are_said_to_and_each_shorter_work_is_as_likely() {
        let world = World { stragglers: 0.6, ..World::default() };
        let mut counts = [0; 5];
        for round in 1..=4000 {
            counts[world.amount(3, &name(), round, 4) as usize] += 1;
        }
        // 800 of each shorter length expected, standard deviation 25; 1,600 of the whole.
        assert!(counts[0] == 0 && counts[1..4].iter().all(|n| (700..900).contains(n)), "{counts:?}");
        assert!((1480..1720).contains(&counts[4]), "{counts:?}");
        let nobody = World::default();
        assert!((1..100).all(|round| nobody.amount(3, &name(), round, 4) == 4));
    }

    #[test]
    fn as_many_vanish_and_are_away_as_are_said_to() {
        let availability = Some(Availability { share: 0.7, period_s: 60.0 });
        let world = World { drop_out: 0.2, availability, ..World::default() };
        let round = |ordinal| RoundId { job: 1, kind: Kind::Train, ordinal, attempt: 1 };
        let gone = (1..=2000).filter(|ordinal| world.is_silent(3, &name(), round(*ordinal), (4, 4))).count();
        let there = (1..=2000).filter(|period| world.is_there(3, &name(), *period)).count();
        // 400 and 1,400 expected, standard deviations 18 and 20.
        assert!((320..480).contains(&gone) && (1310..1490).contains(&there), "{gone} {there}");
    }

    #[test]
    fn a_world_that_cannot_be_is_refused_by_its_key() {
        let check = |text: &str, want: &str| {
            let world: World = toml::from_str(text).unwrap();
            let error = world.check(&training(3)).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        };
        check("population = 0", "world.population = 0 is not allowed: 1 to 9999999 clients");
        check("stragglers = 1.5", "world.stragglers = 1.5 is not allowed");
        check("drop_out = -0.1", "world.drop_out = -0.1 is not allowed");
        check(
            "availability = {share = 0, period_s = 1}",
            "world.availability.share = 0 is not allowed: above 0: nobody",
        );
        check("devices = {examples_per_s = {median = 0}}", "world.devices.examples_per_s.median = 0 is not allowed");
        check("facts = {memory = {median = 1}}", "world.facts = memory is not allowed: one of cores, memory_mb,");
        check("devices = {}\ntrace = \"x.csv\"", "world.devices and world.trace = \"x.csv\" contradict each other");
        check(
            "byzantine = {clients = 1, attack = {name = \"scale\", factor = -2}}",
            "world.byzantine.attack.factor = -2 is not allowed",
        );
    }
}
