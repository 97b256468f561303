//! What the real stores ask of the real system, and in which order: a golden job under `strace`. What is lost with the power is
//! what was not synced; a test that kills a process cannot see that.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use crate::{
    golden::Golden,
    harness::{How, Process, block_on},
};

/// A call of the system that has come back.
#[derive(Debug)]
struct Call {
    name: String,
    /// What stands between the parentheses; of a descriptor also its file: `7</tmp/a>`.
    args: String,
}

/// The calls of a trace, in the order in which they came back; but what is written, where that began: whoever reads it may have
/// it from then on. One that was interrupted by others is put together.
fn calls(trace: &str) -> Vec<Call> {
    let (mut begun, mut calls) = (BTreeMap::new(), vec![]);
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim();
        if let Some(first) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(thread.to_owned(), (at, first.to_owned()));
            continue;
        }
        let (began, whole) = match rest.split_once(" resumed>") {
            Some((_, second)) => {
                let (began, first) = begun.remove(thread).unwrap_or_default();
                (began, first + second)
            }
            None => (at, rest.to_owned()),
        };
        let failed = whole.contains(") = -1 ");
        if let Some((name, args)) = whole.split_once('(').filter(|_| !failed) {
            let call = Call { name: name.to_owned(), args: args.to_owned() };
            calls.push((if call.writes() { began } else { at }, call));
        }
    }
    calls.sort_by_key(|(at, _)| *at);
    calls.into_iter().map(|(_, call)| call).collect()
}

impl Call {
    /// The file of its first descriptor.
    fn file(&self) -> &str {
        self.args.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map_or("", |(file, _)| file)
    }

    /// Its arguments in quotes.
    fn quoted(&self) -> Vec<&str> {
        self.args.split('"').skip(1).step_by(2).collect()
    }

    fn writes(&self) -> bool {
        ["write", "pwrite64", "writev", "pwritev", "sendto"].contains(&self.name.as_str())
    }

    fn syncs(&self) -> bool {
        ["fsync", "fdatasync"].contains(&self.name.as_str())
    }

    fn renames(&self) -> bool {
        self.name.starts_with("rename")
    }
}

/// Holds every file that gets its name by a rename to the order: written, synced, renamed, its folder synced. How many there were.
fn renamed_files(calls: &[Call], below: &Path) -> usize {
    let (mut dirty, mut nameless, mut count) = (BTreeSet::new(), BTreeMap::<String, BTreeSet<String>>::new(), 0);
    for call in calls {
        let file = call.file();
        if call.writes() && Path::new(file).starts_with(below) {
            dirty.insert(file.to_owned());
        } else if call.syncs() {
            dirty.remove(file);
            nameless.remove(file);
        } else if call.renames() {
            let [from, to] = call.quoted()[..] else { panic!("{call:?}") };
            if !Path::new(to).starts_with(below) {
                continue;
            }
            assert!(!dirty.contains(from), "{from} is renamed before it is synced");
            let folder = Path::new(to).parent().unwrap().to_str().unwrap();
            nameless.entry(folder.to_owned()).or_default().insert(to.to_owned());
            count += 1;
        }
    }
    assert!(nameless.is_empty(), "these names are not synced: {nameless:?}");
    count
}

/// Holds every file below `blobs` to have its bytes and its name safe before the database's log has an event that names it. How
/// many are named.
fn named_blobs(calls: &[Call], blobs: &Path) -> usize {
    let renamed = |call: &Call| {
        let to = call.renames().then(|| call.quoted().last().map(|to| Path::new(*to).to_owned()))??;
        to.starts_with(blobs).then_some(to)
    };
    let all: BTreeSet<PathBuf> = calls.iter().filter_map(renamed).collect();
    let name = |file: &Path| file.file_name().unwrap().to_str().unwrap().to_owned();
    let (mut waiting, mut safe, mut named) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for call in calls {
        if let Some(to) = renamed(call) {
            waiting.insert(to);
        } else if call.syncs() {
            let (synced, rest) =
                waiting.into_iter().partition(|file: &PathBuf| file.parent() == Some(Path::new(call.file())));
            waiting = rest;
            safe.extend(BTreeSet::<PathBuf>::into_iter(synced));
        } else if call.writes() && call.file().ends_with("dure.db-wal") {
            for file in all.iter().filter(|file| call.args.contains(&name(file))) {
                assert!(safe.contains(file), "an event names {} before it is safe", file.display());
                named.insert(file);
            }
        }
    }
    named.len()
}

/// Holds every update that an agent sends to have been kept before: its bytes, and the memory that speaks of it. How many were
/// sent.
fn kept_answers(calls: &[Call], state: &Path) -> usize {
    let clients = state.join("clients");
    let (mut waiting, mut safe) = (vec![], BTreeMap::<String, [usize; 2]>::new());
    let mut sent = BTreeMap::<String, BTreeSet<String>>::new();
    for call in calls {
        if call.renames() {
            let to = Path::new(*call.quoted().last().unwrap());
            let kind = ["answer", "memory.json"].iter().position(|kind| to.ends_with(kind));
            waiting
                .extend(kind.filter(|_| to.starts_with(&clients)).map(|kind| (to.parent().unwrap().to_owned(), kind)));
        } else if call.syncs() {
            let folder = Path::new(call.file());
            for (home, kind) in waiting.extract_if(.., |(home, _)| home == folder) {
                safe.entry(home.file_name().unwrap().to_str().unwrap().to_owned()).or_default()[kind] += 1;
            }
        } else if let Some((_, task)) = call.args.split_once("PUT /v1/federations/fitbit/tasks/")
            && let Some((task, _)) = task.split_once("/result?sha256=")
        {
            let client = task.splitn(5, '-').last().unwrap();
            let tasks = sent.entry(client.to_owned()).or_default();
            tasks.insert(task.to_owned());
            let [answers, memories] = safe.get(client).copied().unwrap_or_default();
            // Between two answers the memory is written once more, when it is known what became of the first.
            assert!(answers >= tasks.len() && memories >= 2 * tasks.len() - 1, "{task} is sent before it is kept");
        }
    }
    sent.values().map(BTreeSet::len).sum()
}

/// Holds every answer to an upload to the order: the event that says that it was accepted was written to the database's log, the
/// log was synced, and then it was answered. How many were answered.
fn answered_uploads(calls: &[Call]) -> usize {
    let (mut log, mut safe, mut answered) = (String::new(), String::new(), BTreeSet::new());
    for call in calls {
        let is_log = call.file().ends_with("dure.db-wal");
        if is_log && call.writes() {
            log.push_str(&call.args);
        } else if is_log && call.syncs() {
            safe.push_str(&std::mem::take(&mut log));
        } else if call.writes() && call.args.contains("HTTP/1.1 200") {
            let Some((_, task)) = call.args.split_once(r#"{\"task\":\""#) else { continue };
            let Some((task, state)) = task.split_once(r#"\",\"state\":\""#) else { continue };
            // Whoever comes last may be told what the round came to.
            if !["answered", "committed"].iter().any(|known| state.starts_with(known)) {
                continue;
            }
            let (round, client) = task.split_at(task.match_indices('-').nth(3).unwrap().0);
            let event = format!(r#"\"round\":\"{round}\",\"client\":\"{}\""#, &client[1..]);
            assert!(safe.contains(&event), "{task} was answered before its event was synced");
            answered.insert(task);
        }
    }
    answered.len()
}

fn strace(out: &Path) -> How {
    let calls = "trace=write,pwrite64,writev,pwritev,fsync,fdatasync,rename,renameat,renameat2,sendto";
    // All threads, descriptors by their names, and a whole page of the database.
    How::default().under(&["strace", "-f", "-y", "-qq", "-s", "4200", "-e", calls, "-o", out.to_str().unwrap()])
}

async fn ended(mut process: Process) {
    // strace hands signals on only to whom it traces: its child is asked to stop.
    let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", process.pid())).unwrap();
    let child = children.split_whitespace().next().unwrap();
    assert!(std::process::Command::new("kill").args(["-s", "TERM", child]).status().unwrap().success());
    process.ended().await;
}

#[test]
fn nothing_is_renamed_or_answered_before_it_is_synced() {
    block_on(async {
        let traces = tempfile::tempdir().unwrap();
        let (served, joined) = (traces.path().join("serve"), traces.path().join("join"));
        let golden = Golden::start_as(strace(&served));
        let agent = golden.join_as("agent", &strace(&joined));
        // A traced server is slow: the answers of one batch come one by one.
        golden.begin().await;
        golden.over().await.assert_same_bits();
        ended(agent).await;
        let Golden { server, .. } = golden;
        let dir = server.dir;
        ended(server.process).await;
        let [served, joined] = [served, joined].map(|trace| calls(&fs::read_to_string(trace).unwrap()));
        // Six updates, three models and what the optimizer remembered after two of them; of each client a secret, two answers, and what it remembers of them.
        assert!(renamed_files(&served, &dir.path().join("server/blobs")) >= 11);
        assert!(renamed_files(&joined, &dir.path().join("state-agent")) >= 3 * 7);
        assert_eq!(answered_uploads(&served), 18, "three clients answer six times");
        assert_eq!(named_blobs(&served, &dir.path().join("server/blobs")), 11, "six updates, three models, two states");
        assert_eq!(kept_answers(&joined, &dir.path().join("state-agent")), 6, "three clients send two updates");
    });
}
