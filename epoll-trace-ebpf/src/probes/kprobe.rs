//! kprobes: arguments are numbers in registers, every field is read by helper.
//! No kretprobe on anything that sleeps: it loses returns once more tasks sleep than it has slots.

use aya_ebpf::{
    macros::{kprobe, kretprobe},
    programs::{ProbeContext, RetProbeContext},
};

use aya_log_ebpf::debug;

use crate::{
    globals::{
        OFF_ENTRY_NEXT, OFF_ENTRY_PREV, OFF_ENTRY_PRIVATE, OFF_FILE_PRIVATE, TIMEOUT_IS_POINTER,
        WAKEUPS_ALONE,
    },
    kernel::{is_asleep, is_asleep_by_address, probed, probed_at},
    signals,
};

/// `do_epoll_wait(epfd, events, maxevents, timeout)`.
#[kprobe]
fn enter_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(epfd), Some(timeout)) = (ctx.arg::<u64>(0), ctx.arg::<u64>(3)) else {
        return 0;
    };
    let zero = if TIMEOUT_IS_POINTER.load() != 0 {
        timeout != 0 && probed_at::<[i64; 2]>(timeout) == Some([0, 0])
    } else {
        timeout as i32 == 0
    };
    signals::wait_enter(epfd as i32, zero);
    0
}

/// `ep_poll_callback(wait, mode, sync, key)`.
#[kprobe]
fn notify_kprobe(ctx: ProbeContext) -> u32 {
    if let (Some(wait), Some(key)) = (ctx.arg(0), ctx.arg::<u64>(3)) {
        // Both neighbours (`list_head` has `next` before `prev`) at once; alone both are the head of the queue.
        let is_shared = || probed::<[u64; 2]>(wait, &OFF_ENTRY_NEXT).is_some_and(|[next, prev]| next != prev);
        signals::notification_enter(wait, key as u32, is_shared);
    }
    0
}

#[kretprobe]
fn notify_kret(ctx: RetProbeContext) -> u32 {
    signals::notification_exit(|| ctx.ret::<u64>() as i32);
    0
}

/// `struct wait_queue_entry` from `private` to `entry.prev` (include/linux/wait.h).
const ENTRY_WORDS: usize = 4;

/// `ep_autoremove_wake_function(entry, mode, sync, key)`: the entry is the first of `ep->wq`, so its `prev` is the head.
#[kprobe]
fn wakeup_kprobe(ctx: ProbeContext) -> u32 {
    let Some(entry) = ctx.arg::<u64>(0) else { return 0 };
    // One read for both fields: each call of the helper takes 85 instructions.
    let Some(words) = probed::<[u64; ENTRY_WORDS]>(entry, &OFF_ENTRY_PRIVATE) else {
        return 0;
    };
    let prev = OFF_ENTRY_PREV.load().wrapping_sub(OFF_ENTRY_PRIVATE.load()) / 8;
    let (task, Some(&head)) = (words[0], words.get(prev as usize)) else {
        return 0;
    };
    if WAKEUPS_ALONE.load() != 0 {
        signals::wakeup_alone(task, head, || is_asleep_by_address(task));
    } else {
        signals::wakeup(task, head, || is_asleep(task));
    }
    0
}

/// `ep_start_scan(ep, list)`.
#[kprobe]
fn scan0_kprobe(_ctx: ProbeContext) -> u32 {
    signals::scan_start();
    0
}

/// `ep_send_events(ep, events, maxevents)`.
#[kprobe]
fn send_kprobe(_ctx: ProbeContext) -> u32 {
    signals::scan_start();
    0
}

/// `ep_send_events_proc(ep, head, priv)`.
#[kprobe]
fn scan05_kprobe(_ctx: ProbeContext) -> u32 {
    signals::scan_start();
    0
}

/// `ep_item_poll(item, …)`: the first of a scan stands for its start.
#[kprobe]
fn item_kprobe(_ctx: ProbeContext) -> u32 {
    signals::scan_start();
    0
}

/// `ep_scan_ready_list(ep, …)`, every scan on 5.10.
#[kprobe]
fn scan5_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(epoll) = ctx.arg(0) {
        signals::scan(epoll);
    }
    0
}

/// `ep_done_scan(ep, list)`.
#[kprobe]
fn scan_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(epoll) = ctx.arg(0) {
        signals::whole_scan(epoll);
    }
    0
}

/// `do_epoll_ctl(epfd, op, fd, event, nonblock)`; it sleeps, so its return is taken from sys_exit.
#[kprobe]
fn ctl_kprobe(ctx: ProbeContext) -> u32 {
    let (Some(epfd), Some(op), Some(fd), Some(event)) = (
        ctx.arg::<u64>(0),
        ctx.arg::<u64>(1),
        ctx.arg::<u64>(2),
        ctx.arg::<u64>(3),
    ) else {
        return 0;
    };
    let event = probed_at(event).unwrap_or([0; 3]);
    signals::ctl_enter(&signals::Request::new(epfd as i32, op as i32, fd as i32, event));
    0
}

/// `ep_eventpoll_release(inode, file)`.
#[kprobe]
fn death_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg(1)
        && let Some(epoll) = probed(file, &OFF_FILE_PRIVATE)
        && signals::death(epoll)
    {
        debug!(&ctx, "epoll {:x} closed", epoll);
    }
    0
}

/// `eventpoll_release_file(file)`: called only for a file that epolls watch.
#[kprobe]
fn release_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg(0) {
        signals::file_released(file);
    }
    0
}

/// `ep_show_fdinfo(seq, file)`.
#[kprobe]
fn shown_kprobe(ctx: ProbeContext) -> u32 {
    if let Some(file) = ctx.arg(1)
        && let Some(epoll) = probed(file, &OFF_FILE_PRIVATE)
    {
        signals::shown(epoll);
    }
    0
}
