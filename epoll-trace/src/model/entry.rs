//! One line of a view: the numbers of a process, thread or epoll, and what follows from them.

use super::finding::Severity;
use super::histogram::{Histogram, Quantile};
use super::shared::Shared;
use super::snapshot::{Counter, EpollCounter, EpollId, Metric};
use super::waker::Waker;

/// Below so many values a percentile says little, and ranking by it would put idle processes first.
pub const ENOUGH_VALUES: u64 = 20;

/// An epoll as people know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpollRef {
    /// Which; `None` for all closed epolls of the process together.
    pub id: Option<EpollId>,
    /// Its descriptor number in the process of the entry, where it was seen.
    pub epfd: Option<i32>,
}

/// Whose numbers an [`Entry`] holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryKey {
    /// The process; for a shared epoll the one that created it, else the lowest that waits on it.
    pub pid: u32,
    /// The thread, when grouped by thread.
    pub tid: Option<u32>,
    /// The epoll, when grouped by epoll.
    pub epoll: Option<EpollRef>,
}

impl EntryKey {
    /// `PID:epfd`, the epoll's name everywhere; `PID:closed` and `PID:-` where there is no number.
    pub fn epoll_name(&self) -> Option<String> {
        let epoll = self.epoll?;
        Some(match (epoll.id, epoll.epfd) {
            (None, _) => format!("{}:closed", self.pid),
            (Some(_), Some(epfd)) => format!("{}:{epfd}", self.pid),
            (Some(_), None) => format!("{}:-", self.pid),
        })
    }
}

/// Histograms by [`Metric`].
pub type Metrics = [Option<Histogram>; Metric::COUNT];

/// The numbers of one process, thread or epoll in a window. `None` is "cannot be known here".
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entry {
    /// Whose.
    pub key: EntryKey,
    /// Name of the process, or of the thread when grouped by thread. Not yet safe for a terminal.
    pub name: String,
    /// How many open epolls it waited on.
    pub epolls: u64,
    /// Length of the window that `counters` and `epoll_counters` cover, ns.
    pub span_ns: u64,
    /// By [`Counter`].
    pub counters: [Option<u64>; Counter::COUNT],
    /// By [`EpollCounter`]: of the epoll, or the sum over the epolls it waits on or created.
    pub epoll_counters: [Option<u64>; EpollCounter::COUNT],
    /// By [`Metric`].
    pub metrics: Shared<Metrics>,
    /// Items of its epolls at the end of the window.
    pub items: Option<u64>,
    /// Flags that these were seen to use, as in a mask of epoll_ctl.
    pub flags: Option<u32>,
    /// Processes that waited on its epolls, whether they are shown or not.
    pub processes: u64,
    /// Who made its waiters runnable, most wakeups first; empty unless asked for.
    pub wakers: Vec<Waker>,
    /// What the diagnoses say of it; `None` where none was made.
    pub finding: Option<Badge>,
}

/// The worst finding of an entry with its number; none where there is nothing to find.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Badge(pub Option<(Severity, &'static str)>);

impl Entry {
    /// One counter.
    pub fn counter(&self, counter: Counter) -> Option<u64> {
        self.counters[counter as usize]
    }

    /// One counter of its epolls.
    pub fn epoll_counter(&self, counter: EpollCounter) -> Option<u64> {
        self.epoll_counters[counter as usize]
    }

    /// One histogram.
    pub fn metric(&self, metric: Metric) -> Option<&Histogram> {
        self.metrics[metric as usize].as_ref()
    }

    /// A percentile of a metric, ns.
    pub fn percentile(&self, metric: Metric, quantile: Quantile) -> Option<u64> {
        self.metric(metric)?.percentile(quantile)
    }

    /// Wakeups of all causes that are known; `None` when none is.
    pub fn wakeups(&self) -> Option<u64> {
        self.sum(&[
            Counter::WakeupsSource,
            Counter::WakeupsChain,
            Counter::WakeupsCtl,
            Counter::WakeupsUnclassified,
        ])
    }

    /// Wakeups after which the wait went on or brought nothing, and deliveries whose first accept gave EAGAIN.
    pub fn wasted_wakeups(&self) -> Option<u64> {
        self.counter(Counter::EmptyWakeups)?
            .checked_add(self.counter(Counter::AcceptEagain)?)
    }

    /// Waits that returned events.
    pub fn deliveries(&self) -> Option<u64> {
        self.counter(Counter::DeliveriesSlept)?
            .checked_add(self.counter(Counter::DeliveriesAtOnce)?)
    }

    /// Events per wait, those that returned none included.
    pub fn events_per_wait(&self) -> Option<f64> {
        ratio(self.counter(Counter::Events), self.counter(Counter::Waits))
    }

    /// Part of the wakeups after which there was nothing to deliver, 0 to 1.
    pub fn empty_share(&self) -> Option<f64> {
        ratio(self.counter(Counter::EmptyWakeups), self.wakeups())
    }

    /// Part of the wakeup latency spent on the run queue, 0 to 1.
    pub fn runqueue_share(&self) -> Option<f64> {
        let sum = |metric| self.metric(metric).map(|histogram| histogram.sum_ns);
        ratio(sum(Metric::Runqueue), sum(Metric::Wakeup))
    }

    /// `count` per second of the window.
    pub fn per_second(&self, count: Option<u64>) -> Option<f64> {
        ratio(count, Some(self.span_ns)).map(|per_ns| per_ns * 1e9)
    }

    /// Busy time over busy and waiting time, 0 to 1: how much of its time the loop handles events.
    pub fn utilization(&self) -> Option<f64> {
        let (busy, waiting) = (self.counter(Counter::BusyNs)?, self.counter(Counter::WaitingNs)?);
        let total = busy + waiting;
        (total > 0).then(|| busy as f64 / total as f64)
    }

    /// Calls of epoll_ctl on its epolls, failed ones included.
    pub fn ctl(&self) -> Option<u64> {
        const CTL: [EpollCounter; 8] = [
            EpollCounter::CtlAdd,
            EpollCounter::CtlMod,
            EpollCounter::CtlDel,
            EpollCounter::CtlEinval,
            EpollCounter::CtlEexist,
            EpollCounter::CtlEnoent,
            EpollCounter::CtlEbadf,
            EpollCounter::CtlErrors,
        ];
        CTL.iter().map(|&counter| self.epoll_counter(counter)).sum()
    }

    /// One count over another, `None` where one is not known or the other is 0.
    pub fn ratio(&self, part: Option<u64>, whole: Option<u64>) -> Option<f64> {
        ratio(part, whole)
    }

    /// Whether its percentiles rest on enough values to rank by them.
    pub fn has_enough_values(&self) -> bool {
        self.metric(Metric::Wakeup)
            .is_some_and(|histogram| histogram.count() >= ENOUGH_VALUES)
    }

    /// Whether nothing was counted.
    pub fn is_idle(&self) -> bool {
        let counters = self.counters.iter().chain(&self.epoll_counters);
        counters.flatten().all(|&count| count == 0)
    }

    fn sum(&self, counters: &[Counter]) -> Option<u64> {
        counters
            .iter()
            .filter_map(|&counter| self.counter(counter))
            .reduce(u64::saturating_add)
    }
}

fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let (part, whole) = part.zip(whole)?;
    (whole > 0).then(|| part as f64 / whole as f64)
}
