//! What happened from round to round: losses, metrics, bytes and seconds.

use dure_sim::report::RoundRow;
use plotters::{coord::ranged1d::Ranged as _, style::RGBColor};

use super::{
    Metric, Report, number, page,
    plane::{Axis, BLUE, FAINT, Fault, INK, ORANGE, Pen, Plane},
};

/// Curves of up to so many rounds have a dot for each.
const DOTTED: usize = 40;

/// Curves of more than so many rounds are thin.
const THIN: usize = 200;

/// One round in so many may lie beyond the picture: the first ones, which would squeeze all others.
const EARLY: usize = 40;

/// The least distance of two labels, in pixels.
const LINE: i32 = 13;

/// The training loss, and each metric on validation rows.
pub fn learning(report: &Report) -> String {
    let metrics = report.metrics.iter().filter_map(|metric| of_metric(report, metric));
    page::gallery(&training_loss(report).into_iter().chain(metrics).collect::<Vec<_>>())
}

fn training_loss(report: &Report) -> Option<String> {
    let points = points(&report.rounds, |row| Some(row.train_loss).filter(|loss| loss.is_finite()));
    let last = points.last()?.0;
    let (y, shown) = shown(&points, &[]);
    let plane = plane("training loss over rounds", last, 16, y);
    let picture = plane.drawn(|pen| curve(pen, &shown, BLUE));
    let note = format!("over the examples of each round.{}", beyond(&points, &shown));
    Some(page::figure("Training loss", &note, picture))
}

fn of_metric(report: &Report, metric: &Metric) -> Option<String> {
    let points = points(&report.rounds, |row| metric.of(&row.metrics));
    let best = points.iter().copied().reduce(|a, b| if metric.better(b.1, a.1) { b } else { a })?;
    let references = references(report, metric);
    let others: Vec<f64> = references.iter().map(|reference| reference.value).chain([best.1]).collect();
    let (y, shown) = shown(&points, &others);
    let right = if references.is_empty() { 16 } else { 78 };
    let title = format!("{} on validation rows over rounds", metric.label());
    let plane = plane(&title, points.last()?.0, right, y);
    let picture = plane.drawn(|pen| {
        draw_references(pen, &plane, &references)?;
        curve(pen, &shown, BLUE)?;
        draw_best(pen, &plane, best)
    });
    let mut note = format!("on validation rows; best in round {}: {}.", best.0, number::figure(Some(best.1)));
    note += &beyond(&points, &shown);
    if !references.is_empty() {
        note += " Dashed, for comparison, on test rows.";
    }
    Some(page::figure(&metric.label(), &note, picture))
}

/// An axis for `points` and `others`, and the points that have a place on it: of very many rounds, not the first ones if they
/// would squeeze all others into less than half of the picture.
fn shown(points: &[(f64, f64)], others: &[f64]) -> (Axis, Vec<(f64, f64)>) {
    let over =
        |points: &[(f64, f64)]| Axis::over("", points.iter().map(|point| point.1).chain(others.iter().copied()), 7);
    let (all, later) = (over(points), over(&points[points.len() / EARLY..]));
    let length = |axis: &Axis| axis.range().end - axis.range().start;
    let axis = if length(&all) > 2.0 * length(&later) { later } else { all };
    let shown = points.iter().filter(|point| axis.range().contains(&point.1)).copied().collect();
    (axis, shown)
}

/// What is said of points that have no place.
fn beyond(points: &[(f64, f64)], shown: &[(f64, f64)]) -> String {
    match points.len() - shown.len() {
        0 => String::new(),
        1 => " The first round lies beyond the picture.".into(),
        n => format!(" {n} of the first rounds lie beyond the picture."),
    }
}

fn draw_references(pen: &Pen, plane: &Plane, references: &[Reference]) -> Result<(), Fault> {
    let ends = plane.x.range();
    for (reference, shift) in references.iter().zip(apart(pen, references)) {
        let Reference { value, colour, dash, name } = *reference;
        pen.dashes([(ends.start, value), (ends.end, value)], colour, dash)?;
        pen.text((ends.end, value), (5, shift), false, colour, name)?;
    }
    Ok(())
}

/// A ring, and a word above the picture.
fn draw_best(pen: &Pen, plane: &Plane, best: (f64, f64)) -> Result<(), Fault> {
    let y = plane.y.range();
    pen.dashes([(best.0, y.start), (best.0, y.end)], FAINT, (1, 3))?;
    pen.ring(best, INK, 4.0)?;
    pen.text((best.0, y.end), (11, -7), true, INK, "best")
}

/// A model that was not trained in rounds: a horizontal line.
#[derive(Clone, Copy)]
struct Reference {
    value: f64,
    name: &'static str,
    colour: RGBColor,
    dash: (u32, u32),
}

fn references(report: &Report, metric: &Metric) -> Vec<Reference> {
    let looks = |model| match model {
        super::Model::Central => Some((ORANGE, (7, 3))),
        super::Model::Local => Some((FAINT, (2, 3))),
        _ => None,
    };
    let reference = |(model, figures): &(super::Model, dure_sim::report::Figures)| {
        let (colour, dash) = looks(*model)?;
        Some(Reference { value: metric.of(&figures.pooled)?, name: model.name(), colour, dash })
    };
    report.models.iter().filter_map(reference).collect()
}

/// How far each label is moved down, so that none lies on another.
fn apart(pen: &Pen, references: &[Reference]) -> Vec<i32> {
    let mut order: Vec<usize> = (0..references.len()).collect();
    let place = |i: usize| pen.below_top(references[i].value);
    order.sort_by_key(|i| place(*i));
    let mut shifts = vec![0; references.len()];
    let mut free = 0;
    for i in order {
        shifts[i] = (free - place(i)).max(0);
        free = place(i) + shifts[i] + LINE;
    }
    shifts
}

/// What the rounds moved and how long they took.
pub fn costs(report: &Report) -> String {
    page::gallery(&[bytes(&report.rounds), seconds(&report.rounds)])
}

fn bytes(rounds: &[RoundRow]) -> String {
    let most = rounds.iter().map(|row| row.bytes_up.max(row.bytes_down)).max().unwrap_or(0);
    let (unit, size) = unit_of(most as f64);
    let down = points(rounds, |row| Some(row.bytes_down as f64 / size));
    let up = points(rounds, |row| Some(row.bytes_up as f64 / size));
    if most == 0 {
        return String::new();
    }
    let axis = Axis::from_zero("", up.iter().chain(&down).map(|p| p.1), 7);
    let plane = plane("bytes up and down over rounds", up.last().map_or(1.0, |point| point.0), 16, axis);
    let picture = plane.drawn(|pen| {
        pen.line(&down, FAINT, 4.0)?;
        curve(pen, &up, BLUE)
    });
    let note = format!("in {unit} a round: updates up (thin, blue), copies of the model down (thick, grey).");
    page::figure("Bytes", &note, picture)
}

fn seconds(rounds: &[RoundRow]) -> String {
    let points = points(rounds, |row| Some(row.wall_s));
    let Some((last, _)) = points.last() else { return String::new() };
    let plane = plane("seconds over rounds", *last, 16, Axis::from_zero("", points.iter().map(|p| p.1), 7));
    let picture = plane.drawn(|pen| curve(pen, &points, BLUE));
    page::figure(
        "Seconds",
        "a round took on this machine’s clock: all its clients, and the validation after it.",
        picture,
    )
}

fn unit_of(bytes: f64) -> (&'static str, f64) {
    match bytes {
        b if b < 1e3 => ("bytes", 1.0),
        b if b < 1e6 => ("kB", 1e3),
        b if b < 1e9 => ("MB", 1e6),
        _ => ("GB", 1e9),
    }
}

fn plane(title: &str, last: f64, right: u32, y: Axis) -> Plane {
    Plane { title: title.into(), height: 230, left: 48, right, x: Axis::counting("round", last as u32, 6), y }
}

/// The rounds that have the figure, and it.
fn points(rounds: &[RoundRow], figure: impl Fn(&RoundRow) -> Option<f64>) -> Vec<(f64, f64)> {
    let point = |row: &RoundRow| Some((f64::from(row.round), figure(row)?));
    rounds.iter().filter_map(point).filter(|point| number::is_drawable(point.1)).collect()
}

/// A line, thinner if it is of many rounds; of few rounds, with a dot for each.
fn curve(pen: &Pen, points: &[(f64, f64)], colour: RGBColor) -> Result<(), Fault> {
    pen.line(points, colour, if points.len() > THIN { 0.75 } else { 1.5 })?;
    if points.len() > DOTTED {
        return Ok(());
    }
    points.iter().try_for_each(|point| pen.dot(*point, colour, 2.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_many_rounds_do_not_squeeze_the_others() {
        let points: Vec<(f64, f64)> = (1..=200).map(|i| (f64::from(i), 1.0 + 1000.0 / f64::from(i * i * i))).collect();
        let (axis, shown_points) = shown(&points, &[0.5]);
        assert!(axis.range().end < 10.0 && axis.range().contains(&0.5));
        assert_eq!(
            (shown_points[0].0, beyond(&points, &shown_points).as_str()),
            (6.0, " 5 of the first rounds lie beyond the picture.")
        );
        assert_eq!(shown(&points[..30], &[]).1.len(), 30);
    }
}
