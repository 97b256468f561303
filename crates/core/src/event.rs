//! What happens in a federation. The events are also the persisted format: a record, once written, is never rewritten.

use std::collections::{BTreeMap, BTreeSet};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, Unexpected},
};

use crate::{
    cohort::filter::Facts,
    digest::Digest,
    name::ClientName,
    plan::Plan,
    round::RoundId,
    statistics::{Metrics, Statistics, Sums},
    time::Time,
    update::Weight,
};

/// The schema of the records that this version writes.
pub const SCHEMA: u32 = 1;

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The schema that it was written in.
    pub v: u32,
    /// Federation time.
    pub at: Time,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

impl Record {
    /// `event`, at `at`, in the schema of this version.
    pub fn new(at: Time, event: Event) -> Self {
        Self { v: SCHEMA, at, event }
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "the fields are the nouns of the design; a line on each would repeat its name")]
pub enum Event {
    /// The journal begins. The recipe is the one that sites look for; the schema is what their rows must mean.
    FederationCreated {
        name: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        recipe: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        schema: Option<serde_json::Map<String, serde_json::Value>>,
    },
    /// A client is a member from now on, or again. `epoch` counts its joins and returns.
    ClientJoined {
        client: ClientName,
        epoch: u32,
        #[serde(default = "yes", skip_serializing_if = "is_yes")]
        ready: bool,
    },
    /// A client takes tasks from now on, or takes none until it is ready again.
    ReadinessChanged { client: ClientName, ready: bool, reason: String },
    /// A client said goodbye.
    ClientLeft { client: ClientName, reason: String },
    /// The operator sent a client away.
    ClientEvicted { client: ClientName, reason: String },
    /// A client's lease ended.
    ClientLost { client: ClientName, epoch: u32 },
    /// A lost client was heard of again.
    ClientReturned { client: ClientName, epoch: u32 },
    /// A job exists. A refit names the job that chose its number of rounds.
    JobCreated {
        job: u32,
        #[serde(with = "text")]
        seed: u64,
        refit_of: Option<u32>,
        plan: Box<Plan>,
    },
    /// A device says this of itself. Kept only while a job asks for it.
    FactsChanged { client: ClientName, facts: Facts },
    /// A job opens rounds from now on; with `rounds`, so many, and then it pauses.
    JobStarted {
        job: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rounds: Option<u32>,
    },
    /// A job opens no round until it is resumed; an open round goes on.
    JobPaused { job: u32 },
    /// A paused job goes on; with `rounds`, for so many.
    JobResumed {
        job: u32,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rounds: Option<u32>,
    },
    /// A job that is stepped by hand goes on to its next training round, which ends when someone aggregates it.
    JobStepped { job: u32 },
    /// The training of a job is over: a stop rule fired, or someone stopped it.
    TrainingEnded { job: u32, reason: Stop },
    /// A job is over. A failure has a reason.
    JobEnded {
        job: u32,
        outcome: Outcome,
        #[serde(default, skip_serializing_if = "String::is_empty")]
        reason: String,
    },
    /// A round asks its cohort. With `goal` it asks more clients than it wants answers, and ends when it has them.
    RoundOpened {
        round: RoundId,
        version: Option<u32>,
        cohort: BTreeSet<ClientName>,
        quorum: usize,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        goal: Option<usize>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        among: Option<usize>,
        deadline: Time,
    },
    /// A client's answer counts.
    AnswerAccepted { round: RoundId, client: ClientName, answer: Answer },
    /// A client takes the place of one that will not answer or, in an asynchronous job, of one that has.
    TaskReassigned { round: RoundId, client: ClientName },
    /// A client will not answer.
    TaskDeclined { round: RoundId, client: ClientName, reason: String },
    /// A round has the answers it needed. `staleness` says of answers from versions before the round's how many came since.
    RoundCompleted {
        round: RoundId,
        participants: BTreeSet<ClientName>,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        staleness: BTreeMap<ClientName, u32>,
    },
    /// A round ended without a quorum. The model is unchanged.
    RoundAbandoned { round: RoundId, reported: usize, quorum: usize },
    /// The clients' columns have these moments, all together.
    Measured { job: u32, statistics: Statistics },
    /// A model version exists; its blob has this digest. Round 0 is the initial model.
    /// `state` is the digest of what the server's optimizer remembers, if it remembers anything.
    ModelPublished {
        version: u32,
        job: u32,
        round: u32,
        sha256: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<Digest>,
        parent: Option<u32>,
    },
    /// A model version is this good, over all participants' rows together.
    Evaluated { round: RoundId, version: u32, metrics: BTreeMap<String, Metrics> },
    /// A name stands for a model version from now on.
    AliasSet { alias: String, version: u32 },
}

fn yes() -> bool {
    true
}

fn is_yes(flag: &bool) -> bool {
    *flag
}

/// A client's answer, as the journal keeps it. Tensors are blobs; the journal has their digest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "as above")]
pub enum Answer {
    /// To `train`: the update's blob, and what stands beside the tensors.
    Update {
        sha256: Digest,
        #[serde(with = "text")]
        bytes: u64,
        weight: Weight,
        scalars: BTreeMap<String, f64>,
    },
    /// To `measure`: moments of the columns.
    Measured { statistics: Statistics },
    /// To `evaluate` and `test`: sums of the errors and counts of the classes, by the model that made them (`global`, `personalised`).
    Evaluated { sums: BTreeMap<String, Sums> },
}

impl Answer {
    /// The digest of the blob that it names; none for sums.
    pub fn blob(&self) -> Option<Digest> {
        match self {
            Self::Update { sha256, .. } => Some(*sha256),
            Self::Measured { .. } | Self::Evaluated { .. } => None,
        }
    }
}

/// Why training ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stop {
    /// All rounds are done.
    Rounds,
    /// The metric reached its target.
    Target,
    /// The metric has not improved for too long.
    Patience,
    /// The time limit has passed.
    TimeLimit,
    /// Someone stopped the job after a round.
    Stopped,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It did what was asked.
    Completed,
    /// Someone aborted it.
    Aborted,
    /// Too many rounds in a row were abandoned.
    GaveUp,
    /// There is no next model version.
    Failed,
}

/// 64-bit numbers are strings in JSON: many readers keep only 53 bits of a number.
pub(crate) mod text {
    use std::{fmt::Display, str::FromStr};

    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(crate) fn serialize<S: Serializer, T: Display>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(value)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>, T: FromStr<Err: Display>>(from: D) -> Result<T, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}

/// Reads a number of single precision as the one whose digits were written. Where JSON is read by way of values, as a record
/// is, a number comes as an f64, and rounding twice can miss it: 7.038531e-26 lies, as an f64, halfway between two others. An
/// f64's own shortest digits are those that were written, for of an f32 they are at most nine.
pub(crate) fn single<'de, D: Deserializer<'de>>(from: D) -> Result<f32, D::Error> {
    let number = f64::deserialize(from)?;
    let single = format!("{number:e}").parse().unwrap_or(f32::NAN);
    if number.is_finite() && !single.is_finite() {
        return Err(D::Error::invalid_value(Unexpected::Float(number), &"a number of single precision"));
    }
    Ok(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Number(#[serde(deserialize_with = "single")] f32);

    #[test]
    fn a_number_of_single_precision_is_the_one_that_was_written_however_it_is_read() {
        for bits in [0x15ae_43fd, 0, 0x8000_0000, 1, 0x007f_ffff, 0x0080_0000, 0x3dcc_cccd, 0x7f7f_ffff, 0xff7f_ffff] {
            let number = Number(f32::from_bits(bits));
            let text = serde_json::to_string(&number).unwrap();
            let value: serde_json::Value = serde_json::from_str(&text).unwrap();
            for read in [serde_json::from_str(&text), serde_json::from_value(value)].map(Result::<Number, _>::unwrap) {
                assert_eq!(read.0.to_bits(), bits, "{text}");
            }
        }
        assert_eq!(serde_json::to_string(&Number(f32::from_bits(0x15ae_43fd))).unwrap(), "7.038531e-26");
        let error = serde_json::from_str::<Number>("1e39").unwrap_err().to_string();
        assert!(
            error.starts_with("invalid value: floating point `1e+39`, expected a number of single precision"),
            "{error}"
        );
    }

    #[test]
    fn a_record_is_one_flat_object_and_knows_its_fields() {
        let record = Record::new(Time(7), Event::ClientLost { client: ClientName::new("a").unwrap(), epoch: 2 });
        let json = r#"{"v":1,"at":"7","type":"client_lost","client":"a","epoch":2}"#;
        assert_eq!(serde_json::to_string(&record).unwrap(), json);
        assert_eq!(serde_json::from_str::<Record>(json).unwrap(), record);
        for (from, to) in [("epoch", "epoc"), (r#""v":1,"#, ""), (r#""epoch":2"#, r#""epoch":2,"more":1"#)] {
            let bad = json.replace(from, to);
            assert!(serde_json::from_str::<Record>(&bad).is_err(), "{bad}");
        }
    }
}
