//! `dure data`

use std::{collections::BTreeMap, path::Path};

use dure_core::statistics::{Moments, Statistics};
use dure_learn::{
    client::measure_everybody,
    data::{ClientRows, DataSet, Generator, examples::Inputs, gzip},
    partition::{
        Partition, Parts,
        picture::{Captions, svg},
        table::{Row as PartRow, Summary, summarise},
    },
    schema::{Column, Schema},
    split::Split,
};
use dure_sim::clients::split;
use serde_json::json;

use crate::{
    args::{self, DataArgs, DataCommand, Generate, RecipeArgs},
    fail::Fail,
    output::{Output, write_file},
    show,
    source::{self, Found},
};

/// Looks at data sets, and makes them up.
pub fn run(args: &args::Data) -> Result<String, Fail> {
    match &args.command {
        DataCommand::Describe { recipe, data, json } => describe(recipe, data, *json),
        DataCommand::Partition { recipe, data, out, json } => partition(recipe, data, out.as_deref(), *json),
        DataCommand::Generate(args) => generate(args),
    }
}

/// Writes a made-up data set as the file that a site has.
fn generate(args: &Generate) -> Result<String, Fail> {
    let mut found = source::recipe(&args.recipe)?;
    match &mut found.recipe.generator {
        Some(Generator::Activity(made)) => made.people = args.people.unwrap_or(made.people),
        Some(Generator::Patients(made)) => made.patients = args.people.unwrap_or(made.patients),
        Some(Generator::Glyphs { .. }) => {
            let why = "its generator draws images, which are made up in memory where there is no data; no file of them is written";
            return Err(Fail::usage(format!("{}: {why}", found.origin)));
        }
        None => return Err(Fail::usage(format!("{}: has no [generator] to make people up by", found.origin))),
    }
    found.recipe.plan(&found.origin)?;
    // The file has everybody; who takes part is the reader's to say.
    found.recipe.site.partition = Partition::Natural { largest: None };
    let (csv, rows) = source::made_up(&found, args.seed)?;
    let csv = csv.unwrap_or_default();
    let file = &found.recipe.site.file;
    // It is called as the real one: nobody's data are to be written over by a slip.
    let there = args.out.join(file);
    if there.exists() {
        return Err(Fail::usage(format!("{}: is there already; remove it, or name another folder", there.display())));
    }
    let bytes = if file.ends_with(".gz") { gzip::pack(csv.as_bytes()) } else { csv.clone().into_bytes() };
    Output::open(&args.out, &[file])?.write(&[(file, &bytes)])?;
    let (people, lines, path) = (rows.clients.len(), csv.lines().count().saturating_sub(1), args.out.join(file));
    Ok(format!("{people} made-up people with {lines} rows written to {}\n", path.display()))
}

/// Shows what a data set and its split look like.
fn describe(recipe: &RecipeArgs, data: &DataArgs, json: bool) -> Result<String, Fail> {
    let found = source::recipe(recipe)?;
    found.recipe.plan(&found.origin)?;
    let rows = source::data(&found, data)?;
    let splits = split(&rows, &found.recipe.plan.split, data.seed);
    let splits = splits.map_err(|few| anyhow::anyhow!("a client has fewer rows than the {} needed", few.needed))?;
    let schema = &found.recipe.schema;
    let (columns, categories) = (measure_everybody(&rows, schema), categories(&rows, schema));
    if json {
        let clients: Vec<_> =
            rows.clients.iter().zip(&splits).map(|(client, split)| client_json(&found, client, split)).collect();
        let told = json!({
            "source": rows.source.word(), "rows": rows.rows(), "dropped": rows.dropped, "remarks": rows.remarks,
            "clients": clients, "columns": columns, "categories": categories,
        });
        return Ok(format!("{told:#}\n"));
    }
    let days = rows.clients.iter().any(|client| !client.dates.is_empty());
    let header = ["client", "id", "rows", "from", "to", "training", "validation", "test"];
    let shown = |i: &usize| days || !["from", "to"].contains(&header[*i]);
    let only = |cells: Vec<String>| (0..cells.len()).filter(shown).map(|i| cells[i].clone()).collect();
    let header: Vec<&str> = (0..header.len()).filter(shown).map(|i| header[i]).collect();
    let cells = rows.clients.iter().zip(&splits).map(|(client, split)| only(client_cells(&found, client, split)));
    let clients = show::table(&header, cells);
    let remarks: String = rows.remarks.iter().map(|remark| format!("\n{remark}")).collect();
    Ok(format!(
        "{}{remarks}\n\n{clients}\n\n{}\n",
        source::describe(&rows),
        columns_table(&rows, schema, &columns, &categories)
    ))
}

/// How many rows have each category, by feature and category.
type Categories<'a> = BTreeMap<&'a str, BTreeMap<&'a str, usize>>;

fn categories<'a>(data: &DataSet, schema: &'a Schema) -> Categories<'a> {
    let of_categories = schema.placed().filter(|(_, column)| !column.is_number());
    let count = |at: usize| -> usize {
        let of = |client: &ClientRows| match &client.inputs {
            Inputs::Table(width, values) => values.chunks_exact(*width).filter(|row| row[at] > 0.0).count(),
            Inputs::Images(..) => 0,
        };
        data.clients.iter().map(of).sum()
    };
    let counts = |at, column: &'a Column| {
        column.categories.iter().zip(at..).map(|(category, at)| (category.as_str(), count(at))).collect()
    };
    of_categories.map(|(at, column)| (column.name.as_str(), counts(at, column))).collect()
}

/// What stands in the columns, in the order of the schema. What is missing is told where something is.
fn columns_table(data: &DataSet, schema: &Schema, columns: &Statistics, categories: &Categories) -> String {
    let missing = |known: usize| if known < data.rows() { (data.rows() - known).to_string() } else { String::new() };
    let number = |name: &str, unit: &str, known: Option<usize>| {
        let moments = columns.get(name).filter(|moments| moments.n > 0);
        let figures = [moments.map(|m| m.mean), moments.map(Moments::deviation)].map(|f| show::figure(f.as_ref()));
        let known = known.or(moments.map(|moments| moments.n as usize)).unwrap_or(0);
        [vec![name.into(), unit.into()], figures.into(), vec![missing(known)]].concat()
    };
    let mut cells: Vec<Vec<String>> =
        schema.channels().iter().map(|channel| number(channel, "", Some(data.rows()))).collect();
    for Column { name, unit, categories: ordered } in &schema.features {
        let Some(counts) = categories.get(name.as_str()) else {
            cells.push(number(name, unit, None));
            continue;
        };
        let known: usize = counts.values().sum();
        cells.extend(ordered.iter().map(|category| {
            let share = counts.get(category.as_str()).map(|n| *n as f64 / known.max(1) as f64);
            vec![
                format!("{name}={category}"),
                "share".into(),
                show::figure(share.as_ref()),
                String::new(),
                missing(known),
            ]
        }));
    }
    if !schema.is_of_classes() {
        cells.push(number(&schema.target.name, &schema.target.unit, None));
    }
    let width = if cells.iter().any(|row| !row[4].is_empty()) { 5 } else { 4 };
    let heads = ["column", "unit", "mean", "sd", "missing"];
    show::table(&heads[..width], cells.into_iter().map(|row| row[..width].to_vec())).to_string()
}

/// Shows who has which examples.
fn partition(recipe: &RecipeArgs, data: &DataArgs, out: Option<&Path>, json: bool) -> Result<String, Fail> {
    let found = source::recipe(recipe)?;
    found.recipe.plan(&found.origin)?;
    let rows = source::data(&found, data)?;
    let summary = summary(&rows);
    let (classes, names) = (&found.recipe.schema.target.classes, names(&rows));
    if let Some(out) = out {
        let title = format!("{}: who has which examples", found.recipe.name);
        let picture = svg(&summary, Captions { title: &title, clients: &names, labels: classes });
        write_file(out, picture.as_bytes())?;
    }
    if json {
        let mut told = serde_json::to_value(&summary)?;
        told["names"] = json!(names);
        told["classes"] = json!(classes);
        return Ok(format!("{told:#}\n"));
    }
    let cells = |name: &str, row: &PartRow| {
        let labels = row.labels.iter().map(usize::to_string);
        [name.to_owned(), row.examples.to_string()].into_iter().chain(labels).collect()
    };
    let heads: Vec<&str> = ["client", "examples"].into_iter().chain(classes.iter().map(String::as_str)).collect();
    let each = names.iter().zip(&summary.clients).map(|(name, row)| cells(name, row));
    let table = show::table(&heads, each.chain([cells("all", &summary.total)]));
    let distance = summary.label_distance.map_or_else(String::new, |distance| {
        format!("; labels are {distance:.3} off everybody's mixture, in total variation, over clients")
    });
    let counts = match (summary.smallest, summary.largest) {
        (smallest, largest) if smallest == largest => format!("{smallest} examples each"),
        (smallest, largest) => format!("from {smallest} to {largest} examples"),
    };
    let drawn = out.map_or_else(String::new, |out| format!("\ndrawn  {}\n", out.display()));
    Ok(format!("{}\n\n{table}\n\n{counts}{distance}\n{drawn}", source::describe(&rows)))
}

/// Everybody's examples and labels, those that are held out too.
pub fn summary(data: &DataSet) -> Summary {
    let mut end = 0;
    let part = |client: &ClientRows| {
        let start = end;
        end += client.len() as u32;
        (start..end).collect()
    };
    let parts = Parts { clients: data.clients.iter().map(part).collect(), left_out: 0 };
    let labels: Option<Vec<&[u16]>> = data.clients.iter().map(|client| client.truth.classes()).collect();
    let labels = labels.map(|labels| labels.concat());
    summarise(&parts, labels.as_deref())
}

/// Everybody's names.
pub fn names(data: &DataSet) -> Vec<String> {
    data.clients.iter().map(|client| client.name.to_string()).collect()
}

/// Whose rows they are, where that may be said.
fn id(found: &Found, client: &ClientRows) -> String {
    if found.recipe.site.public { client.id.clone() } else { "–".into() }
}

fn client_cells(found: &Found, client: &ClientRows, split: &Split) -> Vec<String> {
    let day = |date: Option<&_>| date.map_or_else(String::new, ToString::to_string);
    let dates = &client.dates;
    let mut cells = vec![client.name.to_string(), id(found, client), client.len().to_string()];
    cells.extend([day(dates.first()), day(dates.last())]);
    cells.extend([&split.training, &split.validation, &split.test].map(|rows| rows.len().to_string()));
    cells
}

fn client_json(found: &Found, client: &ClientRows, split: &Split) -> serde_json::Value {
    let day = |date: Option<&_>| date.map(ToString::to_string);
    json!({
        "name": client.name, "id": id(found, client), "rows": client.len(),
        "from": day(client.dates.first()), "to": day(client.dates.last()),
        "training": split.training.len(), "validation": split.validation.len(), "test": split.test.len(),
    })
}
