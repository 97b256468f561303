//! `dure recipe`

pub mod served;

use dure_core::model::Role;
use dure_learn::{network::build::Line, own::Own, recipe::Recipe, work::Work};

use crate::{
    args::{self, RecipeArgs, RecipeCommand},
    fail::Fail,
    show::{self, bytes},
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
    if args.overrides.is_empty() && !args.smoke {
        return Ok(source::text(&args.recipe)?.1);
    }
    toml::to_string_pretty(&found.recipe).map_err(|error| Fail::Failed(error.into()))
}

fn plan(args: &RecipeArgs) -> Result<String, Fail> {
    Ok(serde_json::to_string_pretty(&source::planned(args)?.1)? + "\n")
}

fn check(args: &RecipeArgs) -> Result<String, Fail> {
    let (found, plan) = source::planned(args)?;
    let (origin, rounds, strategy, parameters) =
        (found.origin, plan.rounds, &plan.strategy.name, plan.layout.parameters());
    let update = bytes((parameters * plan.codec.width() * plan.groups().len()) as u64);
    let statistics: usize =
        plan.layout.tensors().filter(|(tensor, _)| tensor.role == Role::Statistic).map(|(_, range)| range.len()).sum();
    let statistics = if statistics > 0 { format!(" ({statistics} of them running statistics)") } else { String::new() };
    let said = format!("{rounds} rounds of {strategy}, {parameters} parameters{statistics}, about {update} per update");
    let work = found.recipe.work();
    let keeps = Own::of(&work, plan.objective()).map_err(|error| Fail::usage(error.to_string()))?;
    let layers_kept = format!("layers of its own ({})", work.personalise.layers.join(", "));
    let parts = [(keeps.layers, &*layers_kept), (keeps.control, "its direction"), (keeps.personal, "a personal model")];
    let kept: Vec<String> =
        parts.iter().filter(|(floats, _)| *floats > 0).map(|(floats, what)| format!("{floats} of {what}")).collect();
    let kept = if kept.is_empty() {
        String::new()
    } else {
        format!("; each client keeps {}, which never leave it", kept.join(", "))
    };
    Ok(format!("{origin}: holds together\n{said}{kept}\n\n{}\n", layers(&work)?))
}

/// What the model is made of, and what an example costs it forward.
fn layers(work: &Work) -> Result<String, Fail> {
    let body = work.body(work.training.batch_size).map_err(|error| Fail::usage(error.to_string()))?;
    let row = |line: &Line| {
        let parameters = if line.parameters > 0 { line.parameters.to_string() } else { "–".into() };
        let flops = if line.multiply_adds > 0 { (2 * line.multiply_adds).to_string() } else { "–".into() };
        vec![line.layer.clone(), line.name.clone(), line.output.clone(), parameters, flops]
    };
    let table = show::listing(&["layer", "tensors", "output", "parameters", "FLOPs"], body.lines.iter().map(row));
    let flops: u64 = body.lines.iter().map(|line| 2 * line.multiply_adds).sum();
    let memory = bytes(body.floats.saturating_mul(4));
    Ok(format!(
        "{table}\n\ninput {}; {flops} FLOPs an example forward; a thread trains batches of {} in {memory}",
        work.input(),
        work.training.batch_size
    ))
}

fn list(json: bool) -> Result<String, Fail> {
    let recipes = BUILT_IN.iter().map(|(name, text)| Recipe::parse(name, text, &[]));
    let recipes: Vec<Recipe> = recipes.collect::<Result<_, _>>()?;
    if json {
        let row = |r: &Recipe| serde_json::json!({"name": r.name, "title": r.title, "data": r.data});
        return Ok(format!("{:#}\n", recipes.iter().map(row).collect::<serde_json::Value>()));
    }
    Ok(recipes.iter().map(|recipe| format!("{:17} {}\n", recipe.name, recipe.title)).collect())
}
