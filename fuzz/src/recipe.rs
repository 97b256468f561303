//! Recipes, with what is laid over them.

use dure_core::{
    digest::Digest,
    event::{Event, Record},
    journal::{Entry, Head},
    plan::Plan,
    time::Time,
};
use dure_learn::{
    recipe::{Recipe, RecipeError},
    work::Work,
};
use serde_json::Value;

use crate::message;

/// What the recipe is called in messages.
const ORIGIN: &str = "my.toml";

/// What stands between a recipe and the lines that are laid over it.
const OVERRIDES: &str = "\n---\n";

/// Takes `bytes` as a recipe's text and the lines that are laid over it.
///
/// A recipe that is read is the same when it is written and read again. Its plan is the same plan, by the same digest, as
/// JSON, as a value, and out of a journal. A refusal names the file or the command line, and the key.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let (text, overrides) = text.split_once(OVERRIDES).unwrap_or((text, ""));
    let overrides: Vec<String> = overrides.lines().map(str::to_owned).collect();
    let read = Recipe::parse(ORIGIN, text, &overrides);
    if let Err(RecipeError::Key { origin, .. }) = &read {
        assert!(origin.starts_with(ORIGIN) || !overrides.is_empty(), "nothing was set {origin}");
    }
    let Some(recipe) = taken(read) else { return };
    // No comparison: a recipe may say `nan` where no plan may.
    let shown = toml::to_string_pretty(&recipe).expect("a recipe is written");
    let same = Recipe::parse(ORIGIN, &shown, &[]).unwrap_or_else(|error| panic!("{error}\n{shown}"));
    let Some(plan) = taken(recipe.plan(ORIGIN)) else { return };
    assert_eq!(same, recipe);
    assert_eq!(taken(same.plan(ORIGIN)).as_ref(), Some(&plan));
    assert_eq!(Work::of(&plan), Ok(recipe.work()));
    check_plan(&plan);
}

/// What was read, if it was; a refusal says where to look.
fn taken<T>(read: Result<T, RecipeError>) -> Option<T> {
    let Err(error) = &read else { return read.ok() };
    let text = message::check(error);
    match error {
        RecipeError::Override(_) => assert!(text.contains("sets nothing"), "{text}"),
        RecipeError::Key { key, why, .. } => {
            assert!(text.starts_with(ORIGIN) || text.starts_with("on the command line"), "{text}");
            assert!(!key.is_empty() && !why.is_empty(), "{text}");
            let known = why.split_once("Known here: ").map_or("", |(_, known)| known);
            assert!(known.chars().all(|c| c.is_ascii_lowercase() || "_, ".contains(c)), "{text}");
        }
        RecipeError::Syntax { line, column, .. } => {
            assert!(text.starts_with(&format!("{ORIGIN}:{line}:{column}: ")) && *line > 0 && *column > 0, "{text}");
        }
        RecipeError::Plan { .. } => assert!(text.starts_with(ORIGIN), "{text}"),
    }
    None
}

fn check_plan(plan: &Plan) {
    let json = serde_json::to_vec(plan).expect("a plan is written");
    let value: Value = serde_json::from_slice(&json).expect("a plan is JSON");
    let event = Event::JobCreated { job: 1, seed: 1, refit_of: None, plan: Box::new(plan.clone()) };
    let line = Head::default().append(&Record::new(Time(0), event)).line();
    let entry = Entry::parse(&line).expect("a line of ours is read");
    let kept = match Head::default().follow(&entry).map(|record| record.event) {
        Ok(Event::JobCreated { plan, .. }) => *plan,
        other => panic!("{other:?}"),
    };
    let read = [serde_json::from_slice(&json), serde_json::from_value(value)];
    for same in read.map(|read| read.expect("a plan is read")).into_iter().chain([kept]) {
        assert_eq!(&same, plan);
        assert_eq!(Digest::of(&serde_json::to_vec(&same).expect("a plan is written")), Digest::of(&json));
    }
}
