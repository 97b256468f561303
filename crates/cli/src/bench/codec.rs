//! `dure bench codec`: what models and updates weigh, how long it takes to write and to read them, and what bf16 does to
//! the figures that recipes come to.
//!
//! f32 and bf16 are the files that travel, checked as a server checks them; zstd is at the level of the network. Digests are
//! left out on both sides. JSON is what takes the place of a tensor file where there is none: nested lists of decimal numbers.

mod nested;

use std::{hint::black_box, time::Instant};

use anyhow::{Context as _, Result, ensure};
use dure_core::{
    codec::Codec,
    digest::Digest,
    model::Params,
    plan::TrainingRows,
    update::{DELTA, Update, Weight},
};
use dure_learn::{
    client::{Client, Given, Trainer, measure_everybody},
    data::DataSet,
    split::Split,
    standardise::Preprocessing,
};
use dure_sim::{clients::Clients, report::Figures, simulate};
use dure_wire::{Expected, LEVEL, compress, decode_update, decompress, encode_model, encode_update};
use serde::{Deserialize, Serialize};

use super::{Measured, median, number, script};
use crate::{
    args::{self, DataArgs, RecipeArgs},
    fail::Fail,
    show,
    source::{self, Found},
};

const SCRIPT: (&str, &str) = ("peer_codec.py", include_str!("peer_codec.py"));

/// How often each is written and read.
const RUNS: usize = 5;

/// What the files say that they are against.
const BASE: Digest = Digest([0; 32]);

/// How tensors are written.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Format {
    Json,
    /// A tensor file, in a zstd frame or not.
    File(Codec, bool),
}

const FORMATS: [(&str, Format); 5] = [
    ("JSON", Format::Json),
    ("f32", Format::File(Codec::F32, false)),
    ("f32 + zstd", Format::File(Codec::F32, true)),
    ("bf16", Format::File(Codec::Bf16, false)),
    ("bf16 + zstd", Format::File(Codec::Bf16, true)),
];

/// Tensors in one format.
#[derive(Debug, Serialize)]
struct Coded {
    recipe: String,
    /// Weights, or the delta of a local epoch.
    values: &'static str,
    format: &'static str,
    ours: Cost,
    /// Bytes relative to those of JSON, and of f32.
    of_json: f64,
    of_f32: f64,
    peer: Option<Cost>,
    /// The peer's figures divided by ours.
    ratio: Option<Cost>,
}

/// What a format takes.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
struct Cost {
    bytes: f64,
    encode_ms: f64,
    decode_ms: f64,
}

impl Cost {
    fn over(self, ours: Self) -> Self {
        let Self { bytes, encode_ms, decode_ms } = ours;
        Self { bytes: self.bytes / bytes, encode_ms: self.encode_ms / encode_ms, decode_ms: self.decode_ms / decode_ms }
    }
}

/// One of the figures that a recipe comes to on its test rows.
#[derive(Debug, Serialize)]
struct Figure {
    recipe: String,
    figure: String,
    f32: f64,
    bf16: f64,
}

/// Sizes and times, then figures.
pub fn run(args: &args::Codec, say: &dyn Fn(String)) -> Result<Measured, Fail> {
    let (mut coded, mut figures, mut lines) = (vec![], vec![], String::new());
    let mut peer = None;
    for recipe in args.models.iter().filter(|recipe| !recipe.is_empty()) {
        say(format!("{recipe}: one local epoch"));
        let found = found(recipe, &[])?;
        let data = data(&found, args)?;
        let (weights, delta, examples) = trained(&found, &data, usize::from(args.examples))?;
        let from = source::describe(&data);
        lines += &format!("{recipe}: weights and delta after one local epoch on {examples} examples of {from}\n");
        for (values, params) in [("weights", weights), ("delta", delta)] {
            say(format!("{recipe}: coding its {values}"));
            let theirs = theirs(args, &params)?;
            coded.extend(rows(recipe, values, &params, theirs.as_ref())?);
            peer = theirs.map(|theirs| theirs.peer).or(peer);
        }
    }
    lines += &peer.as_ref().map_or_else(String::new, |peer| format!("peer: {peer}\n"));
    for recipe in args.recipes.iter().filter(|recipe| !recipe.is_empty()) {
        figures.extend(compared(recipe, args, say)?);
    }
    let mut text = String::new();
    if !coded.is_empty() {
        text += &format!("{}\n{lines}\n", sizes_table(&coded));
    }
    if !figures.is_empty() {
        text += &format!("{}\n", figures_table(&figures));
    }
    Ok(Measured { text, json: serde_json::json!({"sizes": coded, "peer": peer, "figures": figures}) })
}

fn found(recipe: &str, overrides: &[&str]) -> Result<Found, Fail> {
    let overrides = overrides.iter().map(|text| (*text).to_owned()).collect();
    source::recipe(&RecipeArgs { recipe: recipe.into(), overrides, smoke: false })
}

fn data(found: &Found, args: &args::Codec) -> Result<DataSet, Fail> {
    let data = args.data.as_ref().map(|folder| folder.join(&found.recipe.data));
    source::data(found, &DataArgs { data, seed: 0 })
}

/// The first client's weights after an epoch on at most so many examples, what the epoch changed, and how many there were.
fn trained(found: &Found, data: &DataSet, examples: usize) -> Result<(Params, Params, usize), Fail> {
    let (plan, mut work) = (found.recipe.plan(&found.origin)?, found.recipe.work());
    work.training.epochs = 1;
    let rows = data.clients.first().context("the data set has no client")?;
    let preprocessing = Preprocessing::of(&measure_everybody(data, &work.schema));
    let training: Vec<u32> = (0..(rows.len() - rows.held_out).min(examples) as u32).collect();
    let examples = training.len();
    let split = Split { training, ..Split::default() };
    let client = Client::new(rows, split, &work.schema, &preprocessing);
    let mut weights = Params::initial(plan.layout.clone().into(), 0);
    let mut trainer = Trainer::new(&work, &preprocessing, examples, 1);
    let (mut update, _) = trainer.train(Given::model(&weights), &client, TrainingRows::Training, (0, 1))?;
    let delta = update.groups.remove(DELTA).context("an update without a delta")?;
    weights.values_mut().iter_mut().zip(delta.values()).for_each(|(weight, delta)| *weight += delta);
    Ok((weights, delta, examples))
}

/// What the peer's script says.
#[derive(Deserialize)]
struct Theirs {
    peer: String,
    formats: std::collections::BTreeMap<String, Cost>,
}

fn theirs(args: &args::Codec, params: &Params) -> Result<Option<Theirs>> {
    if args.bench.python.is_none() {
        return Ok(None);
    }
    let file = tempfile::NamedTempFile::new()?;
    std::fs::write(&file, encode_model(params, &serde_json::Map::new()))?;
    let path = file.path().to_str().context("the temporary folder's path is not UTF-8")?;
    let told = script(args.bench.python.as_deref(), SCRIPT, &[path])?;
    Ok(told.map(|(told, _)| serde_json::from_value(told)).transpose()?)
}

/// Each format, ours and the peer's.
fn rows(recipe: &str, values: &'static str, params: &Params, theirs: Option<&Theirs>) -> Result<Vec<Coded>> {
    let update = Update::of_delta(params.clone(), Weight::new(1.0)?);
    let costs = FORMATS.iter().map(|(name, format)| Ok((*name, format.cost(&update)?))).collect::<Result<Vec<_>>>()?;
    let bytes = |of: &str| costs.iter().find(|(name, _)| *name == of).map_or(f64::NAN, |(_, cost)| cost.bytes);
    let (json, plain) = (bytes("JSON"), bytes("f32"));
    let row = |(format, ours): &(&'static str, Cost)| {
        let peer = theirs.and_then(|theirs| theirs.formats.get(*format)).copied();
        let (of_json, of_f32) = (ours.bytes / json, ours.bytes / plain);
        let ratio = peer.map(|peer| peer.over(*ours));
        Coded { recipe: recipe.into(), values, format, ours: *ours, of_json, of_f32, peer, ratio }
    };
    Ok(costs.iter().map(row).collect())
}

impl Format {
    /// Medians; also that what is read is what was written, as far as the format has it.
    fn cost(self, update: &Update) -> Result<Cost> {
        let (mut encode, mut decode, mut bytes) = (vec![], vec![], 0);
        for run in 0..RUNS {
            let started = Instant::now();
            let coded = black_box(self.encode(update)?);
            encode.push(started.elapsed().as_secs_f64() * 1e3);
            let started = Instant::now();
            let back = black_box(self.decode(&coded, update)?);
            decode.push(started.elapsed().as_secs_f64() * 1e3);
            bytes = coded.len();
            if run == 0 {
                self.check(update.groups[DELTA].values(), back.values())?;
            }
        }
        Ok(Cost { bytes: bytes as f64, encode_ms: median(&mut encode), decode_ms: median(&mut decode) })
    }

    fn encode(self, update: &Update) -> Result<Vec<u8>> {
        Ok(match self {
            Self::Json => nested::encode(&update.groups[DELTA])?,
            Self::File(codec, false) => encode_update(update, codec, BASE),
            Self::File(codec, true) => compress(&encode_update(update, codec, BASE), LEVEL),
        })
    }

    fn decode(self, bytes: &[u8], update: &Update) -> Result<Params> {
        let layout = update.groups[DELTA].layout();
        let expected = |codec| Expected { layout, groups: &[DELTA], scalars: &[], codec, base: BASE };
        let mut update = match self {
            Self::Json => return Ok(Params::new(layout.clone(), nested::decode(bytes, layout.parameters())?)?),
            Self::File(codec, false) => decode_update(bytes, &expected(codec), None)?,
            Self::File(codec, true) => {
                let expected = expected(codec);
                decode_update(&decompress(bytes, expected.max_bytes())?, &expected, None)?
            }
        };
        update.groups.remove(DELTA).context("an update without a delta")
    }

    fn check(self, values: &[f32], back: &[f32]) -> Result<()> {
        let lossy = matches!(self, Self::File(Codec::Bf16, _));
        let alike = |(value, back): (&f32, &f32)| {
            if lossy { (value - back).abs() <= value.abs() / 256.0 + f32::MIN_POSITIVE } else { value == back }
        };
        let all = values.len() == back.len() && values.iter().zip(back).all(alike);
        ensure!(all, "{self:?} does not give back what was written");
        Ok(())
    }
}

/// The figures on test rows of a recipe that is trained twice, from the same seed.
fn compared(recipe: &str, args: &args::Codec, say: &dyn Fn(String)) -> Result<Vec<Figure>, Fail> {
    let (exact, sent) = came(recipe, "f32", args, say)?;
    let (rounded, sent_less) = came(recipe, "bf16", args, say)?;
    let found = found(recipe, &[])?;
    let of_test = crate::show::Says::of_schema(&found.recipe.schema).of_test(&found.recipe.schema.target.unit);
    let figure = |(metric, figure): (&str, String)| {
        let (f32, bf16) = (*exact.pooled.get(metric)?, *rounded.pooled.get(metric)?);
        Some(Figure { recipe: recipe.into(), figure, f32, bf16 })
    };
    let mut figures: Vec<Figure> = of_test.into_iter().filter_map(figure).collect();
    let what = "sent by clients, without zstd, MB".into();
    figures.push(Figure { recipe: recipe.into(), figure: what, f32: sent / 1e6, bf16: sent_less / 1e6 });
    Ok(figures)
}

/// What a recipe comes to with a codec, and how many bytes its clients send.
fn came(recipe: &str, codec: &str, args: &args::Codec, say: &dyn Fn(String)) -> Result<(Figures, f64), Fail> {
    let found = found(recipe, &[&format!("codec={codec}")])?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut clients = Clients::new(data(&found, args)?, found.recipe.work(), 0, threads)?;
    let run = simulate(found.recipe.plan(&found.origin)?, 0, &mut clients, &mut |progress| {
        say(format!("{recipe} with {codec}: round {} of {}", progress.round, progress.rounds));
    })?;
    let tested = run.tested.as_ref().and_then(|round| Figures::of_test(round).remove("global"));
    let why = || Fail::usage(format!("{recipe}: has no test rows to compare by; name another recipe in --recipes"));
    Ok((tested.ok_or_else(why)?, run.rounds.iter().map(|row| row.bytes_up as f64).sum()))
}

fn sizes_table(coded: &[Coded]) -> comfy_table::Table {
    let heads = ["what", "format", "MB", "of JSON", "of f32", "encode, ms", "decode, ms"];
    let theirs = ["peer's MB", "encode, ms", "decode, ms", "peer ÷ dure: encode", "decode"];
    let has_peer = coded.iter().any(|row| row.peer.is_some());
    let heads: Vec<&str> = heads.into_iter().chain(theirs.into_iter().filter(|_| has_peer)).collect();
    let megabytes = |cost: Cost| format!("{:.2}", cost.bytes / 1e6);
    let cells = coded.iter().map(|row| {
        let percent = |share: f64| format!("{:.1} %", share * 100.0);
        let mut cells = vec![format!("{} {}", row.recipe, row.values), row.format.into(), megabytes(row.ours)];
        cells.extend([percent(row.of_json), percent(row.of_f32)]);
        cells.extend([number(row.ours.encode_ms), number(row.ours.decode_ms)]);
        if let (Some(peer), Some(ratio)) = (row.peer, row.ratio) {
            cells.extend([megabytes(peer), number(peer.encode_ms), number(peer.decode_ms)]);
            cells.extend([format!("{:.1} ×", ratio.encode_ms), format!("{:.1} ×", ratio.decode_ms)]);
        }
        cells
    });
    show::table(&heads, cells)
}

fn figures_table(figures: &[Figure]) -> comfy_table::Table {
    let cells = figures.iter().map(|row| {
        let Figure { recipe, figure, f32, bf16 } = row;
        vec![recipe.clone(), figure.clone(), format!("{f32:.4}"), format!("{bf16:.4}"), format!("{:+.4}", bf16 - f32)]
    });
    show::table(&["recipe, seed 0", "on test rows", "f32", "bf16", "bf16 − f32"], cells)
}
