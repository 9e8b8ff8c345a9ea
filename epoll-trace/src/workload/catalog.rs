//! Every scenario, one row each: name, what it does, its parameters, and the laws its numbers keep.

use super::greedy::Appetite::{self, Endless, Piece};
use super::laws::{
    CHANGED, CHURN, CONTENDED, CROWD, DUP_CLOSE, EDGE, EDGE_EVENTFD, EXCLUSIVE_EVENTFD, FLEET, GREEDY,
    GREEDY_PIECE, HERD_EVENTFD, HERD_EVENTFD_ONCE, HERD_TCP, HERD_TCP_ONCE, HIDDEN, IDLE_FIRST, IN_TURN,
    KILLED, LEVEL, LEVEL_EVENTFD, NESTED, NESTED_EVENTFD, NESTED_TCP, ONE_TCP, OVERFLOWING, REUSE,
    SHARED_EDGE, SHARED_EDGE_EVENTFD, SHARED_LEVEL, SHORT_READ, SHOWN, SIGNALS, SINGLE_ACCEPT, SLOW,
    SLOW_READ, TIMEOUTS, TOGETHER, TOGETHER_EVENTFD, TOLD_AGAIN, UNEVEN, UNREAD, URING,
};
use super::partial::Rest::{self, Lost, Refused, Taken, Told};
use super::race::{LOCK, MUTEX, PATHS, Racers};
use super::shared::Host::{self, Processes, Threads, Together};
use super::single::Mode::{self, Edge, Exclusive, InTurn, Level, Oneshot};
use super::source::Kind::{self, Eventfd, Pipe, Socketpair, Tcp, Timer};

/// Which code runs a scenario, and with what.
#[derive(Clone, Copy, Debug)]
pub(super) enum Family {
    /// One waiter on one epoll.
    Single(Kind, Mode),
    /// One waiter on an epoll that watches an epoll.
    Nested,
    /// Processes with an own epoll each on one file.
    Herd(Kind, Mode),
    /// Processes with an own epoll each on one epoll, which watches the file.
    NestedHerd(Kind, Mode),
    /// Processes with an own epoll each on one listener, EPOLLEXCLUSIVE, behind one that nobody waits on.
    IdleFirst,
    /// Processes with an own listener each at one address.
    ReusePort,
    /// The same, and one of them is slow.
    ReusePortSlow,
    /// Several waiters on one epoll.
    Shared(Host, Kind, Mode),
    /// Waits that time out.
    Timeouts,
    /// A loop that is busy when its events come.
    Slow,
    /// A loop that stays at one of its files.
    Greedy(Appetite),
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
    /// One byte read of several.
    ShortRead(Rest),
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
            Self::IdleFirst
            | Self::ReusePort
            | Self::ReusePortSlow
            | Self::Single(Tcp, _)
            | Self::Herd(Tcp, _)
            | Self::NestedHerd(Tcp, _)
            | Self::Shared(_, Tcp, _) => Some(true),
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
                | Self::NestedHerd(..)
                | Self::IdleFirst
                | Self::ReusePort
                | Self::ReusePortSlow
                | Self::Shared(..)
                | Self::Crowd
                | Self::Fleet
                | Self::Unread
                | Self::DupClose
                | Self::Race(_)
        )
    }

    /// Whether it sends its events one by one, each after the one before was taken.
    pub(super) const fn is_paced(self) -> bool {
        matches!(
            self,
            Self::Single(..)
                | Self::Nested
                | Self::Herd(..)
                | Self::ReusePort
                | Self::Shared(..)
                | Self::DupClose
                | Self::Crowd
                | Self::Fleet
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
/// Of 40 ms each.
const MOST_SLOW: u64 = 10_000;
/// Some minutes: a million takes two seconds.
const MOST_UNREAD: u64 = 100_000_000;
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
    row("tcp-lt", "listener, level-triggered, one waiter", Family::Single(Tcp, Level), LEVEL),
    row("tcp-et", "listener, edge-triggered, one waiter", Family::Single(Tcp, Edge), EDGE),
    row("tcp-oneshot", "listener, ONESHOT and MOD, one waiter", Family::Single(Tcp, Oneshot), EDGE),
    row("nested", "pipe in an epoll in an epoll, one waiter", Family::Nested, NESTED),
    row("herd-tcp", "processes, own epoll each, one listener", Family::Herd(Tcp, Level), HERD_TCP).waiters(2, 64),
    row("herd-tcp-exclusive", "the same with EPOLLEXCLUSIVE", Family::Herd(Tcp, Exclusive), ONE_TCP).waiters(2, 64),
    row("in-turn-tcp", "EPOLLEXCLUSIVE, DEL+ADD after each", Family::Herd(Tcp, InTurn), IN_TURN).waiters(2, 64),
    row("herd-eventfd", "processes, own epoll each, one eventfd", Family::Herd(Eventfd, Level), HERD_EVENTFD).waiters(2, 64),
    row("herd-eventfd-exclusive", "the same with EPOLLEXCLUSIVE", Family::Herd(Eventfd, Exclusive), EXCLUSIVE_EVENTFD).waiters(2, 64),
    row("herd-tcp-et", "processes, own epoll, one listener, ET", Family::Herd(Tcp, Edge), HERD_TCP_ONCE).waiters(2, 64),
    row("herd-tcp-oneshot", "the same, ONESHOT and MOD", Family::Herd(Tcp, Oneshot), HERD_TCP_ONCE).waiters(2, 64),
    row("herd-eventfd-et", "processes, own epoll, one eventfd, ET", Family::Herd(Eventfd, Edge), HERD_EVENTFD_ONCE).waiters(2, 64),
    row("herd-eventfd-oneshot", "the same, ONESHOT and MOD", Family::Herd(Eventfd, Oneshot), HERD_EVENTFD_ONCE).waiters(2, 64),
    row("idle-first", "EPOLLEXCLUSIVE behind an idle epoll", Family::IdleFirst, IDLE_FIRST).waiters(2, 64),
    row("reuseport", "processes, own listener, one address", Family::ReusePort, ONE_TCP).waiters(4, 64),
    row("reuseport-slow", "the same, one takes 100 ms for each", Family::ReusePortSlow, UNEVEN).waiters(4, 64),
    row("shared-tcp-lt", "threads, one epoll, listener, all return", Family::Shared(Together, Tcp, Level), TOGETHER).waiters(4, 64),
    row("shared-tcp-et", "threads, one epoll, listener, ET", Family::Shared(Threads, Tcp, Edge), SHARED_EDGE).waiters(4, 64),
    row("shared-tcp-oneshot", "the same, ONESHOT and MOD", Family::Shared(Threads, Tcp, Oneshot), SHARED_EDGE).waiters(4, 64),
    row("shared-tcp-exclusive", "with EPOLLEXCLUSIVE, all return", Family::Shared(Together, Tcp, Exclusive), TOGETHER).waiters(4, 64),
    row("shared-eventfd-lt", "threads, one epoll, eventfd, all return", Family::Shared(Together, Eventfd, Level), TOGETHER_EVENTFD).waiters(4, 64),
    row("shared-eventfd-et", "threads, one epoll, eventfd, ET", Family::Shared(Threads, Eventfd, Edge), SHARED_EDGE_EVENTFD).waiters(4, 64),
    row("shared-eventfd-oneshot", "the same, ONESHOT and MOD", Family::Shared(Threads, Eventfd, Oneshot), SHARED_EDGE_EVENTFD).waiters(4, 64),
    row("shared-eventfd-exclusive", "with EPOLLEXCLUSIVE, all return", Family::Shared(Together, Eventfd, Exclusive), TOGETHER_EVENTFD).waiters(4, 64),
    row("shared-socketpair-lt", "threads, one UNIX pair, all return", Family::Shared(Together, Socketpair, Level), TOGETHER).waiters(4, 64),
    row("shared-socketpair-oneshot", "the same, ONESHOT and MOD", Family::Shared(Threads, Socketpair, Oneshot), SHARED_EDGE).waiters(4, 64),
    row("nested-tcp-lt", "epolls on an epoll on a listener", Family::NestedHerd(Tcp, Level), NESTED_TCP).waiters(2, 64),
    row("nested-tcp-et", "the same, edge-triggered", Family::NestedHerd(Tcp, Edge), NESTED_TCP).waiters(2, 64),
    row("nested-tcp-oneshot", "the same, ONESHOT and MOD", Family::NestedHerd(Tcp, Oneshot), NESTED_TCP).waiters(2, 64),
    row("nested-tcp-exclusive", "the inner epoll with EPOLLEXCLUSIVE", Family::NestedHerd(Tcp, Exclusive), NESTED_TCP).waiters(2, 64),
    row("nested-eventfd-lt", "epolls on an epoll on an eventfd", Family::NestedHerd(Eventfd, Level), NESTED_EVENTFD).waiters(2, 64),
    row("nested-eventfd-et", "the same, edge-triggered", Family::NestedHerd(Eventfd, Edge), NESTED_EVENTFD).waiters(2, 64),
    row("nested-eventfd-oneshot", "the same, ONESHOT and MOD", Family::NestedHerd(Eventfd, Oneshot), NESTED_EVENTFD).waiters(2, 64),
    row("nested-eventfd-exclusive", "the inner epoll with EPOLLEXCLUSIVE", Family::NestedHerd(Eventfd, Exclusive), NESTED_EVENTFD).waiters(2, 64),
    row("shared-lt", "threads on one epoll, level-triggered", Family::Shared(Threads, Pipe, Level), SHARED_LEVEL).waiters(4, 64),
    row("shared-et", "threads on one epoll, edge-triggered", Family::Shared(Threads, Pipe, Edge), SHARED_EDGE).waiters(4, 64),
    row("fork-shared-lt", "processes on one epoll, level-triggered", Family::Shared(Processes, Pipe, Level), SHARED_LEVEL).waiters(2, 64),
    row("fork-shared-et", "processes on one epoll, edge-triggered", Family::Shared(Processes, Pipe, Edge), SHARED_EDGE).waiters(2, 64),
    row("timeouts", "N waits of 5 ms and N of 0 ms", Family::Timeouts, TIMEOUTS).events(ROUNDS, MOST_ROUNDS),
    row("slow-handler", "events find their loop busy, 20 ms", Family::Slow, SLOW).events(ROUNDS, MOST_SLOW),
    row("greedy", "ET, 40 ms at one file, others wait", Family::Greedy(Endless), GREEDY).events(ROUNDS, MOST_SLOW),
    row("greedy-budget", "the same, LT, 2 ms of it a turn", Family::Greedy(Piece), GREEDY_PIECE).events(ROUNDS, MOST_SLOW),
    row("signals", "N waits, each ended by SIGUSR1", Family::Signals, SIGNALS).events(ROUNDS, MOST_EVENTS),
    row("hidden", "writer takes its byte back in time", Family::Hidden, HIDDEN),
    row("killed", "N processes killed while they wait", Family::Killed, KILLED).events(ROUNDS, MOST_ROUNDS),
    row("reuse", "epoll made, used once, closed, N times", Family::Reuse, REUSE),
    row("timers", "timerfd, level-triggered, one waiter", Family::Single(Timer, Level), LEVEL),
    row("unread-level", "N waits return one event nobody reads", Family::Unread, UNREAD).events(1000, MOST_UNREAD),
    row("dup-close", "closed without DEL, a dup keeps it", Family::DupClose, DUP_CLOSE),
    row("et-single-accept", "bursts of 4 connects, one accept each", Family::SingleAccept, SINGLE_ACCEPT).events(ROUNDS, MOST_BURSTS),
    row("et-short-read", "4 bytes each, ET, 1 of them read", Family::ShortRead(Lost), SHORT_READ).events(ROUNDS, MOST_BURSTS),
    row("lt-short-read", "the same, LT: the others come again", Family::ShortRead(Told), TOLD_AGAIN).events(ROUNDS, MOST_BURSTS),
    row("oneshot-short-read", "the same, ONESHOT and not armed again", Family::ShortRead(Refused), SHORT_READ).events(ROUNDS, MOST_BURSTS),
    row("et-slow-read", "ET, the others read later, one waits", Family::ShortRead(Taken), SLOW_READ).events(ROUNDS, MOST_BURSTS),
    row("ctl-churn", "9 epoll_ctl per event, 5 of them fail", Family::Churn, CHURN).events(ROUNDS, MOST_EVENTS),
    row("overflow", "timers that expire during long scans", Family::Overflow, OVERFLOWING).events(TIMED, MOST_EVENTS),
    row("uring", "waits through io_uring (Linux 6.15)", Family::Uring, URING).events(URINGED, MOST_EVENTS),
    row("lock-contention", "4 writers, several waiters, one epoll", Family::Race(LOCK), CONTENDED).events(RACED, MOST_RACED).waiters(4, 64),
    row("mutex-contention", "3 threads in epoll_ctl during scans", Family::Race(MUTEX), CHANGED).events(RACED, MOST_RACED).waiters(2, 64),
    row("lock-paths", "fdinfo read, files closed during scans", Family::Race(PATHS), SHOWN).events(RACED, MOST_RACED).waiters(2, 64),
    row("many-blocked", "threads, own epoll each, all blocked", Family::Crowd, CROWD).events(4000, MOST_EVENTS).waiters(400, 4000),
    row("fleet", "processes, 10 own epolls each, by turns", Family::Fleet, FLEET).events(1100, MOST_EVENTS).waiters(100, 2000),
];
