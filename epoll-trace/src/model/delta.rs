//! What happened between two looks.
//! Sources count since their start; every view of an interval is the difference of two snapshots.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use super::histogram::Histogram;
use super::shared::Shared;
use super::snapshot::{
    Epoll, EpollId, Known, Lock, LockKey, LockPath, Numbers, PathSum, Row, RowKey, Snapshot,
};
use super::{readers, source, waker};

/// What was counted between two looks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Window {
    /// Length, ns.
    pub span_ns: u64,
    /// The later look with the earlier one's rows and epolls taken off. Losses stay what they are since the start:
    /// a row that was refused once stays missing.
    pub counted: Snapshot,
}

impl Window {
    /// What was counted after `earlier`, up to and with `later`.
    pub fn between(earlier: &Snapshot, later: &Snapshot) -> Self {
        let known = Known::but(&later.absent);
        let mut counted = Snapshot {
            at_ns: later.at_ns,
            rows: rows_since(earlier, later, &known),
            epolls: epolls_since(earlier, later, &known),
            locks: later.locks.clone(),
            sources: later.sources.clone(),
            listening: later.listening.clone(),
            readers: later.readers.clone(),
            delivered: later.delivered.clone(),
            look: later.look.clone(),
            names: Arc::clone(&later.names),
            losses: later.losses.clone(),
            absent: Arc::clone(&later.absent),
            spent: later.spent.clone(),
        };
        let locks = locks_as_folded_in(earlier, later);
        for lock in &mut counted.locks {
            if let Some(old) = locks.get(&lock.key) {
                lock.paths = without(&lock.paths, &old.paths);
                lock.waited = lock.waited.minus(&old.waited);
            }
        }
        if !counted.sources.is_empty() {
            let before = Sorted::new(&earlier.rows, |row| row.key);
            let since = |row: &Row, old: &Row| Row {
                numbers: row.numbers.minus(&old.numbers).into(),
                ..*row
            };
            let row = |key| before.places().find(key);
            source::take_off(&mut counted.sources, &earlier.sources, row, since);
        }
        counted.delivered.take_off(&earlier.delivered);
        readers::take_off(&mut counted.readers, &earlier.readers);
        if let (Some(spent), Some(old)) = (&mut counted.spent, &earlier.spent) {
            spent.take_off(old);
        }
        Self {
            span_ns: later.at_ns.saturating_sub(earlier.at_ns),
            counted,
        }
    }
}

/// The rows of `later` with those of `earlier` taken off. Most are quiet, and share one that says so.
fn rows_since(earlier: &Snapshot, later: &Snapshot, known: &Known) -> Vec<Row> {
    let before = Sorted::new(&earlier.rows, |row| row.key);
    let folded = rows_folded_since(earlier, later, &before);
    let mut places = before.places();
    let quiet = Shared::from(Numbers {
        counters: known.counters.map(|known| known.then_some(0)),
        ..Numbers::default()
    });
    let since = |row: &Row| {
        let old = folded.get(&row.key).or_else(|| places.find(row.key));
        let numbers = match old {
            Some(old) if row.numbers.is_same(&old.numbers) => quiet.clone(),
            Some(old) => row.numbers.minus(&old.numbers).into(),
            None => row.numbers.clone(),
        };
        Row { numbers, ..*row }
    };
    later.rows.iter().map(since).collect()
}

/// The epolls of `later`, likewise.
fn epolls_since(earlier: &Snapshot, later: &Snapshot, known: &Known) -> Vec<Epoll> {
    let before = Sorted::new(&earlier.epolls, |epoll| epoll.id);
    let folded = epolls_folded_since(earlier, later, &before);
    let mut places = before.places();
    let quiet = Shared::from(known.epolls.map(|known| known.then_some(0)));
    let since = |epoll: &Epoll| {
        let old = folded.get(&epoll.id).or_else(|| places.find(epoll.id));
        let counters = match old {
            Some(old) if epoll.counters.is_same(&old.counters) => quiet.clone(),
            Some(old) => less(&epoll.counters, &old.counters).into(),
            None => epoll.counters.clone(),
        };
        Epoll { counters, ..*epoll }
    };
    later.epolls.iter().map(since).collect()
}

/// Items by key. Looks come sorted, and two looks are walked in step: that is cheaper than hashing ten thousand keys.
struct Sorted<'a, K, T: Clone> {
    items: Cow<'a, [T]>,
    key: fn(&T) -> K,
}

impl<'a, K: Ord, T: Clone> Sorted<'a, K, T> {
    fn new(items: &'a [T], key: fn(&T) -> K) -> Self {
        let mut items = Cow::Borrowed(items);
        if !items.is_sorted_by_key(key) {
            items.to_mut().sort_by_key(key);
        }
        Self { items, key }
    }

    fn places(&self) -> Places<'_, 'a, K, T> {
        Places {
            sorted: self,
            next: 0,
        }
    }
}

/// Finds items fastest in the order of their keys.
struct Places<'s, 'a, K, T: Clone> {
    sorted: &'s Sorted<'a, K, T>,
    next: usize,
}

impl<'s, K: Ord, T: Clone> Places<'s, '_, K, T> {
    fn find(&mut self, key: K) -> Option<&'s T> {
        let Sorted { items, key: of } = self.sorted;
        if items.get(self.next).is_none_or(|next| of(next) != key) {
            self.next = items.binary_search_by_key(&key, of).ok()?;
        }
        let found = items.get(self.next);
        self.next += 1;
        found
    }
}

impl Numbers {
    /// What was counted since `old`.
    fn minus(&self, old: &Self) -> Self {
        let mut wakers = self.wakers.clone();
        waker::take_off(&mut wakers, &old.wakers);
        let mut chains = self.chains.clone();
        waker::take_off(&mut chains, &old.chains);
        let metrics = self.metrics.iter().map(|(metric, new)| {
            let old = old.metrics.iter().find(|(other, _)| other == metric);
            (
                *metric,
                old.map_or_else(|| new.clone(), |(_, old)| new.minus(old)),
            )
        });
        Self {
            counters: less(&self.counters, &old.counters),
            metrics: metrics.collect(),
            wakers,
            chains,
        }
    }

    /// Adds the numbers of `more`; what one of both does not know, the sum does not know.
    pub fn add(&mut self, more: &Self) {
        add_counters(&mut self.counters, &more.counters);
        waker::add(&mut self.wakers, &more.wakers);
        waker::add(&mut self.chains, &more.chains);
        for (metric, more) in &more.metrics {
            match self.metrics.binary_search_by_key(metric, |&(metric, _)| metric) {
                Ok(place) => self.metrics[place].1.merge(more),
                Err(place) => self.metrics.insert(place, (*metric, more.clone())),
            }
        }
    }
}

/// The rows of `earlier` that were closed since, added to their process's common row, as they are in `later`.
/// Without that their whole past would count as news of the common row.
fn rows_folded_since(
    earlier: &Snapshot,
    later: &Snapshot,
    before: &Sorted<'_, RowKey, Row>,
) -> HashMap<RowKey, Row> {
    let alive = Sorted::new(&later.rows, |row| row.key);
    let mut places = alive.places();
    let mut rows: HashMap<RowKey, Row> = HashMap::new();
    for row in earlier.rows.iter().filter(|row| places.find(row.key).is_none()) {
        let key = RowKey {
            epoll: None,
            ..row.key
        };
        match rows.get_mut(&key) {
            Some(sum) => sum.numbers.add(&row.numbers),
            None => {
                let mut sum = Row { key, ..row.clone() };
                if let Some(common) = before.places().find(key).filter(|_| row.key.epoll.is_some()) {
                    sum.numbers.add(&common.numbers);
                }
                rows.insert(key, sum);
            }
        }
    }
    rows
}

/// The epolls of `earlier`, likewise: those that were closed since stand in the sums of their waiters, without any in their
/// creator's.
fn epolls_folded_since(
    earlier: &Snapshot,
    later: &Snapshot,
    before: &Sorted<'_, EpollId, Epoll>,
) -> HashMap<EpollId, Epoll> {
    let alive = Sorted::new(&later.epolls, |epoll| epoll.id);
    let mut places = alive.places();
    let mut sums: HashMap<EpollId, Epoll> = HashMap::new();
    let closed: Vec<&Epoll> = earlier
        .epolls
        .iter()
        .filter(|epoll| places.find(epoll.id).is_none())
        .collect();
    let ids: HashSet<EpollId> = closed.iter().map(|epoll| epoll.id).collect();
    let mut waiters: HashMap<EpollId, BTreeSet<u32>> = HashMap::new();
    for row in earlier.rows.iter().filter(|_| !ids.is_empty()) {
        if let Some(id) = row.key.epoll.filter(|id| ids.contains(id)) {
            waiters.entry(id).or_default().insert(row.key.pid);
        }
    }
    let nobody = BTreeSet::new();
    for epoll in closed {
        let waiters = waiters.get(&epoll.id).unwrap_or(&nobody);
        for id in EpollId::closed_sums(epoll.creator, waiters) {
            match sums.get_mut(&id) {
                Some(sum) => add_counters(&mut sum.counters, &epoll.counters),
                None => {
                    let mut sum = epoll.clone();
                    if let Some(common) = before.places().find(id) {
                        add_counters(&mut sum.counters, &common.counters);
                    }
                    sums.insert(id, sum);
                }
            }
        }
    }
    sums
}

/// The same for locks.
fn locks_as_folded_in(earlier: &Snapshot, later: &Snapshot) -> HashMap<LockKey, Lock> {
    let alive: HashSet<LockKey> = later.locks.iter().map(|lock| lock.key).collect();
    let mut locks: HashMap<LockKey, Lock> = HashMap::with_capacity(earlier.locks.len());
    for lock in &earlier.locks {
        let key = if alive.contains(&lock.key) {
            lock.key
        } else {
            LockKey {
                epoll: None,
                fd: None,
                ..lock.key
            }
        };
        locks
            .entry(key)
            .and_modify(|sum| {
                add_paths(&mut sum.paths, &lock.paths);
                sum.waited.merge(&lock.waited);
            })
            .or_insert_with(|| Lock { key, ..lock.clone() });
    }
    locks
}

/// Adds path by path.
pub(super) fn add_paths(sum: &mut [PathSum; LockPath::COUNT], paths: &[PathSum; LockPath::COUNT]) {
    for (sum, path) in sum.iter_mut().zip(paths) {
        sum.count = sum.count.saturating_add(path.count);
        sum.sum_ns = sum.sum_ns.saturating_add(path.sum_ns);
    }
}

fn without(
    later: &[PathSum; LockPath::COUNT],
    earlier: &[PathSum; LockPath::COUNT],
) -> [PathSum; LockPath::COUNT] {
    std::array::from_fn(|index| PathSum {
        count: later[index].count.saturating_sub(earlier[index].count),
        sum_ns: later[index].sum_ns.saturating_sub(earlier[index].sum_ns),
    })
}

/// Adds counter by counter; unknown plus anything is unknown.
pub(super) fn add_counters<const N: usize>(sum: &mut [Option<u64>; N], counters: &[Option<u64>; N]) {
    for (sum, counter) in sum.iter_mut().zip(counters) {
        *sum = sum
            .zip(*counter)
            .map(|(sum, counter)| sum.saturating_add(counter));
    }
}

/// Adds a histogram.
pub(super) fn add_metric(sum: &mut Option<Histogram>, metric: &Histogram) {
    match sum {
        Some(sum) => sum.merge(metric),
        None => *sum = Some(metric.clone()),
    }
}

fn less<const N: usize>(later: &[Option<u64>; N], earlier: &[Option<u64>; N]) -> [Option<u64>; N] {
    std::array::from_fn(|index| later[index].map(|value| value.saturating_sub(earlier[index].unwrap_or(0))))
}

#[cfg(test)]
mod tests;
