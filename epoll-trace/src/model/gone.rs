//! Processes that left: they stay on the screen for a while, as they were last seen.

use std::collections::VecDeque;

use super::entry::{Entry, EntryKey};

/// How long they stay, ns.
pub const STAY_NS: u64 = 10_000_000_000;
/// So many stay at most; of more the oldest go first.
pub const MOST: usize = 100;

/// Who left, with the time it was first missed.
#[derive(Debug, Default)]
pub struct Gone {
    left: VecDeque<(u64, Entry)>,
}

impl Gone {
    /// Takes in the entries of a look, which come in the order of their keys as the `earlier` ones do, and gives those that left.
    pub fn update(&mut self, earlier: &[Entry], now: &[Entry], at_ns: u64) -> Vec<Entry> {
        let is_there = |key: EntryKey| now.binary_search_by_key(&key, |entry| entry.key).is_ok();
        self.left
            .retain(|(since, entry)| at_ns.saturating_sub(*since) < STAY_NS && !is_there(entry.key));
        let left = earlier.iter().filter(|entry| !is_there(entry.key));
        self.left.extend(left.map(|entry| (at_ns, entry.clone())));
        let surplus = self.left.len().saturating_sub(MOST);
        self.left.drain(..surplus);
        self.left.iter().map(|(_, entry)| entry.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(pids: impl IntoIterator<Item = u32>) -> Vec<Entry> {
        let entry = |pid| {
            let mut entry = Entry::default();
            entry.key.pid = pid;
            entry
        };
        pids.into_iter().map(entry).collect()
    }

    #[test]
    fn who_leaves_stays_ten_seconds_or_until_it_is_back() {
        let mut gone = Gone::default();
        let pids = |left: Vec<Entry>| left.iter().map(|entry| entry.key.pid).collect::<Vec<_>>();
        assert_eq!(pids(gone.update(&entries([1, 2, 3]), &entries([2]), 5)), [1, 3]);
        assert_eq!(pids(gone.update(&entries([2]), &entries([2, 3]), 6)), [1]);
        assert_eq!(
            pids(gone.update(&entries([2, 3]), &entries([2, 3]), STAY_NS + 4)),
            [1]
        );
        assert!(
            gone.update(&entries([2, 3]), &entries([2, 3]), STAY_NS + 5)
                .is_empty()
        );
    }

    #[test]
    fn of_many_the_last_stay() {
        let mut gone = Gone::default();
        let left = gone.update(&entries(0..300), &[], 1);
        assert_eq!((left.len(), left[0].key.pid), (MOST, 200));
    }
}
