//! Kernel functions and tracepoints that are looked for; everything else in BTF and kallsyms is skipped.

/// Functions of fs/eventpoll.c, by source name; compiler clones such as `.constprop.0` are kept under their own name.
pub const FUNCTIONS: &[&str] = &[
    "do_epoll_create",
    "do_epoll_ctl",
    "do_epoll_wait",
    "ep_autoremove_wake_function",
    "ep_done_scan",
    "ep_eventpoll_release",
    "ep_item_poll",
    "ep_poll_callback",
    "ep_scan_ready_list",
    "ep_send_events",
    "ep_send_events_proc",
    "ep_start_scan",
    "epoll_sendevents",
];

/// Tracepoints; BTF shows each as a typedef `btf_trace_NAME`.
pub const TRACEPOINTS: &[&str] = &[
    "sched_process_exit",
    "sched_process_fork",
    "sched_switch",
    "sched_waking",
    "sys_enter",
    "sys_exit",
];

/// The file operations of an epoll; visible in kallsyms only with CONFIG_KALLSYMS_ALL.
pub const EVENTPOLL_FOPS: &str = "eventpoll_fops";

/// The function that stands for all others when fentry and kprobe are tried. Present and never inlined from 5.10 to 7.3.
pub(super) const TRIED_FUNCTION: &str = "ep_poll_callback";

/// The tracepoint that stands for all others when tp_btf is tried.
pub(super) const TRIED_TRACEPOINT: &str = "sched_switch";

/// Position of the timeout among the parameters of `do_epoll_wait`: an `int` in ms up to 5.10, a `timespec64 *` since 5.11.
pub(super) const TIMEOUT: (&str, usize) = ("do_epoll_wait", 3);
