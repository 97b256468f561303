//! `report.html`: what a run came to, for somebody who was not there. One file, its pictures inside, nothing to fetch or run.
//!
//! A part whose data are absent is left out; a figure that is absent or not finite is a dash.

pub mod fill;

mod sections;

mod confusion;
mod curves;
mod regression;
mod strips;

mod number;
mod page;
mod plane;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use dure_core::{
    name::ClientName,
    statistics::{Metrics, classification::ClassFigures, larger_is_better},
};
use dure_sim::report::{Figures, RoundRow};

/// What is told, in the order of the page.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// The recipe's name.
    pub recipe: String,
    /// What it does, in a line; may be empty.
    pub title: String,
    /// What was run, in a paragraph.
    pub summary: String,
    /// Whether the data are made up, which the page then says first.
    pub made_up: bool,
    /// What was chosen and what was used: a label and a value each.
    pub facts: Vec<(&'static str, String)>,
    /// Whether learning alone had a model and a training of its own.
    pub alone_differs: bool,
    /// What to type for the same run.
    pub command: String,
    /// The figures that are told, in the order of columns; the first one comes first everywhere.
    pub metrics: Vec<Metric>,
    /// The models that were tested, each with its figures on test rows.
    pub models: Vec<(Model, Figures)>,
    /// The rounds that everything was chosen by; their metrics are on validation rows.
    pub rounds: Vec<RoundRow>,
    /// The rounds that trained the reported model once more, on training and validation rows together.
    pub refit: Vec<RoundRow>,
    /// Who has how much of what.
    pub partition: Option<Partition>,
    /// Of a classification: the reported model on test rows, by class.
    pub classes: Option<Classes>,
    /// Of a regression: what the reported model says of test rows.
    pub predictions: Option<Predictions>,
}

/// A figure that models are judged by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What files call it: one of `dure_core::statistics::METRICS`.
    pub key: String,
    /// Its unit; empty without one.
    pub unit: String,
}

/// Which model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Model {
    /// The federation's.
    Global,
    /// The federation's, trained on by each client for itself.
    Personalised,
    /// Trained on all rows in one place.
    Central,
    /// Each client's own, trained on its rows alone.
    Local,
}

/// Clients by labels, or their sizes.
#[derive(Clone, Debug, Default)]
pub struct Partition {
    /// By `dure_learn::partition::picture::svg`.
    pub picture: String,
    /// What is seen, after the word `Examples`.
    pub words: String,
}

/// A classification's test rows.
#[derive(Clone, Debug, Default)]
pub struct Classes {
    /// What classes are called; one without a name is called by its number.
    pub names: Vec<String>,
    /// By `classification::confusion`: a row for each true class, a column for each that was predicted.
    pub confusion: Vec<Vec<u32>>,
    /// By `classification::per_class`.
    pub figures: Vec<ClassFigures>,
}

/// A regression's test rows.
#[derive(Clone, Debug, Default)]
pub struct Predictions {
    /// The column that is predicted.
    pub target: String,
    /// Its unit; may be empty.
    pub unit: String,
    /// Truth and prediction of each row.
    pub pairs: Vec<(f64, f64)>,
}

/// The whole page.
pub fn html(report: &Report) -> String {
    page::document(&sections::heading(report), &sections::all(report))
}

impl Metric {
    /// What people call it, with its unit.
    fn label(&self) -> String {
        let name = match self.key.as_str() {
            "mae" => "MAE",
            "rmse" => "RMSE",
            "r2" => "R²",
            "pearson_r" => "Pearson’s r",
            "accuracy" => "accuracy",
            "balanced_accuracy" => "balanced accuracy",
            "macro_f1" => "macro-F1",
            "auroc" => "AUROC",
            "log_loss" => "log-loss",
            other => other,
        };
        if self.unit.is_empty() { name.to_owned() } else { format!("{name}, {}", self.unit) }
    }

    /// Whether `a` is better than `b`.
    fn better(&self, a: f64, b: f64) -> bool {
        if larger_is_better(&self.key) { a > b } else { a < b }
    }

    /// This metric of those, if it is there and a number.
    fn of(&self, metrics: &Metrics) -> Option<f64> {
        metrics.get(&self.key).copied().filter(|value| number::is_drawable(*value))
    }

    /// This metric of each client that has it, in the order of names.
    fn of_clients<'a>(&self, clients: &'a BTreeMap<ClientName, Metrics>) -> Vec<(&'a ClientName, f64)> {
        clients.iter().filter_map(|(name, metrics)| Some((name, self.of(metrics)?))).collect()
    }
}

impl Model {
    /// What it is called in pictures.
    fn name(self) -> &'static str {
        match self {
            Self::Global => "federated",
            Self::Personalised => "personalised",
            Self::Central => "centralised",
            Self::Local => "local only",
        }
    }

    /// What it is.
    fn explained(self) -> &'static str {
        match self {
            Self::Global => "one model for all clients",
            Self::Personalised => "each client’s own: the federated model trained on, or one beside it",
            Self::Central => "all rows in one place",
            Self::Local => "every client alone",
        }
    }
}
