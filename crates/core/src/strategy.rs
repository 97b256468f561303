//! The named strategies. A strategy is a choice of values: how updates are combined, and how the server steps.

mod key;
mod schema;

use std::ops::RangeBounds as _;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    combine::{
        Bulyan, Combine, FedBuff, FedNova, GeometricMedian, Krum, Mean, Median, NormBounded, QFedAvg, TrimmedMean,
        UniformMean,
    },
    optimizer::{Adaptive, FedDyn, Momentum, Optimizer, Scaffold, Second, Sgd},
    plan::PlanError,
    update::{CONTROL, DELTA},
};

pub use key::Key;

use key::Bounds;

use Key::{
    Alpha, Beta1, Beta2, Bound, Buffer, Byzantine, Iterations, Keep, Lipschitz, Mixing, Mu, Q, Smoothing, Staleness,
    Tau, Velocity,
};

/// What a plan says of its strategy: a name, and whichever of the keys its row of [`NAMES`] takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default, expecting = "a table such as { name = \"fedavg\" }")]
#[schemars(transform = schema::by_name)]
pub struct StrategySpec {
    /// One of [`NAMES`].
    pub name: String,
    /// The server's learning rate.
    #[serde(deserialize_with = "crate::event::single")]
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub learning_rate: f32,
    /// How many of a round's clients may lie.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub byzantine: Option<usize>,
    /// How many updates Multi-Krum keeps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keep: Option<usize>,
    /// How long an update may be: its L2 norm.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bound: Option<f64>,
    /// Steps towards the geometric median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iterations: Option<usize>,
    /// The least distance by which the geometric median divides.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smoothing: Option<f64>,
    /// How much more clients count whom the model serves worse.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub q: Option<f64>,
    /// The Lipschitz constant of the clients' gradients.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lipschitz: Option<f64>,
    /// How strongly clients are pulled back to where they began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mu: Option<f64>,
    /// How strongly FedDyn's clients are pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alpha: Option<f64>,
    /// How much of its way the server keeps from round to round.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub momentum: Option<f64>,
    /// The same of an adaptive server's first moment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_1: Option<f64>,
    /// And of its second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub beta_2: Option<f64>,
    /// How far a coordinate has to move to count as moving.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tau: Option<f64>,
    /// How many answers make a version of an asynchronous job.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<usize>,
    /// How much less answers count that were trained from old versions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub staleness: Option<f64>,
    /// How much of a client's model goes into the shared one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mixing: Option<f64>,
}

impl Default for StrategySpec {
    fn default() -> Self {
        Self {
            name: "fedavg".into(),
            learning_rate: 1.0,
            byzantine: None,
            keep: None,
            bound: None,
            iterations: None,
            smoothing: None,
            q: None,
            lipschitz: None,
            mu: None,
            alpha: None,
            momentum: None,
            beta_1: None,
            beta_2: None,
            tau: None,
            buffer: None,
            staleness: None,
            mixing: None,
        }
    }
}

/// `combine → optimizer`, ready to be applied.
pub struct Strategy {
    /// What each client makes small.
    pub objective: Objective,
    /// Many updates → one delta.
    pub combine: Box<dyn Combine>,
    /// One delta → the next parameters.
    pub optimizer: Box<dyn Optimizer>,
    /// How answers are taken without a cohort that all of them are of; `None` if rounds have one.
    pub asynchronous: Option<Asynchronous>,
}

/// An asynchronous job: a place that becomes free is given to the next client, which works on the version that is newest then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asynchronous {
    /// How many answers make the next version.
    pub buffer: usize,
    /// Whether a client's model is mixed in, and not what it has changed of the version that it was given: deltas are taken from
    /// the newest version.
    pub mixes: bool,
}

/// What a client's training makes small: its loss, and maybe something beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Objective {
    /// Its loss alone.
    #[default]
    Plain,
    /// Its loss and μ/2 · ‖w − wₜ‖², where wₜ is the model that it was given: Algorithm 2 of Li et al. 2020
    /// <https://arxiv.org/abs/1812.06127>.
    Proximal {
        /// μ, above 0.
        mu: f32,
    },
    /// Its loss, each step turned from the client's own direction cᵢ to everybody's c: Algorithm 1 of Karimireddy et al. 2020
    /// <https://arxiv.org/abs/1910.06378>, where afterwards cᵢ is the mean slope of its steps (option II).
    Controlled,
    /// Its loss, − ⟨gᵢ, w⟩ and α/2 · ‖w − wₜ‖²: Algorithm 1 of Acar et al. 2021 <https://arxiv.org/abs/2111.04263>, where afterwards
    /// gᵢ −= α·(w − wₜ).
    Dynamic {
        /// α, above 0.
        alpha: f32,
    },
}

impl Objective {
    /// The groups of an update, in the order of their names.
    pub fn groups(self) -> &'static [&'static str] {
        if self == Self::Controlled { &[CONTROL, DELTA] } else { &[DELTA] }
    }

    /// Whether a client keeps a vector as long as the model from round to round.
    pub fn is_remembered(self) -> bool {
        matches!(self, Self::Controlled | Self::Dynamic { .. })
    }
}

/// A row of the table of strategies.
pub struct Named {
    /// What a recipe calls it.
    pub name: &'static str,
    /// What it is, and its paper.
    pub paper: &'static str,
    /// The keys that it takes beside the learning rate.
    pub keys: &'static [Key],
    objective: fn(&StrategySpec) -> Objective,
    combine: fn(&StrategySpec) -> Box<dyn Combine>,
    optimizer: fn(&StrategySpec) -> Box<dyn Optimizer>,
    asynchronous: fn(&StrategySpec) -> Option<Asynchronous>,
}

/// The strategies that exist. One that is new is a row here and, if it combines or steps in a new way, a file beside its like.
pub const NAMES: &[Named] = &[
    named(
        "fedavg",
        "mean weighted by examples; McMahan et al. 2017 <https://arxiv.org/abs/1602.05629>",
        &[],
        mean,
        sgd,
    ),
    named(
        "fedprox",
        "FedAvg of clients that are pulled back to where they began; Li et al. 2020 <https://arxiv.org/abs/1812.06127>",
        &[Mu],
        mean,
        sgd,
    )
    .making_small(|spec| match spec.number(Mu) as f32 {
        mu if mu > 0.0 => Objective::Proximal { mu },
        _ => Objective::Plain,
    }),
    named(
        "scaffold",
        "clients' steps are turned to everybody's direction; Karimireddy et al. 2020 <https://arxiv.org/abs/1910.06378>",
        &[],
        uniform,
        |spec| Box::new(Scaffold { learning_rate: spec.learning_rate }),
    )
    .making_small(|_| Objective::Controlled),
    named(
        "feddyn",
        "clients agree on the optimum of all by what they remember; Acar et al. 2021 <https://arxiv.org/abs/2111.04263>",
        &[Alpha],
        uniform,
        |spec| Box::new(FedDyn { alpha: spec.number(Alpha) as f32, learning_rate: spec.learning_rate }),
    )
    .making_small(|spec| Objective::Dynamic { alpha: spec.number(Alpha) as f32 }),
    named("uniform-mean", "mean in which everybody counts as much", &[], uniform, sgd),
    named(
        "fedavgm",
        "FedAvg with server momentum; Hsu et al. 2019 <https://arxiv.org/abs/1909.06335>",
        &[Velocity],
        mean,
        |spec| Box::new(Momentum { learning_rate: spec.learning_rate, momentum: spec.number(Velocity) as f32 }),
    ),
    named("fedadagrad", REDDI, &[Beta1, Tau], mean, |spec| Box::new(spec.adaptive(Second::Adagrad))),
    named("fedadam", REDDI, &[Beta1, Beta2, Tau], mean, |spec| {
        Box::new(spec.adaptive(Second::Adam { beta_2: spec.number(Beta2) as f32 }))
    }),
    named("fedyogi", REDDI, &[Beta1, Beta2, Tau], mean, |spec| {
        Box::new(spec.adaptive(Second::Yogi { beta_2: spec.number(Beta2) as f32 }))
    }),
    named(
        "fednova",
        "directions, whatever the number of local steps; Wang et al. 2020 <https://arxiv.org/abs/2007.07481>",
        &[],
        |_| Box::new(FedNova),
        sgd,
    ),
    named(
        "qfedavg",
        "who is served worse counts more; Li et al. 2020 <https://arxiv.org/abs/1905.10497>",
        &[Q, Lipschitz],
        |spec| Box::new(QFedAvg { q: spec.number(Q), lipschitz: spec.number(Lipschitz) }),
        sgd,
    ),
    named(
        "median",
        "median of each coordinate; Yin et al. 2018 <https://arxiv.org/abs/1803.01498>",
        &[],
        |_| Box::new(Median),
        sgd,
    ),
    named(
        "trimmed-mean",
        "mean of each coordinate without its extremes; Yin et al. 2018 <https://arxiv.org/abs/1803.01498>",
        &[Byzantine],
        |spec| Box::new(TrimmedMean { byzantine: spec.count(Byzantine) }),
        sgd,
    ),
    named(
        "rfa",
        "geometric median; Pillutla et al. 2022 <https://arxiv.org/abs/1912.13445>",
        &[Iterations, Smoothing],
        |spec| {
            let (iterations, smoothing) = (spec.count(Iterations), spec.number(Smoothing));
            Box::new(GeometricMedian { iterations, smoothing })
        },
        sgd,
    ),
    named(
        "krum",
        "the update nearest to most others; Blanchard et al. 2017 <https://arxiv.org/abs/1703.02757>",
        &[Byzantine],
        |spec| Box::new(Krum { byzantine: spec.count(Byzantine), keep: 1 }),
        sgd,
    ),
    named(
        "multikrum",
        "mean of the updates nearest to most others; Blanchard et al. 2017 <https://arxiv.org/abs/1703.02757>",
        &[Byzantine, Keep],
        |spec| Box::new(Krum { byzantine: spec.count(Byzantine), keep: spec.count(Keep) }),
        sgd,
    ),
    named(
        "bulyan",
        "Krum, then a trimmed mean; El Mhamdi et al. 2018 <https://arxiv.org/abs/1802.07927>",
        &[Byzantine],
        |spec| Box::new(Bulyan { byzantine: spec.count(Byzantine) }),
        sgd,
    ),
    named(
        "norm-bounded",
        "mean of updates cut to a length; Sun et al. 2019 <https://arxiv.org/abs/1911.07963>",
        &[Bound],
        |spec| Box::new(NormBounded { bound: spec.number(Bound) }),
        sgd,
    ),
    named(
        "fedbuff",
        "a version for so many answers, whenever they come; Nguyen et al. 2022 <https://arxiv.org/abs/2106.06639>",
        &[Buffer, Staleness],
        buffered,
        sgd,
    )
    .without_cohort(|spec| Some(Asynchronous { buffer: spec.count(Buffer), mixes: false })),
    named(
        "fedasync",
        "every answer is mixed in when it comes; Xie et al. 2019 <https://arxiv.org/abs/1903.03934>",
        &[Mixing, Staleness],
        buffered,
        |spec| Box::new(Sgd { learning_rate: spec.learning_rate * spec.number(Mixing) as f32 }),
    )
    .without_cohort(|_| Some(Asynchronous { buffer: 1, mixes: true })),
];

const REDDI: &str = "an adaptive server; Reddi et al. 2021 <https://arxiv.org/abs/2003.00295>";

const fn named(
    name: &'static str,
    paper: &'static str,
    keys: &'static [Key],
    combine: fn(&StrategySpec) -> Box<dyn Combine>,
    optimizer: fn(&StrategySpec) -> Box<dyn Optimizer>,
) -> Named {
    Named { name, paper, keys, objective: |_| Objective::Plain, combine, optimizer, asynchronous: |_| None }
}

impl Named {
    const fn making_small(self, objective: fn(&StrategySpec) -> Objective) -> Self {
        Self { objective, ..self }
    }

    const fn without_cohort(self, asynchronous: fn(&StrategySpec) -> Option<Asynchronous>) -> Self {
        Self { asynchronous, ..self }
    }
}

fn uniform(_: &StrategySpec) -> Box<dyn Combine> {
    Box::new(UniformMean)
}

fn mean(_: &StrategySpec) -> Box<dyn Combine> {
    Box::new(Mean)
}

fn buffered(spec: &StrategySpec) -> Box<dyn Combine> {
    Box::new(FedBuff { staleness: spec.number(Staleness) })
}

fn sgd(spec: &StrategySpec) -> Box<dyn Optimizer> {
    Box::new(Sgd { learning_rate: spec.learning_rate })
}

impl StrategySpec {
    /// The strategy of this name, with its defaults.
    pub fn of(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// The values behind the name.
    pub fn build(&self) -> Result<Strategy, PlanError> {
        let Some(named) = NAMES.iter().find(|named| named.name == self.name) else {
            let names: Vec<_> = NAMES.iter().map(|named| named.name).collect();
            return Err(PlanError::value("strategy.name", &self.name, format!("one of {}", names.join(", "))));
        };
        if !(self.learning_rate.is_finite() && self.learning_rate > 0.0) {
            return Err(PlanError::value("strategy.learning_rate", self.learning_rate, "a number above 0"));
        }
        Key::ALL.into_iter().try_for_each(|key| self.check(named, key))?;
        let (objective, combine, optimizer) = ((named.objective)(self), (named.combine)(self), (named.optimizer)(self));
        Ok(Strategy { objective, combine, optimizer, asynchronous: (named.asynchronous)(self) })
    }

    fn check(&self, named: &Named, key: Key) -> Result<(), PlanError> {
        let Bounds { key: name, default, allowed, range } = key.bounds();
        let takes = named.keys.contains(&key);
        match self.given(key) {
            Some(value) if !takes => {
                let others = NAMES.iter().filter(|named| named.keys.contains(&key)).map(|named| named.name);
                let others = others.collect::<Vec<_>>().join(", ");
                Err(PlanError::value(
                    name,
                    value,
                    format!(
                        "{} does not use it; {others} would (strategy={{name=\"{}\"}} takes a recipe's other keys away)",
                        named.name, named.name
                    ),
                ))
            }
            Some(value) if !range.contains(&value) => Err(PlanError::value(name, value, allowed)),
            None if takes && default.is_none() => {
                Err(PlanError::value(name, "nothing", format!("it has to be given, {allowed}")))
            }
            _ => Ok(()),
        }
    }

    /// What a recipe says of a key.
    fn given(&self, key: Key) -> Option<f64> {
        let count = |count: Option<usize>| count.map(|count| count as f64);
        match key {
            Byzantine => count(self.byzantine),
            Keep => count(self.keep),
            Bound => self.bound,
            Iterations => count(self.iterations),
            Smoothing => self.smoothing,
            Q => self.q,
            Lipschitz => self.lipschitz,
            Mu => self.mu,
            Alpha => self.alpha,
            Velocity => self.momentum,
            Beta1 => self.beta_1,
            Beta2 => self.beta_2,
            Tau => self.tau,
            Buffer => count(self.buffer),
            Staleness => self.staleness,
            Mixing => self.mixing,
        }
    }

    /// What a key comes to.
    fn number(&self, key: Key) -> f64 {
        self.given(key).or(key.bounds().default).unwrap_or(0.0)
    }

    fn count(&self, key: Key) -> usize {
        self.number(key) as usize
    }

    fn adaptive(&self, second: Second) -> Adaptive {
        let (beta_1, tau) = (self.number(Beta1) as f32, self.number(Tau) as f32);
        Adaptive { second, learning_rate: self.learning_rate, beta_1, tau }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key that a strategy has to be given.
    fn filled(named: &Named) -> StrategySpec {
        let takes = |key| named.keys.contains(&key);
        StrategySpec {
            byzantine: takes(Byzantine).then_some(1),
            keep: takes(Keep).then_some(2),
            bound: takes(Bound).then_some(1.0),
            mu: takes(Mu).then_some(0.1),
            alpha: takes(Alpha).then_some(0.1),
            lipschitz: takes(Lipschitz).then_some(10.0),
            ..StrategySpec::of(named.name)
        }
    }

    fn refused(spec: StrategySpec) -> String {
        spec.build().err().unwrap().to_string()
    }

    #[test]
    fn every_name_has_its_values() {
        for named in NAMES {
            assert!(filled(named).build().is_ok(), "{}", named.name);
        }
    }

    #[test]
    fn a_key_that_is_bad_missing_or_of_no_use_is_named() {
        assert_eq!(
            refused(StrategySpec::of("krum")),
            "strategy.byzantine = nothing is not allowed: it has to be given, how many of a round's clients may lie, 0 to 100000"
        );
        assert_eq!(
            refused(StrategySpec { momentum: Some(1.0), ..StrategySpec::of("fedavgm") }),
            "strategy.momentum = 1 is not allowed: a number from 0 to below 1"
        );
        assert_eq!(
            refused(StrategySpec { q: Some(1.0), ..StrategySpec::of("fedavg") }),
            "strategy.q = 1 is not allowed: fedavg does not use it; qfedavg would (strategy={name=\"fedavg\"} takes a recipe's other keys away)"
        );
    }

    #[test]
    fn a_spec_is_written_with_what_was_given_alone() {
        let krum = StrategySpec { byzantine: Some(1), ..StrategySpec::of("krum") };
        let json = serde_json::to_string(&krum).unwrap();
        assert_eq!(json, r#"{"name":"krum","learning_rate":1.0,"byzantine":1}"#);
        assert_eq!(serde_json::from_str::<StrategySpec>(&json).unwrap(), krum);
    }
}
