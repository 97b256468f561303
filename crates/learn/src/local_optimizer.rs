//! Optimisers of local training: one gradient → the next parameters.

use std::ops::Range;

use dure_core::plan::PlanError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a client steps.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"sgd\", learning_rate = 0.1 }"
)]
pub enum LocalOptimizer {
    /// Gradient descent, with momentum if there is some. As PyTorch does it.
    Sgd {
        /// The step's length per unit of gradient.
        #[schemars(extend("exclusiveMinimum" = 0))]
        learning_rate: f32,
        /// The share of the last step's direction that is kept.
        #[serde(default, skip_serializing_if = "is_zero")]
        #[schemars(range(min = 0), extend("exclusiveMaximum" = 1, "default" = 0))]
        momentum: f32,
        /// Looks a step ahead. Nesterov 1983.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        nesterov: bool,
        /// Pulls parameters towards zero: this times a parameter is added to its gradient.
        #[serde(default, skip_serializing_if = "is_zero")]
        #[schemars(extend("default" = 0))]
        weight_decay: f32,
    },
    /// Kingma and Ba 2015, Algorithm 1 <https://arxiv.org/abs/1412.6980>, with β₁ = 0.9, β₂ = 0.999, ε = 1e-8.
    Adam {
        /// The step's length.
        #[schemars(extend("exclusiveMinimum" = 0))]
        learning_rate: f32,
        /// This times a parameter is added to its gradient.
        #[serde(default, skip_serializing_if = "is_zero")]
        #[schemars(extend("default" = 0))]
        weight_decay: f32,
    },
    /// Adam with decay beside the gradient. Loshchilov and Hutter 2019, Algorithm 2 <https://arxiv.org/abs/1711.05101>.
    Adamw {
        /// The step's length.
        #[schemars(extend("exclusiveMinimum" = 0))]
        learning_rate: f32,
        /// The share of a parameter, times the learning rate, that a step takes away.
        weight_decay: f32,
    },
}

fn is_zero(value: &f32) -> bool {
    *value == 0.0
}

/// How the learning rate changes from round to round.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(
    tag = "name",
    rename_all = "snake_case",
    deny_unknown_fields,
    expecting = "a table such as { name = \"constant\" }"
)]
pub enum Schedule {
    /// It stays.
    #[default]
    Constant,
    /// It is multiplied by `factor` after every so many rounds.
    Step {
        /// Rounds.
        #[schemars(range(min = 1))]
        every: u32,
        /// What it is multiplied by.
        #[schemars(range(max = 1), extend("exclusiveMinimum" = 0))]
        factor: f32,
    },
    /// It falls along half a cosine towards `least` of it in the last round. Loshchilov and Hutter 2017.
    Cosine {
        /// The share that is left.
        #[serde(default)]
        #[schemars(range(min = 0, max = 1))]
        least: f32,
    },
}

impl LocalOptimizer {
    /// Whether a step is the learning rate times the gradient.
    pub fn is_plain(&self) -> bool {
        matches!(self, Self::Sgd { momentum: 0.0, nesterov: false, .. })
    }
}

impl Schedule {
    /// Whether it changes nothing.
    pub fn is_constant(&self) -> bool {
        *self == Self::Constant
    }

    /// Holds every number to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        match *self {
            Self::Step { every: 0, .. } => Err(PlanError::value("training.schedule.every", 0, "at least 1 round")),
            Self::Step { factor, .. } if !(factor > 0.0 && factor <= 1.0) => {
                Err(PlanError::value("training.schedule.factor", factor, "above 0, at most 1"))
            }
            Self::Cosine { least } if !(0.0..=1.0).contains(&least) => {
                Err(PlanError::value("training.schedule.least", least, "a share from 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// What the learning rate is multiplied by in round `ordinal` of `rounds`, both counted from 1.
    pub fn factor(self, ordinal: u32, rounds: u32) -> f32 {
        let before = ordinal.saturating_sub(1);
        match self {
            Self::Constant => 1.0,
            Self::Step { every, factor } => libm::powf(factor, (before / every.max(1)) as f32),
            Self::Cosine { least } => {
                let way = f64::from(before) / f64::from(rounds.saturating_sub(1).max(1));
                let cosine = 0.5 * (1.0 + libm::cos(std::f64::consts::PI * way.min(1.0)));
                least + (1.0 - least) * cosine as f32
            }
        }
    }
}

/// What an optimiser remembers of its steps: momentum, or Adam's moments.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    first: Vec<f32>,
    second: Vec<f32>,
    steps: i32,
}

const BETA_1: f32 = 0.9;
const BETA_2: f32 = 0.999;
const EPSILON: f32 = 1e-8;

impl Moments {
    /// For `parameters` parameters and this optimiser, before the first step.
    pub fn new(parameters: usize, optimizer: LocalOptimizer) -> Self {
        let kept = |kept: bool| vec![0.0; if kept { parameters } else { 0 }];
        let moments = optimizer.moments();
        Self { first: kept(moments > 0), second: kept(moments > 1), steps: 0 }
    }

    /// Forgets every step. The first step does not look at what is there.
    pub fn reset(&mut self) {
        self.steps = 0;
    }
}

impl LocalOptimizer {
    /// Plain gradient descent.
    pub fn sgd(learning_rate: f32) -> Self {
        Self::Sgd { learning_rate, momentum: 0.0, nesterov: false, weight_decay: 0.0 }
    }

    /// Adam without decay.
    pub fn adam(learning_rate: f32) -> Self {
        Self::Adam { learning_rate, weight_decay: 0.0 }
    }

    /// The learning rate.
    pub fn learning_rate(&self) -> f32 {
        let (Self::Sgd { learning_rate, .. } | Self::Adam { learning_rate, .. } | Self::Adamw { learning_rate, .. }) =
            self;
        *learning_rate
    }

    /// Holds every number to what it may be.
    pub fn check(&self) -> Result<(), PlanError> {
        let share = |key, value: f32| {
            let allowed = "a share from 0 to below 1";
            if (0.0..1.0).contains(&value) { Ok(()) } else { Err(PlanError::value(key, value, allowed)) }
        };
        match *self {
            Self::Sgd { momentum: 0.0, nesterov: true, .. } => {
                Err(PlanError::value("training.optimizer.nesterov", true, "a momentum above 0 with it"))
            }
            Self::Sgd { momentum, weight_decay, .. } => {
                share("training.optimizer.momentum", momentum)?;
                share("training.optimizer.weight_decay", weight_decay)
            }
            Self::Adam { weight_decay, .. } => share("training.optimizer.weight_decay", weight_decay),
            Self::Adamw { learning_rate, weight_decay } if !(0.0..1.0).contains(&(learning_rate * weight_decay)) => {
                let allowed = "at least 0, and times the learning rate below 1: it is a share of each parameter";
                Err(PlanError::value("training.optimizer.weight_decay", weight_decay, allowed))
            }
            Self::Adamw { .. } => Ok(()),
        }
    }

    /// Floats that are remembered of each parameter.
    pub fn moments(self) -> usize {
        match self {
            Self::Sgd { momentum, .. } => usize::from(momentum != 0.0),
            Self::Adam { .. } | Self::Adamw { .. } => 2,
        }
    }

    /// Moves the parameters of each of `ranges` against `gradient`, with a learning rate that is `factor` times its own.
    #[inline(always)]
    pub fn step(
        self,
        params: &mut [f32],
        gradient: &[f32],
        moments: &mut Moments,
        ranges: &[Range<usize>],
        factor: f32,
    ) {
        let first_step = moments.steps == 0;
        moments.steps = moments.steps.saturating_add(1);
        for range in ranges {
            let (params, gradient) = (&mut params[range.clone()], &gradient[range.clone()]);
            match self {
                Self::Sgd { learning_rate, momentum, nesterov, weight_decay } => {
                    let rate = learning_rate * factor;
                    if momentum == 0.0 {
                        descend(params, gradient, rate, weight_decay);
                    } else {
                        let kept = &mut moments.first[range.clone()];
                        roll(params, gradient, kept, first_step, Roll { rate, momentum, nesterov, weight_decay });
                    }
                }
                Self::Adam { learning_rate, weight_decay } => {
                    let both = (&mut moments.first[range.clone()], &mut moments.second[range.clone()]);
                    adam(params, gradient, both, moments.steps, (learning_rate * factor, weight_decay, 0.0));
                }
                Self::Adamw { learning_rate, weight_decay } => {
                    let rate = learning_rate * factor;
                    let both = (&mut moments.first[range.clone()], &mut moments.second[range.clone()]);
                    adam(params, gradient, both, moments.steps, (rate, 0.0, rate * weight_decay));
                }
            }
        }
    }
}

#[inline(always)]
fn descend(params: &mut [f32], gradient: &[f32], rate: f32, decay: f32) {
    if decay == 0.0 {
        for (param, gradient) in params.iter_mut().zip(gradient) {
            *param -= rate * gradient;
        }
    } else {
        for (param, gradient) in params.iter_mut().zip(gradient) {
            *param -= rate * (gradient + decay * *param);
        }
    }
}

/// Momentum's numbers.
#[derive(Clone, Copy)]
struct Roll {
    rate: f32,
    momentum: f32,
    nesterov: bool,
    weight_decay: f32,
}

#[inline(always)]
fn roll(params: &mut [f32], gradient: &[f32], kept: &mut [f32], first_step: bool, how: Roll) {
    let Roll { rate, momentum, nesterov, weight_decay } = how;
    for ((param, gradient), kept) in params.iter_mut().zip(gradient).zip(kept) {
        let gradient = gradient + weight_decay * *param;
        *kept = if first_step { gradient } else { momentum * *kept + gradient };
        let step = if nesterov { gradient + momentum * *kept } else { *kept };
        *param -= rate * step;
    }
}

#[inline(always)]
fn adam(
    params: &mut [f32],
    gradient: &[f32],
    (firsts, seconds): (&mut [f32], &mut [f32]),
    steps: i32,
    (learning_rate, decay, shrink): (f32, f32, f32),
) {
    let correction = |beta: f32| 1.0 - f64::from(beta).powi(steps);
    let rate = (f64::from(learning_rate) / correction(BETA_1)) as f32;
    let root = (1.0 / correction(BETA_2).sqrt()) as f32;
    let (first_step, both) = (steps == 1, firsts.iter_mut().zip(seconds));
    for ((param, gradient), (first, second)) in params.iter_mut().zip(gradient).zip(both) {
        let gradient = gradient + decay * *param;
        let (before, before_2) = if first_step { (0.0, 0.0) } else { (*first, *second) };
        let next = BETA_1 * before + (1.0 - BETA_1) * gradient;
        // The first moment of a dead unit decays into denormal numbers, on which CPUs are a hundred times slower. One this
        // small moves its parameter by less than 1e-22 and counts as zero.
        *first = if next.abs() < 1e-30 { 0.0 } else { next };
        *second = BETA_2 * before_2 + (1.0 - BETA_2) * (gradient * gradient);
        let root = *second * inverse_root(*second) * root;
        *param -= shrink * *param;
        *param -= rate * (*first * inverse(root + EPSILON));
    }
}

/// 1/√x to about 2⁻²³, relative, for x > 0; finite for 0. Newton's method from a guess in the bits: a third of the time of
/// the CPU's exact square root and division, and the same bits on every CPU.
#[inline(always)]
fn inverse_root(x: f32) -> f32 {
    let (mut y, half) = (f32::from_bits(0x5F37_59DFu32.wrapping_sub(x.to_bits() >> 1)), 0.5 * x);
    for _ in 0..3 {
        y *= (-half * y).mul_add(y, 1.5);
    }
    y
}

/// 1/x to about 2⁻²³, relative, for x > 1e-30. As above.
#[inline(always)]
fn inverse(x: f32) -> f32 {
    let mut y = f32::from_bits(0x7EF3_11C7u32.wrapping_sub(x.to_bits()));
    for _ in 0..3 {
        y *= (-x).mul_add(y, 2.0);
    }
    y
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn newtons_roots_and_inverses_are_as_good_as_f32(exponent in -29f32..15.0, x in 1f32..10.0) {
            let x = x * 10f32.powf(exponent);
            let error = |got: f32, want: f64| (f64::from(got) / want - 1.0).abs();
            prop_assert!(error(inverse_root(x), 1.0 / f64::from(x).sqrt()) < 3e-7, "{x}");
            prop_assert!(error(inverse(x), 1.0 / f64::from(x)) < 3e-7, "{x}");
        }
    }

    #[test]
    fn a_reset_is_a_fresh_start() {
        let momentum = LocalOptimizer::Sgd { learning_rate: 0.1, momentum: 0.9, nesterov: true, weight_decay: 0.01 };
        let all = std::array::from_fn::<_, 1, _>(|_| 0..2);
        for optimizer in [LocalOptimizer::adam(0.1), momentum] {
            let two_steps = |moments: &mut Moments| {
                let mut params = [1.0, -2.0];
                optimizer.step(&mut params, &[0.5, -3.0], moments, &all, 1.0);
                optimizer.step(&mut params, &[0.2, 4.0], moments, &all, 1.0);
                params
            };
            let mut used = Moments::new(2, optimizer);
            two_steps(&mut used);
            used.reset();
            assert_eq!(two_steps(&mut used), two_steps(&mut Moments::new(2, optimizer)));
        }
    }

    #[test]
    fn a_parameter_without_a_gradient_stays_and_so_does_a_statistic() {
        let (mut params, adam) = ([1.0, 1.0, 1.0], LocalOptimizer::Adamw { learning_rate: 0.1, weight_decay: 0.5 });
        let all = std::array::from_fn::<_, 1, _>(|_| 0..2);
        adam.step(&mut params, &[0.0, 3.0, 7.0], &mut Moments::new(3, adam), &all, 1.0);
        assert_eq!(params[0], 0.95, "but for what decay takes");
        assert!((params[1] - 0.85).abs() < 1e-6, "Adam's first step is as long as its learning rate: {}", params[1]);
        assert_eq!(params[2], 1.0, "outside the ranges");
    }

    #[test]
    fn a_schedule_begins_with_the_whole_rate() {
        let step = Schedule::Step { every: 2, factor: 0.5 };
        assert_eq!([1, 2, 3, 4, 5].map(|round| step.factor(round, 5)), [1.0, 1.0, 0.5, 0.5, 0.25]);
        let cosine = Schedule::Cosine { least: 0.1 };
        assert_eq!((cosine.factor(1, 5), cosine.factor(5, 5)), (1.0, 0.1));
        assert!((cosine.factor(3, 5) - 0.55).abs() < 1e-6);
        assert_eq!(Schedule::Constant.factor(9, 3), 1.0);
    }
}
