//! A world: one server, some sites, a network, an operator, and whatever happens to them.

use std::{
    collections::{BTreeMap, BTreeSet},
    iter,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use dure_core::{
    federation::{Version, Waiting},
    job::Status,
    journal::Head,
    random::Stream,
};
use rand::SeedableRng as _;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, sleep_until},
};

use crate::{
    disk::Platter,
    history::{Act, History, LENGTH, What, Who},
    laws::{self, Rest},
    life::Life,
    network::{Connection, Line},
    operator::Operator,
    records::Records,
    server::ServerMachine,
    site::{FEDERATION, SiteMachine, rows, troubled_now},
};

/// For how long, at most, a world may take to come to rest once all faults have ended.
const REST: Duration = Duration::from_secs(900);

/// How many requests a client may make in a second, at most: it asks again when it has an answer, and not before.
const REQUESTS_A_SECOND: u64 = 25;

/// What a world was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Entries of the journal.
    pub entries: usize,
    /// Model versions.
    pub versions: usize,
    /// Requests that clients made.
    pub requests: u64,
    /// How often a machine died.
    pub deaths: u64,
    /// How often it lost its power then, and with it what was not synced.
    pub power_losses: u64,
    /// Syncs that failed.
    pub failed_syncs: u64,
    /// Versions of which each client's weight was looked at: nobody but itself moves it.
    pub units: usize,
    /// Witnesses who said that a journal was cut off.
    pub complaints: usize,
    /// Rounds that were abandoned.
    pub abandoned: usize,
    /// Versions that answers to older ones counted in.
    pub stale: usize,
    /// The digest of the journal's end.
    pub head: Option<dure_core::digest::Digest>,
}

struct World {
    history: History,
    server: Arc<ServerMachine>,
    sites: Vec<Arc<SiteMachine>>,
    operator: Arc<Operator>,
    records: Arc<Records>,
    keys: Arc<Mutex<BTreeMap<String, BTreeSet<u32>>>>,
    /// What the operator is busy with.
    busy: Mutex<Vec<JoinHandle<()>>>,
    began: Instant,
}

/// Lets a history happen, and holds what is left to the laws. The same history is the same world, to the last byte.
pub fn run(history: &History) -> Result<Report, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let world = World::begin(history.clone()).await?;
        world.happen().await;
        world.heal();
        world.rest().await?;
        world.judge().await
    })
}

impl World {
    async fn begin(history: History) -> Result<Self, String> {
        let mut numbers = Stream::seed_from_u64(history.seed);
        let mut fork = || Stream::from_rng(&mut numbers);
        let (server, records) = (ServerMachine::new(), Arc::<Records>::default());
        tokio::spawn(server.clone().live(fork()));
        let connection = Connection {
            line: Line::new(fork()),
            breath: Life::new().breath(),
            server: server.clone(),
            records: records.clone(),
        };
        let operator = Arc::new(Operator { connection });
        let token = operator.begin().await?;
        let sites: Vec<_> = (0..history.sites).map(|number| SiteMachine::new(number, fork())).collect();
        for (number, site) in sites.iter().enumerate() {
            let (server, records, rows) = (server.clone(), records.clone(), rows(number, history.sites));
            tokio::spawn(site.clone().live(server, records, token.clone(), rows, fork()));
        }
        Ok(Self {
            history,
            server,
            sites,
            operator,
            records,
            keys: Arc::default(),
            busy: Mutex::default(),
            began: Instant::now(),
        })
    }

    /// Lets everything happen, each at its time.
    async fn happen(&self) {
        for (number, Act { at, what }) in self.history.acts.iter().enumerate() {
            sleep_until(self.began + Duration::from_millis(*at)).await;
            self.act(number, what);
        }
        sleep_until(self.began + Duration::from_millis(LENGTH)).await;
    }

    fn act(&self, number: usize, what: &What) {
        let site = |site: &usize| &self.sites[site % self.sites.len()];
        match what {
            What::Job(keys) => self.make_job(format!("job-{number}"), *keys),
            What::Do(deed) => {
                let job = self.server.federation(FEDERATION).map_or(0, |federation| federation.jobs.len() as u32);
                let (operator, deed) = (self.operator.clone(), *deed);
                self.operates(async move { drop(operator.act(job.max(1), deed).await) });
            }
            What::On(which) => drop(site(which).on.send_replace(true)),
            What::Off(which) => drop(site(which).on.send_replace(false)),
            What::Evict(which) => {
                let (operator, client) = (self.operator.clone(), site(which).client.clone());
                self.operates(async move { drop(operator.evict(client.as_str()).await) });
            }
            What::Die(who, fuse, down) => {
                let (life, down_for) = match who {
                    Who::Server => (&self.server.life, &self.server.down),
                    Who::Site(which) => (&site(which).life, &site(which).down),
                };
                *down_for.lock().unwrap_or_else(PoisonError::into_inner) = Duration::from_millis((*down).into());
                life.light(*fuse);
            }
            What::Mishap(which, mishap) => site(which).line.befall(*mishap),
            What::Cut(which, length, silently) => {
                site(which).line.cut(Duration::from_millis((*length).into()), *silently);
            }
            What::OperatorMishap(mishap) => self.operator.connection.line.befall(*mishap),
            What::Full(who, length) => self.trouble(who, *length, |platter| platter.faults.full = true),
            What::ReadOnly(who, length) => self.trouble(who, *length, |platter| platter.faults.read_only = true),
            What::SyncsFail(who, syncs) => self.trouble(who, 5000, |platter| platter.faults.syncs = *syncs),
            What::ChangesFail(failing) => {
                let mut tables = self.server.tables.lock().unwrap_or_else(PoisonError::into_inner);
                tables.failing.extend(failing);
            }
        }
    }

    /// The operator does something; how it goes is told later, or never.
    fn operates(&self, deed: impl Future<Output = ()> + Send + 'static) {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).push(tokio::spawn(deed));
    }

    fn is_busy(&self) -> bool {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|deed| !deed.is_finished())
    }

    fn make_job(&self, key: String, keys: crate::history::JobKeys) {
        let (operator, made, sites) = (self.operator.clone(), self.keys.clone(), self.sites.len());
        let seed = self.history.seed;
        self.operates(async move {
            if let Ok(job) = operator.job(&key, &keys, sites, seed).await {
                made.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default().insert(job);
            }
        });
    }

    /// Something is wrong with a disk for so many milliseconds.
    fn trouble(&self, who: &Who, length: u32, change: impl FnOnce(&mut Platter)) {
        let (platter, tables) = match who {
            Who::Server => (self.server.platter.clone(), Some(self.server.tables.clone())),
            Who::Site(which) => (self.sites[which % self.sites.len()].platter.clone(), None),
        };
        change(&mut platter.lock().unwrap_or_else(PoisonError::into_inner));
        troubled_now(&platter);
        let faults = platter.lock().unwrap_or_else(PoisonError::into_inner).faults;
        let set_full = move |full: bool| {
            if let Some(tables) = &tables {
                tables.lock().unwrap_or_else(PoisonError::into_inner).full = full;
            }
        };
        set_full(faults.full || faults.read_only);
        tokio::spawn(async move {
            sleep(Duration::from_millis(length.into())).await;
            platter.lock().unwrap_or_else(PoisonError::into_inner).faults = Default::default();
            troubled_now(&platter);
            set_full(false);
        });
    }

    /// All faults end, and everybody is there who can be.
    fn heal(&self) {
        for (life, platter) in iter::once((&self.server.life, &self.server.platter))
            .chain(self.sites.iter().map(|site| (&site.life, &site.platter)))
        {
            life.spare();
            platter.lock().unwrap_or_else(PoisonError::into_inner).faults = Default::default();
        }
        {
            let mut tables = self.server.tables.lock().unwrap_or_else(PoisonError::into_inner);
            (tables.failing, tables.full) = (vec![], false);
        }
        self.operator.connection.line.mend();
        for site in &self.sites {
            site.line.mend();
            site.on.send_replace(true);
        }
    }

    /// Waits until every job has come to its end and every client knows what became of its answers. A job that cannot go on for
    /// want of clients is ended by the operator; whatever else does not go on has broken the law of progress.
    async fn rest(&self) -> Result<(), String> {
        let limit = Instant::now() + REST;
        loop {
            sleep(Duration::from_millis(500)).await;
            if self.is_at_rest().await? {
                return Ok(());
            }
            if Instant::now() > limit {
                return Err(format!("no progress: {}", self.standing()));
            }
        }
    }

    async fn is_at_rest(&self) -> Result<bool, String> {
        if let Some(over) = self.sites.iter().find_map(|site| site.over.borrow().clone().filter(|why| why != "evicted"))
        {
            return Err(format!("an agent gave up: {over}"));
        }
        let Some(federation) = self.server.federation(FEDERATION) else { return Ok(false) };
        let taking_part = self.sites.iter().filter(|site| site.takes_part());
        let there = taking_part.clone().all(|site| federation.eligible().contains(&&site.client));
        if let Some(job) = federation.active() {
            match federation.waiting() {
                Some(Waiting::Clients { .. }) if there => {
                    let enough = job.plan.needed();
                    if taking_part.count() >= enough {
                        return Err(format!("job {} waits for clients, and {enough} are there", job.id));
                    }
                    drop(self.operator.act(job.id, crate::history::Deed::Abort).await)
                }
                Some(Waiting::Resume | Waiting::Aggregate { .. }) => {
                    drop(self.operator.act(job.id, crate::history::Deed::Resume).await);
                }
                _ => {}
            }
            return Ok(false);
        }
        if let Some(job) = federation.jobs.iter().find(|job| job.status == Status::Created) {
            drop(self.operator.start(job.id).await);
            return Ok(false);
        }
        let settled = taking_part.clone().all(|site| site.memory().is_ok_and(|memory| memory.pending.is_none()));
        Ok(there && settled && !self.is_busy() && self.server.trouble(FEDERATION).is_none())
    }

    fn standing(&self) -> String {
        let Some(federation) = self.server.federation(FEDERATION) else { return "the server does not run".into() };
        let (waiting, active) = (federation.waiting().map(|w| w.to_string()), federation.active().map(|job| job.id));
        let pending: Vec<_> = self
            .sites
            .iter()
            .filter(|site| site.memory().is_ok_and(|m| m.pending.is_some()))
            .map(|s| s.client.clone())
            .collect();
        let eligible = federation.eligible();
        let trouble = self.server.trouble(FEDERATION);
        format!(
            "job {active:?} waits for {waiting:?}; ready are {eligible:?}; {pending:?} have pending answers; trouble: {trouble:?}"
        )
    }

    /// What is left, and whether it is as it must be: now, and after the server has lost its power once more.
    async fn judge(&self) -> Result<Report, String> {
        // Left-overs are deleted beside the driver.
        sleep(Duration::from_secs(2)).await;
        let rest = self.what_is_left()?;
        laws::hold(&rest)?;
        let passed = self.records.passed();
        if let Some(fault) = passed.faults.first() {
            return Err(format!("the server broke: {fault}"));
        }
        let seconds = self.began.elapsed().as_secs() + 1;
        let most = REQUESTS_A_SECOND * seconds * self.sites.len() as u64;
        if passed.requests > most {
            return Err(format!("{} requests in {seconds} s", passed.requests));
        }
        if self.sites.iter().any(|site| site.contradicts()) {
            return Err("a witness speaks of a journal that was cut, and none was".into());
        }
        let mut report = self.report(&rest);
        self.die_once_more(&rest).await?;
        if self.history.cut > 0 {
            report.complaints = self.cut(&rest).await?;
        }
        Ok(report)
    }

    fn report(&self, rest: &Rest) -> Report {
        let abandoned = rest.journal.iter().filter(|entry| entry.event.get().contains("round_abandoned")).count();
        let lives = || iter::once(&self.server.life).chain(self.sites.iter().map(|site| &site.life));
        let platters = iter::once(&self.server.platter).chain(self.sites.iter().map(|site| &site.platter));
        let failed =
            |platter: &Arc<Mutex<Platter>>| platter.lock().unwrap_or_else(PoisonError::into_inner).failed_syncs;
        let staleness = rest.journal.iter().filter(|entry| entry.event.get().contains("\"staleness\":{")).count();
        let is_of_units = |version: &&Version| {
            version.round > 0 && rest.shown.job(version.job).is_some_and(|job| job.plan.measure.is_empty())
        };
        Report {
            entries: rest.journal.len(),
            versions: rest.shown.versions.len(),
            requests: rest.passed.requests,
            deaths: lives().map(|life| life.deaths()).sum(),
            power_losses: lives().map(|life| life.power_losses()).sum(),
            failed_syncs: platters.map(failed).sum(),
            units: rest.shown.versions.iter().filter(is_of_units).count(),
            complaints: 0,
            abandoned,
            stale: staleness,
            head: rest.journal.last().map(|entry| entry.hash),
        }
    }

    fn what_is_left(&self) -> Result<Rest, String> {
        let memory = |site: &Arc<SiteMachine>| {
            let memory = site.memory().map_err(|error| format!("the memory of {}: {error}", site.client))?;
            Ok((site.client.clone(), (memory.state.rounds, memory.pending.is_some())))
        };
        let sites = self.sites.iter().filter(|site| site.takes_part());
        Ok(Rest {
            journal: self.server.tables.lock().unwrap_or_else(PoisonError::into_inner).journal(FEDERATION),
            shown: self.server.federation(FEDERATION).ok_or("the server does not run")?,
            files: self.server.platter.lock().unwrap_or_else(PoisonError::into_inner).files(),
            passed: self.records.passed(),
            memories: sites.map(memory).collect::<Result<_, String>>()?,
            keys: self.keys.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        })
    }

    /// What the server knew before it lost its power it knows afterwards.
    async fn die_once_more(&self, before: &Rest) -> Result<(), String> {
        self.lose_power().await?;
        let after = self.what_is_left()?;
        let kept = after.journal.len() >= before.journal.len()
            && after.journal.iter().zip(&before.journal).all(|(after, before)| after.hash == before.hash);
        if !kept || after.shown.versions != before.shown.versions {
            let (before, after) = (before.journal.len(), after.journal.len());
            return Err(format!(
                "after a loss of power the journal is another: it had {before} entries, and has {after}"
            ));
        }
        laws::hold(&after)
    }

    async fn lose_power(&self) -> Result<(), String> {
        self.server.life.light(crate::life::Fuse { steps: 0, taken: false, power: true });
        for _ in 0..100 {
            sleep(Duration::from_millis(100)).await;
            if self.server.federation(FEDERATION).is_some() {
                return Ok(());
            }
        }
        Err("the server did not come back".into())
    }

    /// Somebody cuts the journal off while the server is down. A site that had seen more than there is now says so; how many
    /// do.
    async fn cut(&self, before: &Rest) -> Result<usize, String> {
        sleep(Duration::from_secs(3)).await;
        let witnesses: Vec<_> = self.sites.iter().map(|site| (site, site.witness())).collect();
        let length = before.journal.len().saturating_sub(self.history.cut).max(1);
        self.server.tables.lock().unwrap_or_else(PoisonError::into_inner).cut(FEDERATION, length);
        self.lose_power().await?;
        // A client may still wait for an answer that was swallowed.
        sleep(Duration::from_secs(75)).await;
        let journal = self.server.tables.lock().unwrap_or_else(PoisonError::into_inner).journal(FEDERATION);
        // What follows from the rest by the rules alone is decided again, to the same bytes.
        let there = |head: Head| journal.iter().any(|entry| (entry.sequence, entry.hash) == (head.sequence, head.hash));
        // A journal that has grown past a head is not seen by an agent, who keeps the newest only.
        let lost = |head: &Head| head.sequence >= journal.len() as u64 && !there(*head);
        for (site, head) in witnesses {
            if let Some(head) = head.filter(lost).filter(|_| site.takes_part() && !site.contradicts()) {
                return Err(format!("{} has seen {head:?}, which was cut off, and does not say so", site.client));
            }
        }
        Ok(self.sites.iter().filter(|site| site.contradicts()).count())
    }
}
