//! Which signals each number rests on: commands ask for numbers, the plan says which of them cannot be known.

mod required;

use std::collections::{BTreeMap, BTreeSet};

use super::catalog::{Need, Signal};
use super::plan::Identity;
use crate::kernel::caps::Capability;
use crate::kernel::offsets::Offset;
use crate::kernel::{Facts, names};
use crate::model::files::{FILE_TIMES, FILES};
use crate::model::readers::READERS;
use crate::model::snapshot::{Counter, EpollCounter, FLAGS, ITEMS, Metric};
use crate::model::source::SOURCES;
use crate::model::waker::{CHAINS, WAKERS};

/// A number that a view may show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Number {
    /// A histogram.
    Metric(Metric),
    /// A counter of a waiter's row.
    Counter(Counter),
    /// A counter of an epoll.
    Epoll(EpollCounter),
    /// How many items an epoll has.
    Items,
    /// Which flags its items use.
    Flags,
    /// Who wakes.
    Wakers,
    /// Which threads wake the next one of their epoll.
    Chains,
    /// What files that several watch, and listeners, bring.
    Sources,
    /// Who reads fdinfo.
    Readers,
    /// Which files deliveries return, and to which threads.
    Files,
    /// How long they waited for that.
    FileTimes,
}

impl Number {
    /// Every number.
    pub fn all() -> impl Iterator<Item = Self> {
        let metrics = Metric::ALL.iter().map(|&metric| Self::Metric(metric));
        let counters = Counter::ALL.iter().map(|&counter| Self::Counter(counter));
        let epolls = EpollCounter::ALL.iter().map(|&counter| Self::Epoll(counter));
        metrics.chain(counters).chain(epolls).chain([
            Self::Items,
            Self::Flags,
            Self::Wakers,
            Self::Chains,
            Self::Sources,
            Self::Readers,
            Self::Files,
            Self::FileTimes,
        ])
    }

    /// The number called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|number| number.name() == name)
    }

    /// The name in JSON and in [`absent`].
    pub const fn name(self) -> &'static str {
        match self {
            Self::Metric(metric) => metric.name(),
            Self::Counter(counter) => counter.name(),
            Self::Epoll(counter) => counter.name(),
            Self::Items => ITEMS,
            Self::Flags => FLAGS,
            Self::Wakers => WAKERS,
            Self::Chains => CHAINS,
            Self::Sources => SOURCES,
            Self::Readers => READERS,
            Self::Files => FILES,
            Self::FileTimes => FILE_TIMES,
        }
    }

    /// Whether it is about locks: measured only where it is asked for by name, since it costs a look at every contended lock
    /// of the machine and at the wait queue of every notification.
    pub const fn is_of_locks(self) -> bool {
        match self {
            Self::Metric(metric) => metric.is_of_locks(),
            Self::Counter(_)
            | Self::Items
            | Self::Flags
            | Self::Wakers
            | Self::Chains
            | Self::Sources
            | Self::Readers
            | Self::Files
            | Self::FileTimes => false,
            Self::Epoll(counter) => matches!(
                counter,
                EpollCounter::LockWaits | EpollCounter::MutexWaits | EpollCounter::SourceLockWaits
            ),
        }
    }

    /// Whether it is counted where waits return or waiters are woken, without knowing the begins of waits or what else goes on.
    pub const fn is_of_waits(self) -> bool {
        matches!(
            self,
            Self::Counter(
                Counter::Waits
                    | Counter::Events
                    | Counter::FullBatches
                    | Counter::Timeouts
                    | Counter::ZeroTimeouts
                    | Counter::Interrupted
                    | Counter::Errors
                    | Counter::DeliveriesSlept
                    | Counter::DeliveriesAtOnce
                    | Counter::EmptyWakeups
                    | Counter::WakeupsUnclassified
            )
        )
    }

    /// Whether it tells what a herd's workers make of their wakeups.
    pub const fn is_of_workers(self) -> bool {
        matches!(
            self,
            Self::Counter(
                Counter::WakeupsSource
                    | Counter::WakeupsChain
                    | Counter::WakeupsCtl
                    | Counter::AlreadyRunnable
                    | Counter::Accepts
                    | Counter::AcceptEagain
                    | Counter::AcceptErrors
                    | Counter::WaitingNs
                    | Counter::BusyNs
            )
        ) || self.is_of_waits()
    }

    /// Without one of these it cannot be known.
    pub const fn required(self) -> &'static [Signal] {
        match self {
            Self::Metric(metric) => required::of_metric(metric),
            Self::Counter(counter) => required::of_counter(counter),
            Self::Epoll(counter) => required::of_epoll(counter),
            Self::Items => &[Signal::EpollBirth, Signal::Ctl, Signal::FileRelease],
            Self::Flags => &[Signal::EpollBirth, Signal::Ctl],
            Self::Wakers | Self::Chains => required::CAUSES,
            Self::Sources => &[Signal::Wakeup, Signal::Notification],
            Self::Readers => &[Signal::FdinfoRead],
            Self::Files => required::WAITS,
            Self::FileTimes => &[Signal::WaitEnter, Signal::WaitReturn, Signal::Notification],
        }
    }

    /// What the kernel must tell besides.
    const fn needs(self) -> &'static [Need] {
        const PROBE_READ: Need = Need::Capability(Capability::ProbeReadKernel);
        match self {
            Self::Counter(Counter::WakeupsTimer) => &[
                PROBE_READ,
                Need::Data(names::TIMERFD_FOPS),
                Need::Offset(Offset::ItemFile),
                Need::Offset(Offset::FileFop),
            ],
            Self::Wakers => &[PROBE_READ, Need::PreemptCount, Need::Data(names::PER_CPU_OFFSETS)],
            Self::Sources => &[
                PROBE_READ,
                Need::Offset(Offset::EntryNext),
                Need::Offset(Offset::EntryPrev),
                Need::Offset(Offset::WaitWhead),
                Need::Offset(Offset::QueueHead),
                Need::Offset(Offset::ItemFile),
                Need::Offset(Offset::ItemFd),
                Need::Offset(Offset::ItemEvents),
                Need::Offset(Offset::ItemFllink),
                Need::Offset(Offset::FileEp),
                Need::Offset(Offset::FileInode),
                Need::Offset(Offset::InodeIno),
                Need::Offset(Offset::FilePrivate),
                Need::Offset(Offset::SocketFile),
                Need::Offset(Offset::SocketSk),
                Need::Offset(Offset::SockState),
                Need::Offset(Offset::SockBacklog),
            ],
            Self::Files => &[
                PROBE_READ,
                Need::Offset(Offset::FilePrivate),
                Need::Offset(Offset::SocketFile),
                Need::Offset(Offset::SocketSk),
                Need::Offset(Offset::SocketType),
                Need::Offset(Offset::SockState),
            ],
            Self::FileTimes => &[
                PROBE_READ,
                Need::Offset(Offset::ItemEvents),
                Need::Offset(Offset::ItemFile),
                Need::Offset(Offset::ItemFd),
            ],
            _ => &[],
        }
    }

    /// With these it is exact, without them it is still known, as the plan's `lost` says.
    pub const fn better_with(self) -> &'static [Signal] {
        match self {
            // What an epoll had before us is read once.
            Self::Items | Self::Flags => &[Signal::EpollShown],
            // A file that goes unseen is another source only once its address is used again; an item that comes or goes unseen is noted
            // at its next event, and a listener from before the start at its first one.
            Self::Sources => &[Signal::FileRelease, Signal::Ctl, Signal::EpollShown],
            // Files are known by the descriptor that they were added as, or by their notifications.
            Self::Files => &[Signal::Ctl, Signal::Notification],
            // What waits for a lock inside a notification is told from the wait it interrupts.
            Self::Metric(Metric::Lock | Metric::Mutex) => &[Signal::Notification],
            _ => &[],
        }
    }
}

/// Without these there is no main job. Most numbers need more.
pub const MAIN: &[Signal] = &[Signal::WaitReturn, Signal::Wakeup];

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

/// The numbers that this kernel does not tell whatever the plan, with the reason.
pub(super) fn untold(facts: &Facts) -> BTreeMap<Number, String> {
    let why = |number: Number| {
        let mut needs = number.needs().iter().map(|need| need.check(facts));
        needs.find_map(|support| support.reason().map(str::to_owned))
    };
    Number::all()
        .filter_map(|number| Some((number, why(number)?)))
        .collect()
}

/// Every number that cannot be known, with the reason; `untold` as above, `missing` says why a signal is not there, `None` that it is.
///
/// Whatever happens to an epoll outside a wait names it by address only, so a descriptor number does not help there.
pub(super) fn absent(
    identity: &Identity,
    untold: &BTreeMap<Number, String>,
    missing: impl Fn(Signal) -> Option<String>,
) -> BTreeMap<String, String> {
    let hidden = |number| match (number, identity) {
        (
            Number::Epoll(_)
            | Number::Items
            | Number::Flags
            | Number::Sources
            | Number::Readers
            | Number::Files
            | Number::FileTimes
            | Number::Metric(Metric::Queue | Metric::OverflowLength | Metric::Lock | Metric::Mutex)
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
            .or_else(|| untold.get(&number).cloned())
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
        let beyond = [Signal::Notification, Signal::OnCpu, Signal::WaitEnter];
        assert!(beyond.iter().all(|signal| !total.contains(signal)), "{total:?}");
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
