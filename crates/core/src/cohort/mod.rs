//! Which clients take part in a round: a function of (eligible members, seed, round, what the journal says of them).

pub mod filter;
pub mod history;
pub mod oort;
pub mod power_of_choice;
pub mod ring;

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    name::ClientName,
    random::{Purpose, SliceRandom, stream},
    time::Duration,
};
use filter::Filter;
use history::History;

/// How many of the eligible clients a round asks, and how many answers it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table such as { size = 10 }")]
pub struct CohortSpec {
    /// How many answers a round wants; those of all that are eligible if absent.
    #[schemars(range(min = 1))]
    pub size: Option<usize>,
    /// How many times as many clients it asks: 1.3 asks 13 for 10 answers, and the first 10 count (Bonawitz et al. 2019, §2.2,
    /// <https://arxiv.org/abs/1902.01046>).
    #[schemars(range(min = 1, max = 100))]
    pub over_selection: f64,
    /// How many answers make a round; all of the cohort if absent. With 0 a training round counts that nobody has answered by its
    /// deadline, and leaves the model as it is.
    pub quorum: Option<usize>,
    /// How many eligible clients a job waits for before it opens a round; the cohort's size, or 1, if absent.
    #[schemars(range(min = 1))]
    pub min_clients: Option<usize>,
    /// How long a round waits for its cohort, in seconds of federation time.
    #[schemars(range(min = 0.001, max = 1e12))]
    pub deadline_s: f64,
    /// Who is asked, where not everybody is.
    #[serde(skip_serializing_if = "Select::is_random")]
    #[schemars(extend("default" = Select::default()))]
    pub select: Select,
    /// Who is asked at all, by what devices say of themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// Whether the task of a client that is lost, leaves or declines goes to the next that is eligible.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub reassign: bool,
}

/// Who is asked to train: see [`ring::select`], [`power_of_choice::select`] and [`oort::select`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"ring\" }"
)]
pub enum Select {
    /// Each with the same probability.
    #[default]
    Random,
    /// One after another.
    Ring {},
    /// Whom the model serves worst, of some.
    PowerOfChoice {
        /// How many are drawn to choose from.
        candidates: usize,
    },
    /// Of whom much is to be learned in little time.
    Oort {
        /// Who takes longer is asked less.
        #[schemars(range(min = 0.001, max = 1e12))]
        preferred_s: f64,
        /// By how much.
        #[serde(default = "two")]
        #[schemars(range(min = 0, max = 100))]
        penalty: f64,
    },
}

fn two() -> f64 {
    2.0
}

impl Select {
    /// Whether it is the default.
    pub fn is_random(&self) -> bool {
        *self == Self::Random
    }
}

impl Default for CohortSpec {
    fn default() -> Self {
        Self {
            size: None,
            over_selection: 1.0,
            quorum: None,
            min_clients: None,
            deadline_s: 600.0,
            select: Select::Random,
            filter: None,
            reassign: false,
        }
    }
}

impl CohortSpec {
    /// How many eligible clients are needed before a round opens.
    pub fn needed(&self) -> usize {
        self.min_clients.or(self.size).unwrap_or(1).max(self.quorum.unwrap_or(1))
    }

    /// How long a round waits, and a task of an asynchronous job.
    pub fn deadline(&self) -> Duration {
        Duration((self.deadline_s * 1000.0) as u64)
    }

    /// How many clients a training round asks; all that are eligible if `None`.
    pub fn asked(&self) -> Option<usize> {
        self.size.map(|size| (size as f64 * self.over_selection).ceil() as usize)
    }

    /// The fewest answers with which a training round can end.
    pub fn least(&self) -> usize {
        self.quorum.or(self.size).or(self.min_clients).unwrap_or(1)
    }

    /// What says so, in words.
    pub fn least_words(&self) -> String {
        let said = |key: &str, value: Option<usize>| value.map(|value| format!("cohort.{key} = {value}"));
        let said = said("quorum", self.quorum).or(said("size", self.size)).or(said("min_clients", self.min_clients));
        said.unwrap_or_else(|| "no cohort.quorum, cohort.size or cohort.min_clients".into())
    }

    /// How many answers a round of `cohort` clients wants, if that is fewer than it asks.
    pub fn goal_of(&self, cohort: usize) -> Option<usize> {
        self.size.filter(|size| *size < cohort)
    }

    /// How many answers a round that wants `wanted` needs.
    pub fn quorum_of(&self, wanted: usize) -> usize {
        self.quorum.unwrap_or(wanted).min(wanted)
    }
}

/// Whom a training round asks: `size` of the `eligible`, who are in the order of names, all of them if there are no more.
pub fn select(
    select: Select,
    eligible: &[&ClientName],
    size: Option<usize>,
    (seed, round, attempt): (u64, u32, u32),
    history: &History,
) -> BTreeSet<ClientName> {
    let size = size.unwrap_or(eligible.len());
    if size >= eligible.len() {
        return all(eligible);
    }
    match select {
        Select::Random => random(eligible, Some(size), seed, round, attempt),
        Select::Ring {} => ring::select(eligible, size, history),
        Select::PowerOfChoice { candidates } => {
            power_of_choice::select(eligible, (size, candidates), (seed, round, attempt), history)
        }
        Select::Oort { preferred_s, penalty } => {
            oort::select(eligible, (size, preferred_s, penalty), (seed, round, attempt), history)
        }
    }
}

/// `size` of the `eligible`, each with the same probability; all of them if there are no more. An abandoned round's retry
/// draws afresh, for its cohort may have been the reason.
pub fn random(
    eligible: &[&ClientName],
    size: Option<usize>,
    seed: u64,
    round: u32,
    attempt: u32,
) -> BTreeSet<ClientName> {
    let size = size.unwrap_or(eligible.len());
    if size >= eligible.len() {
        return all(eligible);
    }
    let mut names = eligible.to_vec();
    let ordinal = u64::from(round) << 32 | u64::from(attempt);
    let (chosen, _) = names.partial_shuffle(&mut stream(seed, Purpose::Cohort, "", ordinal), size);
    all(chosen)
}

fn all(names: &[&ClientName]) -> BTreeSet<ClientName> {
    names.iter().map(|name| (*name).clone()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(n: usize) -> BTreeSet<ClientName> {
        (0..n).map(|i| ClientName::new(format!("client-{i}")).unwrap()).collect()
    }

    fn refs(names: &BTreeSet<ClientName>) -> Vec<&ClientName> {
        names.iter().collect()
    }

    #[test]
    fn every_client_is_chosen_about_as_often() {
        let mut counts = std::collections::BTreeMap::new();
        for round in 1..=2000 {
            for name in random(&refs(&names(10)), Some(3), 1, round, 1) {
                *counts.entry(name).or_insert(0) += 1;
            }
        }
        // 600 expected each, standard deviation 20.5.
        assert!(counts.len() == 10 && counts.values().all(|n| (500..700).contains(n)), "{counts:?}");
    }

    #[test]
    fn each_round_and_each_attempt_draws_afresh() {
        let draw = |seed, round, attempt| random(&refs(&names(40)), Some(20), seed, round, attempt);
        let cohorts = [draw(1, 1, 1), draw(2, 1, 1), draw(1, 2, 1), draw(1, 1, 2)];
        assert_eq!(cohorts.iter().collect::<BTreeSet<_>>().len(), 4);
    }

    #[test]
    fn the_worst_served_of_all_candidates_are_asked_and_those_who_never_trained_before_them() {
        let all = names(5);
        let answer = |loss| history::Answered { round: 1, loss, examples: 1.0, took: Default::default() };
        let losses = [0.1, 0.9, 0.5, 0.7].map(answer);
        let history = History { answers: all.iter().cloned().zip(losses).collect(), ..History::default() };
        let asked = |candidates| {
            let cohort = select(Select::PowerOfChoice { candidates }, &refs(&all), Some(2), (1, 7, 1), &history);
            cohort.iter().map(|name| name.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(asked(5), ["client-1", "client-4"]);
        assert_eq!(asked(2), random(&refs(&all), Some(2), 1, 7, 1).iter().map(ToString::to_string).collect::<Vec<_>>());
    }

    proptest! {
        #[test]
        fn every_way_to_select_asks_so_many_of_the_eligible(n in 2usize..30, size in 1usize..30, round in 1u32..9, losses in prop::collection::vec(0.0f64..9.0, 0..30)) {
            let all = names(n);
            let answer = |loss: f64| history::Answered { round: 1, loss, examples: 2.0, took: crate::time::Duration((loss * 1e4) as u64) };
            let history = History { cursor: all.first().cloned(), answers: all.iter().cloned().zip(losses.into_iter().map(answer)).collect() };
            let ways = [Select::Random, Select::Ring {}, Select::PowerOfChoice { candidates: 7 }, Select::Oort { preferred_s: 30.0, penalty: 2.0 }];
            for way in ways {
                let cohort = select(way, &refs(&all), Some(size), (3, round, 1), &history);
                prop_assert_eq!(cohort.len(), size.min(n), "{:?}", way);
                prop_assert!(cohort.is_subset(&all));
            }
        }

        #[test]
        fn a_cohort_has_the_size_asked_for_and_is_drawn_alike_again(n in 1usize..40, size in 1usize..50, seed: u64) {
            let eligible = names(n);
            let cohort = random(&refs(&eligible), Some(size), seed, 3, 1);
            prop_assert_eq!(cohort.len(), size.min(n));
            prop_assert!(cohort.is_subset(&eligible));
            prop_assert_eq!(&cohort, &random(&refs(&eligible), Some(size), seed, 3, 1));
        }
    }
}
