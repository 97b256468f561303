//! Things that are dear to make: made once by whoever needs them first, shared, and the last two are kept.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::OnceCell;

/// How many are kept: those of the round that ends and of the one that begins.
const KEPT: usize = 2;

/// The last values, by key.
pub struct Recent<K, V>(Mutex<VecDeque<(K, Arc<OnceCell<V>>)>>);

impl<K: PartialEq, V> Recent<K, V> {
    /// None yet.
    pub fn new() -> Self {
        Self(Mutex::new(VecDeque::new()))
    }

    /// Where the value of `key` is, or is to be put.
    pub fn cell(&self, key: K) -> Arc<OnceCell<V>> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let known = kept.iter().position(|(known, _)| *known == key).and_then(|position| kept.remove(position));
        let (key, cell) = known.unwrap_or_else(|| (key, Arc::new(OnceCell::new())));
        kept.truncate(KEPT - 1);
        kept.push_front((key, Arc::clone(&cell)));
        cell
    }

    /// Forgets them all.
    pub fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_two_are_kept() {
        let recent = Recent::new();
        let holds = |key: u32| recent.cell(key).get().copied();
        for key in [1, 2] {
            recent.cell(key).set(key).unwrap();
        }
        assert_eq!((holds(2), holds(1)), (Some(2), Some(1)));
        recent.cell(3);
        assert_eq!((holds(1), holds(2)), (Some(1), None));
        recent.clear();
        assert_eq!(holds(1), None);
    }
}
