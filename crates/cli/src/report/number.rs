//! Numbers as people read them.

/// What stands where there is no number.
pub const DASH: &str = "–";

/// Whether there is a place for it in a picture: finite, and not so large that differences are not.
pub fn is_drawable(value: f64) -> bool {
    value.abs() <= 1e100
}

/// Three decimals below ten, one below a million: 0.812, 91.4.
pub fn figure(value: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else { return DASH.into() };
    let text = match value.abs() {
        size if size >= 1e6 => format!("{value:.2e}"),
        size if size >= 9.9995 => format!("{value:.1}"),
        _ => format!("{value:.3}"),
    };
    signed(&text)
}

/// Seconds: 0.061 s, 12.3 s, 14 min.
pub fn seconds(value: f64) -> String {
    match value {
        s if !s.is_finite() => DASH.into(),
        s if s >= 7200.0 => format!("{:.1} h", s / 3600.0),
        s if s >= 600.0 => format!("{:.0} min", s / 60.0),
        s if s >= 10.0 => format!("{s:.1} s"),
        s => format!("{s:.3} s"),
    }
}

/// A share of 1, as a whole percentage; one decimal below 1 %.
pub fn percent(share: f64) -> String {
    match share * 100.0 {
        p if !p.is_finite() => DASH.into(),
        p if p > 0.0 && p < 0.95 => format!("{p:.1} %"),
        p => format!("{p:.0} %"),
    }
}

/// A whole number, its thousands apart.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// With the minus that is as wide as a plus, and none before a zero.
fn signed(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.contains(|c: char| c.is_ascii_digit() && c != '0') => format!("−{rest}"),
        Some(rest) => rest.to_owned(),
        None => text.to_owned(),
    }
}

/// At most about `most` round numbers from `from` to `to`, with what is written beside them.
pub fn ticks(from: f64, to: f64, most: usize) -> Vec<(f64, String)> {
    let step = round_step((to - from) / most.max(1) as f64);
    let first = (from / step).ceil();
    let mut ticks = Vec::new();
    for i in 0..=most + 1 {
        let value = (first + i as f64) * step;
        if value > to + step * 1e-9 {
            break;
        }
        ticks.push((value, tick(value, step)));
    }
    ticks
}

/// The smallest of 1, 2 and 5 times a power of ten that is not below `least`.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|n| n * power).find(|step| *step >= least * (1.0 - 1e-9)).unwrap_or(least)
}

/// With as many decimals as the steps need.
fn tick(value: f64, step: f64) -> String {
    if value.abs() >= 1e6 || step < 1e-5 {
        return signed(&format!("{value:.1e}"));
    }
    let decimals = (-step.log10().floor()).max(0.0) as usize;
    signed(&format!("{value:.decimals$}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_sensible_digits_and_absent_ones_are_dashes() {
        let shown = [91.42, 0.8123, -0.0441, -0.0001, 9.9999, 1234.5, 1.5e9].map(|value| figure(Some(value)));
        assert_eq!(shown, ["91.4", "0.812", "−0.044", "0.000", "10.0", "1234.5", "1.50e9"]);
        assert_eq!([None, Some(f64::NAN), Some(f64::INFINITY)].map(figure), [DASH; 3]);
    }

    #[test]
    fn seconds_percentages_and_counts_are_short() {
        assert_eq!(
            [0.0612, 12.34, 900.0, 9000.0, f64::NAN].map(seconds),
            ["0.061 s", "12.3 s", "15 min", "2.5 h", DASH]
        );
        assert_eq!([0.0, 0.004, 0.256, 1.0, f64::NAN].map(percent), ["0 %", "0.4 %", "26 %", "100 %", DASH]);
        assert_eq!([0, 999, 6977, 1_234_567].map(count), ["0", "999", "6,977", "1,234,567"]);
    }

    #[test]
    fn ticks_are_round_and_as_few_as_asked() {
        let words = |from, to| ticks(from, to, 5).into_iter().map(|(_, word)| word).collect::<Vec<_>>().join(" ");
        assert_eq!(words(0.0, 1.0), "0.0 0.2 0.4 0.6 0.8 1.0");
        assert_eq!(words(-0.31, 0.17), "−0.3 −0.2 −0.1 0.0 0.1");
        assert_eq!(words(83.0, 412.0), "100 200 300 400");
        assert_eq!(words(0.0, 4.2e7), "0 1.0e7 2.0e7 3.0e7 4.0e7");
        for (from, to) in [(-1e100, 1e100), (1e-300, 2e-300), (5.0, 5.0), (0.0, f64::NAN)] {
            assert!(ticks(from, to, 5).len() <= 7);
        }
    }
}
