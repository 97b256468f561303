//! What must be true of every world, whatever happened in it.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    path::{Path, PathBuf},
    sync::Arc,
};

use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::{Federation, Version},
    job::Job,
    journal::{Entry, Head},
    name::ClientName,
    round::{Kind, RoundId},
    update::{DELTA, Update},
};
use dure_wire::{Expected, decode_model, decode_update};

use crate::records::Passed;

/// The largest file of a model here.
const MAX_BYTES: usize = 1 << 20;

/// How far a sum of `f32` may be from the same sum of `f64`.
const ROUNDING: f64 = 1e-5;

/// What is left of a world when it has come to rest.
pub struct Rest {
    /// The journal, as it is stored.
    pub journal: Vec<Entry>,
    /// The federation, as the server shows it.
    pub shown: Federation,
    /// The files of the server.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// What has passed on the network.
    pub passed: Passed,
    /// What each site's agent remembers: training rounds that count, and whether an answer is pending.
    pub memories: BTreeMap<ClientName, (u64, bool)>,
    /// Which job each key has made, each time it was used.
    pub keys: BTreeMap<String, BTreeSet<u32>>,
}

/// What a law says of what it finds.
type Held = Result<(), String>;

/// Holds a world to every law.
pub fn hold(rest: &Rest) -> Held {
    let records = verified(&rest.journal)?;
    shown_is_stored(rest, &records)?;
    told_is_stored(rest)?;
    rules_were_kept(&records)?;
    rounds_end_once(&records)?;
    taken_is_stored(rest, &records)?;
    each_key_made_one_job(rest)?;
    each_update_counts_once(rest, &records)?;
    memories_agree(rest, &records)?;
    nothing_is_left_over(rest)
}

/// The chain verifies.
fn verified(journal: &[Entry]) -> Result<Vec<Record>, String> {
    let mut head = Head::default();
    journal.iter().map(|entry| head.follow(entry).map_err(|broken| format!("the chain: {broken}"))).collect()
}

/// A replay gives what readers are shown.
fn shown_is_stored(rest: &Rest, records: &[Record]) -> Held {
    let replayed = Federation::replay(records);
    check(replayed == rest.shown, || "a replay of the journal is not what the server shows".into())
}

/// Whatever head anybody was told of is in the journal.
fn told_is_stored(rest: &Rest) -> Held {
    if let Some(contradiction) = &rest.passed.contradiction {
        return Err(contradiction.clone());
    }
    if let Some(early) = &rest.passed.early {
        return Err(format!("{early} was acknowledged before the journal had it"));
    }
    let stored: BTreeMap<u64, Digest> = rest.journal.iter().map(|entry| (entry.sequence, entry.hash)).collect();
    let lost = rest.passed.heads.iter().find(|(sequence, hash)| **sequence > 0 && stored.get(sequence) != Some(hash));
    check(lost.is_none(), || format!("somebody was told of {lost:?}, and the journal does not have it"))
}

/// Every event is one that the rules would have decided.
fn rules_were_kept(records: &[Record]) -> Held {
    let (mut federation, mut due) = (Federation::default(), VecDeque::new());
    for (i, record) in records.iter().enumerate() {
        let kept = federation.hold(record, &mut due);
        check(kept.is_some(), || format!("the rules would not have decided entry {}: {:?}", i + 1, record.event))?;
        let (jobs, versions) = (federation.jobs.len(), federation.versions.len());
        federation.apply(record);
        let grown = federation.jobs.len() >= jobs && federation.versions.len() >= versions;
        check(grown, || format!("entry {} took a job or a version away", i + 1))?;
    }
    Ok(())
}

/// A round is opened once and ends once.
fn rounds_end_once(records: &[Record]) -> Held {
    let (mut opened, mut ended) = (BTreeSet::new(), BTreeSet::new());
    for record in records {
        match &record.event {
            Event::RoundOpened { round, .. } => {
                check(opened.insert(*round), || format!("round {round} was opened twice"))?;
            }
            Event::RoundCompleted { round, .. } | Event::RoundAbandoned { round, .. } => {
                check(opened.contains(round), || format!("round {round} ended before it was opened"))?;
                check(ended.insert(*round), || format!("round {round} ended twice"))?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// The answers of the journal, by round and client.
fn answers(records: &[Record]) -> BTreeMap<(RoundId, ClientName), &Answer> {
    let accepted = records.iter().filter_map(|record| match &record.event {
        Event::AnswerAccepted { round, client, answer } => Some(((*round, client.clone()), answer)),
        _ => None,
    });
    accepted.collect()
}

/// What the server has said to have is in the journal.
fn taken_is_stored(rest: &Rest, records: &[Record]) -> Held {
    let answers = answers(records);
    for (task, sha256) in &rest.passed.taken {
        let stored = answers.get(&(task.round, task.client.clone()));
        check(stored.is_some(), || format!("the server took the answer to {task}, and the journal has none"))?;
        if let Some(sha256) = sha256.filter(|_| task.round.kind == Kind::Train) {
            let same = stored.and_then(|answer| answer.blob()) == Some(sha256);
            check(same, || format!("the server took {sha256} for {task}, and the journal has another"))?;
        }
    }
    Ok(())
}

fn each_key_made_one_job(rest: &Rest) -> Held {
    let twice = rest.keys.iter().find(|(_, jobs)| jobs.len() > 1);
    check(twice.is_none(), || format!("an idempotency key made several jobs: {twice:?}"))
}

/// Each version is its base and the sum of exactly the updates that its round has taken, summed here once more and otherwise. Where columns are not scaled, a client's update moves its own weight alone: a unit vector.
fn each_update_counts_once(rest: &Rest, records: &[Record]) -> Held {
    let (federation, answers, counted) = (Federation::replay(records), answers(records), counted(records));
    let mut versions = BTreeSet::new();
    for record in records {
        let Event::ModelPublished { version, job, round, sha256, parent, .. } = &record.event else { continue };
        check(versions.insert(*version), || format!("version {version} was published twice"))?;
        let job = federation.job(*job).ok_or_else(|| format!("version {version} is of no job"))?;
        let layout = Arc::new(job.plan.layout.clone());
        let model = |sha256: Digest| {
            let path = Path::new("/data/blobs/models").join(sha256.to_string());
            let file = rest.files.get(&path).ok_or_else(|| format!("the model {sha256} is gone"))?;
            decode_model(file, Some(&layout), MAX_BYTES, Some(sha256))
                .map(|(params, _)| params)
                .map_err(|error| format!("the model {sha256}: {error}"))
        };
        let next = model(*sha256)?;
        let Some(parent) = parent.filter(|_| *round > 0) else { continue };
        let base = federation.version(parent).ok_or_else(|| format!("version {version} has no parent"))?.sha256;
        let attempt = federation.version(*version).map_or(0, |version| version.attempt);
        let round = RoundId { job: job.id, kind: Kind::Train, ordinal: *round, attempt };
        let newest = model(base)?;
        let mut updates: Vec<(ClientName, Update, u32)> = vec![];
        for (client, age) in counted.get(&round).into_iter().flatten() {
            let task = RoundId { ordinal: round.ordinal - age, ..round };
            let is_of = |(of, from): &&(RoundId, ClientName)| {
                let same = (of.job, of.kind, of.ordinal) == (task.job, task.kind, task.ordinal);
                same && from == client && (job.is_asynchronous(round) || of.attempt == task.attempt)
            };
            let key = answers.keys().find(is_of);
            let answer = key.ok_or_else(|| format!("{client} counts in round {round}, and has not answered {task}"))?;
            let sha256 = answers[answer].blob().ok_or_else(|| format!("{client}'s answer to {task} is no update"))?;
            let file = rest.passed.updates.get(&sha256).ok_or_else(|| format!("nobody has sent {sha256}"))?;
            let (_, given) = federation.base_of(task).ok_or_else(|| format!("round {task} gave no version"))?;
            let (groups, scalars, codec) = (job.plan.groups(), &job.plan.scalars[..], job.plan.codec);
            let expected = Expected { layout: &layout, groups, scalars, codec, base: given.sha256 };
            let mut update =
                decode_update(file, &expected, Some(sha256)).map_err(|error| format!("{sha256}: {error}"))?;
            if job.plan.measure.is_empty() {
                check_unit(*version, client, &update)?;
            }
            if job.plan.asynchronous().is_some_and(|asynchronous| asynchronous.mixes) {
                let from = model(given.sha256)?;
                let delta = update.groups.get_mut(DELTA).ok_or("an update without a delta")?.values_mut();
                let way = from.values().iter().zip(newest.values());
                delta.iter_mut().zip(way).for_each(|(delta, (from, newest))| *delta += from - newest);
            }
            updates.push((client.clone(), update, *age));
        }
        check(!updates.is_empty(), || format!("version {version} is of round {round}, which has no update"))?;
        check_sum(*version, job, (newest.values(), next.values()), &updates)?;
    }
    Ok(())
}

/// Who counts in each training round that was completed, and how many versions old the answer was.
fn counted(records: &[Record]) -> BTreeMap<RoundId, Vec<(ClientName, u32)>> {
    let completed = records.iter().filter_map(|record| match &record.event {
        Event::RoundCompleted { round, participants, staleness } if round.kind == Kind::Train => {
            let age = |client: &ClientName| staleness.get(client).copied().unwrap_or(0);
            Some((*round, participants.iter().map(|client| (client.clone(), age(client))).collect()))
        }
        _ => None,
    });
    completed.collect()
}

/// The next version is the one before and the sum of its updates: their mean by examples or, without cohorts, each by its age.
fn check_sum(version: u32, job: &Job, (base, next): (&[f32], &[f32]), updates: &[(ClientName, Update, u32)]) -> Held {
    let examples: f64 = updates.iter().map(|(_, update, _)| update.weight.get()).sum();
    let share = |update: &Update, age: u32| match job.plan.asynchronous() {
        None => update.weight.get() / examples,
        Some(asynchronous) => {
            let mixing = if asynchronous.mixes { 0.6 } else { 1.0 };
            mixing / f64::from(1 + age).sqrt() / updates.len() as f64
        }
    };
    for (i, (before, after)) in base.iter().zip(next).enumerate() {
        let sum: f64 = updates.iter().map(|(_, update, age)| share(update, *age) * f64::from(delta(update)[i])).sum();
        let wanted = f64::from(*before) + sum;
        check((wanted - f64::from(*after)).abs() <= ROUNDING * wanted.abs().max(1.0), || {
            format!("value {i} of version {version} is {after}, and its updates make it {wanted}")
        })?;
    }
    Ok(())
}

/// Client i moves weight i, and the bias, which is last.
fn check_unit(version: u32, client: &ClientName, update: &Update) -> Held {
    let own: usize = client.as_str().trim_start_matches("site-").parse().unwrap_or(usize::MAX);
    let weights = &delta(update)[..delta(update).len() - 1];
    let moved: Vec<usize> = (0..weights.len()).filter(|i| weights[*i] != 0.0).collect();
    check(moved.iter().all(|i| *i == own), || format!("{client} moved {moved:?} in version {version}"))
}

fn delta(update: &Update) -> &[f32] {
    update.groups[DELTA].values()
}

/// A client's memory has advanced once for each of its updates that counts, and for no other.
fn memories_agree(rest: &Rest, records: &[Record]) -> Held {
    let federation = Federation::replay(records);
    let made = federation.versions.iter().filter(|version| version.round > 0).map(round_of);
    let mut counted = counted(records);
    let counting: Vec<ClientName> =
        made.flat_map(|round| counted.remove(&round).unwrap_or_default()).map(|(client, _)| client).collect();
    for (client, (rounds, pending)) in &rest.memories {
        let counts = counting.iter().filter(|of| *of == client).count() as u64;
        check(!pending, || format!("{client} still does not know what became of its answer"))?;
        check(*rounds == counts, || format!("{client} remembers {rounds} rounds, and {counts} of its updates count"))?;
    }
    Ok(())
}

fn round_of(version: &Version) -> RoundId {
    RoundId { job: version.job, kind: Kind::Train, ordinal: version.round, attempt: version.attempt }
}

/// The server keeps updates that an open round needs, and no other. A model whose job was ended when its blob was written may
/// stay.
fn nothing_is_left_over(rest: &Rest) -> Held {
    let needed: BTreeSet<String> =
        rest.shown.jobs.iter().flat_map(Job::updates).map(|sha256| sha256.to_string()).collect();
    for path in rest.files.keys() {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let update = path.starts_with("/data/blobs/updates") && !needed.contains(&name);
        check(!update && !name.contains('#'), || format!("{} is left over", path.display()))?;
    }
    Ok(())
}

fn check(held: bool, why: impl FnOnce() -> String) -> Held {
    if held { Ok(()) } else { Err(why()) }
}
