//! A journal's run once more: every event is held to the rules, every answer and every model is made again and held
//! against its digest.
//!
//! Which updates were admitted may have depended on arrival; a replay takes exactly those that the journal has.

use std::collections::{BTreeMap, VecDeque};

use dure_core::{
    digest::Digest,
    event::{Answer, Event, Record},
    federation::{Federation, Owed},
    job::{Collection, Job},
    name::ClientName,
    round::RoundId,
    statistics::Sums,
    update::Update,
};
use dure_learn::work::Work;
use dure_wire::{AdvanceError, Answers, Models};

use crate::{
    clients::{Base, Clients, Reply},
    past::Past,
    simulation::Progress,
};

/// What a replay has seen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Answers that came out alike.
    pub answers: u64,
    /// Model versions that came out alike.
    pub versions: u64,
}

/// Where a replay parts from its journal.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// Something came out otherwise.
    #[error(
        "entry {entry}: {what} came out otherwise: the journal has {want}, this replay {got}; other figures of these, or other data, another world, recipe or program"
    )]
    Differs {
        /// The entry, counted from 1.
        entry: usize,
        /// What.
        what: String,
        /// In the journal.
        want: String,
        /// Here.
        got: String,
    },
    /// The journal asks for what this data set does not have.
    #[error("entry {entry}: {what}")]
    Impossible {
        /// The entry, counted from 1.
        entry: usize,
        /// What is missing.
        what: String,
    },
    /// The rules would not have decided this.
    #[error(
        "entry {entry}: the rules would not have decided this event after those before it; the journal was not written by them"
    )]
    Unruly {
        /// The entry, counted from 1.
        entry: usize,
    },
    /// There is no next model version.
    #[error(transparent)]
    Advance(#[from] AdvanceError),
}

/// Repeats a journal's run with everybody's rows.
pub fn replay(
    records: &[Record],
    clients: &mut Clients,
    progress: &mut dyn FnMut(Progress<'_>),
) -> Result<(Federation, Option<Models>, Replayed), ReplayError> {
    let mut replay = Replay::default();
    for (i, record) in records.iter().enumerate() {
        replay.federation.hold(record, &mut replay.due).ok_or(ReplayError::Unruly { entry: i + 1 })?;
        replay.make_again(i + 1, &record.event, clients)?;
        replay.federation.apply(record);
        if let (Event::ModelPublished { .. }, Some(job)) = (&record.event, replay.federation.active()) {
            progress(Progress::of(job, replay.models.as_ref()));
        }
    }
    Ok((replay.federation, replay.models, replay.seen))
}

#[derive(Default)]
struct Replay {
    federation: Federation,
    /// What the rules decided together with the last event.
    due: VecDeque<Event>,
    models: Option<Models>,
    past: Past,
    updates: Vec<Update>,
    seen: Replayed,
}

impl Replay {
    /// Makes again what `event` says was made, before it is applied.
    fn make_again(&mut self, entry: usize, event: &Event, clients: &mut Clients) -> Result<(), ReplayError> {
        match event {
            Event::ClientJoined { client, .. } if clients.position(client).is_none() => Err(ReplayError::Impossible {
                entry,
                what: format!("the data set has no client {client}; if its world had more, say world.population again"),
            }),
            Event::JobStarted { job, .. } | Event::JobStepped { job } => self.take_up(entry, *job, clients),
            Event::RoundOpened { round, .. } => {
                self.give(*round);
                Ok(())
            }
            Event::RoundCompleted { round, .. } => self.answers(entry, *round, clients),
            // What an asynchronous job has of answers counts in a later round.
            Event::RoundAbandoned { round, .. } if !self.is_asynchronous(*round) => {
                self.answers(entry, *round, clients)
            }
            Event::ModelPublished { version, job, sha256, state, .. } => {
                let made = self.next_model(*job, clients)?;
                let said = |digest: Option<Digest>| digest.map_or_else(|| "none".into(), |digest| digest.to_string());
                let differs = |what, want, got| ReplayError::Differs { entry, what, want: said(want), got: said(got) };
                let (got, got_state) = made;
                if got != Some(*sha256) {
                    return Err(differs(format!("model version {version}"), Some(*sha256), got));
                }
                if got_state != *state {
                    return Err(differs(
                        format!("what the optimizer remembers after version {version}"),
                        *state,
                        got_state,
                    ));
                }
                self.seen.versions += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn is_asynchronous(&self, round: RoundId) -> bool {
        self.federation.job(round.job).is_some_and(|job| job.is_asynchronous(round))
    }

    /// A round is opened: whoever answers it later is given this version again.
    fn give(&mut self, round: RoundId) {
        let job = self.federation.job(round.job).filter(|job| job.is_asynchronous(round));
        if let (Some(job), Some(models)) = (job, &self.models) {
            self.past.give(job, round, models);
        }
    }

    /// Divides the rows as a job wants them divided.
    fn take_up(&self, entry: usize, job: u32, clients: &mut Clients) -> Result<(), ReplayError> {
        let impossible =
            |why: String| ReplayError::Impossible { entry, what: format!("job {job} cannot be repeated: {why}") };
        let Some(job) = self.federation.job(job) else { return Ok(()) };
        let work = Work::of(&job.plan).map_err(|error| impossible(error.to_string()))?;
        if work.schema != clients.work().schema {
            return Err(impossible("its rows mean something else than the first job's".into()));
        }
        clients.take_up(work, job.seed).map_err(|error| impossible(error.to_string()))
    }

    /// The digests of the next version and of what the optimizer remembers after it.
    fn next_model(
        &mut self,
        job: u32,
        clients: &mut Clients,
    ) -> Result<(Option<Digest>, Option<Digest>), AdvanceError> {
        match self.federation.owed() {
            Some(Owed::Initial(owing)) if owing.id == job => self.models = Some(Models::initial(owing)),
            Some(Owed::Next(owing, round)) if owing.id == job => {
                if let Some(models) = &mut self.models {
                    if owing.plan.asynchronous().is_some_and(|asynchronous| asynchronous.mixes) {
                        for (client, update) in round.answers.keys().zip(&mut self.updates) {
                            self.past.of(round, client).iter().for_each(|base| models.rebase(update, base.params));
                        }
                    }
                    let ages = round.ages();
                    let answers = Answers { updates: &self.updates, staleness: &ages, among: round.among };
                    models.advance(owing, answers, clients.threads().current_num_threads())?;
                    clients.keep(round.answers.keys());
                }
            }
            _ => return Ok((None, None)),
        }
        Ok((self.models.as_ref().map(Models::sha256), self.models.as_ref().and_then(Models::state_sha256)))
    }

    /// Makes every answer of a round again that is about to end.
    fn answers(&mut self, entry: usize, id: RoundId, clients: &mut Clients) -> Result<(), ReplayError> {
        let Some((job, round)) = open(&self.federation, id) else { return Ok(()) };
        let newest = self.models.as_ref().filter(|_| round.version.is_some()).map(|models| Base::newest(models, job));
        let asynchronous = job.is_asynchronous(id);
        let task = |client: &ClientName| job.under_way.get(client).filter(|_| asynchronous);
        let given = |client: &ClientName| task(client).map_or(id, |task| task.round);
        let mut tasks = BTreeMap::<RoundId, Vec<ClientName>>::new();
        round.answers.keys().for_each(|client| tasks.entry(given(client)).or_default().push(client.clone()));
        let mut made = BTreeMap::new();
        for (given, names) in tasks {
            let base = if given == id { newest } else { self.past.given(given) };
            let replies = clients.answer(job, given, base, &names);
            made.extend(names.into_iter().zip(replies));
        }
        self.updates.clear();
        for ((client, want), reply) in round.answers.iter().zip(made.into_values()) {
            let what = format!("{client}'s answer in round {id}");
            match reply {
                Reply::Ok((got, update)) if got == *want => {
                    self.updates.extend(update);
                    self.seen.answers += 1;
                }
                Reply::Ok((got, _)) => {
                    return Err(ReplayError::Differs { entry, what, want: brief(want), got: brief(&got) });
                }
                Reply::Err(error) => return Err(ReplayError::Impossible { entry, what: error.to_string() }),
            }
        }
        Ok(())
    }
}

fn open(federation: &Federation, id: RoundId) -> Option<(&Job, &Collection)> {
    Some((federation.job(id.job)?, federation.open_round().filter(|round| round.id == id)?))
}

/// An answer in a few words.
fn brief(answer: &Answer) -> String {
    match answer {
        Answer::Update { sha256, weight, .. } => format!("an update {sha256} of {} examples", weight.get()),
        Answer::Measured { statistics } => {
            let rows = statistics.values().next().map_or(0, |moments| moments.n);
            format!("moments of {} columns over {rows} rows", statistics.len())
        }
        Answer::Evaluated { sums } => {
            let rows = sums.values().next().map_or(0, Sums::rows);
            format!("errors over {rows} rows")
        }
    }
}
