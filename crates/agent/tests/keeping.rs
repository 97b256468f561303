//! No work is lost: an answer is kept until its round is over.

mod common;

use std::{
    fs,
    path::{Path, PathBuf},
};

use common::{Agent, Fake, config, lost_reply, people, problem, recipe, until_file, with};
use dure_agent::{Memory, Remembered};
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
        let (spec, rows) = (self.recipe.plan.split, self.data.clients[0].len());
        spec.divide(rows, 0, 1, &self.client).unwrap().training.len() as u64
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
    assert_eq!(scene.memory(), Memory { version: 1, state: Remembered { rounds, examples, own: None }, pending: None });
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
    let fetched = scene.fake.count("GET", "/models/");
    scene.fake.script(|_| None);

    let agent = scene.agent();
    let again = scene.fake.nth(before + 1, "PUT", "/tasks/").await;
    assert_eq!((again.path, again.query, again.body), (first.path, first.query, first.body));
    assert_eq!(scene.fake.count("GET", "/models/"), fetched);
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
    assert_eq!(scene.memory().state, Remembered::default());
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
    for (state, version) in [(TaskState::Committed, 1), (TaskState::Dropped, 0)] {
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
async fn an_answer_is_kept_until_the_server_says_that_its_round_does_not_count() {
    let scene = Scene::new().await;
    let agent = scene.agent();
    scene.fake.script(|seen| {
        seen.is("PUT", "/tasks/").then(|| problem(409, "duplicate-answer", "another answer was accepted"))
    });
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.becomes(&task, TaskState::Answered);
    scene.fake.nth(2, "GET", &format!("/tasks/{task}")).await;
    assert_eq!(scene.memory().pending.unwrap().task, task);
    scene.fake.change(|world| world.patient = false);
    scene.fake.becomes(&task, TaskState::Dropped);
    scene.fake.change(|world| world.tasks.clear());
    scene.until_settled(0).await;
    agent.stop().await.unwrap();
}

/// What a proxy says in the server's place.
fn by_a_proxy(status: u16) -> axum::response::Response {
    let body = axum::body::Body::from("<h1>no such host</h1>");
    axum::response::Response::builder().status(status).body(body).unwrap()
}

#[tokio::test]
async fn what_a_proxy_refuses_is_tried_again_and_nothing_is_dropped() {
    let scene = Scene::new().await;
    let mut answers = [404, 403, 409].into_iter();
    scene.fake.script(move |seen| {
        let answer = seen.is("PUT", "/tasks/") || seen.is("PUT", "/clients/");
        answer.then(|| answers.next()).flatten().map(by_a_proxy)
    });
    let agent = scene.agent();
    scene.fake.nth(4, "PUT", "/clients/").await;
    let mut answers = [401, 404, 409, 422].into_iter();
    scene.fake.script(move |seen| seen.is("PUT", "/tasks/").then(|| answers.next()).flatten().map(by_a_proxy));
    let task = scene.fake.ask(&scene.client, Kind::Train, 1);
    let (first, last) = (scene.fake.nth(1, "PUT", "/tasks/").await, scene.fake.nth(5, "PUT", "/tasks/").await);
    assert_eq!((first.body, scene.memory().pending.unwrap().task), (last.body, task));
    assert_eq!((scene.fake.count("PUT", "/clients/"), scene.fake.count("POST", "/tasks/")), (4, 0));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_bare_413_is_final() {
    let scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(|| by_a_proxy(413)));
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    let declined = scene.fake.nth(1, "POST", "/tasks/").await.json();
    assert_eq!(declined["reason"], "the server refuses the answer: <h1>no such host</h1>");
    agent.stop().await.unwrap();
}

/// A kept answer, then a server where `other` is so, and what the client sends to the task of the same name.
async fn sent_to_another(other: impl FnOnce(&mut Scene)) -> (Vec<u8>, Vec<u8>) {
    let mut scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(lost_reply));
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    let first = scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    let before = scene.fake.count("PUT", "/tasks/");
    scene.fake.script(|_| None);
    other(&mut scene);
    scene.fake.ask(&scene.client, Kind::Train, 1);
    let agent = scene.agent();
    let second = scene.fake.nth(before + 1, "PUT", "/tasks/").await;
    agent.stop().await.unwrap();
    assert_eq!(scene.fake.count("POST", "/tasks/"), 0);
    (first.unpacked(), second.unpacked())
}

#[tokio::test]
async fn a_kept_answer_goes_to_no_other_job_or_model_of_the_same_name() {
    let (first, second) = sent_to_another(|_| ()).await;
    assert!(first == second);
    let (first, second) = sent_to_another(|scene| scene.fake.change(|world| world.seed = 2)).await;
    assert!(first != second, "another seed");
    let (first, second) = sent_to_another(|scene| {
        let plan = recipe(&["training.epochs=3"]).plan("fitbit").unwrap();
        scene.fake.change(|world| world.plan = plan);
    })
    .await;
    assert!(first != second, "another plan");
    let (first, second) = sent_to_another(|scene| {
        let layout = std::sync::Arc::new(scene.recipe.plan("fitbit").unwrap().layout.clone());
        let other = dure_core::model::Params::initial(layout, 2);
        scene.fake.change(|world| world.model = dure_wire::encode_model(&other, &serde_json::Map::new()));
    })
    .await;
    assert!(first != second, "another model");
}

#[tokio::test]
async fn a_kept_answer_of_another_job_is_not_sent_when_the_server_gives_no_task() {
    let scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(lost_reply));
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    let before = scene.fake.count("PUT", "/tasks/");
    scene.fake.script(|_| None);
    scene.fake.change(|world| {
        world.tasks.clear();
        (world.patient, world.seed) = (false, 2);
    });
    let agent = scene.agent();
    scene.until_settled(0).await;
    assert_eq!(scene.fake.count("PUT", "/tasks/"), before);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_kept_answer_that_is_of_another_base_is_made_anew_once() {
    let scene = Scene::new().await;
    scene.fake.script(|seen| seen.is("PUT", "/tasks/").then(lost_reply));
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(1, "PUT", "/tasks/").await;
    agent.kill().await;
    let before = (scene.fake.count("PUT", "/tasks/"), scene.fake.count("GET", "/models/"));
    let other = "the update is of base 01 where 02 is expected";
    scene.fake.script(move |seen| seen.is("PUT", "/tasks/").then(|| problem(422, "bad-file", other)));
    let agent = scene.agent();
    let declined = scene.fake.nth(1, "POST", "/tasks/").await.json();
    assert_eq!(declined["reason"], format!("the server refuses the answer: {other}"));
    let after = (scene.fake.count("PUT", "/tasks/"), scene.fake.count("GET", "/models/"));
    assert_eq!(after, (before.0 + 2, before.1 + 1));
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_memory_that_cannot_be_written_is_tried_again_and_no_answer_leaves_meanwhile() {
    let scene = Scene::new().await;
    let (address, obstacle) = (common::free_port(), scene.file("memory.json.new"));
    let shown = |it: &mut dure_agent::AgentConfig| it.status = Some(address);
    let agent = Agent::start(with(config(&scene.fake, &scene.recipe, &scene.data, scene.folder.path()), shown));
    scene.fake.nth(1, "GET", "/clients/").await;
    fs::create_dir(&obstacle).unwrap();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    let failed = |status: &serde_json::Value| !status["clients"][0]["last_error"].is_null();
    let status = common::status_of(address, failed).await;
    let why = status["clients"][0]["last_error"].as_str().unwrap();
    assert!(why.contains("memory.json"), "the site's own people see where: {why}");
    assert_eq!(scene.fake.count("PUT", "/tasks/"), 0);
    fs::remove_dir(&obstacle).unwrap();
    scene.fake.nth(1, "PUT", "/tasks/").await;
    assert_eq!(scene.fake.count("POST", "/tasks/"), 0);
    agent.stop().await.unwrap();
}

#[tokio::test]
async fn a_renewal_that_fails_is_tried_again_soon() {
    let scene = Scene::new().await;
    scene.fake.change(|world| world.view.lease_s = 3.0);
    let times = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = std::sync::Arc::clone(&times);
    scene.fake.script(move |seen| {
        let mut times = noted.lock().unwrap();
        let renewal = seen.is("PATCH", "/clients/");
        if renewal {
            times.push(std::time::Instant::now());
        }
        let held = times.len() < 5 && (renewal || seen.is("GET", "/jobs/"));
        held.then(|| problem(503, "unavailable", "its store failed"))
    });
    let agent = scene.agent();
    scene.fake.ask(&scene.client, Kind::Train, 1);
    scene.fake.nth(5, "PATCH", "/clients/").await;
    // Four tries after the first take 0.6 s; a third of the lease for each would be 4 s.
    let took = {
        let times = times.lock().unwrap();
        times[4] - times[0]
    };
    assert!(took < std::time::Duration::from_secs(3), "{took:?}");
    agent.stop().await.unwrap();
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
            let first: Vec<u32> = (0..rows as u32).collect();
            (client.inputs, client.truth) = (client.inputs.take(&first), client.truth.take(&first));
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
