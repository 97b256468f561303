//! Jobs that wait for no cohort: answers count whenever they come, whoever dies meanwhile.

use serde_json::{Value, json};

use crate::{
    harness::{Api, Serve, block_on, dure, said},
    serving::{plan, result_of, update},
};

async fn task(client: &Api, name: &str) -> Value {
    client.get(&format!("/v1/federations/line/clients/{name}/task?wait=20")).await.ok()
}

#[test]
fn an_answer_from_an_old_version_is_mixed_in_and_a_dead_server_forgets_no_task() {
    block_on(async {
        let mut server = Serve::start();
        let mut plan = plan();
        plan["strategy"] = json!({"name": "fedasync", "mixing": 0.5});
        plan["cohort"] = json!({"min_clients": 2, "deadline_s": 600.0});
        let [anna, bora] = crate::serving::two(&server, plan).await;
        let tasks = [task(&anna, "anna").await, task(&bora, "bora").await];
        let first = tasks[0]["base"].as_str().unwrap().to_owned();
        anna.put_bytes(&result_of(&tasks[0]), update(&[2.0; 4], &first)).await.ok();
        let next = task(&anna, "anna").await;
        assert_eq!((&next["task"], &next["version"]), (&json!("1-train-2-1-anna"), &json!(2)), "it waits for nobody");

        server.process.kill();
        server.restart();
        let old = task(&bora, "bora").await;
        assert_eq!((&old["task"], &old["version"], &old["base"]), (&tasks[1]["task"], &json!(1), &tasks[1]["base"]));
        let newer = next["base"].as_str().unwrap();
        bora.put_bytes(&result_of(&old), update(&[4.0; 4], newer)).await.refused(422, "bad-file");
        bora.put_bytes(&result_of(&old), update(&[4.0; 4], &first)).await.ok();
        assert_eq!(task(&bora, "bora").await["task"], "1-train-3-1-bora");
        let outcome = bora.get("/v1/federations/line/tasks/1-train-1-1-bora").await.ok();
        assert_eq!(outcome["state"], "committed");
        bora.put_bytes(&result_of(&old), update(&[9.0; 4], &first)).await.refused(409, "round-stale");

        let file = anna.bytes("/v1/federations/line/models/3/weights").await;
        let (params, _) = dure_wire::decode_model(&file, None, file.len(), None).unwrap();
        // Half of the way to [2; 4]; then √½ as much of the way from there to [4; 4].
        let wanted = 1.0 + 3.0 * 0.5 * f32::sqrt(0.5);
        assert!(params.values().iter().all(|value| (value - wanted).abs() < 1e-6), "{:?} {wanted}", params.values());
        let journal = said(server.dure().args(["federation", "export"]));
        assert!(journal.contains(r#""staleness":{"bora":1}"#), "{journal}");
    });
}

#[test]
fn a_run_with_churn_replays_to_its_digests() {
    block_on(async {
        let mut server = Serve::start_with(&["--lease", "2s"]);
        let (invitation, people) = (server.fitbit(), server.people(6));
        let mut first = server.join("first", &invitation, &people, &["--part", "1/2"]);
        let mut second = server.join("second", &invitation, &people, &["--part", "2/2"]);
        server.until_clients(6).await;
        server.start_job(&[
            "--seed",
            "3",
            "rounds=16",
            "refit=false",
            "cohort.size=4",
            "cohort.quorum=1",
            "cohort.min_clients=4",
            "cohort.deadline_s=20",
            "strategy={name=\"fedbuff\",buffer=2}",
            "personalise.layers=[\"layers.6\"]",
            "training.epochs=3",
            "evaluate.every=5",
        ]);
        server.until_round(1, 4).await;
        server.process.kill();
        server.restart();
        server.until_round(1, 7).await;
        first.kill();
        let mut again = server.join("first", &invitation, &people, &["--part", "1/2"]);
        let over = server.until_over(1).await;
        assert_eq!(over["status"], "completed", "{over}");
        assert!(second.stop().await.success() && again.stop().await.success());

        let events = server.journal();
        let versions = events.iter().filter(|event| event["type"] == "model_published").count();
        assert_eq!(versions, 17);
        assert!(events.iter().any(|event| event["staleness"].is_object()), "some answers were against old versions");
        let replay = ["simulate", "fitbit", "--replay"];
        let replayed = said(dure().args(replay).arg(server.path("journal.jsonl")).arg("--data").arg(&people));
        assert!(replayed.contains("17 model versions"), "{replayed}");
        said(server.dure().args(["federation", "verify"]).arg(server.path("journal.jsonl")));
    });
}
