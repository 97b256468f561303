//! The built-in recipes as a server offers them. A plan of one is made as `dure job start` makes it.

use dure_core::plan::PlanSpec;
use dure_learn::recipe::{Recipe, RecipeError, settings};
use dure_server::recipes::{Recipes, RefusedSetting};
use dure_wire::api::{RecipeDetails, RecipeTask, RecipeView};
use serde_json::{Map, Value};

use crate::{
    args::RecipeArgs,
    fail::Fail,
    source::{self, BUILT_IN},
};

/// The built-in recipes.
#[derive(Debug)]
pub struct BuiltIn;

impl Recipes for BuiltIn {
    fn list(&self) -> Vec<RecipeView> {
        BUILT_IN.iter().filter_map(|(name, _)| view(&read(name)?)).collect()
    }

    fn show(&self, name: &str) -> Option<RecipeDetails> {
        let recipe = read(name)?;
        Some(RecipeDetails { recipe: view(&recipe)?, settings: settings::schema(), values: recipe.settings().ok()? })
    }

    fn plan(&self, name: &str, settings: &Map<String, Value>) -> Option<Result<PlanSpec, RefusedSetting>> {
        source::is_built_in(name).then(|| plan(name, settings))
    }
}

/// A recipe as it is written. Other names would be those of files, which nobody reads by way of a server.
fn read(name: &str) -> Option<Recipe> {
    source::is_built_in(name).then(|| source::recipe(&args(name, vec![])).ok())?.map(|found| found.recipe)
}

fn view(recipe: &Recipe) -> Option<RecipeView> {
    let Recipe { name, title, data, schema, .. } = recipe.clone();
    let task = if schema.is_of_classes() { RecipeTask::Classification } else { RecipeTask::Regression };
    let Value::Object(schema) = serde_json::to_value(schema).ok()? else { return None };
    Some(RecipeView { name, title, data, task, schema })
}

fn args(name: &str, overrides: Vec<String>) -> RecipeArgs {
    RecipeArgs { recipe: name.into(), overrides, smoke: false }
}

fn plan(name: &str, settings: &Map<String, Value>) -> Result<PlanSpec, RefusedSetting> {
    let overrides = settings.iter().map(|(key, value)| typed(key, value)).collect::<Result<_, _>>()?;
    source::planned(&args(name, overrides)).map(|(_, plan)| plan.into()).map_err(refused)
}

/// A setting as it is typed on a command line.
fn typed(key: &str, value: &Value) -> Result<String, RefusedSetting> {
    let refused = |why: &str| RefusedSetting { setting: Some(key.into()), why: format!("{key:?}: {why}") };
    if key.contains('=') {
        return Err(refused("no such key"));
    }
    let value = toml::Value::try_from(value);
    let value = value.map_err(|_| refused("null is no value; leave the key away for what the recipe says"))?;
    Ok(format!("{key}={value}"))
}

fn refused(fail: Fail) -> RefusedSetting {
    let (Fail::Usage(error) | Fail::Failed(error)) = &fail;
    match error.downcast_ref::<RecipeError>().map(RecipeError::setting) {
        Some((setting, why)) => RefusedSetting { setting: setting.map(str::to_owned), why },
        None => RefusedSetting { setting: None, why: fail.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn set(name: &str, settings: Value) -> Result<PlanSpec, RefusedSetting> {
        BuiltIn.plan(name, settings.as_object().unwrap()).unwrap()
    }

    #[test]
    fn every_recipe_is_shown_and_comes_to_the_plan_of_the_command_line_byte_for_byte() {
        let views = BuiltIn.list();
        assert_eq!(views.len(), BUILT_IN.len());
        for view in views {
            let details = BuiltIn.show(&view.name).unwrap();
            assert_eq!(details.recipe, view);
            assert!(details.values["rounds"].is_u64() && details.settings["properties"]["rounds"].is_object());
            let (_, plan) = source::planned(&args(&view.name, vec![])).unwrap();
            let bytes = |plan: &PlanSpec| serde_json::to_string(plan).unwrap();
            assert_eq!(bytes(&set(&view.name, json!({})).unwrap()), bytes(&plan), "{}", view.name);
        }
    }

    #[test]
    fn a_setting_is_what_is_typed_on_a_command_line() {
        let check = |settings: Value, overrides: &[&str]| {
            let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
            let plan = source::planned(&args("fitbit", overrides)).unwrap().1;
            let planned = set("fitbit", settings).unwrap();
            assert_eq!(serde_json::to_string(&planned).unwrap(), serde_json::to_string(&plan).unwrap());
        };
        check(json!({"rounds": 50, "training.epochs": 3}), &["rounds=50", "training.epochs=3"]);
        check(json!({"cohort.deadline_s": 60, "refit": false}), &["cohort.deadline_s=60", "refit=false"]);
        check(json!({"training.optimizer.learning_rate": 3e-7}), &["training.optimizer.learning_rate=3e-7"]);
        check(json!({"strategy": {"name": "fedprox", "mu": 0.1}}), &["strategy={name=\"fedprox\",mu=0.1}"]);
        check(json!({"codec": "bf16", "model.hidden": [8, 4]}), &["codec=bf16", "model.hidden=[8,4]"]);
        check(json!({"stop.metric": "r2"}), &["stop.metric=\"r2\""]);
    }

    #[test]
    fn what_is_refused_names_the_setting_the_value_and_what_is_allowed() {
        let check = |settings: Value, setting: Option<&str>, want: &str| {
            let refused = set("fitbit", settings).unwrap_err();
            assert_eq!(refused.setting.as_deref(), setting, "{refused}");
            assert!(refused.why.starts_with(want), "{refused}\ninstead of\n{want}");
        };
        check(json!({"rounds": 0}), Some("rounds"), "rounds = 0 is not allowed: 1 to 1000000");
        check(json!({"rounds": "many"}), Some("rounds"), "rounds: invalid type: string \"many\", expected u32");
        check(
            json!({"training.epoch": 3}),
            Some("training.epoch"),
            "training.epoch: no such key; did you mean \"epochs\"?",
        );
        check(json!({"a=b": 3}), Some("a=b"), "\"a=b\": no such key");
        check(json!({"rounds": null}), Some("rounds"), "\"rounds\": null is no value");
        check(json!({"strategy": {"name": "fedprox"}}), Some("strategy.mu"), "strategy.mu = nothing is not allowed");
        let quorum = json!({"cohort.size": 2, "cohort.quorum": 3});
        check(quorum, Some("cohort.quorum"), "cohort.quorum = 3 and cohort.size = 2 contradict each other");
    }

    #[test]
    fn no_file_is_read_by_way_of_a_server() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../recipes/fitbit.toml");
        assert!(source::recipe(&args(file, vec![])).is_ok());
        assert!(BuiltIn.show(file).is_none() && BuiltIn.plan(file, &Map::new()).is_none());
    }
}
