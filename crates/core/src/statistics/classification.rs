//! Sums and counts of an evaluated classification.
//!
//! All of them add across clients. Of the merged ones come the same accuracy, recall, precision and F1 as of all rows in one
//! place, bit for bit, and the same log-loss up to the rounding of its mean. The area under the ROC curve cannot be had from
//! the areas of parts, so scores are counted in bins: what is lost are the orders within a bin.
//! None of it says whether probabilities are calibrated, but for the log-loss.

use serde::{Deserialize, Serialize};

use super::{
    Counts, Metrics, Statistics,
    counts::{self, total},
    defined,
};

/// The column of −ln p, where p is the probability that was given to the truth, and at least [`SMALLEST`].
pub const LOG_LOSS: &str = "log_loss";

/// Rows by class: classes × classes, the truth's row by row.
pub const CONFUSION: &str = "confusion";

/// Rows by score: classes × 2 × [`BINS`]. For each class its own rows, then those of all others, by their log-odds of the class.
pub const SCORES: &str = "scores";

/// The figures that come of them.
pub const METRICS: [&str; 5] = ["accuracy", "balanced_accuracy", "macro_f1", "auroc", "log_loss"];

/// The probability that a smaller one counts as, so that one row that was thought impossible does not make the mean infinite.
pub const SMALLEST: f64 = 1e-7;

/// Bins of log-odds, of the same width, from −[`REACH`] to [`REACH`]; what lies beyond is in the first or the last.
pub const BINS: usize = 256;

/// The log-odds at which bins end.
pub const REACH: f64 = 16.0;

/// How well one class is told from the others. What its rows do not define is absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassFigures {
    /// The share of its rows that was predicted so. Absent if it has none.
    pub recall: Option<f64>,
    /// The share of what was predicted so that is its. Absent if nothing was.
    pub precision: Option<f64>,
    /// The harmonic mean of the two, 2·hits ÷ (rows + predictions). Absent if it has neither.
    pub f1: Option<f64>,
    /// The probability that a row of it scores higher than one of another class. Absent without rows of either or without scores.
    pub auroc: Option<f64>,
    /// How many rows it has.
    #[serde(with = "crate::event::text")]
    pub support: u64,
}

/// Takes in one row: what it is, and how probable each class was thought. With `scores`, its log-odds are counted too.
///
/// The prediction is the most probable class, the first of several. A probability that is no number counts as zero. A row
/// whose truth is none of the classes is left out of everything; whoever reads labels refuses it.
pub fn add(sums: &mut Statistics, counts: &mut Counts, truth: usize, probabilities: &[f32], scores: bool) {
    let classes = probabilities.len();
    let Some(given) = probabilities.get(truth) else { return };
    super::add(sums, LOG_LOSS, -libm::log(at_least(SMALLEST, *given)));
    count(counts, CONFUSION, classes * classes, truth * classes + most_probable(probabilities));
    if scores {
        for (class, probability) in probabilities.iter().enumerate() {
            let half = 2 * class + usize::from(class != truth);
            count(counts, SCORES, classes * 2 * BINS, half * BINS + bin(*probability));
        }
    }
}

/// Counts one more at `at` of the `length` elements of `name`.
fn count(counts: &mut Counts, name: &str, length: usize, at: usize) {
    if !counts.contains_key(name) {
        counts.insert(name.to_owned(), vec![0; length]);
    }
    if let Some(count) = counts.get_mut(name).and_then(|counts| counts.get_mut(at)) {
        *count = count.saturating_add(1);
    }
}

fn most_probable(probabilities: &[f32]) -> usize {
    let mut best = (0, 0.0);
    for (class, probability) in probabilities.iter().enumerate() {
        if *probability > best.1 {
            best = (class, *probability);
        }
    }
    best.0
}

/// The probability, from `least` to 1.
fn at_least(least: f64, probability: f32) -> f64 {
    if probability.is_nan() { least } else { f64::from(probability).clamp(least, 1.0) }
}

/// The bin of a probability's log-odds.
fn bin(probability: f32) -> usize {
    let p = at_least(0.0, probability);
    let odds = libm::log(p / (1.0 - p));
    // The cast takes what is below the first bin to it.
    (((odds + REACH) * (BINS as f64 / (2.0 * REACH))) as usize).min(BINS - 1)
}

/// Accuracy, recall averaged over the classes that have rows, F1 averaged over those that have rows or predictions, the area
/// under the ROC curve averaged over those that have one (each against all others), and the log-loss in nats.
///
/// All but `auroc` and `log_loss` are exact; see [`per_class`] for the one, and the log-loss rounds as its mean does.
pub fn metrics(sums: &Statistics, counts: &Counts) -> Metrics {
    let classes = per_class(counts);
    let mean = |figure: fn(&ClassFigures) -> Option<f64>| mean(classes.iter().filter_map(figure));
    let loss = sums.get(LOG_LOSS).filter(|moments| moments.n > 0);
    defined([
        ("accuracy", accuracy(counts)),
        ("balanced_accuracy", mean(|class| class.recall)),
        ("macro_f1", mean(|class| class.f1)),
        ("auroc", mean(|class| class.auroc)),
        ("log_loss", loss.map(|moments| moments.mean)),
    ])
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

fn accuracy(counts: &Counts) -> Option<f64> {
    let (confusion, classes) = square(counts)?;
    let hits = (0..classes).map(|class| u64::from(confusion[class * classes + class])).sum();
    share(hits, total(confusion))
}

/// The rows of the confusion, a truth each; none if nothing was counted, or what was is no square.
pub fn confusion(counts: &Counts) -> Option<Vec<Vec<u32>>> {
    let (confusion, classes) = square(counts)?;
    Some(confusion.chunks(classes).map(<[u32]>::to_vec).collect())
}

/// The confusion and how many classes it has, at least one.
fn square(counts: &Counts) -> Option<(&[u32], usize)> {
    let confusion = counts.get(CONFUSION)?;
    let classes = confusion.len().isqrt();
    (classes > 0 && classes * classes == confusion.len()).then_some((confusion, classes))
}

/// The figures of each class, in the order of classes; none without a confusion.
///
/// The area under the ROC curve (Mann and Whitney 1947) counts two scores of one bin as equal, that is half. It is therefore
/// off by at most half of the share of pairs (a row of the class, another's) whose scores are in one bin: nothing if no two
/// are, and never more than 1/2.
pub fn per_class(counts: &Counts) -> Vec<ClassFigures> {
    let Some((confusion, classes)) = square(counts) else { return Vec::new() };
    let scores = counts.get(SCORES).filter(|scores| scores.len() == classes * 2 * BINS);
    let figures = |class: usize| {
        let support = total(&confusion[class * classes..][..classes]);
        let predicted = (0..classes).map(|truth| u64::from(confusion[truth * classes + class])).sum();
        let hits = u64::from(confusion[class * classes + class]);
        ClassFigures {
            recall: share(hits, support),
            precision: share(hits, predicted),
            f1: share(2 * hits, support + predicted),
            auroc: scores.and_then(|scores| area(&scores[class * 2 * BINS..][..2 * BINS])),
            support,
        }
    };
    (0..classes).map(figures).collect()
}

fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// The area under the ROC curve, from the bins of a class's own rows followed by those of all others. The sums are exact.
fn area(bins: &[u32]) -> Option<f64> {
    let (own, others) = bins.split_at(BINS);
    let (mut below, mut twice_won) = (0, 0u128);
    for (own, others) in own.iter().zip(others) {
        let others = u128::from(*others);
        twice_won += u128::from(*own) * (2 * below + others);
        below += others;
    }
    let pairs = u128::from(total(own)) * below;
    (pairs > 0).then(|| twice_won as f64 / (2 * pairs) as f64)
}

/// Whether rows of so many classes can have come to this: each counted once in the confusion, once in the log-loss and, if
/// scores were counted, once for every class; and nothing else. What comes from outside is held to it.
pub fn is_possible(sums: &Statistics, counts: &Counts, classes: usize) -> bool {
    let lengths = |(name, counts): (&String, &Vec<u32>)| match name.as_str() {
        CONFUSION => classes.checked_mul(classes) == Some(counts.len()),
        SCORES => classes.checked_mul(2 * BINS) == Some(counts.len()),
        _ => false,
    };
    let losses = sums.get(LOG_LOSS).copied().unwrap_or_default();
    let largest = -libm::log(SMALLEST);
    counts::is_possible(counts)
        && counts.iter().all(lengths)
        && sums.keys().all(|column| column == LOG_LOSS)
        && losses.is_possible()
        && (0.0..=largest).contains(&losses.mean)
        && losses.n == counts.get(CONFUSION).map_or(0, |confusion| total(confusion))
        && counts.get(SCORES).is_none_or(|scores| scores_fit(scores, &per_class(counts), losses.n))
}

/// Whether each class's scores are of as many rows as its confusion.
fn scores_fit(scores: &[u32], classes: &[ClassFigures], rows: u64) -> bool {
    let fits = |(scores, class): (&[u32], &ClassFigures)| {
        let (own, others) = scores.split_at(BINS);
        total(own) == class.support && total(own) + total(others) == rows
    };
    scores.len() == classes.len() * 2 * BINS && scores.chunks(2 * BINS).zip(classes).all(fits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::statistics::{counts, merge};

    type Rows<'a> = &'a [(usize, Vec<f32>)];

    fn counted(rows: Rows, scores: bool) -> (Statistics, Counts) {
        let (mut sums, mut counts) = Default::default();
        rows.iter().for_each(|(truth, p)| add(&mut sums, &mut counts, *truth, p, scores));
        (sums, counts)
    }

    fn metrics_of(rows: Rows) -> Metrics {
        let (sums, counts) = counted(rows, true);
        metrics(&sums, &counts)
    }

    #[test]
    fn figures_are_those_worked_by_hand() {
        let rows = [(0, vec![0.5, 0.25, 0.25]), (0, vec![0.25, 0.5, 0.25]), (1, vec![0.25, 0.5, 0.25])];
        let (sums, counts) = counted(&rows, true);
        assert_eq!(confusion(&counts).unwrap(), [[1, 1, 0], [0, 1, 0], [0, 0, 0]]);
        // Recall 1/2 and 1, F1 2/3 each; of the two pairs, class 0 wins one and ties one, class 1 as well.
        let ln2 = std::f64::consts::LN_2;
        let want = [2.0 / 3.0, 0.75, 2.0 / 3.0, 0.75, 4.0 * ln2 / 3.0];
        let figures = metrics(&sums, &counts);
        for (name, want) in METRICS.iter().zip(want) {
            assert!((figures[*name] - want).abs() < 1e-12, "{name}: {} instead of {want}", figures[*name]);
        }
    }

    #[test]
    fn an_undefined_figure_is_absent() {
        let (_, counts) = counted(&[(0, vec![0.5, 0.25, 0.25]), (0, vec![0.25, 0.5, 0.25])], true);
        let [first, second, third] = per_class(&counts)[..] else { panic!("three classes") };
        assert_eq!((first.recall, first.precision, first.auroc), (Some(0.5), Some(1.0), None));
        assert_eq!((second.recall, second.precision, second.f1), (None, Some(0.0), Some(0.0)));
        assert_eq!(third, ClassFigures::default());
        assert!(metrics(&Statistics::new(), &Counts::new()).is_empty());
        assert_eq!(confusion(&Counts::new()), None);
    }

    #[test]
    fn without_scores_there_is_no_auroc() {
        let (sums, counts) = counted(&[(0, vec![0.75, 0.25]), (1, vec![0.25, 0.75])], false);
        let figures = metrics(&sums, &counts);
        assert_eq!(figures.keys().collect::<Vec<_>>(), ["accuracy", "balanced_accuracy", "log_loss", "macro_f1"]);
    }

    #[test]
    fn no_probability_is_too_odd_to_be_counted() {
        let odd = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 0.0, 1.0, -1.0, 2.0, f32::MIN_POSITIVE];
        let rows: Vec<_> = odd.iter().flat_map(|p| [(0, vec![*p, 0.5]), (1, vec![*p, 0.5]), (7, vec![*p])]).collect();
        let (sums, counts) = counted(&rows, true);
        assert!(is_possible(&sums, &counts, 2), "{sums:?}");
        assert_eq!(sums[LOG_LOSS].n, 16, "a truth that is no class is left out");
        assert!(metrics(&sums, &counts)["log_loss"] <= 16.2);
        assert_eq!(most_probable(&[f32::NAN, 0.1, 0.1]), 1);
    }

    #[test]
    fn bins_part_the_log_odds_evenly() {
        let at = |odds: f64| bin((1.0 / (1.0 + (-odds).exp())) as f32);
        assert_eq!([at(-15.9), at(-0.1), at(0.1), at(1.1), at(15.9)], [0, 127, 128, 136, 255]);
        assert_eq!([bin(0.0), bin(0.5), bin(1.0), bin(f32::NAN)], [0, 128, 255, 0]);
    }

    #[test]
    fn what_cannot_have_been_counted_is_known() {
        let (sums, counts) = counted(&[(0, vec![0.75, 0.25]), (1, vec![0.25, 0.75])], true);
        assert!(is_possible(&sums, &counts, 2) && !is_possible(&sums, &counts, 3));
        assert!(is_possible(&Statistics::new(), &Counts::new(), 2), "a client without rows");
        let refused = |change: fn(&mut Statistics, &mut Counts)| {
            let (mut sums, mut counts) = (sums.clone(), counts.clone());
            change(&mut sums, &mut counts);
            assert!(!is_possible(&sums, &counts, 2), "{sums:?}");
        };
        refused(|sums, _| sums.get_mut(LOG_LOSS).unwrap().n = 3);
        refused(|sums, _| sums.get_mut(LOG_LOSS).unwrap().mean = 17.0);
        refused(|sums, _| sums.get_mut(LOG_LOSS).unwrap().mean = f64::NAN);
        refused(|sums, _| sums.extend([("error".into(), Default::default())]));
        refused(|_, counts| counts.get_mut(CONFUSION).unwrap()[0] += 1);
        refused(|_, counts| counts.get_mut(SCORES).unwrap()[0] += 1);
        refused(|_, counts| counts.get_mut(SCORES).unwrap().truncate(BINS));
        refused(|_, counts| drop(counts.remove(CONFUSION)));
        refused(|_, counts| counts.extend([("more".into(), vec![1])]));
        assert!(!is_possible(&sums, &counts, usize::MAX));
    }

    #[test]
    fn counts_that_are_no_square_give_no_figures() {
        let counts = Counts::from([(CONFUSION.into(), vec![1; 5]), (SCORES.into(), vec![1; 3])]);
        assert!(metrics(&Statistics::new(), &counts).is_empty() && per_class(&counts).is_empty());
    }

    fn rows() -> impl Strategy<Value = Vec<(usize, Vec<f32>)>> {
        prop::collection::vec((0usize..3, prop::collection::vec(0.0f32..1.0, 3)), 0..40)
    }

    /// The area under the ROC curve, from every pair.
    fn area_by_pairs(rows: Rows, class: usize) -> Option<f64> {
        let (own, others): (Vec<_>, Vec<_>) = rows.iter().partition(|(truth, _)| *truth == class);
        let won = |own: f32, other: f32| if own == other { 0.5 } else { f64::from(u8::from(own > other)) };
        let each = own.iter().flat_map(|own| others.iter().map(|other| won(own.1[class], other.1[class])));
        mean(each)
    }

    /// Half of the share of pairs whose scores are in one bin.
    fn bound(rows: Rows, class: usize) -> f64 {
        let (own, others): (Vec<_>, Vec<_>) = rows.iter().partition(|(truth, _)| *truth == class);
        let tied = |own: f32, other: f32| 0.5 * f64::from(u8::from(bin(own) == bin(other)));
        mean(own.iter().flat_map(|own| others.iter().map(|other| tied(own.1[class], other.1[class])))).unwrap_or(0.0)
    }

    proptest! {
        #[test]
        fn merging_parts_is_counting_the_whole(rows in rows(), cut in 0usize..40) {
            let cut = cut.min(rows.len());
            let (mut sums, mut counts) = counted(&rows[..cut], true);
            let other = counted(&rows[cut..], true);
            prop_assert!(counts::fits(&counts, &other.1));
            merge(&mut sums, &other.0);
            counts::merge(&mut counts, &other.1);
            let whole = counted(&rows, true);
            prop_assert_eq!(&counts, &whole.1);
            prop_assert!(is_possible(&sums, &counts, 3));
            let (parts, whole) = (metrics(&sums, &counts), metrics(&whole.0, &whole.1));
            prop_assert_eq!(parts.keys().collect::<Vec<_>>(), whole.keys().collect::<Vec<_>>());
            prop_assert!(parts.iter().all(|(name, value)| (value - whole[name]).abs() < 1e-12));
        }

        #[test]
        fn binning_moves_the_area_by_at_most_half_of_the_ties(rows in rows()) {
            for (class, figures) in per_class(&counted(&rows, true).1).iter().enumerate() {
                let want = area_by_pairs(&rows, class);
                prop_assert_eq!(figures.auroc.is_some(), want.is_some());
                let off = figures.auroc.unwrap_or(0.0) - want.unwrap_or(0.0);
                prop_assert!(off.abs() <= bound(&rows, class) + 1e-12, "{off}");
            }
        }

        #[test]
        fn every_figure_but_the_loss_is_from_0_to_1(rows in rows()) {
            for (name, value) in metrics_of(&rows) {
                prop_assert!(name == "log_loss" || (0.0..=1.0).contains(&value), "{name} {value}");
            }
        }
    }
}
