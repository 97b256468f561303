//! Columns of an evaluated regression, one value a row.

use super::{Metrics, Statistics, defined};

/// |prediction − truth|.
pub const ABSOLUTE_ERROR: &str = "absolute_error";
/// prediction − truth.
pub const ERROR: &str = "error";
/// What was to be predicted.
pub const TRUTH: &str = "truth";
/// What was predicted.
pub const PREDICTION: &str = "prediction";
/// All of them.
pub const COLUMNS: [&str; 4] = [ABSOLUTE_ERROR, ERROR, TRUTH, PREDICTION];

/// The figures that come of them.
pub const METRICS: [&str; 4] = ["mae", "rmse", "r2", "pearson_r"];

/// Takes in one row.
pub fn add(sums: &mut Statistics, truth: f64, prediction: f64) {
    let error = prediction - truth;
    for (column, value) in COLUMNS.iter().zip([error.abs(), error, truth, prediction]) {
        super::add(sums, column, value);
    }
}

/// MAE and RMSE in the target's unit, R² and Pearson's r. R² is absent where the truth is constant, r where
/// truth or prediction is.
pub fn metrics(sums: &Statistics) -> Metrics {
    let column = |name: &str| sums.get(name).copied().unwrap_or_default();
    let (error, truth, prediction) = (column(ERROR), column(TRUTH), column(PREDICTION));
    let n = error.n as f64;
    if error.n == 0 {
        return Metrics::new();
    }
    let squares = error.m2 + n * error.mean * error.mean;
    // Var(p − t) = Var(p) + Var(t) − 2 Cov(p, t), so the covariance needs no column of its own.
    let covariance = (prediction.m2 + truth.m2 - error.m2) / 2.0;
    let spread = prediction.m2.sqrt() * truth.m2.sqrt();
    defined([
        ("mae", Some(column(ABSOLUTE_ERROR).mean)),
        ("rmse", Some((squares / n).sqrt())),
        ("r2", (truth.m2 > 0.0).then(|| 1.0 - squares / truth.m2)),
        ("pearson_r", (spread > 0.0).then(|| (covariance / spread).clamp(-1.0, 1.0))),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_worked_by_hand() {
        let mut sums = Statistics::new();
        for (truth, prediction) in [(1.0, 2.0), (2.0, 2.0), (3.0, 2.0), (6.0, 6.0)] {
            add(&mut sums, truth, prediction);
        }
        let metrics = metrics(&sums);
        // Σe² = 2, Σ(t − 3)² = 14; cov = 12, Σ(p − 3)² = 12.
        for (name, want) in
            [("mae", 0.5), ("rmse", 0.5f64.sqrt()), ("r2", 1.0 - 2.0 / 14.0), ("pearson_r", 12.0 / 168f64.sqrt())]
        {
            assert!((metrics[name] - want).abs() < 1e-12, "{name}: {} instead of {want}", metrics[name]);
        }
    }

    #[test]
    fn an_undefined_figure_is_absent() {
        let mut sums = Statistics::new();
        add(&mut sums, 1.0, 2.0);
        assert_eq!(metrics(&sums).keys().collect::<Vec<_>>(), ["mae", "rmse"]);
        assert!(metrics(&Statistics::new()).is_empty());
    }
}
