//! What the agent writes before it loads the programs: read-only to them, so that the verifier drops what a run does not need.

use aya_ebpf::Global;

macro_rules! globals {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])* #[unsafe(no_mangle)] pub static $name: Global<u64> = Global::new(0);)*
    };
}

globals! {
    /// Offset of `wq.head` in `struct eventpoll`.
    OFF_EP_WQ_HEAD;
    /// Offset of `private` in `struct wait_queue_entry`.
    OFF_ENTRY_PRIVATE;
    /// Offset of `entry.prev` in `struct wait_queue_entry`.
    OFF_ENTRY_PREV;
    /// Distance from `base` to `wait` in `struct eppoll_entry`.
    OFF_WAIT_BASE;
    /// Offset of `ep` in `struct epitem`.
    OFF_ITEM_EP;
    /// Offset of `event.events` in `struct epitem`.
    OFF_ITEM_EVENTS;
    /// Offset of `fllink` in `struct epitem`.
    OFF_ITEM_FLLINK;
    /// Offset of `ffd.file` in `struct epitem`.
    OFF_ITEM_FILE;
    /// Offset of `ovflist_next` (`next` in most series) in `struct epitem`.
    OFF_ITEM_OVFLINK;
    /// Offset of `ovflist` in `struct eventpoll`.
    OFF_EP_OVFLIST;
    /// Offset of `lock` in `struct eventpoll`.
    OFF_EP_LOCK;
    /// Offset of `mtx` in `struct eventpoll`.
    OFF_EP_MTX;
    /// Offset of `ffd.fd` in `struct epitem`.
    OFF_ITEM_FD;
    /// Distance from `wait` to `whead` in `struct eppoll_entry`.
    OFF_WAIT_WHEAD;
    /// Offset of `head` in `struct wait_queue_head`.
    OFF_QUEUE_HEAD;
    /// Offset of `entry.next` in `struct wait_queue_entry`.
    OFF_ENTRY_NEXT;
    /// Offset of `pid` in `struct task_struct`.
    OFF_TASK_PID;
    /// Offset of `tgid` in `struct task_struct`.
    OFF_TASK_TGID;
    /// Offset of `__state` (`state` before 5.14) in `struct task_struct`.
    OFF_TASK_STATE;
    /// Offset of `comm` in `struct task_struct`.
    OFF_TASK_COMM;
    /// Offset of `group_leader` in `struct task_struct`.
    OFF_TASK_LEADER;
    /// Offset of `files` in `struct task_struct`.
    OFF_TASK_FILES;
    /// Offset of `signal` in `struct task_struct`.
    OFF_TASK_SIGNAL;
    /// Offset of `live` in `struct signal_struct`.
    OFF_SIGNAL_LIVE;
    /// Offset of `fdt` in `struct files_struct`.
    OFF_FILES_FDT;
    /// Offset of `fd` in `struct fdtable`.
    OFF_FDT_FD;
    /// Offset of `private_data` in `struct file`.
    OFF_FILE_PRIVATE;
    /// Offset of `f_op` in `struct file`.
    OFF_FILE_FOP;
    /// Offset of `f_inode` in `struct file`.
    OFF_FILE_INODE;
    /// Offset of `i_ino` in `struct inode`.
    OFF_INODE_INO;
    /// Offset of `file` in `struct socket`.
    OFF_SOCKET_FILE;
    /// Offset of `sk` in `struct socket`.
    OFF_SOCKET_SK;
    /// Offset of `type` in `struct socket`.
    OFF_SOCKET_TYPE;
    /// Offset of `__sk_common.skc_state` in `struct sock`.
    OFF_SOCK_STATE;
    /// Offset of `sk_max_ack_backlog` in `struct sock`.
    OFF_SOCK_BACKLOG;
    /// Offset of `f_ep` (`f_ep_links` before 5.11) in `struct file`.
    OFF_FILE_EP;
    /// 1 where that is the list of items itself (5.10), 0 where it points to one.
    FILE_EP_IS_LIST;
    /// Offset of `di` in `struct pt_regs`.
    OFF_REGS_DI;
    /// Offset of `si` in `struct pt_regs`.
    OFF_REGS_SI;
    /// Offset of `dx` in `struct pt_regs`.
    OFF_REGS_DX;
    /// Offset of `r10` in `struct pt_regs`.
    OFF_REGS_R10;
    /// Offset of `orig_ax` in `struct pt_regs`.
    OFF_REGS_ORIG_AX;
    /// Address of `eventpoll_fops`, 0 where the kernel does not tell.
    EVENTPOLL_FOPS;
    /// Address of `timerfd_fops`, 0 where the kernel does not tell.
    TIMERFD_FOPS;
    /// Address of `__per_cpu_offset`, 0 where the kernel does not tell.
    PER_CPU_OFFSETS;
    /// Where each CPU's part has the count of `preempt_count()`.
    PREEMPT_COUNT;
    /// Lowest bit of the interrupts in it.
    INTERRUPT_SHIFT;
    /// 1 where typed pointers lead on from the current task, 0 where each field is read by helper (5.10).
    TASK_IS_TYPED;
    /// 1 where a field that points to no structure can be loaded through, and is no number (6.17); 0 where it is one.
    UNTYPED_LOADS;
    /// 1 where `do_epoll_wait` takes a `struct timespec64 *`, 0 where it takes milliseconds (5.10).
    TIMEOUT_IS_POINTER;

    /// The agent's own process: never traced.
    OWN_TGID;
    /// 1: only what stands in `TRACED` is traced.
    FILTERED;
    /// 1: `TRACED` holds thread ids, 0: process ids.
    FILTER_BY_TID;
    /// 1: only threads of the cgroup in `CGROUP`, and of those below it, are traced.
    BY_CGROUP;
    /// 1: children of traced processes are traced too.
    FOLLOW_FORK;
    /// 1: a row per thread.
    PER_THREAD;
    /// 1: epolls are known by process and descriptor number: addresses cannot be read.
    EPOLL_BY_FD;
    /// 1: of wakeups there is one histogram, and nothing else is wanted.
    WAKEUPS_ALONE;
    /// 1: begins of waits are seen.
    WAITS_SEEN;
    /// 1: all waits and wakeups are counted; 0: only deliveries that slept.
    COUNT_WAITS;
    /// 1: notifications and scans are counted per epoll.
    COUNT_PER_EPOLL;
    /// 1: items come and go with epoll_ctl and with their files: what is told of them is kept.
    FOLLOW_ITEMS;
    /// 1: it is counted who wakes.
    COUNT_WAKERS;
    /// 1: accepts after deliveries are counted.
    COUNT_ACCEPTS;
    /// 1: it is counted which thread made the next one runnable at the end of its scan.
    COUNT_CHAINS;
    /// 1: notifications and wakeups are counted per item of files that several watch, and of listeners.
    COUNT_SOURCES;
    /// 1: it is looked up which files deliveries return.
    COUNT_FILES;
    /// 1: reads of fdinfo are timed.
    TIME_READS;
    /// 1: waits for locks are measured.
    LOCKS_WANTED;
    /// 1: notifications are seen, so that what runs inside one is known.
    NOTIFICATIONS_SEEN;
    /// First address of `do_epoll_ctl`, and below it the first one behind it; both 0 where the kernel does not tell. Likewise below.
    TEXT_CTL;
    /// See `TEXT_CTL`.
    TEXT_CTL_END;
    /// `do_epoll_ctl_file` (7.x).
    TEXT_CTL_FILE;
    /// See `TEXT_CTL`.
    TEXT_CTL_FILE_END;
    /// `ep_poll_callback`.
    TEXT_NOTIFICATION;
    /// See `TEXT_CTL`.
    TEXT_NOTIFICATION_END;
    /// `ep_show_fdinfo`.
    TEXT_FDINFO;
    /// See `TEXT_CTL`.
    TEXT_FDINFO_END;
    /// `eventpoll_release_file`.
    TEXT_CLOSE;
    /// See `TEXT_CTL`.
    TEXT_CLOSE_END;
    /// `ep_eventpoll_release`.
    TEXT_RELEASE;
    /// See `TEXT_CTL`.
    TEXT_RELEASE_END;
    /// 1: time in and between waits is added up.
    TIME_LOOPS;
    /// Place of the `wakeup` histogram in its row's, all ones if not wanted; likewise below.
    SLOT_WAKEUP;
    /// See `SLOT_WAKEUP`.
    SLOT_CALLBACK;
    /// See `SLOT_WAKEUP`.
    SLOT_RUNQUEUE;
    /// See `SLOT_WAKEUP`.
    SLOT_DELIVERY;
    /// See `SLOT_WAKEUP`.
    SLOT_QUEUE;
    /// See `SLOT_WAKEUP`.
    SLOT_BUSY;
    /// See `SLOT_WAKEUP`.
    SLOT_SCAN;
    /// See `SLOT_WAKEUP`.
    SLOT_EVENTS_PER_WAIT;
    /// See `SLOT_WAKEUP`.
    SLOT_OVERFLOW_LENGTH;
}
