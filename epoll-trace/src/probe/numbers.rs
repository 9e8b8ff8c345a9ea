//! Which signals each number rests on: commands ask for numbers, the plan says which of them cannot be known.

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::Signal;
use super::plan::Identity;
use crate::model::snapshot::{Counter, EpollCounter, Metric};

/// A number that a view may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Number {
    /// A histogram.
    Metric(Metric),
    /// A counter of a waiter's row.
    Counter(Counter),
    /// A counter of an epoll.
    Epoll(EpollCounter),
}

impl Number {
    /// Every number.
    pub fn all() -> impl Iterator<Item = Self> {
        let metrics = Metric::ALL.iter().map(|&metric| Self::Metric(metric));
        let counters = Counter::ALL.iter().map(|&counter| Self::Counter(counter));
        let epolls = EpollCounter::ALL.iter().map(|&counter| Self::Epoll(counter));
        metrics.chain(counters).chain(epolls)
    }

    /// The name in JSON and in [`absent`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.name(),
            Self::Counter(counter) => counter.name(),
            Self::Epoll(counter) => counter.name(),
        }
    }

    /// Without one of these it cannot be known.
    pub const fn required(self) -> &'static [Signal] {
        const WAITS: &[Signal] = &[Signal::WaitEnter, Signal::WaitReturn];
        const CAUSES: &[Signal] = &[
            Signal::WaitEnter,
            Signal::WaitReturn,
            Signal::Wakeup,
            Signal::Notification,
        ];
        const QUEUE: &[Signal] = &[
            Signal::WaitEnter,
            Signal::WaitReturn,
            Signal::Notification,
            Signal::ScanEnd,
        ];
        const PHASES: &[Signal] = &[
            Signal::WaitEnter,
            Signal::WaitReturn,
            Signal::Wakeup,
            Signal::OnCpu,
        ];
        match self {
            Self::Metric(Metric::Wakeup) => MAIN,
            Self::Metric(Metric::Callback) => CAUSES,
            Self::Metric(Metric::Runqueue | Metric::Delivery) => PHASES,
            Self::Metric(Metric::Busy | Metric::EventsPerWait) => WAITS,
            Self::Metric(Metric::Queue) => QUEUE,
            Self::Metric(Metric::Scan) => &[
                Signal::WaitEnter,
                Signal::WaitReturn,
                Signal::ScanStart,
                Signal::ScanEnd,
            ],
            Self::Metric(Metric::OverflowLength) => &[Signal::WaitEnter, Signal::ScanEnd],
            Self::Counter(counter) => match counter {
                Counter::Waits
                | Counter::Events
                | Counter::FullBatches
                | Counter::Timeouts
                | Counter::ZeroTimeouts
                | Counter::Interrupted
                | Counter::Errors
                | Counter::WaitingNs
                | Counter::BusyNs => WAITS,
                Counter::AlreadyRunnable => &[Signal::WaitEnter, Signal::Wakeup, Signal::Notification],
                Counter::ScansRepoll | Counter::ScansSpurious => &[
                    Signal::WaitEnter,
                    Signal::WaitReturn,
                    Signal::Wakeup,
                    Signal::Scan,
                ],
                Counter::DeliveriesSlept
                | Counter::DeliveriesAtOnce
                | Counter::EmptyWakeups
                | Counter::WakeupsUnclassified => MAIN,
                Counter::WakeupsSource | Counter::WakeupsChain | Counter::WakeupsCtl => CAUSES,
            },
            Self::Epoll(counter) => match counter {
                EpollCounter::Notifications
                | EpollCounter::NotificationsUnasked
                | EpollCounter::NotificationsQueued
                | EpollCounter::NotificationsInScan
                | EpollCounter::NotificationsNested => &[Signal::Notification],
                EpollCounter::Scans => &[Signal::Scan],
                EpollCounter::ScansOverflow | EpollCounter::OverflowItems | EpollCounter::OverflowMore => {
                    &[Signal::ScanEnd]
                }
                EpollCounter::CtlAdd
                | EpollCounter::CtlMod
                | EpollCounter::CtlDel
                | EpollCounter::CtlModSame
                | EpollCounter::CtlEinval
                | EpollCounter::CtlEexist
                | EpollCounter::CtlEnoent
                | EpollCounter::CtlEbadf
                | EpollCounter::CtlErrors => &[Signal::Ctl],
                EpollCounter::UringWaits | EpollCounter::UringEvents => &[Signal::UringWait],
            },
        }
    }

    /// With these it is exact, without them it is still known, as the plan's `lost` says.
    const fn better_with(self) -> &'static [Signal] {
        match self {
            // The wait begins at the notification's entry, not when the waiter is made runnable.
            Self::Metric(Metric::Wakeup) => &[Signal::Notification],
            _ => &[],
        }
    }
}

/// Without these there is no main job.
pub const MAIN: &[Signal] = &[Signal::WaitEnter, Signal::WaitReturn, Signal::Wakeup];

/// They keep identities right and tables small, whatever is measured.
const ALWAYS: &[Signal] = &[Signal::EpollBirth, Signal::EpollDeath, Signal::TaskExit];

/// The signals to ask the plan for in order to show `number`.
pub fn needs_of(number: Number) -> BTreeSet<Signal> {
    let lists = [MAIN, ALWAYS, number.required(), number.better_with()];
    lists.into_iter().flatten().copied().collect()
}

/// The signals to ask for in order to show all of `numbers`. A traced command's process tree needs
/// [`Signal::ProcessFork`] on top.
pub fn wanted(numbers: impl IntoIterator<Item = Number>) -> BTreeSet<Signal> {
    let main = MAIN.iter().chain(ALWAYS).copied();
    main.chain(numbers.into_iter().flat_map(needs_of)).collect()
}

/// Every number that cannot be known, with the reason; `missing` says why a signal is not there, `None` that it is.
///
/// Whatever happens to an epoll outside a wait names it by address only, so a descriptor number does not help there.
pub(super) fn absent(
    identity: &Identity,
    missing: impl Fn(Signal) -> Option<String>,
) -> BTreeMap<String, String> {
    let hidden = |number| match (number, identity) {
        (
            Number::Epoll(_)
            | Number::Metric(Metric::Queue | Metric::OverflowLength)
            | Number::Counter(Counter::AlreadyRunnable),
            Identity::Descriptor(why),
        ) => Some(format!("the epoll's kernel address cannot be had: {why}")),
        _ => None,
    };
    let why = |number: Number| {
        let mut required = number.required().iter();
        required
            .find_map(|&signal| missing(signal))
            .or_else(|| hidden(number))
    };
    Number::all()
        .filter_map(|number| Some((number.name().to_owned(), why(number)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_across_kinds() {
        let names: BTreeSet<_> = Number::all().map(Number::name).collect();
        assert_eq!(names.len(), Number::all().count());
    }

    #[test]
    fn the_phases_ask_for_the_switch_and_the_total_does_not() {
        assert!(needs_of(Number::Metric(Metric::Runqueue)).contains(&Signal::OnCpu));
        let total = needs_of(Number::Metric(Metric::Wakeup));
        assert!(total.contains(&Signal::Notification) && !total.contains(&Signal::OnCpu));
        assert!(MAIN.iter().all(|signal| wanted([]).contains(signal)));
    }

    #[test]
    fn everything_needs_every_signal_but_fork() {
        let all: BTreeSet<_> = Signal::ALL
            .iter()
            .copied()
            .filter(|&signal| signal != Signal::ProcessFork)
            .collect();
        assert_eq!(wanted(Number::all()), all);
    }
}
