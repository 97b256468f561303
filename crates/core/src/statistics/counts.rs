//! Counts that add across clients, element by element.

use std::collections::BTreeMap;

/// Counts by name. What the elements of each stand for is said by whoever counts them.
pub type Counts = BTreeMap<String, Vec<u32>>;

/// The most elements of one name: a confusion of 1024 classes.
pub const MAX_LENGTH: usize = 1 << 20;

/// The most that the elements of one name may come to.
pub const MAX_TOTAL: u64 = 1 << 31;

/// Adds `other` to `total`, element by element. An element that would pass `u32::MAX` stays there; one that only the other has
/// counts as zero here. In any order and any grouping the same comes of it.
///
/// Counts of unlike things do not add: hold them to [`fits`] first.
pub fn merge(total: &mut Counts, other: &Counts) {
    for (name, counts) in other {
        let sums = total.entry(name.clone()).or_default();
        sums.resize(sums.len().max(counts.len()), 0);
        sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum = sum.saturating_add(*count));
    }
}

/// Whether two can be added: what both count has as many elements in the one as in the other.
pub fn fits(total: &Counts, other: &Counts) -> bool {
    other.iter().all(|(name, counts)| total.get(name).is_none_or(|sums| sums.len() == counts.len()))
}

/// Whether somebody can have counted this: no name has more than [`MAX_LENGTH`] elements or more than [`MAX_TOTAL`]
/// altogether. What comes from outside is held to it.
pub fn is_possible(counts: &Counts) -> bool {
    counts.values().all(|counts| counts.len() <= MAX_LENGTH && total(counts) <= MAX_TOTAL)
}

/// What `counts` come to.
pub(super) fn total(counts: &[u32]) -> u64 {
    counts.iter().map(|count| u64::from(*count)).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn one(name: &str, counts: &[u32]) -> Counts {
        Counts::from([(name.to_owned(), counts.to_vec())])
    }

    fn sum(mut a: Counts, b: &Counts) -> Counts {
        merge(&mut a, b);
        a
    }

    #[test]
    fn counts_add_element_by_element_and_stop_at_the_largest() {
        let both = sum(one("a", &[1, u32::MAX]), &one("a", &[2, 5]));
        assert_eq!(both, one("a", &[3, u32::MAX]));
    }

    #[test]
    fn counts_of_other_lengths_do_not_fit() {
        assert!(fits(&one("a", &[1, 2]), &one("a", &[3, 4])));
        assert!(fits(&one("a", &[1, 2]), &one("b", &[3])));
        assert!(!fits(&one("a", &[1, 2]), &one("a", &[3])));
    }

    #[test]
    fn counts_that_are_too_long_or_too_many_are_not_possible() {
        assert!(is_possible(&one("a", &[1 << 30, 1 << 30])));
        assert!(!is_possible(&one("a", &[1 << 30, 1 << 30, 1])));
        assert!(!is_possible(&one("a", &vec![0; MAX_LENGTH + 1])));
    }

    fn some() -> impl Strategy<Value = Counts> {
        let counts = prop::collection::vec(prop_oneof![0u32..9, u32::MAX - 9..=u32::MAX], 0..4);
        prop::collection::btree_map("[ab]", counts, 0..3)
    }

    proptest! {
        #[test]
        fn any_order_and_any_grouping_come_to_the_same(a in some(), b in some(), c in some()) {
            prop_assert_eq!(sum(a.clone(), &b), sum(b.clone(), &a));
            prop_assert_eq!(sum(sum(a.clone(), &b), &c), sum(a, &sum(b, &c)));
        }
    }
}
