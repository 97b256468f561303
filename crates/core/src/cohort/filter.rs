//! Whom a job does not ask, for what their devices say of themselves.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What a device says of itself, by the names of [`FACTS`].
pub type Facts = BTreeMap<String, f64>;

/// What is known of devices: how much of each there is, in megabytes (10⁶ bytes) where it is memory or disk. `load` is how busy it is, as a
/// share of its cores.
pub const FACTS: [&str; 6] = ["cores", "memory_mb", "free_memory_mb", "free_disk_mb", "load", "rows"];

/// What a device has to have. Whoever does not say how much of it there is has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// At least so many cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub cores: Option<f64>,
    /// At least so much memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub memory_mb: Option<f64>,
    /// At least so much memory that nobody uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub free_memory_mb: Option<f64>,
    /// At least so much room on its disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub free_disk_mb: Option<f64>,
    /// No busier than this share of its cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub load: Option<f64>,
    /// At least so many rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0))]
    pub rows: Option<f64>,
}

impl Filter {
    /// The bounds that it has, each by the name of its fact.
    pub fn bounds(&self) -> impl Iterator<Item = (&'static str, f64)> {
        let all = [self.cores, self.memory_mb, self.free_memory_mb, self.free_disk_mb, self.load, self.rows];
        FACTS.into_iter().zip(all).filter_map(|(fact, bound)| Some((fact, bound?)))
    }

    /// The fact by which a device is left out, if it is.
    pub fn leaves_out(&self, facts: &Facts) -> Option<&'static str> {
        let fails = |(fact, bound): &(&'static str, f64)| match facts.get(*fact) {
            Some(value) if *fact == "load" => value > bound,
            Some(value) => value < bound,
            None => true,
        };
        self.bounds().find(fails).map(|(fact, _)| fact)
    }

    /// Of what somebody says of itself, what this looks at.
    pub fn of(&self, told: &Map<String, Value>) -> Facts {
        let number = |fact: &str| told.get(fact)?.as_f64().filter(|value| value.is_finite());
        self.bounds().filter_map(|(fact, _)| Some((fact.to_owned(), number(fact)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_bound_leaves_out_who_has_less_or_says_nothing_and_load_who_has_more() {
        let filter = Filter { cores: Some(2.0), load: Some(0.7), ..Filter::default() };
        let facts = |facts: &[(&str, f64)]| facts.iter().map(|(fact, value)| ((*fact).to_owned(), *value)).collect();
        let check = |told: &[(&str, f64)], want| assert_eq!(filter.leaves_out(&facts(told)), want, "{told:?}");
        check(&[("cores", 2.0), ("load", 0.7)], None);
        check(&[("cores", 1.0), ("load", 0.1)], Some("cores"));
        check(&[("cores", 4.0), ("load", 0.71)], Some("load"));
        check(&[("cores", 4.0)], Some("load"));
        let told = serde_json::json!({"cores": 4, "load": "high", "os": "linux", "rows": 7});
        assert_eq!(filter.of(told.as_object().unwrap()), facts(&[("cores", 4.0)]));
        assert_eq!(Filter::default().leaves_out(&Facts::new()), None);
    }
}
