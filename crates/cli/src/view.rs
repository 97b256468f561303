//! `dure view`: the dashboard over journals of what was.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    fs::File,
    io::{BufRead as _, BufReader},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use anyhow::{Context as _, Result, anyhow, ensure};
use dure_core::{
    digest::Digest,
    journal::{Entry, Head},
    name::ClientName,
};
use dure_server::{
    Config, Server,
    config::{CONNECTIONS, PARAMETERS},
    recipes::NoRecipes,
    store::Store,
};
use serde_json::value::RawValue;

use crate::{args::View, browser, fail::Fail, output, page, process, show};

/// What a simulation's folder has of what is shown.
const JOURNAL: &str = "journal.jsonl";
const REPORT: &str = "result.json";
const MODEL: &str = "model.safetensors";

/// How many entries are stored at a time.
const BATCH: usize = 1000;

/// Serves the page until it is told to stop.
pub fn run(args: &View) -> Result<String, Fail> {
    process::close_files();
    let shown = named(args.paths.iter().map(|path| found(path)).collect::<Result<Vec<_>, _>>()?.concat());
    let folder = tempfile::tempdir().context("a temporary folder")?;
    process::runtime(true)?.block_on(async {
        let until = process::stopped(false)?;
        let reports = take_up(&folder.path().join("data"), &shown).await?;
        let server = Server::open(config(args, folder.path().join("data"), reports)).await?;
        let token = server.new_token.as_deref().unwrap_or_default();
        let link = browser::link(&format!("http://{}", server.address), &screen(shown.keys()), token);
        output::print(&format!("shown on {link}\n"))?;
        if !args.no_browser && browser::is_there() {
            // Whoever gets no browser has the link.
            drop(browser::open(&link));
        }
        server.run(until).await?;
        Ok(String::new())
    })
}

fn config(args: &View, data_dir: PathBuf, reports: BTreeMap<String, String>) -> Config {
    Config {
        data_dir,
        listen: args.listen,
        tls: None,
        insecure_http: false,
        lease: std::time::Duration::from_secs(60),
        max_parameters: PARAMETERS,
        max_connections: CONNECTIONS,
        page: page::built(),
        recipes: &NoRecipes,
        reports: Some(reports),
        demo: None,
    }
}

/// The journals that a path names, each with what it is called: a file, that of a folder, or those of the folders in it, however
/// deep they lie (a sweep has a folder for each value, and in it one for each seed).
fn found(path: &Path) -> Result<Vec<(String, PathBuf)>, Fail> {
    let shown = path.display();
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let called = |path: Option<&OsStr>| path.unwrap_or_default().to_string_lossy().into_owned();
    if path.is_file() {
        let usual = whole.file_name().is_some_and(|name| name == JOURNAL);
        let name = if usual { called(whole.parent().and_then(Path::file_name)) } else { called(whole.file_stem()) };
        return Ok(vec![(name, path.to_owned())]);
    }
    let own = path.join(JOURNAL);
    if own.is_file() {
        return Ok(vec![(called(whole.file_name()), own)]);
    }
    let folders = within(path).with_context(|| format!("{shown}")).map_err(Fail::Usage)?;
    let below: Result<Vec<_>, Fail> =
        folders.iter().map(|folder| nested(folder, &called(folder.file_name()))).collect();
    match below?.concat() {
        none if none.is_empty() => Err(Fail::usage(format!(
            "{shown}: neither it nor a folder in it has a {JOURNAL}; `dure simulate RECIPE --out {shown}` writes one"
        ))),
        journals => Ok(journals),
    }
}

/// The journals of a folder and of the folders in it, called by the way there.
fn nested(folder: &Path, name: &str) -> Result<Vec<(String, PathBuf)>, Fail> {
    let own = folder.join(JOURNAL);
    if own.is_file() {
        return Ok(vec![(name.to_owned(), own)]);
    }
    let folders = within(folder).with_context(|| format!("{}", folder.display()))?;
    let deeper =
        |inner: &PathBuf| nested(inner, &format!("{name}-{}", inner.file_name().unwrap_or_default().display()));
    Ok(folders.iter().map(deeper).collect::<Result<Vec<_>, _>>()?.concat())
}

/// The folders in a folder, in the order of their names. A link is none: it may lead back.
fn within(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder)?.flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<_> = folders.map(|entry| entry.path()).collect();
    folders.sort();
    Ok(folders)
}

/// Journals by names that federations may have.
fn named(journals: Vec<(String, PathBuf)>) -> BTreeMap<String, PathBuf> {
    let mut named = BTreeMap::new();
    for (called, journal) in journals {
        let name = federation_name(&called);
        let names = (2..).map(|i| format!("{name}-{i}"));
        let free = std::iter::once(name.clone()).chain(names).find(|name| !named.contains_key(name));
        named.insert(free.unwrap_or(name), journal);
    }
    named
}

/// The name that a federation may have which is nearest to a text.
fn federation_name(text: &str) -> String {
    let spell = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c.to_ascii_lowercase() } else { '-' };
    let name: String = text.chars().map(spell).skip_while(|c| !c.is_ascii_alphanumeric()).take(60).collect();
    if ClientName::new(name.as_str()).is_ok() { name } else { "journal".into() }
}

/// Stores every journal, and what is there of its last model; returns the reports that lie beside them.
async fn take_up(data_dir: &Path, shown: &BTreeMap<String, PathBuf>) -> Result<BTreeMap<String, String>> {
    let store = Store::open(data_dir).await?;
    let line = show::live();
    let mut reports = BTreeMap::new();
    for (name, journal) in shown {
        line.iter().for_each(|line| line.set_message(format!("reading {}", journal.display())));
        keep(&store, name, journal).await?;
        if journal.file_name().is_none_or(|name| name != JOURNAL) {
            continue;
        }
        if let Ok(model) = std::fs::read(journal.with_file_name(MODEL)) {
            store.blobs().put_model(Digest::of(&model), model.into()).await?;
        }
        let report = std::fs::read_to_string(journal.with_file_name(REPORT)).ok();
        let report = report.filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
        reports.extend(report.map(|report| (name.clone(), report)));
    }
    line.iter().for_each(indicatif::ProgressBar::finish_and_clear);
    store.close().await;
    Ok(reports)
}

/// Stores a journal. The chain is verified on the way.
async fn keep(store: &Store, name: &str, journal: &Path) -> Result<()> {
    let path = journal.display();
    let file = File::open(journal).with_context(|| format!("{path}"))?;
    let written = file.metadata().and_then(|found| found.modified()).unwrap_or(UNIX_EPOCH);
    let wall_ms = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64;
    let (mut head, mut batch) = (Head::default(), Vec::with_capacity(BATCH));
    for line in BufReader::new(file).lines() {
        let number = head.sequence + 1;
        let line = line.with_context(|| format!("{path}:{number}"))?;
        let entry = Entry::parse(&line).map_err(|why| anyhow!("{path}:{number}: no line of a journal: {why}"))?;
        head.follow(&entry).with_context(|| format!("{path}"))?;
        batch.push(entry);
        if batch.len() == BATCH {
            store.append(name, &std::mem::take(&mut batch), wall_ms, &[]).await?;
        }
    }
    ensure!(head.sequence > 0, "{path}: it is empty");
    store.append(name, &batch, wall_ms, &[]).await?;
    Ok(())
}

/// The first screen: one federation's, or all beside each other.
fn screen<'a>(names: impl ExactSizeIterator<Item = &'a String>) -> String {
    let alone = names.len() == 1;
    let named: Vec<_> = names.map(|name| if alone { name.clone() } else { format!("{name}:1") }).collect();
    if alone { format!("/federations/{}", named.concat()) } else { format!("/compare?of={}", named.join(",")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn journals_are_called_as_their_folders() {
        let folder = tempfile::tempdir().unwrap();
        let journals =
            ["runs/FedAvg/journal.jsonl", "other/FedAvg/journal.jsonl", "\u{d604}/journal.jsonl", "export.jsonl"];
        let sweep = ["runs/mu=0/seed-0/journal.jsonl", "runs/mu=0/seed-1/journal.jsonl"];
        for journal in journals.iter().chain(&sweep) {
            let path = folder.path().join(journal);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found =
            ["runs", "other/FedAvg", "\u{d604}", "export.jsonl"].map(|path| found(&folder.path().join(path)).unwrap());
        let named = named(found.concat());
        let names: Vec<_> = named.keys().map(String::as_str).collect();
        assert_eq!(names, ["export", "fedavg", "fedavg-2", "journal", "mu-0-seed-0", "mu-0-seed-1"]);
    }
}
