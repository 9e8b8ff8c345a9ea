//! Equalities that the numbers of scenarios keep in every run, as text over their reports' own fields.

/// One epoll and one waiter: whatever is sent is notified, wakes and is delivered once.
macro_rules! one_to_one {
    ($($more:literal),*) => {
        &["wakeups = events_sent", "deliveries = wakeups", "events = deliveries", "events_received = events_sent",
          "empty_wakeups = 0", $($more),*]
    };
}
pub(super) const LEVEL: &[&str] = one_to_one!("notifications = events_sent", "scans = 2 * events_sent - 1");
pub(super) const EDGE: &[&str] = one_to_one!("notifications = events_sent", "scans = events_sent");
pub(super) const LEVEL_EVENTFD: &[&str] =
    one_to_one!("notifications = 2 * events_sent", "scans = 2 * events_sent - 1");
pub(super) const EDGE_EVENTFD: &[&str] =
    one_to_one!("notifications = 2 * events_sent", "scans = events_sent");
pub(super) const NESTED: &[&str] =
    one_to_one!("notifications = 2 * events_sent", "scans = 4 * events_sent - 1");
pub(super) const REUSE: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = events_sent",
    "epolls = events_sent"
);

/// As [`EDGE`], once per waiter and its epoll.
pub(super) const CROWD: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = events_sent",
    "epolls = waiters"
);
/// The same, with [`EPOLLS_EACH`](super::fleet::EPOLLS_EACH) epolls per waiter.
pub(super) const FLEET: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = events_sent",
    "epolls = 10 * waiters"
);

/// Several compete: who is woken is fixed, who delivers is not.
macro_rules! many_to_one {
    ($($more:literal),*) => {
        &["wakeups = deliveries + empty_wakeups", "events = deliveries", "events_received = events_sent",
          "eagain = deliveries - events_sent - stops", "deliveries_at_once = 0", $($more),*]
    };
}
pub(super) const HERD_TCP: &[&str] = many_to_one!(
    "notifications = waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups + deliveries - stops"
);
pub(super) const HERD_EVENTFD: &[&str] = many_to_one!(
    "notifications = 2 * waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups + deliveries - stops"
);
/// Each connection reaches one: by EPOLLEXCLUSIVE, or of listeners at one address.
pub(super) const ONE_TCP: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = 2 * events_sent + stops"
);
/// As above, but connections come while waiters run.
pub(super) const UNEVEN: &[&str] = &[
    "notifications = events_sent + stops",
    "events_received = events_sent",
    "stops = waiters",
    "eagain = 0",
    "ctl_add = 2 * waiters",
];
pub(super) const IN_TURN: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = events_sent + stops",
    "ctl_add = 2 * waiters + events_sent",
    "ctl_del = events_sent"
);
pub(super) const EXCLUSIVE_EVENTFD: &[&str] = many_to_one!(
    "notifications = events_sent + waiters * events_sent + stops",
    "wakeups = events_sent + stops",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = 2 * events_sent + stops"
);
/// Not level-triggered: what a delivery reported is not polled again.
pub(super) const HERD_TCP_ONCE: &[&str] = many_to_one!(
    "notifications = waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups"
);
pub(super) const HERD_EVENTFD_ONCE: &[&str] = many_to_one!(
    "notifications = 2 * waiters * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "scans = wakeups"
);
pub(super) const IDLE_FIRST: &[&str] = many_to_one!(
    "notifications = 2 * events_sent + stops",
    "notifications_queued = events_sent",
    "wakeups = events_sent + stops",
    "epolls = waiters + 1",
    "eagain = 0",
    "scans = 2 * events_sent + stops"
);
/// All waiters return before one takes the event.
pub(super) const TOGETHER: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "wakeups_chain = wakeups - events_sent - stops",
    "empty_wakeups = 0"
);
pub(super) const TOGETHER_EVENTFD: &[&str] = many_to_one!(
    "notifications = 2 * events_sent + stops",
    "wakeups = waiters * events_sent + stops",
    "wakeups_chain = wakeups - events_sent - stops",
    "empty_wakeups = 0"
);
pub(super) const SHARED_EDGE_EVENTFD: &[&str] = many_to_one!(
    "notifications = 2 * events_sent + stops",
    "wakeups = events_sent + stops",
    "wakeups_chain = 0",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = wakeups"
);
pub(super) const NESTED_TCP: &[&str] = many_to_one!(
    "notifications = notifications_nested + events_sent + stops",
    "notifications_nested = waiters * events_sent",
    "notifications_queued = events_sent",
    "wakeups = waiters * events_sent + stops",
    "epolls = waiters + 1"
);
pub(super) const NESTED_EVENTFD: &[&str] = many_to_one!(
    "notifications = notifications_nested + 2 * events_sent + stops",
    "notifications_nested = waiters * events_sent",
    "notifications_queued = events_sent",
    "wakeups = waiters * events_sent + stops",
    "epolls = waiters + 1"
);
pub(super) const SHARED_LEVEL: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = notifications + wakeups_chain"
);
pub(super) const SHARED_EDGE: &[&str] = many_to_one!(
    "notifications = events_sent + stops",
    "wakeups = notifications",
    "wakeups_chain = 0",
    "eagain = 0",
    "empty_wakeups = 0",
    "scans = wakeups"
);
pub(super) const HIDDEN: &[&str] = &[
    "notifications = events_sent + stops",
    "wakeups = notifications",
    "wakeups = deliveries + empty_wakeups",
    "events_received + events_taken_back = events_sent",
    "scans = wakeups + deliveries - stops",
];
pub(super) const TIMEOUTS: &[&str] = &[
    "timeouts = zero_timeouts",
    "waits = timeouts + zero_timeouts",
    "wakeups = 0",
    "notifications = 0",
    "scans = 0",
];
pub(super) const SLOW: &[&str] = &[
    "deliveries_at_once = events_sent",
    "timeouts = events_sent",
    "notifications = events_sent",
    "notifications_queued = events_sent",
    "wakeups = 0",
];
/// One loop that sends to itself: six events a round.
macro_rules! greedy {
    ($($more:literal),*) => {
        &["events_received = events_sent", "notifications = events_sent", "notifications_queued = events_sent",
          "deliveries_at_once = returns", "wakeups = 0", "scans = returns", "eagain = 0", "ctl_mod_same = 0", $($more),*]
    };
}
pub(super) const GREEDY: &[&str] = greedy!("events = events_sent", "returns = events_sent");
/// The greedy file comes 20 times a round, once with another one.
pub(super) const GREEDY_PIECE: &[&str] = greedy!("returns = 4 * events_sent");
pub(super) const SIGNALS: &[&str] = &[
    "waits = interrupted",
    "scans = interrupted",
    "wakeups = 0",
    "notifications = 0",
];
pub(super) const KILLED: &[&str] = &[
    "notifications = events_sent",
    "wakeups = events_sent",
    "deliveries = wakeups",
    "interrupted = waiters",
    "waits = deliveries + interrupted",
    "epolls = waiters",
];

pub(super) const UNREAD: &[&str] = &[
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
pub(super) const DUP_CLOSE: &[&str] = one_to_one!(
    "notifications = events_sent",
    "scans = 2 * events_sent - 1",
    "ctl_add = 1",
    "ctl_del = 0",
    "ctl_ebadf = 1",
    "ctl_enoent = 1"
);
pub(super) const SINGLE_ACCEPT: &[&str] = &[
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
/// Of four bytes one is read.
macro_rules! short_read {
    ($($more:literal),*) => {
        &["events_received = events_sent", "notifications = events_sent", "notifications_queued = notifications",
          "events = deliveries", "wakeups = 0", "eagain = 0", $($more),*]
    };
}
pub(super) const SHORT_READ: &[&str] = short_read!(
    "deliveries_at_once = events_sent",
    "timeouts = events_sent",
    "scans = events_sent",
    "stranded = 3 * events_sent"
);
pub(super) const TOLD_AGAIN: &[&str] = short_read!(
    "deliveries_at_once = 4 * events_sent",
    "timeouts = events_sent",
    "scans = 5 * events_sent",
    "stranded = 0"
);
pub(super) const SLOW_READ: &[&str] = short_read!(
    "deliveries_at_once = events_sent",
    "timeouts = 1",
    "scans = events_sent",
    "stranded = 0"
);
pub(super) const CHURN: &[&str] = &[
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
pub(super) const OVERFLOWING: &[&str] = &[
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
pub(super) const URING: &[&str] = &[
    "uring_waits = events_sent",
    "uring_events = events_sent",
    "events_received = events_sent",
    "notifications = 2 * events_sent",
    "notifications_unasked = events_sent",
    "notifications_queued = events_sent",
    "waits = 0",
    "wakeups = 0",
];
pub(super) const CONTENDED: &[&str] = raced!("ctl_add = 65", "ctl_mod = 0");
pub(super) const SHOWN: &[&str] = raced!("ctl_mod = 0");
pub(super) const CHANGED: &[&str] = raced!("ctl_add = 68", "ctl_mod = 3 * events_sent");
