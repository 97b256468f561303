//! What a regression says beside what is true, and by how much it errs.

use plotters::coord::ranged1d::Ranged as _;

use super::{
    Predictions, number, page,
    plane::{Axis, BLUE, FAINT, INK, Plane},
};

/// The most rows that are drawn: these many of all, evenly in the order of clients and rows.
const MOST_POINTS: usize = 2000;

/// Bars of the histogram.
const BARS: usize = 32;

/// Both pictures.
pub fn pictures(predictions: &Predictions) -> String {
    let drawable = |(truth, said): &&(f64, f64)| number::is_drawable(*truth) && number::is_drawable(*said);
    let pairs: Vec<(f64, f64)> = predictions.pairs.iter().filter(drawable).copied().collect();
    if pairs.is_empty() {
        return String::new();
    }
    let unit = if predictions.unit.is_empty() { String::new() } else { format!(", {}", predictions.unit) };
    page::gallery(&[scatter(&pairs, &predictions.target, &unit), histogram(&pairs, &unit)])
}

fn scatter(pairs: &[(f64, f64)], target: &str, unit: &str) -> String {
    let shown = sample(pairs);
    let both = || pairs.iter().flat_map(|(truth, said)| [*truth, *said]);
    let plane = Plane {
        title: format!("predicted {target} against true {target}"),
        height: 340,
        left: 64,
        right: 16,
        x: Axis::over(format!("true{unit}"), both(), 6),
        y: Axis::over(format!("predicted{unit}"), both(), 6),
    };
    let picture = plane.drawn(|pen| {
        let ends = plane.x.range();
        shown.iter().try_for_each(|pair| pen.dot(*pair, BLUE, 2.0, 0.4))?;
        pen.dashes([(ends.start, ends.start), (ends.end, ends.end)], INK, (6, 4))
    });
    let rows = if shown.len() < pairs.len() {
        let (shown, all) = (number::count(shown.len() as u64), number::count(pairs.len() as u64));
        format!("{shown} of {all} test rows, evenly taken")
    } else {
        format!("{} test rows", number::count(pairs.len() as u64))
    };
    page::figure(
        &format!("Predicted {target} against true"),
        &format!("{rows}. On the dashed line both are equal."),
        picture,
    )
}

/// At most [`MOST_POINTS`] of them, evenly, in their order.
fn sample(pairs: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let n = pairs.len().min(MOST_POINTS);
    (0..n).map(|i| pairs[i * pairs.len() / n]).collect()
}

fn histogram(pairs: &[(f64, f64)], unit: &str) -> String {
    let errors: Vec<f64> = pairs.iter().map(|(truth, said)| said - truth).collect();
    let x = Axis::over(format!("predicted − true{unit}"), errors.iter().copied(), 6);
    let (start, width) = (x.range().start, (x.range().end - x.range().start) / BARS as f64);
    let mut counts = [0u32; BARS];
    for error in &errors {
        let bar = ((error - start) / width) as usize;
        counts[bar.min(BARS - 1)] += 1;
    }
    let y = Axis::from_zero("rows", counts.iter().map(|count| f64::from(*count)), 5);
    let plane = Plane { title: "histogram of residuals".into(), height: 340, left: 64, right: 16, x, y };
    let picture = plane.drawn(|pen| {
        for (i, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let left = start + width * i as f64;
            pen.bar([(left + width * 0.06, 0.0), (left + width * 0.94, f64::from(*count))], BLUE)?;
        }
        let (zero, top) = (plane.x.clamp(0.0), plane.y.range().end);
        pen.dashes([(zero, 0.0), (zero, top)], FAINT, (6, 4))
    });
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    let note = format!("of the same rows, all of them; {} in the mean.", number::figure(Some(mean)));
    page::figure("Residuals", &note, picture)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_very_many_rows_some_are_drawn_by_a_fixed_rule() {
        let pairs: Vec<(f64, f64)> = (0..5000).map(|i| (f64::from(i), 0.0)).collect();
        let shown = sample(&pairs);
        assert_eq!((shown.len(), shown[0], shown[1], shown[1999]), (2000, (0.0, 0.0), (2.0, 0.0), (4997.0, 0.0)));
        assert_eq!(sample(&pairs[..3]), pairs[..3]);
    }

    #[test]
    fn rows_that_are_no_numbers_are_left_out() {
        let of = |pairs| pictures(&Predictions { pairs, ..Predictions::default() });
        assert_eq!(of(vec![(f64::NAN, 1.0), (1.0, f64::INFINITY)]), "");
        assert!(of(vec![(1.0, 2.0), (f64::NAN, 1.0)]).contains("1 test rows"));
    }
}
