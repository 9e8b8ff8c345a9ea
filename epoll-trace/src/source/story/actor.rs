//! A waiter of [`super::Story`] as it goes through its seconds.

use std::collections::BTreeMap;
use std::sync::Arc;

use fastrand::Rng;

use super::cast::Waiter;
use crate::model::histogram::{Histogram, Shape};
use crate::model::shared::Shared;
use crate::model::snapshot::{Counter, Metric, Numbers, Row, RowKey};
use crate::model::waker::{WakerId, Wakers};
use crate::source::synthetic::{bucket, epoll_id};

/// ns.
pub(super) const SECOND: u64 = 1_000_000_000;
/// Different values in one histogram and second, at most.
const DRAWN: u64 = 256;
/// One in so many handlers blocks, so many times as long as others take.
const BLOCKS: (u64, u64) = (40, 15);
/// How much longer the run queue is in a crowd.
const CROWD: u64 = 6;

/// One second: what is the same for all waiters in it.
pub(super) struct Second<'a> {
    /// Percent of the usual load. One for all, so that an event of a shared file is one for each who watches it.
    pub load: u64,
    /// Others want the CPUs.
    pub crowd: bool,
    /// Of the histograms.
    pub shape: &'a Shape,
    /// Where chance comes from.
    pub rng: &'a mut Rng,
}

impl Second<'_> {
    /// How much of `usual` there is.
    pub(super) fn at(&self, usual: u64) -> u64 {
        (usual * self.load + 50) / 100
    }

    /// A value near `usual`.
    fn near(&mut self, usual: u64) -> u64 {
        usual * self.rng.u64(60..188) / 100
    }

    /// A latency: mostly near `usual`, seldom far beyond.
    fn latency(&mut self, usual: u64) -> u64 {
        let near = self.near(usual);
        match self.rng.u8(0..128) {
            0 => 20 * near,
            1..5 => 7 * near,
            5..20 => 3 * near,
            _ => near,
        }
    }

    /// A time between two waits.
    fn handled(&mut self, usual: u64, blocks: bool) -> u64 {
        let near = self.near(usual);
        if blocks && self.rng.u64(0..BLOCKS.0) == 0 {
            BLOCKS.1 * near
        } else {
            near
        }
    }
}

/// How many of `count` each of some few values stands for.
fn portions(count: u64) -> impl Iterator<Item = u64> {
    let drawn = count.min(DRAWN);
    (0..drawn).map(move |nth| count * (nth + 1) / drawn - count * nth / drawn)
}

/// Values of one metric.
#[derive(Clone, Debug, Default)]
pub(super) struct Values {
    counts: BTreeMap<u16, u64>,
    /// All together.
    pub sum: u64,
}

impl Values {
    /// `times` times `value`.
    pub(super) fn note(&mut self, shape: &Shape, value: u64, times: u64) {
        *self.counts.entry(bucket(shape, value)).or_default() += times;
        self.sum += value * times;
    }

    /// `count` values near `usual`.
    pub(super) fn note_near(&mut self, second: &mut Second<'_>, count: u64, usual: u64) {
        for times in portions(count) {
            let value = second.near(usual);
            self.note(second.shape, value, times);
        }
    }

    /// How many.
    pub(super) fn count(&self) -> u64 {
        self.counts.values().sum()
    }

    /// As the model has them.
    pub(super) fn histogram(&self, shape: &Shape) -> Histogram {
        let counts = self.counts.iter().map(|(&bucket, &count)| (bucket, count));
        Histogram::new(Arc::clone(shape), counts.collect(), self.sum)
    }
}

/// A waiter, and what it did so far.
#[derive(Clone, Debug)]
pub(super) struct Actor {
    /// Which.
    pub waiter: &'static Waiter,
    /// Wakeups by the file it shares with others.
    pub shared: u64,
    counters: [u64; Counter::COUNT],
    values: BTreeMap<Metric, Values>,
}

impl Actor {
    /// It did nothing yet.
    pub(super) fn new(waiter: &'static Waiter) -> Self {
        Self {
            waiter,
            shared: 0,
            counters: [0; Counter::COUNT],
            values: BTreeMap::new(),
        }
    }

    /// One second goes by.
    pub(super) fn play(&mut self, second: &mut Second<'_>) {
        let does = &self.waiter.does;
        let (source, chain, empty) = (
            second.at(does.source),
            second.at(does.chain),
            second.at(does.empty),
        );
        let (slept, at_once) = (source + chain - empty, second.at(does.at_once));
        let polls = second.at(does.polls);
        let waits = slept + at_once + polls + does.timeouts;
        self.shared += second.at(does.shared);
        self.wakeups(second, slept);
        for times in portions(at_once) {
            let value = second.latency(does.busy / 2);
            self.note(second, Metric::Queue, value, times);
        }
        let (mut events, mut busy) = (0, 0);
        for times in portions(slept + at_once) {
            let value = second.rng.u64(1..=does.events);
            events += value * times;
            self.note(second, Metric::EventsPerWait, value, times);
            let window = second.near(does.phases[2] / 3);
            self.note(second, Metric::Scan, window, times);
        }
        for times in portions(waits) {
            let value = second.handled(does.busy, does.blocks);
            busy += value * times;
            self.note(second, Metric::Busy, value, times);
        }
        let busy = busy.min(SECOND * 97 / 100);
        for (counter, more) in [
            (Counter::Waits, waits),
            (Counter::DeliveriesSlept, slept),
            (Counter::DeliveriesAtOnce, at_once),
            (Counter::Events, events),
            (Counter::ZeroTimeouts, polls),
            (Counter::Timeouts, does.timeouts),
            (Counter::WakeupsSource, source),
            (Counter::WakeupsChain, chain),
            (Counter::EmptyWakeups, empty),
            (Counter::ScansSpurious, empty),
            (Counter::Accepts, second.at(does.accepts)),
            (Counter::AcceptEagain, second.at(does.eagain)),
            (Counter::BusyNs, busy),
            (Counter::WaitingNs, SECOND - busy),
        ] {
            self.counters[counter as usize] += more;
        }
    }

    /// The times of `count` deliveries that slept.
    fn wakeups(&mut self, second: &mut Second<'_>, count: u64) {
        let does = &self.waiter.does;
        let [callback, mut runqueue, delivery] = does.phases;
        if does.crowded && second.crowd {
            runqueue *= CROWD;
        }
        for times in portions(count) {
            let phases = [
                (Metric::Callback, second.near(callback)),
                (Metric::Runqueue, second.latency(runqueue)),
                (Metric::Delivery, second.near(delivery)),
            ];
            for (metric, value) in phases {
                self.note(second, metric, value, times);
            }
            let whole = phases.iter().map(|&(_, value)| value).sum();
            self.note(second, Metric::Wakeup, whole, times);
        }
    }

    fn note(&mut self, second: &Second<'_>, metric: Metric, value: u64, times: u64) {
        let values = self.values.entry(metric).or_default();
        values.note(second.shape, value, times);
    }

    /// A counter.
    pub(super) fn count(&self, counter: Counter) -> u64 {
        self.counters[counter as usize]
    }

    /// As the model has it.
    pub(super) fn row(&self, shape: &Shape) -> Row {
        let Waiter {
            pid,
            tid,
            epoll,
            epfd,
            ..
        } = *self.waiter;
        let thread = |tid| WakerId::Thread { pid, tid };
        let chain = self.count(Counter::WakeupsChain);
        Row {
            key: RowKey {
                pid,
                tid: Some(tid),
                epoll: Some(epoll_id(epoll)),
            },
            epfd: Some(epfd),
            numbers: Shared::from(Numbers {
                counters: self.counters.map(Some),
                metrics: self
                    .values
                    .iter()
                    .map(|(&metric, values)| (metric, values.histogram(shape)))
                    .collect(),
                wakers: Wakers::from([
                    (WakerId::Softirq, self.count(Counter::WakeupsSource)),
                    (thread(pid), chain),
                ]),
                chains: if chain > 0 {
                    Wakers::from([(thread(pid), chain)])
                } else {
                    Wakers::default()
                },
            }),
        }
    }
}
