//! The figures of classifications against scikit-learn's. `vectors/sklearn_metrics.py` made the vectors.

use dure_core::statistics::{
    Counts, Metrics, Statistics,
    classification::{self, BINS, ClassFigures, SCORES},
    counts, merge,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    name: String,
    truths: Vec<usize>,
    probabilities: Vec<Vec<f32>>,
    metrics: std::collections::BTreeMap<String, Option<f64>>,
    per_class: Vec<Class>,
    confusion: Vec<Vec<u32>>,
}

#[derive(Deserialize)]
struct Class {
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
    auroc: Option<f64>,
    support: u64,
}

fn cases() -> Vec<Case> {
    let vectors: Vectors = serde_json::from_str(include_str!("vectors/sklearn_metrics.json")).unwrap();
    assert_eq!(vectors.cases.len(), 11);
    vectors.cases
}

impl Case {
    /// Counted by `clients`, every so manieth row by each, and merged.
    fn counted(&self, clients: usize) -> (Statistics, Counts) {
        let (mut sums, mut counts) = Default::default();
        for client in 0..clients {
            let (mut own_sums, mut own_counts) = Default::default();
            for (truth, p) in self.truths.iter().zip(&self.probabilities).skip(client).step_by(clients) {
                classification::add(&mut own_sums, &mut own_counts, *truth, p, true);
            }
            assert!(classification::is_possible(&own_sums, &own_counts, self.confusion.len()), "{}", self.name);
            merge(&mut sums, &own_sums);
            counts::merge(&mut counts, &own_counts);
        }
        (sums, counts)
    }
}

/// Half of the share of pairs whose scores are in one bin, which is as far as a class's area may be off.
fn bound(counts: &Counts, class: usize) -> f64 {
    let (own, others) = counts[SCORES][class * 2 * BINS..][..2 * BINS].split_at(BINS);
    let sum = |counts: &[u32]| counts.iter().map(|count| f64::from(*count)).sum::<f64>();
    let tied: f64 = own.iter().zip(others).map(|(own, others)| f64::from(*own) * f64::from(*others)).sum();
    0.5 * tied / (sum(own) * sum(others)).max(1.0)
}

fn check(what: &str, got: Option<f64>, want: Option<f64>, tolerance: f64) {
    let near = match (got, want) {
        (Some(got), Some(want)) => (got - want).abs() <= tolerance,
        (got, want) => got == want,
    };
    assert!(near, "{what}: {got:?} instead of {want:?} ± {tolerance:e}");
}

fn check_class(what: &str, got: &ClassFigures, want: &Class, bound: f64) {
    check(&format!("{what} precision"), got.precision, want.precision, 1e-9);
    check(&format!("{what} recall"), got.recall, want.recall, 1e-9);
    check(&format!("{what} f1"), got.f1, want.f1, 1e-9);
    check(&format!("{what} auroc"), got.auroc, want.auroc, bound + 1e-9);
    assert_eq!(got.support, want.support, "{what}");
}

fn check_case(case: &Case, metrics: &Metrics, counts: &Counts) {
    let bounds: Vec<f64> = (0..case.confusion.len()).map(|class| bound(counts, class)).collect();
    for (name, want) in &case.metrics {
        // The mean is off by no more than the worst class.
        let tolerance = if name == "auroc" { bounds.iter().fold(1e-9, |a: f64, b| a.max(*b)) } else { 1e-9 };
        check(&format!("{} {name}", case.name), metrics.get(name).copied(), *want, tolerance);
    }
    assert_eq!(classification::confusion(counts).as_ref(), Some(&case.confusion), "{}", case.name);
    for (class, (got, want)) in classification::per_class(counts).iter().zip(&case.per_class).enumerate() {
        check_class(&format!("{} class {class}", case.name), got, want, bounds[class]);
    }
}

#[test]
fn figures_of_rows_in_one_place_and_in_several_are_scikit_learns() {
    for case in cases() {
        for clients in [1, 3, 7] {
            let (sums, counts) = case.counted(clients);
            check_case(&case, &classification::metrics(&sums, &counts), &counts);
        }
    }
}

/// Of log-odds that are normal with deviation σ, two fall into one bin of width 1/8 with a probability of about 1/(16·√π·σ);
/// half of that is below 0.018 for σ ≥ 1. It is the mean over classes that is held to it: a class of two rows can be unlucky.
#[test]
fn bins_are_fine_enough_to_tell_most_pairs_apart() {
    for case in cases().iter().filter(|case| !case.name.ends_with("-tied")) {
        let (_, counts) = case.counted(1);
        let bounds: Vec<f64> = (0..case.confusion.len()).map(|class| bound(&counts, class)).collect();
        let mean = bounds.iter().sum::<f64>() / bounds.len() as f64;
        assert!(mean < 0.018, "{}: {mean}", case.name);
    }
}
