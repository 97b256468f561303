//! A model file on rows, preprocessing included.

use std::path::Path;

use anyhow::{Context as _, anyhow};
use dure_core::{model::Params, statistics::regression};
use dure_learn::{
    client::{Rows, Trainer},
    data::{
        Site, Source,
        table::{self, Row, Target, read_bounded},
    },
    local_optimizer::{LocalOptimizer, Schedule},
    loss::Loss,
    recipe::Recipe,
    schema::Schema,
    split::SplitSpec,
    standardise::Preprocessing,
    work::{ModelSpec, Personalise, Training, Work},
};
use dure_sim::report::Figures;
use dure_wire::decode_model;
use serde::de::DeserializeOwned;

use crate::{
    args::ModelArgs,
    fail::Fail,
    output::write_file,
    show::{self, METRICS},
    source::{self, BUILT_IN},
};

/// The largest model file that is read, in bytes.
const MAX_BYTES: u64 = 16 << 30;

/// How many rows are predicted at a time.
const BATCH: usize = 256;

/// A model file that can be used.
struct Model {
    schema: Schema,
    preprocessing: Preprocessing,
    site: Site,
    trainer: Trainer,
}

impl Model {
    fn read(args: &ModelArgs) -> Result<Self, Fail> {
        let shown = args.model.display().to_string();
        let bytes = read_bounded(&args.model, MAX_BYTES).with_context(|| format!("{shown}: cannot be read"))?;
        let (params, mut about) = decode_model(&bytes, None, bytes.len(), None).with_context(|| shown.clone())?;
        let mut told = |key| about.remove(key).unwrap_or_default();
        let recipe: String = read(&shown, "recipe", told("recipe"))?;
        let schema: Schema = read(&shown, "schema", told("schema"))?;
        let preprocessing: Preprocessing = read(&shown, "preprocessing", told("preprocessing"))?;
        if !preprocessing.fits(&schema) {
            return Err(anyhow!("{shown}: its preprocessing does not fit its schema").into());
        }
        let site = site(args.recipe.as_deref(), &recipe)?;
        let trainer = trainer(&shown, &params, &schema, &preprocessing)?;
        Ok(Self { schema, preprocessing, site, trainer })
    }

    fn rows(&self, path: &Path, target: Target) -> Result<(std::path::PathBuf, Vec<Row>), Fail> {
        let file = if path.is_dir() { path.join(&self.site.file) } else { path.to_owned() };
        let bytes = read_bounded(&file, table::MAX_BYTES)
            .map_err(|why| table::DataError::Unreadable { file: file.clone(), why })?;
        let rows = table::parse(&file, &bytes, &self.schema, &self.site, target)?;
        Ok((file, rows))
    }

    fn scale(&self, features: &[f64], target: &[f64]) -> Rows {
        Rows::new(features, target, &self.schema, &self.preprocessing)
    }
}

/// Where rows are and what their columns are called: as a recipe says that was typed, or the built-in one that the file
/// names. A file never says what else is read.
fn site(typed: Option<&str>, named: &str) -> Result<Site, Fail> {
    let built_in = BUILT_IN.iter().any(|(name, _)| *name == named);
    match typed.or(built_in.then_some(named)) {
        Some(name) => {
            let (origin, text) = source::text(name)?;
            Ok(Recipe::parse(&origin, &text, &[])?.site)
        }
        None => {
            Err(Fail::usage(format!("the model was trained by a recipe called {named:?}; name its file with --recipe")))
        }
    }
}

fn read<T: DeserializeOwned>(file: &str, key: &str, value: serde_json::Value) -> Result<T, Fail> {
    Ok(T::deserialize(value)
        .with_context(|| format!("{file}: its {key} cannot be read; is it a model that Dure wrote?"))?)
}

/// A trainer that has loaded the model, to predict with.
fn trainer(file: &str, params: &Params, schema: &Schema, preprocessing: &Preprocessing) -> Result<Trainer, Fail> {
    let mlp = ModelSpec::mlp_of(params.layout())
        .filter(|(inputs, _, outputs)| (*inputs, *outputs) == (schema.features.len(), 1));
    let (_, model, _) = mlp.ok_or_else(|| anyhow!("{file}: its tensors are not those of an MLP for its schema"))?;
    let (loss, optimizer) = (Loss::Mse {}, LocalOptimizer::sgd(1.0));
    let work = Work {
        schema: schema.clone(),
        split: SplitSpec { test: 0.0, validation: 0.0 },
        model,
        training: Training { epochs: 1, batch_size: BATCH, loss, optimizer, schedule: Schedule::Constant },
        personalise: Personalise { epochs: 0 },
    };
    work.check().map_err(|error| anyhow!("{file}: {error}"))?;
    let mut trainer = Trainer::new(&work, preprocessing, BATCH);
    trainer.load(params).map_err(|error| anyhow!("{file}: {error}"))?;
    Ok(trainer)
}

/// The file's clients and days with a prediction for each row.
pub fn predict(args: &ModelArgs, out: Option<&Path>) -> Result<String, Fail> {
    let mut model = Model::read(args)?;
    let (file, rows) = model.rows(&args.data, Target::Ignored)?;
    let features: Vec<f64> = rows.iter().flat_map(|row| row.features.iter().copied()).collect();
    let scaled = model.scale(&features, &[]);
    let all: Vec<u32> = (0..rows.len() as u32).collect();
    let predictions = model.trainer.predict(&scaled, &all);
    let target = &model.schema.target;
    let header = [model.site.client.clone(), model.site.date.clone(), format!("{} ({})", target.name, target.unit)];
    let mut csv = header.map(|name| quoted(&name)).join(",") + "\n";
    for (row, prediction) in rows.iter().zip(predictions) {
        if !prediction.is_finite() {
            let (file, line) = (file.display(), row.line);
            return Err(anyhow!(
                "{file}:{line}: the model says nothing finite of this row; its values are far from any it saw"
            )
            .into());
        }
        csv.push_str(&format!("{},{},{}\n", quoted(&row.id), row.date, prediction as f32));
    }
    match out {
        Some(out) => {
            write_file(out, csv.as_bytes())?;
            Ok(format!("{} predictions written to {}\n", rows.len(), out.display()))
        }
        None => Ok(csv),
    }
}

/// A CSV field, quoted where it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

/// Its figures on each client's rows and on all.
pub fn evaluate(args: &ModelArgs, json: bool) -> Result<String, Fail> {
    let mut model = Model::read(args)?;
    let (file, rows) = model.rows(&args.data, Target::Needed)?;
    let data = table::group(&file, rows, &model.schema, &model.site, Source::File(file.clone()))?;
    let mut sums = Vec::new();
    for client in &data.clients {
        let scaled = model.scale(&client.features, &client.target);
        let all: Vec<u32> = (0..client.target.len() as u32).collect();
        sums.push(model.trainer.evaluate(&scaled, &all));
    }
    let figures = Figures::of(data.clients.iter().map(|client| &client.name).zip(&sums));
    if json {
        return Ok(serde_json::to_string_pretty(&figures)? + "\n");
    }
    let pooled = std::iter::once("all rows".to_owned())
        .chain(METRICS.iter().map(|m| show::figure(figures.pooled.get(*m))))
        .collect();
    let each = data.clients.iter().zip(&sums).map(|(client, sums)| {
        let metrics = regression::metrics(sums);
        let cells = METRICS.iter().map(|metric| show::figure(metrics.get(*metric)));
        std::iter::once(client.name.to_string()).chain(cells).collect()
    });
    let unit = &model.schema.target.unit;
    let (mae, rmse) = (format!("MAE, {unit}"), format!("RMSE, {unit}"));
    let table = show::table(&["rows of", &mae, &rmse, "R²", "r"], each.chain([pooled]));
    Ok(format!("{}\n\n{table}\n", source::describe(&data)))
}
