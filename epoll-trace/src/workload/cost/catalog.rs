//! Every workload of `bench cost`, one row each: its name, what one operation is, and how many make a round.

/// Which code runs a workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Load {
    /// Two threads with an eventfd and an epoll each wake each other.
    PingPong,
    /// One thread waits for what it wrote itself.
    Ready,
    /// A writer, and waiters that each acknowledge what they take.
    Waiters(Watch),
    /// Two threads hand a futex to each other.
    Futex,
    /// One thread in a loop of the cheapest system call.
    Getppid,
}

/// What the waiters of [`Load::Waiters`] wait on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Watch {
    /// One epoll for all, which watches an eventfd per waiter; true with EPOLLET.
    Shared(bool),
    /// An epoll and an eventfd each.
    Own,
    /// An epoll each, all on one eventfd; true with EPOLLEXCLUSIVE.
    Herd(bool),
}

/// What a tracer must count as wakeups, where the workload can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakeups {
    /// Nobody ever sleeps in epoll_wait.
    Never,
    /// One per operation, as long as every wait went to sleep; the run checks that.
    Each,
    /// It depends on who runs first.
    Open,
}

/// One row of the catalog.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    /// Its name on the command line.
    pub(super) name: &'static str,
    /// What one operation is, in one line.
    pub(super) about: &'static str,
    /// Operations of a round without `--ops`.
    pub(super) ops: u64,
    pub(super) load: Load,
    pub(super) wakeups: Wakeups,
}

impl Workload {
    /// The row called `name`.
    pub(super) fn by_name(name: &str) -> Option<&'static Self> {
        WORKLOADS.iter().find(|workload| workload.name == name)
    }

    /// Operations that a turn of the leading thread makes, with those of its partner.
    pub(super) fn ops_per_turn(&self) -> u64 {
        match self.load {
            Load::PingPong | Load::Futex => 2,
            Load::Ready | Load::Waiters(_) | Load::Getppid => 1,
        }
    }
}

/// All workloads.
pub(super) const WORKLOADS: &[Workload] = &[
    Workload {
        name: "pp",
        about: "a wakeup: epoll_wait that sleeps, read, write to the eventfd of the other of 2 threads",
        ops: 4000,
        load: Load::PingPong,
        wakeups: Wakeups::Each,
    },
    Workload {
        name: "null",
        about: "no wakeup: write to the own eventfd, epoll_wait that returns at once, read",
        ops: 4000,
        load: Load::Ready,
        wakeups: Wakeups::Never,
    },
    Workload {
        name: "shared",
        about: "an event to one of 4 threads on one epoll of 4 eventfds, and its acknowledgement",
        ops: 2000,
        load: Load::Waiters(Watch::Shared(false)),
        wakeups: Wakeups::Open,
    },
    Workload {
        name: "shared-et",
        about: "the same with EPOLLET",
        ops: 2000,
        load: Load::Waiters(Watch::Shared(true)),
        wakeups: Wakeups::Open,
    },
    Workload {
        name: "multi",
        about: "an event to one of 4 threads with an epoll and an eventfd each, and its acknowledgement",
        ops: 2000,
        load: Load::Waiters(Watch::Own),
        wakeups: Wakeups::Open,
    },
    Workload {
        name: "herd",
        about: "an event to 4 threads with an epoll each on one eventfd, and the acknowledgement of the first",
        ops: 1000,
        load: Load::Waiters(Watch::Herd(false)),
        wakeups: Wakeups::Open,
    },
    Workload {
        name: "herd-excl",
        about: "the same with EPOLLEXCLUSIVE",
        ops: 1000,
        load: Load::Waiters(Watch::Herd(true)),
        wakeups: Wakeups::Open,
    },
    Workload {
        name: "futex",
        about: "a futex handed to the other of 2 threads, which never use epoll: a context switch",
        ops: 4000,
        load: Load::Futex,
        wakeups: Wakeups::Never,
    },
    Workload {
        name: "getppid",
        about: "a getppid system call, by a thread that never uses epoll",
        ops: 10_000,
        load: Load::Getppid,
        wakeups: Wakeups::Never,
    },
];
