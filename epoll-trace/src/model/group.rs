//! From rows to entries: the sums over a process, a thread or an epoll.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::delta::{Window, add_counters, add_metric};
use super::entry::{Entry, EntryKey, EpollRef};
use super::filter::Filter;
use super::instances::{Instances, Place};
use super::shared::Shared;
use super::snapshot::{EpollCounter, EpollId, Known, Lock, Numbers, Row, RowKey, Snapshot};
use super::waker::{self, Wakers};

/// What one entry stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// A process.
    #[default]
    Process,
    /// A thread; rows without one fall to their process.
    Thread,
    /// An epoll, whoever waits on it.
    Epoll,
}

/// What rows are summed by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Slot {
    Process(u32),
    Thread(u32, u32),
    Epoll(EpollId),
    /// An epoll that only its process can name, or all its closed ones.
    Private(u32, Option<EpollId>),
}

/// What a slot collects.
#[derive(Default)]
struct Group<'a> {
    rows: Vec<&'a Row>,
    locks: Vec<&'a Lock>,
    /// Each once, once all are in.
    epolls: Vec<Place>,
}

/// The entries of a window, ordered by key. An epoll belongs to those who wait on it, and to its creator only when nobody does.
pub fn group(window: &Window, by: GroupBy, filter: &Filter) -> Vec<Entry> {
    let counted = &window.counted;
    let instances = Instances::of(counted);
    let rows = counted.rows.iter().zip(instances.of_rows());
    let rows: Vec<_> = rows.filter(|(row, _)| filter.passes(row, counted)).collect();
    let mut groups: BTreeMap<Slot, Group<'_>> = BTreeMap::new();
    for rows in rows.chunk_by(|(one, _), (next, _)| slot(one.key, by) == slot(next.key, by)) {
        let group = groups.entry(slot(rows[0].0.key, by)).or_default();
        group.rows.extend(rows.iter().map(|(row, _)| row));
        group.epolls.reserve(rows.len());
        group.epolls.extend(rows.iter().filter_map(|(_, place)| **place));
    }
    add_created(&mut groups, &instances, by, filter);
    let known = Known::but(&counted.absent);
    add_locks(&mut groups, counted, by, filter);
    groups
        .into_iter()
        .map(|(slot, mut group)| {
            group.epolls.sort_unstable();
            group.epolls.dedup();
            let mut entry = entry(slot, &group, &instances, window, &known);
            add_instances(&mut entry, slot, &group, &instances);
            entry
        })
        .collect()
}

fn slot(key: RowKey, by: GroupBy) -> Slot {
    match (by, key.tid, key.epoll) {
        (GroupBy::Thread, Some(tid), _) => Slot::Thread(key.pid, tid),
        (GroupBy::Process | GroupBy::Thread, _, _) => Slot::Process(key.pid),
        (GroupBy::Epoll, _, Some(id)) if !id.is_private() => Slot::Epoll(id),
        (GroupBy::Epoll, _, id) => Slot::Private(key.pid, id),
    }
}

/// An epoll without a waiter goes to its creator, or who had it at the start: to the entry there is, or to one of its own
/// when anything happened to it, among epolls also when it has items.
fn add_created(
    groups: &mut BTreeMap<Slot, Group<'_>>,
    instances: &Instances<'_>,
    by: GroupBy,
    filter: &Filter,
) {
    if filter.epfd.is_some() {
        return;
    }
    for (place, epoll) in instances.without_waiter() {
        let Some(creator) = epoll.creator.or(epoll.opened.map(|(process, _)| process)) else {
            continue;
        };
        let slot = match by {
            GroupBy::Process => Slot::Process(creator),
            GroupBy::Epoll if epoll.id.is_held_by_another() => continue,
            GroupBy::Epoll if epoll.id.stands_for_closed() => Slot::Private(creator, None),
            GroupBy::Epoll if !epoll.id.is_private() => Slot::Epoll(epoll.id),
            GroupBy::Epoll | GroupBy::Thread => continue,
        };
        let used = epoll.counters.iter().flatten().any(|&count| count > 0);
        // A filter speaks of waiters: an epoll without one passes by its process alone.
        let wanted = filter.is_empty() || (only_pids(filter) && filter.pids.contains(&creator));
        let watches = by == GroupBy::Epoll && epoll.items.is_some_and(|items| items > 0);
        if groups.contains_key(&slot) || ((used || watches) && wanted) {
            groups.entry(slot).or_default().epolls.push(place);
        }
    }
}

/// Who waits for a lock of an epoll need not wait on the epoll: it may have an entry for that alone.
fn add_locks<'a>(
    groups: &mut BTreeMap<Slot, Group<'a>>,
    counted: &'a Snapshot,
    by: GroupBy,
    filter: &Filter,
) {
    if counted.locks.is_empty() {
        return;
    }
    let epfds: HashMap<EpollId, i32> = counted
        .rows
        .iter()
        .filter_map(|row| Some((row.key.epoll?, row.epfd?)))
        .collect();
    for lock in &counted.locks {
        let epfd = lock.key.epoll.and_then(|id| epfds.get(&id)).copied();
        let key = RowKey {
            pid: lock.key.pid,
            tid: lock.key.tid,
            epoll: lock.key.epoll,
        };
        if lock.key.kind.metric().is_some() && filter.admits(key, epfd, counted) {
            groups.entry(slot(key, by)).or_default().locks.push(lock);
        }
    }
}

fn only_pids(filter: &Filter) -> bool {
    Filter {
        pids: Vec::new(),
        ..filter.clone()
    }
    .is_empty()
}

fn entry(slot: Slot, group: &Group<'_>, instances: &Instances<'_>, window: &Window, known: &Known) -> Entry {
    let counted = &window.counted;
    let mut entry = Entry {
        key: key(slot, group, instances),
        span_ns: window.span_ns,
        counters: known.counters.map(|known| known.then_some(0)),
        epoll_counters: epoll_sums(&group.epolls, instances, known),
        ..Entry::default()
    };
    let owner = entry
        .key
        .tid
        .filter(|tid| counted.names.contains_key(tid))
        .unwrap_or(entry.key.pid);
    entry.name = counted.names.get(&owner).cloned().unwrap_or_default();
    // Who comes without a waiter is nobody's row.
    let waited_on = |place: &&Place| instances.at(**place).is_waited_on();
    entry.epolls = group.epolls.iter().filter(waited_on).count() as u64;
    let mut wakers = Wakers::new();
    let mut zeroes = Zeroes::default();
    for row in &group.rows {
        if zeroes.again(&row.numbers, Numbers::is_quiet) {
            continue;
        }
        waker::add(&mut wakers, &row.numbers.wakers);
        add_counters(&mut entry.counters, &row.numbers.counters);
        for (metric, values) in &row.numbers.metrics {
            if known.metrics[*metric as usize] {
                add_metric(&mut entry.metrics[*metric as usize], values);
            }
        }
    }
    entry.wakers = waker::ranked(&wakers, &counted.names);
    for lock in &group.locks {
        if let Some(metric) = lock.key.kind.metric()
            && !counted.absent.contains_key(metric.name())
        {
            add_metric(&mut entry.metrics[metric as usize], &lock.waited);
        }
    }
    entry
}

/// What the epolls of a group are, besides what they counted.
fn add_instances(entry: &mut Entry, slot: Slot, group: &Group<'_>, instances: &Instances<'_>) {
    let of = |place: &Place| instances.at(*place).epoll;
    entry.items = group.epolls.iter().map(|place| of(place)?.items).sum();
    entry.flags = group
        .epolls
        .iter()
        .map(|place| of(place)?.flags)
        .reduce(|one, other| Some(one? | other?))
        .flatten();
    let mut users = group.epolls.iter().flat_map(|&place| instances.at(place).users());
    // Of most entries there is one.
    let first = users.next();
    let others: BTreeSet<u32> = users.filter(|&user| Some(user) != first).collect();
    let processes = u64::from(first.is_some()) + others.len() as u64;
    let own = matches!(slot, Slot::Private(..)) || !group.rows.is_empty();
    entry.processes = processes.max(u64::from(own));
}

fn key(slot: Slot, group: &Group<'_>, instances: &Instances<'_>) -> EntryKey {
    let pids = || group.rows.iter().map(|row| row.key.pid);
    let epfd_in = |pid| {
        group
            .rows
            .iter()
            .find(|row| row.key.pid == pid)
            .and_then(|row| row.epfd)
    };
    match slot {
        Slot::Process(pid) => EntryKey {
            pid,
            ..EntryKey::default()
        },
        Slot::Thread(pid, tid) => EntryKey {
            pid,
            tid: Some(tid),
            epoll: None,
        },
        Slot::Private(pid, id) => EntryKey {
            pid,
            tid: None,
            epoll: Some(EpollRef {
                id,
                epfd: id.and_then(|_| epfd_in(pid)),
            }),
        },
        Slot::Epoll(id) => {
            let epoll = instances.epoll(id);
            let opened = epoll.and_then(|epoll| epoll.opened);
            let creator = epoll.and_then(|epoll| epoll.creator.or(opened.map(|(process, _)| process)));
            // The creator names it best, as long as it is one of those that know its number.
            let namer = creator.filter(|&creator| group.rows.is_empty() || pids().any(|pid| pid == creator));
            let lockers = || group.locks.iter().map(|lock| lock.key.pid);
            let pid = namer
                .or_else(|| pids().min())
                .or_else(|| lockers().min())
                .unwrap_or(0);
            EntryKey {
                pid,
                tid: None,
                epoll: Some(EpollRef {
                    id: Some(id),
                    epfd: epfd_in(pid).or(opened.and_then(|(process, fd)| (process == pid).then_some(fd))),
                }),
            }
        }
    }
}

/// What is quiet shares its zeroes: to add them again changes nothing.
struct Zeroes<'a, T>(Option<&'a Shared<T>>);

impl<T> Default for Zeroes<'_, T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'a, T> Zeroes<'a, T> {
    fn again(&mut self, value: &'a Shared<T>, is_zero: impl FnOnce(&T) -> bool) -> bool {
        if self.0.is_some_and(|zeroes| zeroes.is_same(value)) {
            return true;
        }
        if is_zero(value) {
            self.0 = Some(value);
        }
        false
    }
}

/// An entry without an epoll has 0 of what can be known: what its closed epolls counted stands with another of their processes.
fn epoll_sums(
    epolls: &[Place],
    instances: &Instances<'_>,
    known: &Known,
) -> [Option<u64>; EpollCounter::COUNT] {
    let mut sums = known.epolls.map(|known| known.then_some(0_u64));
    let all = epolls.iter().map(|&place| instances.at(place));
    let shared = all.filter(|instance| !instance.id.is_private());
    let mut zeroes = Zeroes::default();
    for epoll in shared.filter_map(|instance| instance.epoll) {
        if zeroes.again(&epoll.counters, |counters| {
            counters.iter().flatten().all(|&count| count == 0)
        }) {
            continue;
        }
        for (sum, count) in sums.iter_mut().zip(epoll.counters.iter()) {
            *sum = sum.map(|sum| sum.saturating_add(count.unwrap_or(0)));
        }
    }
    sums
}

#[cfg(test)]
mod tests;
