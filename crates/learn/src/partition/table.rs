//! What a partition looks like, in numbers.

use serde::Serialize;

use super::{MAX_CELLS, Parts};

/// How many examples of which label each client has, and how far the clients are from each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// By client.
    pub clients: Vec<Row>,
    /// All clients together.
    pub total: Row,
    /// How many examples are nobody's.
    pub left_out: usize,
    /// The fewest examples of a client.
    pub smallest: usize,
    /// The most.
    pub largest: usize,
    /// The most over the fewest; absent where a client has none.
    pub size_ratio: Option<f64>,
    /// How far a client's mix of labels is from that of all, in the mean over clients that have examples: half of the sum of
    /// the absolute differences of shares (total variation), 0 for the same mix, near 1 for nothing in common. Absent without
    /// labels.
    pub label_distance: Option<f64>,
    /// How many labels a client has any example of, in the mean. Absent without labels.
    pub labels_per_client: Option<f64>,
}

/// One client's, or everybody's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Row {
    /// How many examples.
    pub examples: usize,
    /// How many of each label; empty without labels.
    pub labels: Vec<usize>,
}

/// Counts `parts`. `labels` are those of the whole, if it has some; an example without one is counted by its client alone. Of
/// more than 2^24 clients times labels, which no table has room for, only sizes are counted.
pub fn summarise(parts: &Parts, labels: Option<&[u16]>) -> Summary {
    let highest = labels.and_then(|labels| labels.iter().max()).map_or(0, |label| usize::from(*label) + 1);
    let fits = highest.saturating_mul(parts.clients.len()) <= MAX_CELLS;
    let (labels, classes) = if fits { (labels, highest) } else { (None, 0) };
    let clients: Vec<Row> = parts.clients.iter().map(|rows| row(rows, labels.unwrap_or_default(), classes)).collect();
    let mut total = Row { examples: 0, labels: vec![0; classes] };
    for client in &clients {
        total.examples += client.examples;
        total.labels.iter_mut().zip(&client.labels).for_each(|(sum, count)| *sum += count);
    }
    let sizes = || clients.iter().map(|client| client.examples);
    let (smallest, largest) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    let mean = |figure: &dyn Fn(&Row) -> f64| mean(clients.iter().filter(|row| row.examples > 0).map(figure));
    let label_distance = mean(&|row| distance(&row.labels, &total.labels)).filter(|_| classes > 0);
    let labels_per_client =
        mean(&|row| row.labels.iter().filter(|count| **count > 0).count() as f64).filter(|_| classes > 0);
    let size_ratio = (smallest > 0).then(|| largest as f64 / smallest as f64);
    let left_out = parts.left_out;
    Summary { clients, total, left_out, smallest, largest, size_ratio, label_distance, labels_per_client }
}

fn row(rows: &[u32], labels: &[u16], classes: usize) -> Row {
    let mut counts = vec![0; classes];
    for label in rows.iter().filter_map(|row| labels.get(*row as usize)) {
        counts[usize::from(*label)] += 1;
    }
    Row { examples: rows.len(), labels: counts }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, n) = values.fold((0.0, 0.0), |(sum, n), value| (sum + value, n + 1.0));
    (n > 0.0).then(|| sum / n)
}

/// The total variation between two mixes; of nothing it is 0.
fn distance(a: &[usize], b: &[usize]) -> f64 {
    let share = |counts: &[usize], i: usize| counts[i] as f64 / counts.iter().sum::<usize>().max(1) as f64;
    (0..a.len()).map(|i| (share(a, i) - share(b, i)).abs()).sum::<f64>() / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(clients: &[&[u32]]) -> Parts {
        Parts { clients: clients.iter().map(|rows| rows.to_vec()).collect(), left_out: 1 }
    }

    #[test]
    fn counts_and_distances_are_those_worked_by_hand() {
        let summary = summarise(&parts(&[&[0, 1], &[2, 3, 4, 5], &[]]), Some(&[0, 0, 0, 1, 1, 2]));
        let row = |examples, labels: [usize; 3]| Row { examples, labels: labels.to_vec() };
        assert_eq!(summary.clients, [row(2, [2, 0, 0]), row(4, [1, 2, 1]), row(0, [0; 3])]);
        assert_eq!((&summary.total, summary.left_out), (&row(6, [3, 2, 1]), 1));
        assert_eq!((summary.smallest, summary.largest, summary.size_ratio), (0, 4, None));
        // |1 − 1/2| + 1/3 + 1/6 over 2 is 1/2; 1/4 + 1/6 + 1/12 over 2 is 1/4.
        assert!((summary.label_distance.unwrap() - 0.375).abs() < 1e-12);
        assert_eq!(summary.labels_per_client, Some(2.0));
    }

    #[test]
    fn without_labels_there_are_sizes() {
        let summary = summarise(&parts(&[&[0], &[1, 2, 3]]), None);
        assert_eq!((summary.size_ratio, summary.label_distance), (Some(3.0), None));
        assert_eq!(summary.total, Row { examples: 4, labels: vec![] });
    }

    #[test]
    fn what_no_table_has_room_for_is_counted_by_size() {
        let labels: Vec<u16> = vec![u16::MAX; 300];
        let each: Vec<Vec<u32>> = (0..300).map(|row| vec![row]).collect();
        let summary = summarise(&Parts { clients: each, left_out: 0 }, Some(&labels));
        assert_eq!((summary.total.examples, summary.total.labels.len(), summary.label_distance), (300, 0, None));
    }

    #[test]
    fn the_same_mix_everywhere_is_no_distance() {
        assert_eq!(summarise(&parts(&[&[0, 2], &[1, 3]]), Some(&[0, 0, 1, 1])).label_distance, Some(0.0));
    }

    #[test]
    fn nobody_and_too_few_labels_are_no_trouble() {
        let none = summarise(&Parts::default(), Some(&[]));
        assert_eq!((none.smallest, none.largest, none.size_ratio, none.label_distance), (0, 0, None, None));
        assert_eq!(summarise(&parts(&[&[0, 9]]), Some(&[1])).clients[0], Row { examples: 2, labels: vec![0, 1] });
    }
}
