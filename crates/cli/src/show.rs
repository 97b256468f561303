//! What people see: tables, figures in words, a progress bar when it takes long.

use std::time::{Duration, Instant};

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};
use dure_sim::{
    Progress,
    report::{Figures, Report, RoundRow},
};
use indicatif::{ProgressBar, ProgressStyle};

/// The figures of a regression, in the order of columns.
pub const METRICS: [&str; 4] = ["mae", "rmse", "r2", "pearson_r"];

/// A table whose columns but the first are aligned to the right.
pub fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let mut table = Table::new();
    table
        .load_style(TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─')))
        .set_header(header.iter().copied());
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
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

/// The rounds that a table has room for: all of a few, else the first, the last and some between.
pub fn rounds(rounds: &[RoundRow]) -> Table {
    const MOST: usize = 12;
    let step = rounds.len().div_ceil(MOST).max(1);
    let shown = rounds.iter().enumerate().filter(|(i, _)| i % step == 0 || i + 1 == rounds.len());
    let row = |(_, row): (usize, &RoundRow)| {
        let mut cells = vec![
            row.round.to_string(),
            format!("{}/{}", row.participants, row.cohort),
            format!("{:.4}", row.train_loss),
        ];
        cells.extend(METRICS.iter().map(|metric| figure(row.metrics.get(*metric))));
        cells.extend([bytes(row.bytes_up), format!("{:.1} ms", row.wall_s * 1e3)]);
        cells
    };
    let header = ["round", "answers", "train loss", "MAE", "RMSE", "R²", "r", "up", "time"];
    table(&header, shown.map(row))
}

/// Final figures and baselines, each with its spread over clients.
pub fn figures(report: &Report, unit: &str) -> Table {
    let names = [("global", "federated"), ("personalised", "federated, fine-tuned per client")];
    let federated = names.iter().filter_map(|(key, name)| Some((*name, report.last.get(*key)?)));
    let baselines = [("central", "all rows in one place"), ("local", "every client alone")];
    let baselines = baselines.iter().filter_map(|(key, name)| Some((*name, report.baselines.get(*key)?)));
    let row = |(name, figures): (&str, &Figures)| {
        let mut cells = vec![name.to_owned()];
        cells.extend(METRICS.iter().map(|metric| figure(figures.pooled.get(*metric))));
        cells.push(figures.over_clients.get("mae").map_or_else(
            || "–".into(),
            |spread| format!("{} ± {}", figure(Some(&spread.mean)), figure(Some(&spread.sd))),
        ));
        cells
    };
    let (mae, rmse) = (format!("MAE, {unit}"), format!("RMSE, {unit}"));
    table(&["on test rows", &mae, &rmse, "R²", "r", "MAE over clients"], federated.chain(baselines).map(row))
}

/// A bar on standard error, once something has taken two seconds; none where standard error is no terminal.
pub struct Bar {
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Bar {
    /// Not shown yet.
    pub fn new(started: Instant) -> Self {
        Self { started, bar: None }
    }

    /// Shows how far a simulation is.
    pub fn show(&mut self, Progress { job, round, rounds }: Progress) {
        if self.started.elapsed() < Duration::from_secs(2) {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{msg} {bar:40} {pos}/{len} rounds, {eta} left");
            ProgressBar::new(u64::from(rounds)).with_style(style.expect("the template is well-formed"))
        });
        bar.set_length(u64::from(rounds));
        bar.set_message(if job == 1 { "training" } else { "training again on all rows" });
        bar.set_position(u64::from(round));
    }

    /// Takes it away.
    pub fn clear(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
