//! A source without a kernel: a few processes whose numbers grow by the same known amounts at every look.
//! Views and models are tested on it.

mod demo;

use std::array;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::Source;
use crate::model::files::Delivered;
use crate::model::histogram::{Histogram, Shape};
use crate::model::shared::Shared;
use crate::model::snapshot::{
    Counter, Epoll, EpollCounter, EpollId, FLAGS, ITEMS, Lock, LockKey, LockPath, Metric, PathSum, Row,
    RowKey, Snapshot,
};
use crate::model::source::{Named, SourceId, SourceItem, SourceItemKey};
use crate::model::waker::{WakerId, Wakers};
use demo::{CLIENT, CONTENTION, Contention, DEMO, LISTENING, NETNS, SHARED, SharedFile, Waiter, listening};

pub use demo::NGINX;

/// Time between two looks, ns.
const TICK_NS: u64 = 1_000_000_000;

/// Processes whose numbers grow by the same amounts at every look, one second apart.
#[derive(Clone, Debug)]
pub struct Synthetic {
    waiters: Vec<Waiter>,
    shape: Shape,
    looks: u64,
    per_thread: bool,
    absent: BTreeMap<String, String>,
    losses: BTreeMap<String, u64>,
    contention: &'static [Contention],
    shared: &'static [SharedFile],
}

impl Synthetic {
    /// Six waiters in five processes: an epoll per thread, a shared epoll with chain wakeups, a rare late one with a hostile name.
    pub fn demo() -> Self {
        Self {
            waiters: DEMO.to_vec(),
            shape: shape(),
            looks: 0,
            per_thread: false,
            absent: BTreeMap::new(),
            losses: ["rows_full", "threads_full"]
                .into_iter()
                .map(|name| (name.to_owned(), 0))
                .collect(),
            contention: &[],
            shared: &[],
        }
    }

    /// As [`Synthetic::demo`], with shared files, locks and threads.
    pub fn everything() -> Self {
        let mut source = Self::demo();
        source.share();
        source.contend();
        source.per_thread();
        source
    }

    /// No process at all.
    pub fn empty() -> Self {
        Self {
            waiters: Vec::new(),
            ..Self::demo()
        }
    }

    /// Rows by thread from now on.
    pub fn per_thread(&mut self) {
        self.per_thread = true;
    }

    /// Locks are waited for from now on.
    pub fn contend(&mut self) {
        self.contention = CONTENTION;
    }

    /// Files that several watch have events from now on.
    pub fn share(&mut self) {
        self.shared = SHARED;
    }

    /// Makes the counters and metrics called `names` unknowable.
    pub fn without(&mut self, names: &[&str]) {
        let reason = "this kernel refuses the probe";
        self.absent
            .extend(names.iter().map(|&name| (name.to_owned(), reason.to_owned())));
    }

    /// Loses `count` of something from now on.
    pub fn lose(&mut self, name: &str, count: u64) {
        self.losses.insert(name.to_owned(), count);
    }

    fn known<T>(&self, name: &str, value: T) -> Option<T> {
        (!self.absent.contains_key(name)).then_some(value)
    }

    fn row(&self, waiter: &Waiter, looks: u64) -> Row {
        let mut row = Row {
            key: RowKey {
                pid: waiter.pid,
                tid: self.per_thread.then_some(waiter.tid),
                epoll: Some(epoll_id(waiter.epoll)),
            },
            epfd: Some(waiter.epfd),
            ..Row::default()
        };
        for &counter in Counter::ALL {
            let per_look = match counter {
                Counter::Waits => waiter.wakeups + waiter.timeouts,
                Counter::DeliveriesSlept | Counter::Events => waiter.wakeups,
                Counter::Timeouts => waiter.timeouts,
                Counter::WakeupsSource => waiter.wakeups,
                Counter::WakeupsChain | Counter::EmptyWakeups => waiter.chain,
                _ => 0,
            };
            row.numbers.counters[counter as usize] = self.known(counter.name(), per_look * looks);
        }
        row.numbers.wakers = Wakers::from([
            (WakerId::Softirq, waiter.wakeups * looks),
            (
                WakerId::Thread {
                    pid: CLIENT.0,
                    tid: CLIENT.1,
                },
                waiter.chain * looks,
            ),
        ]);
        if waiter.chain > 0 {
            let id = WakerId::Thread {
                pid: waiter.pid,
                tid: waiter.tid + 1000,
            };
            row.numbers.chains = Wakers::from([(id, waiter.chain * looks)]);
        }
        for &metric in Metric::ALL.iter().filter(|metric| !metric.is_of_locks()) {
            let value = self.histogram(waiter, metric, looks);
            let known = self.known(metric.name(), value);
            row.numbers.metrics.extend(known.map(|values| (metric, values)));
        }
        row
    }

    fn histogram(&self, waiter: &Waiter, metric: Metric, looks: u64) -> Histogram {
        let [callback, runqueue, delivery] = waiter.phases;
        let usual = match metric {
            Metric::Wakeup => callback + runqueue + delivery,
            Metric::Callback => callback,
            Metric::Runqueue => runqueue,
            Metric::Delivery => delivery,
            Metric::Queue | Metric::Busy => 2 * delivery,
            Metric::Scan => delivery / 2,
            Metric::EventsPerWait | Metric::OverflowLength | Metric::Lock | Metric::Mutex => 1,
        };
        let mut counts: BTreeMap<u16, u64> = BTreeMap::new();
        let mut sum_ns = 0;
        for nth in 0..waiter.wakeups {
            let factor = match nth {
                nth if nth % 100 == 99 => 30,
                nth if nth % 10 == 9 => 4,
                nth => 1 + nth % 3,
            };
            let value = usual * factor;
            *counts.entry(self.bucket(value)).or_default() += looks;
            sum_ns += value * looks;
        }
        Histogram::new(Arc::clone(&self.shape), counts.into_iter().collect(), sum_ns)
    }

    fn bucket(&self, value: u64) -> u16 {
        bucket(&self.shape, value)
    }

    fn lock(&self, contention: &Contention, looks: u64) -> Lock {
        let &(pid, epoll, kind, fd, threads, path, count, each) = contention;
        let (count, sum_ns) = (count * looks, count * looks * each);
        let mut paths = [PathSum::default(); LockPath::COUNT];
        paths[path as usize] = PathSum { count, sum_ns };
        Lock {
            key: LockKey {
                pid,
                tid: None,
                epoll: Some(epoll_id(epoll)),
                kind,
                fd,
            },
            threads: Some(threads),
            paths,
            waited: Histogram::new(Arc::clone(&self.shape), vec![(self.bucket(each), count)], sum_ns),
        }
    }

    fn item(&self, item: &SharedFile, looks: u64) -> SourceItem {
        let &(file, epoll, fd, flags, notifications, woken) = item;
        let waiters = self.waiters.iter().filter(|waiter| waiter.epoll == epoll);
        let listener = Named {
            kind: "tcp".to_owned(),
            name: Some("127.0.0.1:8080".to_owned()),
            inode: Some(4242),
            accept_queue: Some(3),
            netns: Some(NETNS),
        };
        SourceItem {
            counted: true,
            key: SourceItemKey {
                source: SourceId { file, born_ns: 1 },
                epoll: epoll_id(epoll),
                fd,
            },
            notifications: notifications * looks,
            woken: woken * looks,
            passed_on: if flags == 0 { 0 } else { 2 * looks },
            first: 0,
            backlog: (file == 1).then_some(511),
            events: 1 | flags,
            open: true,
            owner: None,
            named: match file {
                1 => Ok(Arc::new(listener)),
                _ => Err("descriptor 7 of process 210 cannot be looked up: ev\u{1b}il".into()),
            },
            waiters: waiters.map(|waiter| self.row(waiter, looks)).collect(),
        }
    }

    fn epolls(&self, looks: u64) -> Vec<Epoll> {
        let mut epolls: BTreeMap<u64, Epoll> = BTreeMap::new();
        for waiter in &self.waiters {
            let epoll = epolls.entry(waiter.epoll).or_insert_with(|| Epoll {
                opened: None,
                items: self.known(ITEMS, 1 + waiter.epoll),
                flags: self.known(FLAGS, (waiter.epoll as u32 % 2) << 31),
                id: epoll_id(waiter.epoll),
                creator: Some(waiter.pid),
                counters: Shared::from(array::from_fn(|index| {
                    self.known(EpollCounter::ALL[index].name(), 0)
                })),
            });
            for counter in epoll.counters.iter_mut().flatten() {
                *counter += waiter.wakeups * looks;
            }
        }
        epolls.into_values().collect()
    }
}

impl Source for Synthetic {
    fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let looks = self.looks;
        self.looks += 1;
        Ok(Snapshot {
            spent: None,
            at_ns: looks * TICK_NS,
            rows: self
                .waiters
                .iter()
                .map(|waiter| self.row(waiter, looks))
                .collect(),
            epolls: self.epolls(looks),
            locks: self
                .contention
                .iter()
                .map(|contention| self.lock(contention, looks))
                .collect(),
            sources: self.shared.iter().map(|item| self.item(item, looks)).collect(),
            listening: if self.shared.is_empty() {
                Vec::new()
            } else {
                LISTENING.map(listening).into()
            },
            readers: Vec::new(),
            delivered: Delivered::default(),
            look: None,
            names: self
                .waiters
                .iter()
                .flat_map(|waiter| [waiter.pid, waiter.tid].map(|id| (id, waiter.name.to_owned())))
                .chain([(CLIENT.1, "client".to_owned())])
                .collect::<BTreeMap<_, _>>()
                .into(),
            losses: self.losses.clone(),
            absent: Arc::new(self.absent.clone()),
        })
    }

    fn plan_line(&self) -> &str {
        "probes: synthetic, nothing missing"
    }
}

/// The bucket of `value`.
pub(super) fn bucket(shape: &Shape, value: u64) -> u16 {
    shape.partition_point(|&edge| edge <= value).saturating_sub(1) as u16
}

/// An epoll by a small number.
pub(super) fn epoll_id(number: u64) -> EpollId {
    EpollId {
        address: (1 << 63) | number,
        born_ns: number,
    }
}

/// Exact below 16 ns, then 16 buckets to a power of two, up to 137 s.
pub(super) fn shape() -> Shape {
    (0..16)
        .chain((4..37).flat_map(|exponent| (0..16).map(move |sub| (16 + sub) << (exponent - 4))))
        .chain([1 << 37])
        .collect()
}
