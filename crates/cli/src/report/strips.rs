//! How figures spread over clients: for each metric a row for each model, with a dot for each client.

use super::{
    Metric, Model, Report, number, page,
    plane::{Axis, BLUE, INK, Pen, Plane},
};

/// Of more clients than this the dots are every second, or every third, in the order of the figure; boxes are of all.
const MOST_DOTS: usize = 300;

/// How far a picture reaches beyond the quartiles, in distances between them.
const REACH: f64 = 2.0;

/// All of them.
pub fn all(report: &Report) -> String {
    page::gallery(&report.metrics.iter().filter_map(|metric| of_metric(report, metric)).collect::<Vec<_>>())
}

/// A model's clients: their figures in ascending order.
struct Strip {
    model: Model,
    values: Vec<f64>,
    quartiles: [f64; 3],
}

fn of_metric(report: &Report, metric: &Metric) -> Option<String> {
    let strips: Vec<Strip> =
        report.models.iter().filter_map(|(model, figures)| strip(*model, metric, &figures.by_client)).collect();
    let most = strips.iter().map(|strip| strip.values.len()).max()?;
    let rows = strips.len();
    let plane = Plane {
        title: format!("{} of each client by model", metric.label()),
        height: 46 + 40 * rows as u32,
        left: 84,
        right: 16,
        x: Axis::over("", strips.iter().flat_map(reach), 6),
        y: Axis::of_words(strips.iter().rev().map(|strip| strip.model.name().to_owned())),
    };
    let picture = plane.drawn(|pen| {
        let draw = |(i, strip): (usize, &Strip)| draw(pen, &plane, strip, (rows - 1 - i) as f64);
        strips.iter().enumerate().try_for_each(draw)
    });
    Some(page::figure(&metric.label(), &note(report, metric, &strips, most, &plane), picture))
}

fn strip(
    model: Model,
    metric: &Metric,
    clients: &std::collections::BTreeMap<dure_core::name::ClientName, dure_core::statistics::Metrics>,
) -> Option<Strip> {
    let mut values: Vec<f64> = metric.of_clients(clients).into_iter().map(|(_, value)| value).collect();
    values.sort_by(f64::total_cmp);
    let quartiles = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
    (!values.is_empty()).then_some(Strip { model, values, quartiles })
}

/// Between the two neighbours, in proportion (Hyndman and Fan 1996, definition 7). 0 of nothing.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let at = share * sorted.len().saturating_sub(1) as f64;
    let (below, part) = (at.floor() as usize, at.fract());
    let (Some(low), Some(high)) = (sorted.get(below), sorted.get(below + 1).or(sorted.get(below))) else { return 0.0 };
    low + (high - low) * part
}

/// From where to where a strip is shown: all of it, unless a few lie far off.
fn reach(strip: &Strip) -> [f64; 2] {
    let [low, _, high] = strip.quartiles;
    let (first, last) = (strip.values.first().copied(), strip.values.last().copied());
    let far = (high - low) * REACH;
    let least = first.map_or(low, |first| if far > 0.0 { first.max(low - far) } else { first });
    let most = last.map_or(high, |last| if far > 0.0 { last.min(high + far) } else { last });
    [least, most]
}

fn draw(pen: &Pen, plane: &Plane, strip: &Strip, row: f64) -> Result<(), super::plane::Fault> {
    let step = strip.values.len().div_ceil(MOST_DOTS).max(1);
    let last = strip.values.len() - 1;
    for (i, value) in strip.values.iter().enumerate().filter(|(i, _)| i % step == 0 || *i == last) {
        pen.dot((plane.x.clamp(*value), row + jitter(i)), BLUE, 2.2, 0.55)?;
    }
    let [low, median, high] = strip.quartiles.map(|value| plane.x.clamp(value));
    pen.frame([(low, row - 0.32), (high, row + 0.32)], INK, 1.0)?;
    pen.line(&[(median, row - 0.32), (median, row + 0.32)], INK, 2.5)
}

/// A little up or down, so that equal figures are told apart: any number will do that is the same for the same place, and
/// follows no pattern from place to place (Steele, Lea and Flood 2014).
fn jitter(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed >> 40) as f64 / f64::from(1u32 << 24) - 0.5) * 0.5
}

fn note(report: &Report, metric: &Metric, strips: &[Strip], most: usize, plane: &Plane) -> String {
    let clients = number::count(most as u64);
    let mut note = match most.div_ceil(MOST_DOTS) {
        1 => format!("on test rows: a dot for each of {clients} clients, quartiles and median."),
        step => format!("on test rows: a dot for one in {step} of {clients} clients; quartiles and median of all."),
    };
    if let Some((name, value)) = worst(report, metric) {
        note += &format!(" Worst with the federated model: {name}, {}.", number::figure(Some(value)));
    }
    let beyond = |strip: &Strip| strip.values.iter().filter(|value| plane.x.clamp(**value) != **value).count();
    let beyond: usize = strips.iter().map(beyond).sum();
    if beyond > 0 {
        note += &format!(" {beyond} beyond the picture stand at its edge.");
    }
    note
}

/// The client that the federated model serves worst.
fn worst(report: &Report, metric: &Metric) -> Option<(String, f64)> {
    let (_, figures) = report.models.iter().find(|(model, _)| *model == Model::Global)?;
    let clients = metric.of_clients(&figures.by_client).into_iter();
    let (name, value) = clients.reduce(|a, b| if metric.better(a.1, b.1) { b } else { a })?;
    Some((name.to_string(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_lie_between_neighbours() {
        let quartiles = |values: &[f64]| [0.25, 0.5, 0.75].map(|share| quantile(values, share));
        assert_eq!(quartiles(&[1.0, 2.0, 3.0, 4.0]), [1.75, 2.5, 3.25]);
        assert_eq!(quartiles(&[7.0]), [7.0; 3]);
        assert_eq!(quartiles(&[]), [0.0; 3]);
    }

    #[test]
    fn a_client_far_off_does_not_squeeze_the_others() {
        let mut values: Vec<f64> = (0..20).map(f64::from).collect();
        values.push(1e6);
        let quartiles = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
        assert_eq!(reach(&Strip { model: Model::Global, values, quartiles }), [0.0, 35.0]);
    }
}
