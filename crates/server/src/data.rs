//! What all clients together tell of their data, from the facts that their sites chose to tell.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use dure_core::plan::MAX_CLASSES;
use dure_wire::api::{ClassView, ClassesView, DataView, Labels, NumberSummary, NumberView, Rows, SizeBin};
use serde::Deserialize as _;
use serde_json::{Map, Value};

/// How many bins sizes fall into at most.
const BINS: u64 = 20;

/// Adds up what is told, a client at a time.
#[derive(Debug, Default)]
pub struct Told {
    /// The classes that there are; any, if the federation names none.
    known: Option<BTreeSet<String>>,
    clients: usize,
    sizes: Vec<u64>,
    classes: Vec<BTreeMap<String, Rows>>,
    numbers: Vec<NumberSummary>,
}

impl Told {
    /// Nothing yet, in a federation of this schema.
    pub fn new(schema: Option<&Map<String, Value>>) -> Self {
        let classes = schema.and_then(|schema| schema.get("target")?.get("classes")?.as_array());
        let names =
            |classes: &Vec<Value>| classes.iter().filter_map(|class| Some(class.as_str()?.to_owned())).collect();
        Self { known: classes.map(names), ..Self::default() }
    }

    /// A client more, whose site says this, if it says anything. What cannot be read was not told.
    pub fn add(&mut self, facts: Option<&Map<String, Value>>) {
        self.clients += 1;
        let Some(facts) = facts else { return };
        self.sizes.extend(facts.get("rows").and_then(Value::as_u64));
        match facts.get("labels").and_then(|labels| Labels::deserialize(labels).ok()) {
            Some(Labels::Classes(mut classes)) => {
                classes.retain(|class, _| self.known.as_ref().is_none_or(|known| known.contains(class)));
                self.classes.extend(Some(classes).filter(|classes| !classes.is_empty()));
            }
            Some(Labels::Number(number)) => self.numbers.push(number),
            None => {}
        }
    }

    /// All of it.
    pub fn view(mut self) -> DataView {
        self.sizes.sort_unstable();
        DataView {
            clients: self.clients,
            tell_rows: self.sizes.len(),
            tell_labels: self.classes.len() + self.numbers.len(),
            rows: self.sizes.iter().fold(0, |sum, rows| sum.saturating_add(*rows)),
            sizes: bins(&self.sizes),
            classes: Some(classes(&self.classes)).filter(|view| !view.classes.is_empty()),
            number: number(&self.numbers),
        }
    }
}

/// Sizes, which are sorted, in bins of equal width.
fn bins(sizes: &[u64]) -> Vec<SizeBin> {
    let (Some(first), Some(last)) = (sizes.first(), sizes.last()) else { return vec![] };
    let width = (last - first) / BINS + 1;
    let mut bins: Vec<SizeBin> = Vec::new();
    for size in sizes {
        while bins.last().is_none_or(|bin| bin.to < *size) {
            let from = bins.last().map_or(*first, |bin| bin.to + 1);
            bins.push(SizeBin { from, to: from.saturating_add(width - 1), clients: 0 });
        }
        bins.last_mut().into_iter().for_each(|bin| bin.clients += 1);
    }
    bins
}

fn classes(told: &[BTreeMap<String, Rows>]) -> ClassesView {
    let mut sums: BTreeMap<&str, ClassView> = BTreeMap::new();
    for (class, rows) in told.iter().flatten() {
        let none = || ClassView { class: class.clone(), rows: 0, clients: 0, few: 0 };
        let sum = sums.entry(class).or_insert_with(none);
        match rows.counted() {
            Some(rows) => (sum.rows, sum.clients) = (sum.rows.saturating_add(rows), sum.clients + 1),
            None => sum.few += 1,
        }
    }
    let distance = distance(told, &sums);
    let mut classes: Vec<_> = sums.into_values().collect();
    classes.sort_by_key(|class| Reverse(class.rows));
    classes.truncate(MAX_CLASSES);
    ClassesView { classes, distance }
}

/// The mean of clients' total variation distances from the sums, weighted by their rows. The distance of two distributions is what of
/// one lies outside of the other.
fn distance(told: &[BTreeMap<String, Rows>], sums: &BTreeMap<&str, ClassView>) -> f64 {
    let all: f64 = sums.values().map(|class| class.rows as f64).sum();
    let mut total = 0.0;
    for client in told {
        let counted: Vec<_> = client.iter().filter_map(|(class, rows)| Some((class, rows.counted()? as f64))).collect();
        let own: f64 = counted.iter().map(|(_, rows)| rows).sum();
        let both = |(class, rows): &(&String, f64)| (rows / own).min(sums[class.as_str()].rows as f64 / all);
        if own > 0.0 {
            total += own * (1.0 - counted.iter().map(both).sum::<f64>()).max(0.0);
        }
    }
    if all > 0.0 { total / all } else { 0.0 }
}

/// What cannot be added up, for somebody tells of values beyond all measure, is not shown.
fn number(told: &[NumberSummary]) -> Option<NumberView> {
    let rows: f64 = told.iter().map(|number| number.rows as f64).sum();
    let mean = told.iter().map(|number| number.rows as f64 * number.mean).sum::<f64>() / rows;
    let variance = told.iter().map(|number| number.rows as f64 * (number.mean - mean).powi(2)).sum::<f64>() / rows;
    let low = told.iter().map(|number| number.quantiles[0]).fold(f64::INFINITY, f64::min);
    let high = told.iter().map(|number| number.quantiles[4]).fold(f64::NEG_INFINITY, f64::max);
    let view = NumberView { clients: told.len(), rows: rows as u64, mean, deviation: variance.sqrt(), low, high };
    Some(view).filter(|view| [mean, view.deviation, low, high].iter().all(|value| value.is_finite()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn view(schema: Value, facts: &[Value]) -> DataView {
        let mut told = Told::new(schema.as_object());
        facts.iter().for_each(|facts| told.add(facts.as_object()));
        told.view()
    }

    #[test]
    fn who_tells_nothing_is_counted_and_not_guessed() {
        let view = view(json!({}), &[json!({"rows": 30}), json!({}), json!({"rows": 10, "labels": "many"})]);
        assert_eq!((view.clients, view.tell_rows, view.tell_labels, view.rows), (3, 2, 0, 40));
        assert_eq!((view.classes, view.number), (None, None));
    }

    #[test]
    fn sizes_fall_into_at_most_twenty_bins_of_equal_width() {
        let sizes =
            |sizes: &[u64]| bins(sizes).into_iter().map(|bin| (bin.from, bin.to, bin.clients)).collect::<Vec<_>>();
        assert_eq!(sizes(&[]), []);
        assert_eq!(sizes(&[7, 7]), [(7, 7, 2)]);
        assert_eq!(sizes(&[1, 3, 3]), [(1, 1, 1), (2, 2, 0), (3, 3, 2)]);
        let many = sizes(&(1..=1000).collect::<Vec<_>>());
        assert_eq!((many.len(), many[0], many[19]), (20, (1, 50, 50), (951, 1000, 50)));
        assert_eq!(sizes(&[0, u64::MAX]).len(), 20);
    }

    #[test]
    fn classes_are_added_up_and_their_distance_is_weighted_by_rows() {
        let labels = |classes: Value| json!({"labels": {"classes": classes}});
        let told = [labels(json!({"a": 30, "b": "<5"})), labels(json!({"a": 5, "b": 5})), labels(json!({"c": 9}))];
        let known = view(json!({"target": {"classes": ["a", "b"]}}), &told);
        assert_eq!(known.tell_labels, 2);
        let classes = known.classes.unwrap();
        let of = |class: &str, rows, clients, few| ClassView { class: class.into(), rows, clients, few };
        assert_eq!(classes.classes, [of("a", 35, 2, 0), of("b", 5, 1, 1)]);
        // All: 7/8 a. The first is 1/8 from it, the second 3/8: (30·1/8 + 10·3/8) / 40.
        assert!((classes.distance - 7.5 / 40.0).abs() < 1e-12, "{}", classes.distance);
        assert_eq!(view(json!({}), &told).classes.unwrap().classes.len(), 3);
    }

    #[test]
    fn equal_classes_have_no_distance_and_disjoint_ones_almost_all() {
        let labels = |classes: Value| json!({"labels": {"classes": classes}});
        let distance = |told: &[Value]| view(json!({}), told).classes.unwrap().distance;
        assert!(distance(&[labels(json!({"a": 10, "b": 30})), labels(json!({"a": 20, "b": 60}))]) < 1e-12);
        let apart: Vec<_> = (0..100).map(|i| labels(json!({format!("c{i}"): 10}))).collect();
        assert!((distance(&apart) - 0.99).abs() < 1e-12);
        assert_eq!(distance(&[labels(json!({"a": "<5"}))]), 0.0);
    }

    #[test]
    fn numbers_have_a_pooled_mean_and_the_spread_of_clients_means() {
        let number = |rows: u64, mean: f64| {
            let quantiles = [mean - 2.0, mean - 1.0, mean, mean + 1.0, mean + 2.0];
            json!({"labels": {"number": {"rows": rows, "mean": mean, "quantiles": quantiles}}})
        };
        let together = view(json!({}), &[number(30, 10.0), number(10, 30.0)]).number.unwrap();
        assert_eq!(
            (together.clients, together.rows, together.mean, together.low, together.high),
            (2, 40, 15.0, 8.0, 32.0)
        );
        assert!((together.deviation - 75f64.sqrt()).abs() < 1e-12);
        assert_eq!(view(json!({}), &[number(30, 1e200), number(10, -1e200)]).number, None);
    }
}
