//! Who plays: the waiters of [`super::Story`], and what each does in a second.

use crate::model::snapshot::{EXCLUSIVE, LockKind, LockPath};

/// A waiting thread.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    /// Its process.
    pub pid: u32,
    /// Its id.
    pub tid: u32,
    /// Name of both.
    pub name: &'static str,
    /// Number of the epoll it waits on.
    pub epoll: u64,
    /// The descriptor of that.
    pub epfd: i32,
    /// Files that it watches.
    pub items: u64,
    /// What it does.
    pub does: Does,
}

/// What a waiter does in a second at its usual load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Does {
    /// Wakeups by notifications.
    pub source: u64,
    /// Of these the ones that a shared file makes.
    pub shared: u64,
    /// Wakeups by another thread's scan.
    pub chain: u64,
    /// Wakeups that find nothing.
    pub empty: u64,
    /// Deliveries that need not sleep.
    pub at_once: u64,
    /// Waits with timeout 0 that find nothing.
    pub polls: u64,
    /// Waits that a timeout ends.
    pub timeouts: u64,
    /// Connections accepted.
    pub accepts: u64,
    /// Accepts that find none.
    pub eagain: u64,
    /// Events of a delivery, at most.
    pub events: u64,
    /// Usual callback, run queue and delivery, ns.
    pub phases: [u64; 3],
    /// Usual time between two waits, ns.
    pub busy: u64,
    /// Whether others take its CPU now and then for some seconds.
    pub crowded: bool,
    /// Whether its handlers block now and then.
    pub blocks: bool,
}

const QUIET: Does = Does {
    source: 0,
    shared: 0,
    chain: 0,
    empty: 0,
    at_once: 0,
    polls: 0,
    timeouts: 0,
    accepts: 0,
    eagain: 0,
    events: 1,
    phases: [1_100, 9_000, 2_600],
    busy: 20_000,
    crowded: false,
    blocks: false,
};

/// A worker of a server whose listener wakes all of them.
const HERDED: Does = Does {
    source: 440,
    shared: 145,
    empty: 104,
    timeouts: 1,
    accepts: 37,
    eagain: 4,
    events: 3,
    busy: 600_000,
    ..QUIET
};

/// One of four threads on one epoll, level-triggered.
const CHAINED: Does = Does {
    source: 70,
    chain: 56,
    empty: 48,
    busy: 1_600_000,
    ..QUIET
};

/// Server, gateway, database, application, batch job, feed, name server, agent.
pub(super) const CAST: [Waiter; 16] = [
    waiter(1201, 1201, "nginx", 1, 9, 61, HERDED),
    waiter(1202, 1202, "nginx", 2, 11, 58, HERDED),
    waiter(1203, 1203, "nginx", 3, 13, 66, HERDED),
    waiter(1204, 1204, "nginx", 4, 15, 59, HERDED),
    waiter(2310, 2310, "gateway", 5, 5, 212, CHAINED),
    waiter(2310, 2314, "gateway", 5, 5, 212, CHAINED),
    waiter(2310, 2315, "gateway", 5, 5, 212, CHAINED),
    waiter(2310, 2316, "gateway", 5, 5, 212, CHAINED),
    waiter(
        870,
        870,
        "redis-server",
        6,
        5,
        41,
        Does {
            source: 3800,
            at_once: 600,
            timeouts: 10,
            events: 4,
            phases: [800, 4_000, 1_900],
            busy: 48_000,
            ..QUIET
        },
    ),
    waiter(
        3050,
        3050,
        "node",
        7,
        13,
        120,
        Does {
            source: 60,
            at_once: 55,
            events: 5,
            busy: 3_900_000,
            blocks: true,
            ..QUIET
        },
    ),
    waiter(
        4100,
        4100,
        "batch",
        8,
        4,
        9,
        Does {
            source: 120,
            timeouts: 2,
            phases: [1_300, 420_000, 6_000],
            busy: 1_500_000,
            crowded: true,
            ..QUIET
        },
    ),
    waiter(
        5077,
        5077,
        "feed",
        9,
        6,
        5,
        Does {
            at_once: 900,
            polls: 61_000,
            events: 2,
            busy: 2_100,
            ..QUIET
        },
    ),
    waiter(
        640,
        641,
        "unbound",
        10,
        7,
        3,
        Does {
            source: 144,
            shared: 139,
            timeouts: 1,
            busy: 90_000,
            ..QUIET
        },
    ),
    waiter(
        640,
        642,
        "unbound",
        11,
        9,
        3,
        Does {
            source: 68,
            shared: 66,
            timeouts: 1,
            busy: 90_000,
            ..QUIET
        },
    ),
    waiter(
        415,
        415,
        "systemd-journal",
        12,
        8,
        11,
        Does {
            source: 14,
            events: 2,
            busy: 300_000,
            ..QUIET
        },
    ),
    waiter(
        7001,
        7001,
        "node_exporter",
        13,
        4,
        4,
        Does {
            source: 2,
            timeouts: 8,
            phases: [1_200, 60_000, 5_000],
            ..QUIET
        },
    ),
];

const fn waiter(
    pid: u32,
    tid: u32,
    name: &'static str,
    epoll: u64,
    epfd: i32,
    items: u64,
    does: Does,
) -> Waiter {
    Waiter {
        pid,
        tid,
        name,
        epoll,
        epfd,
        items,
        does,
    }
}

/// A file that several watch.
#[derive(Clone, Copy, Debug)]
pub(super) struct SharedFile {
    /// The epolls that watch it, each by one item, and its descriptor there.
    pub items: &'static [(u64, i32)],
    /// Mask and flags of the items.
    pub events: u32,
    /// Its events in a second at the usual load.
    pub notifications: u64,
    /// Kind, address, inode.
    pub named: (&'static str, &'static str, u64),
    /// Connections that may wait, and that do.
    pub queue: Option<(u64, u64)>,
}

impl SharedFile {
    /// Whether `epoll` has an item of it.
    pub(super) fn is_watched_by(&self, epoll: u64) -> bool {
        self.items.iter().any(|&(watcher, _)| watcher == epoll)
    }
}

const EPOLLIN: u32 = 1;

/// A listener that wakes all workers of nginx, and a socket whose items are exclusive.
pub(super) const SHARED: [SharedFile; 2] = [
    SharedFile {
        items: &[(1, 6), (2, 6), (3, 6), (4, 6)],
        events: EPOLLIN,
        notifications: 150,
        named: ("tcp", "0.0.0.0:443", 31_207),
        queue: Some((511, 1)),
    },
    SharedFile {
        items: &[(10, 5), (11, 5)],
        events: EPOLLIN | EXCLUSIVE,
        notifications: 205,
        named: ("udp", "0.0.0.0:53", 20_877),
        queue: None,
    },
];

/// A lock that threads wait for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contended {
    /// Who waits: process and thread.
    pub thread: (u32, u32),
    /// Whose lock it is.
    pub epoll: u64,
    /// Which.
    pub kind: LockKind,
    /// Doing what.
    pub path: LockPath,
    /// Waits in a second at the usual load.
    pub waits: u64,
    /// How long each usually is, ns.
    pub ns: u64,
}

/// Threads of the gateway and the softirqs that wake them meet at its epoll.
pub(super) const LOCKS: [Contended; 4] = [
    contended(2310, 2310, LockKind::Mutex, LockPath::Wait, 31, 5_200),
    contended(2310, 2314, LockKind::Mutex, LockPath::Wait, 24, 4_900),
    contended(2310, 2315, LockKind::Mutex, LockPath::Ctl, 6, 7_300),
    contended(2310, 2316, LockKind::Lock, LockPath::Notification, 18, 700),
];

const fn contended(pid: u32, tid: u32, kind: LockKind, path: LockPath, waits: u64, ns: u64) -> Contended {
    Contended {
        thread: (pid, tid),
        epoll: 5,
        kind,
        path,
        waits,
        ns,
    }
}
