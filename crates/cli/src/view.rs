//! `dure view`: the dashboard over journals of what was.

use std::{
    collections::BTreeMap,
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

/// The journals that a path names: a file, that of a folder, or those of the folders in it.
fn found(path: &Path) -> Result<Vec<PathBuf>, Fail> {
    let shown = path.display();
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    let own = path.join(JOURNAL);
    if own.is_file() {
        return Ok(vec![own]);
    }
    let folders = std::fs::read_dir(path).with_context(|| format!("{shown}")).map_err(Fail::Usage)?;
    let inner = folders.flatten().map(|entry| entry.path().join(JOURNAL)).filter(|journal| journal.is_file());
    let mut inner: Vec<_> = inner.collect();
    inner.sort();
    match inner.is_empty() {
        true => Err(Fail::usage(format!(
            "{shown}: neither it nor a folder in it has a {JOURNAL}; `dure simulate RECIPE --out {shown}` writes one"
        ))),
        false => Ok(inner),
    }
}

/// Journals by names of federations: each is called as its folder, or as its file if that has another name than usual.
fn named(journals: Vec<PathBuf>) -> BTreeMap<String, PathBuf> {
    let mut named = BTreeMap::new();
    for journal in journals {
        let whole = std::path::absolute(&journal).unwrap_or_else(|_| journal.clone());
        let usual = whole.file_name().is_some_and(|name| name == JOURNAL);
        let called = if usual { whole.parent().and_then(Path::file_name) } else { whole.file_stem() };
        let name = federation_name(&called.unwrap_or_default().to_string_lossy());
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
        let journals = [
            "runs/FedAvg mu=0/journal.jsonl",
            "other/FedAvg mu=0/journal.jsonl",
            "export.jsonl",
            "\u{d604}/journal.jsonl",
        ];
        let named = named(journals.map(PathBuf::from).to_vec());
        let names: Vec<_> = named.keys().map(String::as_str).collect();
        assert_eq!(names, ["export", "fedavg-mu-0", "fedavg-mu-0-2", "journal"]);
    }
}
