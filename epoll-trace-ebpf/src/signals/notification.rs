//! `ep_poll_callback`: enter and exit bracket every wakeup that it causes, on one CPU with interrupts off (fs/eventpoll.c).

use epoll_trace_ebpf::{EVENT_FLAGS, Epoll, EpollCounter, Loss, MAX_NESTING};

use super::{
    aggregate::lose,
    epoll, lock, scan,
    source::{self, Notified},
};
use crate::{
    globals::{COUNT_PER_EPOLL, COUNT_SOURCES, EPOLL_BY_FD, LOCKS_WANTED, OFF_EP_OVFLIST, OFF_ITEM_EVENTS},
    kernel,
    maps::CPUS,
};

/// `wait` is the wait-queue entry it was called with, `mask` the events it brings (0 = unknown); `is_shared` tells whether others
/// stand in that queue.
#[inline(always)]
pub fn notification_enter(wait: u64, mask: u32, is_shared: impl FnOnce() -> bool) {
    let Some(cpu) = CPUS.get_ptr_mut(0) else { return };
    let now = kernel::now();
    // SAFETY: this CPU's value of CPUS; interrupts are off.
    let depth = unsafe {
        let depth = (*cpu).depth as usize;
        if depth < MAX_NESTING {
            (&raw mut (*cpu).entered_ns).cast::<u64>().add(depth).write(now);
            source::begin(cpu, depth);
        } else {
            lose(Loss::NestingTooDeep);
        }
        if depth == 0 {
            (*cpu).source = wait;
        }
        (*cpu).depth = depth as u64 + 1;
        depth
    };
    if COUNT_SOURCES.load() != 0 && EPOLL_BY_FD.load() == 0 {
        let shared = is_shared();
        // A file that one item watches, and that is no socket, costs this and no more.
        if shared || source::may_be_of_listener(mask) {
            let notified = Notified {
                wait,
                mask,
                now,
                shared,
            };
            // SAFETY: this CPU's value of CPUS.
            unsafe { source::notified(cpu, depth, &notified) };
        }
    }
    if (COUNT_PER_EPOLL.load() != 0 || LOCKS_WANTED.load() != 0)
        && EPOLL_BY_FD.load() == 0
        && let Some((item, address)) = kernel::item_and_epoll_of_watch(wait)
        && let Some(epoll) = epoll::counters(address)
    {
        if LOCKS_WANTED.load() != 0 {
            lock::remember_source(wait, item, address);
        }
        if COUNT_PER_EPOLL.load() != 0 {
            // SAFETY: a value of EPOLL_ROWS.
            unsafe { count_in(epoll, item, address, mask, depth > 0, now) };
        }
    }
}

/// Whether an item with mask and flags `events` asks for what `mask` brings.
#[inline(always)]
pub fn is_asked(events: u32, mask: u32) -> bool {
    let asked = events & !EVENT_FLAGS;
    asked != 0 && (mask == 0 || mask & asked != 0)
}

/// # Safety
/// `epoll` must come from [`epoll::counters`].
#[inline(always)]
unsafe fn count_in(epoll: *mut Epoll, item: u64, address: u64, mask: u32, nested: bool, now: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        epoll::count(epoll, EpollCounter::Notifications, 1);
        if nested {
            epoll::count(epoll, EpollCounter::NotificationsNested, 1);
        }
        if !is_asked(kernel::probed(item, &OFF_ITEM_EVENTS).unwrap_or(0), mask) {
            epoll::count(epoll, EpollCounter::NotificationsUnasked, 1);
            return;
        }
        let in_scan = kernel::probed::<u64>(address, &OFF_EP_OVFLIST) != Some(u64::MAX);
        if in_scan {
            epoll::count(epoll, EpollCounter::NotificationsInScan, 1);
            scan::listed(epoll, item);
        }
        if kernel::has_sleeper(address) {
            return;
        }
        epoll::count(epoll, EpollCounter::NotificationsQueued, 1);
        let queued = if in_scan {
            &raw mut (*epoll).queued_in_scan_ns
        } else {
            &raw mut (*epoll).queued_ns
        };
        if *queued == 0 {
            *queued = now;
        }
    }
}

/// It returns; `returned` is what: 0 of an EPOLLEXCLUSIVE item that lets the walk of the wait queue go on.
#[inline(always)]
pub fn notification_exit(returned: impl FnOnce() -> i32) {
    let Some(cpu) = CPUS.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's value of CPUS; interrupts are off. One that began before we looked has nothing to take back.
    unsafe {
        if (*cpu).depth > 0 {
            (*cpu).depth -= 1;
            if COUNT_SOURCES.load() != 0 && returned() == 0 {
                source::passed_on(cpu, (*cpu).depth as usize);
            }
        }
    }
}

/// Entry of the innermost notification in progress on this CPU, ns; `None` outside of any.
#[inline(always)]
pub fn in_progress() -> Option<u64> {
    let cpu = CPUS.get_ptr(0)?;
    // SAFETY: this CPU's value of CPUS; the index is checked.
    unsafe {
        let depth = (*cpu).depth as usize;
        if depth == 0 {
            return None;
        }
        let innermost = depth - 1;
        if innermost >= MAX_NESTING {
            return Some(0);
        }
        Some((&raw const (*cpu).entered_ns).cast::<u64>().add(innermost).read())
    }
}

/// Whether a timerfd began the notification in progress on this CPU. The outermost one tells: of those inside it the watched
/// files are epolls.
#[inline(always)]
pub fn by_timer() -> bool {
    let Some(cpu) = CPUS.get_ptr(0) else { return false };
    // SAFETY: this CPU's value of CPUS.
    unsafe { (*cpu).depth > 0 && kernel::is_timer((*cpu).source) }
}
