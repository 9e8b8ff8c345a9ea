//! Locks by who waits for them: one entry per lock, whatever processes contend.

use std::collections::{BTreeMap, HashMap};

use super::delta::{Window, add_paths};
use super::entry::{Entry, EntryKey, EpollRef};
use super::filter::Filter;
use super::group::{GroupBy, group};
use super::histogram::{Histogram, Quantile};
use super::snapshot::{EpollId, Lock, LockKind, LockPath, PathSum};

/// Waits for one lock in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct LockEntry {
    /// The epoll it belongs to, or that watches the source.
    pub epoll: EntryKey,
    /// Name of the epoll's process. Not yet safe for a terminal.
    pub name: String,
    /// Which of the epoll's locks.
    pub kind: LockKind,
    /// Descriptor that the source is watched as.
    pub fd: Option<i32>,
    /// Different threads that waited for it since the start of tracing, not of the window; `None` for closed epolls.
    pub threads: Option<u64>,
    /// By [`LockPath`].
    pub paths: [PathSum; LockPath::COUNT],
    /// Times waited.
    pub waited: Histogram,
}

impl LockEntry {
    /// `PID:epfd`, with `/FD` for the lock of a source.
    pub fn lock_name(&self) -> String {
        let epoll = self.epoll.epoll_name().unwrap_or_default();
        match self.fd {
            Some(fd) => format!("{epoll}/{fd}"),
            None => epoll,
        }
    }

    /// Waits.
    pub fn count(&self) -> u64 {
        self.paths.iter().map(|path| path.count).sum()
    }

    /// Time waited, ns.
    pub fn sum_ns(&self) -> u64 {
        self.waited.sum_ns
    }

    /// Mean time waited, ns.
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns().checked_div(self.count())
    }

    /// The paths that waited, most time first, each with its part of the time, 0 to 1.
    pub fn shares(&self) -> Vec<(LockPath, f64)> {
        let whole: u64 = self.paths.iter().map(|path| path.sum_ns).sum();
        let mut shares: Vec<(LockPath, f64)> = LockPath::ALL
            .iter()
            .filter(|&&path| self.paths[path as usize].count > 0)
            .map(|&path| {
                let part = self.paths[path as usize].sum_ns;
                (path, part as f64 / whole.max(1) as f64)
            })
            .collect();
        shares.sort_by(|left, right| right.1.total_cmp(&left.1));
        shares
    }
}

/// What locks are sorted by; largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LockOrder {
    /// Time waited.
    #[default]
    Total,
    /// Waits.
    Count,
    /// Mean time.
    Mean,
    /// 99 % of the times.
    P99,
    /// The longest time.
    Max,
    /// Threads.
    Threads,
}

impl LockOrder {
    fn key(self, entry: &LockEntry) -> Option<u64> {
        match self {
            Self::Total => Some(entry.sum_ns()),
            Self::Count => Some(entry.count()),
            Self::Mean => entry.mean_ns(),
            Self::P99 => entry.waited.percentile(Quantile::P99),
            Self::Max => entry.waited.max(),
            Self::Threads => entry.threads,
        }
    }

    /// Puts `entries` in this order; equal ones by name.
    pub fn sort(self, entries: &mut [LockEntry]) {
        entries
            .sort_by_cached_key(|entry| (std::cmp::Reverse(self.key(entry)), entry.lock_name(), entry.kind));
    }
}

/// What entries are summed by; all closed epolls of a process are one.
type Slot = (Option<EpollId>, u32, LockKind, Option<i32>);

/// The locks of epolls that `filter` lets pass and that were waited for in the window, whoever waited.
pub fn locks(window: &Window, filter: &Filter) -> Vec<LockEntry> {
    let all = Filter::default();
    let owners: Vec<Entry> = group(
        window,
        GroupBy::Epoll,
        if filter.is_empty() { &all } else { filter },
    );
    let named: HashMap<EpollRef, &Entry> = owners
        .iter()
        .filter_map(|entry| Some((entry.key.epoll?, entry)))
        .collect();
    let by_id: HashMap<EpollId, &Entry> = named
        .iter()
        .filter_map(|(epoll, entry)| Some((epoll.id?, *entry)))
        .collect();
    let mut entries: BTreeMap<Slot, LockEntry> = BTreeMap::new();
    for lock in window.counted.locks.iter().filter(|lock| lock.waited.count() > 0) {
        let owner = lock.key.epoll.and_then(|id| by_id.get(&id).copied());
        if owner.is_none() && !filter.is_empty() {
            continue;
        }
        let (slot, new) = begin(lock, owner);
        let entry = entries.entry(slot).or_insert(new);
        add_paths(&mut entry.paths, &lock.paths);
        entry.waited.merge(&lock.waited);
        entry.threads = entry.threads.zip(lock.threads).map(|(own, more)| own + more);
    }
    entries.into_values().collect()
}

/// An entry for `lock` without its numbers, and where it goes.
fn begin(lock: &Lock, owner: Option<&Entry>) -> (Slot, LockEntry) {
    let key = lock.key;
    let unnamed = EntryKey {
        pid: key.pid,
        tid: None,
        epoll: Some(EpollRef {
            id: key.epoll,
            epfd: None,
        }),
    };
    let entry = LockEntry {
        epoll: owner.map_or(unnamed, |owner| owner.key),
        name: owner.map(|owner| owner.name.clone()).unwrap_or_default(),
        kind: key.kind,
        fd: key.fd,
        threads: Some(0),
        paths: [PathSum::default(); LockPath::COUNT],
        waited: lock.waited.minus(&lock.waited),
    };
    // Of an epoll all processes that waited are one entry.
    let process = if key.epoll.is_some() { 0 } else { key.pid };
    ((key.epoll, process, key.kind, key.fd), entry)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;

    fn shown(filter: &Filter, order: LockOrder) -> Vec<(String, LockKind, u64, Option<u64>)> {
        let mut source = Synthetic::demo();
        source.contend();
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let mut entries = locks(&window, filter);
        order.sort(&mut entries);
        let row = |entry: &LockEntry| (entry.lock_name(), entry.kind, entry.count(), entry.threads);
        entries.iter().map(row).collect()
    }

    #[test]
    fn all_processes_of_a_lock_are_one_entry_with_its_epolls_name() {
        assert_eq!(
            shown(&Filter::default(), LockOrder::Total),
            [
                ("300:5".to_owned(), LockKind::Mutex, 90, Some(5)),
                ("300:5".to_owned(), LockKind::Lock, 40, Some(2)),
                ("185:8/12".to_owned(), LockKind::Source, 7, Some(3)),
            ]
        );
    }

    #[test]
    fn a_filter_names_epolls_not_those_who_wait_for_their_locks() {
        let filter = Filter {
            pids: vec![185],
            ..Filter::default()
        };
        let names: Vec<_> = shown(&filter, LockOrder::Count)
            .into_iter()
            .map(|row| row.0)
            .collect();
        assert_eq!(names, ["185:8/12"]);
    }

    #[test]
    fn shares_are_of_time() {
        let mut source = Synthetic::demo();
        source.contend();
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let entries = locks(&window, &Filter::default());
        let mutex = entries
            .iter()
            .find(|entry| entry.kind == LockKind::Mutex)
            .unwrap();
        let shares = mutex.shares();
        assert_eq!(shares[0].0, LockPath::Wait);
        assert!((shares.iter().map(|share| share.1).sum::<f64>() - 1.0).abs() < 1e-9);
        assert_eq!(mutex.mean_ns(), Some(mutex.sum_ns() / 90));
    }
}
