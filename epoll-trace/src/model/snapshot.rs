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
    /// What is kept as a histogram: times in ns, and some numbers, see [`Metric::is_time`].
    Metric {
        Wakeup = "wakeup", "Notification that woke the waiter to its return to user space";
        Callback = "callback", "Notification's entry to the waiter made runnable";
        Runqueue = "runqueue", "Waiter made runnable to on CPU";
        Delivery = "delivery", "On CPU to the return to user space";
        Queue = "queue", "First notification while nobody slept to the return that delivers it";
        Busy = "busy", "A thread's time between a return and its next wait";
        Scan = "scan", "Window in which notifications go to the overflow list";
        EventsPerWait = "events_per_wait", "Events that a delivery returned";
        OverflowLength = "overflow_length", "Items on the overflow list at the end of a scan that had any";
    }
}

impl Metric {
    /// Whether its values are times in ns; else they are numbers of things.
    pub const fn is_time(self) -> bool {
        !matches!(self, Self::EventsPerWait | Self::OverflowLength)
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
        AlreadyRunnable = "already_runnable", "Waiters epoll tried to wake that ran already: no wakeups";
        ScansRepoll = "scans_repoll", "Scans that found nothing before the wait slept: level-triggered items polled again";
        ScansSpurious = "scans_spurious", "Scans that found nothing after a wakeup";
        WaitingNs = "waiting_ns", "Time in waits";
        BusyNs = "busy_ns", "Time between waits";
    }
}

ids! {
    /// Counters of an epoll, whoever waits on it.
    EpollCounter {
        Notifications = "notifications", "Calls of ep_poll_callback";
        NotificationsUnasked = "notifications_unasked", "Notifications of events the item does not ask for";
        NotificationsQueued = "notifications_queued", "Notifications while nobody slept on the epoll";
        NotificationsInScan = "ovf_notifications", "Notifications that hit a scan in progress";
        NotificationsNested = "notifications_nested", "Notifications by an epoll that is watched itself";
        Scans = "scans", "Scans of the ready list";
        ScansOverflow = "ovf_scans", "Scans that ended with items on the overflow list";
        OverflowItems = "ovf_items", "Items on the overflow list, of each scan at most 64";
        OverflowMore = "ovf_more", "Scans that ended with more than 64";
        CtlAdd = "ctl_add", "EPOLL_CTL_ADD done";
        CtlMod = "ctl_mod", "EPOLL_CTL_MOD done";
        CtlDel = "ctl_del", "EPOLL_CTL_DEL done";
        CtlModSame = "ctl_mod_same", "MODs that changed nothing, of items still remembered";
        CtlEinval = "ctl_einval", "epoll_ctl that failed with EINVAL";
        CtlEexist = "ctl_eexist", "epoll_ctl that failed with EEXIST";
        CtlEnoent = "ctl_enoent", "epoll_ctl that failed with ENOENT";
        CtlEbadf = "ctl_ebadf", "epoll_ctl that failed with EBADF";
        CtlErrors = "ctl_errors", "epoll_ctl that failed with another error";
        UringWaits = "uring_waits", "Waits by io_uring";
        UringEvents = "uring_events", "Events that these delivered";
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
    /// Flags that some item was seen to use: bits 28 to 31 of its mask, EPOLLEXCLUSIVE to EPOLLET.
    pub flags: u32,
    /// By [`EpollCounter`].
    pub counters: [Option<u64>; EpollCounter::COUNT],
}

/// Everything counted since the start of tracing, at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Snapshot {
    /// CLOCK_MONOTONIC ns of this look.
    pub at_ns: u64,
    /// Waiters.
    pub rows: Vec<Row>,
    /// Epolls.
    pub epolls: Vec<Epoll>,
    /// Names of the processes and threads in `rows`, by id; raw bytes of the kernel made text, not yet safe for a terminal.
    pub names: BTreeMap<u32, String>,
    /// Loss counters by name; every one is listed, 0 included.
    pub losses: BTreeMap<String, u64>,
    /// Why a counter or metric (by name) cannot be known in this run.
    pub absent: Arc<BTreeMap<String, String>>,
}
