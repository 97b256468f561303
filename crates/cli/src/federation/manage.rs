//! Federations of a server: made, listed, shown.

use dure_wire::api::{ClientState, FederationSpec, FederationView};
use serde_json::{Map, Value};

use crate::{
    args::{Create, RecipeArgs, RemoteArgs, ServerArgs},
    fail::Fail,
    remote::{Remote, checked},
    show::{self, or_dash},
    source::{self, BUILT_IN},
    words::{count, plain, span, word},
};

/// Makes a federation whose sites are held to a recipe.
pub fn create(args: &Create) -> Result<String, Fail> {
    let name = checked("federation", args.name.clone())?;
    let recipe = recipe(args)?.map(|recipe| meaning(&recipe)).transpose()?;
    let (recipe, schema) = recipe.unzip();
    let remote = Remote::open(&args.server)?;
    let (new, view): (bool, FederationView) =
        remote.post("federations", Some(&FederationSpec { name, recipe, schema }))?;
    if args.json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let made = if new { "made" } else { "was there already" };
    let held = view.recipe.as_ref().map_or_else(String::new, |recipe| format!(" for recipe {}", plain(recipe)));
    Ok(format!("federation {}{held}: {made}\n", view.name))
}

/// The recipe that is meant, if one is.
fn recipe(args: &Create) -> Result<Option<String>, Fail> {
    let built_in = BUILT_IN.iter().any(|(name, _)| *name == args.name);
    match &args.recipe {
        _ if args.no_recipe => Ok(None),
        Some(recipe) => Ok(Some(recipe.clone())),
        None if built_in => Ok(Some(args.name.clone())),
        None => Err(Fail::usage(format!(
            "no built-in recipe is called {:?}: name the federation's recipe with --recipe, or say --no-recipe",
            args.name
        ))),
    }
}

/// A recipe's name, and what it says rows mean.
fn meaning(recipe: &str) -> Result<(String, Map<String, Value>), Fail> {
    let found = source::recipe(&RecipeArgs { recipe: recipe.into(), overrides: vec![], smoke: false })?;
    found.recipe.plan(&found.origin)?;
    let Value::Object(schema) = serde_json::to_value(&found.recipe.schema)? else {
        unreachable!("a struct is an object")
    };
    Ok((found.recipe.name, schema))
}

/// The federations of a server.
pub fn list(args: &ServerArgs, json: bool) -> Result<String, Fail> {
    let views: Vec<FederationView> = Remote::open(args)?.get("federations")?;
    if json {
        return Ok(serde_json::to_string_pretty(&views)? + "\n");
    }
    if views.is_empty() {
        return Ok("no federation yet; `dure federation create NAME` makes one\n".into());
    }
    let header = ["federation", "recipe", "clients", "jobs", "active", "models", "events"];
    let row = |view: &FederationView| {
        let recipe = or_dash(view.recipe.as_deref().map(plain));
        let mut cells = vec![plain(&view.name), recipe, members(view).to_string(), view.jobs.to_string()];
        cells.extend([or_dash(view.active_job), view.versions.to_string(), view.journal.sequence.to_string()]);
        cells
    };
    Ok(format!("{}\n", show::table(&header, views.iter().map(row))))
}

/// How many clients take part.
fn members(view: &FederationView) -> usize {
    let gone = |state: &ClientState| matches!(state, ClientState::Lost | ClientState::Left | ClientState::Evicted);
    view.clients.iter().filter(|(state, _)| !gone(state)).map(|(_, count)| count).sum()
}

/// A federation.
pub fn show(args: &RemoteArgs, json: bool) -> Result<String, Fail> {
    let (_, view) = Remote::federation(args)?;
    if json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let states: Vec<_> = view.clients.iter().map(|(state, count)| format!("{count} {}", word(state))).collect();
    let nobody = "none yet; `dure invite` lets them join".to_owned();
    let active = view.active_job.map_or_else(String::new, |job| format!(", job {job} is active"));
    Ok(show::lines(&[
        ("name", Some(plain(&view.name))),
        ("recipe", view.recipe.as_deref().map(plain)),
        ("clients", Some(states.join(", ")).filter(|states| !states.is_empty()).or(Some(nobody))),
        ("lease", Some(format!("{} for a client that is not heard of", span(view.lease_s)))),
        ("jobs", Some(format!("{}{active}", view.jobs))),
        ("models", Some(count(view.versions as usize, "version"))),
        ("journal", Some(format!("{} events, head {}", view.journal.sequence, view.journal.hash))),
    ]))
}
