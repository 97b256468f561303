//! The loop of one client: join, ask for a task, work, answer, ask again. It ends only when the client may not take part.

use std::{
    convert::Infallible,
    sync::Arc,
    time::{Duration, Instant},
};

use dure_core::{digest::Digest, model::Params, name::ClientName, round::Kind};
use dure_learn::data::ClientRows;
use dure_wire::{
    api::{ClientPatch, Problem, TaskView},
    decode_model,
};
use tokio::time::{sleep, timeout};

use crate::{
    backoff::Backoff,
    calls::{self, Polled},
    http::{Call, CallError, is},
    memory::Memory,
    policy::Asked,
    prepare::Job,
    site::Site,
    state::{Home, Secret, StateError},
    status::State,
    witness::Tells,
    work::{self, Made, Rows},
};

/// The longest that a poll waits.
const LONGEST_POLL: Duration = Duration::from_secs(20);

/// For how long a job and a model are fetched at least, and at most, before the task is asked for again.
const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(86400);

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
    /// Why the server knows that it takes no tasks; `None` before anything was told.
    pub(crate) told: Option<Option<String>>,
    pub(crate) backoff: Backoff,
    /// How often it has joined again since a call was answered well.
    pub(crate) joins: Backoff,
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
        site.statuses.change(&name, |status| status.tally = memory.state);
        let (backoff, joins) = (Backoff::new(name.as_str()), Backoff::new(name.as_str()));
        Ok(Self { site, name, rows: Rows::new(data), home, secret, known, memory, told: None, backoff, joins })
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
                Some(Polled::Nothing(_)) => self.resolve().await?,
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

    /// Asks for a task once. `None` if there was no answer, or if there is something to tell first.
    async fn poll(&mut self) -> Result<Option<Polled>, Over> {
        let mut unready = self.site.unready.subscribe();
        if self.told.as_ref() != Some(&*unready.borrow_and_update()) {
            return Ok(None);
        }
        let poll = calls::poll(&self.name, self.wait_s());
        self.show(|status| status.wait(unready.borrow().is_none()));
        let began = Instant::now();
        let polled = tokio::select! {
            polled = self.attempt(&poll) => polled?,
            _ = unready.changed() => return Ok(None),
        };
        match polled {
            Some(Ok(polled)) => {
                if matches!(polled, Polled::Nothing(_)) && began.elapsed() < PAUSE {
                    sleep(PAUSE).await;
                }
                Ok(Some(polled))
            }
            Some(Err(problem)) => {
                self.pause(&problem.detail, None).await;
                Ok(None)
            }
            None => Ok(None),
        }
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
            return self.send_kept(None).await;
        }
        self.resolve().await?;
        if self.memory.pending.is_some() && task.kind == Kind::Train {
            // The server has not yet said what became of the last answer, and state k+1 begins with that.
            sleep(PAUSE).await;
            return Err(Halt::Later);
        }
        let began = Instant::now();
        match self.make(task).await? {
            Made::Update(bytes, examples) => self.send_update(task, bytes, examples).await?,
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
        let (job, base) = timeout(patience, self.fetch(task)).await.map_err(|_| Halt::Later)??;
        let permit = Arc::clone(&self.site.threads).acquire_owned().await;
        let permit = permit.map_err(|_| Halt::Decline("the agent is being stopped".into()))?;
        let (task, mut rows) = (task.clone(), self.rows.clone());
        let run = move || {
            let made = work::answer(&task, &job, &mut rows, base.as_deref());
            (made, rows)
        };
        let (made, rows) = work::on_thread(permit, run).await.map_err(Halt::Decline)?;
        self.rows = rows;
        made.map_err(Halt::Decline)
    }

    async fn fetch(&mut self, task: &TaskView) -> Result<(Arc<Job>, Option<Arc<Params>>), Halt> {
        let job = self.job(task).await?;
        let (plan, work) = (&job.plan, &job.work);
        self.show(|status| status.rounds = Some(job.rounds));
        let asked = Asked { task: &task.task, cohort: task.cohort, plan, work };
        self.site.policy.check(&asked).map_err(Halt::Decline)?;
        if let Some(why) = self.site.unready.borrow().clone() {
            return Err(Halt::Decline(why));
        }
        let base = match task.version.zip(task.base).filter(|_| task.kind != Kind::Measure) {
            Some((version, sha256)) => Some(self.model(&job, version, sha256).await?),
            None => None,
        };
        Ok((job, base))
    }

    /// The job of a task. It is asked for once before its columns are measured and once after.
    async fn job(&mut self, task: &TaskView) -> Result<Arc<Job>, Halt> {
        let site = Arc::clone(&self.site);
        let cell = site.jobs.cell((task.job, task.kind != Kind::Measure));
        let fetch = async {
            let view = self.call(&calls::job(task.job)).await?.map_err(|problem| Halt::Decline(problem.detail))?;
            Job::of(view, &site.schema, site.most_rows).map(Arc::new).map_err(Halt::Decline)
        };
        cell.get_or_try_init(|| fetch).await.cloned()
    }

    /// A model version, for all clients of the process.
    async fn model(&mut self, job: &Job, version: u32, sha256: Digest) -> Result<Arc<Params>, Halt> {
        let (site, limit) = (Arc::clone(&self.site), job.max_model_bytes());
        let cell = site.models.cell(sha256);
        let fetch = async {
            let file = self.call(&calls::weights(version, limit)).await?;
            let file = file.map_err(|problem| Halt::Decline(problem.detail))?;
            let read = decode_model(&file, Some(&job.layout), limit, Some(sha256));
            let unfit =
                |error| Halt::Decline(format!("the file of model version {version} is not as expected: {error}"));
            read.map(|(params, _)| Arc::new(params)).map_err(unfit)
        };
        cell.get_or_try_init(|| fetch).await.cloned()
    }
}

impl Client {
    /// Asks until there is an answer: a good one, or what the server refuses for good.
    pub(crate) async fn call<T: Tells>(&mut self, call: &Call<T>) -> Result<Result<T, Problem>, Over> {
        loop {
            if let Some(answer) = self.attempt(call).await? {
                return Ok(answer);
            }
        }
    }

    /// Asks once. `None` if it is to be asked again: the server was away, or this client had to join again.
    async fn attempt<T: Tells>(&mut self, call: &Call<T>) -> Result<Option<Result<T, Problem>>, Over> {
        match self.site.send(call, self.secret.reveal()).await {
            Ok(answer) => {
                self.joins.reset();
                self.reached();
                Ok(Some(Ok(answer)))
            }
            Err(CallError::Away { why, retry_after }) => {
                self.pause(&why, retry_after).await;
                Ok(None)
            }
            Err(CallError::Refused(problem)) => self.refused(problem).await,
        }
    }

    /// A refusal is final, or says that this client has to join again.
    async fn refused<T>(&mut self, problem: Problem) -> Result<Option<Result<T, Problem>>, Over> {
        match problem.status {
            403 if is(&problem, "evicted") => Err(Over::Evicted(problem.detail)),
            401 | 403 if problem.status == 401 || is(&problem, "not-a-member") => {
                tracing::warn!(client = %self.name, "{} is no member any more: {}; joining again", self.name, problem.detail);
                sleep(self.joins.next()).await;
                self.join().await.map(|()| None)
            }
            _ => Ok(Some(Err(problem))),
        }
    }

    /// The server is away, or refuses what it should not: waits, longer each time.
    pub(crate) async fn pause(&mut self, why: &str, retry_after: Option<Duration>) {
        let wait = self.backoff.next().max(retry_after.unwrap_or_default());
        self.site.link.failed(self.backoff.tries(), why);
        self.show(|status| (status.away, status.last_error) = (true, Some(why.into())));
        sleep(wait).await;
    }

    /// The server has answered.
    pub(crate) fn reached(&mut self) {
        self.site.link.reached(self.backoff.tries() > 0);
        if self.backoff.tries() > 0 {
            self.backoff.reset();
            self.show(|status| (status.away, status.last_error) = (false, None));
        }
    }

    pub(crate) fn show(&self, change: impl FnOnce(&mut crate::status::ClientStatus)) {
        self.site.statuses.change(&self.name, change);
    }
}

/// Renews the lease of a client that is busy, for ever.
async fn renew(site: Arc<Site>, name: ClientName, secret: Secret) -> Infallible {
    loop {
        sleep(site.lease() / 3).await;
        // If nobody answers, the client's own call will see it.
        let _ = site.send(&calls::patch(&name, &ClientPatch::default()), secret.reveal()).await;
    }
}
