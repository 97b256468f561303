//! Training, validation and test rows of one client: disjoint, complete, and drawn from the job's seed and its name.

use dure_core::{
    name::ClientName,
    plan::{PlanError, TrainingRows},
    random::{Purpose, SliceRandom, stream},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a client's rows are divided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SplitSpec {
    /// The share of all rows to test on.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub test: f64,
    /// The share of the rest to choose by.
    #[schemars(range(min = 0), extend("exclusiveMaximum" = 1))]
    pub validation: f64,
    /// The data set holds rows out to test on, and `test` is 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held_out: bool,
    /// Test on this fold instead of on a share; every row is in one fold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fold: Option<Fold>,
}

/// One of the parts of equal size that a client's rows fall into: each is tested on in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fold {
    /// Which, counted from 1.
    #[schemars(range(min = 1))]
    pub number: u32,
    /// Of how many.
    #[schemars(range(min = 2, max = 1000))]
    pub of: u32,
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
    /// The fewest rows that leave one for every purpose, in every fold.
    pub fn needed(&self) -> usize {
        let later = usize::from(self.validation > 0.0);
        self.fold.map_or(1 + usize::from(self.test > 0.0), |fold| fold.of as usize + later) + later
    }

    /// Whether there are rows to test on.
    pub fn tests(&self) -> bool {
        self.test > 0.0 || self.held_out || self.fold.is_some()
    }

    /// Holds every value to what it may be, alone and beside the others.
    pub fn check(&self) -> Result<(), PlanError> {
        for (key, share) in [("split.test", self.test), ("split.validation", self.validation)] {
            if !(0.0..1.0).contains(&share) {
                return Err(PlanError::value(key, share, "a share from 0 to below 1"));
            }
        }
        if self.held_out && self.test > 0.0 {
            let allowed = "0 where the data set holds rows out to test on";
            return Err(PlanError::value("split.test", self.test, allowed));
        }
        match self.fold {
            Some(Fold { number, of }) if !((2..=1000).contains(&of) && (1..=of).contains(&number)) => {
                let value = format!("number {number} of {of}");
                Err(PlanError::value("split.fold", value, "a number from 1 up, of 2 to 1000 folds"))
            }
            Some(_) if self.held_out || self.test > 0.0 => {
                let allowed =
                    "folds only where split.test = 0 and split.held_out = false: each fold is tested on in turn";
                Err(PlanError::value("split.fold", "set", allowed))
            }
            _ => Ok(()),
        }
    }

    /// Divides `rows` rows: a random `test` of them, at least one, or a fold; then a random `validation` of the rest, at least
    /// one. `held_out` more rows, the last, are to be tested on as well.
    pub fn divide(&self, rows: usize, held_out: usize, seed: u64, client: &ClientName) -> Result<Split, TooFewRows> {
        if rows < self.needed() {
            return Err(TooFewRows { needed: self.needed() });
        }
        let mut order: Vec<u32> = (0..rows as u32).collect();
        let later = usize::from(self.validation > 0.0);
        // Where all rows are for one purpose nobody sees an order.
        if later > 0 || self.test > 0.0 || self.fold.is_some() {
            order.shuffle(&mut stream(seed, Purpose::Split, client.as_str(), 0));
        }
        let test = match self.fold {
            Some(Fold { number, of }) => {
                let [start, end] = [number - 1, number].map(|i| rows * i as usize / of as usize);
                order.rotate_left(start);
                end - start
            }
            None => share(rows, self.test, rows - 1 - later),
        };
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
        let split =
            SplitSpec { test: 0.2, validation: 0.2, ..SplitSpec::default() }.divide(31, 0, 1, &name("a")).unwrap();
        assert_eq!((split.test.len(), split.validation.len(), split.training.len()), (6, 5, 20));
    }

    #[test]
    fn too_few_rows_say_how_many_are_needed() {
        let spec = SplitSpec { test: 0.2, validation: 0.2, ..SplitSpec::default() };
        assert_eq!(spec.divide(2, 0, 1, &name("a")), Err(TooFewRows { needed: 3 }));
        assert_eq!(SplitSpec { validation: 0.0, ..spec }.divide(1, 0, 1, &name("a")), Err(TooFewRows { needed: 2 }));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_nothing_is_twice(
            rows in 3usize..200, test in 0.0f64..0.99, validation in 0.0f64..0.99, seed: u64,
        ) {
            let spec = SplitSpec { test, validation, ..SplitSpec::default() };
            let split = spec.divide(rows, 0, seed, &name("a")).unwrap();
            let mut all: Vec<u32> = [&split.training[..], &split.validation, &split.test].concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
            prop_assert_eq!(split.both.len(), split.training.len() + split.validation.len());
            prop_assert!(!split.training.is_empty());
            prop_assert_eq!(spec.divide(rows, 0, seed, &name("a")).unwrap(), split);
        }

        #[test]
        fn every_row_is_in_one_fold_and_trained_on_in_the_others(
            of in 2u32..12, more in 0usize..50, validation in prop::bool::ANY, seed: u64,
        ) {
            let validation = if validation { 0.3 } else { 0.0 };
            let fold = |number| SplitSpec { validation, fold: Some(Fold { number, of }), ..SplitSpec::default() };
            let rows = fold(1).needed() + more;
            let splits: Vec<Split> = (1..=of).map(|i| fold(i).divide(rows, 0, seed, &name("a")).unwrap()).collect();
            let mut all: Vec<u32> = splits.iter().flat_map(|split| split.test.clone()).collect();
            all.sort_unstable();
            prop_assert_eq!(all, (0..rows as u32).collect::<Vec<_>>());
            for split in splits {
                prop_assert_eq!(split.test.len() + split.both.len(), rows);
                prop_assert!(!split.test.is_empty() && !split.training.is_empty());
                prop_assert_eq!(split.validation.is_empty(), validation == 0.0);
                prop_assert!(split.test.iter().all(|row| !split.both.contains(row)));
            }
        }
    }
}
