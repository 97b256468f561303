//! `[world]` of a recipe: what a simulation's devices are like. It never leaves the simulator, and a served federation has none.

use dure_core::{
    name::ClientName,
    plan::PlanError,
    random::{Purpose, RngExt, stream},
};
use serde::{Deserialize, Serialize};

/// What a simulation's devices are like; without it every client does all of its work at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct World {
    /// The share of clients that, drawn anew in every training round, have no time for all of their epochs: some number below
    /// all of them, each as likely. Li et al. 2020, §5.1 <https://arxiv.org/abs/1812.06127>.
    pub stragglers: f64,
    /// What becomes of their work.
    pub partial: Partial,
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

impl World {
    /// Holds every value to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        if (0.0..=1.0).contains(&self.stragglers) {
            return Ok(());
        }
        Err(PlanError::value("world.stragglers", self.stragglers, "a share from 0 to 1"))
    }

    /// How many of its `epochs` a client has time for in a round.
    pub fn epochs(&self, seed: u64, client: &ClientName, round: u32, epochs: u32) -> u32 {
        let mut numbers = stream(seed, Purpose::World, client.as_str(), u64::from(round));
        let straggles = numbers.random::<f64>() < self.stragglers && epochs > 1;
        if straggles { numbers.random_range(1..epochs) } else { epochs }
    }

    /// Whether nothing is heard of a client that has time for so many of its epochs.
    pub fn is_silent(&self, done: u32, epochs: u32) -> bool {
        self.partial == Partial::Drop && done < epochs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_straggle_as_are_said_to_and_each_shorter_work_is_as_likely() {
        let world = World { stragglers: 0.6, ..World::default() };
        let mut counts = [0; 5];
        for round in 1..=4000 {
            counts[world.epochs(3, &ClientName::new("a").unwrap(), round, 4) as usize] += 1;
        }
        // 800 of each shorter length expected, standard deviation 25; 1,600 of the whole.
        assert!(counts[0] == 0 && counts[1..4].iter().all(|n| (700..900).contains(n)), "{counts:?}");
        assert!((1480..1720).contains(&counts[4]), "{counts:?}");
        let nobody = World::default();
        assert!((1..100).all(|round| nobody.epochs(3, &ClientName::new("a").unwrap(), round, 4) == 4));
    }
}
