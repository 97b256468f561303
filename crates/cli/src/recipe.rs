//! `dure recipe`

use dure_learn::recipe::Recipe;

use crate::{
    args::{self, RecipeCommand},
    fail::Fail,
    show,
    source::{self, BUILT_IN},
};

/// Lists, shows and checks recipes.
pub fn run(args: &args::Recipe) -> Result<(), Fail> {
    match &args.command {
        RecipeCommand::List { json } => list(*json),
        RecipeCommand::Show(args) => {
            let found = source::recipe(args)?;
            if args.overrides.is_empty() {
                print!("{}", source::text(&args.recipe)?.1);
            } else {
                let text = toml::to_string_pretty(&found.recipe).map_err(|error| Fail::Failed(error.into()))?;
                print!("{text}");
            }
            Ok(())
        }
        RecipeCommand::Check(args) => {
            let found = source::recipe(args)?;
            let plan = found.recipe.plan(&found.origin)?;
            let (rounds, parameters) = (plan.rounds, plan.layout.parameters());
            let bytes = show::bytes((parameters * plan.codec.width()) as u64);
            println!("{}: holds together", found.origin);
            println!("{rounds} rounds of {}, {parameters} parameters, about {bytes} per update", plan.strategy.name);
            Ok(())
        }
    }
}

fn list(json: bool) -> Result<(), Fail> {
    let recipes = BUILT_IN.iter().map(|(name, text)| Recipe::parse(name, text, &[]));
    let recipes: Vec<Recipe> = recipes.collect::<Result<_, _>>()?;
    if json {
        let rows: Vec<_> =
            recipes.iter().map(|r| serde_json::json!({"name": r.name, "title": r.title, "data": r.data})).collect();
        println!("{:#}", serde_json::Value::Array(rows));
    } else {
        recipes.iter().for_each(|recipe| println!("{:12} {}", recipe.name, recipe.title));
    }
    Ok(())
}
