//! Simulations and journals that are only shown.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Stdio},
};

use dure_core::{federation::Federation, journal};
use serde_json::{Value, json};

use crate::harness::{Api, block_on, dure, failed, said};

/// What shows journals, and ends with the test.
struct Shown {
    child: Child,
    operator: Api,
    link: String,
}

impl Shown {
    fn of(paths: &[&Path]) -> Self {
        let mut child = dure().arg("view").args(paths).stdout(Stdio::piped()).stdin(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let link = line.trim().strip_prefix("shown on ").unwrap().to_owned();
        let (url, rest) = link.split_once("/sign-in?").unwrap();
        let operator = Api::new(url, rest.split_once("#token=").unwrap().1);
        Self { child, operator, link }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn simulate(folder: &Path, keys: &[&str]) {
    let small = ["simulate", "fitbit", "rounds=3", "generator.activity.people=5", "generator.activity.days=9"];
    said(dure().args(small).args(keys).arg("--out").arg(folder));
}

#[test]
fn simulations_are_shown_beside_each_other_and_nothing_can_be_changed() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        simulate(&runs.join("fedavg"), &[]);
        simulate(&runs.join("Fed Adam"), &["strategy.name=fedadam"]);
        let shown = Shown::of(&[&runs]);
        assert!(shown.link.contains("back=/compare?of=fed-adam:1,fedavg:1#token="), "{}", shown.link);
        let federations = shown.operator.get("/v1/federations").await.ok();
        let names: Vec<_> = federations.as_array().unwrap().iter().map(|view| view["name"].clone()).collect();
        assert_eq!(names, ["fed-adam", "fedavg"]);
        assert_eq!(shown.operator.get("/v1/system").await.ok()["read_only"], true);

        let result: Value = serde_json::from_slice(&fs::read(runs.join("fedavg/result.json")).unwrap()).unwrap();
        assert_eq!(shown.operator.get("/v1/federations/fedavg/report").await.ok(), result);
        let view = shown.operator.get("/v1/federations/fedavg").await.ok();
        assert_eq!(view["journal"], result["journal"]);
        let versions = shown.operator.get("/v1/federations/fedavg/models").await.ok();
        let last = versions.as_array().unwrap().last().unwrap();
        assert_eq!(last["sha256"], result["model"]["sha256"]);
        shown.operator.get(&format!("/v1/federations/fedavg/models/{}/weights", last["version"])).await.ok();
        shown.operator.get("/v1/federations/fedavg/models/2/weights").await.refused(404, "not-found");

        shown.operator.post("/v1/federations", json!({"name": "x"})).await.refused(403, "forbidden");
        shown.operator.post("/v1/federations/fedavg/jobs/1/abort", json!({})).await.refused(403, "forbidden");
        shown.operator.as_bearer("").get("/v1/federations").await.refused(401, "unauthenticated");
        assert_eq!(shown.operator.get("/v1/federations/fedavg").await.ok()["journal"], result["journal"]);
    });
}

/// What the API says of a federation as of an event is what the rules make of the journal up to there.
#[test]
fn every_past_moment_is_what_its_events_make_of_it() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        simulate(folder.path(), &[]);
        let exported = folder.path().join("audit.jsonl");
        fs::copy(folder.path().join("journal.jsonl"), &exported).unwrap();
        let shown = Shown::of(&[&exported]);
        let text = fs::read_to_string(&exported).unwrap();
        let mut federation = Federation::default();
        let (records, _) = journal::verify(text.lines()).unwrap();
        for (at, record) in (1..).zip(&records) {
            federation.apply(record);
            let said = async |path: &str| {
                let mark = if path.contains('?') { '&' } else { '?' };
                shown.operator.get(&format!("/v1/federations/audit{path}{mark}at={at}")).await.ok()
            };
            let view = said("").await;
            assert_eq!(view["journal"]["sequence"], at.to_string());
            assert_eq!(view["active_job"], json!(federation.active().map(|job| job.id)), "event {at}");
            let clients = said("/clients").await;
            assert_eq!(clients.as_array().unwrap().len(), federation.members.len(), "event {at}");
            let jobs = said("/jobs").await;
            let completed: Vec<_> = federation.jobs.iter().map(|job| json!(job.completed)).collect();
            let told: Vec<_> = jobs.as_array().unwrap().iter().map(|job| job["completed"].clone()).collect();
            assert_eq!(told, completed, "event {at}");
            assert_eq!(said("/models?limit=1000").await.as_array().unwrap().len(), federation.versions.len());
        }
        let part = format!("/v1/federations/audit/journal?after=2&to={}", records.len() - 1);
        let part = shown.operator.get(&part).await.ok();
        let lines: Vec<_> = text.lines().skip(2).take(records.len() - 3).collect();
        assert_eq!(part.as_str().unwrap().lines().collect::<Vec<_>>(), lines);
        shown.operator.get("/v1/federations/audit/jobs?at=x").await.refused(400, "malformed");
    });
}

#[test]
fn what_is_no_journal_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let fails = |path: &Path| failed(dure().arg("view").arg(path));
    let said = fails(folder.path());
    assert!(said.contains("neither it nor a folder in it has a journal.jsonl; `dure simulate RECIPE --out"), "{said}");
    let said = fails(&folder.path().join("none"));
    assert!(said.contains("none: No such file"), "{said}");
    let journal = folder.path().join("journal.jsonl");
    fs::write(&journal, "").unwrap();
    let said = fails(folder.path());
    assert!(said.contains("journal.jsonl: it is empty"), "{said}");
    simulate(folder.path(), &[]);
    let text = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, text.replacen("person-02", "person-05", 1)).unwrap();
    let said = fails(folder.path());
    assert!(said.contains("journal.jsonl: entry 3 is broken: its hash should be"), "{said}");
    fs::write(&journal, text.replacen("{\"sequence\":\"2\"", "{ \"sequence\":\"2\"", 1)).unwrap();
    let said = fails(folder.path());
    assert!(said.contains("journal.jsonl:2: no line of a journal: it is spelled otherwise"), "{said}");
}
