//! Random numbers from names: a stream is a function of (seed, purpose, name, ordinal) and of nothing else.
//!
//! No stream depends on an identifier, an order of arrival or a thread, so the same client in the same round draws the
//! same numbers in the simulator and in a real federation.

pub use rand::{Rng, RngExt, rngs::ChaCha8Rng as Stream, seq::SliceRandom};

use rand::SeedableRng;

use crate::digest::Digest;

/// What a stream is drawn for. Two purposes never share numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Initial parameters; the name is the tensor's.
    Initial,
    /// A round's cohort; the ordinal counts rounds and attempts.
    Cohort,
    /// A client's division into training, validation and test rows.
    Split,
    /// The order of a client's rows in a round.
    Batches,
    /// The order of a client's rows when it makes the final model its own.
    Personalise,
    /// The order of rows in a baseline; the name is the client's, or empty for all rows in one place.
    Baseline,
    /// Made-up data; the name is the person's.
    People,
    /// Who gets which example of a data set; the name is what is drawn, the ordinal counts tries.
    Partition,
    /// Who gets which example of a second set, which is dealt out as the first is.
    Deal,
    /// Made-up images; the name is the class's template or the class, the ordinal the image's number.
    Glyphs,
    /// Made-up patients; the name is the patient's.
    Patients,
    /// How a simulated device does in a round; the name is the client's.
    World,
}

impl Purpose {
    fn label(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Cohort => "cohort",
            Self::Split => "split",
            Self::Batches => "batches",
            Self::Personalise => "personalise",
            Self::Baseline => "baseline",
            Self::People => "people",
            Self::Partition => "partition",
            Self::Deal => "deal",
            Self::Glyphs => "glyphs",
            Self::Patients => "patients",
            Self::World => "world",
        }
    }
}

/// The stream for `purpose` of the one called `name`, in the round `ordinal`.
pub fn stream(seed: u64, purpose: Purpose, name: &str, ordinal: u64) -> Stream {
    let label = purpose.label();
    // Lengths come before texts: no two different inputs make the same bytes.
    let key = Digest::of_all(&[
        b"dure stream 1",
        &seed.to_le_bytes(),
        &(label.len() as u64).to_le_bytes(),
        label.as_bytes(),
        &(name.len() as u64).to_le_bytes(),
        name.as_bytes(),
        &ordinal.to_le_bytes(),
    ]);
    Stream::from_seed(key.0)
}

/// A normally distributed number. Box and Muller 1958.
pub fn normal(numbers: &mut Stream, mean: f64, deviation: f64) -> f64 {
    // Above 0, and at most 1: what has a logarithm.
    let (u, v) = (1.0 - numbers.random::<f64>(), numbers.random::<f64>());
    mean + deviation * (-2.0 * libm::log(u)).sqrt() * libm::cos(2.0 * std::f64::consts::PI * v)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_each_of_its_names_and_on_nothing_else() {
        let first = |seed, purpose, name, ordinal| stream(seed, purpose, name, ordinal).next_u64();
        let numbers = [
            first(1, Purpose::Batches, "a", 1),
            first(2, Purpose::Batches, "a", 1),
            first(1, Purpose::Split, "a", 1),
            first(1, Purpose::Batches, "b", 1),
            first(1, Purpose::Batches, "a", 2),
        ];
        assert_eq!(numbers.iter().collect::<std::collections::BTreeSet<_>>().len(), numbers.len());
        assert_eq!(numbers[0], first(1, Purpose::Batches, "a", 1));
    }
}
