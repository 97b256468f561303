//! Clients that lie.

use std::collections::BTreeSet;

use dure_core::{
    name::ClientName,
    plan::PlanError,
    random::{RngExt, normal},
    statistics::Scale,
    update::Update,
};
use serde::{Deserialize, Serialize};

use super::draws;
use crate::{data::examples::Truth, split::Split};

/// So many clients, drawn from the seed, send something else than their training makes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Byzantine {
    /// How many.
    pub clients: usize,
    /// What they do.
    pub attack: Attack,
}

/// What a liar does.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"sign_flip\" }"
)]
pub enum Attack {
    /// It sends the opposite of its update, times `factor`.
    SignFlip {
        /// 1 if absent.
        #[serde(default = "one")]
        factor: f32,
    },
    /// It sends its update times `factor`, to count for many.
    Scale {
        /// Above 1, if it is to count for more.
        factor: f32,
    },
    /// It adds Gaussian noise to each coordinate.
    Noise {
        /// Its standard deviation.
        deviation: f32,
    },
    /// It trains on wrong labels: of C classes the last in place of the first, and so on; of a number what lies opposite of the mean.
    LabelFlip {},
    /// It sends a file with a value that is no number, which the server refuses.
    Malformed {},
}

fn one() -> f32 {
    1.0
}

impl Byzantine {
    /// Holds every value to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let (key, value) = match self.attack {
            Attack::SignFlip { factor } | Attack::Scale { factor } => ("world.byzantine.attack.factor", factor),
            Attack::Noise { deviation } => ("world.byzantine.attack.deviation", deviation),
            Attack::LabelFlip {} | Attack::Malformed {} => return Ok(()),
        };
        let allowed = "a number above 0";
        if value.is_finite() && value > 0.0 { Ok(()) } else { Err(PlanError::value(key, value, allowed)) }
    }

    /// Who lies, of all clients of a job with this seed.
    pub fn among<'a>(&self, seed: u64, clients: impl Iterator<Item = &'a ClientName>) -> BTreeSet<ClientName> {
        let mut drawn: Vec<(u64, &ClientName)> =
            clients.map(|client| (draws(seed, "byzantine", client, 0).random(), client)).collect();
        drawn.sort_unstable();
        drawn.into_iter().take(self.clients).map(|(_, client)| client.clone()).collect()
    }
}

impl Attack {
    /// Spoils what a liar trains on. `scale` is that of the target, if it is a number.
    pub fn spoil(self, truth: &mut Truth, split: &Split, classes: usize, scale: Scale) {
        if self != (Self::LabelFlip {}) {
            return;
        }
        for row in &split.both {
            let row = *row as usize;
            match truth {
                Truth::Classes(labels) => labels[row] = (classes - 1) as u16 - labels[row],
                Truth::Numbers(numbers) => numbers[row] = 2.0 * scale.mean - numbers[row],
            }
        }
    }

    /// Spoils what a liar sends in a round.
    pub fn forge(self, update: &mut Update, seed: u64, client: &ClientName, round: u32) {
        for params in update.groups.values_mut() {
            let values = params.values_mut();
            match self {
                Self::SignFlip { factor } => values.iter_mut().for_each(|value| *value *= -factor),
                Self::Scale { factor } => values.iter_mut().for_each(|value| *value *= factor),
                Self::Noise { deviation } => {
                    let mut numbers = draws(seed, "noise", client, u64::from(round));
                    values
                        .iter_mut()
                        .for_each(|value| *value += normal(&mut numbers, 0.0, f64::from(deviation)) as f32);
                }
                Self::LabelFlip {} => {}
                Self::Malformed {} => values.iter_mut().take(1).for_each(|value| *value = f32::NAN),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_turned_round_where_a_liar_trains_and_nowhere_else() {
        let split = Split { training: vec![0], validation: vec![2], both: vec![0, 2], test: vec![1] };
        let scale = Scale { mean: 10.0, scale: 2.0 };
        let (mut classes, mut numbers) = (Truth::Classes(vec![0, 0, 1]), Truth::Numbers(vec![9.0, 9.0, 14.0]));
        for truth in [&mut classes, &mut numbers] {
            Attack::SignFlip { factor: 1.0 }.spoil(truth, &split, 3, scale);
            Attack::LabelFlip {}.spoil(truth, &split, 3, scale);
        }
        assert_eq!((classes, numbers), (Truth::Classes(vec![2, 0, 1]), Truth::Numbers(vec![11.0, 9.0, 6.0])));
    }

    #[test]
    fn so_many_lie_and_others_with_another_seed() {
        let names: Vec<ClientName> = (0..30).map(|i| ClientName::new(format!("c{i}")).unwrap()).collect();
        let byzantine = Byzantine { clients: 4, attack: Attack::LabelFlip {} };
        let (one, two) = (byzantine.among(1, names.iter()), byzantine.among(2, names.iter().rev()));
        assert_eq!((one.len(), two.len(), one == two), (4, 4, false));
        assert_eq!(byzantine.among(2, names.iter()), two, "whatever the order");
    }
}
