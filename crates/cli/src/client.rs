//! `dure client`

use anyhow::anyhow;
use dure_core::name::ClientName;
use dure_wire::api::{ClientState, ClientView, Goodbye};
use serde_json::Value;

use crate::{
    args::{self, ClientCommand},
    fail::Fail,
    remote::Remote,
    show::{self, or_dash},
    words::{ago, plain, until, word},
};

/// How many clients are asked for at a time.
const PAGE: usize = 1000;

/// Lists and shows clients, sends them away, and frees their names.
pub fn run(args: &args::Client) -> Result<String, Fail> {
    let (remote, _) = Remote::federation(&args.remote)?;
    match &args.command {
        ClientCommand::List { state, json } => list(&remote, *state, *json),
        ClientCommand::Show { client, json } => show(&remote, client, *json),
        ClientCommand::Evict { client, reason } => {
            remote
                .delete(&format!("clients/{client}"), Some(&Goodbye { reason: reason.clone().unwrap_or_default() }))?;
            Ok(format!("{client} is sent away, and may not come back\n"))
        }
        ClientCommand::Release { client } => {
            remote.tell(&format!("clients/{client}/release"))?;
            Ok(format!("{client} can be joined anew\n"))
        }
    }
}

fn list(remote: &Remote, state: Option<ClientState>, json: bool) -> Result<String, Fail> {
    let views = everybody(remote, state)?;
    if json {
        return Ok(serde_json::to_string_pretty(&views)? + "\n");
    }
    if views.is_empty() {
        let nobody = || "nobody yet; `dure invite` lets clients join\n".into();
        return Ok(state.map_or_else(nobody, |state| format!("nobody is {}\n", word(&state))));
    }
    let header = ["client", "state", "last seen", "lease", "task", "rows", "reason"];
    Ok(format!("{}\n", show::listing(&header, views.iter().map(cells))))
}

/// All pages, in the order of names.
fn everybody(remote: &Remote, state: Option<ClientState>) -> Result<Vec<ClientView>, Fail> {
    let state = state.map_or_else(String::new, |state| format!("&state={}", word(&state)));
    let mut views: Vec<ClientView> = Vec::new();
    loop {
        let after = views.last().map_or_else(String::new, |view| format!("&after={}", view.client));
        let page: Vec<ClientView> = remote.get(&format!("clients?limit={PAGE}{state}{after}"))?;
        if page.is_empty() {
            return Ok(views);
        }
        let last = views.len().saturating_sub(1);
        views.extend(page);
        if !views[last..].is_sorted_by(|a, b| a.client < b.client) {
            return Err(anyhow!("the server lists clients out of the order of their names").into());
        }
    }
}

fn cells(view: &ClientView) -> Vec<String> {
    vec![
        view.client.to_string(),
        word(&view.state),
        or_dash(view.last_seen_s.map(ago)),
        or_dash(view.lease_ends_in_s.map(until)),
        or_dash(view.task.as_ref().map(|task| task.round)),
        or_dash(view.facts.get("rows").and_then(Value::as_u64)),
        plain(&view.reason),
    ]
}

fn show(remote: &Remote, client: &ClientName, json: bool) -> Result<String, Fail> {
    let view: ClientView = remote.get(&format!("clients/{client}"))?;
    if json {
        return Ok(serde_json::to_string_pretty(&view)? + "\n");
    }
    let mut said = show::lines(&[
        ("client", Some(view.client.to_string())),
        ("state", Some(word(&view.state))),
        ("reason", Some(plain(&view.reason)).filter(|reason| !reason.is_empty())),
        ("last seen", view.last_seen_s.map(ago)),
        ("lease", view.lease_ends_in_s.map(until)),
        ("task", view.task.as_ref().map(ToString::to_string)),
        ("joined", Some(if view.epoch == 1 { "once".into() } else { format!("{} times", view.epoch) })),
    ]);
    for (fact, value) in &view.facts {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        said += &show::lines(&[(&plain(fact), Some(plain(&value)))]);
    }
    Ok(said)
}
