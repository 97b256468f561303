//! A served federation comes to the simulator's bits, and a run with churn can be repeated from its journal.

use std::{fs, path::PathBuf};

use serde_json::Value;

use crate::harness::{Serve, block_on, dure, said, until};

fn fitbit() -> PathBuf {
    PathBuf::from(std::env::var_os("DURE_DATA").expect("set DURE_DATA to the folder of data sets")).join("fitbit")
}

/// The digests of the versions that a journal publishes.
fn published<'a>(events: impl IntoIterator<Item = &'a Value>) -> Vec<String> {
    let models = events.into_iter().filter(|event| event["type"] == "model_published");
    models.map(|event| event["sha256"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn needs_data_a_served_federation_comes_to_the_simulators_bits() {
    block_on(async {
        let (server, data) = (Serve::start(), fitbit());
        let invitation = server.fitbit();
        let parts = ["1/4", "2/4", "3/4", "4/4"];
        let mut agents: Vec<_> =
            parts.iter().map(|part| server.join(&part[..1], &invitation, &data, &["--part", part])).collect();
        server.until_clients(33).await;
        let keys = ["--seed", "7", "rounds=4", "training.epochs=2", "cohort.min_clients=33"];
        server.start_job(&keys);
        let refit = server.until_over(2).await;
        assert_eq!(refit["status"], "completed", "{refit}");

        let out = server.path("simulated");
        said(dure().args(["simulate", "fitbit", "--data"]).arg(&data).args(keys).arg("--out").arg(&out));
        let journal = fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let lines: Vec<Value> = journal.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let simulated = published(lines.iter().map(|line| &line["event"]));
        assert_eq!(server.digests().await, simulated, "every version, of the job and of its refit");

        let model = server.path("model.safetensors");
        said(server.dure().args(["model", "get", "--out"]).arg(&model));
        assert_eq!(fs::read(model).unwrap(), fs::read(out.join("model.safetensors")).unwrap());

        for agent in &mut agents {
            assert!(agent.stop().await.success(), "{}", agent.log());
        }
        let events = server.journal();
        assert_eq!(events.iter().filter(|event| event["type"] == "client_left").count(), 33);
        let witness = server.path("state-1").join("witness.json");
        let verify = ["federation", "verify", "--witness"];
        said(dure().args(verify).arg(witness).arg(server.path("journal.jsonl")));
    });
}

#[test]
fn needs_data_a_run_with_churn_replays_to_its_digests() {
    block_on(async {
        let (server, data) = (Serve::start_with(&["--lease", "2s"]), fitbit());
        let invitation = server.fitbit();
        let mut first = server.join("first", &invitation, &data, &["--part", "1/3"]);
        let mut second = server.join("second", &invitation, &data, &["--part", "2/3"]);
        server.until_clients(22).await;
        server.start_job(&[
            "--seed",
            "3",
            "rounds=30",
            "refit=false",
            "cohort.size=8",
            "cohort.over_selection=1.5",
            "cohort.quorum=3",
            "cohort.min_clients=8",
            "cohort.deadline_s=2",
            "training.epochs=3",
        ]);
        server.until_round(1, 3).await;
        let _third = server.join("third", &invitation, &data, &["--part", "3/3"]);
        server.until_round(1, 6).await;
        let lost = || async {
            let clients = server.operator.get("/v1/federations/fitbit/clients?state=lost").await.ok();
            (!clients.as_array().unwrap().is_empty()).then_some(())
        };
        first.signal("STOP");
        until("a silent agent's clients are lost", lost).await;
        // So that the job is not over before they are back.
        said(server.dure().args(["job", "pause", "1"]));
        first.signal("CONT");
        server.until_clients(33).await;
        said(server.dure().args(["job", "resume", "1"]));
        first.kill();
        until("a killed agent's clients are lost", lost).await;
        let _again = server.join("first", &invitation, &data, &["--part", "1/3"]);
        assert!(second.stop().await.success());
        let over = server.until_over(1).await;
        assert_eq!(over["status"], "completed", "{over}");

        let events = server.journal();
        for kind in ["client_joined", "client_lost", "client_returned", "client_left"] {
            assert!(events.iter().any(|event| event["type"] == kind), "{kind} is part of the churn");
        }
        let replay = ["simulate", "fitbit", "--replay"];
        let replayed = said(dure().args(replay).arg(server.path("journal.jsonl")).arg("--data").arg(&data));
        let versions = published(&events).len();
        assert!(replayed.contains(&format!("{versions} model versions")), "{replayed}");
    });
}
