//! `dure data`

use dure_core::statistics::Moments;
use dure_learn::{client::measure_everybody, data::ClientRows, split::Split};
use dure_sim::clients::split;
use serde_json::json;

use crate::{
    args::{self, DataCommand},
    fail::Fail,
    show,
    source::{self, Found},
};

/// Shows what a data set and its split look like.
pub fn run(args: &args::Data) -> Result<String, Fail> {
    let DataCommand::Describe { recipe, data, json } = &args.command;
    let found = source::recipe(recipe)?;
    found.recipe.plan(&found.origin)?;
    let rows = source::data(&found, data)?;
    let splits = split(&rows, &found.recipe.plan.split, data.seed);
    let splits = splits.map_err(|few| anyhow::anyhow!("a client has fewer rows than the {} needed", few.needed))?;
    let columns = measure_everybody(&rows, &found.recipe.schema);
    if *json {
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
