//! No work is lost: an answer is kept until its round is over.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Agent, Fake, config, lost_reply, people, problem, recipe, until_file, with};
use dure_agent::{Memory, Tally};
use dure_core::{digest::Digest, federation::TaskState, name::ClientName, round::Kind};
use dure_learn::{data::DataSet, recipe::Recipe};

struct Scene {
    recipe: Recipe,
    data: DataSet,
    fake: Fake,
    folder: tempfile::TempDir,
    client: ClientName,
}

impl Scene {
    async fn new() -> Self {
        let (recipe, folder) = (recipe(&[]), tempfile::tempdir().unwrap());
        let data = people(1, &recipe);
        let fake = Fake::serve(&recipe, &data).await;
        let client = data.clients[0].name.clone();
        Self { recipe, data, fake, folder, client }
    }

    fn agent(&self) -> Agent {
        Agent::start(config(&self.fake, &self.recipe, &self.data, self.folder.path()))
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("clients").join(self.client.as_str()).join(name)
    }

    fn memory(&self) -> Memory {
        read(&self.file("memory.json"))
    }

    async fn until_settled(&self, version: u64) {
        let settled = |text: &str| {
            serde_json::from_str::<Memory>(text).is_ok_and(|it| it.version == version && it.pending.is_none())
        };
        until_file(&self.file("memory.json"), settled).await;
        // The answer goes just after the memory that no longer speaks of it.
        while self.file("answer").exists() {
            tokio::task::yield_now().await;
        }
    }

    /// The rows that a client trains on.
    fn training_rows(&self) -> u64 {
        let (spec, rows) = (self.recipe.plan.split, self.data.clients[0].target.len());
        spec.divide(rows, 1, &self.client).unwrap().training.len() as u64
    }
}

fn read(path: &Path) -> Memory {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test]
async fn an_answer_is_kept_before_it_is_sent_and_counts_when_its_round_does() {
    let scene = Scene::new().await;
    let (memory, answer) = (scene.file("memory.json"), scene.file("answer"));
    scene.fake.script(move |seen| {
        if seen.is("PUT", "/tasks/1-train") {
            let file = fs::read(&answer).unwrap();
            assert_eq!(file, seen.unpacked());
            let pending = read(&memory).pending.unwrap();
            assert_eq!(pending.task.to_string(), "1-train-1-1-person-01");
            assert_eq!((pending.sha256, pending.state.rounds), (Digest::of(&file), 1));
        }
        None
    });
    let agent = scene.agent();
    let first = scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", &format!("/tasks/{first}")).await;
    // The next task shows that the client has gone on; what became of the first is asked before anything else.
    scene.fake.becomes(&first, TaskState::Committed);
    let next = scene.fake.ask(&scene.client, Kind::Evaluate, 1);
    scene.fake.nth(1, "PUT", &format!("/tasks/{next}")).await;
    let asked: Vec<_> = scene.fake.paths().into_iter().filter(|path| path.contains("/tasks/")).collect();
    assert_eq!(
        asked,
        [format!("PUT /tasks/{first}/result"), format!("GET /tasks/{first}"), format!("PUT /tasks/{next}/result")]
    );
    let (rounds, examples) = (1, scene.training_rows());
    assert_eq!(scene.memory(), Memory { version: 1, state: Tally { rounds, examples }, pending: None });
    assert!(!scene.file("answer").exists());
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_lost_reply_the_same_bytes_are_sent_again() {
    let scene = Scene::new().await;
    let mut lost = 0;
    scene.fake.script(move |seen| {
        let first = seen.is("PUT", "/tasks/") && lost < 2;
        lost += usize::from(first);
        first.then(lost_reply)
    });
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    let sent = [
        scene.fake.nth(1, "PUT", "/tasks/").await,
        scene.fake.nth(2, "PUT", "/tasks/").await,
        scene.fake.nth(3, "PUT", "/tasks/").await,
    ];
    assert!(sent[0].body == sent[1].body && sent[1].body == sent[2].body && sent[0].query == sent[2].query);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn after_a_power_cut_the_same_bytes_are_sent_again_without_training() {
    let scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(lost_reply));
    let agent = scene.agent();
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    let first = scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    let before = scene.fake.count("PUT", "/tasks/");
    let fetched = (scene.fake.count("GET", "/jobs/"), scene.fake.count("GET", "/models/"));
    scene.fake.script(|_| None);

    let agent = scene.agent();
    let again = scene.fake.nth(before + 1, "PUT", "/tasks/").await;
    assert_eq!((again.path, again.query, again.body), (first.path, first.query, first.body));
    assert_eq!((scene.fake.count("GET", "/jobs/"), scene.fake.count("GET", "/models/")), fetched);
    scene.fake.change(|world| {
        world.outcomes.insert(task, TaskState::Committed);
        world.patient = false;
    });
    scene.until_settled(1).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_waits_as_long_as_its_round_is_open() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    // Polls that bring nothing are an occasion to ask; the round is not over.
    scene.fake.change(|world| world.patient = false);
    scene.fake.nth(3, "GET", &format!("/tasks/{task}")).await;
    assert_eq!(scene.memory().pending.unwrap().task, task);
    scene.fake.becomes(&task, TaskState::Dropped);
    scene.until_settled(0).await;
    assert_eq!(scene.memory().state, Tally::default());
    let asked = scene.fake.count("GET", "/tasks/");
    scene.fake.nth(scene.fake.count("GET", "/clients/") + 2, "GET", "/clients/").await;
    assert_eq!(scene.fake.count("GET", "/tasks/"), asked, "there is nothing to ask any more");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_never_arrived_is_sent_when_the_server_still_wants_it() {
    let scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(lost_reply));
    let agent = scene.agent();
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    let first = scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    let before = scene.fake.count("PUT", "/tasks/");
    // The server gives no task at the moment, and says of this one that its answer is awaited.
    scene.fake.script(|_| None);
    scene.fake.change(|world| {
        world.tasks.clear();
        world.patient = false;
    });
    let agent = scene.agent();
    let again = scene.fake.nth(before + 1, "PUT", &format!("/tasks/{task}")).await;
    assert_eq!(again.body, first.body);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_that_is_too_late_counts_or_is_dropped_as_its_round_was() {
    for (state, version) in [(TaskState::Committed, 1), (TaskState::Dropped, 0), (TaskState::Answered, 0)] {
        let scene = Scene::new().await;
        let agent = scene.agent();
        scene.fake.script(|seen| {
            seen.is("PUT", "/tasks/").then(|| problem(409, "round-closed", "round 1-train-1-1 has ended"))
        });
        let task = scene.fake.ask(&scene.client, Kind::Train, 1);
        scene.fake.becomes(&task, state);
        scene.fake.nth(1, "GET", &format!("/tasks/{task}")).await;
        scene.fake.change(|world| world.tasks.clear());
        scene.until_settled(version).await;
        assert_eq!(scene.fake.count("POST", "/tasks/"), 0);
        agent.stop().await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_that_the_server_refuses_is_dropped_and_declined() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(|| problem(422, "not-finite", "value 3 is not finite")));
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    let declined = scene.fake.nth(1, "POST", &format!("/tasks/{task}/decline")).await.json();
    assert_eq!(declined["reason"], "the server refuses the answer: value 3 is not finite");
    assert_eq!((scene.memory().pending, scene.file("answer").exists()), (None, false));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_task_that_the_server_does_not_know_is_forgotten() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    scene.fake.change(|world| {
        world.outcomes.clear();
        world.patient = false;
    });
    scene.until_settled(0).await;
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_kept_answer_that_was_damaged_stops_the_agent() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    fs::write(scene.file("answer"), "other").unwrap();
    let error = scene.agent().ended().await.unwrap_err().to_string();
    assert!(error.contains("answer is damaged: its digest is not the one in memory.json"), "{error}");
}

#[tokio::test]
async fn work_that_takes_long_keeps_the_lease() {
    let scene = Scene::new().await;
    scene.fake.change(|world| world.view.lease_s = 0.3);
    // The job does not come before the lease was renewed twice.
    let mut renewed = 0;
    scene.fake.script(move |seen| {
        renewed += usize::from(seen.is("PATCH", "/clients/"));
        (seen.is("GET", "/jobs/") && renewed < 2).then(|| problem(503, "unavailable", "its store failed"))
    });
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    assert_eq!(scene.fake.nth(1, "PATCH", "/clients/").await.json(), serde_json::json!({}));
    assert_eq!(scene.fake.nth(1, "GET", "/clients/").await.query, "wait=1");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn an_answer_larger_than_the_server_takes_is_not_sent() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.nth(1, "GET", "/clients/").await;
    let task = "1-train-1-1-person-01".parse().unwrap();
    scene.fake.change(|world| {
        let mut view = world.task(&task);
        view.max_bytes = 1000;
        world.tasks.insert(task.client.clone(), view);
    });
    let declined = scene.fake.nth(1, "POST", "/tasks/").await.json();
    assert!(declined["reason"].as_str().unwrap().ends_with("bytes, and the server takes 1000"), "{declined}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_model_that_is_not_the_tasks_is_not_trained_on() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.nth(1, "GET", "/clients/").await;
    let task = "1-train-1-1-person-01".parse().unwrap();
    scene.fake.change(|world| {
        let mut view = world.task(&task);
        view.base = Some(Digest([9; 32]));
        world.tasks.insert(task.client.clone(), view);
    });
    let declined = scene.fake.nth(1, "POST", "/tasks/").await.json();
    let reason = declined["reason"].as_str().unwrap();
    assert!(reason.starts_with("the file of model version 1 is not as expected: the file's SHA-256"), "{reason}");
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_plan_that_this_version_or_site_cannot_do_is_declined() {
    let check = async |overrides: &[&str], rows: usize, want: &str| {
        let scene = Scene::new().await;
        let other = recipe(overrides).plan("fitbit").unwrap();
        let mut work = other.work.clone();
        if want.contains("newer") {
            work.insert("newer".into(), true.into());
        }
        let plan = dure_core::plan::PlanSpec { work, ..dure_core::plan::PlanSpec::from(other) };
        scene.fake.change(|world| world.plan = dure_core::plan::Plan::new(plan).unwrap());
        let few = |it: &mut dure_agent::AgentConfig| {
            let client = &mut it.clients[0];
            client.target.truncate(rows);
            client.features.truncate(rows * 10);
        };
        let agent = Agent::start(with(config(&scene.fake, &scene.recipe, &scene.data, scene.folder.path()), few));
        scene.fake.ask(&scene.client, Kind::Measure, 0);
        let declined = scene.fake.nth(1, "POST", "/tasks/").await.json();
        let reason = declined["reason"].as_str().unwrap();
        assert!(reason.contains(want), "{reason}");
        agent.stop().await.unwrap();
    };
    check(&[], 12, "this version cannot do the job: work = unknown field `newer`").await;
    check(&[], 2, "person-01 has 2 rows, and the plan's split needs 3").await;
    let target = "schema.target={name='Calories',unit='kJ'}";
    check(&[target], 12, "the target is Calories in kcal at this site and Calories in kJ in the federation").await;
}
