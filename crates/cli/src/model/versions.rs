//! The model versions of a federation, and the names that stand for them.

use anyhow::anyhow;
use dure_core::statistics::Metrics;
use dure_wire::api::{AliasSpec, AliasView, FederationView, VersionView};

use crate::{
    args::RemoteArgs,
    fail::Fail,
    remote::{Remote, RemoteError, checked},
    show::{self, Says, figure, or_dash},
    words::plain,
};

/// The versions that there are.
pub fn list(args: &RemoteArgs, json: bool) -> Result<String, Fail> {
    let (remote, _) = Remote::federation(args)?;
    let views: Vec<VersionView> = remote.get("models")?;
    if json {
        return Ok(serde_json::to_string_pretty(&views)? + "\n");
    }
    if views.is_empty() {
        return Ok("no model version yet; `dure job start RECIPE` makes some\n".into());
    }
    let header = ["version", "job", "round", "recipe", "evaluated", "tested", "names", "sha256"];
    let row = |view: &VersionView| {
        let main = |kind: &str| {
            let Some(metrics) = view.metrics.get(kind) else { return figure(None) };
            let (metric, head) = Says::of_figures(metrics).main();
            metrics.get(metric).map_or_else(|| figure(None), |value| format!("{head} {}", figure(Some(value))))
        };
        let mut cells = [view.version, view.job, view.round].map(|number| number.to_string()).to_vec();
        cells.extend([plain(&view.recipe), main("evaluate"), main("test"), names(view)]);
        cells.push(view.sha256.to_string()[..12].to_owned());
        cells
    };
    Ok(format!("{}\n", show::listing(&header, views.iter().map(row))))
}

fn names(view: &VersionView) -> String {
    view.aliases.iter().map(|alias| plain(alias)).collect::<Vec<_>>().join(", ")
}

/// The version that is meant: by its number, by a name that stands for it, or the newest.
pub fn version(remote: &Remote, view: &FederationView, which: Option<&str>) -> Result<VersionView, Fail> {
    let which = match which {
        Some(which) => checked("model version", which.into())?,
        None if view.versions == 0 => return Err(anyhow!("{} has no model version yet", view.name).into()),
        None => view.versions.to_string(),
    };
    remote.get(&format!("models/{which}")).map_err(|error| match error {
        RemoteError::Refused { status: 404, .. } => {
            anyhow!("{} has no model version {which}; `dure model list` shows the versions and their names", view.name)
                .into()
        }
        other => other.into(),
    })
}

/// A version.
pub fn show(which: Option<&str>, args: &RemoteArgs, json: bool) -> Result<String, Fail> {
    let (remote, federation) = Remote::federation(args)?;
    let view = version(&remote, &federation, which)?;
    if json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let names = Some(names(&view)).filter(|names| !names.is_empty());
    let mut said = show::lines(&[
        ("version", Some(format!("{}, of job {} after round {}", view.version, view.job, view.round))),
        ("parent", Some(or_dash(view.parent))),
        ("recipe", Some(plain(&view.recipe))),
        ("size", Some(format!("{} parameters", view.parameters))),
        ("sha256", Some(view.sha256.to_string())),
        ("names", names),
    ]);
    if !view.metrics.is_empty() {
        let shown = view.metrics.values().next().map_or(Says::Number, Says::of_figures).of_test("");
        let row = |(kind, metrics): (&String, &Metrics)| {
            let cells = shown.iter().map(|(metric, _)| figure(metrics.get(*metric)));
            std::iter::once(plain(kind)).chain(cells).collect()
        };
        let heads = shown.iter().map(|(_, head)| head.trim_end_matches(", "));
        let heads: Vec<&str> = std::iter::once("rows to").chain(heads).collect();
        said += &format!("\n{}\n", show::table(&heads, view.metrics.iter().map(row)));
    }
    Ok(said)
}

/// Lets `alias` stand for a version.
pub fn promote(version: u32, alias: &str, args: &RemoteArgs, json: bool) -> Result<String, Fail> {
    let alias = checked("alias", alias.into())?;
    let (remote, _) = Remote::federation(args)?;
    stand_for(&remote, &alias, version, json)
}

/// Lets `alias` stand for what it stood for before.
pub fn rollback(alias: &str, args: &RemoteArgs, json: bool) -> Result<String, Fail> {
    let alias = checked("alias", alias.into())?;
    let (remote, federation) = Remote::federation(args)?;
    let aliases: Vec<AliasView> = remote.get("aliases")?;
    let Some(now) = aliases.into_iter().find(|view| view.alias == alias) else {
        return Err(
            anyhow!("nothing in {} is called {alias}; `dure model promote` names a version", federation.name).into()
        );
    };
    let Some(previous) = now.previous else {
        return Err(anyhow!("{alias} has stood for version {} alone; there is none to go back to", now.version).into());
    };
    stand_for(&remote, &alias, previous, json)
}

fn stand_for(remote: &Remote, alias: &str, version: u32, json: bool) -> Result<String, Fail> {
    let view: AliasView = remote.put(&format!("aliases/{alias}"), &AliasSpec { version })?;
    if json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let before = view.previous.map_or_else(String::new, |previous| format!(", and for version {previous} before"));
    Ok(format!("{alias} stands for version {}{before}\n", view.version))
}
