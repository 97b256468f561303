//! What several runs of one recipe come to: means, and differences between two ways of training on the same rows.

use std::collections::BTreeMap;

use dure_core::{
    name::ClientName,
    statistics::{Moments, larger_is_better},
};
use serde::Serialize;
use statrs::distribution::{ContinuousCDF, StudentsT};

use crate::report::Figures;

/// The mean of some differences, and how far the true one may be from it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// How many differences.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Half the width of the 95 % interval around it, by Student's t; absent with fewer than two differences.
    pub half_width: Option<f64>,
}

impl Interval {
    /// Of `differences` between runs that share rows: each tested on `shared` times as many rows as it trained on. The variance
    /// of their mean is corrected by that: Nadeau and Bengio 2003, equation 9. Zero is for differences that are independent.
    pub fn new(differences: impl Iterator<Item = f64>, shared: f64) -> Self {
        let mut moments = Moments::default();
        differences.for_each(|difference| moments.add(difference));
        let Moments { n, mean, m2 } = moments;
        let width = |freedom: f64| {
            let t = StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.975);
            Some(t * (m2 / freedom * (1.0 / n as f64 + shared)).sqrt())
        };
        Self { n, mean, half_width: if n < 2 { None } else { width((n - 1) as f64) } }
    }
}

impl Interval {
    /// Of the difference of two means, of `ours` less of `theirs`, which have nothing in common: Welch 1947.
    pub fn between(ours: &[f64], theirs: &[f64]) -> Self {
        let moments = |values: &[f64]| {
            let mut moments = Moments::default();
            values.iter().for_each(|value| moments.add(*value));
            moments
        };
        let (a, b) = (moments(ours), moments(theirs));
        // What each mean varies by.
        let of = |moments: &Moments| moments.m2 / (moments.n as f64 - 1.0) / moments.n as f64;
        let (u, v) = (of(&a), of(&b));
        let freedom = (u + v).powi(2) / (u * u / (a.n as f64 - 1.0) + v * v / (b.n as f64 - 1.0));
        let width = || Some(StudentsT::new(0.0, 1.0, freedom).ok()?.inverse_cdf(0.975) * (u + v).sqrt());
        Self { n: a.n + b.n, mean: a.mean - b.mean, half_width: if a.n < 2 || b.n < 2 { None } else { width() } }
    }
}

/// Two ways of training compared by one metric: the first's figure minus the second's.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Over runs, each figure on rows pooled over clients.
    pub runs: Interval,
    /// The same, corrected for the rows that runs share.
    pub corrected: Interval,
    /// Over clients, each client's difference the mean over runs.
    pub clients: Interval,
    /// At how many of these clients the first is better.
    pub better: u64,
}

impl Difference {
    /// Of the figures of runs, pair by pair; each run tested on `shared` times as many rows as it trained on.
    pub fn new(metric: &str, pairs: &[(&Figures, &Figures)], shared: f64) -> Self {
        let runs: Vec<f64> =
            pairs.iter().filter_map(|(a, b)| Some(a.pooled.get(metric)? - b.pooled.get(metric)?)).collect();
        let mut of_clients = BTreeMap::<&ClientName, Moments>::new();
        for (a, b) in pairs {
            for (client, metrics) in &a.by_client {
                let other = b.by_client.get(client).and_then(|other| other.get(metric));
                if let Some((a, b)) = metrics.get(metric).zip(other) {
                    of_clients.entry(client).or_default().add(a - b);
                }
            }
        }
        let better = |mean: f64| if larger_is_better(metric) { mean > 0.0 } else { mean < 0.0 };
        let means = || of_clients.values().map(|moments| moments.mean);
        Self {
            runs: Interval::new(runs.iter().copied(), 0.0),
            corrected: Interval::new(runs.iter().copied(), shared),
            clients: Interval::new(means(), 0.0),
            better: means().filter(|mean| better(*mean)).count() as u64,
        }
    }
}

/// How a figure on pooled rows spreads over runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct OverRuns {
    /// How many runs have it.
    pub runs: u64,
    /// The mean of theirs.
    pub mean: f64,
    /// The standard deviation of theirs.
    pub sd: f64,
}

/// Each metric's spread over runs.
pub fn over_runs<'a>(figures: impl Iterator<Item = &'a Figures>) -> BTreeMap<String, OverRuns> {
    let mut of_metrics = BTreeMap::<&str, Moments>::new();
    for (metric, value) in figures.flat_map(|figures| &figures.pooled) {
        of_metrics.entry(metric).or_default().add(*value);
    }
    let spread = |moments: Moments| OverRuns { runs: moments.n, mean: moments.mean, sd: moments.deviation() };
    of_metrics.into_iter().map(|(metric, moments)| (metric.to_owned(), spread(moments))).collect()
}

#[cfg(test)]
mod tests {
    use dure_core::statistics::{Sums, regression};

    use super::*;

    #[test]
    fn an_interval_is_students() {
        // Mean 3.5, sd √7, t(3) = 3.182446 by the tables: 3.182446 · √7 / 2.
        let interval = Interval::new([1.0, 2.0, 4.0, 7.0].into_iter(), 0.0);
        assert_eq!((interval.n, interval.mean), (4, 3.5));
        assert!((interval.half_width.unwrap() - 3.182446 * 7f64.sqrt() / 2.0).abs() < 1e-5, "{interval:?}");
        // With a test of a quarter of the training rows: sqrt((1/4 + 1/4) / (1/4)) times as wide.
        let wider = Interval::new([1.0, 2.0, 4.0, 7.0].into_iter(), 0.25).half_width.unwrap();
        assert!((wider / interval.half_width.unwrap() - 2f64.sqrt()).abs() < 1e-12);
        assert_eq!(Interval::new([1.0].into_iter(), 0.0).half_width, None);
    }

    #[test]
    fn differences_are_of_pairs_over_runs_and_over_clients() {
        let figures = |errors: &[f64]| {
            let names: Vec<ClientName> =
                (0..errors.len()).map(|i| ClientName::new(format!("c-{i}")).unwrap()).collect();
            let sums: Vec<Sums> = errors
                .iter()
                .map(|error| {
                    let mut sums = Sums::default();
                    regression::add(&mut sums.moments, 10.0, 10.0 + error);
                    sums
                })
                .collect();
            Figures::of(names.iter().zip(&sums))
        };
        let (a, b) = ([figures(&[1.0, 5.0]), figures(&[2.0, 4.0])], [figures(&[3.0, 1.0]), figures(&[4.0, 4.0])]);
        let pairs: Vec<_> = a.iter().zip(&b).collect();
        let difference = Difference::new("mae", &pairs, 0.0);
        // Runs: 3 − 2 and 3 − 4. Clients: (−2, −2) and (4, 0).
        assert_eq!((difference.runs.n, difference.runs.mean), (2, 0.0));
        assert_eq!((difference.clients.n, difference.clients.mean, difference.better), (2, 0.0, 1));
        let spread = over_runs([&a[0], &b[1]].into_iter())["mae"];
        assert_eq!((spread.runs, spread.mean, spread.sd), (2, 3.5, 0.5f64.sqrt()));
    }
}
