//! Clients whom the model serves worst, of some that are drawn.

use std::collections::BTreeSet;

use super::{history::History, random};
use crate::name::ClientName;

/// Power of choice, Algorithm 1 of Cho, Wang and Joshi 2020 <https://arxiv.org/abs/2010.01243>: draws `candidates` of the eligible, and
/// takes the `size` of them with the largest losses. As in their rpow-d the losses are those that clients last trained with, so nothing more
/// is sent; who has not trained yet comes first. Ties go by names.
pub fn select(
    eligible: &[&ClientName],
    (size, candidates): (usize, usize),
    (seed, round, attempt): (u64, u32, u32),
    history: &History,
) -> BTreeSet<ClientName> {
    let drawn = random(eligible, Some(candidates.max(size)), seed, round, attempt);
    let loss = |name: &ClientName| history.answers.get(name).map_or(f64::INFINITY, |answered| answered.loss);
    let mut drawn: Vec<ClientName> = drawn.into_iter().collect();
    drawn.sort_by(|a, b| loss(b).total_cmp(&loss(a)).then_with(|| a.cmp(b)));
    drawn.into_iter().take(size).collect()
}
