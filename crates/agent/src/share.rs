//! What is told of a client's data: as much as its site's policy shares, in sums that show no row by itself. It is no differential
//! privacy: what is told is exact where it is told, and two tellings over data that differ in a few rows tell of those.

use std::collections::BTreeMap;

use dure_learn::{
    data::{ClientRows, examples::Truth},
    schema::{Schema, Target},
};
use dure_wire::api::{Labels, NumberSummary, Rows};
use serde_json::{Map, Value};

use crate::policy::{Policy, Share};

/// The fewest rows that anything is told of, if the policy's `min_rows` is no larger: a class of fewer is not counted aloud, for whoever knows
/// that a rare case was seen somewhere would learn how many there were; and a quantile is the mean of so many rows that lie nearest
/// to it, for one of a single row would be that row.
const FEW: usize = 5;

/// Of a number nothing is told unless there are so many times as many rows: the outer quantiles would be of the same ones.
const TIMES: usize = 4;

/// The quantiles that are told.
const QUANTILES: [f64; 5] = [0.05, 0.25, 0.5, 0.75, 0.95];

/// The most bytes of labels that are told: a server takes 16 KiB of all that a client says of itself.
const MAX_BYTES: usize = 12 << 10;

/// What is told of a client's data, and why it is not all that the policy shares, if it is not.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shared {
    /// By the names of facts.
    pub facts: Map<String, Value>,
    /// Why its labels are not told.
    pub withheld: Option<String>,
}

impl Shared {
    /// As the policy says. Labels are of the rows that jobs learn from; which of them a job trains on follows from its seed. Nothing is told
    /// of those parts, for from several of them single rows could be reckoned.
    pub fn of(policy: &Policy, data: &ClientRows, schema: &Schema) -> Self {
        let mut shared = Self::default();
        if policy.shares(Share::Rows) {
            shared.facts.insert("rows".into(), data.len().into());
        }
        if policy.shares(Share::Labels) {
            match labels(data, &schema.target, policy.least_rows().max(FEW)) {
                Ok(labels) => drop(shared.facts.insert("labels".into(), labels)),
                Err(why) => shared.withheld = Some(why),
            }
        }
        shared
    }
}

fn labels(data: &ClientRows, target: &Target, few: usize) -> Result<Value, String> {
    let rows = data.len() - data.held_out;
    let labels = match &data.truth {
        Truth::Classes(classes) => Labels::Classes(counts(&classes[..rows], &target.classes, few)),
        Truth::Numbers(_) if rows < few * TIMES => return Err(format!("there are fewer than {} rows", few * TIMES)),
        Truth::Numbers(numbers) => Labels::Number(summary(&numbers[..rows], few)),
    };
    let value = serde_json::to_value(labels).map_err(|error| error.to_string())?;
    let bytes = value.to_string().len();
    if bytes > MAX_BYTES {
        return Err(format!("the names and counts of the classes take {bytes} bytes, and {MAX_BYTES} can be told"));
    }
    Ok(value)
}

fn counts(truth: &[u16], names: &[String], few: usize) -> BTreeMap<String, Rows> {
    let mut counts = vec![0; names.len()];
    truth.iter().for_each(|class| counts[usize::from(*class)] += 1);
    let told = |count| if count < few { Rows::Few(format!("<{few}")) } else { Rows::Exactly(count as u64) };
    names.iter().cloned().zip(counts.into_iter().map(told)).collect()
}

/// Of at least `few` numbers.
fn summary(numbers: &[f64], few: usize) -> NumberSummary {
    let mean = |numbers: &[f64]| numbers.iter().sum::<f64>() / numbers.len() as f64;
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let quantile = |share: f64| {
        let at = (share * (sorted.len() - 1) as f64).round() as usize;
        let first = at.saturating_sub(few / 2).min(sorted.len() - few);
        mean(&sorted[first..first + few])
    };
    NumberSummary { rows: numbers.len() as u64, mean: mean(numbers), quantiles: QUANTILES.map(quantile) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use dure_core::name::ClientName;
    use dure_learn::data::{Examples, examples::Inputs};
    use serde_json::json;

    use super::*;

    fn shared(policy: &str, truth: Truth, held_out: usize, classes: &[&str]) -> Shared {
        let name = ClientName::new("a").unwrap();
        let examples = Examples {
            divided_as: name.clone(),
            id: String::new(),
            line: 1,
            dates: vec![],
            inputs: Inputs::Table(1, vec![0.0; truth.len()]),
            truth,
            held_out,
        };
        let target = json!({"name": "y", "unit": if classes.is_empty() { "kcal" } else { "" }, "classes": classes});
        let schema =
            serde_json::from_value(json!({"features": [{"name": "x", "unit": "1"}], "target": target})).unwrap();
        let data = ClientRows { name, examples: Arc::new(examples) };
        Shared::of(&Policy::parse(policy, "site.toml").unwrap(), &data, &schema)
    }

    #[test]
    fn rows_are_told_unless_the_site_says_otherwise_and_labels_only_if_it_does() {
        let facts = |policy| shared(policy, Truth::Numbers((0..30).map(f64::from).collect()), 0, &[]).facts;
        let named = |policy| facts(policy).keys().cloned().collect::<Vec<_>>().join(" ");
        assert_eq!(Value::from(facts("")), json!({"rows": 30}));
        assert_eq!(named("share = []"), "");
        assert_eq!(named("share = ['labels']"), "labels");
        assert_eq!(named("share = ['rows', 'labels']"), "labels rows");
    }

    #[test]
    fn small_classes_are_not_counted_aloud_and_what_is_held_out_is_not_counted_at_all() {
        let truth: Vec<u16> = [vec![0; 7], vec![1; 4], vec![2; 5], vec![0; 9]].concat();
        let told = shared("share = ['labels']", Truth::Classes(truth), 9, &["a", "b", "c", "d"]);
        let labels = json!({"labels": {"classes": {"a": 7, "b": "<5", "c": 5, "d": "<5"}}});
        assert_eq!((Value::from(told.facts), told.withheld), (labels, None));
        let careful =
            shared("share = ['labels']\nmin_rows = 6", Truth::Classes([[0; 6], [1; 6]].concat()), 1, &["a", "b"]);
        assert_eq!(Value::from(careful.facts), json!({"labels": {"classes": {"a": 6, "b": "<6"}}}));
    }

    #[test]
    fn of_few_numbers_nothing_is_told_but_why_at_the_site() {
        let told = |rows: usize| shared("share = ['labels']", Truth::Numbers(vec![1.0; rows]), 0, &[]);
        assert_eq!((told(19).facts.len(), told(19).withheld.unwrap()), (0, "there are fewer than 20 rows".into()));
        assert_eq!((told(20).facts.len(), told(20).withheld), (1, None));
    }

    #[test]
    fn as_many_classes_as_there_may_be_fit_and_names_that_do_not_are_left_out() {
        let told = |length: usize| {
            let names: Vec<String> = (0..256).map(|i| format!("{i:0>length$}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            shared("share = ['labels']", Truth::Classes((0..256).flat_map(|class| [class; 5]).collect()), 0, &names)
        };
        assert_eq!((told(40).facts.len(), told(40).withheld), (1, None));
        let why = told(128).withheld.unwrap();
        assert!(why.ends_with(" bytes, and 12288 can be told"), "{why}");
    }

    #[test]
    fn quantiles_are_means_of_five_neighbours() {
        let numbers: Vec<f64> = (0..101).map(f64::from).collect();
        let want = NumberSummary { rows: 101, mean: 50.0, quantiles: [5.0, 25.0, 50.0, 75.0, 95.0] };
        assert_eq!(summary(&numbers, FEW), want);
        assert_eq!(summary(&numbers[..20], FEW).quantiles, [2.0, 5.0, 10.0, 14.0, 17.0]);
    }

    #[test]
    fn quantiles_rise_and_an_outlier_is_never_told() {
        for rows in 20..200 {
            let mut numbers: Vec<f64> = (0..rows).map(|i| f64::from(i * 37 % rows)).collect();
            numbers[0] = 1e6;
            let NumberSummary { quantiles, .. } = summary(&numbers, FEW);
            assert!(quantiles.is_sorted() && quantiles[4] < 3e5, "{rows} rows: {quantiles:?}");
        }
    }
}
