//! The loop of one client: join, ask for a task, work, answer, ask again. It ends only when the client may not take part.

use std::{convert::Infallible, sync::Arc, time::Duration};

use dure_core::{name::ClientName, round::Kind};
use dure_learn::data::ClientRows;
use dure_machine::kill;
use dure_wire::api::{ClientPatch, TaskView};
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, timeout};

use crate::{
    asking::renew,
    backoff::{Backoff, Patience},
    calls::{self, Polled},
    memory::Memory,
    share::Shared,
    site::Site,
    state::{Home, Secret, StateError},
    status::State,
    work::{self, Made, Rows},
};

/// The longest that a poll waits.
const LONGEST_POLL: Duration = Duration::from_secs(20);

/// For how long a job and a model are fetched at least, and at most, before the task is asked for again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86400);

/// How often the machine is looked at for what has changed.
const FACTS: Duration = Duration::from_secs(60);

/// A server that answers polls at once is asked no more often than this.
pub const PAUSE: Duration = Duration::from_millis(200);

/// A client of this process.
pub struct Client {
    pub(crate) site: Arc<Site>,
    pub(crate) name: ClientName,
    pub(crate) rows: Rows,
    pub(crate) home: Home,
    pub(crate) secret: Secret,
    /// Whether the server may know the secret already.
    pub(crate) known: bool,
    pub(crate) memory: Memory,
    /// What it says of its data.
    pub(crate) shared: Map<String, Value>,
    /// What it last said of itself, and when.
    pub(crate) facts: (Instant, Map<String, Value>),
    /// Why the server knows that it takes no tasks; `None` before anything was told.
    pub(crate) told: Option<Option<String>>,
    pub(crate) backoff: Backoff,
    /// How often it has joined again since a call was answered well.
    pub(crate) joins: Backoff,
    /// For how long its files cannot be written.
    pub(crate) disk: Patience,
}

/// Why a client's loop is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Over {
    /// The operator sent it away, with these words.
    Evicted(String),
    /// Its name is somebody else's.
    NameTaken(String),
    /// A fault of ours.
    Broken(String),
}

/// Why there is no answer to a task.
pub enum Halt {
    /// The client's loop is over.
    Over(Over),
    /// The task cannot or may not be done.
    Decline(String),
    /// Not now; if the round is still open, the server gives the task again.
    Later,
}

impl From<Over> for Halt {
    fn from(over: Over) -> Self {
        Self::Over(over)
    }
}

impl Client {
    /// Of these rows. Its secret is on disk when this returns.
    pub fn new(site: Arc<Site>, data: ClientRows, home: Home) -> Result<Self, StateError> {
        let (secret, known) = home.secret()?;
        let (memory, name) = (home.memory()?, data.name.clone());
        let Shared { facts: shared, withheld } = Shared::of(&site.policy, &data, &site.schema);
        site.statuses.change(&name, |status| {
            (status.tally, status.shared, status.withheld) = (memory.state.tally(), shared.clone(), withheld);
        });
        let (backoff, joins) = (Backoff::new(name.as_str()), Backoff::new(name.as_str()));
        let (rows, disk) = (Rows::new(data), Patience::new(name.as_str()));
        let facts = (Instant::now(), Map::new());
        Ok(Self { site, name, rows, home, secret, known, memory, shared, facts, told: None, backoff, joins, disk })
    }

    /// Takes part until it may no longer.
    pub async fn live(mut self) -> Over {
        match self.take_part().await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn take_part(&mut self) -> Result<Infallible, Over> {
        self.join().await?;
        loop {
            self.tell().await?;
            match self.poll().await? {
                Some(Polled::Task(task)) => self.take(&task).await?,
                Some(Polled::Nothing(_)) => {
                    self.resolve().await?;
                    self.tell_facts().await?;
                }
                None => {}
            }
        }
    }

    /// Tells the server whether this client takes tasks, if it does not know.
    async fn tell(&mut self) -> Result<(), Over> {
        let unready = self.site.unready.borrow().clone();
        if self.told.as_ref() == Some(&unready) {
            return Ok(());
        }
        let told = self.call(&calls::readiness(&self.name, unready.as_deref())).await?;
        self.show(|status| {
            status.wait(unready.is_none());
            status.last_error = told.err().map(|problem| problem.detail).or_else(|| unready.clone());
        });
        self.told = Some(unready);
        Ok(())
    }

    /// Says what has changed of its machine, from time to time.
    async fn tell_facts(&mut self) -> Result<(), Over> {
        if self.site.measure.is_none() || self.facts.0.elapsed() < FACTS {
            return Ok(());
        }
        let facts = self.site.facts_of(&self.shared);
        let same = facts == self.facts.1;
        self.facts = (Instant::now(), facts.clone());
        if !same {
            let patch = ClientPatch { facts: Some(facts), ..ClientPatch::default() };
            // What the server refuses it refuses again; it knows what was said before.
            let _ = self.call(&calls::patch(&self.name, &patch)).await?;
        }
        Ok(())
    }

    /// Asks for a task once. `None` if there was no answer, or if there is something to tell first.
    async fn poll(&mut self) -> Result<Option<Polled>, Over> {
        let mut unready = self.site.unready.subscribe();
        let now = unready.borrow_and_update().clone();
        if self.told.as_ref() != Some(&now) {
            return Ok(None);
        }
        self.show(|status| status.wait(now.is_none()));
        let (poll, began) = (calls::poll(&self.name, self.wait_s()), Instant::now());
        let polled = tokio::select! {
            biased;
            polled = self.attempt(&poll) => polled?,
            _ = unready.changed() => None,
        };
        match &polled {
            Some(Err(problem)) => self.pause(&problem.detail, None).await,
            Some(Ok(Polled::Nothing(_))) if began.elapsed() < PAUSE => sleep(PAUSE).await,
            _ => {}
        }
        Ok(polled.and_then(Result::ok))
    }

    /// How long a poll may wait. A short lease is renewed in time; after an outage nothing is waited for, to see that it is over.
    fn wait_s(&self) -> u64 {
        let most = (self.site.lease() / 3).min(LONGEST_POLL).as_secs().max(1);
        if self.backoff.tries() > 0 { 0 } else { most }
    }

    /// Works on a task, and keeps the lease meanwhile.
    async fn take(&mut self, task: &TaskView) -> Result<(), Over> {
        self.show(|status| {
            (status.state, status.task, status.job) = (State::Training, Some(task.task.clone()), Some(task.job));
            (status.round, status.version) = (Some(task.ordinal), task.version);
        });
        let renewal = renew(Arc::clone(&self.site), self.name.clone(), self.secret.clone());
        let done = tokio::select! {
            biased;
            done = self.work(task) => done,
            never = renewal => match never {},
        };
        match done {
            Ok(()) | Err(Halt::Later) => Ok(()),
            Err(Halt::Over(over)) => Err(over),
            Err(Halt::Decline(reason)) => self.decline(task, &reason).await,
        }
    }

    async fn work(&mut self, task: &TaskView) -> Result<(), Halt> {
        work::check(task, &self.rows).map_err(Halt::Decline)?;
        if self.memory.pending.as_ref().is_some_and(|pending| pending.task == task.task) {
            let job = self.job(task.job, true).await?;
            if self.is_of(job.digest, Some(task.base)) {
                return self.send_kept(None).await;
            }
            self.forget_kept("it was made for another job or model of the same name").await;
        } else {
            self.resolve().await?;
        }
        if self.memory.pending.is_some() && task.kind == Kind::Train {
            if self.disk.is_over() {
                return Err(Halt::Decline("the site cannot keep its answer: its memory cannot be written".into()));
            }
            // The server has not yet said what became of the last answer, and state k+1 begins with that.
            sleep(PAUSE).await;
            return Err(Halt::Later);
        }
        let began = Instant::now();
        match self.make(task).await? {
            Made::Update(made) => self.send_update(task, made).await?,
            Made::Json(json) => self.send_answer(task, json).await?,
        }
        let (kind, round, ms) = (task.kind, task.task.round, began.elapsed().as_millis() as u64);
        tracing::info!(client = %self.name, %kind, %round, ms, "{} has done its part in round {round} in {ms} ms", self.name);
        Ok(())
    }

    /// The answer to a task: fetches what it needs, asks the site's policy, and works.
    async fn make(&mut self, task: &TaskView) -> Result<Made, Halt> {
        // What cannot be fetched before the round ends is of no use.
        let patience = Duration::try_from_secs_f64(task.deadline_s).unwrap_or_default().clamp(SHORTEST, LONGEST);
        let (job, grounds) = timeout(patience, self.fetch(task)).await.map_err(|_| Halt::Later)??;
        let permit = Arc::clone(&self.site.threads).acquire_owned().await;
        let permit = permit.map_err(|_| Halt::Decline("the agent is being stopped".into()))?;
        let (task, mut rows) = (task.clone(), self.rows.clone());
        let run = move || {
            let made = work::answer(&task, &job, &mut rows, &grounds);
            drop(permit);
            (made, rows)
        };
        let done = kill::around_async("labour", self.site.machine.labour(run)).await;
        let done = done.map_err(|error| Halt::Decline(format!("the site's machine gives no thread: {error}")))?;
        let broken = || "the work broke off at a fault of this program; the agent's log has it".to_owned();
        let (made, rows) = done.ok_or_else(|| Halt::Decline(broken()))?;
        self.rows = rows;
        made.map_err(Halt::Decline)
    }
}
