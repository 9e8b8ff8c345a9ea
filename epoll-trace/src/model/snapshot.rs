//! One look at everything that is counted, as plain numbers since the start of tracing.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::histogram::Histogram;

/// Declares ids together with their names and one line of help.
macro_rules! ids {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $text:literal, $help:literal;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $(#[doc = $help] $variant,)* }

        impl $name {
            /// Every id.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = $name::ALL.len();

            /// The name in JSON, metrics, recordings and the command line.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }

            /// One line of help.
            pub const fn help(self) -> &'static str {
                match self { $($name::$variant => $help,)* }
            }

            /// The id called `name`.
            pub fn from_name(name: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|id| id.name() == name)
            }
        }
    };
}

ids! {
    /// Times, each a histogram in ns.
    Metric {
        Wakeup = "wakeup", "Notification that woke the waiter to its return to user space";
        Callback = "callback", "Notification's entry to the waiter made runnable";
        Runqueue = "runqueue", "Waiter made runnable to on CPU";
        Delivery = "delivery", "On CPU to the return to user space";
    }
}

ids! {
    /// Counters of a waiter's row.
    Counter {
        Waits = "waits", "Waits that ended";
        DeliveriesSlept = "deliveries_slept", "Waits that returned events after a wakeup";
        DeliveriesAtOnce = "deliveries_at_once", "Waits that returned events without a wakeup";
        Events = "events", "Events returned";
        FullBatches = "full_batches", "Deliveries with as many events as maxevents allows";
        Timeouts = "timeouts", "Waits that returned 0 at their timeout";
        ZeroTimeouts = "zero_timeouts", "Waits with timeout 0 that returned 0";
        Interrupted = "interrupted", "Waits that ended with EINTR";
        Errors = "errors", "Waits that ended with another error";
        WakeupsSource = "wakeups_source", "Wakeups by a notification of a watched file";
        WakeupsChain = "wakeups_chain", "Wakeups at the end of another thread's scan";
        WakeupsCtl = "wakeups_ctl", "Wakeups by epoll_ctl on a ready file";
        WakeupsUnclassified = "wakeups_unclassified", "Wakeups whose cause this kernel does not tell";
        EmptyWakeups = "empty_wakeups", "Wakeups after which the wait slept again or returned 0";
    }
}

ids! {
    /// Counters of an epoll, whoever waits on it.
    EpollCounter {
        Notifications = "notifications", "Calls of ep_poll_callback";
        Scans = "scans", "Scans of the ready list";
    }
}

/// An epoll instance, told apart from an earlier one at the same address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpollId {
    /// Kernel address, or a descriptor number marked with [`EpollId::BY_FD`] where addresses are hidden.
    pub address: u64,
    /// CLOCK_MONOTONIC ns when it was created or first seen.
    pub born_ns: u64,
}

impl EpollId {
    /// Marks an `address` that is a descriptor number; kernel addresses have the bit above it set.
    pub const BY_FD: u64 = 1 << 62;

    /// Whether it stands for all closed epolls of a process: no epoll lies at address 0.
    pub fn stands_for_closed(self) -> bool {
        self.address == 0
    }

    /// Whether the same id in another process is another epoll.
    pub fn is_private(self) -> bool {
        self.address >> 62 == Self::BY_FD >> 62
    }
}

/// Whose numbers: (process, epoll), and the thread where asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The waiting process.
    pub pid: u32,
    /// The waiting thread, with per-thread rows.
    pub tid: Option<u32>,
    /// The epoll; `None` once rows of closed epolls were folded into one.
    pub epoll: Option<EpollId>,
}

/// The numbers of one [`RowKey`] since the start of tracing. `None` is "cannot be known here"; [`Snapshot::absent`] says why.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    /// Whose.
    pub key: RowKey,
    /// Descriptor number the process last waited with.
    pub epfd: Option<i32>,
    /// By [`Counter`].
    pub counters: [Option<u64>; Counter::COUNT],
    /// By [`Metric`]; `None` also without values.
    pub metrics: [Option<Histogram>; Metric::COUNT],
}

/// The numbers of one epoll since the start of tracing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoll {
    /// Which.
    pub id: EpollId,
    /// Process that created it while we looked.
    pub creator: Option<u32>,
    /// By [`EpollCounter`].
    pub counters: [Option<u64>; EpollCounter::COUNT],
}

/// Everything counted since the start of tracing, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// CLOCK_MONOTONIC ns of this look.
    pub at_ns: u64,
    /// Waiters. Looks that saw no change of a row share it.
    pub rows: Vec<Arc<Row>>,
    /// Epolls.
    pub epolls: Vec<Epoll>,
    /// Names of the processes and threads in `rows`, by id; raw bytes of the kernel made text, not yet safe for a terminal.
    pub names: BTreeMap<u32, String>,
    /// Loss counters by name; every one is listed, 0 included.
    pub losses: BTreeMap<String, u64>,
    /// Why a counter or metric (by name) cannot be known in this run.
    pub absent: Arc<BTreeMap<String, String>>,
}
