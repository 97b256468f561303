//! The keys of strategies: what each may be, and what stands without it.

use std::ops::Bound::{self, Excluded, Included};

/// A key of a strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is a field of StrategySpec")]
pub enum Key {
    Byzantine,
    Keep,
    Bound,
    Iterations,
    Smoothing,
    Q,
    Lipschitz,
    Velocity,
    Mu,
    Alpha,
    Beta1,
    Beta2,
    Tau,
    Buffer,
    Staleness,
    Mixing,
}

use Key::{
    Alpha, Beta1, Beta2, Buffer, Byzantine, Iterations, Keep, Lipschitz, Mixing, Mu, Q, Smoothing, Staleness, Tau,
    Velocity,
};

/// What a key may be.
pub(super) struct Bounds {
    pub(super) key: &'static str,
    /// What stands if the recipe says nothing; `None` if it has to.
    pub(super) default: Option<f64>,
    pub(super) allowed: &'static str,
    /// The same as numbers: from where to where.
    pub(super) range: (Bound<f64>, Bound<f64>),
}

impl Key {
    /// All of them.
    pub(super) const ALL: [Self; 16] = [
        Byzantine,
        Keep,
        Key::Bound,
        Iterations,
        Smoothing,
        Q,
        Lipschitz,
        Mu,
        Alpha,
        Velocity,
        Beta1,
        Beta2,
        Tau,
        Buffer,
        Staleness,
        Mixing,
    ];

    /// What a recipe calls it.
    pub fn name(self) -> &'static str {
        self.bounds().key.trim_start_matches("strategy.")
    }

    /// What stands if the recipe says nothing; `None` if it has to.
    pub fn default(self) -> Option<f64> {
        self.bounds().default
    }

    pub(super) fn bounds(self) -> Bounds {
        let (share, above) = ((Included(0.0), Excluded(1.0)), (Excluded(0.0), Excluded(f64::INFINITY)));
        let between = |least, most| (Included(least), Included(most));
        let a_share = "a number from 0 to below 1";
        let bounds = |key, default, allowed, range| Bounds { key, default, allowed, range };
        match self {
            Byzantine => {
                let allowed = "how many of a round's clients may lie, 0 to 100000";
                bounds("strategy.byzantine", None, allowed, between(0.0, 1e5))
            }
            Keep => bounds("strategy.keep", None, "how many updates are kept, 1 to 100000", between(1.0, 1e5)),
            Key::Bound => bounds("strategy.bound", None, "the greatest length of an update, a number above 0", above),
            Iterations => bounds("strategy.iterations", Some(8.0), "1 to 1000", between(1.0, 1000.0)),
            Smoothing => bounds("strategy.smoothing", Some(1e-6), "a number above 0", above),
            Q => bounds("strategy.q", Some(1.0), "0 to 100", between(0.0, 100.0)),
            Lipschitz => {
                bounds("strategy.lipschitz", None, "one over the clients' learning rate, a number above 0", above)
            }
            Mu => bounds("strategy.mu", None, "0 to 1000000; 0 is FedAvg", between(0.0, 1e6)),
            Alpha => {
                let allowed = "a number above 0 and at most 1000000";
                bounds("strategy.alpha", None, allowed, (Excluded(0.0), Included(1e6)))
            }
            Velocity => bounds("strategy.momentum", Some(0.9), a_share, share),
            Beta1 => bounds("strategy.beta_1", Some(0.9), a_share, share),
            Beta2 => bounds("strategy.beta_2", Some(0.99), a_share, share),
            Tau => bounds("strategy.tau", Some(1e-3), "a number above 0", above),
            Buffer => {
                bounds("strategy.buffer", Some(10.0), "how many answers make a version, 1 to 100000", between(1.0, 1e5))
            }
            Staleness => {
                let allowed = "0 to 100; with 0 old answers count in full";
                bounds("strategy.staleness", Some(0.5), allowed, between(0.0, 100.0))
            }
            Mixing => {
                bounds("strategy.mixing", Some(0.6), "a number above 0 and at most 1", (Excluded(0.0), Included(1.0)))
            }
        }
    }
}
