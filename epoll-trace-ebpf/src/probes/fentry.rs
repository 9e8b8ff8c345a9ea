//! fentry and fexit: arguments are typed, so fields are loaded directly where the verifier follows.
//! The return value stands behind the arguments; `bpf_get_func_ret` came only with 5.17.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use aya_log_ebpf::debug;

use crate::{
    globals::{
        EPOLL_BY_FD, OFF_ENTRY_PREV, OFF_ENTRY_PRIVATE, OFF_EP_WQ_HEAD, OFF_FILE_PRIVATE, TIMEOUT_IS_POINTER,
    },
    kernel::{probed, typed},
    signals,
};

/// `do_epoll_wait(epfd, events, maxevents, timeout)`.
#[fentry(function = "do_epoll_wait")]
fn enter_fentry(ctx: FEntryContext) -> i32 {
    let zero = if TIMEOUT_IS_POINTER.load() != 0 {
        let timeout: *const i64 = ctx.arg(3);
        // SAFETY: a typed `struct timespec64 *`: seconds and nanoseconds, 8 bytes each.
        !timeout.is_null() && unsafe { timeout.read_volatile() | timeout.add(1).read_volatile() } == 0
    } else {
        ctx.arg::<i32>(3) == 0
    };
    signals::wait_enter(ctx.arg(0), ctx.arg(2), zero);
    0
}

#[fexit(function = "do_epoll_wait")]
fn return_fexit(ctx: FExitContext) -> i32 {
    signals::wait_return(ctx.arg(4));
    0
}

/// `ep_poll_callback(wait, mode, sync, key)`.
#[fentry(function = "ep_poll_callback")]
fn notify_fentry(ctx: FEntryContext) -> i32 {
    signals::notification_enter(ctx.arg(0));
    0
}

#[fexit(function = "ep_poll_callback")]
fn notify_fexit(_ctx: FExitContext) -> i32 {
    signals::notification_exit();
    0
}

/// `ep_autoremove_wake_function(entry, mode, sync, key)`: the entry is the first of `ep->wq`, so its `prev` is the head.
#[fentry(function = "ep_autoremove_wake_function")]
fn wakeup_fentry(ctx: FEntryContext) -> i32 {
    let entry: *const u8 = ctx.arg(0);
    // SAFETY: a typed `struct wait_queue_entry *`.
    let (task, head): (u64, u64) =
        unsafe { (typed(entry, &OFF_ENTRY_PRIVATE), typed(entry, &OFF_ENTRY_PREV)) };
    signals::wakeup(task, head.wrapping_sub(OFF_EP_WQ_HEAD.load()), || {
        if EPOLL_BY_FD.load() != 0 {
            None
        } else {
            probed(entry as u64, &OFF_ENTRY_PRIVATE)
        }
    });
    0
}

/// `ep_done_scan(ep, list)`.
#[fentry(function = "ep_done_scan")]
fn scan_fentry(ctx: FEntryContext) -> i32 {
    signals::scan_end(ctx.arg(0));
    0
}

/// `ep_send_events_proc(ep, head, priv)`: the scan of a wait on 5.10.
#[fexit(function = "ep_send_events_proc")]
fn scan5_fexit(ctx: FExitContext) -> i32 {
    signals::scan_end(ctx.arg(0));
    0
}

/// `do_epoll_create(flags)`.
#[fexit(function = "do_epoll_create")]
fn birth_fexit(ctx: FExitContext) -> i32 {
    let epfd: i32 = ctx.arg(1);
    if signals::birth(epfd) {
        debug!(&ctx, "epoll created as descriptor {}", epfd);
    }
    0
}

/// `ep_eventpoll_release(inode, file)`.
#[fentry(function = "ep_eventpoll_release")]
fn death_fentry(ctx: FEntryContext) -> i32 {
    // SAFETY: a typed `struct file *`.
    let address = unsafe { typed(ctx.arg(1), &OFF_FILE_PRIVATE) };
    if signals::death(address) {
        debug!(&ctx, "epoll {:x} closed", address);
    }
    0
}
