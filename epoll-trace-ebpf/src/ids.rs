//! What is counted and measured: ids in the order of the layout, each with its name.

/// Declares a `repr(u32)` list of ids together with their names: one place for each fact.
macro_rules! ids {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every id, in the order of the layout.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = $name::ALL.len();

            /// The name in JSON, metrics and docs.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

ids! {
    /// Times kept as histograms, in ns.
    Metric {
        /// Notification that woke the waiter → return to user space, of deliveries that slept.
        Wakeup = "wakeup",
        /// That notification's entry → the waiter made runnable.
        Callback = "callback",
        /// Made runnable → on CPU.
        Runqueue = "runqueue",
        /// On CPU → return to user space.
        Delivery = "delivery",
        /// First notification while nobody slept on the epoll → the return that delivers it.
        Queue = "queue",
        /// A thread's time between a return and its next wait.
        Busy = "busy",
        /// The window in which notifications go to the overflow list.
        Scan = "scan",
        /// Events that a delivery returned: a number, not a time.
        EventsPerWait = "events_per_wait",
        /// Items that a scan's overflow list got, of scans where it got any: a number, not a time.
        OverflowLength = "overflow_length",
        /// Waiting for `ep->lock`. Kept in a [`LockRow`](crate::LockRow), not in a [`Row`](crate::Row).
        Lock = "lock",
        /// Waiting for `ep->mtx`, likewise.
        Mutex = "mutex",
    }
}

ids! {
    /// What a [`Row`](crate::Row) counts.
    Counter {
        /// Waits that ended.
        Waits = "waits",
        /// Waits that returned N > 0 after at least one wakeup.
        DeliveriesSlept = "deliveries_slept",
        /// Waits that returned N > 0 without a wakeup.
        DeliveriesAtOnce = "deliveries_at_once",
        /// Sum of N over all deliveries.
        Events = "events",
        /// Deliveries with N = maxevents.
        FullBatches = "full_batches",
        /// Waits with a timeout other than 0 that returned 0.
        Timeouts = "timeouts",
        /// Waits with timeout 0 that returned 0.
        ZeroTimeouts = "zero_timeouts",
        /// Waits that ended with EINTR.
        Interrupted = "interrupted",
        /// Waits that ended with any other error.
        Errors = "errors",
        /// Wakeups inside a notification.
        WakeupsSource = "wakeups_source",
        /// Of these the ones by a timerfd that expired.
        WakeupsTimer = "wakeups_timer",
        /// Wakeups at the end of another thread's scan.
        WakeupsChain = "wakeups_chain",
        /// Wakeups by epoll_ctl adding or changing a file that is ready.
        WakeupsCtl = "wakeups_ctl",
        /// Wakeups whose cause this mechanism cannot tell.
        WakeupsUnclassified = "wakeups_unclassified",
        /// Wakeups after which the wait slept again or returned 0.
        EmptyWakeups = "empty_wakeups",
        /// Waiters that epoll tried to wake and that ran already: no wakeups.
        AlreadyRunnable = "already_runnable",
        /// Scans that found nothing before the wait slept: level-triggered items polled again.
        ScansRepoll = "scans_repoll",
        /// Scans that found nothing after a wakeup.
        ScansSpurious = "scans_spurious",
        /// accept and accept4 that succeeded between a delivery and the thread's next wait.
        Accepts = "accepts",
        /// Deliveries after which the thread's first accept or accept4 gave EAGAIN.
        AcceptEagain = "accept_eagain",
        /// Deliveries after which it failed with another error.
        AcceptErrors = "accept_errors",
        /// Time in waits, ns.
        WaitingNs = "waiting_ns",
        /// Time between waits, ns.
        BusyNs = "busy_ns",
    }
}

ids! {
    /// What an [`Epoll`](crate::Epoll) counts, whoever waits on it.
    EpollCounter {
        /// `ep_poll_callback` calls.
        Notifications = "notifications",
        /// Those that carried no event the item asks for: nothing became ready.
        NotificationsUnasked = "notifications_unasked",
        /// Those that made something ready while nobody slept on the epoll.
        NotificationsQueued = "notifications_queued",
        /// Those that hit a scan in progress.
        NotificationsInScan = "ovf_notifications",
        /// Those inside another one: the watched file is itself an epoll.
        NotificationsNested = "notifications_nested",
        /// Scans of the ready list.
        Scans = "scans",
        /// Scans that ended with items on the overflow list.
        ScansOverflow = "ovf_scans",
        /// Items on these lists.
        OverflowItems = "ovf_items",
        /// Of these lists those with more than [`OVERFLOW_LONG`](crate::OVERFLOW_LONG).
        OverflowMore = "ovf_more",
        /// EPOLL_CTL_ADD that succeeded.
        CtlAdd = "ctl_add",
        /// EPOLL_CTL_MOD that succeeded.
        CtlMod = "ctl_mod",
        /// EPOLL_CTL_DEL that succeeded.
        CtlDel = "ctl_del",
        /// Of these MODs those that changed neither mask nor data, as far as the item was seen before.
        CtlModSame = "ctl_mod_same",
        /// epoll_ctl that failed with EINVAL.
        CtlEinval = "ctl_einval",
        /// epoll_ctl that failed with EEXIST.
        CtlEexist = "ctl_eexist",
        /// epoll_ctl that failed with ENOENT.
        CtlEnoent = "ctl_enoent",
        /// epoll_ctl that failed with EBADF.
        CtlEbadf = "ctl_ebadf",
        /// epoll_ctl that failed with another error.
        CtlErrors = "ctl_errors",
        /// Waits by io_uring that ended (6.15 and later).
        UringWaits = "uring_waits",
        /// Events they delivered.
        UringEvents = "uring_events",
        /// Items that went with their file, closed without EPOLL_CTL_DEL.
        ItemsReleased = "items_released",
        /// 1 if it was created while we looked.
        Created = "created",
        /// 1 after its last file was closed.
        Closed = "closed",
        /// Waits for `ep->lock`, by any process.
        LockWaits = "lock_waits",
        /// Waits for `ep->mtx`, by any process.
        MutexWaits = "mutex_waits",
        /// Waits for the wait-queue lock of a file it watches. One that several epolls watch counts for the first of them.
        SourceLockWaits = "source_lock_waits",
    }
}

ids! {
    /// In what context a waiter was made runnable.
    WakeContext {
        /// By the current thread: a system call, a kernel thread, a worker of io_uring.
        Process = "process",
        /// In a softirq: the current thread was only interrupted.
        Softirq = "softirq",
        /// In an interrupt: likewise.
        Interrupt = "interrupt",
        /// By a timerfd that expired, wherever that was.
        Timer = "timer",
        /// By a thread at the end of its own scan, since the epoll was still ready: counted besides the above, where chains are wanted.
        Chain = "chain",
    }
}

ids! {
    /// Everything that can make a number too small; each is shown by every view.
    Loss {
        /// A thread was not followed: the thread table was full.
        ThreadsFull = "threads_full",
        /// A process × epoll pair got no row: all rows were taken.
        RowsFull = "rows_full",
        /// A value went into no histogram: all chunks were taken.
        ChunksFull = "chunks_full",
        /// An epoll was not followed: the epoll table was full.
        EpollsFull = "epolls_full",
        /// A notification was nested deeper than the kernel allows: its callback time is unknown.
        NestingTooDeep = "nesting_too_deep",
        /// A process was not followed after fork: the process tree was full.
        TreeFull = "tree_full",
        /// A wait's return was not seen: the kernel dropped the hit. Its outcome is counted nowhere.
        ReturnsMissed = "returns_missed",
        /// A wakeup's waker was not noted: the waker table was full, or its context could not be read.
        WakersLost = "wakers_lost",
        /// A thread woken before its first wait could not be identified.
        WaitersUnidentified = "waiters_unidentified",
        /// A file was closed that more items watched than are looked at: some epolls show more items than they have.
        ReleasesCut = "releases_cut",
        /// A wait for a lock went to no row: the table of locks was full.
        LocksFull = "locks_full",
        /// A thread that waited for a lock was not counted among its threads: the table of these was full.
        LockThreadsFull = "lock_threads_full",
        /// A wait for a lock was not followed to its end: too many at once.
        LockWaitsFull = "lock_waits_full",
        /// Notifications of a shared file went to no item: the table of these was full.
        SourceItemsFull = "source_items_full",
        /// A shared file was closed and its address another file's before its last counts were read.
        SourcesReused = "sources_reused",
        /// A shared file has more items than are looked at: of the others it shows those that are notified.
        SourcesCut = "sources_cut",
        /// A read of an epoll's fdinfo was not counted: too many readers.
        ReadersFull = "readers_full",
        /// Files of a delivery were not looked up: too many epolls, or no room for the thread.
        FilesFull = "files_full",
        /// Events of a delivery were not looked at: there were more than are, or the program's memory could not be read.
        EventsUnread = "events_unread",
    }
}

ids! {
    /// Which lock is waited for.
    LockKind {
        /// `ep->lock`: the ready list.
        Lock = "lock",
        /// `ep->mtx`: scans and epoll_ctl.
        Mutex = "mutex",
        /// The lock of a watched file's wait queue.
        Source = "source",
    }
}

ids! {
    /// What a thread does when it waits for a lock.
    LockPath {
        /// Waits on an epoll: scans, or goes to sleep.
        Wait = "wait",
        /// Runs `ep_poll_callback`.
        Notification = "notification",
        /// Is in epoll_ctl.
        Ctl = "ctl",
        /// Reads the epoll's /proc/PID/fdinfo.
        Fdinfo = "fdinfo",
        /// Closes a watched file, or the epoll.
        Close = "close",
        /// Something else: poll on an epoll, io_uring, or the source's own readers and writers.
        Other = "other",
    }
}
