//! `dure recipe`

use dure_learn::recipe::Recipe;

use crate::{
    args::{self, RecipeArgs, RecipeCommand},
    fail::Fail,
    show::bytes,
    source::{self, BUILT_IN},
};

/// Lists, shows, checks and plans recipes.
pub fn run(args: &args::Recipe) -> Result<String, Fail> {
    match &args.command {
        RecipeCommand::List { json } => list(*json),
        RecipeCommand::Show(args) => show(args),
        RecipeCommand::Check(args) => check(args),
        RecipeCommand::Plan(args) => plan(args),
    }
}

/// As it was written, or, with something laid over it, as it is read.
fn show(args: &RecipeArgs) -> Result<String, Fail> {
    let found = source::recipe(args)?;
    if args.overrides.is_empty() {
        return Ok(source::text(&args.recipe)?.1);
    }
    toml::to_string_pretty(&found.recipe).map_err(|error| Fail::Failed(error.into()))
}

fn plan(args: &RecipeArgs) -> Result<String, Fail> {
    let found = source::recipe(args)?;
    Ok(serde_json::to_string_pretty(&found.recipe.plan(&found.origin)?)? + "\n")
}

fn check(args: &RecipeArgs) -> Result<String, Fail> {
    let found = source::recipe(args)?;
    let plan = found.recipe.plan(&found.origin)?;
    let (origin, rounds, strategy, parameters) =
        (found.origin, plan.rounds, &plan.strategy.name, plan.layout.parameters());
    let bytes = bytes((parameters * plan.codec.width()) as u64);
    Ok(format!(
        "{origin}: holds together\n{rounds} rounds of {strategy}, {parameters} parameters, about {bytes} per update\n"
    ))
}

fn list(json: bool) -> Result<String, Fail> {
    let recipes = BUILT_IN.iter().map(|(name, text)| Recipe::parse(name, text, &[]));
    let recipes: Vec<Recipe> = recipes.collect::<Result<_, _>>()?;
    if json {
        let row = |r: &Recipe| serde_json::json!({"name": r.name, "title": r.title, "data": r.data});
        return Ok(format!("{:#}\n", recipes.iter().map(row).collect::<serde_json::Value>()));
    }
    Ok(recipes.iter().map(|recipe| format!("{:12} {}\n", recipe.name, recipe.title)).collect())
}
