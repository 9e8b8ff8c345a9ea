//! One look at everything that is counted, as plain numbers since the start of tracing.

mod epoll_id;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::files::Delivered;
use super::histogram::Histogram;
use super::look::Look;
use super::overhead::Spent;
use super::readers::Reader;
use super::shared::Shared;
use super::source::{Listening, SourceItem};
use super::waker::Wakers;

pub use epoll_id::EpollId;

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
        OverflowLength = "overflow_length", "Items that a scan's overflow list got, of scans where it got any";
        Lock = "lock", "Waiting for the lock of an epoll's ready list, by all threads";
        Mutex = "mutex", "Waiting for an epoll's mutex, by all threads";
    }
}

impl Metric {
    /// Whether its values are times in ns; else they are numbers of things.
    pub const fn is_time(self) -> bool {
        !matches!(self, Self::EventsPerWait | Self::OverflowLength)
    }

    /// Whether its values are kept by lock, in [`Snapshot::locks`], and not in rows.
    pub const fn is_of_locks(self) -> bool {
        matches!(self, Self::Lock | Self::Mutex)
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
        WakeupsTimer = "wakeups_timer", "Of wakeups_source those by a timerfd that expired";
        WakeupsChain = "wakeups_chain", "Wakeups at the end of another thread's scan";
        WakeupsCtl = "wakeups_ctl", "Wakeups by epoll_ctl on a ready file";
        WakeupsUnclassified = "wakeups_unclassified", "Wakeups whose cause this kernel does not tell";
        EmptyWakeups = "empty_wakeups", "Wakeups after which the wait slept again or returned 0";
        AlreadyRunnable = "already_runnable", "Waiters epoll tried to wake that ran already: no wakeups";
        ScansRepoll = "scans_repoll", "Scans that found nothing before the wait slept: level-triggered items polled again";
        ScansSpurious = "scans_spurious", "Scans that found nothing after a wakeup";
        Accepts = "accepts", "accept and accept4 that succeeded between a delivery and the next wait";
        AcceptEagain = "accept_eagain", "Deliveries after which the thread's first accept gave EAGAIN";
        AcceptErrors = "accept_errors", "Deliveries after which it failed with another error";
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
        OverflowItems = "ovf_items", "Items on these lists";
        OverflowMore = "ovf_more", "Of these lists those with more than 64 items";
        CtlAdd = "ctl_add", "EPOLL_CTL_ADD done";
        CtlMod = "ctl_mod", "EPOLL_CTL_MOD done";
        CtlDel = "ctl_del", "EPOLL_CTL_DEL done";
        CtlModSame = "ctl_mod_same", "MODs that changed nothing, of items still remembered";
        CtlEinval = "ctl_einval", "epoll_ctl that failed with EINVAL";
        CtlEexist = "ctl_eexist", "epoll_ctl that failed with EEXIST";
        CtlEnoent = "ctl_enoent", "epoll_ctl that failed with ENOENT";
        CtlEbadf = "ctl_ebadf", "epoll_ctl that failed with EBADF";
        CtlErrors = "ctl_errors", "epoll_ctl that failed with another error";
        UringWaits = "uring_waits", "Waits by io_uring that ended";
        UringEvents = "uring_events", "Events that these delivered";
        ItemsReleased = "items_released", "Items that went with their file, closed without EPOLL_CTL_DEL";
        Created = "created", "Epolls created";
        Closed = "closed", "Epolls closed";
        LockWaits = "lock_waits", "Waits for the lock of the ready list, by all threads";
        MutexWaits = "mutex_waits", "Waits for the epoll's mutex, by all threads";
        SourceLockWaits = "source_lock_waits", "Waits for the wait-queue lock of a watched file; a file that several epolls watch counts for the first";
    }
}

/// Name of the number of items, in [`Snapshot::absent`] and in views.
pub const ITEMS: &str = "items";
/// Name of the flags in use, likewise.
pub const FLAGS: &str = "flags";

/// In a mask of epoll_ctl (include/uapi/linux/eventpoll.h): an event wakes one of the exclusive waiters.
pub const EXCLUSIVE: u32 = 1 << 28;
/// Keeps the system awake while the event is handled.
pub const WAKEUP: u32 = 1 << 29;
/// Silent after one event.
pub const ONESHOT: u32 = 1 << 30;
/// Edge-triggered.
pub const EDGE: u32 = 1 << 31;

ids! {
    /// Which lock is waited for.
    LockKind {
        Lock = "lock", "Of the epoll's ready list: ep->lock";
        Mutex = "mutex", "Of scans and epoll_ctl: ep->mtx";
        Source = "source", "Of the wait queue of a watched file";
    }
}

impl LockKind {
    /// The metric its times are shown as besides.
    pub const fn metric(self) -> Option<Metric> {
        match self {
            Self::Lock => Some(Metric::Lock),
            Self::Mutex => Some(Metric::Mutex),
            Self::Source => None,
        }
    }
}

ids! {
    /// What a thread does while it waits for a lock.
    LockPath {
        Wait = "wait", "Scans, or goes to sleep, within a wait";
        Notification = "notification", "Runs ep_poll_callback";
        Ctl = "ctl", "Is in epoll_ctl";
        Fdinfo = "fdinfo", "Reads the epoll's /proc/PID/fdinfo";
        Close = "close", "Closes a watched file, or the epoll";
        Other = "other", "poll on an epoll, io_uring; of a source its readers and writers";
    }
}

/// Why a number that this kernel may well tell is absent: nobody asked for it.
pub const NOT_MEASURED: &str = "not measured in this run";

/// Name of the loss of detail when the kernel hides addresses: only some of the [`LockPath`]s are told apart.
pub const LOCK_PATHS: &str = "lock_paths";

/// Name of what is not seen where tracepoints alone tell of contention.
pub const FIRST_LOCK_WAITS: &str = "first_lock_waits";

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
    /// What was counted. Looks that saw no change share it.
    pub numbers: Shared<Numbers>,
}

/// What is counted of one [`RowKey`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Numbers {
    /// By [`Counter`].
    pub counters: [Option<u64>; Counter::COUNT],
    /// By metric, ascending; one that is missing has no values.
    pub metrics: Vec<(Metric, Histogram)>,
    /// Wakeups by who made the waiter runnable; empty unless asked for.
    pub wakers: Wakers,
    /// Of the chain wakeups which thread of the same epoll caused them; empty unless asked for.
    pub chains: Wakers,
}

impl Numbers {
    /// Whether nothing was counted.
    pub fn is_quiet(&self) -> bool {
        let mut counters = self.counters.iter().flatten();
        counters.all(|&count| count == 0)
            && self.metrics.is_empty()
            && self.wakers.is_empty()
            && self.chains.is_empty()
    }
}

/// The numbers of one epoll since the start of tracing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Epoll {
    /// Which.
    pub id: EpollId,
    /// Process that created it while we looked; of a sum of closed epolls the process it is of.
    pub creator: Option<u32>,
    /// A process that had it open, and its descriptor there: the creator's, or the one it was found by at the start.
    pub opened: Option<(u32, i32)>,
    /// Items now; `None` where how many it had before is not known, and for the sum of closed epolls.
    pub items: Option<u64>,
    /// Flags that some item was seen to use: bits 28 to 31 of its mask, EPOLLEXCLUSIVE to EPOLLET. `None` where that of
    /// items from before is not known and none was seen since.
    pub flags: Option<u32>,
    /// By [`EpollCounter`]. Looks that saw no change share it.
    pub counters: Shared<[Option<u64>; EpollCounter::COUNT]>,
}

impl Epoll {
    /// The process that is known to have it, and its descriptor there.
    pub fn owner(&self) -> Option<(u32, Option<i32>)> {
        let opened = self.opened.map(|(pid, epfd)| (pid, Some(epfd)));
        opened.or(self.creator.map(|pid| (pid, None)))
    }
}

/// A lock, and a process that waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey {
    /// The waiting process; in an interrupt the one that was interrupted.
    pub pid: u32,
    /// The waiting thread, with per-thread rows.
    pub tid: Option<u32>,
    /// The epoll; of a source's lock the first that was seen to watch it. `None` once closed epolls were folded into one.
    pub epoll: Option<EpollId>,
    /// Which of its locks.
    pub kind: LockKind,
    /// Descriptor that the source is watched as.
    pub fd: Option<i32>,
}

/// Waits that began on one [`LockPath`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PathSum {
    /// How many.
    pub count: u64,
    /// How long together, ns.
    pub sum_ns: u64,
}

/// Waits for a lock since the start of tracing.
#[derive(Clone, Debug, PartialEq)]
pub struct Lock {
    /// Whose.
    pub key: LockKey,
    /// Different threads that waited; `None` for closed epolls, whose threads may be the same.
    pub threads: Option<u64>,
    /// By [`LockPath`].
    pub paths: [PathSum; LockPath::COUNT],
    /// Times waited.
    pub waited: Histogram,
}

/// Which numbers can be known in a run. Looked up by name once: a look has ten thousand rows.
#[derive(Clone, Copy, Debug)]
pub struct Known {
    /// By [`Metric`].
    pub metrics: [bool; Metric::COUNT],
    /// By [`Counter`].
    pub counters: [bool; Counter::COUNT],
    /// By [`EpollCounter`].
    pub epolls: [bool; EpollCounter::COUNT],
    /// Of [`ITEMS`].
    pub items: bool,
    /// Of [`FLAGS`].
    pub flags: bool,
}

impl Known {
    /// All but what is `absent` by name.
    pub fn but(absent: &BTreeMap<String, String>) -> Self {
        let known = |name: &str| !absent.contains_key(name);
        Self {
            metrics: std::array::from_fn(|index| known(Metric::ALL[index].name())),
            counters: std::array::from_fn(|index| known(Counter::ALL[index].name())),
            epolls: std::array::from_fn(|index| known(EpollCounter::ALL[index].name())),
            items: known(ITEMS),
            flags: known(FLAGS),
        }
    }
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
    /// Waits for locks; empty unless they are measured.
    pub locks: Vec<Lock>,
    /// Items of files that several watch, and of listeners; empty unless they are counted.
    pub sources: Vec<SourceItem>,
    /// TCP sockets that listen at the addresses of those listeners, at this look; sorted.
    pub listening: Vec<Listening>,
    /// Who read the fdinfo of epolls; empty unless that is timed.
    pub readers: Vec<Reader>,
    /// Which files deliveries returned; empty unless that is looked up.
    pub delivered: Delivered,
    /// What the processes of the waiters have open, and what waits there; only at a look that was asked for.
    pub look: Option<Look>,
    /// Names of the processes and threads in `rows`, and of those that woke them, by id; raw bytes of the kernel made text, not yet safe for a terminal.
    pub names: Arc<BTreeMap<u32, String>>,
    /// Loss counters by name; every one is listed, 0 included.
    pub losses: BTreeMap<String, u64>,
    /// Why a counter or metric (by name) cannot be known in this run.
    pub absent: Arc<BTreeMap<String, String>>,
    /// What our own programs and this agent spent, where that was asked for.
    pub spent: Option<Spent>,
}
