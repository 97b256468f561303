//! The calls of the REST API that a client makes, and how their answers are read.

use std::time::Duration;

use bytes::Bytes;
use dure_core::{digest::Digest, journal::Head, name::ClientName, round::TaskId};
use dure_wire::api::{
    ClientPatch, ClientView, Decline, FederationView, Goodbye, JOURNAL_HEADER, JoinSpec, TaskOutcome, TaskView,
};
use reqwest::{Method, StatusCode};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    http::{Body, Call},
    reply::Reply,
};

/// The largest answer in JSON, in bytes.
const MAX_JSON: usize = 32 << 20;

/// The longest reason that a journal keeps, in bytes.
const MAX_REASON: usize = 1000;

/// What a poll brings.
#[derive(Debug)]
pub enum Polled {
    /// Something to do.
    Task(Box<TaskView>),
    /// Nothing yet, and where the journal ends.
    Nothing(Option<Head>),
}

/// The federation.
pub fn federation() -> Call<FederationView> {
    json(Method::GET, String::new(), Body::Empty)
}

/// Become a member, or again.
pub fn join(client: &ClientName, spec: &JoinSpec) -> Call<ClientView> {
    json(Method::PUT, format!("/clients/{client}"), body(spec))
}

/// Say something of oneself; nothing, and the lease is renewed.
pub fn patch(client: &ClientName, patch: &ClientPatch) -> Call<ClientView> {
    json(Method::PATCH, format!("/clients/{client}"), body(patch))
}

/// Take tasks, or take none for this reason.
pub fn readiness(client: &ClientName, unready: Option<&str>) -> Call<ClientView> {
    let (ready, reason) = (Some(unready.is_none()), short(unready.unwrap_or_default()));
    patch(client, &ClientPatch { ready, reason, facts: None })
}

/// Say goodbye.
pub fn leave(client: &ClientName, reason: &str) -> Call<()> {
    let goodbye = Goodbye { reason: short(reason) };
    Call { read: |_| Ok(()), ..call(Method::DELETE, format!("/clients/{client}"), body(&goodbye)) }
}

/// Ask for a task, and wait for one for so many seconds.
pub fn poll(client: &ClientName, wait_s: u64) -> Call<Polled> {
    let path = format!("/clients/{client}/task?wait={wait_s}");
    Call { wait: Duration::from_secs(wait_s), read: polled, ..call(Method::GET, path, Body::Empty) }
}

/// A job.
pub fn job(id: u32) -> Call<serde_json::Value> {
    json(Method::GET, format!("/jobs/{id}"), Body::Empty)
}

/// A model version's file of at most `limit` bytes.
pub fn weights(version: u32, limit: usize) -> Call<Vec<u8>> {
    let path = format!("/models/{version}/weights");
    Call { limit, patient: true, read: |reply| Ok(reply.body), ..call(Method::GET, path, Body::Empty) }
}

/// The control variate of a model version: a file of at most `limit` bytes.
pub fn control(version: u32, limit: usize) -> Call<Vec<u8>> {
    let path = format!("/models/{version}/control");
    Call { path, ..weights(version, limit) }
}

/// The answer to a training task: an update's file in a zstd frame, and the digest of the file.
pub fn update(task: &TaskId, sha256: Digest, frame: Bytes) -> Call<TaskOutcome> {
    let path = format!("/tasks/{task}/result?sha256={sha256}");
    Call { patient: true, ..json(Method::PUT, path, Body::Zstd(frame)) }
}

/// The answer to any other task.
pub fn answer(task: &TaskId, answer: Bytes) -> Call<TaskOutcome> {
    json(Method::PUT, format!("/tasks/{task}/result"), Body::Json(answer))
}

/// Say that a task will not be answered.
pub fn decline(task: &TaskId, reason: &str) -> Call<TaskOutcome> {
    json(Method::POST, format!("/tasks/{task}/decline"), body(&Decline { reason: short(reason) }))
}

/// What has become of a task.
pub fn outcome(task: &TaskId) -> Call<TaskOutcome> {
    json(Method::GET, format!("/tasks/{task}"), Body::Empty)
}

fn call<T>(method: Method, path: String, body: Body) -> Call<T> {
    let read = |_| Err("nothing is expected".into());
    Call { method, path, body, wait: Duration::ZERO, patient: false, limit: MAX_JSON, read }
}

fn json<T: DeserializeOwned>(method: Method, path: String, body: Body) -> Call<T> {
    let read = |reply: Reply| dure_wire::json::read(&reply.body).map_err(|error| error.to_string());
    Call { read, ..call(method, path, body) }
}

/// `value` as JSON.
pub fn bytes(value: &impl Serialize) -> Bytes {
    serde_json::to_vec(value).expect("the REST types have text keys only").into()
}

fn body(value: &impl Serialize) -> Body {
    Body::Json(bytes(value))
}

fn polled(reply: Reply) -> Result<Polled, String> {
    if reply.status == StatusCode::NO_CONTENT {
        let head = reply.headers.get(JOURNAL_HEADER).and_then(|head| parse_head(head.to_str().ok()?));
        return Ok(Polled::Nothing(head));
    }
    dure_wire::json::read(&reply.body).map(Polled::Task).map_err(|error| error.to_string())
}

/// `SEQUENCE HASH`.
fn parse_head(text: &str) -> Option<Head> {
    let (sequence, hash) = text.split_once(' ')?;
    Some(Head { sequence: sequence.parse().ok()?, hash: hash.parse().ok()? })
}

/// As much of a reason as a journal keeps.
fn short(reason: &str) -> String {
    if reason.len() <= MAX_REASON {
        return reason.into();
    }
    let end = reason.floor_char_boundary(MAX_REASON - '…'.len_utf8());
    format!("{}…", &reason[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_journals_head_is_a_number_and_a_digest() {
        let hash = Digest([0x5f; 32]);
        assert_eq!(parse_head(&format!("12 {hash}")), Some(Head { sequence: 12, hash }));
        for bad in ["", "12", "x 5f", "12 5f", &format!("-1 {hash}")] {
            assert_eq!(parse_head(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_long_reason_is_cut_where_a_character_ends() {
        assert_eq!(short("no"), "no");
        let cut = short(&"두".repeat(1000));
        assert!(cut.len() <= MAX_REASON && cut.ends_with("두…"), "{}", cut.len());
    }

    #[test]
    fn paths_name_clients_tasks_and_digests() {
        let client = ClientName::new("person-07").unwrap();
        let poll = poll(&client, 20);
        assert_eq!(poll.path, "/clients/person-07/task?wait=20");
        assert_eq!(poll.wait, Duration::from_secs(20));
        let task: TaskId = "1-train-3-1-person-07".parse().unwrap();
        let sha256 = Digest([0x11; 32]);
        let path = update(&task, sha256, Bytes::new()).path;
        assert_eq!(path, format!("/tasks/1-train-3-1-person-07/result?sha256={}", "11".repeat(32)));
    }
}
