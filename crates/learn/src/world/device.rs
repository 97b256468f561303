//! How long things take on a device, and between it and the server.

use std::path::Path;

use dure_core::{
    name::ClientName,
    plan::PlanError,
    random::{RngExt, Stream, normal},
};
use serde::{Deserialize, Serialize};

use super::draws;

/// Distributions from which every client draws its device once. What is absent takes no time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Devices {
    /// Examples that it trains on in a second.
    pub examples_per_s: Option<LogNormal>,
    /// Bytes that reach it in a second.
    pub down_bytes_per_s: Option<LogNormal>,
    /// Bytes that leave it in a second.
    pub up_bytes_per_s: Option<LogNormal>,
    /// How long a message is on its way, in seconds.
    pub latency_s: Option<LogNormal>,
}

/// A number whose logarithm is normal.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogNormal {
    /// Half are below it.
    pub median: f64,
    /// The standard deviation of the logarithm: 0 is the same for all, 1 makes a tenth of them 3.6 times the median or more.
    #[serde(default)]
    pub sigma: f64,
}

impl LogNormal {
    /// One of them.
    pub fn draw(&self, numbers: &mut Stream) -> f64 {
        self.median * libm::exp(self.sigma * normal(numbers, 0.0, 1.0))
    }
}

/// A device and its network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Device {
    /// Examples that it trains on in a second.
    pub examples_per_s: f64,
    /// Bytes that reach it in a second.
    pub down_bytes_per_s: f64,
    /// Bytes that leave it in a second.
    pub up_bytes_per_s: f64,
    /// How long a message is on its way, in seconds.
    pub latency_s: f64,
}

/// How long a task takes, in seconds, by what takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Way {
    /// Until the model has arrived.
    pub download: f64,
    /// Training.
    pub training: f64,
    /// Until the answer has arrived.
    pub upload: f64,
}

impl Devices {
    /// Holds every value to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let all = [
            (self.examples_per_s, "world.devices.examples_per_s.median", "world.devices.examples_per_s.sigma"),
            (self.down_bytes_per_s, "world.devices.down_bytes_per_s.median", "world.devices.down_bytes_per_s.sigma"),
            (self.up_bytes_per_s, "world.devices.up_bytes_per_s.median", "world.devices.up_bytes_per_s.sigma"),
            (self.latency_s, "world.devices.latency_s.median", "world.devices.latency_s.sigma"),
        ];
        for (drawn, median_key, sigma_key) in all {
            let Some(LogNormal { median, sigma }) = drawn else { continue };
            if !(1e-9..=1e15).contains(&median) {
                return Err(PlanError::value(median_key, median, "1e-9 to 1e15"));
            }
            if !(0.0..=10.0).contains(&sigma) {
                return Err(PlanError::value(sigma_key, sigma, "0 to 10"));
            }
        }
        Ok(())
    }

    /// A client's device in jobs of this seed.
    pub fn of(&self, seed: u64, client: &ClientName) -> Device {
        let mut numbers = draws(seed, "device", client, 0);
        // Each is drawn, whether it is used or not: what one takes does not depend on the others.
        let mut draw = |drawn: Option<LogNormal>, otherwise: f64| {
            let z = normal(&mut numbers, 0.0, 1.0);
            drawn.map_or(otherwise, |LogNormal { median, sigma }| median * libm::exp(sigma * z))
        };
        Device {
            examples_per_s: draw(self.examples_per_s, f64::INFINITY),
            down_bytes_per_s: draw(self.down_bytes_per_s, f64::INFINITY),
            up_bytes_per_s: draw(self.up_bytes_per_s, f64::INFINITY),
            latency_s: draw(self.latency_s, 0.0),
        }
    }
}

impl Device {
    /// A client's device in jobs of this seed, of those of a trace.
    pub fn drawn(trace: &[Self], seed: u64, client: &ClientName) -> Option<Self> {
        let at = draws(seed, "device", client, 0).random_range(0..trace.len().max(1));
        trace.get(at).copied()
    }

    /// How long it takes to be told `down` bytes, to train on `examples` and to answer with `up` bytes.
    pub fn way(&self, down: u64, examples: u64, up: u64) -> Way {
        let over = |amount: u64, per_s: f64| amount as f64 / per_s;
        Way {
            download: self.latency_s + over(down, self.down_bytes_per_s),
            training: over(examples, self.examples_per_s),
            upload: self.latency_s + over(up, self.up_bytes_per_s),
        }
    }
}

impl Way {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.download + self.training + self.upload
    }

    /// What takes longest.
    pub fn longest(&self) -> &'static str {
        let parts = [(self.training, "training"), (self.upload, "upload"), (self.download, "download")];
        parts.into_iter().fold((f64::MIN, ""), |longest, part| if part.0 > longest.0 { part } else { longest }).1
    }
}

/// A trace that cannot be read.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}: {why}")]
pub struct TraceError {
    file: String,
    line: u64,
    why: String,
}

/// A line of a trace.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    examples_per_s: f64,
    down_bytes_per_s: f64,
    up_bytes_per_s: f64,
    latency_s: f64,
}

/// The columns of a trace.
const COLUMNS: [&str; 4] = ["examples_per_s", "down_bytes_per_s", "up_bytes_per_s", "latency_s"];

/// Reads a trace: a CSV file with the columns `examples_per_s`, `down_bytes_per_s`, `up_bytes_per_s` and `latency_s`, and a line for
/// each device. Every client gets one of them, drawn from the seed.
pub fn parse(file: &Path, text: &[u8]) -> Result<Vec<Device>, TraceError> {
    let fault = |line: u64, why: String| TraceError { file: file.display().to_string(), line, why };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text);
    let names = reader.headers().map_err(|error| fault(1, error.to_string()))?;
    let columns: Vec<String> = names.iter().map(str::to_owned).collect();
    if let Some(missing) = COLUMNS.iter().find(|column| !columns.iter().any(|there| there == *column)) {
        return Err(fault(1, format!("has no column {missing}; a trace has {}", COLUMNS.join(", "))));
    }
    let mut devices = vec![];
    for read in reader.deserialize::<Line>() {
        let line = read.map_err(|error| {
            let at = error.position().map_or(1, csv::Position::line);
            let why = match error.kind() {
                csv::ErrorKind::Deserialize { err, .. } => {
                    let column = err.field().and_then(|field| columns.get(usize::try_from(field).ok()?));
                    format!("{}{}", column.map_or_else(String::new, |column| format!("{column}: ")), err.kind())
                }
                csv::ErrorKind::UnequalLengths { expected_len, len, .. } => {
                    format!("has {len} values where line 1 names {expected_len} columns")
                }
                _ => error.to_string(),
            };
            fault(at, why)
        })?;
        let at = devices.len() as u64 + 2;
        let Line { examples_per_s, down_bytes_per_s, up_bytes_per_s, latency_s } = line;
        for (column, value) in [
            ("examples_per_s", examples_per_s),
            ("down_bytes_per_s", down_bytes_per_s),
            ("up_bytes_per_s", up_bytes_per_s),
        ] {
            if !(value.is_finite() && value > 0.0) {
                return Err(fault(at, format!("{column} is {value}; write a number above 0")));
            }
        }
        if !(latency_s.is_finite() && latency_s >= 0.0) {
            return Err(fault(at, format!("latency_s is {latency_s}; write a number from 0")));
        }
        devices.push(Device { examples_per_s, down_bytes_per_s, up_bytes_per_s, latency_s });
    }
    if devices.is_empty() { Err(fault(2, "has no device; write a line for each".into())) } else { Ok(devices) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_devices_are_below_the_median() {
        let devices = Devices { examples_per_s: Some(LogNormal { median: 50.0, sigma: 1.0 }), ..Devices::default() };
        let speeds: Vec<f64> =
            (0..2000).map(|i| devices.of(7, &ClientName::new(format!("c{i}")).unwrap()).examples_per_s).collect();
        let below = |bound: f64| speeds.iter().filter(|speed| **speed < bound).count();
        // Standard deviations 22 and 13.
        assert!((910..1090).contains(&below(50.0)), "{}", below(50.0));
        assert!((150..250).contains(&(2000 - below(50.0 * 3.602))), "{}", below(50.0 * 3.602));
        let nothing = devices.of(7, &ClientName::new("c0").unwrap()).way(1000, 0, 1000);
        assert_eq!(nothing.total(), 0.0, "what is not said takes no time");
    }

    #[test]
    fn a_way_is_what_its_parts_take() {
        let device = Device { examples_per_s: 10.0, down_bytes_per_s: 100.0, up_bytes_per_s: 50.0, latency_s: 0.5 };
        let way = device.way(200, 35, 200);
        assert_eq!((way.download, way.training, way.upload), (2.5, 3.5, 4.5));
        assert_eq!((way.total(), way.longest()), (10.5, "upload"));
    }

    #[test]
    fn a_bad_line_of_a_trace_is_named() {
        let check = |lines: &str, want: &str| {
            let text = format!("examples_per_s,down_bytes_per_s,up_bytes_per_s,latency_s\n{lines}");
            let error = parse(Path::new("devices.csv"), text.as_bytes()).unwrap_err().to_string();
            assert!(error.starts_with(want), "{error}");
        };
        check("10,1,1,0\n20,1,0,0\n", "devices.csv:3: up_bytes_per_s is 0; write a number above 0");
        check("10,1,1,0\n20,1,1,-1\n", "devices.csv:3: latency_s is -1; write a number from 0");
        check("10,1,1,0\n20,x,1,0\n", "devices.csv:3: down_bytes_per_s: invalid float literal");
        check("10,1,1,0\n20,1\n", "devices.csv:3: has 2 values where line 1 names 4 columns");
        check("", "devices.csv:2: has no device");
        let good = b"latency_s,examples_per_s,down_bytes_per_s,up_bytes_per_s\n0, 5, 6, 7\n";
        assert_eq!(parse(Path::new("x"), good).unwrap()[0].examples_per_s, 5.0);
    }
}
