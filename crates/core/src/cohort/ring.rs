//! A circular queue: everybody is asked as often as everybody else.

use std::collections::BTreeSet;

use super::history::{History, round_from};
use crate::name::ClientName;

/// The next `size` of the eligible after the one that was asked last, in the order of names; after the last comes the first. The
/// cursor is in the journal, so it survives restarts.
pub fn select(eligible: &[&ClientName], size: usize, history: &History) -> BTreeSet<ClientName> {
    round_from(eligible.iter().copied(), history.cursor.as_ref()).take(size).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_on_where_it_was_whoever_is_gone() {
        let names = |names: &str| -> BTreeSet<ClientName> {
            names.chars().map(|name| ClientName::new(name.to_string()).unwrap()).collect()
        };
        let mut history = History::default();
        let mut next = |eligible: &str| {
            let cohort = select(&names(eligible).iter().collect::<Vec<_>>(), 2, &history);
            history.ask(&cohort);
            cohort.iter().map(|name| name.as_str()).collect::<String>()
        };
        assert_eq!([next("abcde"), next("abcde"), next("abcde")], ["ab", "cd", "ae"]);
        assert_eq!([next("acde"), next("acd"), next("abcde")], ["cd", "ac", "de"]);
    }
}
