//! Journals that the rules have written, read back as a story.

use dure_core::{
    digest::Digest,
    event::Record,
    federation::Command,
    plan::{Plan, PlanSpec},
    round::{Round, TaskId},
    statistics::Statistics,
    update::Weight,
};

use super::*;
use crate::{args::RecipeArgs, source};

/// A federation of two clients and what is told of its first job.
struct Play {
    federation: Federation,
    head: Head,
    lines: Vec<String>,
    at: u64,
}

impl Play {
    /// A job of the fitbit recipe with these overrides, started.
    fn begin(overrides: &[&str]) -> Self {
        let overrides = ["split.test=0", "refit=false"].iter().chain(overrides).map(|o| (*o).to_owned()).collect();
        let found = source::recipe(&RecipeArgs { recipe: "fitbit".into(), overrides, smoke: false }).unwrap();
        let plan: PlanSpec = found.recipe.plan("fitbit").unwrap().into();
        let plan = Plan::new(PlanSpec { measure: vec![], ..plan }).unwrap();
        let (federation, head, lines) = (Federation::default(), Head::default(), vec![]);
        let mut play = Self { federation, head, lines, at: 0 };
        play.does(Command::Create { name: "test".into(), recipe: None, schema: None });
        for client in ["a", "b"] {
            play.does(Command::Join { client: client.to_owned().try_into().unwrap(), ready: true });
        }
        play.does(Command::CreateJob { plan: Box::new(plan), seed: 7 });
        play.does(Command::Start { job: 1, rounds: None });
        play.publish();
        play
    }

    /// A second passes before each command, and whatever is due after it happens.
    fn does(&mut self, command: Command) {
        self.at += 1000;
        for command in [command, Command::Tick, Command::Tick] {
            for event in self.federation.decide(&command, Time(self.at)).unwrap() {
                let record = Record::new(Time(self.at), event);
                self.lines.push(self.head.append(&record).line());
                self.federation.apply(&record);
            }
        }
    }

    fn publish(&mut self) {
        let sha256 = Digest::of(&self.at.to_be_bytes());
        self.does(Command::Publish { job: 1, sha256, state: None });
    }

    /// Everybody answers the open round, in order, but those of `declining`, until it ends.
    fn answer(&mut self, declining: &[&str]) {
        let open = self.federation.open_round().unwrap();
        let Round::Collecting { awaited, .. } = open.round.clone() else { panic!("{open:?}") };
        let round = open.id;
        for client in awaited {
            if self.federation.open_round().is_none_or(|open| open.id != round) {
                return;
            }
            let task = TaskId { round, client: client.clone() };
            if declining.contains(&client.as_str()) {
                self.does(Command::Decline { task, reason: "the disk\nis full".into() });
                continue;
            }
            let answer = match round.kind {
                Kind::Train => Answer::Update {
                    sha256: Digest::of(b"update"),
                    bytes: 1500,
                    weight: Weight::new(2.0).unwrap(),
                    scalars: BTreeMap::from([("train_loss".into(), 0.25)]),
                },
                _ => Answer::Evaluated {
                    sums: BTreeMap::from([(
                        "global".into(),
                        dure_core::statistics::Sums { moments: sums(), ..Default::default() },
                    )]),
                },
            };
            self.does(Command::Report { task, answer });
        }
    }

    /// What is told and what is noted.
    fn told(&self) -> (Story, Vec<String>, Vec<String>) {
        let (mut story, mut told, mut noted) = (Story::of(1), vec![], vec![]);
        for line in &self.lines {
            for said in story.take(line).unwrap() {
                match said {
                    Told(text) => told.push(text),
                    Noted(text) => noted.push(text),
                }
            }
        }
        (story, told, noted)
    }
}

fn sums() -> Statistics {
    let mut sums = Statistics::new();
    for (truth, prediction) in [(1.0, 2.0), (3.0, 3.0)] {
        dure_core::statistics::regression::add(&mut sums, truth, prediction);
    }
    sums
}

fn cells(row: &str) -> Vec<&str> {
    row.split_whitespace().collect()
}

#[test]
fn a_round_is_told_when_its_model_is_judged_and_at_once_if_it_is_not() {
    let mut play = Play::begin(&["rounds=3", "evaluate.every=2"]);
    play.answer(&[]);
    play.publish();
    let (_, told, _) = play.told();
    let table: Vec<&str> = told[1].lines().collect();
    assert!(table[1].trim().starts_with("round") && table[2].starts_with('─'), "{}", told[1]);
    let first = ["1", "2/2", "0.2500", "–", "–", "–", "–", "3.0", "kB", "3.0", "s"];
    assert_eq!(cells(table[3]), first);
    assert_eq!(table[1].chars().count(), table[3].chars().count());
    play.answer(&[]);
    play.publish();
    assert_eq!(play.told().1.len(), 2, "the second is to be judged");
    play.answer(&[]);
    let (_, told, _) = play.told();
    assert_eq!(cells(&told[2])[..4], ["2", "2/2", "0.2500", "0.500"]);
    assert_eq!(told[2].lines().count(), 1, "the table has its head");
}

#[test]
fn it_says_what_it_waits_for_and_what_went_wrong() {
    let mut play = Play::begin(&["rounds=1", "cohort.quorum=2", "stop.abandoned=2"]);
    assert!(
        play.told().0.now().ends_with("0 of 1 rounds: round 1-train-1-1 has 0 answers of 2 needed; it waits for a, b")
    );
    play.does(Command::Pause { job: 1 });
    play.does(Command::Resume { job: 1, rounds: None });
    play.answer(&["b"]);
    let (story, _, noted) = play.told();
    assert_eq!(noted[..2], ["job 1 is paused after round 0", "job 1 goes on after round 0"]);
    assert_eq!(noted[2], "b declined 1-train-1-1: the disk is full");
    assert_eq!(noted[3], "round 1-train-1-1 was abandoned: 1 answer, and 2 were needed");
    assert!(!story.is_over() && story.failure().is_none());
    assert!(story.now().ends_with("the round was abandoned (1 in a row); it is tried again in a moment"));
    play.does(Command::Tick);
    play.answer(&["a", "b"]);
    let (story, told, _) = play.told();
    assert!(story.is_over());
    assert_eq!(story.failure().unwrap(), "job 1 gave up: too many rounds in a row were abandoned");
    assert_eq!(told.len(), 1, "only that it began");
}

#[test]
fn a_job_that_is_aborted_or_fails_says_why() {
    let mut play = Play::begin(&[]);
    play.does(Command::Abort { job: 1 });
    assert_eq!(play.told().0.failure().unwrap(), "job 1 was aborted");
    let mut play = Play::begin(&[]);
    play.does(Command::Fail { job: 1, reason: "the model\u{7} is not finite".into() });
    assert_eq!(play.told().0.failure().unwrap(), "job 1 failed: the model  is not finite");
}

#[test]
fn a_job_that_was_stopped_completes_and_says_so() {
    let mut play = Play::begin(&["rounds=9"]);
    play.does(Command::Stop { job: 1 });
    play.answer(&[]);
    play.publish();
    play.answer(&[]);
    let (story, told, _) = play.told();
    assert!(story.is_over() && story.failure().is_none());
    assert_eq!(told.last().unwrap(), "\njob 1 completed after 1 round: someone stopped it; its model is version 2\n");
}

#[test]
fn a_line_that_is_known_is_passed_over_and_a_gap_is_refused() {
    let play = Play::begin(&[]);
    let (mut story, _, _) = play.told();
    let last = story.last();
    assert!(story.take(&play.lines[2]).unwrap().is_empty());
    assert_eq!(story.last(), last);
    let mut story = Story::of(1);
    story.take(&play.lines[0]).unwrap();
    assert_eq!(story.take(&play.lines[2]).unwrap_err().to_string(), "entry 2 is broken: its sequence number is 3");
    assert!(!story.has_begun());
}
