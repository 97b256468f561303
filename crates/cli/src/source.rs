//! Finds recipes and data sets.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dure_core::plan::Plan;
use dure_learn::{
    data::{self, DataSet, Source, table},
    recipe::Recipe,
    world::{Device, device},
};

use crate::{
    args::{DataArgs, RecipeArgs},
    fail::Fail,
};

/// The built-in recipes.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("fitbit", include_str!("../../../recipes/fitbit.toml")),
    ("fitbit-personal", include_str!("../../../recipes/fitbit-personal.toml")),
    ("news", include_str!("../../../recipes/news.toml")),
    ("news-all", include_str!("../../../recipes/news-all.toml")),
    ("mnist-fedavg", include_str!("../../../recipes/mnist-fedavg.toml")),
    ("fmnist", include_str!("../../../recipes/fmnist.toml")),
    ("fedprox", include_str!("../../../recipes/fedprox.toml")),
    ("cifar10-resnet18", include_str!("../../../recipes/cifar10-resnet18.toml")),
    ("cifar10-resnet50", include_str!("../../../recipes/cifar10-resnet50.toml")),
    ("covid-xray", include_str!("../../../recipes/covid-xray.toml")),
];

/// The largest recipe that is read, in bytes.
const MAX_RECIPE_BYTES: u64 = 1 << 20;

/// The largest trace of devices that is read, in bytes.
const MAX_TRACE_BYTES: u64 = 1 << 28;

/// A recipe, and what to call it in messages.
pub struct Found {
    /// The recipe.
    pub recipe: Recipe,
    /// Its file, or its name.
    pub origin: String,
}

/// The recipe that `args` name, with what they lay over it.
pub fn recipe(args: &RecipeArgs) -> Result<Found, Fail> {
    let (origin, text) = text(&args.recipe)?;
    let recipe = Recipe::parse(&origin, &text, &args.overrides)?;
    if !args.smoke {
        return Ok(Found { recipe, origin });
    }
    if recipe.smoke.is_empty() {
        return Err(Fail::usage(format!("{origin}: has no smoke key that says how to make it small")));
    }
    let overrides = [&recipe.smoke[..], &args.overrides].concat();
    Ok(Found { recipe: Recipe::parse(&origin, &text, &overrides)?, origin })
}

/// The same with its plan: what a job is made from, whoever makes it.
pub fn planned(args: &RecipeArgs) -> Result<(Found, Plan), Fail> {
    let found = recipe(args)?;
    let plan = found.recipe.plan(&found.origin)?;
    Ok((found, plan))
}

/// A recipe's text by its name or file.
pub fn text(name: &str) -> Result<(String, String), Fail> {
    if let Some((name, text)) = BUILT_IN.iter().find(|(built_in, _)| *built_in == name) {
        return Ok(((*name).to_owned(), (*text).to_owned()));
    }
    let looks_like_a_file = name.contains(['/', '\\']) || name.ends_with(".toml") || Path::new(name).exists();
    if looks_like_a_file {
        let bytes =
            table::read_bounded(Path::new(name), MAX_RECIPE_BYTES).with_context(|| format!("{name}: cannot be read"));
        let text = String::from_utf8(bytes.map_err(Fail::Usage)?);
        return Ok((name.to_owned(), text.map_err(|_| Fail::usage(format!("{name}: is not UTF-8 text")))?));
    }
    let near =
        BUILT_IN.iter().map(|(built_in, _)| *built_in).find(|built_in| strsim::jaro_winkler(built_in, name) > 0.7);
    let hint = near.map_or_else(String::new, |near| format!("; did you mean {near:?}?"));
    Err(Fail::usage(format!("there is no recipe {name:?}{hint} (`dure recipe list` shows those that are built in)")))
}

/// Whether a recipe of this name is built in.
pub fn is_built_in(name: &str) -> bool {
    BUILT_IN.iter().any(|(built_in, _)| *built_in == name)
}

/// The rows that a recipe is to be used on: `--data`, else `$DURE_DATA/<data set>`, else made-up ones.
pub fn data(found: &Found, args: &DataArgs) -> Result<DataSet, Fail> {
    let Recipe { schema, site, data: name, .. } = &found.recipe;
    let shared = std::env::var_os("DURE_DATA").filter(|folder| !folder.is_empty());
    let Some(folder) = args.data.clone().or_else(|| shared.map(|folder| PathBuf::from(folder).join(name))) else {
        return Ok(made_up(found, args.seed)?.1);
    };
    let data = data::load(&folder, schema, site)?;
    table::check_rows(&data, &found.recipe.plan.split)?;
    Ok(data)
}

/// The same for a simulation, whose world may have more clients than there are.
pub fn simulated(found: &Found, args: &DataArgs) -> Result<DataSet, Fail> {
    let data = data(found, args)?;
    let Recipe { world, site, .. } = &found.recipe;
    match world.population {
        Some(count) => Ok(data.populated(&site.prefix, count as usize).map_err(anyhow::Error::new)?),
        None => Ok(data),
    }
}

/// The devices of the world's trace, if it has one.
pub fn trace(found: &Found) -> Result<Vec<Device>, Fail> {
    let name = &found.recipe.world.trace;
    if name.is_empty() {
        return Ok(vec![]);
    }
    let file = Path::new(name);
    let text = table::read_bounded(file, MAX_TRACE_BYTES).with_context(|| format!("{name}: cannot be read"))?;
    Ok(device::parse(file, &text).map_err(anyhow::Error::new)?)
}

/// Rows by the recipe's own generator; of a table, the file that they stand in comes with them.
pub fn made_up(found: &Found, seed: u64) -> Result<(Option<String>, DataSet), Fail> {
    let Found { recipe: Recipe { schema, site, plan, generator, .. }, origin } = found;
    let Some(generator) = generator else {
        return Err(Fail::usage(format!("{origin}: has no [generator]; name the folder of its data set with --data")));
    };
    let (text, data) = data::made_up(*generator, schema, site, seed)?;
    table::check_rows(&data, &plan.split)?;
    Ok((text, data))
}

/// A line on where rows are from and how many there are.
pub fn describe(data: &DataSet) -> String {
    let from = match &data.source {
        Source::File(file) => file.display().to_string(),
        Source::Generated => "made up".into(),
    };
    let (clients, rows, dropped) = (data.clients.len(), data.rows(), data.dropped);
    format!("{clients} clients, {rows} examples, {dropped} dropped ({from})")
}
