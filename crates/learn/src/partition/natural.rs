//! Examples that stay with whom they are of, alone or in silos.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
};

use dure_core::random::{Purpose, SliceRandom, stream};

use super::{PartitionError, Parts, check_number};

/// A client for each id, or for each of the `largest`; of ids with as many examples the lower come first.
pub(super) fn natural(ids: &[u32], largest: Option<usize>) -> Result<Parts, PartitionError> {
    let mut by_id = by_id(ids);
    if let Some(largest) = largest {
        check_number("largest", largest, "clients", by_id.len(), "ids")?;
        by_id.sort_by_key(|(id, rows)| (Reverse(rows.len()), *id));
        by_id.truncate(largest);
        by_id.sort_by_key(|(id, _)| *id);
    }
    let clients: Vec<Vec<u32>> = by_id.into_iter().map(|(_, rows)| rows).collect();
    let left_out = ids.len() - clients.iter().map(Vec::len).sum::<usize>();
    Ok(Parts { clients, left_out })
}

/// So many silos, each id in the one that is smallest when its turn comes, from the id with the most examples down. Graham
/// 1969 <https://doi.org/10.1137/0117039>. Which of ids with as many examples comes first is drawn.
pub(super) fn silos(ids: &[u32], groups: usize, seed: u64) -> Result<Parts, PartitionError> {
    let mut by_id = by_id(ids);
    check_number("groups", groups, "groups", by_id.len(), "ids")?;
    by_id.shuffle(&mut stream(seed, Purpose::Partition, "ids", 0));
    by_id.sort_by_key(|(_, rows)| Reverse(rows.len()));
    let mut smallest: BinaryHeap<_> = (0..groups).map(|group| Reverse((0, group))).collect();
    let mut clients = vec![Vec::new(); groups];
    for (_, rows) in by_id {
        if let Some(mut top) = smallest.peek_mut() {
            let Reverse((examples, group)) = &mut *top;
            *examples += rows.len();
            clients[*group].extend(rows);
        }
    }
    clients.iter_mut().for_each(|rows| rows.sort_unstable());
    Ok(Parts { clients, left_out: 0 })
}

/// The examples of each id, in the order of ids.
fn by_id(ids: &[u32]) -> Vec<(u32, Vec<u32>)> {
    let mut by_id = BTreeMap::<u32, Vec<u32>>::new();
    for (row, id) in (0..).zip(ids) {
        by_id.entry(*id).or_default().push(row);
    }
    by_id.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_largest_ids_remain_in_the_order_of_ids_and_the_rest_is_counted() {
        let ids = [9, 4, 4, 7, 9, 9, 1, 1];
        let parts = natural(&ids, Some(2)).unwrap();
        assert_eq!(parts, Parts { clients: vec![vec![6, 7], vec![0, 4, 5]], left_out: 3 });
        assert_eq!(natural(&ids, None).unwrap().clients.len(), 4);
        let error = natural(&ids, Some(5)).unwrap_err().to_string();
        assert_eq!(error, "5 clients cannot be made of 4 ids; ask for at most 4");
        assert_eq!(natural(&ids, Some(0)).unwrap_err().to_string(), "largest = 0 is not allowed: at least 1");
    }

    #[test]
    fn no_more_silos_than_ids() {
        let error = silos(&[5, 5, 6], 3, 1).unwrap_err().to_string();
        assert_eq!(error, "3 groups cannot be made of 2 ids; ask for at most 2");
    }

    proptest! {
        #[test]
        fn one_more_id_changes_nobodys_part(ids in prop::collection::vec(0u32..9, 1..80), more in 1usize..9) {
            let before = natural(&ids, None).unwrap().clients;
            let after = natural(&[ids, vec![99; more]].concat(), None).unwrap().clients;
            prop_assert_eq!(&after[..before.len()], &before[..]);
        }

        #[test]
        fn silos_keep_ids_together_and_differ_by_at_most_the_largest(
            ids in prop::collection::vec(0u32..12, 12..200), groups in 1usize..9, seed: u64,
        ) {
            let Ok(parts) = silos(&ids, groups, seed) else { return Ok(()) };
            let sizes: Vec<usize> = parts.clients.iter().map(Vec::len).collect();
            let largest = by_id(&ids).iter().map(|(_, rows)| rows.len()).max().unwrap();
            prop_assert!(sizes.iter().max().unwrap() - sizes.iter().min().unwrap() <= largest);
            for id in 0..12 {
                let holders = parts.clients.iter().filter(|rows| rows.iter().any(|row| ids[*row as usize] == id));
                prop_assert!(holders.count() <= 1);
            }
        }
    }
}
