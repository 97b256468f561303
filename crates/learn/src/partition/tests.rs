//! The laws of every partition, and the statistics of those that are drawn.

use dure_core::statistics::Moments;
use proptest::prelude::*;

use super::{table::summarise, *};

fn whole<'a>(labels: &'a [u16], ids: &'a [u32]) -> Whole<'a> {
    Whole { examples: labels.len(), labels: Some(labels), ids: Some(ids), groups: Some(ids) }
}

/// So many examples of each of so many labels, one after the other.
fn labelled(examples: usize, labels: u16) -> Vec<u16> {
    (0..labels).cycle().take(examples).collect()
}

fn divide(partition: Partition, labels: &[u16], seed: u64) -> Parts {
    partition.divide(&whole(labels, &vec![0; labels.len()]), seed).unwrap()
}

fn refused(partition: Partition) -> String {
    let labels = labelled(60, 6);
    let ids: Vec<u32> = (0..60).map(|row| row / 10).collect();
    partition.divide(&whole(&labels, &ids), 1).unwrap_err().to_string()
}

/// One of each kind, of sizes that sometimes cannot be.
fn any_partition() -> impl Strategy<Value = Partition> {
    let (clients, few) = (1usize..20, 1usize..5);
    (clients, few, 0.05f64..20.0, 0usize..9).prop_map(|(clients, few, alpha, kind)| match kind {
        0 => Partition::Iid { clients },
        1 => Partition::DirichletLabels { clients, alpha, min_examples: few },
        2 => Partition::DirichletSizes { clients, alpha, min_examples: few },
        3 => Partition::Shards { clients, shards_per_client: few },
        4 => Partition::LabelsPerClient { clients, labels: few },
        5 => Partition::LogNormalSizes { clients, labels: few, mu: 0.0, sigma: alpha / 5.0, min_per_label: 1 },
        6 => Partition::Natural { largest: (few > 2).then_some(few) },
        7 => Partition::Grouped { groups: Some(few), column: None },
        _ => Partition::Grouped { groups: None, column: Some("ward".into()) },
    })
}

fn any_data() -> impl Strategy<Value = (Vec<u16>, Vec<u32>)> {
    prop::collection::vec((0u16..6, 0u32..12), 1..300).prop_map(|rows| rows.into_iter().unzip())
}

proptest! {
    #[test]
    fn nothing_is_lost_nothing_is_twice_and_nobody_has_nothing(
        partition in any_partition(), (labels, ids) in any_data(), seed: u64,
    ) {
        let Ok(parts) = partition.divide(&whole(&labels, &ids), seed) else { return Ok(()) };
        prop_assert!(parts.clients.iter().all(|rows| !rows.is_empty() && rows.is_sorted()));
        let mut all = parts.clients.concat();
        all.sort_unstable();
        prop_assert!(all.is_sorted_by(|a, b| a < b) && all.last().is_none_or(|last| (*last as usize) < labels.len()));
        prop_assert_eq!(all.len() + parts.left_out, labels.len());
        let may_leave_out = matches!(partition, Partition::Natural { largest: Some(_) });
        prop_assert!(parts.left_out == 0 || may_leave_out);
        prop_assert_eq!(parts.examples(), all.len());
    }

    #[test]
    fn the_same_seed_gives_the_same_parts(partition in any_partition(), (labels, ids) in any_data(), seed: u64) {
        let divide = || partition.divide(&whole(&labels, &ids), seed);
        prop_assert_eq!(divide(), divide());
    }

    #[test]
    fn everybody_has_the_fewest_that_were_asked_for(min_examples in 1usize..20, alpha in 0.05f64..5.0, seed: u64) {
        let labels = labelled(200, 4);
        for partition in [
            Partition::DirichletLabels { clients: 5, alpha, min_examples },
            Partition::DirichletSizes { clients: 5, alpha, min_examples },
        ] {
            let Ok(parts) = partition.divide(&whole(&labels, &[0; 200]), seed) else { continue };
            prop_assert!(parts.clients.iter().all(|rows| rows.len() >= min_examples));
        }
    }

    #[test]
    fn even_parts_differ_by_at_most_one(examples in 1usize..500, clients in 1usize..40, seed: u64) {
        let Ok(parts) = Partition::Iid { clients }.divide(&Whole { examples, ..Whole::default() }, seed) else { return Ok(()) };
        let summary = summarise(&parts, None);
        prop_assert_eq!(parts.clients.len(), clients);
        prop_assert!(summary.largest - summary.smallest <= 1);
    }

    #[test]
    fn shards_cut_no_more_labels_than_there_are_cuts(
        (labels, ids) in any_data(), clients in 1usize..12, shards_per_client in 1usize..5, seed: u64,
    ) {
        let partition = Partition::Shards { clients, shards_per_client };
        let Ok(parts) = partition.divide(&whole(&labels, &ids), seed) else { return Ok(()) };
        let summary = summarise(&parts, Some(&labels));
        let present = summary.total.labels.iter().filter(|count| **count > 0).count();
        // Of K labels in a row, S shards see at most S + K − 1, for each border of labels adds at most one.
        let seen = |row: &table::Row| row.labels.iter().filter(|count| **count > 0).count();
        prop_assert!(summary.clients.iter().map(seen).sum::<usize>() < clients * shards_per_client + present);
        let longest = labels.len().div_ceil(clients * shards_per_client) * shards_per_client;
        prop_assert!(summary.largest <= longest);
    }

    #[test]
    fn every_client_holds_its_labels_and_every_label_is_held_evenly(clients in 1usize..30, each in 1usize..7, seed: u64) {
        let labels = labelled(600, 6);
        let partition = Partition::LabelsPerClient { clients, labels: each };
        let Ok(parts) = partition.divide(&whole(&labels, &[0; 600]), seed) else { return Ok(()) };
        let summary = summarise(&parts, Some(&labels));
        prop_assert!(summary.clients.iter().all(|row| row.labels.iter().filter(|count| **count > 0).count() == each));
        let mut numbers_of_holders = Vec::new();
        for label in 0..6 {
            let held: Vec<usize> = summary.clients.iter().map(|row| row.labels[label]).filter(|count| *count > 0).collect();
            prop_assert!(held.iter().max().unwrap() - held.iter().min().unwrap() <= 1);
            numbers_of_holders.push(held.len());
        }
        prop_assert!(numbers_of_holders.iter().max().unwrap() - numbers_of_holders.iter().min().unwrap() <= 1);
    }

    #[test]
    fn shares_that_are_log_normal_leave_everybody_its_labels(clients in 5usize..40, sigma in 0.0f64..3.0, seed: u64) {
        let labels = labelled(2000, 10);
        let partition = Partition::LogNormalSizes { clients, labels: 2, mu: 1.0, sigma, min_per_label: 5 };
        let summary = summarise(&partition.divide(&whole(&labels, &[0; 2000]), seed).unwrap(), Some(&labels));
        for row in &summary.clients {
            let held: Vec<usize> = row.labels.iter().copied().filter(|count| *count > 0).collect();
            prop_assert!(held.len() == 2 && held.iter().all(|count| *count >= 5), "{held:?}");
        }
    }
}

#[test]
fn labels_of_even_parts_are_a_fair_draw() {
    let labels = labelled(10_000, 10);
    let summary = summarise(&divide(Partition::Iid { clients: 10 }, &labels, 1), Some(&labels));
    let chi_square: f64 =
        summary.clients.iter().flat_map(|row| &row.labels).map(|count| (*count as f64 - 100.0).powi(2) / 100.0).sum();
    // Both margins are given, so the statistic has 81 degrees of freedom: mean 81, deviation √162; four of them either way.
    assert!((chi_square - 81.0).abs() < 4.0 * 162f64.sqrt(), "{chi_square}");
}

/// Holds the mean and the variance of many values to a Beta(a, b) distribution: five standard errors of each.
fn check_beta(what: &str, values: impl Iterator<Item = f64>, a: f64, b: f64) {
    let mut found = Moments::default();
    values.for_each(|value| found.add(value));
    let (n, s) = (found.n as f64, a + b);
    let (mean, variance) = (a / s, a * b / (s * s * (s + 1.0)));
    let kurtosis = 6.0 * ((a - b).powi(2) * (s + 1.0) - a * b * (s + 2.0)) / (a * b * (s + 2.0) * (s + 3.0));
    assert!((found.mean - mean).abs() < 5.0 * (variance / n).sqrt(), "{what}: mean {} for {mean}", found.mean);
    let (spread, error) = (found.deviation().powi(2), variance * ((kurtosis + 2.0) / n).sqrt());
    assert!((spread - variance).abs() < 5.0 * error, "{what}: variance {spread} for {variance}");
}

#[test]
fn a_clients_share_of_a_label_is_beta_distributed() {
    // Five labels, so that nobody is empty and no draw is repeated: a repeated one would not be Beta-distributed.
    let labels = labelled(20_000, 5);
    let partition = |alpha| Partition::DirichletLabels { clients: 4, alpha, min_examples: 1 };
    for alpha in [0.5, 3.0] {
        let summaries = (0..300).map(|seed| summarise(&divide(partition(alpha), &labels, seed), Some(&labels)));
        // The first client's alone: shares of one label depend on each other.
        let shares = summaries.flat_map(|summary| summary.clients[0].labels.clone()).map(|count| count as f64 / 4000.0);
        check_beta(&format!("alpha {alpha}"), shares, alpha, 3.0 * alpha);
    }
}

#[test]
fn a_clients_share_of_all_is_beta_distributed_and_its_labels_are_those_of_all() {
    let labels = labelled(10_000, 5);
    let partition = || Partition::DirichletSizes { clients: 5, alpha: 1.0, min_examples: 1 };
    let summaries: Vec<_> =
        (0..600).map(|seed| summarise(&divide(partition(), &labels, seed), Some(&labels))).collect();
    let shares = summaries.iter().map(|summary| summary.clients[0].examples as f64 / 1e4);
    check_beta("sizes", shares, 1.0, 4.0);
    // A label's share of a client with n examples has a deviation of at most √(0.2·0.8/n).
    let rows = summaries.iter().flat_map(|summary| &summary.clients).filter(|row| row.examples > 500);
    let worst = rows.map(|row| {
        let deviation = (0.16 / row.examples as f64).sqrt();
        let off = |count: &usize| (*count as f64 / row.examples as f64 - 0.2).abs() / deviation;
        row.labels.iter().map(off).fold(0.0, f64::max)
    });
    assert!(worst.fold(0.0, f64::max) < 5.0);
}

#[test]
fn what_is_not_certain_is_log_normal() {
    let labels = labelled(4_000_000, 2);
    let partition = Partition::LogNormalSizes { clients: 2000, labels: 1, mu: 1.0, sigma: 0.75, min_per_label: 5 };
    let summary = summarise(&divide(partition, &labels, 3), Some(&labels));
    for label in 0..2 {
        let counts = summary.clients.iter().map(|row| row.labels[label]).filter(|count| *count > 0);
        let mut logarithms = Moments::default();
        counts.for_each(|count| logarithms.add(((count - 5) as f64).ln()));
        let n = logarithms.n as f64;
        assert_eq!(n, 1000.0);
        // The sample deviation of n normal numbers is off by σ/√(2n); five of that.
        assert!((logarithms.deviation() - 0.75).abs() < 5.0 * 0.75 / (2.0 * n).sqrt(), "{logarithms:?}");
        // A log-normal number's mean is exp(mean of the logarithm + σ²/2), and here it is all that is not certain, over n.
        // Both means are off by a standard error.
        let of_mean = ((2_000_000.0 - 5.0 * n) / n).ln() - 0.75f64.powi(2) / 2.0;
        let error = 0.75 / n.sqrt() + ((0.75f64.powi(2)).exp_m1() / n).sqrt();
        assert!((logarithms.mean - of_mean).abs() < 4.0 * error, "{} for {of_mean}", logarithms.mean);
    }
}

#[test]
fn a_common_scale_changes_no_share() {
    let labels = labelled(5000, 10);
    let with =
        |mu| divide(Partition::LogNormalSizes { clients: 50, labels: 2, mu, sigma: 2.0, min_per_label: 5 }, &labels, 1);
    let sizes = |parts: Parts| parts.clients.iter().map(Vec::len).collect::<Vec<_>>();
    let (zero, three) = (sizes(with(0.0)), sizes(with(3.0)));
    assert!(zero.iter().zip(&three).all(|(a, b)| a.abs_diff(*b) <= 2), "but for rounding");
}

#[test]
fn another_seed_gives_other_parts_and_other_labels_are_dealt_apart() {
    let labels = labelled(300, 3);
    for partition in [
        Partition::Iid { clients: 3 },
        Partition::DirichletLabels { clients: 3, alpha: 1.0, min_examples: 1 },
        Partition::DirichletSizes { clients: 3, alpha: 1.0, min_examples: 1 },
        Partition::Shards { clients: 3, shards_per_client: 2 },
        Partition::LabelsPerClient { clients: 3, labels: 2 },
    ] {
        assert_ne!(divide(partition.clone(), &labels, 1), divide(partition, &labels, 2));
    }
}

#[test]
fn few_of_an_alpha_have_most_of_a_label_and_many_the_same() {
    let labels = labelled(10_000, 10);
    let distance = |alpha| {
        let parts = divide(Partition::DirichletLabels { clients: 10, alpha, min_examples: 1 }, &labels, 1);
        summarise(&parts, Some(&labels)).label_distance.unwrap()
    };
    let distances = [0.1, 1.0, 10.0, 1e6].map(distance);
    assert!(distances.is_sorted_by(|a, b| a > b), "{distances:?}");
    assert!(distances[0] > 0.5 && distances[3] < 0.01, "{distances:?}");
}

#[test]
fn a_draw_that_leaves_somebody_too_little_is_drawn_again() {
    let labels = labelled(60_000, 10);
    // About one draw in five succeeds, so eight first draws hardly do.
    for seed in 0..8 {
        let parts = divide(Partition::DirichletLabels { clients: 100, alpha: 0.1, min_examples: 10 }, &labels, seed);
        assert!(parts.clients.iter().all(|rows| rows.len() >= 10));
    }
}

#[test]
fn what_cannot_be_divided_says_what_to_change() {
    let dirichlet = |clients, alpha, min_examples| Partition::DirichletLabels { clients, alpha, min_examples };
    let cases = [
        (Partition::Iid { clients: 61 }, "61 clients cannot be made of 60 examples; ask for at most 60"),
        (Partition::Iid { clients: 0 }, "clients = 0 is not allowed: at least 1"),
        (dirichlet(3, 0.0, 1), "alpha = 0 is not allowed: 0.000001 to 1000000"),
        (dirichlet(3, f64::NAN, 1), "alpha = NaN is not allowed: 0.000001 to 1000000"),
        (dirichlet(3, f64::INFINITY, 1), "alpha = inf is not allowed: 0.000001 to 1000000"),
        (dirichlet(3, 1.0, 21), "min_examples = 21 is not allowed: 1 to 20, for 60 examples and 3 clients"),
        (dirichlet(3, 1.0, 0), "min_examples = 0 is not allowed: 1 to 20, for 60 examples and 3 clients"),
        (
            Partition::Shards { clients: 7, shards_per_client: 9 },
            "63 shards cannot be made of 60 examples; ask for at most 60",
        ),
        (
            Partition::Shards { clients: 2, shards_per_client: usize::MAX },
            "18446744073709551615 shards cannot be made of 60 examples; ask for at most 60",
        ),
        (
            Partition::LabelsPerClient { clients: 2, labels: 7 },
            "labels = 7 is not allowed: 3 to 6, so that each of the 6 labels has a holder among 2 clients",
        ),
        (
            Partition::LabelsPerClient { clients: 40, labels: 2 },
            "label 0 has 10 examples, too few for 1 to each of the 13 clients that hold it; ask for fewer clients or labels of each",
        ),
        (
            Partition::Grouped { groups: None, column: None },
            "groups = none is not allowed: how many, or a column in its place",
        ),
        (
            Partition::Grouped { groups: Some(3), column: Some("ward".into()) },
            "groups = 3 is not allowed: none where a column says who is together",
        ),
        (Partition::Grouped { groups: Some(7), column: None }, "7 groups cannot be made of 6 ids; ask for at most 6"),
        (Partition::Natural { largest: Some(7) }, "7 clients cannot be made of 6 ids; ask for at most 6"),
    ];
    for (partition, want) in cases {
        assert_eq!(refused(partition), want);
    }
    let too_small = refused(dirichlet(20, 0.001, 3));
    let end = "where 3 are needed, and so it went in 1000 draws; lower min_examples or clients, or raise alpha";
    assert!(too_small.starts_with("client ") && too_small.ends_with(end), "{too_small}");
    let sizes =
        |mu, sigma, min_per_label| Partition::LogNormalSizes { clients: 3, labels: 2, mu, sigma, min_per_label };
    for (partition, key) in [
        (sizes(f64::NAN, 1.0, 1), "mu = NaN"),
        (sizes(0.0, -1.0, 1), "sigma = -1"),
        (sizes(0.0, 1.0, 0), "min_per_label = 0"),
        (sizes(0.0, 1.0, 11), "label 0 has 10 examples, too few for 11"),
        (sizes(0.0, 1.0, usize::MAX), "label 0 has 10 examples"),
    ] {
        assert!(refused(partition).starts_with(key));
    }
}

#[test]
fn what_data_do_not_have_cannot_divide_them() {
    let bare = Whole { examples: 9, ..Whole::default() };
    let refused = |partition: Partition, whole: &Whole| partition.divide(whole, 1).unwrap_err().to_string();
    assert_eq!(
        refused(Partition::Shards { clients: 2, shards_per_client: 2 }, &bare),
        "the partition shards divides by labels, and these data have none; use another, such as iid"
    );
    assert!(refused(Partition::Natural { largest: None }, &bare).starts_with("the partition natural divides by ids"));
    let column = Partition::Grouped { groups: None, column: Some("ward".into()) };
    assert!(refused(column, &bare).starts_with("the partition grouped divides by such a column"));
    let short = Whole { labels: Some(&[1, 2]), ..bare };
    assert_eq!(refused(Partition::Iid { clients: 2 }, &short), "there are 2 labels for 9 examples; give one for each");
    let none = refused(Partition::Iid { clients: 1 }, &Whole::default());
    assert_eq!(none, "examples = 0 is not allowed: 1 to 4294967295");
    let huge = Whole { examples: usize::MAX, ..Whole::default() };
    assert!(refused(Partition::Iid { clients: 1 }, &huge).starts_with("examples = "));
}

#[test]
fn too_many_clients_for_so_many_labels_are_refused_before_memory_is() {
    let labels: Vec<u16> = (0..60_000).map(|i| i as u16).collect();
    let partition = Partition::LabelsPerClient { clients: 60_000, labels: 1 };
    let error = partition.divide(&whole(&labels, &vec![0; 60_000]), 1).unwrap_err().to_string();
    assert_eq!(error, "clients = 60000 is not allowed: at most 279 with 60000 labels");
}

#[test]
fn a_partition_reads_as_it_is_written_and_knows_its_keys() {
    let read = |text: &str| toml::from_str::<Partition>(text).map_err(|error| error.message().to_owned());
    let written = read("name = \"dirichlet_labels\"\nclients = 10\nalpha = 0.3");
    assert_eq!(written, Ok(Partition::DirichletLabels { clients: 10, alpha: 0.3, min_examples: 1 }));
    let sizes = read("name = \"log_normal_sizes\"\nclients = 1000\nlabels = 2\nsigma = 2.0").unwrap();
    assert_eq!(sizes, Partition::LogNormalSizes { clients: 1000, labels: 2, mu: 0.0, sigma: 2.0, min_per_label: 5 });
    assert_eq!(read("name = \"natural\""), Ok(Partition::Natural { largest: None }));
    let grouped = read("name = \"grouped\"\ncolumn = \"ward\"").unwrap();
    assert_eq!(grouped.column(), Some("ward"));
    assert!(read("name = \"iid\"\nclients = 3\nalpha = 1.0").unwrap_err().starts_with("unknown field `alpha`"));
    assert!(read("name = \"magic\"").unwrap_err().starts_with("unknown variant `magic`"));
    for partition in [written.unwrap(), sizes, grouped] {
        let json = serde_json::to_value(&partition).unwrap();
        assert_eq!(json["name"], partition.name());
        assert_eq!(serde_json::from_value::<Partition>(json).unwrap(), partition);
    }
}
