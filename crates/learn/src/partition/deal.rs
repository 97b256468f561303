//! Piles of examples, and how they are dealt out: shares in whole examples, shuffled, each to one client.

use std::cmp::Reverse;

use dure_core::random::{Purpose, SliceRandom, Stream, stream};

use super::{PartitionError, Parts};

/// Examples of one label.
pub(super) struct Pile {
    pub(super) label: u16,
    /// Row numbers, ascending.
    pub(super) rows: Vec<u32>,
}

/// How many of a pile's examples go to which client; together, all of them.
pub(super) type Shares = Vec<(usize, usize)>;

/// The examples of each label that has some, in the order of labels.
pub(super) fn piles(labels: &[u16]) -> Vec<Pile> {
    let classes = labels.iter().max().map_or(0, |label| usize::from(*label) + 1);
    let mut rows = vec![Vec::new(); classes];
    for (row, label) in (0..).zip(labels) {
        rows[usize::from(*label)].push(row);
    }
    (0..).zip(rows).filter(|(_, rows)| !rows.is_empty()).map(|(label, rows)| Pile { label, rows }).collect()
}

/// All of `examples` examples, whatever they are.
pub(super) fn pile(examples: usize) -> Pile {
    Pile { label: 0, rows: (0..examples as u32).collect() }
}

/// Shuffles every pile and gives each client its share of it.
pub(super) fn deal(piles: Vec<Pile>, shares: &[Shares], clients: usize, seed: u64, purpose: Purpose) -> Parts {
    let mut parts = vec![Vec::new(); clients];
    for (Pile { label, mut rows }, shares) in piles.into_iter().zip(shares) {
        rows.shuffle(&mut stream(seed, purpose, &format!("order {label}"), 0));
        let mut rows = rows.into_iter();
        for (client, share) in shares {
            parts[*client].extend(rows.by_ref().take(*share));
        }
    }
    parts.iter_mut().for_each(|part| part.sort_unstable());
    Parts { clients: parts, left_out: 0 }
}

/// Divides `total` things in proportion to `weights`, by largest remainders; which of equal remainders comes first is drawn.
/// Weights that are all zero count as equal. Law: the parts add to `total`, and each is less than one away from its proportion.
pub(super) fn apportion(total: usize, weights: &[u64], numbers: &mut Stream) -> Vec<usize> {
    let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
    if whole == 0 && !weights.is_empty() {
        return apportion(total, &vec![1; weights.len()], numbers);
    }
    let quota = |i: usize| total as u128 * u128::from(weights[i]);
    let mut parts: Vec<usize> = (0..weights.len()).map(|i| (quota(i) / whole) as usize).collect();
    let left = total - parts.iter().sum::<usize>();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.shuffle(numbers);
    // The sort is stable: equal remainders stay in the order that was drawn.
    order.sort_by_key(|i| Reverse(quota(*i) % whole));
    order.iter().take(left).for_each(|i| parts[*i] += 1);
    parts
}

/// Shares of one as weights, so that remainders are exact and the same everywhere.
pub(super) fn weights(shares: &[f64]) -> Vec<u64> {
    shares.iter().map(|share| (share * (1u64 << 52) as f64) as u64).collect()
}

/// Deals a second set out as the first one lies: each of its examples to exactly one client, and of every label to each client
/// in proportion to what it has of that label in `parts`, by largest remainders, of equal ones by a draw. A label that is
/// nobody's in `parts` goes by the clients' sizes. So figures that are pooled over clients are figures of the whole second set;
/// a client with few examples may get none of it. Data without labels give one label to all.
///
/// `labels` are those of the examples that `parts` is of.
pub fn deal_alike(parts: &Parts, labels: &[u16], other_labels: &[u16], seed: u64) -> Result<Parts, PartitionError> {
    if parts.clients.is_empty() {
        return Err(PartitionError::value("clients", 0, "at least 1"));
    }
    let last = parts.clients.iter().flatten().max();
    if let Some(last) = last.map(|last| *last as usize).filter(|last| *last >= labels.len()) {
        return Err(PartitionError::Length { what: "labels", have: labels.len(), examples: last + 1 });
    }
    let piles = piles(other_labels);
    let held = held(parts, labels);
    let sizes: Shares = parts.clients.iter().map(Vec::len).enumerate().collect();
    let shares = |pile: &Pile| {
        let holders = held.get(usize::from(pile.label)).filter(|holders| !holders.is_empty()).unwrap_or(&sizes);
        let weights: Vec<u64> = holders.iter().map(|(_, examples)| *examples as u64).collect();
        let mut numbers = stream(seed, Purpose::Deal, &format!("shares {}", pile.label), 0);
        let counts = apportion(pile.rows.len(), &weights, &mut numbers);
        holders.iter().map(|(client, _)| *client).zip(counts).collect()
    };
    let shares: Vec<Shares> = piles.iter().map(shares).collect();
    Ok(deal(piles, &shares, parts.clients.len(), seed, Purpose::Deal))
}

/// For each label, how many of its examples each of its holders has.
fn held(parts: &Parts, labels: &[u16]) -> Vec<Shares> {
    let classes = labels.iter().max().map_or(0, |label| usize::from(*label) + 1);
    let mut held = vec![Shares::new(); classes];
    for (client, rows) in parts.clients.iter().enumerate() {
        for row in rows {
            let holders = &mut held[usize::from(labels[*row as usize])];
            match holders.last_mut().filter(|(holder, _)| *holder == client) {
                Some((_, examples)) => *examples += 1,
                None => holders.push((client, 1)),
            }
        }
    }
    held
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn numbers() -> Stream {
        stream(1, Purpose::Partition, "test", 0)
    }

    #[test]
    fn the_largest_remainders_get_what_is_left() {
        assert_eq!(apportion(10, &[6, 3, 1], &mut numbers()), [6, 3, 1]);
        assert_eq!(apportion(3, &[60, 25, 15], &mut numbers()), [2, 1, 0]);
        assert_eq!(apportion(4, &[0, 0], &mut numbers()), [2, 2]);
        assert_eq!(apportion(7, &[], &mut numbers()), [0; 0]);
    }

    #[test]
    fn who_wins_a_tie_is_drawn() {
        let winner = |seed| {
            let parts = apportion(1, &[1; 4], &mut stream(seed, Purpose::Partition, "test", 0));
            parts.iter().position(|part| *part == 1).unwrap()
        };
        let winners: std::collections::BTreeSet<usize> = (0..64).map(winner).collect();
        assert_eq!(winners.len(), 4);
    }

    #[test]
    fn a_second_set_needs_clients_and_their_labels() {
        let error = |parts: &Parts| deal_alike(parts, &[0, 1], &[0], 1).unwrap_err().to_string();
        assert_eq!(error(&Parts::default()), "clients = 0 is not allowed: at least 1");
        let beyond = Parts { clients: vec![vec![0, 7]], left_out: 0 };
        assert_eq!(error(&beyond), "there are 2 labels for 8 examples; give one for each");
    }

    #[test]
    fn a_label_that_nobody_has_goes_by_sizes() {
        let parts = Parts { clients: vec![vec![0, 1, 2], vec![3]], left_out: 0 };
        let dealt = deal_alike(&parts, &[0, 0, 1, 1], &[9; 8], 1).unwrap();
        assert_eq!([dealt.clients[0].len(), dealt.clients[1].len()], [6, 2]);
    }

    #[test]
    fn who_gets_the_odd_one_of_a_second_set_is_drawn_for_each_label() {
        let parts = Parts { clients: vec![(0..20).collect(), (20..40).collect()], left_out: 0 };
        let (labels, other): (Vec<u16>, Vec<u16>) = ((0..20).chain(0..20).collect(), (0..20).collect());
        let first = |seed| deal_alike(&parts, &labels, &other, seed).unwrap().clients[0].clone();
        // Of 20 fair coins 3 to 17 fall on one side, but for one time in 2,000.
        assert!((3..=17).contains(&first(1).len()), "{:?}", first(1));
        assert_ne!(first(1), first(2));
    }

    proptest! {
        #[test]
        fn parts_add_up_and_are_within_one_of_their_proportion(
            total in 0usize..5000, weights in prop::collection::vec(0u64..1 << 52, 1..30), seed: u64,
        ) {
            let parts = apportion(total, &weights, &mut stream(seed, Purpose::Partition, "test", 0));
            prop_assert_eq!(parts.iter().sum::<usize>(), total);
            let whole: u128 = weights.iter().map(|weight| u128::from(*weight)).sum();
            for (part, weight) in parts.iter().zip(&weights).filter(|_| whole > 0) {
                let quota = total as u128 * u128::from(*weight);
                prop_assert!((*part as u128 * whole).abs_diff(quota) < whole);
            }
        }

        #[test]
        fn a_second_set_is_dealt_once_and_in_proportion(
            owners in prop::collection::vec((0usize..5, 0u16..4), 1..120), other in prop::collection::vec(0u16..5, 0..120), seed: u64,
        ) {
            let mut parts = Parts { clients: vec![Vec::new(); 5], left_out: 0 };
            (0..).zip(&owners).for_each(|(row, (client, _))| parts.clients[*client].push(row));
            let labels: Vec<u16> = owners.iter().map(|(_, label)| *label).collect();
            let dealt = deal_alike(&parts, &labels, &other, seed).unwrap();
            let mut all = dealt.clients.concat();
            all.sort_unstable();
            prop_assert_eq!(all, (0..other.len() as u32).collect::<Vec<_>>());
            prop_assert_eq!(&deal_alike(&parts, &labels, &other, seed).unwrap(), &dealt);
            let of = |label: u16, rows: &[u32], labels: &[u16]| rows.iter().filter(|row| labels[**row as usize] == label).count();
            for label in 0..5 {
                let (first, second) = (labels.iter().filter(|l| **l == label).count(), other.iter().filter(|l| **l == label).count());
                for (own, got) in parts.clients.iter().zip(&dealt.clients).filter(|_| first > 0) {
                    let (own, got) = (of(label, own, &labels), of(label, got, &other));
                    prop_assert!((got * first).abs_diff(own * second) < first, "{own} of {first}, {got} of {second}");
                }
            }
        }
    }
}
