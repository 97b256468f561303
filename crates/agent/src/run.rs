//! The life of an agent: it takes its folder, lets its clients live, and says goodbye.

use std::{collections::HashMap, path::Path, sync::Arc, time::Duration};

use dure_core::name::ClientName;
use dure_wire::api::FederationView;
use jiff::{Timestamp, tz::TimeZone};
use tokio::{
    net::TcpListener,
    task::{Id, JoinError, JoinSet},
    time::{sleep, timeout},
};

use crate::{
    AgentConfig, AgentError, Ended, Invitation, Place,
    backoff::Backoff,
    calls,
    client::{Client, Over},
    http::{Http, STALL},
    page,
    reply::CallError,
    site::Site,
    state::{Secret, StateDir, read_contradiction, read_witness, write_contradiction, write_witness},
    status::State,
    witness::Witness,
};

/// How long goodbyes may take in all.
const GOODBYES: Duration = Duration::from_secs(5);

/// How often the witness is written down at most.
const WITNESS: Duration = Duration::from_secs(1);

/// The federation that an invitation is for. Asks once; [`AgentError::Away`] says that it may be asked again.
pub async fn federation(
    invitation: &Invitation,
    ca: Option<&[u8]>,
    insecure_http: bool,
) -> Result<FederationView, AgentError> {
    let http = Http::new(invitation, ca, insecure_http)?;
    http.send(&calls::federation(), invitation.token(), STALL).await.map_err(|error| match error {
        CallError::Away { why, .. } => AgentError::Away(why),
        CallError::Refused(problem) => AgentError::Refused(problem.detail),
    })
}

/// As [`federation`], as often as need be until the server is there. `away` hears why it is not, each time.
pub async fn federation_when_there(
    invitation: &Invitation,
    ca: Option<&[u8]>,
    insecure_http: bool,
    mut away: impl FnMut(&str),
) -> Result<FederationView, AgentError> {
    let mut backoff = Backoff::new(invitation.federation());
    loop {
        match federation(invitation, ca, insecure_http).await {
            Err(AgentError::Away(why)) => away(&why),
            said => return said,
        }
        sleep(backoff.next()).await;
    }
}

/// Runs an agent until `until`, or until none of its clients may take part any more.
pub async fn run(config: AgentConfig, until: impl Future<Output = ()>) -> Result<Ended, AgentError> {
    run_at(Place::default(), config, until).await
}

/// As [`run`], at another place than here and now.
pub async fn run_at(place: Place, config: AgentConfig, until: impl Future<Output = ()>) -> Result<Ended, AgentError> {
    check(&config)?;
    let machine = &place.machine;
    let state = StateDir::open(machine, &config.state_dir, &config.invitation)?;
    state.remember(&config.recipe)?;
    let (kept, told) = (read_witness(machine, &state.witness())?, read_contradiction(machine, &state.contradiction())?);
    let site = Arc::new(Site::new(&config, place, Witness::new(kept, told))?);
    if config.policy.hours.is_some() {
        tell_zone();
    }
    let page = listen(&config).await?;
    let clients = clients(config, &site, &state)?;
    let names: Vec<_> = clients.iter().map(|client| (client.name.clone(), client.secret.clone())).collect();
    let mut helpers = help(&site, &state, page);
    let ended = live(clients, &site, until).await;
    if matches!(ended, Ok(Ended::Left)) {
        say_goodbye(&site, names).await;
    }
    helpers.shutdown().await;
    site.files_are_still().await;
    save_witness(&site, &state.witness(), &state.contradiction());
    ended
}

fn check(config: &AgentConfig) -> Result<(), AgentError> {
    config.policy.admits(config.invitation.federation(), &config.recipe)?;
    let mut names: Vec<_> = config.clients.iter().map(|client| &client.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(AgentError::Twice(twice[0].clone()));
    }
    match config.status {
        _ if names.is_empty() => Err(AgentError::NoClients),
        Some(address) if !address.ip().is_loopback() => Err(AgentError::StatusAddress(address)),
        _ => Ok(()),
    }
}

/// Says by which clock the site's hours are: a container may have another than the house.
fn tell_zone() {
    match TimeZone::try_system() {
        Ok(zone) => {
            let (now, zone) =
                (Timestamp::now().to_zoned(zone.clone()), zone.iana_name().unwrap_or("local time").to_owned());
            tracing::info!(zone, "the site's hours are by {zone}, where it is {}", now.strftime("%H:%M"));
        }
        Err(error) => tracing::warn!("the site's hours are by UTC, for the local time zone is not known: {error}"),
    }
}

async fn listen(config: &AgentConfig) -> Result<Option<TcpListener>, AgentError> {
    let Some(address) = config.status else { return Ok(None) };
    let bound = TcpListener::bind(address).await;
    let bound = bound.map_err(|source| AgentError::StatusListen { address, source })?;
    let shown = bound.local_addr().unwrap_or(address);
    tracing::info!(address = %shown, "the status page is at http://{shown}/");
    Ok(Some(bound))
}

fn clients(config: AgentConfig, site: &Arc<Site>, state: &StateDir) -> Result<Vec<Client>, AgentError> {
    let client = |data: dure_learn::data::ClientRows| {
        let home = state.home(&data.name)?;
        Ok(Client::new(Arc::clone(site), data, home)?)
    };
    config.clients.into_iter().map(client).collect()
}

/// What runs beside the clients.
fn help(site: &Arc<Site>, state: &StateDir, page: Option<TcpListener>) -> JoinSet<()> {
    let mut helpers = JoinSet::new();
    helpers.spawn(Arc::clone(site).keep_hours());
    let (witnessing, path, beside) = (Arc::clone(site), state.witness(), state.contradiction());
    helpers.spawn(async move {
        loop {
            sleep(WITNESS).await;
            let (site, path, beside) = (Arc::clone(&witnessing), path.clone(), beside.clone());
            // A failure is logged, and the next second tries again.
            let _ = witnessing.on_disk(move || save_witness(&site, &path, &beside)).await;
        }
    });
    if let Some(listener) = page {
        let site = Arc::clone(site);
        helpers.spawn(page::serve(listener, move || site.status()));
    }
    helpers
}

fn save_witness(site: &Site, path: &Path, beside: &Path) {
    if let Some(contradiction) = site.witness.untold() {
        match write_contradiction(&site.machine, beside, &contradiction) {
            Ok(()) => site.witness.told(),
            Err(error) => tracing::error!("that the journal contradicts its witness cannot be kept: {error}"),
        }
    }
    let Some(head) = site.witness.unsaved() else { return };
    match write_witness(&site.machine, path, head) {
        Ok(()) => site.witness.saved(head),
        Err(error) => tracing::error!("the witness cannot be kept: {error}"),
    }
}

/// Lets the clients live until `until`, or until they are over.
async fn live(clients: Vec<Client>, site: &Site, until: impl Future<Output = ()>) -> Result<Ended, AgentError> {
    let (mut until, mut overs, mut living) = (std::pin::pin!(until), Vec::new(), JoinSet::new());
    let mut names = HashMap::new();
    for client in clients {
        let name = client.name.clone();
        names.insert(living.spawn(client.live()).id(), name);
    }
    loop {
        tokio::select! {
            biased;
            () = &mut until => {
                living.shutdown().await;
                return Ok(Ended::Left);
            }
            over = living.join_next_with_id() => match over {
                Some(over) => overs.push(ended(over, &names, site)),
                None => return verdict(overs),
            },
        }
    }
}

/// Notes that a client is over.
fn ended(over: Result<(Id, Over), JoinError>, names: &HashMap<Id, ClientName>, site: &Site) -> Over {
    let (id, over) = over.unwrap_or_else(broken);
    let Some(name) = names.get(&id) else { return over };
    let (state, why) = match &over {
        Over::Evicted(why) => (State::Evicted, why),
        Over::NameTaken(why) | Over::Broken(why) => (State::Refused, why),
    };
    tracing::error!(client = %name, "{name} takes part no more: {why}");
    site.statuses.change(name, |status| (status.state, status.last_error) = (state, Some(why.clone())));
    over
}

/// A client's loop that broke off at a fault of this program.
fn broken(error: JoinError) -> (Id, Over) {
    (error.id(), Over::Broken(format!("a fault of this program; please report it: {error}")))
}

/// What became of an agent all of whose clients are over.
fn verdict(overs: Vec<Over>) -> Result<Ended, AgentError> {
    overs.into_iter().try_fold(Ended::Evicted, |ended, over| match over {
        Over::Evicted(_) => Ok(ended),
        Over::NameTaken(why) => Err(AgentError::NameTaken(why)),
        Over::Broken(why) => Err(AgentError::Broken(why)),
    })
}

/// Every client leaves, if the server is there to hear it.
async fn say_goodbye(site: &Arc<Site>, clients: Vec<(ClientName, Secret)>) {
    let mut leaving = JoinSet::new();
    for (name, secret) in clients {
        if matches!(site.statuses.state(&name), Some(State::Evicted | State::Refused)) {
            continue;
        }
        let site = Arc::clone(site);
        leaving.spawn(async move {
            let said = site.send(&calls::leave(&name, "the agent was stopped"), secret.reveal()).await;
            match said {
                Ok(()) => tracing::info!(client = %name, "{name} has left"),
                Err(error) => tracing::warn!(client = %name, "{name} could not say goodbye: {error}"),
            }
        });
    }
    if timeout(GOODBYES, async { while leaving.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("the server did not hear all goodbyes in time; leases will end by themselves");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_panics_is_over_and_says_why() {
        let mut living = JoinSet::new();
        let id = living.spawn(async { panic!("a fault for a test") }).id();
        let over: Result<(Id, Over), _> = living.join_next_with_id().await.unwrap();
        let (whose, over) = over.unwrap_or_else(broken);
        let Over::Broken(why) = over else { panic!("it broke") };
        assert!(whose == id && why.contains("please report it") && why.contains("a fault for a test"), "{why}");
    }
}
