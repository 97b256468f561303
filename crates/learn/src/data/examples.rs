//! Examples as a data set has them: what goes in, and the truth.

use std::sync::Arc;

/// What goes in, example after example.
#[derive(Clone, Debug, PartialEq)]
pub enum Inputs {
    /// Rows of so many numbers; NaN is one that is not known. A category is a 1 among 0s, or all 0.
    Table(usize, Vec<f64>),
    /// Images of so many bytes, each row after row, the channels of a pixel side by side. Whoever scales them shares them.
    Images(usize, Arc<[u8]>),
}

/// What is true of each example.
#[derive(Clone, Debug, PartialEq)]
pub enum Truth {
    /// A number.
    Numbers(Vec<f64>),
    /// A class, counted from 0.
    Classes(Vec<u16>),
}

impl Inputs {
    /// Those of some examples.
    pub fn take(&self, examples: &[u32]) -> Self {
        match self {
            Self::Table(width, values) => Self::Table(*width, pick(values, *width, examples)),
            Self::Images(size, pixels) => Self::Images(*size, pick(pixels, *size, examples).into()),
        }
    }

    /// All of `parts`, one after another; of the first's kind and width.
    pub fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let parts: Vec<&Self> = parts.collect();
        match *parts.first()? {
            Self::Table(width, _) => {
                let tables =
                    parts.iter().filter_map(|part| if let Self::Table(_, values) = part { Some(values) } else { None });
                Some(Self::Table(*width, tables.flatten().copied().collect()))
            }
            Self::Images(size, _) => {
                let mut all = Vec::new();
                for part in &parts {
                    if let Self::Images(_, pixels) = part {
                        all.extend_from_slice(pixels);
                    }
                }
                Some(Self::Images(*size, all.into()))
            }
        }
    }
}

impl Truth {
    /// How many examples.
    pub fn len(&self) -> usize {
        match self {
            Self::Numbers(numbers) => numbers.len(),
            Self::Classes(classes) => classes.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// That of some examples.
    pub fn take(&self, examples: &[u32]) -> Self {
        match self {
            Self::Numbers(numbers) => Self::Numbers(pick(numbers, 1, examples)),
            Self::Classes(classes) => Self::Classes(pick(classes, 1, examples)),
        }
    }

    /// All of `parts`, one after another; of the first's kind.
    pub fn join<'a>(parts: impl Iterator<Item = &'a Self>) -> Option<Self> {
        let mut all: Option<Self> = None;
        for part in parts {
            match (&mut all, part) {
                (Some(Self::Numbers(all)), Self::Numbers(more)) => all.extend(more),
                (Some(Self::Classes(all)), Self::Classes(more)) => all.extend(more),
                (all @ None, part) => *all = Some(part.clone()),
                _ => {}
            }
        }
        all
    }

    /// The classes, if they are that.
    pub fn classes(&self) -> Option<&[u16]> {
        match self {
            Self::Classes(classes) => Some(classes),
            Self::Numbers(_) => None,
        }
    }
}

fn pick<T: Copy>(values: &[T], width: usize, examples: &[u32]) -> Vec<T> {
    let mut picked = Vec::with_capacity(examples.len() * width);
    for example in examples {
        picked.extend_from_slice(&values[*example as usize * width..][..width]);
    }
    picked
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_and_joined_is_the_same_examples() {
        let table = Inputs::Table(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        let (a, b) = (table.take(&[0, 2]), table.take(&[1]));
        assert_eq!(a, Inputs::Table(2, vec![1.0, 2.0, 5.0, 6.0]));
        assert_eq!(Inputs::join([&b, &a].into_iter()), Some(table.take(&[1, 0, 2])));
        let truth = Truth::Classes(vec![7, 8, 9]);
        assert_eq!(Truth::join([&truth.take(&[2]), &truth.take(&[0])].into_iter()), Some(truth.take(&[2, 0])));
        let images = Inputs::Images(1, vec![7, 8, 9].into());
        assert_eq!(
            Inputs::join([&images.take(&[2]), &images.take(&[0, 1])].into_iter()),
            Some(images.take(&[2, 0, 1]))
        );
    }
}
