//! Every BPF program with its hook and what it needs beyond that.

use super::hook::{Hook, Need};
use crate::kernel::caps::Capability;
use crate::kernel::offsets::Offset;

/// One program of the BPF object.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name there; the kernel keeps 15 characters.
    pub name: &'static str,
    /// Where it is attached.
    pub hook: Hook,
    /// What it needs beyond the hook itself.
    pub extra: &'static [Need],
}

impl Program {
    /// Everything it needs: the hook first, since that reason says most.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        self.hook.needs().into_iter().chain(self.extra.iter().copied())
    }
}

const fn program(name: &'static str, hook: Hook, extra: &'static [Need]) -> Program {
    Program { name, hook, extra }
}

const PROBE_READ: Need = Need::Capability(Capability::ProbeReadKernel);
const TASK_IDS: [Need; 2] = [Need::Offset(Offset::TaskPid), Need::Offset(Offset::TaskTgid)];
const ITEM: [Need; 2] = [Need::Offset(Offset::WaitBase), Need::Offset(Offset::ItemEp)];
const ENTRY: [Need; 3] = [
    Need::Offset(Offset::EntryPrivate),
    Need::Offset(Offset::EntryPrev),
    Need::Offset(Offset::EpWqHead),
];
const WATCHERS: [Need; 4] = [
    PROBE_READ,
    Need::Offset(Offset::FileEp),
    Need::Offset(Offset::ItemFllink),
    Need::Offset(Offset::ItemEp),
];
const LOCKS: [Need; 7] = [
    PROBE_READ,
    Need::Offset(Offset::EpLock),
    Need::Offset(Offset::EpMtx),
    Need::Offset(Offset::ItemFd),
    Need::Offset(Offset::WaitWhead),
    Need::Offset(Offset::EntryNext),
    Need::Offset(Offset::ItemEp),
];
const SYSCALL: [Need; 4] = [
    Need::Offset(Offset::RegsDi),
    Need::Offset(Offset::RegsSi),
    Need::Offset(Offset::RegsDx),
    Need::Offset(Offset::RegsR10),
];

/// Every program. A kprobe program has no typed pointers: it reads through the helper.
pub const PROGRAMS: &[Program] = &[
    program(
        "enter_fentry",
        Hook::Fentry("do_epoll_wait"),
        &[Need::TimeoutType],
    ),
    program(
        "enter_kprobe",
        Hook::Kprobe("do_epoll_wait"),
        &[Need::TimeoutType],
    ),
    program("enter_tp", Hook::TpBtf("sys_enter"), &SYSCALL),
    program("return_fexit", Hook::Fexit("do_epoll_wait"), &[]),
    program(
        "return_tp",
        Hook::TpBtf("sys_exit"),
        &[
            Need::Offset(Offset::RegsOrigAx),
            SYSCALL[0],
            SYSCALL[1],
            SYSCALL[2],
            SYSCALL[3],
        ],
    ),
    program("notify_fentry", Hook::Fentry("ep_poll_callback"), &ITEM),
    program("notify_fexit", Hook::Fexit("ep_poll_callback"), &[]),
    program(
        "notify_kprobe",
        Hook::Kprobe("ep_poll_callback"),
        &[PROBE_READ, ITEM[0], ITEM[1]],
    ),
    program("notify_kret", Hook::Kretprobe("ep_poll_callback"), &[]),
    program(
        "wakeup_fentry",
        Hook::Fentry("ep_autoremove_wake_function"),
        &[ENTRY[0], ENTRY[1], ENTRY[2], TASK_IDS[0], TASK_IDS[1]],
    ),
    program(
        "wakeup_kprobe",
        Hook::Kprobe("ep_autoremove_wake_function"),
        &[PROBE_READ, ENTRY[0], ENTRY[1], ENTRY[2], TASK_IDS[0], TASK_IDS[1]],
    ),
    program(
        "wakeup_tp",
        Hook::TpBtf("sched_waking"),
        &[TASK_IDS[0], Need::Offset(Offset::TaskState)],
    ),
    program("oncpu_tp", Hook::TpBtf("sched_switch"), &[TASK_IDS[0]]),
    program("scan0_fentry", Hook::Fentry("ep_start_scan"), &[]),
    program("send_fentry", Hook::Fentry("ep_send_events"), &[]),
    program("scan05_fentry", Hook::Fentry("ep_send_events_proc"), &[]),
    program("scan0_kprobe", Hook::Kprobe("ep_start_scan"), &[]),
    program("send_kprobe", Hook::Kprobe("ep_send_events"), &[]),
    program("scan05_kprobe", Hook::Kprobe("ep_send_events_proc"), &[]),
    program("item_kprobe", Hook::Kprobe("ep_item_poll.isra.0"), &[]),
    program("ctl_fexit", Hook::Fexit("do_epoll_ctl"), &[]),
    program("ctl_kprobe", Hook::Kprobe("do_epoll_ctl"), &[PROBE_READ]),
    program("accept_fexit", Hook::Fexit("__sys_accept4"), &[]),
    program(
        "release_fentry",
        Hook::Fentry("eventpoll_release_file"),
        &WATCHERS,
    ),
    program(
        "release_kprobe",
        Hook::Kprobe("eventpoll_release_file"),
        &WATCHERS,
    ),
    program(
        "shown_fentry",
        Hook::Fentry("ep_show_fdinfo"),
        // As with the end of an epoll: typed loads would do.
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "shown_kprobe",
        Hook::Kprobe("ep_show_fdinfo"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "shown_fexit",
        Hook::Fexit("ep_show_fdinfo"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "uring_fexit",
        Hook::Fexit("epoll_sendevents"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program("scan_fentry", Hook::Fentry("ep_done_scan"), &[PROBE_READ]),
    program("scan_kprobe", Hook::Kprobe("ep_done_scan"), &[]),
    program("scan5_fexit", Hook::Fexit("ep_send_events_proc"), &[]),
    program("end5_fexit", Hook::Fexit("ep_send_events_proc"), &[PROBE_READ]),
    program(
        "scan5_kprobe",
        Hook::Kprobe("ep_scan_ready_list.constprop.0"),
        &[],
    ),
    program("birth_fexit", Hook::Fexit("do_epoll_create"), &[]),
    program(
        "death_fentry",
        Hook::Fentry("ep_eventpoll_release"),
        // Typed loads would do; without the helper epolls are not known by the address that this tells.
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "death_kprobe",
        Hook::Kprobe("ep_eventpoll_release"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program("lock_tp", Hook::TpBtf("contention_begin"), &LOCKS),
    program("unlock_tp", Hook::TpBtf("contention_end"), &[]),
    program("rlock_fentry", Hook::Fentry("queued_read_lock_slowpath"), &LOCKS),
    program("rlock_fexit", Hook::Fexit("queued_read_lock_slowpath"), &[]),
    program("wlock_fentry", Hook::Fentry("queued_write_lock_slowpath"), &LOCKS),
    program("wlock_fexit", Hook::Fexit("queued_write_lock_slowpath"), &[]),
    program("mutex_fentry", Hook::Fentry("__mutex_lock_slowpath"), &LOCKS),
    program("mutex_fexit", Hook::Fexit("__mutex_lock_slowpath"), &[]),
    program(
        "spin_fentry",
        Hook::Fentry("native_queued_spin_lock_slowpath"),
        &LOCKS,
    ),
    program("spin_fexit", Hook::Fexit("native_queued_spin_lock_slowpath"), &[]),
    program(
        "pv_fentry",
        Hook::Fentry("__pv_queued_spin_lock_slowpath"),
        &LOCKS,
    ),
    program("pv_fexit", Hook::Fexit("__pv_queued_spin_lock_slowpath"), &[]),
    program("fork_tp", Hook::TpBtf("sched_process_fork"), &[TASK_IDS[1]]),
    program(
        "exit_tp",
        Hook::TpBtf("sched_process_exit"),
        &[
            TASK_IDS[1],
            Need::Offset(Offset::TaskSignal),
            Need::Offset(Offset::SignalLive),
        ],
    ),
];

/// The program called `name`.
pub fn program_named(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}
