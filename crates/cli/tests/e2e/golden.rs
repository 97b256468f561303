//! The golden job: three made-up people, two training rounds, and every phase of a job. Whatever happens on the way, the same
//! answers are accepted, each once, and the same versions come out: those of the simulator.

use std::{path::PathBuf, sync::OnceLock};

use serde_json::Value;

use crate::harness::{How, Process, Serve, block_on, dure, said};

/// How many clients it has. All of them have to answer in every round.
pub const CLIENTS: usize = 3;

/// Its seed and keys. The server's optimizer remembers something and tells the clients, and each client keeps its direction and a
/// layer of its own, so that a restart has something to forget.
pub const KEYS: [&str; 11] = [
    "--seed",
    "11",
    "rounds=2",
    "refit=false",
    "cohort.min_clients=3",
    "cohort.deadline_s=600",
    "personalise.epochs=5",
    "stop.abandoned=9",
    "strategy.name=scaffold",
    "training.optimizer={name=\"sgd\",learning_rate=0.02}",
    "personalise.layers=[\"layers.6\"]",
];

/// A server with the federation of the golden job, the rows, and an invitation.
pub struct Golden {
    pub server: Serve,
    pub people: PathBuf,
    pub invitation: String,
}

impl Golden {
    pub fn start() -> Self {
        Self::start_as(How::default())
    }

    /// With a server that is started so.
    pub fn start_as(how: How) -> Self {
        Self::on(Serve::start_as(how))
    }

    /// On a server that has no federation yet.
    pub fn on(server: Serve) -> Self {
        let (invitation, people) = (server.fitbit(), server.people(CLIENTS as u32));
        Self { server, people, invitation }
    }

    /// An agent for all three clients, with the state folder `state-{name}` and the log `{name}.log`. The same name again is
    /// the same agent.
    pub fn join(&self, name: &str) -> Process {
        self.join_as(name, &How::default())
    }

    /// An agent that is started so; with `--part 1/3` in it, an agent for one of them.
    pub fn join_as(&self, name: &str, how: &How) -> Process {
        self.server.join_as(how, name, &self.invitation, &self.people)
    }

    /// An agent that knows the server by another URL.
    pub fn join_by(&self, url: &str, name: &str, how: &How) -> Process {
        let invitation = self.invitation.replace(&self.server.url, url);
        assert_ne!(invitation, self.invitation, "{url}");
        self.server.join_as(how, name, &invitation, &self.people)
    }

    /// Starts the job once all clients are there.
    pub async fn begin(&self) {
        self.begin_with(&[]).await;
    }

    /// With more keys, which change no digest.
    pub async fn begin_with(&self, keys: &[&str]) {
        self.server.until_clients(CLIENTS).await;
        self.server.start_job(&[&KEYS[..], keys].concat());
    }

    /// Waits for the job's end, which must be a good one.
    pub async fn over(&self) -> Outcome {
        let over = self.server.until_over(1).await;
        assert_eq!(over["status"], "completed", "{over}");
        Outcome::on(&self.server).await
    }
}

/// What came of a golden job.
pub struct Outcome {
    /// The digests of all versions.
    pub versions: Vec<String>,
    /// The events of the journal.
    pub events: Vec<Value>,
}

impl Outcome {
    /// What a server shows of the golden job, which is over.
    pub async fn on(server: &Serve) -> Self {
        Self { versions: server.digests().await, events: server.journal() }
    }

    /// The events of one type.
    pub fn of(&self, kind: &str) -> Vec<&Value> {
        self.events.iter().filter(|event| event["type"] == kind).collect()
    }

    /// Every answer that the job accepted, as text and in order: to which round, whose, and what. Answers of abandoned rounds
    /// are not among them.
    fn answers(&self) -> Vec<String> {
        let complete = |round: &Value| self.of("round_completed").iter().any(|event| event["round"] == *round);
        let accepted = self.of("answer_accepted").into_iter().filter(|event| complete(&event["round"]));
        let mut answers: Vec<String> = accepted
            .map(|event| format!("{} {} {}", without_attempt(&event["round"]), event["client"], event["answer"]))
            .collect();
        answers.sort();
        answers
    }

    /// Holds it to the quiet run: every version, every answer of every completed round, each accepted once.
    pub fn assert_same_bits(&self) {
        assert_eq!(self.versions, quiet().versions);
        assert_eq!(self.answers(), quiet().answers());
    }

    /// As above; and no round was abandoned, nobody declined, nobody was lost.
    pub fn assert_unharmed(&self) {
        self.assert_same_bits();
        for kind in ["round_abandoned", "task_declined", "client_lost"] {
            assert!(self.of(kind).is_empty(), "{kind}: {:?}", self.of(kind));
        }
    }
}

/// `1-train-2-1` is attempt 1 of `1-train-2`.
fn without_attempt(round: &Value) -> &str {
    round.as_str().unwrap().rsplit_once('-').unwrap().0
}

/// What the simulator comes to, which is what a quiet run comes to.
pub fn quiet() -> &'static Outcome {
    static QUIET: OnceLock<Outcome> = OnceLock::new();
    QUIET.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let (people, out) = (folder.path().join("people"), folder.path().join("out"));
        let count = CLIENTS.to_string();
        said(dure().args(["data", "generate", "fitbit", "--people", &count, "--out"]).arg(&people));
        said(dure().args(["simulate", "fitbit", "--data"]).arg(&people).args(KEYS).arg("--out").arg(&out));
        let journal = std::fs::read_to_string(out.join("journal.jsonl")).unwrap();
        let events: Vec<Value> =
            journal.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["event"].clone()).collect();
        let published = events.iter().filter(|event| event["type"] == "model_published");
        let versions = published.map(|event| event["sha256"].as_str().unwrap().to_owned()).collect();
        Outcome { versions, events }
    })
}

#[test]
fn a_quiet_golden_job_comes_to_the_simulators_bits() {
    block_on(async {
        let golden = Golden::start();
        let mut agent = golden.join("agent");
        golden.begin().await;
        let outcome = golden.over().await;
        outcome.assert_unharmed();
        assert_eq!((outcome.versions.len(), outcome.answers().len()), (3, 6 * CLIENTS));
        assert!(agent.stop().await.success(), "{}", agent.log());
    });
}

#[test]
fn a_golden_job_of_three_agents_comes_to_the_simulators_bits() {
    block_on(async {
        let golden = Golden::start();
        let part =
            |i: usize| golden.join_as(&format!("part-{i}"), &How::default().args(&["--part", &format!("{i}/3")]));
        let _agents = [1, 2, 3].map(part);
        golden.begin().await;
        golden.over().await.assert_unharmed();
    });
}
