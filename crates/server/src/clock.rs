//! Federation time, as a driver that runs counts it.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use dure_core::time::Time;

/// The most that passes between two looks. A driver looks at least every second; where it could not, because the process
/// was stopped or the machine slept, nobody could have answered either.
const MOST: Duration = Duration::from_secs(5);

/// Counts milliseconds from the last journalled time on, while the process runs. The wall clock is never asked.
pub struct Clock {
    last: Mutex<(Time, Instant)>,
    most: Duration,
}

impl Clock {
    /// Goes on from `time`. No look takes more than a quarter of a lease: whoever kept it before a stop still does after it.
    pub fn from(time: Time, lease: Duration) -> Self {
        Self { last: Mutex::new((time, Instant::now())), most: MOST.min(lease / 4) }
    }

    /// Now.
    pub fn now(&self) -> Time {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = last.1.elapsed();
        let counted = passed.as_millis() as u64;
        if counted > 0 {
            let millis = counted.min(self.most.as_millis() as u64);
            // What is less than a millisecond waits for the next look.
            *last = (Time(last.0.0 + millis), last.1 + Duration::from_millis(counted));
        }
        last.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much passes at a look, in milliseconds, after so long a stop.
    fn look_after(stop: Duration, lease: Duration) -> u64 {
        let clock = Clock::from(Time(7), lease);
        clock.last.lock().unwrap().1 -= stop;
        clock.now().0 - 7
    }

    #[test]
    fn a_stop_takes_five_seconds_at_most_and_a_quarter_of_a_lease() {
        let [second, minute] = [1, 60].map(Duration::from_secs);
        assert_eq!(look_after(minute, minute), 5000);
        assert_eq!(look_after(minute, 2 * second), 500);
        assert!((1000..5000).contains(&look_after(second, minute)));
    }
}
