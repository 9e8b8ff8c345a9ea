//! Scans of the ready list, and the overflow list that takes notifications meanwhile (`ep_start_scan`, `ep_done_scan`,
//! fs/eventpoll.c).

use epoll_trace_ebpf::{Epoll, EpollCounter, OVERFLOW_LONG};

use super::{
    aggregate::{add, record, since},
    epoll, thread,
};
use crate::{
    globals::{
        COUNT_PER_EPOLL, EPOLL_BY_FD, OFF_EP_OVFLIST, OFF_ITEM_OVFLINK, SLOT_OVERFLOW_LENGTH, SLOT_SCAN,
    },
    kernel,
    maps::{EPOLL_ROWS, Thread},
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

/// A scan of the epoll at `address` ends.
#[inline(always)]
pub fn scan_end(address: u64) {
    end_scan(waiter(address), followed(address));
}

/// [`scan`] and [`scan_end`], where one place sees both.
#[inline(always)]
pub fn whole_scan(address: u64) {
    let (thread, epoll) = (waiter(address), followed(address));
    count_scan(thread, epoll);
    end_scan(thread, epoll);
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

/// Counters of an epoll, and their place.
#[derive(Clone, Copy)]
struct Followed {
    index: u32,
    row: *mut Epoll,
}

/// The counters of the epoll at `address`, if they are wanted.
#[inline(always)]
fn followed(address: u64) -> Option<Followed> {
    if COUNT_PER_EPOLL.load() == 0 {
        return None;
    }
    let index = epoll::index(address)?;
    let row = EPOLL_ROWS.get_ptr_mut(index)?;
    Some(Followed { index, row })
}

/// `thread` from [`waiter`], `epoll` from [`followed`].
#[inline(always)]
fn count_scan(thread: Option<*mut Thread>, epoll: Option<Followed>) {
    if let Some(thread) = thread {
        // SAFETY: a value of THREADS, written by its own thread.
        unsafe { count_wait_scan(thread) };
    }
    if let Some(epoll) = epoll {
        // SAFETY: a value of EPOLL_ROWS.
        unsafe { epoll::count(epoll.row, EpollCounter::Scans, 1) };
    }
}

/// `thread` from [`waiter`], `epoll` from [`followed`].
#[inline(always)]
fn end_scan(thread: Option<*mut Thread>, epoll: Option<Followed>) {
    if let Some(thread) = thread {
        // SAFETY: a value of THREADS, written by its own thread.
        unsafe { end_window(thread) };
    }
    let Some(Followed { index, row: epoll }) = epoll else {
        return;
    };
    // SAFETY: values of EPOLL_ROWS and THREADS. `ep->mtx` is held: no other scan of this epoll.
    unsafe {
        let queued_ns = (*epoll).queued_ns;
        (*epoll).queued_ns = (*epoll).queued_in_scan_ns;
        (*epoll).queued_in_scan_ns = 0;
        end_list(thread, epoll);
        if let Some(thread) = thread {
            (*thread).queued_ns = queued_ns;
            (*thread).scanned = index.wrapping_add(1);
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

/// A notification that hits a scan of `epoll` is about `item`: the kernel puts it on the overflow list unless it is there
/// already. Counted here and not at the scan's end, where what comes between our look and the kernel's lock would be missed.
///
/// # Safety
/// `epoll` must come from [`epoll::counters`].
#[inline(always)]
pub unsafe fn listed(epoll: *mut Epoll, item: u64) {
    // EP_UNACTIVE_PTR is -1: on no list.
    if kernel::probed::<u64>(item, &OFF_ITEM_OVFLINK) == Some(u64::MAX) {
        // SAFETY: the caller's promise.
        unsafe { add(&raw mut (*epoll).listed, 1) };
    }
}

/// A scan of `epoll` ends. What comes on its list between here and the kernel's lock is of this scan too, so the list of a wait's
/// scan is counted when that wait returns, or scans again.
///
/// # Safety
/// `thread` must come from [`waiter`], `epoll` from [`epoll::counters`].
#[inline(always)]
unsafe fn end_list(thread: Option<*mut Thread>, epoll: *mut Epoll) {
    // SAFETY: the caller's promise.
    unsafe {
        let length = take_listed(epoll);
        let Some(thread) = thread else {
            return count_list(epoll, length);
        };
        let before = (*thread).listed;
        (*thread).listed = length;
        if before != 0 {
            count_list(epoll, before);
            record((*thread).row, &SLOT_OVERFLOW_LENGTH, || before);
        }
    }
}

/// The current wait of `thread` returns, and with it the lists of its scans are complete.
///
/// # Safety
/// `thread` must be a value of THREADS, and the current one.
#[inline(always)]
pub unsafe fn scans_over(thread: *mut Thread) {
    // SAFETY: the caller's promise, and a value of EPOLL_ROWS.
    unsafe {
        let scanned = (*thread).scanned;
        if COUNT_PER_EPOLL.load() == 0 || EPOLL_BY_FD.load() != 0 || scanned == 0 {
            return;
        }
        let Some(epoll) = EPOLL_ROWS.get_ptr_mut(scanned.wrapping_sub(1)) else {
            return;
        };
        let mut length = (*thread).listed;
        // While another thread scans, what is listed may be of that scan, and is counted with it.
        if (*epoll).listed != 0 && kernel::probed((*thread).epoll, &OFF_EP_OVFLIST) == Some(u64::MAX) {
            length = length.wrapping_add(take_listed(epoll));
        }
        if length != 0 {
            count_list(epoll, length);
            record((*thread).row, &SLOT_OVERFLOW_LENGTH, || length);
        }
    }
}

/// Takes what is listed off `epoll`; what is added meanwhile stays.
///
/// # Safety
/// `epoll` must come from [`epoll::counters`].
#[inline(always)]
unsafe fn take_listed(epoll: *mut Epoll) -> u64 {
    // SAFETY: the caller's promise.
    unsafe {
        let length = (&raw const (*epoll).listed).read_volatile();
        // Below 0 two threads took the same ones; the next items make up for it.
        if (length as i64) <= 0 {
            return 0;
        }
        add(&raw mut (*epoll).listed, length.wrapping_neg());
        length
    }
}

/// Counts an overflow list of `epoll`, if it got anything.
///
/// # Safety
/// `epoll` must come from [`epoll::counters`].
#[inline(always)]
unsafe fn count_list(epoll: *mut Epoll, length: u64) {
    if length == 0 {
        return;
    }
    // SAFETY: the caller's promise.
    unsafe {
        epoll::count(epoll, EpollCounter::ScansOverflow, 1);
        epoll::count(epoll, EpollCounter::OverflowItems, length);
        if length > OVERFLOW_LONG {
            epoll::count(epoll, EpollCounter::OverflowMore, 1);
        }
    }
}
