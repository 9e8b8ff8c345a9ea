//! What a tracer that watched all of a run must have counted: the generator's own steps and the sums over its waiters.

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use serde::Serialize;

use super::arena::Slot;
use super::catalog::Family;
use crate::model::snapshot::{Counter, EpollCounter};

/// What the generator knows of a run; the rest the waiters know.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    /// Events fired on the watched file.
    pub(super) events_sent: u64,
    /// Events the generator itself took off again.
    pub(super) events_taken_back: u64,
    /// Waiters ended through a stop eventfd: one notification, wakeup and delivery each.
    pub(super) stops: u64,
    /// Epolls that were made.
    pub(super) epolls: u64,
    /// Calls of ep_poll_callback, stops included.
    pub(super) notifications: u64,
    /// Wakeups inside notifications, stops included.
    pub(super) wakeups_source: u64,
    /// Wakeups at the end of another waiter's scan.
    pub(super) wakeups_chain: u64,
    /// Scans of ready lists (`ep_done_scan`, before 6.1 `ep_scan_ready_list`), where they can be told.
    pub(super) scans: Option<u64>,
    /// Scans of an epoll by poll, for the epoll that watches it, within the scans above.
    pub(super) scans_polled: u64,
    /// Notifications that made something ready while nobody slept on that epoll.
    pub(super) queued: u64,
    /// Notifications of nothing an item asks for.
    pub(super) unasked: u64,
    /// Notifications by an epoll that is watched itself.
    pub(super) nested: u64,
    /// Waiters killed while they waited.
    pub(super) killed: u64,
    /// Events came while waiters ran: who slept and who was woken cannot be told.
    pub(super) raced: bool,
    /// Events came while waiters scanned: how many of them met a scan cannot be told.
    pub(super) overflows: bool,
    /// Waits that io_uring completed.
    pub(super) uring_waits: u64,
    /// Their events.
    pub(super) uring_events: u64,
    /// Connections, or bytes, that were left when the waiter found nothing more.
    pub(super) stranded: Option<u64>,
    /// Whom an event reaches, of scenarios in which several compete.
    pub(super) reach: Option<Reach>,
    /// Calls of epoll_ctl, of scenarios that are about them; in all others none fails, and none is idle.
    pub(super) ctl: Option<Ctl>,
}

impl Known {
    /// A number that is known unless events raced with the waiters.
    fn told(&self, number: u64) -> Option<u64> {
        (!self.raced).then_some(number)
    }
}

/// Whom one event of a source reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Items that watch the source.
    pub items: u64,
    /// Items that are notified.
    pub fan_out: u64,
    /// Waiters that are made runnable inside these notifications.
    pub woken_per_event: u64,
    /// Waiters that other waiters then make runnable; null where that depends on who is first.
    pub chain_per_event: Option<u64>,
    /// Of the items notified those that pass it on to the next: EPOLLEXCLUSIVE, and nobody waits there.
    pub passed_on_per_event: u64,
}

/// Calls of epoll_ctl by result, under the names of a tracer's counters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Ctl {
    /// EPOLL_CTL_ADD done, those before the first event included.
    pub ctl_add: u64,
    /// EPOLL_CTL_MOD done.
    pub ctl_mod: u64,
    /// Those that changed nothing.
    pub ctl_mod_same: u64,
    /// EPOLL_CTL_DEL done.
    pub ctl_del: u64,
    /// Failed with EINVAL.
    pub ctl_einval: u64,
    /// Failed with EEXIST.
    pub ctl_eexist: u64,
    /// Failed with ENOENT.
    pub ctl_enoent: u64,
    /// Failed with EBADF.
    pub ctl_ebadf: u64,
}

/// What a tracer must count; in JSON `{"exact": N}`, or null where the run cannot tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Expect {
    /// This number.
    Exact {
        /// The number.
        exact: u64,
    },
    /// Not known.
    Unknown,
}

impl Expect {
    /// The number, where there is one.
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exact { exact } => Some(exact),
            Self::Unknown => None,
        }
    }
}

/// What a tracer must count: the generator's knowledge and the sums over the waiters.
pub(super) fn expect(
    family: Family,
    known: &Known,
    sum: impl Fn(fn(&Slot) -> &AtomicU64) -> u64,
) -> BTreeMap<&'static str, Expect> {
    let slept = sum(|slot| &slot.deliveries_slept);
    let at_once = sum(|slot| &slot.deliveries_at_once);
    let waiters = Counter::ALL
        .iter()
        .map(|&counter| (counter.name(), of_waiters(counter, family, known, &sum)));
    let epolls = EpollCounter::ALL
        .iter()
        .map(|&counter| (counter.name(), of_epolls(counter, known)));
    let wakeups = known.wakeups_source + known.wakeups_chain;
    let eagain = count_if(family.accepts(), sum(|slot| &slot.eagain));
    let empty = wakeups.checked_sub(slept).and_then(|empty| known.told(empty));
    let wasted = empty.zip(eagain).map(|(empty, eagain)| empty + eagain);
    let derived = [
        ("wakeups", known.told(wakeups)),
        ("deliveries", Some(slept + at_once)),
        ("wasted_wakeups", wasted),
    ];
    let number = |number: Option<u64>| number.map_or(Expect::Unknown, |exact| Expect::Exact { exact });
    let all = waiters.chain(epolls).chain(derived);
    all.map(|(name, expected)| (name, number(expected))).collect()
}

fn of_waiters(
    counter: Counter,
    family: Family,
    known: &Known,
    sum: impl Fn(fn(&Slot) -> &AtomicU64) -> u64,
) -> Option<u64> {
    let slept = sum(|slot| &slot.deliveries_slept);
    let at_once = sum(|slot| &slot.deliveries_at_once);
    // Every wakeup either leads to the delivery of that wait, or was for nothing, and so was the scan after it.
    let empty = (known.wakeups_source + known.wakeups_chain).checked_sub(slept);
    match counter {
        // A killed wait returns -EINTR inside the kernel like any interrupted one.
        Counter::Waits => Some(sum(|slot| &slot.waits) + known.killed),
        Counter::Interrupted => Some(sum(|slot| &slot.interrupted) + known.killed),
        Counter::DeliveriesSlept => known.told(slept),
        Counter::DeliveriesAtOnce => known.told(at_once),
        Counter::Events => Some(sum(|slot| &slot.events)),
        Counter::Timeouts => Some(sum(|slot| &slot.timeouts)),
        Counter::ZeroTimeouts => Some(sum(|slot| &slot.zero_timeouts)),
        Counter::WakeupsSource => known.told(known.wakeups_source),
        Counter::WakeupsChain => known.told(known.wakeups_chain),
        Counter::EmptyWakeups => empty.and_then(|empty| known.told(empty)),
        // A waiter that shares its epoll may look twice in vain before it sleeps.
        Counter::ScansSpurious => known.scans.and(empty),
        // What is left of the scans by waits.
        Counter::ScansRepoll => {
            let others = known.scans_polled + slept + at_once + empty?;
            known.scans?.checked_sub(others)
        }
        // Stops come by an eventfd.
        Counter::WakeupsTimer => count_if(
            family.by_timers(),
            known.wakeups_source.saturating_sub(known.stops),
        )
        .and_then(|wakeups| known.told(wakeups)),
        Counter::Accepts => count_if(family.accepts(), sum(|slot| &slot.consumed)),
        Counter::AcceptEagain => count_if(family.accepts(), sum(|slot| &slot.eagain)),
        Counter::AcceptErrors => Some(0),
        // Waiters sleep before they are woken.
        Counter::AlreadyRunnable => known.told(0),
        // Nothing is added or changed while it is ready; no wait fails, and none is asked for as few events as are ready.
        Counter::FullBatches | Counter::Errors | Counter::WakeupsCtl => Some(0),
        // Depends on what the tracer can see, or on its clock, not on the run.
        Counter::WakeupsUnclassified | Counter::WaitingNs | Counter::BusyNs => None,
    }
}

/// `count` of what a scenario does, 0 of what it does not; `None` where it does it in ways of its own.
fn count_if(does: Option<bool>, count: u64) -> Option<u64> {
    does.map(|does| if does { count } else { 0 })
}

fn of_epolls(counter: EpollCounter, known: &Known) -> Option<u64> {
    let ctl = known.ctl.unwrap_or_default();
    match counter {
        EpollCounter::Notifications => Some(known.notifications),
        EpollCounter::NotificationsUnasked => Some(known.unasked),
        EpollCounter::NotificationsQueued => known.told(known.queued),
        EpollCounter::NotificationsNested => Some(known.nested),
        EpollCounter::Scans => known.scans,
        EpollCounter::NotificationsInScan
        | EpollCounter::ScansOverflow
        | EpollCounter::OverflowItems
        | EpollCounter::OverflowMore => known.told(0).filter(|_| !known.overflows),
        EpollCounter::CtlAdd => known.ctl.map(|ctl| ctl.ctl_add),
        EpollCounter::CtlMod => known.ctl.map(|ctl| ctl.ctl_mod),
        EpollCounter::CtlDel => known.ctl.map(|ctl| ctl.ctl_del),
        EpollCounter::CtlModSame => Some(ctl.ctl_mod_same),
        EpollCounter::CtlEinval => Some(ctl.ctl_einval),
        EpollCounter::CtlEexist => Some(ctl.ctl_eexist),
        EpollCounter::CtlEnoent => Some(ctl.ctl_enoent),
        EpollCounter::CtlEbadf => Some(ctl.ctl_ebadf),
        EpollCounter::Created | EpollCounter::Closed => Some(known.epolls),
        EpollCounter::ItemsReleased
        | EpollCounter::LockWaits
        | EpollCounter::MutexWaits
        | EpollCounter::SourceLockWaits => None,
        EpollCounter::UringWaits => Some(known.uring_waits),
        EpollCounter::UringEvents => Some(known.uring_events),
        EpollCounter::CtlErrors => Some(0),
    }
}
