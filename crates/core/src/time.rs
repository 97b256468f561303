//! Federation time: milliseconds that a driver counts while it runs.

use std::{fmt, ops::Add};

use serde::{Deserialize, Serialize};

/// A moment in federation time, in milliseconds since the federation was created.
///
/// It stands still while no driver runs, so neither an outage nor a changed wall clock lets a deadline pass.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Time(#[serde(with = "crate::event::text")] pub u64);

/// A length of federation time, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Duration(#[serde(with = "crate::event::text")] pub u64);

impl Add<Duration> for Time {
    type Output = Time;

    fn add(self, length: Duration) -> Time {
        Time(self.0.saturating_add(length.0))
    }
}

impl Time {
    /// How long ago `earlier` was; nothing if it is still to come.
    pub fn since(self, earlier: Time) -> Duration {
        Duration(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} s", self.0 as f64 / 1000.0)
    }
}
