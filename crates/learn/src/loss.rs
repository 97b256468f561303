//! Losses: the mean over a batch, and its derivative by what the model says.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::network::activation::sigmoid;

/// What training makes small.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "name", rename_all = "snake_case", deny_unknown_fields, expecting = "a table such as { name = \"mse\" }")]
pub enum Loss {
    /// Half the square up to `delta`, straight beyond. Huber 1964.
    Huber {
        /// Where the parabola ends, in units of the scaled target.
        #[schemars(extend("exclusiveMinimum" = 0))]
        delta: f32,
    },
    // Braces, so that a key it does not have is refused.
    /// The squared error.
    Mse {},
    /// −ln of the softmax's probability of the class.
    CrossEntropy {
        /// What each class counts, as in PyTorch: the mean is weighted by them. Absent, and all count 1.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        class_weights: Option<Vec<f32>>,
    },
    /// −ln of each output's probability of being right, where the output of the class is to be 1 and every other 0. One
    /// output says whether it is class 1.
    BceWithLogits {},
}

/// What a batch's examples are to become.
#[derive(Clone, Copy, Debug)]
pub enum Targets<'a> {
    /// A number for every output, a row an example.
    Numbers(&'a [f32]),
    /// A class for every example.
    Classes(&'a [u16]),
}

impl Loss {
    /// Whether it is a loss of classes, and not of numbers.
    pub fn is_of_classes(&self) -> bool {
        matches!(self, Self::CrossEntropy { .. } | Self::BceWithLogits {})
    }

    /// The mean loss of `said`, a row of `outputs` an example; `slopes` becomes its derivative.
    ///
    /// # Panics
    /// If there are fewer targets than examples, or they are of the other kind.
    pub fn differentiate(&self, said: &[f32], outputs: usize, targets: Targets, slopes: &mut [f32]) -> f64 {
        match (self, targets) {
            (Self::Huber { delta }, Targets::Numbers(targets)) => {
                let huber = |error: f32| {
                    let clamped = error.clamp(-delta, *delta);
                    (clamped * (error - 0.5 * clamped), clamped)
                };
                by_output(said, targets, slopes, huber)
            }
            (Self::Mse {}, Targets::Numbers(targets)) => {
                by_output(said, targets, slopes, |error| (error * error, 2.0 * error))
            }
            (Self::CrossEntropy { class_weights }, Targets::Classes(classes)) => {
                cross_entropy(said, outputs, classes, class_weights.as_deref(), slopes)
            }
            (Self::BceWithLogits {}, Targets::Classes(classes)) => bce(said, outputs, classes, slopes),
            _ => panic!("a loss of classes has classes, and one of numbers numbers"),
        }
    }

    /// Turns what the model says of one example into the probability of each class.
    pub fn probabilities(&self, said: &[f32], probabilities: &mut [f32]) {
        match (self, said) {
            (Self::BceWithLogits {}, [alone]) => {
                let yes = sigmoid(*alone);
                probabilities.copy_from_slice(&[1.0 - yes, yes]);
            }
            (Self::BceWithLogits {}, _) => {
                // The outputs do not know of one another: their odds are made to add to one.
                probabilities.iter_mut().zip(said).for_each(|(p, z)| *p = sigmoid(*z));
                let sum: f32 = probabilities.iter().sum();
                let share = if sum > 0.0 { 1.0 / sum } else { 0.0 };
                probabilities.iter_mut().for_each(|p| *p *= share);
            }
            _ => drop(softmax(said, probabilities)),
        }
    }
}

/// Writes the softmax of `said`, and returns the logarithm of its sum of exponentials.
fn softmax(said: &[f32], probabilities: &mut [f32]) -> f32 {
    let most = said.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut sum = 0.0;
    for (p, z) in probabilities.iter_mut().zip(said) {
        *p = libm::expf(z - most);
        sum += *p;
    }
    probabilities.iter_mut().for_each(|p| *p /= sum);
    most + libm::logf(sum)
}

#[inline(always)]
fn by_output(said: &[f32], targets: &[f32], slopes: &mut [f32], of: impl Fn(f32) -> (f32, f32)) -> f64 {
    let (scale, mut total) = (1.0 / said.len() as f32, 0.0);
    for ((y, target), slope) in said.iter().zip(&targets[..said.len()]).zip(slopes) {
        let (value, derivative) = of(y - target);
        total += f64::from(value);
        *slope = derivative * scale;
    }
    total / said.len() as f64
}

fn cross_entropy(said: &[f32], outputs: usize, classes: &[u16], weights: Option<&[f32]>, slopes: &mut [f32]) -> f64 {
    let weight = |class: u16| weights.map_or(1.0, |weights| weights[usize::from(class)]);
    let classes = &classes[..said.len() / outputs];
    let all: f32 = classes.iter().map(|class| weight(*class)).sum();
    let mut total = 0.0;
    for ((said, slopes), class) in said.chunks_exact(outputs).zip(slopes.chunks_exact_mut(outputs)).zip(classes) {
        let log_sum = softmax(said, slopes);
        let (class, share) = (usize::from(*class), weight(*class) / all);
        total += f64::from(share) * f64::from(log_sum - said[class]);
        slopes[class] -= 1.0;
        slopes.iter_mut().for_each(|slope| *slope *= share);
    }
    total
}

fn bce(said: &[f32], outputs: usize, classes: &[u16], slopes: &mut [f32]) -> f64 {
    let (scale, mut total) = (1.0 / said.len() as f32, 0.0);
    let rows = said.chunks_exact(outputs).zip(slopes.chunks_exact_mut(outputs)).zip(classes);
    for ((said, slopes), class) in rows {
        for (i, (z, slope)) in said.iter().zip(slopes).enumerate() {
            let wanted = if outputs == 1 { *class == 1 } else { usize::from(*class) == i };
            let target = f32::from(u8::from(wanted));
            // ln(1 + e^−|z|) never overflows.
            let value = z.max(0.0) - z * target + libm::log1pf(libm::expf(-z.abs()));
            total += f64::from(value);
            *slope = (sigmoid(*z) - target) * scale;
        }
    }
    total / said.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(loss: &Loss, said: &[f32], outputs: usize, targets: Targets) -> (f64, Vec<f32>) {
        let mut slopes = vec![f32::NAN; said.len()];
        (loss.differentiate(said, outputs, targets, &mut slopes), slopes)
    }

    #[test]
    fn huber_is_a_parabola_with_straight_arms() {
        let huber = Loss::Huber { delta: 0.5 };
        assert_eq!(of(&huber, &[0.25], 1, Targets::Numbers(&[0.0])), (0.03125, vec![0.25]));
        assert_eq!(of(&huber, &[-2.0], 1, Targets::Numbers(&[0.0])), (0.5 * (2.0 - 0.25), vec![-0.5]));
        assert_eq!(of(&Loss::Mse {}, &[-3.0], 1, Targets::Numbers(&[0.0])), (9.0, vec![-6.0]));
    }

    #[test]
    fn cross_entropy_is_the_logarithm_of_the_odds() {
        let plain = Loss::CrossEntropy { class_weights: None };
        let (value, slopes) = of(&plain, &[0.0, 0.0, 1000.0, 0.0], 2, Targets::Classes(&[1, 0]));
        assert!((value - 0.5 * std::f64::consts::LN_2).abs() < 1e-7, "{value}");
        assert_eq!(slopes, [0.25, -0.25, 0.0, 0.0]);
    }

    #[test]
    fn a_class_that_counts_nothing_changes_nothing() {
        let weighted = Loss::CrossEntropy { class_weights: Some(vec![1.0, 0.0]) };
        let (value, slopes) = of(&weighted, &[0.0, 0.0, 3.0, 5.0], 2, Targets::Classes(&[0, 1]));
        assert!((value - std::f64::consts::LN_2).abs() < 1e-7);
        assert_eq!(slopes[2..], [0.0, 0.0]);
    }

    #[test]
    fn an_output_far_off_costs_its_size_and_never_overflows() {
        let (value, slopes) = of(&Loss::BceWithLogits {}, &[200.0, -200.0], 1, Targets::Classes(&[0, 1]));
        assert_eq!((value, slopes), (200.0, vec![0.5, -0.5]));
    }
}
