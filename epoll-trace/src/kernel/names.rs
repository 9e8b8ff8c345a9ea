//! Kernel functions and tracepoints that are looked for; everything else in BTF and kallsyms is skipped.

/// Functions of fs/eventpoll.c and net/socket.c, and the slow paths of locks, by source name; compiler clones such as
/// `.constprop.0` are kept under their own name.
pub const FUNCTIONS: &[&str] = &[
    "__mutex_lock_slowpath",
    "__pv_queued_spin_lock_slowpath",
    "__sys_accept4",
    "do_epoll_create",
    "do_epoll_ctl",
    "do_epoll_ctl_file",
    "do_epoll_wait",
    "ep_autoremove_wake_function",
    "ep_done_scan",
    "ep_eventpoll_release",
    "ep_item_poll",
    "ep_poll_callback",
    "ep_scan_ready_list",
    "ep_send_events",
    "ep_send_events_proc",
    "ep_show_fdinfo",
    "ep_start_scan",
    "epoll_sendevents",
    "eventpoll_release_file",
    "native_queued_spin_lock_slowpath",
    "queued_read_lock_slowpath",
    "queued_write_lock_slowpath",
];

/// Tracepoints; BTF shows each as a typedef `btf_trace_NAME`.
pub const TRACEPOINTS: &[&str] = &[
    "contention_begin",
    "contention_end",
    "sched_process_exit",
    "sched_process_fork",
    "sched_switch",
    "sched_waking",
    "sys_enter",
    "sys_exit",
];

/// The file operations of an epoll.
pub const EVENTPOLL_FOPS: &str = "eventpoll_fops";
/// The file operations of a timerfd.
pub const TIMERFD_FOPS: &str = "timerfd_fops";
/// By CPU: what to add to the address of a per-CPU variable.
pub const PER_CPU_OFFSETS: &str = "__per_cpu_offset";
/// The per-CPU variable behind `preempt_count()`, but for 6.2 to 6.14.
pub const PREEMPT_COUNT: &str = "__preempt_count";
/// The per-CPU structure that holds it from 6.2 to 6.14.
pub const PCPU_HOT: &str = "pcpu_hot";

/// Is there where `preempt_count()` also counts how often interrupts were switched off (since 7.3).
pub const INTERRUPTS_OFF: &str = "local_interrupt_disable_state";

/// Up to 6.1, where all of these are seen, nothing of use comes any more: per-CPU variables come first, then text, then constants.
pub(super) const LATE_DATA: &[&str] = &[EVENTPOLL_FOPS, TIMERFD_FOPS, PER_CPU_OFFSETS, PREEMPT_COUNT];

/// Data whose addresses are of use; visible in kallsyms only with CONFIG_KALLSYMS_ALL.
pub const DATA: &[&str] = &[
    EVENTPOLL_FOPS,
    TIMERFD_FOPS,
    PER_CPU_OFFSETS,
    PREEMPT_COUNT,
    PCPU_HOT,
    INTERRUPTS_OFF,
];

/// There since 6.2 (kernel/kallsyms.c), with symbols that are sorted by name too: to find one is a search, where it was a walk through all.
pub(super) const SORTED_SYMBOLS: &str = "kallsyms_on_each_match_symbol";

/// What compilers append to the name of a function that they cloned.
pub(super) const CLONES: [&str; 3] = [".isra.0", ".constprop.0", ".part.0"];

/// The function that stands for all others when fentry and kprobe are tried. Present and never inlined from 5.10 to 7.3.
pub(super) const TRIED_FUNCTION: &str = "ep_poll_callback";

/// The tracepoint that stands for all others when tp_btf is tried.
pub(super) const TRIED_TRACEPOINT: &str = "sched_switch";

/// Position of the timeout among the parameters of `do_epoll_wait`: an `int` in ms up to 5.10, a `timespec64 *` since 5.11.
pub(super) const TIMEOUT: (&str, usize) = ("do_epoll_wait", 3);
