//! What `[plan]` may say, for whoever makes a form of it.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::{PlanKeys, Recipe};

/// The keys of `[plan]` as a JSON Schema without references. Of several choices each has a `name`, and its own keys.
pub fn schema() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    settings.into_generator().into_root_schema_for::<PlanKeys>().into()
}

impl Recipe {
    /// What it says of the keys of `[plan]`.
    pub fn settings(&self) -> Result<Value, serde_json::Error> {
        // By way of text, so that a number of single precision keeps the digits that were written.
        serde_json::from_str(&serde_json::to_string(&self.plan)?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const FITBIT: &str = include_str!("../../../../recipes/fitbit.toml");

    /// A part of the schema, and the overrides that make what it describes be there.
    struct Part {
        path: String,
        schema: Value,
        within: Vec<String>,
    }

    /// The parts of a schema: tables, and the settings that they come to.
    fn parts(path: &str, schema: &Value, within: &[String]) -> Vec<Part> {
        let mut found = vec![Part { path: path.into(), schema: schema.clone(), within: within.into() }];
        // What is absent in a recipe is there before its keys are set.
        let absent = schema["type"][1] == "null" && schema["properties"].is_object();
        let within =
            &[within, &absent.then(|| format!("{path}={}", sample(schema))).into_iter().collect::<Vec<_>>()].concat();
        let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            found.extend(parts(&inner(name), schema, within));
        }
        for choice in choices(schema) {
            let within = [&within[..], &[format!("{path}={}", sample(choice))]].concat();
            found.extend(parts(path, choice, &within));
        }
        found
    }

    /// The tables that may stand there.
    fn choices(schema: &Value) -> impl Iterator<Item = &Value> {
        let all = [&schema["oneOf"], &schema["anyOf"]].into_iter().flat_map(|all| all.as_array().into_iter().flatten());
        all.filter(|choice| choice["type"] == "object")
    }

    /// Something that the schema allows, as TOML.
    fn sample(schema: &Value) -> String {
        let one = |key: &str| Some(schema[key].clone()).filter(|value| !value.is_null());
        let first = schema["oneOf"].get(0).or(schema["anyOf"].get(0));
        let (kind, above) = (schema["type"].as_str().or(schema["type"][0].as_str()), one("exclusiveMinimum"));
        match kind {
            _ if schema["const"].is_string() => schema["const"].to_string(),
            Some("object") if first.is_none() => {
                let needed = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let key = |name: &str| format!("{name}={}", sample(&schema["properties"][name]));
                format!("{{{}}}", needed.map(key).collect::<Vec<_>>().join(","))
            }
            Some("array") => format!("[{}]", sample(&schema["items"])),
            Some("boolean") => "true".into(),
            Some("string") if first.is_none() => "\"mae\"".into(),
            Some("integer" | "number") => one("minimum").or(above.map(|_| 0.5.into())).unwrap_or(1.into()).to_string(),
            _ => sample(first.unwrap()),
        }
    }

    fn every() -> Vec<Part> {
        parts("", &schema(), &[])
    }

    fn planned(within: &[String], set: &str) -> Result<(), (Option<String>, String)> {
        // Folds are where no share is tested on.
        let recipe = Recipe::parse("it", FITBIT, &[&["split.test=0".into()], within, &[set.into()]].concat());
        let planned = recipe.and_then(|recipe| recipe.plan("it").map(drop));
        planned.map_err(|error| (error.setting().0.map(str::to_owned), error.setting().1))
    }

    #[test]
    fn what_the_schema_names_is_read() {
        let mut settings = 0;
        for Part { path, schema, within } in every().iter().filter(|part| !part.path.is_empty()) {
            let set = format!("{path}={}", sample(schema));
            let read = Recipe::parse("it", FITBIT, &[&within[..], std::slice::from_ref(&set)].concat());
            assert!(read.is_ok(), "{within:?} {set}: {}", read.unwrap_err());
            settings += 1;
        }
        assert!(settings > 100, "{settings}");
    }

    #[test]
    fn the_schema_names_what_is_read() {
        let names =
            |of: &Value| of["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone()).collect();
        let mut tables = 0;
        for Part { path, schema, within } in every() {
            let mut named: BTreeSet<String> = names(&schema);
            match (path.as_str(), choices(&schema).count()) {
                // The reader knows the keys of all strategies at each of them; which one takes which, the plan says.
                ("strategy", 1..) => named = choices(&schema).flat_map(&names).collect(),
                (_, 1..) | ("strategy", _) => continue,
                _ => {}
            }
            let at = if path.is_empty() { "plan" } else { &path };
            let read = Recipe::parse("it", FITBIT, &[&within[..], &[format!("{at}.zzz=1")]].concat());
            let Some(error) = read.err().map(|error| error.to_string()) else { continue };
            let Some((_, known)) = error.split_once("Known here: ") else { continue };
            let known: BTreeSet<String> = known.split(", ").map(str::to_owned).collect();
            // The name of a choice is read before its keys are.
            if !known.contains("name") {
                named.remove("name");
            }
            assert_eq!(named, known, "{path} within {within:?}");
            tables += 1;
        }
        assert!(tables > 15, "{tables}");
    }

    #[test]
    fn each_strategy_has_the_keys_that_it_takes() {
        let schema = schema();
        let strategy = &schema["properties"]["strategy"];
        assert_eq!(strategy["default"]["name"], "fedavg");
        let takes = |choice: &Value, key: &str| !choice["properties"][key].is_null();
        for choice in choices(strategy) {
            for other in choices(strategy) {
                for (key, of) in other["properties"].as_object().unwrap().iter().filter(|(key, _)| *key != "name") {
                    let set = format!("strategy.{key}={}", sample(of));
                    let refused = planned(&[format!("strategy={}", sample(choice))], &set);
                    let unused = refused.is_err_and(|(_, why)| why.contains("does not use it"));
                    assert_eq!(unused, !takes(choice, key), "{set} of {}", choice["properties"]["name"]["const"]);
                }
            }
        }
    }

    #[test]
    fn bounds_are_what_a_plan_is_held_to() {
        let mut bounds = 0;
        for Part { path, schema, within } in every() {
            let whole = schema["type"] == "integer" || schema["type"][0] == "integer";
            let mut check = |value: f64, want: bool| {
                bounds += 1;
                let set = format!("{path}={}", if whole { format!("{value:.0}") } else { format!("{value:?}") });
                let refused = planned(&within, &set).err();
                let named =
                    refused.as_ref().and_then(|(key, _)| key.as_deref()).is_some_and(|key| path.starts_with(key));
                let alone = refused.as_ref().is_none_or(|(_, why)| !why.contains("contradict"));
                assert_eq!(named && alone, !want, "{set} within {within:?}: {refused:?}");
            };
            for (key, sign) in [("minimum", -1.0), ("maximum", 1.0)] {
                let Some(bound) = schema[key].as_f64() else { continue };
                check(bound, true);
                check(if whole || bound == 0.0 { bound + sign } else { bound + sign * bound / 100.0 }, false);
            }
            for key in ["exclusiveMinimum", "exclusiveMaximum"] {
                schema[key].as_f64().inspect(|bound| check(*bound, false));
            }
        }
        assert!(bounds > 80, "{bounds}");
    }

    #[test]
    fn a_default_is_what_stands_where_a_recipe_says_nothing() {
        let read = |overrides: &[String]| Recipe::parse("it", FITBIT, overrides).unwrap().plan;
        let mut defaults = 0;
        for Part { path, schema, within } in every().iter().filter(|part| !part.schema["default"].is_null()) {
            let mut said: toml::Table = toml::from_str(FITBIT).unwrap();
            within.iter().for_each(|set| drop(super::super::lay_over(&mut said, set).unwrap()));
            let there = path.split('.').try_fold(&said["plan"], |table, key| table.get(key));
            // What a strategy's own key comes to, its table says when the strategy is built, and the schema by it.
            let of_a_strategy = path.starts_with("strategy.") && !path.ends_with(".learning_rate");
            if there.is_none() && !of_a_strategy {
                let default = toml::Value::try_from(without_nulls(&schema["default"])).unwrap();
                let set = format!("{path}={default}");
                assert_eq!(read(&[&within[..], std::slice::from_ref(&set)].concat()), read(within), "{set}");
                defaults += 1;
            }
        }
        assert!(defaults > 25, "{defaults}");
    }

    /// TOML has no null: what is absent is not said.
    fn without_nulls(value: &Value) -> Value {
        let Some(table) = value.as_object() else { return value.clone() };
        table.iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    #[test]
    fn a_recipe_says_what_it_says_with_the_digits_that_were_written() {
        let recipe = Recipe::parse("it", FITBIT, &["personalise.learning_rate=0.0003".into()]).unwrap();
        let said = recipe.settings().unwrap();
        assert_eq!(said["rounds"], 20);
        assert_eq!(said["training"]["optimizer"]["learning_rate"], 0.001);
        assert_eq!(said["personalise"]["learning_rate"], 0.0003);
    }
}
