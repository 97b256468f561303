//! Examples that are spread over clients by a draw: evenly, by Dirichlet-distributed shares, in shards, by labels.

use dure_core::random::{Purpose, SliceRandom, Stream, normal, stream};

use super::{
    MAX_CELLS, PartitionError, Parts, check_number,
    deal::{Pile, Shares, apportion, deal, pile, piles, weights},
};
use crate::draw::{dirichlet as dirichlet_shares, shares_of};

/// How often shares are drawn before it is given up, and how many of them altogether: seconds.
const MAX_TRIES: usize = 1000;
const MAX_DRAWS: usize = 1 << 25;

/// Shuffled and cut evenly; who has one more is drawn.
pub(super) fn iid(examples: usize, clients: usize, seed: u64) -> Result<Parts, PartitionError> {
    check_number("clients", clients, "clients", examples, "examples")?;
    let counts = apportion(examples, &vec![1; clients], &mut numbers(seed, "sizes", 0));
    Ok(deal(vec![pile(examples)], &[counts.into_iter().enumerate().collect()], clients, seed, Purpose::Partition))
}

fn numbers(seed: u64, name: &str, ordinal: u64) -> Stream {
    stream(seed, Purpose::Partition, name, ordinal)
}

/// Each pile by shares of its own, all drawn again until everybody has at least `min` examples.
pub(super) fn dirichlet(
    piles: Vec<Pile>,
    examples: usize,
    clients: usize,
    alpha: f64,
    min: usize,
    seed: u64,
) -> Result<Parts, PartitionError> {
    check_number("clients", clients, "clients", examples, "examples")?;
    check_dirichlet(alpha, min, examples, clients)?;
    let cells = check_cells(clients, piles.len())?;
    let tries = (MAX_DRAWS / cells).clamp(1, MAX_TRIES) as u64;
    let mut least = (0, 0);
    for attempt in 0..tries {
        let shares: Vec<Shares> = piles.iter().map(|pile| draw(pile, clients, alpha, seed, attempt)).collect();
        least = smallest(&shares, clients);
        if least.1 >= min {
            return Ok(deal(piles, &shares, clients, seed, Purpose::Partition));
        }
    }
    Err(PartitionError::TooSmall { client: least.0, examples: least.1, needed: min, tries })
}

fn check_dirichlet(alpha: f64, min: usize, examples: usize, clients: usize) -> Result<(), PartitionError> {
    let most = examples / clients;
    if !(1e-6..=1e6).contains(&alpha) {
        return Err(PartitionError::value("alpha", alpha, "0.000001 to 1000000"));
    }
    if !(1..=most).contains(&min) {
        let allowed = format!("1 to {most}, for {examples} examples and {clients} clients");
        return Err(PartitionError::value("min_examples", min, allowed));
    }
    Ok(())
}

/// Holds clients times labels to what is bearable, and returns it.
fn check_cells(clients: usize, labels: usize) -> Result<usize, PartitionError> {
    let cells = clients.saturating_mul(labels);
    if cells > MAX_CELLS {
        let allowed = format!("at most {} with {labels} labels", MAX_CELLS / labels);
        return Err(PartitionError::value("clients", clients, allowed));
    }
    Ok(cells)
}

/// The shares of a pile, without those that are none.
fn draw(pile: &Pile, clients: usize, alpha: f64, seed: u64, attempt: u64) -> Shares {
    let mut numbers = numbers(seed, &format!("shares {}", pile.label), attempt);
    let weights = weights(&dirichlet_shares(&mut numbers, alpha, clients));
    let counts = apportion(pile.rows.len(), &weights, &mut numbers);
    counts.into_iter().enumerate().filter(|(_, examples)| *examples > 0).collect()
}

/// The client with the fewest examples, the first of several, and how many it has.
fn smallest(shares: &[Shares], clients: usize) -> (usize, usize) {
    let mut sizes = vec![0; clients];
    shares.iter().flatten().for_each(|(client, examples)| sizes[*client] += examples);
    sizes.into_iter().enumerate().min_by_key(|(_, size)| *size).unwrap_or_default()
}

/// Sorted by label, cut into shards, and `each` of them dealt to every client.
pub(super) fn shards(labels: &[u16], clients: usize, each: usize, seed: u64) -> Result<Parts, PartitionError> {
    let n = labels.len();
    check_number("clients", clients, "clients", n, "examples")?;
    check_number("shards_per_client", each, "shards", n, "examples")?;
    let shards = clients.saturating_mul(each);
    check_number("shards_per_client", shards, "shards", n, "examples")?;
    let sorted: Vec<u32> = piles(labels).into_iter().flat_map(|pile| pile.rows).collect();
    let mut deck: Vec<usize> = (0..shards).collect();
    deck.shuffle(&mut numbers(seed, "shards", 0));
    let cut = |shard: usize| (shard as u64 * n as u64 / shards as u64) as usize;
    let hand = |hand: &[usize]| {
        let mut rows: Vec<u32> = hand.iter().flat_map(|i| &sorted[cut(*i)..cut(i + 1)]).copied().collect();
        rows.sort_unstable();
        rows
    };
    Ok(Parts { clients: deck.chunks(each).map(hand).collect(), left_out: 0 })
}

/// How a label's examples are divided among its holders.
pub(super) enum Sizes {
    /// Evenly.
    Even,
    /// `least` to each, and the others by shares that are log-normal before they are scaled.
    LogNormal { mu: f64, sigma: f64, least: usize },
}

/// Every client with `each` labels, and each label divided among its holders.
pub(super) fn held(
    labels: &[u16],
    clients: usize,
    each: usize,
    sizes: Sizes,
    seed: u64,
) -> Result<Parts, PartitionError> {
    check_number("clients", clients, "clients", labels.len(), "examples")?;
    let piles = piles(labels);
    check_cells(clients, piles.len())?;
    check_labels(each, clients, piles.len())?;
    let holders = holders(piles.len(), clients, each, &mut numbers(seed, "holders", 0));
    let shares = piles.iter().zip(&holders).map(|(pile, holders)| sizes.shares(pile, holders, seed));
    let shares: Vec<Shares> = shares.collect::<Result<_, _>>()?;
    Ok(deal(piles, &shares, clients, seed, Purpose::Partition))
}

fn check_labels(each: usize, clients: usize, labels: usize) -> Result<(), PartitionError> {
    let fewest = labels.div_ceil(clients);
    if (fewest..=labels).contains(&each) {
        return Ok(());
    }
    let allowed =
        format!("{fewest} to {labels}, so that each of the {labels} labels has a holder among {clients} clients");
    Err(PartitionError::value("labels", each, allowed))
}

/// Who holds each label. Every client takes `each` of those that have the fewest holders so far, which of several is drawn, so
/// the numbers of holders differ by at most one.
fn holders(labels: usize, clients: usize, each: usize, numbers: &mut Stream) -> Vec<Vec<usize>> {
    let mut holders = vec![Vec::new(); labels];
    let mut order: Vec<usize> = (0..labels).collect();
    for client in 0..clients {
        order.shuffle(numbers);
        order.sort_by_key(|label| holders[*label].len());
        order[..each].iter().for_each(|label| holders[*label].push(client));
    }
    holders
}

impl Sizes {
    /// Log-normal ones, whose numbers are what an f64 can bear.
    pub(super) fn log_normal(mu: f64, sigma: f64, least: usize) -> Result<Self, PartitionError> {
        if !(-100.0..=100.0).contains(&mu) {
            return Err(PartitionError::value("mu", mu, "-100 to 100"));
        }
        if !(0.0..=10.0).contains(&sigma) {
            return Err(PartitionError::value("sigma", sigma, "0 to 10"));
        }
        if least == 0 {
            return Err(PartitionError::value("min_per_label", 0, "at least 1"));
        }
        Ok(Self::LogNormal { mu, sigma, least })
    }

    fn shares(&self, pile: &Pile, holders: &[usize], seed: u64) -> Result<Shares, PartitionError> {
        let (label, examples, n) = (pile.label, pile.rows.len(), holders.len());
        let mut numbers = numbers(seed, &format!("shares {label}"), 0);
        let (least, weights) = match self {
            Self::Even => (1, vec![1; n]),
            Self::LogNormal { mu, sigma, least } => {
                let logarithms: Vec<f64> = (0..n).map(|_| normal(&mut numbers, *mu, *sigma)).collect();
                (*least, weights(&shares_of(&logarithms)))
            }
        };
        let spare = least.checked_mul(n).and_then(|certain| examples.checked_sub(certain));
        let scarce = PartitionError::ScarceLabel { label, examples, holders: n, each: least };
        let more = apportion(spare.ok_or(scarce)?, &weights, &mut numbers);
        Ok(holders.iter().copied().zip(more.into_iter().map(|more| least + more)).collect())
    }
}
