//! What people see: tables, figures in words, a progress bar when it takes long.

use std::{
    collections::BTreeMap,
    io::{IsTerminal as _, stderr},
    time::{Duration, Instant},
};

use comfy_table::{CellAlignment, ColumnConstraint, LineStyle, Table, TableStyle, Width};
use dure_core::statistics::{
    classification::{self, ClassFigures},
    regression,
};
use dure_learn::schema::Schema;
use dure_sim::{
    Progress,
    report::{Figures, RoundRow},
};
use indicatif::{ProgressBar, ProgressStyle};

use crate::words;

/// What a model says, and so by which figures it is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    /// A number.
    Number,
    /// A class.
    Class,
}

impl Says {
    /// By how many classes there are, if any.
    pub fn of(classes: Option<usize>) -> Self {
        if classes.is_some() { Self::Class } else { Self::Number }
    }

    /// By what a schema's model says.
    pub fn of_schema(schema: &Schema) -> Self {
        if schema.is_of_classes() { Self::Class } else { Self::Number }
    }

    /// By figures that there are.
    pub fn of_figures(figures: &BTreeMap<String, f64>) -> Self {
        if classification::METRICS.iter().any(|metric| figures.contains_key(*metric)) {
            Self::Class
        } else {
            Self::Number
        }
    }

    /// The figures of a round, in the order of columns, with their heads. All have as many.
    pub fn of_round(self) -> [(&'static str, &'static str); 4] {
        match self {
            Self::Number => [("mae", "MAE"), ("rmse", "RMSE"), ("r2", "R²"), ("pearson_r", "r")],
            Self::Class => [
                ("accuracy", "accuracy"),
                ("balanced_accuracy", "balanced"),
                ("macro_f1", "macro F1"),
                ("log_loss", "log loss"),
            ],
        }
    }

    /// The figures of test rows, in the order of columns, with their heads.
    pub fn of_test(self, unit: &str) -> Vec<(&'static str, String)> {
        let named = |(metric, head): (&'static str, &str)| match metric {
            "mae" | "rmse" => (metric, format!("{head}, {unit}")),
            _ => (metric, head.into()),
        };
        let scores = (self == Self::Class).then(|| ("auroc", "AUROC".to_owned()));
        self.of_round().into_iter().map(named).chain(scores).collect()
    }

    /// All figures, in the order of a file's columns.
    pub fn metrics(self) -> &'static [&'static str] {
        match self {
            Self::Number => &regression::METRICS,
            Self::Class => &classification::METRICS,
        }
    }

    /// The figure that stands for all, and its head.
    pub fn main(self) -> (&'static str, &'static str) {
        match self {
            Self::Number => ("mae", "MAE"),
            Self::Class => ("macro_f1", "macro F1"),
        }
    }
}

/// A table whose columns but the first are aligned to the right: figures.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = listing(header, rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A table whose columns are aligned to the left: words.
pub fn listing(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    table
}

/// Lines of a label and what it is; what is absent has no line.
pub fn lines(facts: &[(&str, Option<String>)]) -> String {
    let told = facts.iter().filter_map(|(label, fact)| Some((label, fact.as_ref()?)));
    told.map(|(label, fact)| format!("{label:<10}{fact}\n")).collect()
}

/// What there is, or a dash.
pub fn or_dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "–".into(), |value| value.to_string())
}

/// Something that can be shown: three significant digits below ten, one decimal below a thousand.
pub fn figure(value: Option<&f64>) -> String {
    match value {
        None => "–".into(),
        Some(value) if value.abs() < 10.0 => format!("{value:.3}"),
        Some(value) => format!("{value:.1}"),
    }
}

/// Bytes in a unit that suits them; 1 MB is 10⁶ bytes.
pub fn bytes(bytes: u64) -> String {
    match bytes as f64 {
        b if b < 1e3 => format!("{b} B"),
        b if b < 1e6 => format!("{:.1} kB", b / 1e3),
        b if b < 1e9 => format!("{:.1} MB", b / 1e6),
        b => format!("{:.2} GB", b / 1e9),
    }
}

/// The columns of training rounds, and how wide they are where rows come one at a time.
fn columns(says: Says) -> Vec<(&'static str, u16)> {
    let metrics = says.of_round().map(|(_, head)| (head, 9));
    [("round", 6), ("answers", 9), ("train loss", 12)]
        .into_iter()
        .chain(metrics)
        .chain([("up", 11), ("time", 10)])
        .collect()
}

fn heads(says: Says) -> Vec<&'static str> {
    columns(says).into_iter().map(|(head, _)| head).collect()
}

/// The rounds that a table has room for: all of a few, else the first, the last and some between.
pub fn rounds(rounds: &[RoundRow], says: Says) -> Table {
    const MOST: usize = 12;
    // Where only some rounds were judged, those say more.
    let judged = rounds.iter().any(|row| !row.metrics.is_empty());
    let rounds: Vec<&RoundRow> = rounds.iter().filter(|row| !judged || !row.metrics.is_empty()).collect();
    let step = rounds.len().div_ceil(MOST).max(1);
    let shown = rounds.iter().enumerate().filter(|(i, _)| i % step == 0 || i + 1 == rounds.len());
    table(&heads(says), shown.map(|(_, row)| round_cells(row, says)))
}

/// The head of the same table, where rows come one at a time.
pub fn rounds_head(says: Says) -> String {
    let table = fixed([], says).to_string();
    table.lines().take(2).map(|line| format!("{line}\n")).collect()
}

/// A row of it.
pub fn round_line(row: &RoundRow, says: Says) -> String {
    let table = fixed([round_cells(row, says)], says).to_string();
    table.lines().skip(2).map(|line| format!("{line}\n")).collect()
}

fn fixed(rows: impl IntoIterator<Item = Vec<String>>, says: Says) -> Table {
    let mut table = table(&heads(says), rows);
    for (column, (_, width)) in table.column_iter_mut().zip(columns(says)) {
        column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(width)));
    }
    table
}

fn round_cells(row: &RoundRow, says: Says) -> Vec<String> {
    let RoundRow { round, participants, cohort, train_loss, .. } = row;
    let mut cells = vec![
        round.to_string(),
        format!("{participants}/{cohort}"),
        if train_loss.is_finite() { format!("{train_loss:.4}") } else { "–".into() },
    ];
    cells.extend(says.of_round().map(|(metric, _)| figure(row.metrics.get(metric))));
    cells.extend([bytes(row.bytes_up), words::span(row.wall_s)]);
    cells
}

/// The most classes whose confusion a terminal has room for.
const CONFUSABLE: usize = 12;

/// The figures of each class, and what was said of its rows, where it is not too much.
pub fn classes(names: &[String], figures: &Figures) -> Option<Table> {
    let confusion = figures.confusion.as_ref().filter(|confusion| confusion.len() == names.len())?;
    let confusable = names.len() <= CONFUSABLE;
    let heads = ["test rows of", "rows", "recall", "precision", "F1", "AUROC"].map(str::to_owned).into_iter();
    let said = names.iter().filter(|_| confusable).map(|name| format!("said {name}"));
    let heads: Vec<String> = heads.chain(said).collect();
    let heads: Vec<&str> = heads.iter().map(String::as_str).collect();
    let row = |((name, class), said): ((&String, &ClassFigures), &Vec<u32>)| {
        let ClassFigures { recall, precision, f1, auroc, support } = class;
        let figures = [recall, precision, f1, auroc].map(|value| figure(value.as_ref()));
        let said = said.iter().filter(|_| confusable).map(u32::to_string);
        [name.clone(), support.to_string()].into_iter().chain(figures).chain(said).collect()
    };
    Some(table(&heads, names.iter().zip(&figures.classes).zip(confusion).map(row)))
}

/// What each model of a report is called.
pub const MODELS: [(&str, &str); 4] = [
    ("global", "federated"),
    ("personalised", "federated, personalised"),
    ("central", "all rows in one place"),
    ("local", "every client alone"),
];

/// Final figures and baselines, each with its spread over clients.
pub fn figures(
    last: &BTreeMap<String, Figures>,
    baselines: &BTreeMap<String, Figures>,
    says: Says,
    unit: &str,
) -> Table {
    let models = MODELS.iter().filter_map(|(key, name)| Some((*name, last.get(*key).or(baselines.get(*key))?)));
    let (shown, (main, head)) = (says.of_test(unit), says.main());
    let row = |(name, figures): (&str, &Figures)| {
        let mut cells = vec![name.to_owned()];
        cells.extend(shown.iter().map(|(metric, _)| figure(figures.pooled.get(*metric))));
        cells.push(figures.over_clients.get(main).map_or_else(
            || "–".into(),
            |spread| format!("{} ± {}", figure(Some(&spread.mean)), figure(Some(&spread.sd))),
        ));
        cells
    };
    let over = format!("{head} over clients");
    let heads: Vec<&str> =
        ["on test rows"].into_iter().chain(shown.iter().map(|(_, head)| head.as_str())).chain([&*over]).collect();
    table(&heads, models.map(row))
}

/// The line at the bottom of a terminal that says what goes on; none where standard error is no terminal.
pub fn live() -> Option<ProgressBar> {
    stderr().is_terminal().then(|| {
        let style = ProgressStyle::with_template("{spinner} {wide_msg}").expect("the template is well-formed");
        let line = ProgressBar::new_spinner().with_style(style);
        line.enable_steady_tick(Duration::from_millis(200));
        line
    })
}

/// How often a file or a pipe is told how far a simulation is.
const LINE_EVERY: Duration = Duration::from_secs(30);

/// How far a simulation is: a bar on standard error, once something has taken two seconds, or a line now and then where standard error
/// is no terminal.
pub struct Bar {
    /// Which run it is, with a space behind.
    pub which: String,
    started: Instant,
    bar: Option<ProgressBar>,
    /// When the last line was written.
    told: Instant,
}

impl Bar {
    /// Not shown yet.
    pub fn new(started: Instant) -> Self {
        Self { which: String::new(), started, bar: None, told: started }
    }

    /// Shows how far a simulation is.
    pub fn show(&mut self, Progress { job, round, rounds, .. }: Progress<'_>) {
        if self.started.elapsed() < Duration::from_secs(2) {
            return;
        }
        let what = format!("{}{}", self.which, if job == 1 { "training" } else { "training again on all rows" });
        if !stderr().is_terminal() {
            if self.told.elapsed() >= LINE_EVERY {
                self.told = Instant::now();
                eprintln!("dure: {what}, {round} of {rounds} rounds after {} s", self.started.elapsed().as_secs());
            }
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rounds, {eta} left");
            ProgressBar::new(u64::from(rounds)).with_style(style.expect("the template is well-formed"))
        });
        bar.set_length(u64::from(rounds));
        bar.set_message(what);
        bar.set_position(u64::from(round));
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        self.bar.take().iter().for_each(ProgressBar::finish_and_clear);
    }
}
