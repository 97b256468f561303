//! The parts of the page, in their order.

use dure_sim::report::{Figures, RoundRow, Spread};

use super::{
    Metric, Model, Report, confusion, curves,
    number::{self, figure},
    page::{self, Cell},
    regression, strips,
};
use crate::show;

/// The largest picture of a partition that is put in.
const MOST_PICTURE: usize = 800_000;

/// What the page is called.
pub fn heading(report: &Report) -> String {
    if report.title.is_empty() { report.recipe.clone() } else { report.title.clone() }
}

/// All that there are data for.
pub fn all(report: &Report) -> String {
    let parts = [
        head(report),
        page::section("Final figures", &final_figures(report)),
        page::section("Learning curves", &curves::learning(report)),
        page::section("Spread over clients", &strips::all(report)),
        page::section("Who has how much", &partition(report)),
        page::section("Class by class", &report.classes.as_ref().map(confusion::all).unwrap_or_default()),
        page::section("Predictions", &report.predictions.as_ref().map(regression::pictures).unwrap_or_default()),
        page::section("Bytes and seconds", &costs(report)),
        page::section("How to read this", &reading(report)),
    ];
    parts.concat()
}

fn head(report: &Report) -> String {
    let mut html = format!(
        "<header>\n<p class=\"of\">Federated training, recipe {}</p>\n<h1>{}</h1>\n</header>\n",
        page::escape(&report.recipe),
        page::escape(&heading(report))
    );
    if report.made_up {
        html += "<p class=\"made-up\"><strong>The data are made up.</strong> They come from the recipe’s generator, \
                 so the figures say that the software works, and nothing about people.</p>\n";
    }
    html += &page::paragraph(&report.summary);
    html += &facts(report);
    if !report.command.is_empty() {
        html += &command(&report.command);
    }
    html
}

/// In lines that end before an option, where they must end at all.
fn command(command: &str) -> String {
    let words = page::escape(command).replace(" --", "</span> <span>--");
    format!("<p>The same run again:</p>\n<pre><code><span>{words}</span></code></pre>\n")
}

fn facts(report: &Report) -> String {
    if report.facts.is_empty() {
        return String::new();
    }
    let row = |(label, value): &(&'static str, String)| vec![Cell::from(*label), Cell::from(value.as_str())];
    page::table("facts", "What was run", &[], &report.facts.iter().map(row).collect::<Vec<_>>())
}

fn final_figures(report: &Report) -> String {
    if report.models.is_empty() {
        return String::new();
    }
    let header: Vec<String> =
        ["model".to_owned()].into_iter().chain(report.metrics.iter().map(Metric::label)).collect();
    let row = |(model, figures): &(Model, Figures)| {
        let cells = report.metrics.iter().map(|metric| final_cell(metric, figures));
        [Cell::noted(model.name(), model.explained())].into_iter().chain(cells).collect()
    };
    let rows: Vec<Vec<Cell>> = report.models.iter().map(row).collect();
    let caption = "On the test rows of all clients together. Below: the mean ± standard deviation over clients, \
                   and the least to the most of them.";
    page::table("", caption, &header, &rows)
}

fn final_cell(metric: &Metric, figures: &Figures) -> Cell {
    let spread = figures.over_clients.get(&metric.key).map(spread).unwrap_or_default();
    Cell::noted(figure(figures.pooled.get(&metric.key).copied()), spread)
}

fn spread(spread: &Spread) -> String {
    let [mean, sd, min, max] = [spread.mean, spread.sd, spread.min, spread.max].map(|value| figure(Some(value)));
    format!("{mean} ± {sd}\n{min} to {max}")
}

fn partition(report: &Report) -> String {
    let Some(partition) = &report.partition else { return String::new() };
    if partition.picture.len() > MOST_PICTURE {
        let words = format!("Examples {} The picture is too large for this page.", partition.words);
        return page::paragraph(&words);
    }
    let name = format!("Examples {}", partition.words);
    page::figure("Examples", &partition.words, page::inline(&partition.picture, &name, "wide"))
}

fn costs(report: &Report) -> String {
    let rows: Vec<Vec<Cell>> = [("choosing", &report.rounds), ("final training", &report.refit)]
        .into_iter()
        .filter(|(_, rounds)| !rounds.is_empty())
        .map(|(name, rounds)| total(name, rounds))
        .collect();
    if rows.is_empty() {
        return String::new();
    }
    let header = ["rounds for", "rounds", "up", "down", "time", "virtual time"].map(String::from);
    let caption = "In all, before any compression in transport. Validation and test rounds move a copy of the model to each \
                   client too; these are not counted.";
    curves::costs(report) + &page::table("", caption, &header, &rows)
}

fn total(name: &str, rounds: &[RoundRow]) -> Vec<Cell> {
    let bytes = |of: fn(&RoundRow) -> u64| show::bytes(rounds.iter().map(of).fold(0, u64::saturating_add));
    let time = |of: fn(&RoundRow) -> f64| rounds.iter().map(of).sum::<f64>();
    let virtual_s = time(|row| row.virtual_s);
    let virtual_time = if virtual_s > 0.0 { number::seconds(virtual_s) } else { number::DASH.into() };
    let wall = number::seconds(time(|row| row.wall_s));
    let rounds = number::count(rounds.len() as u64);
    [name.to_owned(), rounds, bytes(|row| row.bytes_up), bytes(|row| row.bytes_down), wall, virtual_time]
        .map(Cell::from)
        .into()
}

/// What may be concluded, of what there is.
fn reading(report: &Report) -> String {
    let mut text = String::from(
        "Everything was chosen on validation rows: curves show them, and so does the best round. Test rows were used once, \
         at the end, for the final figures and all that is drawn of each client. ",
    );
    if !report.refit.is_empty() {
        text += "The reported model was then trained again from the start on training and validation rows together, for as \
                 many rounds as had been chosen; its own curve is not shown, for no rows were left to judge it by. ";
    }
    let baselines = report.models.iter().any(|(model, _)| matches!(model, Model::Central | Model::Local));
    if baselines {
        text += if report.alone_differs {
            "Centralised and local-only models had the same splits; the centralised one had as many epochs as a client had in all \
             rounds, and learning alone what is said of it above. "
        } else {
            "Centralised and local-only models had the same splits and as many epochs as a client had in all rounds on average, \
             and those of one round at least. "
        };
    }
    page::paragraph(&text) + &page::paragraph(&adding(report))
}

fn adding(report: &Report) -> String {
    let has = |key: &str| report.metrics.iter().any(|metric| metric.key == key);
    let mut text = String::new();
    if has("mae") {
        text += "MAE, RMSE, R² and Pearson’s r of all clients come of sums that each client adds up over its rows; put \
                 together they are what all rows in one place would give, up to rounding. ";
    }
    if has("accuracy") || has("macro_f1") {
        text += "Accuracy, precision, recall and F1 come of counts that add exactly over clients, and the log-loss of a sum. ";
    }
    if has("auroc") {
        text += "AUROC does not add: it comes of histograms of the scores, in which scores of one bin count as equal, so it can \
                 be off by up to half of the share of such pairs. ";
    }
    if !report.models.is_empty() {
        text += "A figure of all rows together is not the mean of the clients’ figures: large clients weigh more in the \
                 first, and all weigh the same in the second. A client with few test rows has an uncertain figure.";
    }
    text
}
