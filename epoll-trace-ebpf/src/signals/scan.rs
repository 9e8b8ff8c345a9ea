//! Scans of the ready list, and the overflow list that takes notifications meanwhile (`ep_start_scan`, `ep_done_scan`,
//! fs/eventpoll.c).

use epoll_trace_ebpf::{Epoll, EpollCounter, OVERFLOW_WALK};

use super::{
    aggregate::{record, since},
    epoll, thread,
};
use crate::{
    globals::{COUNT_PER_EPOLL, OFF_EP_OVFLIST, OFF_ITEM_OVFLINK, SLOT_OVERFLOW_LENGTH, SLOT_SCAN},
    kernel,
    maps::Thread,
};

/// The current thread begins a scan, or is seen in one that it began before.
#[inline(always)]
pub fn scan_start() {
    let Some(thread) = thread::known(kernel::current_task()) else {
        return;
    };
    // SAFETY: a value of THREADS, written by its own thread.
    unsafe {
        if (*thread).waiting != 0 && (*thread).scan_ns == 0 {
            (*thread).scan_ns = kernel::now();
        }
    }
}

/// A scan of the epoll at `address` is counted, wherever in it.
#[inline(always)]
pub fn scan(address: u64) {
    count_scan(waiter(address), followed(address));
}

/// A scan of the epoll at `address` ends; its overflow list still stands.
#[inline(always)]
pub fn scan_end(address: u64) {
    end_scan(waiter(address), followed(address), address);
}

/// [`scan`] and [`scan_end`], where one place sees both.
#[inline(always)]
pub fn whole_scan(address: u64) {
    let (thread, epoll) = (waiter(address), followed(address));
    count_scan(thread, epoll);
    end_scan(thread, epoll, address);
}

/// The current thread, if it waits on the epoll at `address`. An outer scan polls the epolls it watches: their scans are not
/// this wait's.
#[inline(always)]
fn waiter(address: u64) -> Option<*mut Thread> {
    thread::known(kernel::current_task()).filter(|&thread| {
        // SAFETY: a value of THREADS.
        unsafe { (*thread).waiting != 0 && (*thread).epoll == address }
    })
}

/// The counters of the epoll at `address`, if they are wanted.
#[inline(always)]
fn followed(address: u64) -> Option<*mut Epoll> {
    if COUNT_PER_EPOLL.load() == 0 {
        return None;
    }
    epoll::counters(address)
}

/// `thread` from [`waiter`], `epoll` from [`followed`].
#[inline(always)]
fn count_scan(thread: Option<*mut Thread>, epoll: Option<*mut Epoll>) {
    if let Some(thread) = thread {
        // SAFETY: a value of THREADS, written by its own thread.
        unsafe { count_wait_scan(thread) };
    }
    if let Some(epoll) = epoll {
        // SAFETY: a value of EPOLL_ROWS.
        unsafe { epoll::count(epoll, EpollCounter::Scans, 1) };
    }
}

/// `thread` from [`waiter`], `epoll` from [`followed`].
#[inline(always)]
fn end_scan(thread: Option<*mut Thread>, epoll: Option<*mut Epoll>, address: u64) {
    if let Some(thread) = thread {
        // SAFETY: a value of THREADS, written by its own thread.
        unsafe { end_window(thread) };
    }
    let Some(epoll) = epoll else { return };
    // SAFETY: values of EPOLL_ROWS and THREADS. `ep->mtx` is held: no other scan of this epoll.
    unsafe {
        let queued_ns = (*epoll).queued_ns;
        (*epoll).queued_ns = (*epoll).queued_in_scan_ns;
        (*epoll).queued_in_scan_ns = 0;
        let length = overflow(epoll, address);
        if let Some(thread) = thread {
            (*thread).queued_ns = queued_ns;
            if length > 0 {
                record((*thread).row, &SLOT_OVERFLOW_LENGTH, || u64::from(length));
            }
        }
    }
}

/// # Safety
/// `thread` must be a value of THREADS, and the current one.
#[inline(always)]
unsafe fn count_wait_scan(thread: *mut Thread) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*thread).wakeups == 0 {
            (*thread).scans_before += 1;
        } else {
            (*thread).scans_after += 1;
        }
    }
}

/// The window in which notifications go to the overflow list ends.
///
/// # Safety
/// `thread` must be a value of THREADS, and the current one.
#[inline(always)]
unsafe fn end_window(thread: *mut Thread) {
    // SAFETY: the caller's promise.
    unsafe {
        if (*thread).scan_ns != 0 {
            record((*thread).row, &SLOT_SCAN, || {
                since(kernel::now(), (*thread).scan_ns)
            });
            (*thread).scan_ns = 0;
        }
    }
}

/// Walks the overflow list of the epoll at `address`: gives its length, at most [`OVERFLOW_WALK`].
///
/// # Safety
/// `epoll` must come from [`epoll::counters`].
#[inline(always)]
unsafe fn overflow(epoll: *mut Epoll, address: u64) -> u32 {
    let mut item: u64 = kernel::probed(address, &OFF_EP_OVFLIST).unwrap_or(0);
    let mut length = 0;
    // EP_UNACTIVE_PTR is -1: no scan in progress.
    while length < OVERFLOW_WALK && item != 0 && item != u64::MAX {
        length += 1;
        item = kernel::probed(item, &OFF_ITEM_OVFLINK).unwrap_or(0);
    }
    if length > 0 {
        // SAFETY: the caller's promise.
        unsafe {
            epoll::count(epoll, EpollCounter::ScansOverflow, 1);
            epoll::count(epoll, EpollCounter::OverflowItems, u64::from(length));
            if item != 0 && item != u64::MAX {
                epoll::count(epoll, EpollCounter::OverflowMore, 1);
            }
        }
    }
    length
}
