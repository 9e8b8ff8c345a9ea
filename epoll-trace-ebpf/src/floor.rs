//! Empty programs, one for each program of the product, under the same name and on the same hook: what the kernel takes
//! before any of ours does something. Test-only (feature `floor`): the benchmark attaches them in place of the product's,
//! see `PROGRAMS` in the agent's catalog. No maps, no globals.
#![cfg_attr(target_arch = "bpf", no_std, no_main)]

#[cfg(target_arch = "bpf")]
mod head;

#[cfg(target_arch = "bpf")]
use aya_ebpf::{
    macros::{btf_tracepoint, fentry, fexit, kprobe, kretprobe},
    programs::{BtfTracePointContext, FEntryContext, FExitContext, ProbeContext, RetProbeContext},
};

/// Declares an empty program: mechanism, name, and the function or tracepoint it is attached to.
#[cfg(target_arch = "bpf")]
macro_rules! empty {
    (fentry $name:ident $target:literal) => {
        #[fentry(function = $target)]
        fn $name(_ctx: FEntryContext) -> i32 {
            0
        }
    };
    (fexit $name:ident $target:literal) => {
        #[fexit(function = $target)]
        fn $name(_ctx: FExitContext) -> i32 {
            0
        }
    };
    (tp_btf $name:ident $target:literal) => {
        #[btf_tracepoint(function = $target)]
        fn $name(_ctx: BtfTracePointContext) -> i32 {
            0
        }
    };
    // The loader says where a kprobe goes.
    (kprobe $name:ident $target:literal) => {
        #[kprobe]
        fn $name(_ctx: ProbeContext) -> u32 {
            0
        }
    };
    (kretprobe $name:ident $target:literal) => {
        #[kretprobe]
        fn $name(_ctx: RetProbeContext) -> u32 {
            0
        }
    };
    ($($mechanism:ident $name:ident $target:literal;)+) => {
        $(empty!($mechanism $name $target);)+
    };
}

// In the catalog's order: a test of the agent holds both lists equal.
#[cfg(target_arch = "bpf")]
empty! {
    fentry enter_fentry "do_epoll_wait";
    kprobe enter_kprobe "do_epoll_wait";
    tp_btf enter_tp "sys_enter";
    fexit return_fexit "do_epoll_wait";
    tp_btf return_tp "sys_exit";
    fentry notify_fentry "ep_poll_callback";
    fexit notify_fexit "ep_poll_callback";
    kprobe notify_kprobe "ep_poll_callback";
    kretprobe notify_kret "ep_poll_callback";
    fentry wakeup_fentry "ep_autoremove_wake_function";
    kprobe wakeup_kprobe "ep_autoremove_wake_function";
    tp_btf wakeup_tp "sched_waking";
    tp_btf oncpu_tp "sched_switch";
    fentry scan0_fentry "ep_start_scan";
    fentry send_fentry "ep_send_events";
    fentry scan05_fentry "ep_send_events_proc";
    kprobe scan0_kprobe "ep_start_scan";
    kprobe send_kprobe "ep_send_events";
    kprobe scan05_kprobe "ep_send_events_proc";
    kprobe item_kprobe "ep_item_poll.isra.0";
    fexit ctl_fexit "do_epoll_ctl";
    kprobe ctl_kprobe "do_epoll_ctl";
    fexit accept_fexit "__sys_accept4";
    fentry release_fentry "eventpoll_release_file";
    kprobe release_kprobe "eventpoll_release_file";
    fentry shown_fentry "ep_show_fdinfo";
    kprobe shown_kprobe "ep_show_fdinfo";
    fexit shown_fexit "ep_show_fdinfo";
    fexit uring_fexit "epoll_sendevents";
    fentry scan_fentry "ep_done_scan";
    kprobe scan_kprobe "ep_done_scan";
    fexit scan5_fexit "ep_send_events_proc";
    fexit end5_fexit "ep_send_events_proc";
    kprobe scan5_kprobe "ep_scan_ready_list.constprop.0";
    fexit birth_fexit "do_epoll_create";
    fentry death_fentry "ep_eventpoll_release";
    kprobe death_kprobe "ep_eventpoll_release";
    tp_btf lock_tp "contention_begin";
    tp_btf unlock_tp "contention_end";
    fentry rlock_fentry "queued_read_lock_slowpath";
    fexit rlock_fexit "queued_read_lock_slowpath";
    fentry wlock_fentry "queued_write_lock_slowpath";
    fexit wlock_fexit "queued_write_lock_slowpath";
    fentry mutex_fentry "__mutex_lock_slowpath";
    fexit mutex_fexit "__mutex_lock_slowpath";
    fentry spin_fentry "native_queued_spin_lock_slowpath";
    fexit spin_fexit "native_queued_spin_lock_slowpath";
    fentry pv_fentry "__pv_queued_spin_lock_slowpath";
    fexit pv_fexit "__pv_queued_spin_lock_slowpath";
    tp_btf fork_tp "sched_process_fork";
    tp_btf exit_tp "sched_process_exit";
}

/// The host has nothing to run: the object is built for the BPF target only.
#[cfg(not(target_arch = "bpf"))]
fn main() {}
