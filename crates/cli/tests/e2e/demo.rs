//! `dure demo`: real processes that come to the simulator's bits, and leave nothing behind.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::harness::{Api, block_on, dure, said, until};

#[test]
fn the_demo_comes_to_the_simulators_bits_and_ends() {
    let folder = tempfile::tempdir().unwrap();
    // Nobody looks who has no terminal, whatever there is to look at.
    let printed = said(dure().arg("demo").env("TMPDIR", folder.path()).env("DISPLAY", ":0"));
    for part in ["33 made-up people", "federated, personalised", "           the same bits\n", "its agents have ended"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is gone");
}

#[test]
fn a_demo_in_which_everybody_is_killed_comes_to_the_simulators_bits() {
    let printed = said(dure().args(["demo", "--chaos"]));
    for part in
        ["  kill -9 of the server", "  kill -9 of agent-", "           the same bits\n", "its agents have ended"]
    {
        assert!(printed.contains(part), "{part}: {printed}");
    }
}

#[test]
fn a_demo_that_is_killed_leaves_no_process() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut demo = dure().arg("demo").env("TMPDIR", folder.path()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("are ready")));
        let children = said(Command::new("cat").arg(format!("/proc/{0}/task/{0}/children", demo.id())));
        let children: Vec<u32> = children.split_whitespace().map(|pid| pid.parse().unwrap()).collect();
        assert!(children.len() >= 5, "{children:?}");
        demo.kill().unwrap();
        demo.wait().unwrap();
        until("they have all ended", async || children.iter().all(|pid| is_over(*pid)).then_some(())).await;
    });
}

#[test]
fn an_agent_that_is_killed_from_the_dashboard_comes_again_and_rounds_go_on_without_it() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let mut command = dure();
        command.args(["demo", "--stay", "--no-browser"]).env("TMPDIR", folder.path());
        let mut demo = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
        let link = lines.find_map(|line| Some(line.split_once("the dashboard: ")?.1.to_owned())).unwrap();
        let (url, token) = link.split_once("/sign-in?back=/federations/fitbit#token=").unwrap();
        assert!(lines.any(|line| line.contains("are ready")));
        let operator = Api::new(url, token);
        let agent = async |at: usize| operator.get("/v1/system").await.ok()["demo"][at].clone();
        let clients = async |state: &str| {
            let list = operator.get(&format!("/v1/federations/fitbit/clients?state={state}")).await.ok();
            list.as_array().unwrap().iter().map(|client| client["client"].clone()).collect::<Vec<Value>>()
        };
        let job = async || operator.get("/v1/federations/fitbit/jobs/1").await;
        until("the job begins", async || (job().await.body["completed"].as_u64()? > 0).then_some(())).await;
        let second = agent(1).await;
        assert_eq!((&second["name"], &second["running"]), (&json!("agent-2"), &json!(true)));

        assert_eq!(operator.post("/v1/demo/agent-2/kill", Value::Null).await.status, 202);
        operator.post("/v1/demo/agent-5/kill", Value::Null).await.refused(404, "not-found");
        until("it is dead", async || (agent(1).await["running"] == false).then_some(())).await;
        until("its clients are lost", async || (json!(clients("lost").await) == second["clients"]).then_some(())).await;
        let went_on = async || {
            let journal = String::from_utf8(operator.bytes("/v1/federations/fitbit/journal").await).unwrap();
            let event = |line: &str| serde_json::from_str::<Value>(line).unwrap()["event"].take();
            let of_others = |event: Value| {
                event["type"] == "round_completed" && event["participants"].as_array().unwrap().len() == 25
            };
            journal.lines().map(event).any(of_others).then_some(())
        };
        until("a round goes on without them", went_on).await;
        until("it is back", async || (agent(1).await["running"] == true).then_some(())).await;
        until("nobody is lost", async || clients("lost").await.is_empty().then_some(())).await;

        // All of its rounds would take long where other tests run beside; refused if they are over.
        operator.post("/v1/federations/fitbit/jobs/1/stop", Value::Null).await;
        let rest: Vec<String> = lines.by_ref().take_while(|line| !line.contains("stay until Ctrl-C")).collect();
        assert!(rest.iter().any(|line| line.trim() == "the same bits"), "{rest:#?}");
        assert!(Command::new("kill").args(["-INT", &demo.id().to_string()]).status().unwrap().success());
        assert!(demo.wait().unwrap().success());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "its folder is gone");
    });
}

/// Whether a process is gone, or dead and only not buried yet.
fn is_over(pid: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.is_empty() || status.lines().any(|line| line.starts_with("State:\tZ"))
}
