//! Every scenario, one row each: name, what it does, its parameters, and the laws its numbers keep.

use super::herd::Wakes::{self, All, InTurn, One};
use super::race::{LOCK, MUTEX, PATHS, Racers};
use super::shared::Host::{self, Processes, Threads};
use super::single::Mode::{self, Edge, Level, Oneshot};
use super::source::Kind::{self, Eventfd, Pipe, Socketpair, Tcp, Timer};

/// Which code runs a scenario, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    /// One waiter on one epoll.
    Single(Kind, Mode),
    /// One waiter on an epoll that watches an epoll.
    Nested,
    /// Processes with an own epoll each on one file.
    Herd(Kind, Wakes),
    /// Processes with an own epoll each on one epoll.
    HerdNested,
    /// Several waiters on one epoll.
    Shared(Host, Mode),
    /// Waits that time out.
    Timeouts,
    /// A loop that is busy when its events come.
    Slow,
    /// Waits that a signal ends.
    Signals,
    /// Wakeups that user space never sees.
    Hidden,
    /// Waiters killed while they wait.
    Killed,
    /// Epolls closed and made again.
    Reuse,
    /// Many threads with an own epoll each.
    Crowd,
    /// Many processes with several epolls each.
    Fleet,
    /// An event nobody takes.
    Unread,
    /// A close that leaves the item behind.
    DupClose,
    /// One accept for many connections.
    SingleAccept,
    /// epoll_ctl without need.
    Churn,
    /// Timers that expire during scans.
    Overflow,
    /// Waits through io_uring.
    Uring,
    /// Events that come while waiters run.
    Race(Racers),
}

impl Family {
    /// Whether its waiters take events off by accept, once after each delivery; `None` where they do it otherwise.
    pub(super) const fn accepts(self) -> Option<bool> {
        match self {
            Self::Single(Tcp, _) | Self::Herd(Tcp, _) => Some(true),
            Self::SingleAccept => None,
            _ => Some(false),
        }
    }

    /// Whether its events are expirations of timers; `None` where only some are.
    pub(super) const fn by_timers(self) -> Option<bool> {
        match self {
            Self::Single(Timer, _) => Some(true),
            Self::Overflow => None,
            _ => Some(false),
        }
    }

    /// Whether all waiters are there, and asleep, before the first event.
    pub(super) const fn waits_first(self) -> bool {
        matches!(
            self,
            Self::Single(..)
                | Self::Nested
                | Self::Herd(..)
                | Self::HerdNested
                | Self::Shared(..)
                | Self::Crowd
                | Self::Fleet
                | Self::Unread
                | Self::DupClose
                | Self::Race(_)
        )
    }
}

/// How many waiters a scenario may have.
#[derive(Clone, Copy, Debug)]
pub struct Waiters {
    /// Without `--waiters`.
    pub default: usize,
    /// At most.
    pub most: usize,
}

/// One row of the catalog.
#[derive(Clone, Copy, Debug)]
pub struct Scenario {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it does, in one line.
    pub about: &'static str,
    pub(super) family: Family,
    /// Events (or rounds) without `--events`.
    pub events: u64,
    /// Events (or rounds) at most; more are cut to this.
    pub most_events: u64,
    /// Present where `--waiters` is taken.
    pub waiters: Option<Waiters>,
    /// Equalities between numbers of its report, over `expect` and the report's own fields.
    pub laws: &'static [&'static str],
}

const EVENTS: u64 = 200;
const MOST_EVENTS: u64 = 1_000_000;
/// A process or timeout per round takes milliseconds.
const ROUNDS: u64 = 10;
const MOST_ROUNDS: u64 = 200;
/// Three connections of each burst stay in the listener, whose queue takes 128.
const MOST_BURSTS: u64 = 40;
/// Enough for most scans of the run to be met.
const TIMED: u64 = 1000;
/// Half of them come while the wait is pending.
const URINGED: u64 = 100;
/// A race takes many to happen.
const RACED: u64 = 20_000;
const MOST_RACED: u64 = 10_000_000;

const fn row(
    name: &'static str,
    about: &'static str,
    family: Family,
    laws: &'static [&'static str],
) -> Scenario {
    Scenario {
        name,
        about,
        family,
        events: EVENTS,
        most_events: MOST_EVENTS,
        waiters: None,
        laws,
    }
}

impl Scenario {
    const fn waiters(mut self, default: usize, most: usize) -> Self {
        self.waiters = Some(Waiters { default, most });
        self
    }

    const fn events(mut self, default: u64, most: u64) -> Self {
        self.events = default;
        self.most_events = most;
        self
    }

    /// The scenario called `name`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        CATALOG.iter().find(|scenario| scenario.name == name)
    }
}

/// One epoll and one waiter: whatever is sent is notified, wakes and is delivered once.
macro_rules! one_to_one {
    ($($more:literal),*) => {
        &["wakeups = events_sent", "deliveries = wakeups", "events = deliveries", "events_received = events_sent",
          "empty_wakeups = 0", $($more),*]
    };
}
const LEVEL: &[&str] = one_to_one!("notifications = events_sent", "scans = 2 * events_sent - 1");
const EDGE: &[&str] = one_to_one!("notifications = events_sent", "scans = events_sent");
const LEVEL_EVENTFD: &[&str] = one_to_one!("notifications = 2 * events_sent", "scans = 2 * events_sent - 1");
const EDGE_EVENTFD: &[&str] = one_to_one!("notifications = 2 * events_sent", "scans = events_sent");
const NESTED: &[&str] = one_to_one!("notifications = 2 * events_sent", "scans = 4 * events_sent - 1");
const REUSE: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = events_sent",
    "epolls = events_sent"
);

/// As [`EDGE`], once per waiter and its epoll.
const CROWD: &[&str] = &[
    "notifications = events_sent",
    "wakeups = events_sent",
    "deliveries = wakeups",
    "events = deliveries",
    "events_received = events_sent",
    "empty_wakeups = 0",
    "scans = events_sent",
    "epolls = waiters",
];
/// The same, with [`EPOLLS_EACH`](super::fleet::EPOLLS_EACH) epolls per waiter.
const FLEET: &[&str] = &[
    "notifications = events_sent",
    "wakeups = events_sent",
    "deliveries = wakeups",
    "events = deliveries",
    "events_received = events_sent",
    "empty_wakeups = 0",
    "scans = events_sent",
    "epolls = 10 * waiters",
];

/// Several compete: who is woken is fixed, who delivers is not.
macro_rules! many_to_one {
    ($($more:literal),*) => {
        &["wakeups = deliveries + empty_wakeups", "events = deliveries", "events_received = events_sent",
          "eagain = deliveries - events_sent - stops", "deliveries_at_once = 0", $($more),*]
    };
}
const HERD_TCP: &[&str] = many_to_one!(
    "notifications = waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups + deliveries - stops"
);
const HERD_EVENTFD: &[&str] = many_to_one!(
    "notifications = 2 * waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups + deliveries - stops"
);
const EXCLUSIVE_TCP: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = 2 * events_sent + stops"
);
const IN_TURN: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = events_sent + stops",
    "ctl_add = 2 * waiters + events_sent",
    "ctl_del = events_sent"
);
const HERD_NESTED: &[&str] = many_to_one!(
    "notifications = waiters * events_sent + events_sent + stops",
    "notifications_nested = waiters * events_sent",
    "notifications_queued = events_sent",
    "wakeups = waiters * events_sent + stops"
);
const EXCLUSIVE_EVENTFD: &[&str] = many_to_one!(
    "notifications = events_sent + waiters * events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = 2 * events_sent + stops"
);
const SHARED_LEVEL: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = notifications + wakeups_chain"
);
const SHARED_EDGE: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = notifications",
    "wakeups_chain = 0",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = wakeups"
);
const HIDDEN: &[&str] = &[
    "notifications = events_sent + stops",
    "wakeups = notifications",
    "wakeups = deliveries + empty_wakeups",
    "events_received + events_taken_back = events_sent",
    "scans = wakeups + deliveries - stops",
];
const TIMEOUTS: &[&str] = &[
    "timeouts = zero_timeouts",
    "waits = timeouts + zero_timeouts",
    "wakeups = 0",
    "notifications = 0",
    "scans = 0",
];
const SLOW: &[&str] = &[
    "deliveries_at_once = events_sent",
    "timeouts = events_sent",
    "notifications = events_sent",
    "notifications_queued = events_sent",
    "wakeups = 0",
];
const SIGNALS: &[&str] = &[
    "waits = interrupted",
    "scans = interrupted",
    "wakeups = 0",
    "notifications = 0",
];
const KILLED: &[&str] = &[
    "notifications = events_sent",
    "wakeups = events_sent",
    "deliveries = wakeups",
    "interrupted = waiters",
    "waits = deliveries + interrupted",
    "epolls = waiters",
];

const UNREAD: &[&str] = &[
    "events_sent = 1",
    "events_received = 1",
    "notifications = 1",
    "wakeups = 1",
    "deliveries_slept = 1",
    "deliveries = returns",
    "events = returns",
    "empty_wakeups = 0",
    "scans = returns",
];
const DUP_CLOSE: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = 2 * events_sent - 1",
    "ctl_add = 1",
    "ctl_del = 0",
    "ctl_ebadf = 1",
    "ctl_enoent = 1"
);
const SINGLE_ACCEPT: &[&str] = &[
    "events_sent = 4 * events_received",
    "stranded = events_sent - events_received",
    "notifications = events_sent",
    "deliveries_at_once = events_received",
    "events = deliveries",
    "timeouts = deliveries",
    "wakeups = 0",
    "eagain = 0",
    "scans = deliveries",
    "notifications_queued = notifications",
];
const CHURN: &[&str] = &[
    "notifications = events_sent",
    "deliveries_at_once = events_sent",
    "events_received = events_sent",
    "wakeups = 0",
    "scans = events_sent",
    "ctl_add = events_sent",
    "ctl_mod = 2 * events_sent",
    "ctl_mod_same = events_sent",
    "ctl_del = events_sent",
    "ctl_eexist = events_sent",
    "ctl_enoent = 2 * events_sent",
    "ctl_ebadf = events_sent",
    "ctl_einval = events_sent",
];
/// Nothing is read, so every write is one notification; the waiters end on their stops.
macro_rules! raced {
    ($($more:literal),*) => {
        &["notifications = events_sent + stops", "stops = waiters", "waits = deliveries", "events_received = 0",
          "ctl_mod_same = 0", $($more),*]
    };
}
const OVERFLOWING: &[&str] = &[
    "events_received = events_sent",
    "notifications = events_sent",
    "notifications_queued = events_sent",
    "wakeups = 0",
    "deliveries_at_once = returns",
    "scans = returns",
    "scans_repoll = 0",
    "ctl_add = 96",
];
/// io_uring polls the epoll and scans it when that is ready: how often is its own affair.
const URING: &[&str] = &[
    "uring_waits = events_sent",
    "uring_events = events_sent",
    "events_received = events_sent",
    "notifications = 2 * events_sent",
    "notifications_unasked = events_sent",
    "notifications_queued = events_sent",
    "waits = 0",
    "wakeups = 0",
];
const CONTENDED: &[&str] = raced!("ctl_add = 65", "ctl_mod = 0");
const SHOWN: &[&str] = raced!("ctl_mod = 0");
const CHANGED: &[&str] = raced!("ctl_add = 68", "ctl_mod = 3 * events_sent");

/// Every scenario.
#[rustfmt::skip]
pub const CATALOG: &[Scenario] = &[
    row("pipe-lt", "pipe, level-triggered, one waiter", Family::Single(Pipe, Level), LEVEL),
    row("pipe-et", "pipe, edge-triggered, one waiter", Family::Single(Pipe, Edge), EDGE),
    row("pipe-oneshot", "pipe, ONESHOT and MOD, one waiter", Family::Single(Pipe, Oneshot), EDGE),
    row("socketpair-lt", "UNIX pair, level-triggered, one waiter", Family::Single(Socketpair, Level), LEVEL),
    row("socketpair-et", "UNIX pair, edge-triggered, one waiter", Family::Single(Socketpair, Edge), EDGE),
    row("socketpair-oneshot", "UNIX pair, ONESHOT and MOD, one waiter", Family::Single(Socketpair, Oneshot), EDGE),
    row("eventfd-lt", "eventfd, level-triggered, one waiter", Family::Single(Eventfd, Level), LEVEL_EVENTFD),
    row("eventfd-et", "eventfd, edge-triggered, one waiter", Family::Single(Eventfd, Edge), EDGE_EVENTFD),
    row("eventfd-oneshot", "eventfd, ONESHOT and MOD, one waiter", Family::Single(Eventfd, Oneshot), EDGE_EVENTFD),
    row("tcp-lt", "TCP listener, level-triggered, one waiter", Family::Single(Tcp, Level), LEVEL),
    row("tcp-et", "TCP listener, edge-triggered, one waiter", Family::Single(Tcp, Edge), EDGE),
    row("tcp-oneshot", "TCP listener, ONESHOT and MOD, one waiter", Family::Single(Tcp, Oneshot), EDGE),
    row("nested", "pipe in an epoll in an epoll, one waiter", Family::Nested, NESTED),
    row("herd-tcp", "processes, own epoll each, one listener", Family::Herd(Tcp, All), HERD_TCP).waiters(2, 64),
    row("herd-tcp-exclusive", "the same with EPOLLEXCLUSIVE", Family::Herd(Tcp, One), EXCLUSIVE_TCP).waiters(2, 64),
    row("herd-tcp-in-turn", "with it, and DEL and ADD after each event", Family::Herd(Tcp, InTurn), IN_TURN).waiters(2, 64),
    row("herd-eventfd", "processes, own epoll each, one eventfd", Family::Herd(Eventfd, All), HERD_EVENTFD).waiters(2, 64),
    row("herd-eventfd-exclusive", "the same with EPOLLEXCLUSIVE", Family::Herd(Eventfd, One), EXCLUSIVE_EVENTFD).waiters(2, 64),
    row("herd-nested", "processes, own epoll each, on one epoll", Family::HerdNested, HERD_NESTED).waiters(2, 64),
    row("shared-lt", "threads on one epoll, level-triggered", Family::Shared(Threads, Level), SHARED_LEVEL).waiters(4, 64),
    row("shared-et", "threads on one epoll, edge-triggered", Family::Shared(Threads, Edge), SHARED_EDGE).waiters(4, 64),
    row("fork-shared-lt", "processes on one epoll, level-triggered", Family::Shared(Processes, Level), SHARED_LEVEL).waiters(2, 64),
    row("fork-shared-et", "processes on one epoll, edge-triggered", Family::Shared(Processes, Edge), SHARED_EDGE).waiters(2, 64),
    row("timeouts", "N waits of 5 ms and N of 0 ms", Family::Timeouts, TIMEOUTS).events(ROUNDS, MOST_ROUNDS),
    row("slow-handler", "events find their loop busy, 20 ms", Family::Slow, SLOW).events(ROUNDS, MOST_ROUNDS),
    row("signals", "N waits, each ended by SIGUSR1", Family::Signals, SIGNALS).events(ROUNDS, MOST_EVENTS),
    row("hidden", "writer takes its byte back in time", Family::Hidden, HIDDEN),
    row("killed", "N processes killed while they wait", Family::Killed, KILLED).events(ROUNDS, MOST_ROUNDS),
    row("reuse", "epoll made, used once, closed, N times", Family::Reuse, REUSE),
    row("timers", "timerfd, level-triggered, one waiter", Family::Single(Timer, Level), LEVEL),
    row("unread-level", "N waits return one event nobody reads", Family::Unread, UNREAD).events(1000, MOST_EVENTS),
    row("dup-close", "closed without DEL, a dup keeps it", Family::DupClose, DUP_CLOSE),
    row("et-single-accept", "bursts of 4 connects, one accept each", Family::SingleAccept, SINGLE_ACCEPT).events(ROUNDS, MOST_BURSTS),
    row("ctl-churn", "9 epoll_ctl per event, 5 of them fail", Family::Churn, CHURN).events(ROUNDS, MOST_EVENTS),
    row("overflow", "timers that expire during long scans", Family::Overflow, OVERFLOWING).events(TIMED, MOST_EVENTS),
    row("uring", "waits through io_uring (Linux 6.15)", Family::Uring, URING).events(URINGED, MOST_EVENTS),
    row("lock-contention", "4 writers, several waiters, one epoll", Family::Race(LOCK), CONTENDED).events(RACED, MOST_RACED).waiters(4, 64),
    row("mutex-contention", "3 threads in epoll_ctl during scans", Family::Race(MUTEX), CHANGED).events(RACED, MOST_RACED).waiters(2, 64),
    row("lock-paths", "fdinfo read, files closed during scans", Family::Race(PATHS), SHOWN).events(RACED, MOST_RACED).waiters(2, 64),
    row("many-blocked", "threads, own epoll each, all blocked", Family::Crowd, CROWD).events(4000, MOST_EVENTS).waiters(400, 4000),
    row("fleet", "processes, 10 own epolls each, by turns", Family::Fleet, FLEET).events(1100, MOST_EVENTS).waiters(100, 2000),
];
