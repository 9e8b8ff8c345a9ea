//! From rows to entries: the sums over a process, a thread or an epoll.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use super::delta::{Window, add_counters, add_metric};
use super::entry::{Entry, EntryKey, EpollRef};
use super::filter::Filter;
use super::snapshot::{Counter, Epoll, EpollCounter, EpollId, Metric, Row, Snapshot};

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
    epolls: BTreeSet<EpollId>,
}

/// The entries of a window, ordered by key. An epoll belongs to those who wait on it, and to its creator only when nobody does.
pub fn group(window: &Window, by: GroupBy, filter: &Filter) -> Vec<Entry> {
    let counted = &window.counted;
    let epolls: HashMap<EpollId, &Epoll> = counted.epolls.iter().map(|epoll| (epoll.id, epoll)).collect();
    let mut groups: BTreeMap<Slot, Group<'_>> = BTreeMap::new();
    for row in counted.rows.iter().filter(|row| filter.passes(row, counted)) {
        let group = groups.entry(slot(row, by)).or_default();
        group.rows.push(row);
        group.epolls.extend(row.key.epoll);
    }
    add_created(&mut groups, counted, by, filter);
    groups
        .into_iter()
        .map(|(slot, group)| entry(slot, &group, &epolls, window))
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

fn slot(row: &Row, by: GroupBy) -> Slot {
    let key = row.key;
    match (by, key.tid, key.epoll) {
        (GroupBy::Thread, Some(tid), _) => Slot::Thread(key.pid, tid),
        (GroupBy::Process | GroupBy::Thread, _, _) => Slot::Process(key.pid),
        (GroupBy::Epoll, _, Some(id)) if !id.is_private() => Slot::Epoll(id),
        (GroupBy::Epoll, _, id) => Slot::Private(key.pid, id),
    }
}

/// An epoll without a waiter goes to its creator: to the entry there is, or to one of its own when anything happened to it.
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
        let Some(creator) = epoll.creator else { continue };
        let slot = match by {
            GroupBy::Process => Slot::Process(creator),
            GroupBy::Epoll if epoll.id.stands_for_closed() => Slot::Private(creator, None),
            GroupBy::Epoll if !epoll.id.is_private() => Slot::Epoll(epoll.id),
            GroupBy::Epoll | GroupBy::Thread => continue,
        };
        let used = epoll.counters.iter().flatten().any(|&count| count > 0);
        // A filter speaks of waiters: an epoll without one passes by its process alone.
        let wanted = filter.is_empty() || (only_pids(filter) && filter.pids.contains(&creator));
        if groups.contains_key(&slot) || (used && wanted) {
            groups.entry(slot).or_default().epolls.insert(epoll.id);
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

fn entry(slot: Slot, group: &Group<'_>, epolls: &HashMap<EpollId, &Epoll>, window: &Window) -> Entry {
    let counted = &window.counted;
    let known = |name: &str| (!counted.absent.contains_key(name)).then_some(0);
    let mut entry = Entry {
        key: key(slot, group, epolls),
        span_ns: window.span_ns,
        counters: std::array::from_fn(|index| known(Counter::ALL[index].name())),
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
    for row in &group.rows {
        add_counters(&mut entry.counters, &row.counters);
        for metric in Metric::ALL {
            if !counted.absent.contains_key(metric.name()) {
                add_metric(
                    &mut entry.metrics[*metric as usize],
                    row.metrics[*metric as usize].as_ref(),
                );
            }
        }
    }
    entry
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
            let creator = epolls.get(&id).and_then(|epoll| epoll.creator);
            // The creator names it best, as long as it is one of those that know its number.
            let namer = creator.filter(|&creator| group.rows.is_empty() || pids().any(|pid| pid == creator));
            let pid = namer.or_else(|| pids().min()).unwrap_or(0);
            EntryKey {
                pid,
                tid: None,
                epoll: Some(EpollRef {
                    id: Some(id),
                    epfd: epfd_in(pid),
                }),
            }
        }
    }
}

/// `none` gives what a counter starts from: 0, or nothing where it cannot be known. An entry without an epoll has 0: what its
/// closed epolls counted stands with another of their processes.
fn epoll_sums(
    ids: &BTreeSet<EpollId>,
    epolls: &HashMap<EpollId, &Epoll>,
    none: impl Fn(&str) -> Option<u64>,
) -> [Option<u64>; EpollCounter::COUNT] {
    std::array::from_fn(|index| {
        let counts = ids
            .iter()
            .filter(|id| !id.is_private())
            .filter_map(|id| epolls.get(id)?.counters[index]);
        none(EpollCounter::ALL[index].name()).map(|none| counts.fold(none, u64::saturating_add))
    })
}

#[cfg(test)]
mod tests;
