//! `dure join`

use std::{
    collections::BTreeSet,
    io::Read as _,
    num::NonZeroUsize,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, anyhow};
use dure_agent::{AgentConfig, AgentError, Ended, Invitation, Policy, RECIPE_FILE, federation_when_there, run};
use dure_core::name::ClientName;
use dure_learn::data::{ClientRows, table::read_bounded};
use serde_json::{Map, Value, json};

use crate::{
    args::{DataArgs, Join, Part, RecipeArgs},
    facts,
    fail::Fail,
    process,
    source::{self, Found},
};

/// An agent that may have fewer files open is told so.
const FILES: usize = 256;

/// The largest of the small files that are read, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;

/// Joins, and works until it is told to stop.
pub fn join(args: &Join) -> Result<String, Fail> {
    if args.until_stdin_ends && args.invitation_file.as_deref() == Some(Path::new("-")) {
        return Err(Fail::usage("--invitation - reads all of standard input: --until-stdin-ends would stop at once"));
    }
    dure_machine::kill::prepare().map_err(Fail::usage)?;
    process::log();
    let files = process::open_files();
    if files < FILES {
        tracing::warn!(
            "{files} files may be open, and each client has a connection or two; raise the limit (ulimit -n)"
        );
    }
    let invitation = Invitation::parse(&invitation(args)?).map_err(|error| Fail::usage(error.to_string()))?;
    let mut policy = args.policy.as_deref().map(policy).transpose()?.unwrap_or_default();
    policy.share = args.share.clone().or(policy.share);
    let ca = args.ca.as_deref().map(|path| read(path, "the certificates")).transpose()?;
    process::runtime(false)?.block_on(async {
        let until = process::stopped(args.until_stdin_ends)?;
        tokio::pin!(until);
        let waiting = |why: &str| tracing::warn!("{} is not there yet: {why}; trying again", invitation.server());
        let view = tokio::select! {
            view = federation_when_there(&invitation, ca.as_deref(), args.insecure_http, waiting) => view,
            () = &mut until => return Ok(String::new()),
        };
        let state_dir = args.state_dir.clone().map_or_else(|| state_dir(args, &invitation), Ok)?;
        let found = match view {
            Ok(view) => recipe(args, &view.name, view.recipe.as_deref())?,
            // Whoever has joined by it before joins by its own secret.
            Err(AgentError::Refused(why)) if args.recipe.is_some() || remembered(&state_dir).is_some() => {
                tracing::warn!("the invitation is worth nothing any more ({why}); known clients try their own secrets");
                recipe(args, invitation.federation(), remembered(&state_dir).as_deref())?
            }
            Err(other) => return Err(failed(other)),
        };
        let clients = clients(args, &found)?;
        tracing::info!("{} clients of {} rows for {}", clients.len(), rows(&clients), invitation.federation());
        let config = AgentConfig {
            invitation: invitation.clone(),
            clients,
            schema: found.recipe.schema.clone(),
            recipe: found.recipe.name.clone(),
            state_dir,
            policy: careful(policy.clone(), found.recipe.site.public),
            status: args.status,
            ca: ca.clone(),
            threads: args.threads.map_or_else(cores, usize::from),
            facts: site_facts(),
            measure: Some(facts::of_this_machine),
            insecure_http: args.insecure_http,
        };
        match run(config, until).await.map_err(failed)? {
            Ended::Left => Ok(String::new()),
            Ended::Evicted => {
                Err(Fail::Failed(anyhow!("all clients of this process were evicted from {}", invitation.federation())))
            }
        }
    })
}

/// The invitation, from wherever it was given.
fn invitation(args: &Join) -> Result<String, Fail> {
    if let Some(text) = &args.invitation {
        return Ok(text.clone());
    }
    match &args.invitation_file {
        Some(path) if path == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().take(MAX_FILE_BYTES).read_to_string(&mut text).context("standard input")?;
            Ok(text)
        }
        Some(path) => {
            let text = String::from_utf8(read(path, "the invitation")?);
            text.map_err(|_| Fail::usage(format!("{}: is not text", path.display())))
        }
        None => std::env::var("DURE_INVITATION").map_err(|_| {
            Fail::usage("give the invitation: --invitation FILE, $DURE_INVITATION, or URL#TOKEN as an argument")
        }),
    }
}

fn read(path: &Path, what: &str) -> Result<Vec<u8>, Fail> {
    let read = read_bounded(path, MAX_FILE_BYTES);
    read.with_context(|| format!("{}: {what} cannot be read", path.display())).map_err(Fail::Usage)
}

fn policy(path: &Path) -> Result<Policy, Fail> {
    let origin = path.display().to_string();
    let text =
        String::from_utf8(read(path, "the policy")?).map_err(|_| Fail::usage(format!("{origin}: is not text")))?;
    Policy::parse(&text, &origin).map_err(|error| Fail::usage(error.to_string()))
}

/// The site's own recipe: the one that was typed, else a built-in one by the name that the federation gives it. A server
/// never says which file a site reads.
fn recipe(args: &Join, federation: &str, named: Option<&str>) -> Result<Found, Fail> {
    let own = "say with --recipe how the rows are read";
    let name = match (&args.recipe, named) {
        (Some(typed), _) => typed.clone(),
        (None, Some(named)) if source::is_built_in(named) => named.to_owned(),
        (None, Some(named)) => {
            return Err(Fail::usage(format!(
                "federation {federation} is for recipe {named:?}, which is not built in; {own}"
            )));
        }
        (None, None) => return Err(Fail::usage(format!("federation {federation} names no recipe; {own}"))),
    };
    source::recipe(&RecipeArgs { recipe: name, overrides: vec![], smoke: false })
}

/// The recipe that this agent has joined with before.
fn remembered(state_dir: &Path) -> Option<String> {
    let text = String::from_utf8(read_bounded(&state_dir.join(RECIPE_FILE), 100).ok()?).ok()?;
    Some(text.trim().to_owned())
}

/// Rows that are not public leave in sums of at least five of them, unless the site's policy says otherwise.
fn careful(mut policy: Policy, public: bool) -> Policy {
    if !public {
        policy.min_rows = policy.min_rows.or(NonZeroUsize::new(5));
    }
    policy
}

/// What was asked wrongly is usage; all else has failed.
fn failed(error: AgentError) -> Fail {
    use AgentError::*;
    match error {
        NoClients | Twice(_) | Policy(_) | PlainHttp(_) | Ca(_) | StatusAddress(_) => Fail::Usage(error.into()),
        other => other.into(),
    }
}

/// The clients of this process.
fn clients(args: &Join, found: &Found) -> Result<Vec<ClientRows>, Fail> {
    let shared = std::env::var_os("DURE_DATA").is_some_and(|folder| !folder.is_empty());
    if args.data.is_none() && !shared {
        let set = &found.recipe.data;
        return Err(Fail::usage(format!(
            "name the folder that holds the data set {set:?} with --data (`dure data generate {} --out DIR` makes one up)",
            found.recipe.name
        )));
    }
    let mut data = source::data(found, &DataArgs { data: args.data.clone(), seed: 0 })?;
    if let Some(name) = &args.name {
        rename(&mut data.clients, name, &found.recipe.site.prefix, found.recipe.site.public)?;
    }
    Ok(part_of(data.clients, args.part))
}

/// Those of all that are in a part.
pub fn part_of<T>(all: Vec<T>, part: Option<Part>) -> Vec<T> {
    let Part { i, n } = part.unwrap_or(Part { i: 1, n: 1 });
    let (begin, end) = (all.len() * (i - 1) / n, all.len() * i / n);
    all.into_iter().skip(begin).take(end - begin).collect()
}

/// Calls one client `name`, and several `name-` and their numbers. Nobody is called as somebody in the file.
fn rename(clients: &mut [ClientRows], name: &str, prefix: &str, public: bool) -> Result<(), Fail> {
    let alone = clients.len() == 1;
    for client in &mut *clients {
        let number = client.name.as_str().trim_start_matches(prefix).trim_start_matches('-');
        let called = if alone { name.to_owned() } else { format!("{name}-{number}") };
        client.name = ClientName::new(called).map_err(|error| Fail::usage(format!("--name: {error}")))?;
    }
    let ids: BTreeSet<String> = clients.iter().map(|client| client.id.to_ascii_lowercase()).collect();
    match clients.iter().find(|client| !public && (ids.contains(client.name.as_str()) || ids.contains(name))) {
        Some(client) => Err(Fail::usage(format!(
            "--name {name} makes a client {} that is called as whom a row is about, and the journal of a federation cannot be \
             erased; choose a pseudonym",
            client.name
        ))),
        None => Ok(()),
    }
}

/// Where an agent keeps what it must not forget, unless it is told otherwise: a folder for each federation, part and name.
fn state_dir(args: &Join, invitation: &Invitation) -> Result<PathBuf, Fail> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let base = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
    let base = base.ok_or_else(|| Fail::usage("there is no home folder; name a folder with --state-dir"))?;
    let host: String = invitation.server().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let part = args.part.map(|Part { i, n }| format!("-part-{i}-of-{n}")).unwrap_or_default();
    let name = args.name.as_ref().map(|name| format!("-{name}")).unwrap_or_default();
    Ok(base.join("dure").join(format!("{}@{host}{part}{name}", invitation.federation())))
}

/// What the machine is, for the operator to see.
fn site_facts() -> Map<String, Value> {
    let facts = json!({"dure": env!("CARGO_PKG_VERSION"), "os": std::env::consts::OS, "arch": std::env::consts::ARCH, "cores": cores()});
    match facts {
        Value::Object(facts) => facts,
        _ => Map::new(),
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn rows(clients: &[ClientRows]) -> usize {
    clients.iter().map(|client| client.len()).sum()
}
