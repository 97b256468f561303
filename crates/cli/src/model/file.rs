//! A model file on rows, preprocessing included.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, anyhow};
use dure_core::{
    model::{Layout, Params},
    statistics::Metrics,
};
use dure_learn::{
    client::{Rows, Trainer},
    data::{
        self, Format, Site, Source,
        examples::{Inputs, Truth},
        folder::{self, Folder},
        table::{self, DataError, Row, Table, Target, read_bounded},
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
    show::{self, Says},
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

/// What a model is asked about.
struct Asked {
    inputs: Inputs,
    /// What stands over what each is known by.
    heads: Vec<String>,
    /// Of each: where it is, and the fields that it is known by.
    known_by: Vec<(String, Vec<String>)>,
    remarks: Vec<String>,
}

/// What a row is known by: what it is called, and of a row.
type Place<'a> = (&'a str, fn(&Row) -> String);

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
        let model: ModelSpec = read(&shown, "model", told("model"))?;
        let trainer = trainer(&shown, &params, (&schema, model), &preprocessing)?;
        Ok(Self { schema, preprocessing, site, trainer })
    }

    fn rows(&self, path: &Path, target: Target) -> Result<(PathBuf, Table), Fail> {
        let file = if path.is_dir() { data::found(path, &self.site.file) } else { path.to_owned() };
        let table = data::rows(&file, &self.schema, &self.site, target)?;
        Ok((file, table))
    }

    /// The rows of a table, each known by whose it is and its day, and by its line where one of these is absent.
    fn table(&self, path: &Path) -> Result<Asked, Fail> {
        let (file, Table { rows, remarks, .. }) = self.rows(path, Target::Ignored)?;
        let values = rows.iter().flat_map(|row| row.features.iter().copied()).collect();
        let places = self.places();
        let known_by = rows.iter().map(|row| {
            let fields = places.iter().map(|(_, of)| of(row)).collect();
            (format!("{}:{}", file.display(), row.line), fields)
        });
        Ok(Asked {
            inputs: Inputs::Table(self.schema.width(), values),
            heads: places.iter().map(|(name, _)| (*name).to_owned()).collect(),
            known_by: known_by.collect(),
            remarks,
        })
    }

    /// The PNG and JPEG images in a folder, or one, each known by the name of its file.
    fn images(&self, path: &Path) -> Result<Asked, Fail> {
        let shape = self.schema.image.context("the model is given no images")?;
        let Folder { images, files, others, .. } = folder::unlabelled(path, shape).map_err(DataError::from)?;
        let remarks = (others > 0).then(|| format!("{others} files passed over: their names are not those of images"));
        Ok(Asked {
            inputs: Inputs::Images(images.pixels.len() / files.len().max(1), images.pixels.into()),
            heads: vec!["image".into()],
            known_by: files.iter().map(|file| (file.clone(), vec![quoted(file)])).collect(),
            remarks: remarks.into_iter().collect(),
        })
    }

    /// What stands over what is said of a row: the target and its unit, or the class and how probable each is.
    fn heads(&self) -> Vec<String> {
        let target = &self.schema.target;
        if target.classes.is_empty() {
            return vec![format!("{} ({})", target.name, target.unit)];
        }
        std::iter::once(target.name.clone()).chain(target.classes.iter().map(|class| format!("P({class})"))).collect()
    }

    /// By what a row is known: whose it is and its day, and its line where one of these is absent.
    fn places(&self) -> Vec<Place<'_>> {
        let client = if self.site.format == Format::Vitals { "subject_id" } else { &self.site.client };
        let date = &*self.site.date;
        let line = if client.is_empty() || date.is_empty() { "line" } else { "" };
        let all: [Place; 3] = [
            (client, |row| quoted(&row.id)),
            (date, |row| row.date.map_or_else(String::new, |date| date.to_string())),
            (line, |row| row.line.to_string()),
        ];
        all.into_iter().filter(|(name, _)| !name.is_empty()).collect()
    }

    /// What is said of each row, as fields of a line, and whether all of it is finite.
    fn say(&mut self, scaled: &Rows, all: &[u32]) -> Vec<(String, bool)> {
        let classes = &self.schema.target.classes;
        if classes.is_empty() {
            let predictions = self.trainer.predict(scaled, all);
            return predictions.iter().map(|said| (format!("{}", *said as f32), said.is_finite())).collect();
        }
        let probabilities = self.trainer.probabilities(scaled, all);
        let said = |row: &[f32]| {
            let most = (0..row.len()).fold(0, |most, i| if row[i] > row[most] { i } else { most });
            let fields = row.iter().map(f32::to_string);
            let fields: Vec<String> = std::iter::once(quoted(&classes[most])).chain(fields).collect();
            (fields.join(","), row.iter().all(|p| p.is_finite()))
        };
        probabilities.chunks_exact(classes.len()).map(said).collect()
    }

    fn scale(&self, inputs: &Inputs, truth: &Truth) -> Rows {
        Rows::new(inputs, truth, &self.schema, &self.preprocessing)
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
fn trainer(
    file: &str,
    params: &Params,
    (schema, model): (&Schema, ModelSpec),
    preprocessing: &Preprocessing,
) -> Result<Trainer, Fail> {
    let loss = if schema.is_of_classes() { Loss::CrossEntropy { class_weights: None } } else { Loss::Mse {} };
    let optimizer = LocalOptimizer::sgd(1.0);
    let work = Work {
        schema: schema.clone(),
        split: SplitSpec::default(),
        model,
        training: Training { epochs: 1, steps: None, batch_size: BATCH, loss, optimizer, schedule: Schedule::Constant },
        personalise: Personalise::default(),
    };
    work.check().map_err(|error| anyhow!("{file}: {error}"))?;
    let layout = work.layout().map_err(|error| anyhow!("{file}: {error}"))?;
    let named = |layout: &Layout| layout.tensors().map(|(t, _)| (t.name.clone(), t.shape.clone())).collect::<Vec<_>>();
    let (want, got) = (named(&layout), named(params.layout()));
    if got.len() < want.len() && got.iter().all(|tensor| want.contains(tensor)) {
        let missing = want.iter().find(|tensor| !got.contains(tensor)).map_or("", |(name, _)| name);
        return Err(anyhow!("{file}: has the shared layers only; each client keeps its own ({missing}, …)").into());
    }
    if want != got {
        return Err(anyhow!("{file}: its tensors are not those of the model that it names").into());
    }
    let mut trainer = Trainer::new(&work, preprocessing, BATCH, 1);
    trainer.load(params, &[]).map_err(|error| anyhow!("{file}: {error}"))?;
    Ok(trainer)
}

/// By what each row or image is known, with what is said of it. A row that misses a value is left out if the schema says so, and counted.
pub fn predict(args: &ModelArgs, out: Option<&Path>) -> Result<String, Fail> {
    let mut model = Model::read(args)?;
    let asked = if model.schema.image.is_some() { model.images(&args.data)? } else { model.table(&args.data)? };
    let scaled = model.scale(&asked.inputs, &Truth::Numbers(vec![]));
    let all: Vec<u32> = (0..asked.known_by.len() as u32).collect();
    let said = model.say(&scaled, &all);
    let mut csv = asked.heads.into_iter().chain(model.heads()).map(|name| quoted(&name)).collect::<Vec<_>>().join(",");
    csv.push('\n');
    for ((place, fields), (said, finite)) in asked.known_by.iter().zip(said) {
        if !finite {
            return Err(
                anyhow!("{place}: the model says nothing finite of it; its values are far from any it saw").into()
            );
        }
        csv.extend(fields.iter().flat_map(|field| [field, ","]));
        csv.push_str(&(said + "\n"));
    }
    asked.remarks.iter().for_each(|remark| eprintln!("dure: {}: {remark}", args.data.display()));
    match out {
        Some(out) => {
            write_file(out, csv.as_bytes())?;
            Ok(format!("{} predictions written to {}\n", all.len(), out.display()))
        }
        None => Ok(csv),
    }
}

/// A CSV field, quoted where it must be.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

/// Its figures on each client's rows and on all; on those that the data set holds out, if it does.
pub fn evaluate(args: &ModelArgs, json: bool) -> Result<String, Fail> {
    let mut model = Model::read(args)?;
    let data = if model.schema.image.is_some() {
        data::load(&args.data, &model.schema, &model.site)?
    } else {
        let (file, table) = model.rows(&args.data, Target::Needed)?;
        table::group(&file, table, &model.schema, &model.site, Source::File(file.clone()))?
    };
    let mut sums = Vec::new();
    for client in &data.clients {
        let scaled = model.scale(&client.inputs, &client.truth);
        // What a data set holds out is what it is to be judged by.
        let first = if client.held_out > 0 { client.len() - client.held_out } else { 0 };
        let judged: Vec<u32> = (first as u32..client.len() as u32).collect();
        sums.push(model.trainer.evaluate(&scaled, &judged, true));
    }
    let figures = Figures::of(data.clients.iter().map(|client| &client.name).zip(&sums));
    if json {
        return Ok(serde_json::to_string_pretty(&figures)? + "\n");
    }
    let says = Says::of_schema(&model.schema);
    let shown = says.of_test(&model.schema.target.unit);
    let cells = |name: String, metrics: &Metrics| {
        std::iter::once(name).chain(shown.iter().map(|(metric, _)| show::figure(metrics.get(*metric)))).collect()
    };
    let each = data.clients.iter().zip(&sums).map(|(client, sums)| cells(client.name.to_string(), &sums.metrics()));
    let heads: Vec<&str> = std::iter::once("rows of").chain(shown.iter().map(|(_, head)| head.as_str())).collect();
    let table = show::table(&heads, each.chain([cells("all rows".into(), &figures.pooled)]));
    Ok(format!("{}\n\n{table}\n", source::describe(&data)))
}
