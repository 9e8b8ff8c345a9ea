//! A wait: from `epoll_wait` entered to its return.

use epoll_trace_ebpf::{Counter, Loss, Row};

use super::{
    aggregate::{count, lose, record, row},
    epoll, thread,
};
use crate::{
    globals::{
        SLOT_BUSY, SLOT_CALLBACK, SLOT_DELIVERY, SLOT_EVENTS_PER_WAIT, SLOT_QUEUE, SLOT_RUNQUEUE,
        SLOT_WAKEUP, TIME_LOOPS,
    },
    kernel,
    maps::{NO_ROW, Thread, UNSEEN},
};

const EINTR: i32 = 4;

/// The current thread enters a wait.
#[inline(always)]
pub fn wait_enter(epfd: i32, maxevents: i32, zero_timeout: bool) {
    let Some(thread) = thread::current() else { return };
    // SAFETY: a value of THREADS, written by its own thread outside of sleeps.
    unsafe {
        if (*thread).waiting != 0 {
            // Of a wait that began before us no return is to be expected.
            if (*thread).epfd != UNSEEN {
                lose(Loss::ReturnsMissed);
            }
            (*thread).returned_ns = 0;
        }
        (*thread).epfd = epfd;
        (*thread).maxevents = maxevents;
        (*thread).zero_timeout = u8::from(zero_timeout);
        (*thread).wakeups = 0;
        (*thread).runnable_ns = 0;
        (*thread).scans_before = 0;
        (*thread).scans_after = 0;
        (*thread).scan_ns = 0;
        (*thread).queued_ns = 0;
        (*thread).waiting = 1;
        if TIME_LOOPS.load() != 0 {
            end_busy(thread);
        }
        match kernel::epoll_of_fd(epfd) {
            Some(address) => epoll::resolve(thread, address),
            None => (*thread).row = NO_ROW,
        }
        if let Some(row) = row((*thread).row) {
            epoll::name_row(row, epfd);
        }
    }
}

/// The current thread's wait returns `ret`: events, or a negative errno.
#[inline(always)]
pub fn wait_return(ret: i32) {
    let Some(thread) = thread::known(kernel::current_task()) else {
        return;
    };
    // SAFETY: a value of THREADS, written by its own thread outside of sleeps.
    unsafe {
        if (*thread).waiting == 0 {
            // Its begin was missed: the time since the return before was not all the thread's own.
            (*thread).returned_ns = 0;
            return;
        }
        (*thread).waiting = 0;
        let Some(row) = row((*thread).row) else { return };
        count(row, Counter::Waits, 1);
        if TIME_LOOPS.load() != 0 {
            end_waiting(thread, row);
        }
        count_scans(&raw const *thread, row, ret > 0);
        let woken = (*thread).wakeups > 0;
        if ret > 0 {
            count(row, Counter::Events, ret as u64);
            record((*thread).row, &SLOT_EVENTS_PER_WAIT, ret as u64);
            if ret == (*thread).maxevents {
                count(row, Counter::FullBatches, 1);
            }
            if woken {
                count(row, Counter::DeliveriesSlept, 1);
                if (*thread).inferred != 0 {
                    count(row, Counter::WakeupsUnclassified, 1);
                }
                record_phases(&raw const *thread);
            } else {
                count(row, Counter::DeliveriesAtOnce, 1);
            }
            if (*thread).queued_ns != 0 {
                record(
                    (*thread).row,
                    &SLOT_QUEUE,
                    kernel::now().saturating_sub((*thread).queued_ns),
                );
            }
        } else if ret == 0 {
            // Where wakeups are inferred, the one that ends in 0 was the timer's.
            if woken && (*thread).inferred == 0 {
                count(row, Counter::EmptyWakeups, 1);
            }
            let outcome = if (*thread).zero_timeout != 0 {
                Counter::ZeroTimeouts
            } else {
                Counter::Timeouts
            };
            count(row, outcome, 1);
        } else {
            count(
                row,
                if ret == -EINTR {
                    Counter::Interrupted
                } else {
                    Counter::Errors
                },
                1,
            );
        }
        (*thread).runnable_ns = 0;
        (*thread).wakeups = 0;
    }
}

/// The time since the last return was the thread's own; it goes to the row of the wait before.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
unsafe fn end_busy(thread: *mut Thread) {
    let now = kernel::now();
    // SAFETY: the caller's promise.
    unsafe {
        (*thread).entered_ns = now;
        if (*thread).returned_ns == 0 {
            return;
        }
        let busy = now.saturating_sub((*thread).returned_ns);
        if let Some(row) = row((*thread).row) {
            count(row, Counter::BusyNs, busy);
            record((*thread).row, &SLOT_BUSY, busy);
        }
    }
}

/// # Safety
/// `thread` must be a value of THREADS, `row` its row.
#[inline(always)]
unsafe fn end_waiting(thread: *mut Thread, row: *mut Row) {
    let now = kernel::now();
    // SAFETY: the caller's promise.
    unsafe {
        (*thread).returned_ns = now;
        // A wait that began before us has no entry time.
        if (*thread).entered_ns != 0 {
            count(row, Counter::WaitingNs, now.saturating_sub((*thread).entered_ns));
        }
    }
}

/// A wait ends with the first scan that finds something: all others were for nothing.
///
/// # Safety
/// `thread` must be a value of THREADS, `row` its row.
#[inline(always)]
unsafe fn count_scans(thread: *const Thread, row: *mut Row, delivered: bool) {
    // SAFETY: the caller's promise.
    unsafe {
        let (mut before, mut after) = ((*thread).scans_before, (*thread).scans_after);
        if delivered {
            if after > 0 {
                after -= 1;
            } else {
                before = before.saturating_sub(1);
            }
        }
        if before > 0 {
            count(row, Counter::ScansRepoll, u64::from(before));
        }
        if after > 0 {
            count(row, Counter::ScansSpurious, u64::from(after));
        }
    }
}

/// # Safety
/// `thread` must be a value of THREADS whose wait was woken.
#[inline(always)]
unsafe fn record_phases(thread: *const Thread) {
    let now = kernel::now();
    // SAFETY: the caller's promise.
    let thread = unsafe { &*thread };
    let runnable = thread.runnable_ns;
    // Without a switch it never left the CPU: woken between queueing and sleeping.
    let on_cpu = if thread.on_cpu_ns != 0 {
        thread.on_cpu_ns
    } else {
        runnable
    };
    let start = if thread.notified_ns != 0 {
        thread.notified_ns
    } else {
        runnable
    };
    record(thread.row, &SLOT_WAKEUP, now.saturating_sub(start));
    if thread.notified_ns != 0 {
        record(thread.row, &SLOT_CALLBACK, runnable.saturating_sub(start));
    }
    record(thread.row, &SLOT_RUNQUEUE, on_cpu.saturating_sub(runnable));
    record(thread.row, &SLOT_DELIVERY, now.saturating_sub(on_cpu));
}
