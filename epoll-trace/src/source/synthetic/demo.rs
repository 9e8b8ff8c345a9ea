//! Who the synthetic processes are, and what they do between two looks: tables.

use crate::model::snapshot::{LockKind, LockPath};
use crate::model::source::Listening;

/// PID of the process `nginx` of [`Synthetic::demo`]: two epolls, 400 wakeups per look.
pub const NGINX: u32 = 185;

/// Process and thread that wake instead of a softirq.
pub(super) const CLIENT: (u32, u32) = (400, 401);

/// One waiter: what it does between two looks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) pid: u32,
    pub(super) tid: u32,
    pub(super) name: &'static str,
    pub(super) epoll: u64,
    pub(super) epfd: i32,
    pub(super) wakeups: u64,
    pub(super) chain: u64,
    pub(super) timeouts: u64,
    /// Usual time of callback, run queue and delivery, ns.
    pub(super) phases: [u64; 3],
}

/// Six waiters in five processes: an epoll per thread, a shared epoll with chain wakeups, a rare late one with a hostile name.
pub(super) const DEMO: &[Waiter] = &[
    Waiter {
        pid: NGINX,
        tid: NGINX,
        name: "nginx",
        epoll: 1,
        epfd: 8,
        wakeups: 200,
        chain: 0,
        timeouts: 2,
        phases: [900, 14_000, 2_100],
    },
    Waiter {
        pid: NGINX,
        tid: NGINX + 1,
        name: "nginx",
        epoll: 2,
        epfd: 9,
        wakeups: 200,
        chain: 0,
        timeouts: 2,
        phases: [900, 9_000, 2_100],
    },
    Waiter {
        pid: 210,
        tid: 210,
        name: "redis-server",
        epoll: 3,
        epfd: 5,
        wakeups: 1000,
        chain: 0,
        timeouts: 10,
        phases: [600, 4_000, 1_500],
    },
    Waiter {
        pid: 300,
        tid: 300,
        name: "worker",
        epoll: 4,
        epfd: 5,
        wakeups: 50,
        chain: 25,
        timeouts: 0,
        phases: [1_200, 310_000, 4_000],
    },
    Waiter {
        pid: 301,
        tid: 301,
        name: "worker",
        epoll: 4,
        epfd: 5,
        wakeups: 50,
        chain: 25,
        timeouts: 0,
        phases: [1_200, 90_000, 4_000],
    },
    Waiter {
        pid: 999,
        tid: 999,
        name: "ev\u{1b}[31mil",
        epoll: 5,
        epfd: 3,
        wakeups: 1,
        chain: 0,
        timeouts: 0,
        phases: [1_000, 5_000_000, 3_000],
    },
];

/// Waits for a lock between two looks: process, epoll, lock, source, threads, path, how many, ns each.
pub(super) type Contention = (u32, u64, LockKind, Option<i32>, u64, LockPath, u64, u64);

/// Two processes fight for the epoll they share, a producer joins in, and a listener is contended.
pub(super) const CONTENTION: &[Contention] = &[
    (300, 4, LockKind::Mutex, None, 3, LockPath::Wait, 60, 40_000),
    (301, 4, LockKind::Mutex, None, 2, LockPath::Ctl, 30, 9_000),
    (7, 4, LockKind::Lock, None, 2, LockPath::Notification, 40, 700),
    (NGINX, 1, LockKind::Source, Some(12), 3, LockPath::Other, 7, 1_500),
];

/// An item of a shared file: file, epoll, descriptor, flags, notifications and waiters woken between two looks.
pub(super) type SharedFile = (u64, u64, i32, u32, u64, u64);

/// A listener that wakes both epolls of nginx, and an eventfd of strangers with one exclusive item that gets everything.
pub(super) const SHARED: &[SharedFile] = &[
    (1, 1, 12, 0, 100, 100),
    (1, 2, 12, 0, 100, 90),
    (2, 3, 7, 1 << 28, 50, 50),
    (2, 4, 7, 1 << 28, 0, 0),
];

/// Inode and accept queue of the sockets at the listener's address: its own, and one that nobody was seen to watch.
pub(super) const LISTENING: [(u64, u64); 2] = [(4242, 3), (4243, 7)];
/// Inode of the network namespace of all sockets.
pub(super) const NETNS: u64 = 4_026_531_840;

/// One of [`LISTENING`] as the kernel's table of listeners has it.
pub(super) fn listening((inode, queue): (u64, u64)) -> Listening {
    Listening {
        netns: NETNS,
        address: "127.0.0.1:8080".to_owned(),
        inode,
        queue,
    }
}
