//! Herds: who is woken by one event of a file that several watch or of a listener, and who of them gets the work.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::delta::Window;
use super::entry::{EntryKey, EpollRef};
use super::filter::Filter;
use super::histogram::{Histogram, Quantile};
use super::snapshot::{Counter, EpollId, Metric, Row, RowKey};
use super::source::{Named, SourceId, SourceItem};

/// An epoll that watches a source, and what its waiters did. `None` is "cannot be known here".
#[derive(Clone, Debug, PartialEq)]
pub struct Worker {
    /// Its name: of several processes the lowest; of one that nobody waited on yet who made it, or had it at the start. Process
    /// 0 where that is not known.
    pub key: EntryKey,
    /// Name of that process. Not yet safe for a terminal.
    pub name: String,
    /// How many processes wait on it.
    pub processes: u64,
    /// The descriptor it watches the source as; of several the lowest.
    pub fd: i32,
    /// Mask and flags of its items there.
    pub events: u32,
    /// Notifications of the source of events that it asks for.
    pub notifications: u64,
    /// Waiters that these made runnable; of an estimated herd see [`Herd::estimated`].
    pub woken: u64,
    /// Those of the notifications that the kernel passed on to the next item, since nobody slept here: only with EPOLLEXCLUSIVE, and seen by what
    /// the callback returned.
    pub passed_on: u64,
    /// By [`Counter`]: all that its waiters counted, of this source or any other.
    pub counters: [Option<u64>; Counter::COUNT],
    /// Times of its waiters, where they are measured: likewise.
    pub metrics: Vec<(Metric, Histogram)>,
}

impl Worker {
    /// The times of a metric; `None` where it is not measured, or had no value.
    pub fn metric(&self, metric: Metric) -> Option<&Histogram> {
        let mut metrics = self.metrics.iter();
        let (_, histogram) = metrics.find(|(other, _)| *other == metric)?;
        (histogram.count() > 0).then_some(histogram)
    }

    /// A percentile of a metric, ns.
    pub fn percentile(&self, metric: Metric, quantile: Quantile) -> Option<u64> {
        self.metric(metric)?.percentile(quantile)
    }

    /// Part of the time from the notifications to the returns that its waiters spent in the run queue, 0 to 1.
    pub fn runqueue_share(&self) -> Option<f64> {
        let sum = |metric| self.metric(metric).map(|histogram| histogram.sum_ns);
        let (runqueue, whole) = (sum(Metric::Runqueue)?, sum(Metric::Wakeup)?);
        (whole > 0).then(|| runqueue as f64 / whole as f64)
    }

    /// One counter.
    pub fn counter(&self, counter: Counter) -> Option<u64> {
        self.counters[counter as usize]
    }

    /// Wakeups of all causes that are known; `None` when none is.
    pub fn wakeups(&self) -> Option<u64> {
        const CAUSES: [Counter; 4] = [
            Counter::WakeupsSource,
            Counter::WakeupsChain,
            Counter::WakeupsCtl,
            Counter::WakeupsUnclassified,
        ];
        let known = CAUSES.iter().filter_map(|&cause| self.counter(cause));
        known.reduce(|sum, count| sum + count)
    }

    /// Part of its waiters' time that they spent between waits, of those waits that ended in the window, 0 to 1.
    pub fn utilization(&self) -> Option<f64> {
        let busy = self.counter(Counter::BusyNs)?;
        let whole = busy.checked_add(self.counter(Counter::WaitingNs)?)?;
        (whole > 0).then(|| busy as f64 / whole as f64)
    }

    /// Waits that returned events.
    pub fn deliveries(&self) -> Option<u64> {
        self.counter(Counter::DeliveriesSlept)?
            .checked_add(self.counter(Counter::DeliveriesAtOnce)?)
    }
}

/// A source in a window.
#[derive(Clone, Debug, PartialEq)]
pub struct Herd {
    /// Which.
    pub id: SourceId,
    /// What it is; else why that is not known.
    pub named: Result<Arc<Named>, Arc<str>>,
    /// Of a listener whose items the kernel does not tell: an event is a connection that was accepted, and woken by it is who accepted one,
    /// found none, or was woken for nothing, at most as often as its workers were woken at all. Notifications are not known.
    pub estimated: bool,
    /// Items that watch it, or did in the window.
    pub items: u64,
    /// Events that reached anybody: notifications of items that stood first in the file's wait queue at the time, or those of the item that
    /// got most, if these are more: somebody who is no item may stand in front.
    pub events: u64,
    /// Who watches it, by name.
    pub workers: Vec<Worker>,
    /// Of a listener: how many connections may wait to be accepted.
    pub backlog: Option<u64>,
    /// Of a TCP listener with a name: how many wait now.
    pub accept_queue: Option<u64>,
}

impl Herd {
    /// Notifications of all items.
    pub fn notifications(&self) -> u64 {
        self.workers.iter().map(|worker| worker.notifications).sum()
    }

    /// Waiters that these made runnable.
    pub fn woken(&self) -> u64 {
        self.workers.iter().map(|worker| worker.woken).sum()
    }

    /// `count`, a number of notifications of an item or of all; `None` where none are counted.
    pub fn counted(&self, count: u64) -> Option<u64> {
        (!self.estimated).then_some(count)
    }

    /// Items that an event reaches, on average; `None` without events, and where it is not counted.
    pub fn fan_out(&self) -> Option<f64> {
        self.per_event(self.counted(self.notifications())?)
    }

    /// Waiters that an event makes runnable, on average; `None` without events.
    pub fn woken_per_event(&self) -> Option<f64> {
        self.per_event(self.woken())
    }

    fn per_event(&self, count: u64) -> Option<f64> {
        (self.events > 0).then(|| count as f64 / self.events as f64)
    }

    /// Whether it is a listening socket.
    pub fn is_listener(&self) -> bool {
        // Only listeners are estimated.
        self.backlog.is_some() || self.estimated
    }

    /// Notifications that the kernel passed on from an EPOLLEXCLUSIVE item to the next.
    pub fn passed_on(&self) -> u64 {
        self.workers.iter().map(|worker| worker.passed_on).sum()
    }

    /// Waiters beyond one per event.
    pub fn surplus(&self) -> u64 {
        self.woken().saturating_sub(self.events)
    }

    /// A number of all workers; `None` where it is not known of one, or there is none.
    pub fn sum(&self, number: impl Fn(&Worker) -> Option<u64>) -> Option<u64> {
        if self.workers.is_empty() {
            return None;
        }
        self.workers.iter().map(number).sum()
    }

    /// Part of the wakeups of its workers, by this source or any other, after which there was nothing to deliver, 0 to 1.
    pub fn empty_share(&self) -> Option<f64> {
        let empty = self.sum(|worker| worker.counter(Counter::EmptyWakeups))?;
        let wakeups = self.sum(Worker::wakeups)?;
        (wakeups > 0).then(|| empty as f64 / wakeups as f64)
    }

    /// What the workers' shares are of: accepts where there are any, else deliveries.
    pub fn shared_work(&self) -> Work {
        match self.sum(|worker| worker.counter(Counter::Accepts)) {
            Some(accepts) if accepts > 0 => Work::Accepts,
            _ => Work::Deliveries,
        }
    }

    /// The part of `worker` in [`Herd::shared_work`], 0 to 1.
    pub fn share(&self, worker: &Worker) -> Option<f64> {
        let work = self.shared_work();
        let whole = self.sum(|worker| work.of(worker))?;
        (whole > 0).then_some(())?;
        Some(work.of(worker)? as f64 / whole as f64)
    }

    /// How unequal the shares are: [`gini`] over the workers.
    pub fn gini(&self) -> Option<f64> {
        let work = self.shared_work();
        let parts: Vec<u64> = self
            .workers
            .iter()
            .map(|worker| work.of(worker))
            .collect::<Option<_>>()?;
        gini(&parts)
    }
}

/// What workers share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Connections accepted.
    Accepts,
    /// Waits that returned events, of this source or any other.
    Deliveries,
}

impl Work {
    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepts => "accepts",
            Self::Deliveries => "deliveries",
        }
    }

    /// How much of it `worker` did.
    pub fn of(self, worker: &Worker) -> Option<u64> {
        match self {
            Self::Accepts => worker.counter(Counter::Accepts),
            Self::Deliveries => worker.deliveries(),
        }
    }
}

/// The Gini coefficient: 0 where all have the same, (n - 1) / n where one of n has everything. `None` where nobody has anything.
pub fn gini(parts: &[u64]) -> Option<f64> {
    let mut sorted = parts.to_vec();
    sorted.sort_unstable();
    let whole: f64 = sorted.iter().map(|&part| part as f64).sum();
    if whole <= 0.0 {
        return None;
    }
    let count = sorted.len() as f64;
    let weighted: f64 = sorted
        .iter()
        .enumerate()
        .map(|(index, &part)| (2.0 * (index as f64 + 1.0) - count - 1.0) * part as f64)
        .sum();
    Some((weighted / (count * whole)).clamp(0.0, 1.0))
}

/// Every source, and whether `filter` lets it pass: a waiter watches it who passes. Most surplus first, equal ones by events.
pub(super) fn judged(window: &Window, filter: &Filter) -> Vec<(Herd, bool)> {
    let mut by_source: BTreeMap<SourceId, Vec<&SourceItem>> = BTreeMap::new();
    for item in &window.counted.sources {
        by_source.entry(item.key.source).or_default().push(item);
    }
    let judge = |(id, items): (SourceId, Vec<&SourceItem>)| {
        let herd = herd(window, id, &items);
        let passes = passes(window, filter, &items, &herd);
        (herd, passes)
    };
    let mut judged: Vec<(Herd, bool)> = by_source.into_iter().map(judge).collect();
    judged.sort_by_key(|(herd, _)| std::cmp::Reverse((herd.surplus(), herd.events, herd.id)));
    judged
}

/// Those that pass. Without `all` only those with events in the window.
pub(super) fn shown(judged: Vec<(Herd, bool)>, all: bool) -> Vec<Herd> {
    judged
        .into_iter()
        .filter(|(herd, passes)| *passes && (all || herd.events > 0))
        .map(|(herd, _)| herd)
        .collect()
}

/// Whether a waiter of the source passes, or who has an epoll there that nobody waited on yet.
fn passes(window: &Window, filter: &Filter, items: &[&SourceItem], herd: &Herd) -> bool {
    let counted = &window.counted;
    let mut rows = items.iter().flat_map(|item| &item.waiters);
    let mut owners = herd.workers.iter().map(|worker| worker.key);
    let admits = |key: EntryKey| {
        let row = RowKey {
            pid: key.pid,
            ..RowKey::default()
        };
        filter.admits(row, key.epoll.and_then(|epoll| epoll.epfd), counted)
    };
    filter.is_empty() || rows.any(|row| filter.passes(row, counted)) || owners.any(admits)
}

fn herd(window: &Window, id: SourceId, items: &[&SourceItem]) -> Herd {
    let mut by_epoll: BTreeMap<EpollId, Vec<&SourceItem>> = BTreeMap::new();
    for item in items {
        by_epoll.entry(item.key.epoll).or_default().push(item);
    }
    let mut workers: Vec<Worker> = by_epoll
        .into_iter()
        .map(|(epoll, items)| worker(window, epoll, &items))
        .collect();
    workers.sort_by_key(|worker| worker.key);
    let named = items.iter().find(|item| item.named.is_ok()).or(items.first());
    let named = named.map_or_else(|| Err("".into()), |item| item.named.clone());
    let estimated = items.iter().all(|item| !item.counted);
    Herd {
        id,
        estimated,
        backlog: items.iter().find_map(|item| item.backlog),
        accept_queue: named.as_deref().ok().and_then(|named| queue(window, named)),
        named,
        items: items.len() as u64,
        events: if estimated {
            workers
                .iter()
                .filter_map(|worker| worker.counter(Counter::Accepts))
                .sum()
        } else {
            events(items)
        },
        workers,
    }
}

fn events(items: &[&SourceItem]) -> u64 {
    let first = items.iter().map(|item| item.first).sum();
    let most = items.iter().map(|item| item.notifications).max();
    most.unwrap_or(0).max(first)
}

fn queue(window: &Window, named: &Named) -> Option<u64> {
    let place = (named.netns?, named.inode?);
    let mut sockets = window.counted.listening.iter();
    sockets
        .find(|socket| (socket.netns, socket.inode) == place)
        .map(|socket| socket.queue)
}

fn worker(window: &Window, epoll: EpollId, items: &[&SourceItem]) -> Worker {
    let rows: BTreeMap<_, &Row> = items
        .iter()
        .flat_map(|item| &item.waiters)
        .map(|row| (row.key, row))
        .collect();
    let first = rows.values().next().map(|row| (row.key.pid, row.epfd));
    let owner = || items.iter().find_map(|item| item.owner);
    let (pid, epfd) = first.or_else(owner).unwrap_or((0, None));
    let sum = |index: usize| -> Option<u64> {
        // Without a waiter nobody did anything, as far as that can be known at all.
        let known = !window.counted.absent.contains_key(Counter::ALL[index].name());
        known.then_some(())?;
        rows.values().map(|row| row.numbers.counters[index]).sum()
    };
    let mut worker = Worker {
        key: EntryKey {
            pid,
            tid: None,
            epoll: Some(EpollRef {
                id: Some(epoll),
                epfd,
            }),
        },
        name: window.counted.names.get(&pid).cloned().unwrap_or_default(),
        processes: rows.keys().map(|key| key.pid).collect::<BTreeSet<_>>().len() as u64,
        fd: items.iter().map(|item| item.key.fd).min().unwrap_or(-1),
        events: items.iter().fold(0, |events, item| events | item.events),
        notifications: items.iter().map(|item| item.notifications).sum(),
        woken: items.iter().map(|item| item.woken).sum(),
        passed_on: items.iter().map(|item| item.passed_on).sum(),
        metrics: metrics(rows.values().copied()),
        counters: std::array::from_fn(sum),
    };
    if items.iter().all(|item| !item.counted) {
        worker.woken = estimated_woken(&worker);
    }
    worker
}

/// As [`Herd::estimated`] says.
fn estimated_woken(worker: &Worker) -> u64 {
    const OF_LISTENERS: [Counter; 3] = [Counter::Accepts, Counter::AcceptEagain, Counter::EmptyWakeups];
    let by_listener: u64 = OF_LISTENERS
        .iter()
        .filter_map(|&counter| worker.counter(counter))
        .sum();
    by_listener.min(worker.wakeups().unwrap_or(by_listener))
}

/// The histograms of all rows together.
fn metrics<'a>(rows: impl Iterator<Item = &'a Row>) -> Vec<(Metric, Histogram)> {
    let mut merged: BTreeMap<Metric, Histogram> = BTreeMap::new();
    for (metric, values) in rows.flat_map(|row| &row.numbers.metrics) {
        merged
            .entry(*metric)
            .and_modify(|sum| sum.merge(values))
            .or_insert_with(|| values.clone());
    }
    merged.into_iter().collect()
}

#[cfg(test)]
mod tests;
