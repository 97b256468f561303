//! The page as a whole, on made-up values.

use dure_core::statistics::{Metrics, classification};
use dure_sim::report::Spread;

use super::*;

/// A number from 0 to 1 that looks like any other.
fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1u64 << 53) as f64
}

fn figures(clients: usize, metrics: &[(&str, f64)], shift: usize) -> Figures {
    let own = |client: usize, value: f64| value * (0.7 + 0.6 * noise(client * 7 + shift));
    let client = |i: usize| {
        let kept = |key: &str, value: f64| if larger_is_better(key) { value.min(1.0 - noise(i) / 20.0) } else { value };
        let metrics = metrics.iter().map(|(key, value)| ((*key).to_owned(), kept(key, own(i, *value))));
        (ClientName::new(format!("site-{i:04}")).unwrap(), metrics.collect::<Metrics>())
    };
    let spread = |(key, value): &(&str, f64)| {
        let (mean, sd) = (*value, value.abs() / 5.0);
        ((*key).to_owned(), Spread { clients: clients as u64, mean, sd, min: mean - 2.0 * sd, max: mean + 2.0 * sd })
    };
    Figures {
        pooled: metrics.iter().map(|(key, value)| ((*key).to_owned(), *value)).collect(),
        over_clients: metrics.iter().map(spread).collect(),
        confusion: None,
        classes: vec![],
        by_client: (0..clients).map(client).collect(),
    }
}

fn rounds(rounds: u32, metrics: &[(&str, f64)]) -> Vec<RoundRow> {
    let learnt =
        |key: &str, value: f64, part: f64| if larger_is_better(key) { value / part.sqrt() } else { value * part };
    let row = |round: u32| {
        let part = 1.0 + 6.0 / f64::from(round) + 0.08 * noise(round as usize);
        RoundRow {
            job: 1,
            round,
            attempt: 1,
            cohort: 33,
            participants: 33,
            staleness: 0.0,
            train_loss: 0.1 * part,
            metrics: metrics.iter().map(|(key, value)| ((*key).to_owned(), learnt(key, *value, part))).collect(),
            bytes_up: 950_000,
            bytes_down: 920_000 + u64::from(round % 3) * 20_000,
            wall_s: 0.06 * part,
            virtual_s: 0.0,
            waited_for: String::new(),
        }
    };
    (1..=rounds).map(row).collect()
}

fn partition(clients: usize, labels: Option<u16>) -> Partition {
    use dure_learn::partition::{Parts, picture, table};
    let rows = |i: usize| (0..20 + i % 37).map(|row| (i * 64 + row) as u32).collect();
    let parts = Parts { clients: (0..clients).map(rows).collect(), left_out: 0 };
    let of_rows: Option<Vec<u16>> =
        labels.map(|n| (0..clients * 64).map(|i| (noise(i / 9) * f64::from(n)) as u16).collect());
    let names: Vec<String> = (0..clients).map(|i| format!("site-{i:04}")).collect();
    let captions = picture::Captions { title: "Examples by client", clients: &names, labels: &[] };
    Partition {
        picture: picture::svg(&table::summarise(&parts, of_rows.as_deref()), captions),
        words: "of made-up clients.".into(),
    }
}

/// A regression with everything in it.
pub fn regression(clients: usize, n: u32) -> Report {
    let metrics = [("mae", 90.0), ("rmse", 140.0), ("r2", 0.91), ("pearson_r", 0.95)];
    let times = |factor: f64| {
        metrics.map(|(key, value)| (key, if larger_is_better(key) { value / factor } else { value * factor }))
    };
    let key = |(key, unit): (&str, &str)| Metric { key: key.into(), unit: unit.into() };
    Report {
        recipe: "fitbit".into(),
        title: "Calories of a day from a wearable’s daily activity; a client per person".into(),
        summary: "33 clients trained one model together, and none of their rows left them.".into(),
        made_up: true,
        facts: vec![("data", "made up".into()), ("clients", "33".into()), ("model", "mlp, 6,977 parameters".into())],
        alone_differs: false,
        command: "dure simulate fitbit --seed 1 --baselines".into(),
        metrics: [("mae", "kcal"), ("rmse", "kcal"), ("r2", ""), ("pearson_r", "")].map(key).into(),
        models: vec![
            (Model::Global, figures(clients, &times(1.0), 1)),
            (Model::Personalised, figures(clients, &times(0.93), 2)),
            (Model::Central, figures(clients, &times(0.98), 3)),
            (Model::Local, figures(clients, &times(1.3), 4)),
        ],
        rounds: rounds(n, &metrics),
        refit: rounds(n, &[]),
        partition: Some(partition(clients, None)),
        classes: None,
        predictions: Some(Predictions {
            target: "Calories".into(),
            unit: "kcal".into(),
            pairs: (0..clients * 30)
                .map(|i| (1500.0 + 2000.0 * noise(i), 1500.0 + 2000.0 * noise(i) + 400.0 * (noise(i * 3 + 5) - 0.5)))
                .collect(),
        }),
    }
}

/// A classification with everything in it.
pub fn classification(clients: usize, classes: usize, n: u32) -> Report {
    let metrics =
        [("accuracy", 0.78), ("balanced_accuracy", 0.74), ("macro_f1", 0.742), ("auroc", 0.93), ("log_loss", 0.61)];
    let (mut sums, mut counts) = Default::default();
    for i in 0..classes * 80 {
        let (truth, said) =
            (i % classes, if noise(i) < 0.75 { i % classes } else { (noise(i + 9) * classes as f64) as usize });
        let p: Vec<f32> = (0..classes).map(|class| if class == said { 0.7 } else { 0.3 / classes as f32 }).collect();
        classification::add(&mut sums, &mut counts, truth, &p, true);
    }
    let mut names: Vec<String> =
        ["normal", "pneumonia", "<b>covid</b>", "a class that has a very long name indeed"].map(String::from).into();
    names.truncate(classes);
    Report {
        recipe: "covid-xray".into(),
        title: "Chest X-rays".into(),
        made_up: false,
        metrics: metrics.map(|(key, _)| Metric { key: key.into(), unit: String::new() }).into(),
        models: vec![(Model::Global, figures(clients, &metrics, 1)), (Model::Local, figures(clients, &metrics, 4))],
        rounds: rounds(n, &metrics),
        refit: vec![],
        partition: Some(partition(clients, Some(classes as u16))),
        classes: Some(Classes {
            names,
            confusion: classification::confusion(&counts).unwrap(),
            figures: classification::per_class(&counts),
        }),
        predictions: None,
        ..regression(2, 1)
    }
}

fn count(text: &str, what: &str) -> usize {
    text.matches(what).count()
}

/// Holds a page to what holds of every page.
fn check(page: &str) {
    for bad in ["NaN", "inf<", "-inf", ">inf", "<script", "http:", "https:", "<link", "@import", "url(", "src="] {
        assert!(!page.contains(bad), "{bad} in the page");
    }
    for tag in ["svg", "figure", "table", "section", "div", "p", "span", "td", "th", "small"] {
        let opened = count(page, &format!("<{tag}>")) + count(page, &format!("<{tag} "));
        assert_eq!(opened, count(page, &format!("</{tag}>")), "<{tag}>");
    }
    assert!(page.starts_with("<!DOCTYPE html>") && page.ends_with("</html>\n"));
}

#[test]
fn every_part_is_there_and_needs_nothing_else() {
    let page = html(&regression(33, 20));
    check(&page);
    for heading in [
        "Final figures",
        "Learning curves",
        "Spread over clients",
        "Who has how much",
        "Predictions",
        "Bytes and seconds",
    ] {
        assert_eq!(count(&page, &format!("<h2>{heading}</h2>")), 1, "{heading}");
    }
    // Loss and four metrics, four strips, the partition, scatter and residuals, bytes and seconds; each is named twice, and the page once.
    assert_eq!((count(&page, "<svg "), count(&page, "aria-label="), count(&page, "</title>\n")), (14, 14, 15));
    assert!(page.contains("The data are made up."));
    let page = html(&classification(12, 4, 30));
    check(&page);
    assert!(
        page.contains("&lt;b&gt;covid&lt;/b&gt;")
            && page.contains("macro-F1")
            && !page.contains("The data are made up.")
    );
}

#[test]
fn what_has_no_data_has_no_place() {
    let page = html(&Report { recipe: "fitbit".into(), ..Report::default() });
    check(&page);
    assert_eq!((count(&page, "<h2>"), count(&page, "<svg"), count(&page, "<table")), (1, 0, 0), "{page}");
    let page = |change: fn(&mut Report)| {
        let mut report = regression(5, 4);
        change(&mut report);
        html(&report)
    };
    assert!(!page(|report| report.rounds.clear()).contains("Learning curves"));
    assert!(!page(|report| report.partition = None).contains("Who has how much"));
    assert!(!page(|report| report.predictions = None).contains("<h2>Predictions"));
    assert!(!page(|report| report.models.clear()).contains("Spread over clients"));
    assert!(!page(|report| report.models.truncate(1)).contains("Dashed, for comparison"));
    assert!(!page(|report| report.refit.clear()).contains("final training"));
    assert!(!page(|report| report.made_up = false).contains("The data are made up."));
}

#[test]
fn nobodys_words_leave_their_place() {
    let bad = "<script>alert('x')</script>\"&\u{1b}\u{ffff}";
    let mut report = regression(3, 3);
    (report.recipe, report.title, report.summary, report.command) = (bad.into(), bad.into(), bad.into(), bad.into());
    report.facts = vec![("clients", bad.into())];
    report.metrics[0] = Metric { key: "mae".into(), unit: bad.into() };
    let mut predictions = report.predictions.take().unwrap();
    (predictions.target, predictions.unit) = (bad.into(), bad.into());
    report.predictions = Some(predictions);
    check(&html(&report));
    let mut report = classification(3, 3, 3);
    report.classes.as_mut().unwrap().names = vec![bad.into(); 3];
    report.partition.as_mut().unwrap().words = bad.into();
    let page = html(&report);
    check(&page);
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)"));
}

#[test]
fn figures_that_are_no_numbers_are_dashes() {
    let mut report = regression(3, 6);
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -1e99] {
        for (_, figures) in &mut report.models {
            figures.pooled.insert("mae".into(), value);
            figures
                .over_clients
                .insert("mae".into(), Spread { clients: 1, mean: value, sd: value, min: value, max: value });
            figures.by_client.values_mut().for_each(|metrics| {
                metrics.insert("mae".into(), value);
            });
        }
        for row in report.rounds.iter_mut().skip(2) {
            (row.train_loss, row.wall_s) = (value, value);
            row.metrics.insert("r2".into(), value);
        }
        report.predictions.as_mut().unwrap().pairs[1] = (value, 1.0);
        check(&html(&report));
    }
    let mut report = classification(3, 3, 3);
    report.classes.as_mut().unwrap().figures[0].precision = None;
    assert!(html(&report).contains("<td>–</td>"));
}

#[test]
fn equal_and_single_values_are_drawn() {
    let mut report = regression(1, 1);
    check(&html(&report));
    for row in &mut report.rounds {
        row.metrics.values_mut().for_each(|value| *value = 0.0);
        (row.bytes_up, row.bytes_down, row.wall_s) = (0, 0, 0.0);
    }
    report.predictions.as_mut().unwrap().pairs = vec![(5.0, 5.0); 3];
    check(&html(&report));
}

#[test]
fn a_large_run_is_still_a_small_file() {
    for page in
        [html(&regression(1000, 1000)), html(&classification(1000, 10, 1000)), html(&classification(1000, 62, 1000))]
    {
        check(&page);
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
    }
}
