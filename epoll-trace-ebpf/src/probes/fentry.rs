//! fentry and fexit: arguments are typed, so fields are loaded directly where the verifier follows.
//! The return value stands behind the arguments; `bpf_get_func_ret` came only with 5.17.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use aya_log_ebpf::debug;
use epoll_trace_ebpf::{ENTRY_PREV, ENTRY_PRIVATE};

use crate::{
    globals::{
        EPOLL_BY_FD, OFF_ENTRY_NEXT, OFF_ENTRY_PREV, OFF_ENTRY_PRIVATE, OFF_FILE_PRIVATE, TIMEOUT_IS_POINTER,
        WAKEUPS_ALONE,
    },
    kernel::{is_asleep_behind, typed},
    signals,
};

/// Whether the timeout of a call of `do_epoll_wait` is zero.
macro_rules! is_zero_timeout {
    ($ctx:ident) => {
        if TIMEOUT_IS_POINTER.load() != 0 {
            let timeout: *const i64 = $ctx.arg(3);
            // SAFETY: a typed `struct timespec64 *`: seconds and nanoseconds, 8 bytes each.
            !timeout.is_null() && unsafe { timeout.read_volatile() | timeout.add(1).read_volatile() } == 0
        } else {
            $ctx.arg::<i32>(3) == 0
        }
    };
}

/// `do_epoll_wait(epfd, events, maxevents, timeout)`.
#[fentry(function = "do_epoll_wait")]
fn enter_fentry(ctx: FEntryContext) -> i32 {
    signals::wait_enter(ctx.arg(0), is_zero_timeout!(ctx));
    0
}

#[fexit(function = "do_epoll_wait")]
fn return_fexit(ctx: FExitContext) -> i32 {
    let call = || signals::Call {
        epfd: ctx.arg(0),
        maxevents: ctx.arg(2),
    };
    signals::wait_return(|| ctx.arg(4), call, || is_zero_timeout!(ctx), || ctx.arg(1));
    0
}

/// `ep_poll_callback(wait, mode, sync, key)`.
#[fentry(function = "ep_poll_callback")]
fn notify_fentry(ctx: FEntryContext) -> i32 {
    let entry: *const u8 = ctx.arg(0);
    // SAFETY: a typed `struct wait_queue_entry *`. Alone both its neighbours are the head of the queue.
    let is_shared =
        || unsafe { typed::<u64>(entry, &OFF_ENTRY_NEXT) != typed::<u64>(entry, &OFF_ENTRY_PREV) };
    signals::notification_enter(ctx.arg(0), ctx.arg::<u64>(3) as u32, is_shared);
    0
}

#[fexit(function = "ep_poll_callback")]
fn notify_fexit(ctx: FExitContext) -> i32 {
    signals::notification_exit(|| ctx.arg(4));
    0
}

/// `ep_autoremove_wake_function(entry, mode, sync, key)`: the entry is the first of `ep->wq`, so its `prev` is the head.
#[fentry(function = "ep_autoremove_wake_function")]
fn wakeup_fentry(ctx: FEntryContext) -> i32 {
    let entry: *const u8 = ctx.arg(0);
    // SAFETY: a typed `struct wait_queue_entry *`, and its `void *` field as it was loaded.
    unsafe {
        if WAKEUPS_ALONE.load() != 0 {
            let task = entry.add(ENTRY_PRIVATE as usize).cast::<u64>().read_volatile();
            let head = entry.add(ENTRY_PREV as usize).cast::<u64>().read_volatile();
            signals::wakeup_alone(task, head, || is_asleep_behind(task as *const u8));
            return 0;
        }
        let (task, head): (u64, u64) = (typed(entry, &OFF_ENTRY_PRIVATE), typed(entry, &OFF_ENTRY_PREV));
        signals::wakeup(task, head, || {
            EPOLL_BY_FD.load() != 0 || is_asleep_behind(task as *const u8)
        });
    }
    0
}

/// `ep_done_scan(ep, list)`.
#[fentry(function = "ep_done_scan")]
fn scan_fentry(ctx: FEntryContext) -> i32 {
    signals::whole_scan(ctx.arg(0));
    0
}

/// `ep_start_scan(ep, list)`.
#[fentry(function = "ep_start_scan")]
fn scan0_fentry(_ctx: FEntryContext) -> i32 {
    signals::scan_start();
    0
}

/// `ep_send_events(ep, events, maxevents)`: the start of a scan where `ep_start_scan` is inlined; includes the wait for `ep->mtx`.
#[fentry(function = "ep_send_events")]
fn send_fentry(_ctx: FEntryContext) -> i32 {
    signals::scan_start();
    0
}

/// `ep_send_events_proc(ep, head, priv)`: a scan of a wait on 5.10 begins.
#[fentry(function = "ep_send_events_proc")]
fn scan05_fentry(_ctx: FEntryContext) -> i32 {
    signals::scan_start();
    0
}

/// `do_epoll_ctl(epfd, op, fd, event, nonblock)`. DEL may come without an event.
#[fexit(function = "do_epoll_ctl")]
fn ctl_fexit(ctx: FExitContext) -> i32 {
    let event: *const u32 = ctx.arg(3);
    let event = if event.is_null() {
        [0; 3]
    } else {
        // SAFETY: a typed `struct epoll_event *`: mask and user's word, packed.
        unsafe {
            [
                event.read_volatile(),
                event.add(1).read_volatile(),
                event.add(2).read_volatile(),
            ]
        }
    };
    signals::ctl(
        &signals::Request::new(ctx.arg(0), ctx.arg(1), ctx.arg(2), event),
        ctx.arg(5),
    );
    0
}

/// `epoll_sendevents(file, events, maxevents)`: io_uring's wait.
#[fexit(function = "epoll_sendevents")]
fn uring_fexit(ctx: FExitContext) -> i32 {
    // SAFETY: a typed `struct file *`.
    let address = unsafe { typed(ctx.arg(0), &OFF_FILE_PRIVATE) };
    signals::uring_wait(address, ctx.arg(3));
    0
}

/// `__sys_accept4(fd, address, length, flags)`: accept and accept4, not those of io_uring.
#[fexit(function = "__sys_accept4")]
fn accept_fexit(ctx: FExitContext) -> i32 {
    signals::accept_return(ctx.arg(0), ctx.arg(4));
    0
}

/// `ep_send_events_proc(ep, head, priv)`: the scan of a wait on 5.10, where no kprobe counts all scans.
#[fexit(function = "ep_send_events_proc")]
fn scan5_fexit(ctx: FExitContext) -> i32 {
    signals::scan(ctx.arg(0));
    0
}

/// `ep_send_events_proc(ep, head, priv)`: `ep_scan_ready_list` takes the overflow list right after it.
#[fexit(function = "ep_send_events_proc")]
fn end5_fexit(ctx: FExitContext) -> i32 {
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

/// `eventpoll_release_file(file)`: called only for a file that epolls watch.
#[fentry(function = "eventpoll_release_file")]
fn release_fentry(ctx: FEntryContext) -> i32 {
    signals::file_released(ctx.arg(0));
    0
}

/// `ep_show_fdinfo(seq, file)` ends.
#[fexit(function = "ep_show_fdinfo")]
fn shown_fexit(ctx: FExitContext) -> i32 {
    // SAFETY: a typed `struct file *`.
    signals::shown_end(unsafe { typed(ctx.arg(1), &OFF_FILE_PRIVATE) });
    0
}

/// `ep_show_fdinfo(seq, file)`.
#[fentry(function = "ep_show_fdinfo")]
fn shown_fentry(ctx: FEntryContext) -> i32 {
    // SAFETY: a typed `struct file *`.
    signals::shown(unsafe { typed(ctx.arg(1), &OFF_FILE_PRIVATE) });
    0
}
