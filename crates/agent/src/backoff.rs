//! How long to wait before trying again: twice as long each time, from 0.2 s to 10 s, and less by up to half, so that clients
//! that failed together do not come back together.

use std::time::Duration;

use dure_core::digest::Digest;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);

/// How often something has failed in a row. Waits derive from a name, so each client has its own.
#[derive(Clone, Debug)]
pub struct Backoff {
    name: String,
    tries: u32,
}

impl Backoff {
    /// Of the one called `name`, which has not failed yet.
    pub fn new(name: &str) -> Self {
        Self { name: name.into(), tries: 0 }
    }

    /// How often it has failed in a row.
    pub fn tries(&self) -> u32 {
        self.tries
    }

    /// It has succeeded.
    pub fn reset(&mut self) {
        self.tries = 0;
    }

    /// It has failed once more: how long to wait.
    pub fn next(&mut self) -> Duration {
        self.tries = self.tries.saturating_add(1);
        let longest = FIRST.saturating_mul(1 << (self.tries - 1).min(16)).min(LONGEST);
        longest.mul_f64(0.5 + 0.5 * self.fraction())
    }

    /// From 0 to below 1.
    fn fraction(&self) -> f64 {
        let Digest(bytes) = Digest::of_all(&[self.name.as_bytes(), &self.tries.to_le_bytes()]);
        f64::from(u16::from_le_bytes([bytes[0], bytes[1]])) / 65536.0
    }
}

/// How long a client goes on with what its disk refuses, before it declines its tasks.
const PATIENCE: Duration = Duration::from_secs(60);

/// For how long something has failed in a row.
#[derive(Clone, Debug)]
pub struct Patience {
    backoff: Backoff,
    waited: Duration,
}

impl Patience {
    /// Of the one called `name`.
    pub fn new(name: &str) -> Self {
        Self { backoff: Backoff::new(name), waited: Duration::ZERO }
    }

    /// It has succeeded.
    pub fn reset(&mut self) {
        (self.waited, self.backoff.tries) = (Duration::ZERO, 0);
    }

    /// It has failed once more: how long to wait.
    pub fn next(&mut self) -> Duration {
        let wait = self.backoff.next();
        self.waited += wait;
        wait
    }

    /// Whether it has failed for too long.
    pub fn is_over(&self) -> bool {
        self.waited >= PATIENCE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_ten_seconds_and_are_shortened_by_up_to_half() {
        let mut backoff = Backoff::new("a");
        let waits: Vec<f64> = (0..40).map(|_| backoff.next().as_secs_f64()).collect();
        for (i, wait) in waits.iter().enumerate() {
            let longest = (0.2 * 2f64.powi(i as i32)).min(10.0);
            assert!((longest / 2.0..=longest).contains(wait), "{i}: {wait}");
        }
        assert_eq!(backoff.tries(), 40);
        backoff.reset();
        assert_eq!(backoff.next().as_secs_f64(), waits[0]);
    }

    #[test]
    fn patience_is_over_after_about_a_minute_and_comes_back() {
        let mut patience = Patience::new("a");
        let waits: Vec<_> = std::iter::from_fn(|| (!patience.is_over()).then(|| patience.next())).collect();
        let waited = waits.iter().sum::<Duration>();
        assert!((10..20).contains(&waits.len()), "{waits:?}");
        assert!(PATIENCE <= waited && waited <= PATIENCE + LONGEST, "{waited:?}");
        patience.reset();
        assert!(!patience.is_over());
    }

    #[test]
    fn clients_wait_for_different_times() {
        let first = |name: &str| Backoff::new(name).next();
        assert_ne!(first("person-01"), first("person-02"));
    }

    #[test]
    fn any_number_of_failures_is_fine() {
        let mut backoff = Backoff { name: "a".into(), tries: u32::MAX - 1 };
        assert!(backoff.next() <= LONGEST && backoff.next() <= LONGEST);
    }
}
