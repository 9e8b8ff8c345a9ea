//! From rows to entries: the sums over a process, a thread or an epoll.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::delta::{Window, add_counters, add_metric};
use super::entry::{Entry, EntryKey, EpollRef};
use super::filter::Filter;
use super::snapshot::{Epoll, EpollCounter, EpollId, Known, Lock, Metric, Row, RowKey, Snapshot};
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
    epolls: BTreeSet<EpollId>,
}

/// The entries of a window, ordered by key. An epoll belongs to those who wait on it, and to its creator only when nobody does.
pub fn group(window: &Window, by: GroupBy, filter: &Filter) -> Vec<Entry> {
    let counted = &window.counted;
    let epolls: HashMap<EpollId, &Epoll> = counted.epolls.iter().map(|epoll| (epoll.id, epoll)).collect();
    let mut groups: BTreeMap<Slot, Group<'_>> = BTreeMap::new();
    for row in counted.rows.iter().filter(|row| filter.passes(row, counted)) {
        let group = groups.entry(slot(row.key, by)).or_default();
        group.rows.push(row);
        group.epolls.extend(row.key.epoll);
    }
    add_created(&mut groups, counted, by, filter);
    let known = Known::but(&counted.absent);
    let users = users(counted);
    add_locks(&mut groups, counted, by, filter);
    groups
        .into_iter()
        .map(|(slot, group)| {
            let mut entry = entry(slot, &group, &epolls, window, &known);
            add_instances(&mut entry, slot, &group, &epolls, &users);
            entry
        })
        .collect()
}

/// `total` with the counters (not the histograms) of `recent`: rates that are of now, percentiles that rest on many values.
/// What closed its last epoll before `recent` has left.
pub fn with_recent_counters(total: Vec<Entry>, recent: &[Entry]) -> Vec<Entry> {
    let recent: HashMap<EntryKey, &Entry> = recent.iter().map(|entry| (entry.key, entry)).collect();
    total
        .into_iter()
        .filter_map(|entry| {
            let now = recent.get(&entry.key)?;
            if now.epolls == 0 && now.is_idle() {
                return None;
            }
            Some(Entry {
                span_ns: now.span_ns,
                counters: now.counters,
                epoll_counters: now.epoll_counters,
                ..entry
            })
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
fn add_created(groups: &mut BTreeMap<Slot, Group<'_>>, counted: &Snapshot, by: GroupBy, filter: &Filter) {
    if filter.epfd.is_some() {
        return;
    }
    // Of all rows, not of those that pass: a waiter that the filter hides is a waiter still.
    let waited_on: HashSet<EpollId> = counted.rows.iter().filter_map(|row| row.key.epoll).collect();
    for epoll in counted
        .epolls
        .iter()
        .filter(|epoll| !waited_on.contains(&epoll.id))
    {
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
            groups.entry(slot).or_default().epolls.insert(epoll.id);
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

fn entry(
    slot: Slot,
    group: &Group<'_>,
    epolls: &HashMap<EpollId, &Epoll>,
    window: &Window,
    known: &Known,
) -> Entry {
    let counted = &window.counted;
    let mut entry = Entry {
        key: key(slot, group, epolls),
        span_ns: window.span_ns,
        counters: known.counters.map(|known| known.then_some(0)),
        epoll_counters: epoll_sums(&group.epolls, epolls, known),
        ..Entry::default()
    };
    let owner = entry
        .key
        .tid
        .filter(|tid| counted.names.contains_key(tid))
        .unwrap_or(entry.key.pid);
    entry.name = counted.names.get(&owner).cloned().unwrap_or_default();
    entry.epolls = group
        .rows
        .iter()
        .filter_map(|row| row.key.epoll)
        .collect::<BTreeSet<_>>()
        .len() as u64;
    let mut wakers = Wakers::new();
    for row in &group.rows {
        waker::add(&mut wakers, &row.wakers);
        add_counters(&mut entry.counters, &row.counters);
        for metric in Metric::ALL {
            if known.metrics[*metric as usize] {
                add_metric(
                    &mut entry.metrics[*metric as usize],
                    row.metrics[*metric as usize].as_ref(),
                );
            }
        }
    }
    entry.wakers = waker::ranked(&wakers, &counted.names);
    for lock in &group.locks {
        if let Some(metric) = lock.key.kind.metric()
            && !counted.absent.contains_key(metric.name())
        {
            add_metric(&mut entry.metrics[metric as usize], Some(&lock.waited));
        }
    }
    entry
}

/// Processes that waited on each epoll, hidden ones included; of epolls that only their process can name there is one.
fn users(counted: &Snapshot) -> HashMap<EpollId, BTreeSet<u32>> {
    let mut users: HashMap<EpollId, BTreeSet<u32>> = HashMap::new();
    for row in &counted.rows {
        if let Some(id) = row.key.epoll.filter(|id| !id.is_private()) {
            users.entry(id).or_default().insert(row.key.pid);
        }
    }
    users
}

/// What the epolls of a group are, besides what they counted.
fn add_instances(
    entry: &mut Entry,
    slot: Slot,
    group: &Group<'_>,
    epolls: &HashMap<EpollId, &Epoll>,
    users: &HashMap<EpollId, BTreeSet<u32>>,
) {
    let of = |id: &EpollId| epolls.get(id).copied();
    entry.items = group.epolls.iter().map(|id| of(id)?.items).sum();
    entry.flags = group
        .epolls
        .iter()
        .map(|id| of(id)?.flags)
        .reduce(|one, other| Some(one? | other?))
        .flatten();
    let processes: BTreeSet<u32> = group
        .epolls
        .iter()
        .filter_map(|id| users.get(id))
        .flatten()
        .copied()
        .collect();
    let own = matches!(slot, Slot::Private(..)) || !group.rows.is_empty();
    entry.processes = (processes.len() as u64).max(u64::from(own));
}

fn key(slot: Slot, group: &Group<'_>, epolls: &HashMap<EpollId, &Epoll>) -> EntryKey {
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
            let epoll = epolls.get(&id);
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

/// An entry without an epoll has 0 of what can be known: what its closed epolls counted stands with another of their processes.
fn epoll_sums(
    ids: &BTreeSet<EpollId>,
    epolls: &HashMap<EpollId, &Epoll>,
    known: &Known,
) -> [Option<u64>; EpollCounter::COUNT] {
    let mut sums = known.epolls.map(|known| known.then_some(0_u64));
    for epoll in ids.iter().filter_map(|id| epolls.get(id)) {
        let counted = sums.iter_mut().zip(epoll.counters);
        for (sum, count) in counted.filter(|_| !epoll.id.is_private()) {
            *sum = sum.map(|sum| sum.saturating_add(count.unwrap_or(0)));
        }
    }
    sums
}

#[cfg(test)]
mod tests;
