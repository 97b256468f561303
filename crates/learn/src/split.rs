//! Training, validation and test rows of one client: disjoint, complete, and drawn from the job's seed and its name.

use dure_core::{
    name::ClientName,
    plan::TrainingRows,
    random::{Purpose, SliceRandom, stream},
};
use serde::{Deserialize, Serialize};

/// How a client's rows are divided.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// The share of all rows to test on.
    pub test: f64,
    /// The share of the rest to choose by.
    pub validation: f64,
    /// The data set holds rows out to test on, and `test` is 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out: bool,
}

/// Row numbers by what they are for, each list ascending.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split {
    /// To train on.
    pub training: Vec<u32>,
    /// To choose by.
    pub validation: Vec<u32>,
    /// Training and validation rows together.
    pub both: Vec<u32>,
    /// To report on.
    pub test: Vec<u32>,
}

/// A client with too few rows to be divided.
#[derive(Debug, PartialEq, Eq)]
pub struct TooFewRows {
    /// How many it needs.
    pub needed: usize,
}

impl SplitSpec {
    /// The fewest rows that leave one for every purpose.
    pub fn needed(&self) -> usize {
        1 + usize::from(self.test > 0.0) + usize::from(self.validation > 0.0)
    }

    /// Whether there are rows to test on.
    pub fn tests(&self) -> bool {
        self.test > 0.0 || self.held_out
    }

    /// Divides `rows` rows: a random `test` of them, at least one; then a random `validation` of the rest, at least one.
    /// `held_out` more rows, the last, are to be tested on as well.
    pub fn divide(&self, rows: usize, held_out: usize, seed: u64, client: &ClientName) -> Result<Split, TooFewRows> {
        if rows < self.needed() {
            return Err(TooFewRows { needed: self.needed() });
        }
        let mut order: Vec<u32> = (0..rows as u32).collect();
        order.shuffle(&mut stream(seed, Purpose::Split, client.as_str(), 0));
        let later = usize::from(self.validation > 0.0);
        let test = share(rows, self.test, rows - 1 - later);
        let validation = share(rows - test, self.validation, rows - test - 1);
        let sorted = |rows: &[u32]| {
            let mut rows = rows.to_vec();
            rows.sort_unstable();
            rows
        };
        let (training, both) = (&order[test + validation..], &order[test..]);
        let [training, validation, both, test] =
            [training, &order[test..test + validation], both, &order[..test]].map(sorted);
        let test = test.into_iter().chain(rows as u32..(rows + held_out) as u32).collect();
        Ok(Split { training, validation, both, test })
    }
}

/// `fraction` of `rows`, rounded, from 1 to `most`; none for a fraction of zero.
fn share(rows: usize, fraction: f64, most: usize) -> usize {
    if fraction > 0.0 { ((rows as f64 * fraction).round() as usize).clamp(1, most) } else { 0 }
}

impl Split {
    /// The rows that a plan trains on.
    pub fn rows(&self, which: TrainingRows) -> &[u32] {
        match which {
            TrainingRows::Training => &self.training,
            TrainingRows::TrainingAndValidation => &self.both,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(name: &str) -> ClientName {
        ClientName::new(name).unwrap()
    }

    #[test]
    fn a_month_of_days_is_divided_as_the_recipe_says() {
        let split = SplitSpec { test: 0.2, validation: 0.2, held_out: false }.divide(31, 0, 1, &name("a")).unwrap();
        assert_eq!((split.test.len(), split.validation.len(), split.training.len()), (6, 5, 20));
    }

    #[test]
    fn too_few_rows_say_how_many_are_needed() {
        let spec = SplitSpec { test: 0.2, validation: 0.2, held_out: false };
        assert_eq!(spec.divide(2, 0, 1, &name("a")), Err(TooFewRows { needed: 3 }));
        assert_eq!(SplitSpec { validation: 0.0, ..spec }.divide(1, 0, 1, &name("a")), Err(TooFewRows { needed: 2 }));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_twice(
            rows in 3usize..200, test in 0.0f64..0.99, validation in 0.0f64..0.99, seed: u64,
        ) {
            let spec = SplitSpec { test, validation, held_out: false };
            let split = spec.divide(rows, 0, seed, &name("a")).unwrap();
            let mut all: Vec<u32> = [&split.training[..], &split.validation, &split.test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
            prop_assert_eq!(split.both.len(), split.training.len() + split.validation.len());
            prop_assert!(!split.training.is_empty());
            prop_assert_eq!(spec.divide(rows, 0, seed, &name("a")).unwrap(), split);
        }
    }
}
