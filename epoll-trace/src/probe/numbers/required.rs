//! The signals without which a histogram or a counter cannot be known: tables.

use super::MAIN;
use crate::model::snapshot::{Counter, EpollCounter, Metric};
use crate::probe::catalog::Signal;

/// Waits from begin to end.
pub(super) const WAITS: &[Signal] = &[Signal::WaitEnter, Signal::WaitReturn];
/// Who or what made a waiter runnable.
pub(super) const CAUSES: &[Signal] = &[
    Signal::WaitEnter,
    Signal::WaitReturn,
    Signal::Wakeup,
    Signal::Notification,
];
/// What waits for a loop that does not sleep.
const QUEUE: &[Signal] = &[
    Signal::WaitEnter,
    Signal::WaitReturn,
    Signal::Notification,
    Signal::ScanEnd,
];
/// Parts of a wakeup.
const PHASES: &[Signal] = &[Signal::WaitReturn, Signal::Wakeup, Signal::OnCpu];

/// What a histogram rests on.
pub(super) const fn of_metric(metric: Metric) -> &'static [Signal] {
    match metric {
        Metric::Wakeup => MAIN,
        Metric::Callback => &[Signal::WaitReturn, Signal::Wakeup, Signal::Notification],
        Metric::Runqueue | Metric::Delivery => PHASES,
        Metric::Busy => WAITS,
        Metric::EventsPerWait => &[Signal::WaitReturn],
        Metric::Queue => QUEUE,
        Metric::Scan => &[
            Signal::WaitEnter,
            Signal::WaitReturn,
            Signal::ScanStart,
            Signal::ScanEnd,
        ],
        // A lock is an epoll's only where the epoll is known: from the begin of a wait on.
        Metric::Lock | Metric::Mutex => &[Signal::Contention, Signal::WaitEnter],
        Metric::OverflowLength => &[Signal::WaitEnter, Signal::Notification, Signal::ScanEnd],
    }
}

/// What a counter of a row rests on.
pub(super) const fn of_counter(counter: Counter) -> &'static [Signal] {
    match counter {
        Counter::Waits
        | Counter::Events
        | Counter::FullBatches
        | Counter::Timeouts
        | Counter::ZeroTimeouts
        | Counter::Interrupted
        | Counter::Errors => &[Signal::WaitReturn],
        Counter::WaitingNs | Counter::BusyNs => WAITS,
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
        Counter::WakeupsSource | Counter::WakeupsTimer | Counter::WakeupsChain | Counter::WakeupsCtl => {
            CAUSES
        }
        Counter::Accepts | Counter::AcceptEagain | Counter::AcceptErrors => {
            &[Signal::WaitEnter, Signal::WaitReturn, Signal::Accept]
        }
    }
}

/// What a counter of an epoll rests on.
pub(super) const fn of_epoll(counter: EpollCounter) -> &'static [Signal] {
    match counter {
        EpollCounter::Notifications
        | EpollCounter::NotificationsUnasked
        | EpollCounter::NotificationsQueued
        | EpollCounter::NotificationsInScan
        | EpollCounter::NotificationsNested => &[Signal::Notification],
        EpollCounter::Scans => &[Signal::Scan],
        EpollCounter::ScansOverflow | EpollCounter::OverflowItems | EpollCounter::OverflowMore => {
            // What a list gets is counted where it gets it.
            &[Signal::Notification, Signal::ScanEnd]
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
        EpollCounter::LockWaits | EpollCounter::MutexWaits => &[Signal::Contention],
        // Wait queues of sources are known from their notifications.
        EpollCounter::SourceLockWaits => &[Signal::Contention, Signal::Notification],
        EpollCounter::UringWaits | EpollCounter::UringEvents => &[Signal::UringWait],
        EpollCounter::ItemsReleased => &[Signal::FileRelease],
        EpollCounter::Created => &[Signal::EpollBirth],
        EpollCounter::Closed => &[Signal::EpollDeath],
    }
}
