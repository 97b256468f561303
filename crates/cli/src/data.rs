//! `dure data`

use dure_core::statistics::Moments;
use dure_learn::{client::measure_everybody, data::ClientRows, split::Split};
use dure_sim::clients::split;
use serde_json::json;

use crate::{
    args::{self, DataArgs, DataCommand, Generate, RecipeArgs},
    fail::Fail,
    output::Output,
    show,
    source::{self, Found},
};

/// Looks at data sets, and makes them up.
pub fn run(args: &args::Data) -> Result<String, Fail> {
    match &args.command {
        DataCommand::Describe { recipe, data, json } => describe(recipe, data, *json),
        DataCommand::Generate(args) => generate(args),
    }
}

/// Writes a made-up data set as the file that a site has.
fn generate(args: &Generate) -> Result<String, Fail> {
    let mut found = source::recipe(&args.recipe)?;
    let Some(generator) = &mut found.recipe.generator else {
        return Err(Fail::usage(format!("{}: has no [generator] to make people up by", found.origin)));
    };
    generator.people = args.people.unwrap_or(generator.people);
    found.recipe.plan(&found.origin)?;
    let (csv, rows) = source::made_up(&found, args.seed)?;
    let file = &found.recipe.site.file;
    // It is called as the real one: nobody's data are to be written over by a slip.
    let there = args.out.join(file);
    if there.exists() {
        return Err(Fail::usage(format!("{}: is there already; remove it, or name another folder", there.display())));
    }
    Output::open(&args.out, &[file])?.write(&[(file, csv.as_bytes())])?;
    let (people, days, path) = (rows.clients.len(), rows.rows(), args.out.join(file));
    Ok(format!("{people} made-up people with {days} rows written to {}\n", path.display()))
}

/// Shows what a data set and its split look like.
fn describe(recipe: &RecipeArgs, data: &DataArgs, json: bool) -> Result<String, Fail> {
    let found = source::recipe(recipe)?;
    found.recipe.plan(&found.origin)?;
    let rows = source::data(&found, data)?;
    let splits = split(&rows, &found.recipe.plan.split, data.seed);
    let splits = splits.map_err(|few| anyhow::anyhow!("a client has fewer rows than the {} needed", few.needed))?;
    let columns = measure_everybody(&rows, &found.recipe.schema);
    if json {
        let clients: Vec<_> =
            rows.clients.iter().zip(&splits).map(|(client, split)| client_json(&found, client, split)).collect();
        let told = json!({"source": rows.source.word(), "rows": rows.rows(), "dropped": rows.dropped, "clients": clients, "columns": columns});
        return Ok(format!("{told:#}\n"));
    }
    let header = ["client", "id", "rows", "from", "to", "training", "validation", "test"];
    let clients = show::table(&header, rows.clients.iter().zip(&splits).map(|(c, s)| client_cells(&found, c, s)));
    let unit =
        |name: &String| found.recipe.schema.columns().find(|c| c.name == *name).map_or("", |c| &c.unit).to_owned();
    let column = |(name, m): (&String, &Moments)| {
        vec![name.clone(), unit(name), show::figure(Some(&m.mean)), show::figure(Some(&m.deviation()))]
    };
    let columns = show::table(&["column", "unit", "mean", "sd"], columns.iter().map(column));
    Ok(format!("{}\n\n{clients}\n\n{columns}\n", source::describe(&rows)))
}

/// Whose rows they are, where that may be said.
fn id(found: &Found, client: &ClientRows) -> String {
    if found.recipe.site.public { client.id.clone() } else { "–".into() }
}

fn client_cells(found: &Found, client: &ClientRows, split: &Split) -> Vec<String> {
    let day = |date: Option<&_>| date.map_or_else(String::new, ToString::to_string);
    let dates = &client.dates;
    let mut cells = vec![client.name.to_string(), id(found, client), client.target.len().to_string()];
    cells.extend([day(dates.first()), day(dates.last())]);
    cells.extend([&split.training, &split.validation, &split.test].map(|rows| rows.len().to_string()));
    cells
}

fn client_json(found: &Found, client: &ClientRows, split: &Split) -> serde_json::Value {
    let day = |date: Option<&_>| date.map(ToString::to_string);
    json!({
        "name": client.name, "id": id(found, client), "rows": client.target.len(),
        "from": day(client.dates.first()), "to": day(client.dates.last()),
        "training": split.training.len(), "validation": split.validation.len(), "test": split.test.len(),
    })
}
