//! Federation time, as a driver that runs counts it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use dure_core::time::Time;
use tokio::time::Instant;

/// The most that passes between two looks. A driver looks at least every second; where it could not, because the process
/// was stopped or the machine slept, nobody could have answered either.
const MOST: Duration = Duration::from_secs(5);

/// Counts milliseconds from the last journalled time on, while the process runs. The wall clock is never asked.
pub struct Clock(Mutex<(Time, Instant)>);

impl Clock {
    /// Goes on from `time`.
    pub fn from(time: Time) -> Self {
        Self(Mutex::new((time, Instant::now())))
    }

    /// Now.
    pub fn now(&self) -> Time {
        let mut last = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = last.1.elapsed();
        let counted = passed.as_millis() as u64;
        if counted > 0 {
            let millis = counted.min(MOST.as_millis() as u64);
            // What is less than a millisecond waits for the next look.
            *last = (Time(last.0.0 + millis), last.1 + Duration::from_millis(counted));
        }
        last.0
    }
}
