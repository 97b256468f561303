//! Joining, leaving, and being sent away.

mod common;

use std::fs;

use common::{Agent, Fake, TOKEN, config, free_port, people, problem, recipe, status_of, with};
use dure_agent::{AgentError, Ended, PolicyError, federation, federation_when_there};
use dure_core::name::ClientName;
use serde_json::{Value, json};

fn secret(folder: &std::path::Path, client: &str) -> String {
    let text = fs::read_to_string(folder.join(format!("clients/{client}/identity.json"))).unwrap();
    serde_json::from_str::<serde_json::Value>(&text).unwrap()["secret"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_secret_is_on_disk_before_it_is_sent_and_outlives_the_agent() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(2, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let seen_by_server = folder.path().to_owned();
    fake.script(move |seen| {
        if seen.is("PUT", "/clients/") {
            let client = seen.path.rsplit('/').next().unwrap();
            assert_eq!(seen.json()["secret"], secret(&seen_by_server, client), "it is kept first");
        }
        None
    });
    let facts = |it: &mut dure_agent::AgentConfig| drop(it.facts.insert("device".into(), "a laptop".into()));
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), facts));
    let joined = fake.nth(1, "PUT", "/clients/person-01").await;
    let first = joined.json();
    assert_eq!(joined.bearer, TOKEN.repeat(32));
    assert_eq!(first["facts"], serde_json::json!({"device": "a laptop", "rows": data.clients[0].len()}));
    assert_eq!(first["ready"], true);
    fake.nth(1, "GET", "/clients/person-01/task").await;
    agent.kill().await;

    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    let again = fake.nth(2, "PUT", "/clients/person-01").await;
    assert_eq!(again.json()["secret"], first["secret"]);
    assert_eq!(again.bearer, first["secret"].as_str().unwrap());
    let poll = fake.nth(2, "GET", "/clients/person-01/task").await;
    assert_eq!((poll.bearer.as_str(), poll.query.as_str()), (first["secret"].as_str().unwrap(), "wait=20"));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_second_agent_on_the_same_folder_is_refused() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    fake.nth(1, "PUT", "/clients/").await;
    let error = Agent::start(config(&fake, &recipe, &data, folder.path())).ended().await.unwrap_err().to_string();
    assert!(error.contains("is in use by another agent"), "{error}");
    assert_eq!(agent.stop().await.unwrap(), Ended::Left);
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    fake.nth(2, "PUT", "/clients/").await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn everybody_leaves_when_the_agent_is_stopped() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(3, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    for client in &data.clients {
        fake.nth(1, "GET", &format!("/clients/{}/task", client.name)).await;
    }
    assert_eq!(agent.stop().await.unwrap(), Ended::Left);
    for client in &data.clients {
        let left = fake.nth(1, "DELETE", &format!("/clients/{}", client.name)).await;
        assert_eq!(left.json()["reason"], "the agent was stopped");
        assert_eq!(left.bearer, secret(folder.path(), client.name.as_str()));
    }
}

#[tokio::test]
async fn training_that_runs_is_not_waited_for() {
    // Many minutes of it.
    let long = recipe(&["training.epochs=100000", "model.hidden=[512,512,512]"]);
    let folder = tempfile::tempdir().unwrap();
    let data = people(1, &long);
    let fake = Fake::serve(&long, &data).await;
    fake.change(|world| world.view.lease_s = 0.3);
    let agent = Agent::start(config(&fake, &long, &data, folder.path()));
    let task = fake.ask(&data.clients[0].name, dure_core::round::Kind::Train, 1);
    fake.nth(1, "GET", "/models/").await;
    // The lease is renewed while the client works.
    fake.nth(fake.count("PATCH", "/clients/") + 2, "PATCH", "/clients/").await;
    assert_eq!(agent.stop().await.unwrap(), Ended::Left);
    assert_eq!((fake.count("DELETE", "/clients/"), fake.count("PUT", &format!("/tasks/{task}"))), (1, 0));
    let agent = Agent::start(config(&fake, &long, &data, folder.path()));
    fake.nth(2, "PUT", "/clients/").await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_agent_whose_clients_are_all_sent_away_ends() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(2, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let address = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    let second = |seen: &common::Seen| seen.path.starts_with("/clients/person-02");
    fake.script(move |seen| second(seen).then(|| problem(403, "evicted", "person-02 was evicted: late")));
    fake.change(|_| ());
    // The other goes on.
    let states = |status: &Value| (status["clients"][0]["state"].clone(), status["clients"][1]["state"].clone());
    let status = status_of(address, |status| states(status) == (json!("ready"), json!("evicted"))).await;
    assert_eq!(status["clients"][1]["last_error"], "person-02 was evicted: late");
    fake.script(|_| Some(problem(403, "evicted", "sent away")));
    fake.change(|_| ());
    assert_eq!(agent.ended().await.unwrap(), Ended::Evicted);
    assert_eq!(fake.count("DELETE", "/"), 0);
}

#[tokio::test]
async fn a_name_that_is_somebody_elses_ends_its_client_and_the_others_go_on() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(2, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let taken = "the name person-02 belongs to another secret; let the operator run `dure client release person-02`";
    fake.script(move |seen| seen.is("PUT", "/clients/person-02").then(|| problem(409, "name-taken", taken)));
    let address = free_port();
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), shown));
    let status = status_of(address, |status| status["clients"][1]["state"] == "refused").await;
    assert_eq!(status["clients"][1]["last_error"], taken);
    fake.nth(1, "GET", "/clients/person-01/task").await;
    assert_eq!(agent.stop().await.unwrap(), Ended::Left);
    assert_eq!((fake.count("DELETE", "/clients/person-01"), fake.count("DELETE", "/clients/person-02")), (1, 0));

    let alone = with(config(&fake, &recipe, &data, folder.path()), |it| drop(it.clients.remove(0)));
    let error = Agent::start(alone).ended().await.unwrap_err();
    assert!(matches!(&error, AgentError::NameTaken(why) if why == taken), "{error}");
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_secret_is_joined_again_with_the_invitation() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let mut knows = false;
    fake.script(move |seen| {
        let invited = seen.bearer == TOKEN.repeat(32);
        knows |= invited && seen.is("PUT", "/clients/");
        (!knows && !invited).then(|| problem(401, "unauthenticated", "the request has no valid bearer"))
    });
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    let first = fake.nth(1, "GET", "/clients/person-01/task").await.bearer;
    let mut knows = false;
    fake.script(move |seen| {
        let invited = seen.bearer == TOKEN.repeat(32);
        knows |= invited && seen.is("PUT", "/clients/");
        (!knows && !invited).then(|| problem(401, "unauthenticated", "the request has no valid bearer"))
    });
    fake.change(|_| ());
    let poll = fake.nth(2, "GET", "/clients/person-01/task").await;
    assert_eq!(poll.bearer, first);
    // The secret first, then the invitation, and the secret stays the same.
    let (tried, joined) = (fake.nth(2, "PUT", "/clients/").await, fake.nth(3, "PUT", "/clients/").await);
    assert_eq!((tried.bearer, joined.bearer.as_str()), (first.clone(), TOKEN.repeat(32).as_str()));
    assert_eq!(joined.json()["secret"], first);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_that_the_server_thinks_has_left_joins_again() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let mut member = false;
    fake.script(move |seen| {
        member |= seen.is("PUT", "/clients/") && seen.bearer != TOKEN.repeat(32);
        let refused = !member && seen.is("GET", "/clients/");
        refused.then(|| problem(403, "not-a-member", "person-01 has left this federation"))
    });
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    fake.nth(2, "GET", "/clients/person-01/task").await;
    assert_eq!(fake.count("PUT", "/clients/"), 2);
    // What was learnt of the server is learnt again.
    assert_eq!(fake.paths().iter().filter(|path| *path == "GET /").count(), 2);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_client_whose_columns_differ_joins_takes_no_tasks_and_says_why() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let miles = |it: &mut dure_agent::AgentConfig| it.schema.features[1].unit = "miles".into();
    let agent = Agent::start(with(config(&fake, &recipe, &data, folder.path()), miles));
    assert_eq!(fake.nth(1, "PUT", "/clients/").await.json()["ready"], false);
    let told = fake.nth(1, "PATCH", "/clients/").await.json();
    assert_eq!(told["ready"], false);
    let why = "the site's columns differ: feature 2 is TotalDistance in miles at this site and TotalDistance in km in the federation";
    assert_eq!(told["reason"], why);
    let task = fake.ask(&data.clients[0].name, dure_core::round::Kind::Train, 1);
    let declined = fake.nth(1, "POST", &format!("/tasks/{task}/decline")).await.json();
    assert!(declined["reason"].as_str().unwrap().contains("TotalDistance in miles"), "{declined}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn what_the_policy_does_not_allow_is_not_even_asked_for() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let check = async |policy: &str| {
        let policy = dure_agent::Policy::parse(policy, "site.toml").unwrap();
        let strict = with(config(&fake, &recipe, &data, folder.path()), |it| it.policy = policy);
        Agent::start(strict).ended().await.unwrap_err()
    };
    let error = check("federations = ['other']").await;
    assert!(matches!(error, AgentError::Policy(PolicyError::Federation { .. })), "{error}");
    let error = check("recipes = ['other']").await;
    assert!(matches!(error, AgentError::Policy(PolicyError::Recipe { .. })), "{error}");
    assert_eq!(fake.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn a_configuration_that_cannot_be_is_refused() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let check = async |change: &dyn Fn(&mut dure_agent::AgentConfig), want: &str| {
        let error = Agent::start(with(config(&fake, &recipe, &data, folder.path()), change)).ended().await;
        let error = error.unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    };
    check(&|it| it.clients.clear(), "check --part and --name").await;
    check(&|it| it.clients.push(it.clients[0].clone()), "two clients are called person-01").await;
    check(&|it| it.status = Some("0.0.0.0:3874".parse().unwrap()), "use 127.0.0.1:3874").await;
    check(&|it| it.ca = Some(b"none".to_vec()), "certificates of --ca cannot be used").await;
    assert_eq!(fake.paths(), Vec::<String>::new());
}

#[tokio::test]
async fn an_invitation_shows_its_federation_before_anybody_joins() {
    let recipe = recipe(&[]);
    let mut fake = Fake::bind(&recipe, &people(1, &recipe));
    fake.refuse();
    let invitation = fake.invitation();
    let error = federation(&invitation, None, false).await.unwrap_err();
    assert!(matches!(&error, AgentError::Away(why) if why.starts_with("cannot connect: ")), "{error}");
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let asking = tokio::spawn(async move {
        federation_when_there(&invitation, None, false, |why| heard.send(why.to_owned()).unwrap()).await
    });
    assert!(hears.recv().await.unwrap().starts_with("cannot connect: "));
    fake.return_to_its_port().await;
    let view = asking.await.unwrap().unwrap();
    assert_eq!((view.name.as_str(), view.recipe.as_deref()), ("test", Some("fitbit")));
    fake.script(|_| Some(problem(401, "unauthenticated", "the request has no valid bearer")));
    let error = federation(&fake.invitation(), None, false).await.unwrap_err();
    assert_eq!(error.to_string(), "the server refuses: the request has no valid bearer");
}

#[tokio::test]
async fn a_folder_with_a_damaged_secret_stops_the_agent_before_it_asks_anything() {
    let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
    let data = people(1, &recipe);
    let fake = Fake::serve(&recipe, &data).await;
    let agent = Agent::start(config(&fake, &recipe, &data, folder.path()));
    fake.nth(1, "GET", "/clients/").await;
    agent.kill().await;
    let asked = fake.paths().len();
    let client = ClientName::new("person-01").unwrap();
    fs::write(folder.path().join(format!("clients/{client}/identity.json")), "{").unwrap();
    let error = Agent::start(config(&fake, &recipe, &data, folder.path())).ended().await.unwrap_err().to_string();
    assert!(error.contains("clients/person-01/identity.json is damaged"), "{error}");
    assert_eq!(fake.paths().len(), asked);
}
