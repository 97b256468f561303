//! What a simulation came to: `result.json` and `rounds.csv`.

use std::collections::BTreeMap;

use dure_core::{
    digest::Digest,
    event::Answer,
    job::Collection,
    journal::Head,
    name::ClientName,
    statistics::{
        Metrics, Moments, Sums,
        classification::{self, ClassFigures},
    },
};
use serde::Serialize;

/// `result.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The recipe's name.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// The rows.
    pub data: DataReport,
    /// The reported model.
    pub model: ModelReport,
    /// Where the journal's chain ends: a witness of its file.
    pub journal: Head,
    /// The rounds of the job that everything was chosen by; their metrics are on validation rows.
    pub rounds: Vec<RoundRow>,
    /// The rounds of the job that was trained again on training and validation rows, and is reported.
    pub refit: Vec<RoundRow>,
    /// On test rows: `global`, and `personalised` if the recipe says so.
    #[serde(rename = "final")]
    pub last: BTreeMap<String, Figures>,
    /// On test rows: `central` and `local`, if they were asked for.
    pub baselines: BTreeMap<String, Figures>,
    /// Threads that trained.
    pub threads: usize,
    /// Seconds from the program's start to the report.
    pub wall_s: f64,
    /// The most memory that the program held.
    pub peak_rss_bytes: u64,
}

/// The rows that were used.
#[derive(Clone, Debug, Serialize)]
pub struct DataReport {
    /// `file` or `generated`.
    pub source: String,
    /// How many clients.
    pub clients: usize,
    /// How many rows.
    pub examples: usize,
    /// How many rows were dropped.
    pub dropped: usize,
}

/// The model that is reported.
#[derive(Clone, Debug, Serialize)]
pub struct ModelReport {
    /// How many parameters.
    pub parameters: usize,
    /// The digest of `model.safetensors`.
    pub sha256: Digest,
}

/// One training round.
#[derive(Clone, Debug, Serialize)]
pub struct RoundRow {
    /// The job, counted from 1.
    pub job: u32,
    /// The round, counted from 1.
    pub round: u32,
    /// Which attempt at it succeeded.
    pub attempt: u32,
    /// Clients asked.
    pub cohort: usize,
    /// Clients that answered.
    pub participants: usize,
    /// How many versions had come, in the mean over them, since the ones that they were given: 0 but in an asynchronous job.
    pub staleness: f64,
    /// Mean loss over all examples of the round, on the scaled target.
    pub train_loss: f64,
    /// Of the new model, on validation rows; empty where it was not evaluated.
    pub metrics: Metrics,
    /// Bytes of all updates, before transport compression.
    pub bytes_up: u64,
    /// Bytes of all copies of the base version, before transport compression.
    pub bytes_down: u64,
    /// Seconds on the wall clock.
    pub wall_s: f64,
    /// Seconds in the simulated world; 0 without one.
    pub virtual_s: f64,
    /// Whose answer the round ended with and what that client did longest, or `silence` if it ended at its deadline; empty where
    /// nothing takes time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub waited_for: String,
}

/// Figures on rows pooled over all clients, and how they spread over clients.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// On pooled rows.
    #[serde(flatten)]
    pub pooled: Metrics,
    /// Over clients, by metric.
    pub over_clients: BTreeMap<String, Spread>,
    /// Each client's own. `result.json` leaves them out.
    #[serde(skip)]
    pub by_client: BTreeMap<ClientName, Metrics>,
    /// Rows of each class, in the order of classes, by the class that was said of them; none of a number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub confusion: Option<Vec<Vec<u32>>>,
    /// Figures of each class; none of a number.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassFigures>,
}

/// How a figure spreads over the clients that have it.
#[derive(Clone, Debug, Serialize)]
pub struct Spread {
    /// How many clients have it.
    pub clients: u64,
    /// The mean of theirs.
    pub mean: f64,
    /// The standard deviation of theirs.
    pub sd: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Figures {
    /// From each client's sums, in the order of names.
    pub fn of<'a>(sums: impl Iterator<Item = (&'a ClientName, &'a Sums)>) -> Self {
        let (mut total, mut spreads) = (Sums::default(), BTreeMap::<String, (Moments, f64, f64)>::new());
        let mut by_client = BTreeMap::new();
        for (client, sums) in sums {
            total.merge(sums);
            let metrics = sums.metrics();
            for (metric, value) in metrics.clone() {
                let (moments, min, max) = spreads.entry(metric).or_insert((Moments::default(), f64::MAX, f64::MIN));
                moments.add(value);
                (*min, *max) = (min.min(value), max.max(value));
            }
            by_client.insert(client.clone(), metrics);
        }
        let spread = |(metric, (moments, min, max)): (String, (Moments, f64, f64))| {
            (metric, Spread { clients: moments.n, mean: moments.mean, sd: moments.deviation(), min, max })
        };
        let over_clients = spreads.into_iter().map(spread).collect();
        let (confusion, classes) = (classification::confusion(&total.counts), classification::per_class(&total.counts));
        Self { pooled: total.metrics(), over_clients, by_client, confusion, classes }
    }

    /// Those of a test round, by the model that was tested.
    pub fn of_test(round: &Collection) -> BTreeMap<String, Self> {
        let mut sections = BTreeMap::<&str, Vec<(&ClientName, &Sums)>>::new();
        for (client, answer) in &round.answers {
            if let Answer::Evaluated { sums } = answer {
                sums.iter().for_each(|(section, sums)| sections.entry(section).or_default().push((client, sums)));
            }
        }
        sections.into_iter().map(|(section, sums)| (section.to_owned(), Self::of(sums.into_iter()))).collect()
    }
}

/// `rounds.csv`: a line for each training round. `metrics` names the columns of figures.
pub fn rounds_csv(rounds: &[RoundRow], metrics: &[&str]) -> String {
    let mut csv = format!(
        "job,round,attempt,cohort,participants,staleness,train_loss,{},bytes_up,bytes_down,wall_s,virtual_s,waited_for\n",
        metrics.join(",")
    );
    for row in rounds {
        let figures: Vec<String> =
            metrics.iter().map(|name| row.metrics.get(*name).map_or_else(String::new, f64::to_string)).collect();
        let RoundRow { job, round, attempt, cohort, participants, staleness, train_loss, .. } = row;
        let RoundRow { bytes_up, bytes_down, wall_s, virtual_s, waited_for, .. } = row;
        let loss = if train_loss.is_finite() { train_loss.to_string() } else { String::new() };
        csv.push_str(&format!(
            "{job},{round},{attempt},{cohort},{participants},{staleness},{loss},{},",
            figures.join(",")
        ));
        csv.push_str(&format!("{bytes_up},{bytes_down},{wall_s:.6},{virtual_s},{waited_for}\n"));
    }
    csv
}
