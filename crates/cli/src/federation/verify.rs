//! `dure federation verify`

use std::{collections::VecDeque, path::Path};

use anyhow::{Context as _, anyhow};
use dure_core::{
    event::{Event, Record},
    federation::Federation,
    job::Status,
    journal::{self, Head},
};
use dure_learn::data::table::read_bounded;
use serde::Deserialize as _;

use crate::{args::Verify, fail::Fail};

/// The largest journal that is read, in bytes.
const MAX_JOURNAL_BYTES: u64 = 16 << 30;

/// The largest file that is read for a witness, in bytes.
const MAX_WITNESS_BYTES: u64 = 1 << 30;

/// Verifies a federation's journal.
pub fn run(args: &Verify) -> Result<String, Fail> {
    let Verify { journal, witness, json } = args;
    let witness = witness.as_deref().map(read_witness).transpose()?;
    let (records, head) = read_journal(journal, witness)?;
    let federation = hold(&records).map_err(|entry| {
        let shown = journal.display();
        anyhow!("{shown}:{entry}: the rules would not have decided this event after those before it")
    })?;
    let (standing, Head { sequence, hash }) = (standing(&federation), head);
    if *json {
        let (name, witnessed) = (&federation.name, witness.is_some());
        let told =
            serde_json::json!({"federation": name, "journal": head, "standing": standing, "witnessed": witnessed});
        return Ok(format!("{told:#}\n"));
    }
    let seen =
        witness.map_or(String::new(), |head| format!(", and it has what the witness saw at event {}", head.sequence));
    Ok(format!("{sequence} events: the chain holds, and every event keeps the rules{seen}; {standing}\nhead {hash}\n"))
}

/// Whether a journal goes to the end of what it began.
pub fn standing(federation: &Federation) -> String {
    match (federation.active(), federation.jobs.last()) {
        (Some(job), _) => format!("job {} had not ended: {} of {} rounds", job.id, job.completed, job.plan.rounds),
        (None, Some(job)) if job.status == Status::Created => format!("job {} was not started", job.id),
        (None, Some(job)) => format!("job {} had ended", job.id),
        (None, None) => "there was no job".into(),
    }
}

/// Holds every record to the rules; the number of the first, counted from 1, that they would not have decided.
fn hold(records: &[Record]) -> Result<Federation, usize> {
    let (mut federation, mut due) = (Federation::default(), VecDeque::<Event>::new());
    for (i, record) in records.iter().enumerate() {
        federation.hold(record, &mut due).ok_or(i + 1)?;
        federation.apply(record);
    }
    Ok(federation)
}

/// Reads a journal file and verifies its chain, against a witness if there is one.
pub fn read_journal(path: &Path, witness: Option<Head>) -> Result<(Vec<Record>, Head), Fail> {
    let shown = path.display();
    let bytes = read_bounded(path, MAX_JOURNAL_BYTES).with_context(|| format!("{shown}: cannot be read"))?;
    let text = String::from_utf8(bytes).with_context(|| format!("{shown}: is not UTF-8 text"))?;
    let whole =
        text.strip_suffix('\n').ok_or_else(|| anyhow!("{shown}: the last line is cut off, or there is none"))?;
    let verified = journal::verify_against(whole.split('\n'), witness.unwrap_or_default());
    Ok(verified.map_err(|broken| anyhow!("{shown}:{}: {broken}", broken.sequence))?)
}

/// A head that somebody has kept: a file of it alone, or a `result.json`.
fn read_witness(path: &Path) -> Result<Head, Fail> {
    let shown = path.display();
    let bytes = read_bounded(path, MAX_WITNESS_BYTES).with_context(|| format!("{shown}: cannot be read"))?;
    let told: serde_json::Value = serde_json::from_slice(&bytes).with_context(|| format!("{shown}: is not JSON"))?;
    let head = Head::deserialize(told.get("journal").unwrap_or(&told));
    Ok(head.with_context(|| format!("{shown}: has no journal head: {{\"sequence\": \"12\", \"hash\": \"…\"}}"))?)
}
