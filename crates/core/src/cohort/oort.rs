//! Clients of whom much is to be learned in little time.

use std::collections::BTreeSet;

use super::history::{Answered, History};
use crate::{
    name::ClientName,
    random::{Purpose, RngExt, SliceRandom, stream},
};

/// The share of a cohort that goes to clients which never trained, in the first round; what is left of it from round to round; and the
/// least that it becomes.
const EXPLORED: (f64, f64, f64) = (0.9, 0.98, 0.2);

/// Whose utility is below this share of the last one that would be chosen by utility is not chosen.
const CUT_OFF: f64 = 0.95;

/// Oort, Algorithm 1 of Lai et al. 2021 <https://www.usenix.org/conference/osdi21/presentation/lai>: a part of the cohort explores clients
/// that have never trained; the rest is drawn by utility from those near the top. The utility of a client is its number of examples
/// times its loss, more the longer ago that was, and less if it took longer than `preferred_s`: (T/t)^`penalty`. The loss is the mean and
/// not the root of the mean square, which clients do not send; and T is fixed, where the paper has a pacer.
pub fn select(
    eligible: &[&ClientName],
    (size, preferred_s, penalty): (usize, f64, f64),
    (seed, round, attempt): (u64, u32, u32),
    history: &History,
) -> BTreeSet<ClientName> {
    let mut numbers = stream(seed, Purpose::Cohort, "oort", u64::from(round) << 32 | u64::from(attempt));
    let (known, mut new): (Vec<&ClientName>, Vec<&ClientName>) =
        eligible.iter().copied().partition(|name| history.answers.contains_key(*name));
    let (first, decay, least) = EXPLORED;
    let share = (first * libm::pow(decay, f64::from(round.saturating_sub(1)))).max(least);
    let explored = ((share * size as f64).round() as usize).min(new.len()).max(size.saturating_sub(known.len()));
    let (new, _) = new.partial_shuffle(&mut numbers, explored);
    let mut chosen: BTreeSet<ClientName> = new.iter().map(|name| (*name).clone()).collect();
    let utility = |answered: &Answered| {
        let since = f64::from(round.saturating_sub(answered.round).max(1));
        let statistical = answered.examples * answered.loss.max(0.0)
            + (0.1 * libm::log(f64::from(round.max(2))) / since.recip()).sqrt();
        let took_s = answered.took.0 as f64 / 1e3;
        statistical * if took_s > preferred_s { libm::pow(preferred_s / took_s, penalty) } else { 1.0 }
    };
    let mut rated: Vec<(f64, &ClientName)> =
        known.into_iter().filter_map(|name| Some((utility(history.answers.get(name)?), name))).collect();
    rated.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(b.1)));
    let exploited = size.saturating_sub(chosen.len()).min(rated.len());
    let bar = exploited.checked_sub(1).and_then(|last| rated.get(last)).map_or(0.0, |(utility, _)| CUT_OFF * utility);
    rated.retain(|(utility, _)| *utility >= bar);
    for _ in 0..exploited {
        let total: f64 = rated.iter().map(|(utility, _)| utility).sum();
        let mut at = numbers.random::<f64>() * total;
        let place = rated.iter().position(|(utility, _)| {
            at -= utility;
            at < 0.0
        });
        if rated.is_empty() {
            break;
        }
        chosen.insert(rated.remove(place.unwrap_or(0)).1.clone());
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Duration;

    fn names(n: usize) -> BTreeSet<ClientName> {
        (10..10 + n).map(|i| ClientName::new(format!("c{i}")).unwrap()).collect()
    }

    /// How often each of ten clients is chosen, three in a round, when all have trained: the first with the largest loss, the last slow.
    fn counts(loss: impl Fn(usize) -> f64, took_s: impl Fn(usize) -> u64) -> Vec<usize> {
        let all = names(10);
        let answer = |i: usize| Answered { round: 1, loss: loss(i), examples: 10.0, took: Duration(took_s(i) * 1000) };
        let answers = all.iter().enumerate().map(|(i, name)| (name.clone(), answer(i))).collect();
        let history = History { cursor: None, answers };
        let cohorts: Vec<_> = (2..202)
            .map(|round| select(&all.iter().collect::<Vec<_>>(), (3, 10.0, 2.0), (1, round, 1), &history))
            .collect();
        assert!(cohorts.iter().all(|cohort| cohort.len() == 3));
        all.iter().map(|name| cohorts.iter().filter(|cohort| cohort.contains(name)).count()).collect()
    }

    #[test]
    fn who_has_never_trained_is_explored_and_then_utility_counts() {
        let first = select(&names(10).iter().collect::<Vec<_>>(), (3, 10.0, 2.0), (1, 1, 1), &History::default());
        assert_eq!(first.len(), 3);
        let by_loss = counts(|i| if i < 3 { 5.0 } else { 0.1 }, |_| 1);
        assert!(by_loss[..3].iter().all(|n| *n == 200) && by_loss[3..].iter().all(|n| *n == 0), "{by_loss:?}");
        let by_time = counts(|_| 1.0, |i| if i > 6 { 100 } else { 1 });
        assert!(by_time[7..].iter().all(|n| *n == 0) && by_time[..7].iter().all(|n| *n > 40), "{by_time:?}");
    }
}
