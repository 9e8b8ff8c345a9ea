//! A wait: from `epoll_wait` entered to its return.

use epoll_trace_ebpf::{Counter, EpollId, Loss, Metric, Row};

use super::{
    aggregate::{count, lose, phase, record_in, record_phase, row, since},
    alone, delivery, epoll, scan, thread,
};
use crate::{
    globals::{
        COUNT_ACCEPTS, COUNT_WAITS, SLOT_BUSY, SLOT_CALLBACK, SLOT_DELIVERY, SLOT_EVENTS_PER_WAIT,
        SLOT_QUEUE, SLOT_RUNQUEUE, SLOT_WAKEUP, TIME_LOOPS, WAITS_SEEN, WAKEUPS_ALONE,
    },
    kernel,
    maps::{DELIVERED, NOT_DELIVERED, Thread, UNSEEN},
};

const EINTR: i32 = 4;

/// The current thread enters a wait.
#[inline(always)]
pub fn wait_enter(epfd: i32, zero_timeout: bool) {
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
        (*thread).zero_timeout = u8::from(zero_timeout);
        (*thread).wakeups = 0;
        (*thread).runnable_ns = 0;
        (*thread).scans_before = 0;
        (*thread).scans_after = 0;
        (*thread).scan_ns = 0;
        (*thread).queued_ns = 0;
        (*thread).scanned = 0;
        (*thread).listed = 0;
        (*thread).waiting = 1;
        (*thread).delivered = NOT_DELIVERED;
        if TIME_LOOPS.load() != 0 {
            end_busy(thread);
        }
        locate(thread, epfd);
        if delivery::wanted() {
            delivery::enters();
        }
    }
}

/// What the return of a wait still knows of its call.
pub struct Call {
    /// Descriptor of the epoll.
    pub epfd: i32,
    /// Capacity of the event array.
    pub maxevents: i32,
}

/// The current thread's wait returns `ret`: events, or a negative errno. What it was called with is asked only if it matters,
/// `zero_timeout` only where the begin was not seen, and `events`, the address of the event array, only where files are wanted.
#[inline(always)]
pub fn wait_return(
    ret: impl FnOnce() -> i32,
    call: impl FnOnce() -> Call,
    zero_timeout: impl FnOnce() -> bool,
    events: impl FnOnce() -> u64,
) {
    if WAKEUPS_ALONE.load() != 0 {
        alone::return_alone(ret, || call().epfd);
        return;
    }
    let counted = COUNT_WAITS.load() != 0;
    let thread = if counted && WAITS_SEEN.load() == 0 {
        thread::current()
    } else {
        thread::known(kernel::current_task())
    };
    let Some(thread) = thread else { return };
    // SAFETY: a value of THREADS, written by its own thread outside of sleeps.
    unsafe {
        if WAITS_SEEN.load() != 0 {
            if (*thread).waiting == 0 {
                // Its begin was missed: the time since the return before was not all the thread's own.
                (*thread).returned_ns = 0;
                return;
            }
            (*thread).waiting = 0;
            scan::scans_over(thread);
        }
        let slept = (*thread).runnable_ns != 0;
        if !counted && !slept {
            return;
        }
        let (ret, call) = (ret(), call());
        if WAITS_SEEN.load() == 0 && counted && !slept {
            // Nobody woke it, so nobody told which epoll it waited on.
            locate(thread, call.epfd);
        }
        if counted && let Some(row) = row((*thread).row) {
            count_return(thread, row, &call, ret, zero_timeout);
        }
        if slept && ret > 0 {
            epoll::name_row(thread, call.epfd);
            record_phases(thread);
        }
        end_wakeup(thread);
        // Last, so that no time above has this in it.
        if counted
            && ret > 0
            && delivery::wanted()
            && let Some(row) = row((*thread).row)
        {
            let EpollId { address, born_ns } = (*row).key.epoll;
            delivery::returned(address, born_ns, events(), ret as u32);
        }
    }
}

/// What woke it is done with.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
unsafe fn end_wakeup(thread: *mut Thread) {
    // SAFETY: the caller's promise.
    unsafe {
        (*thread).runnable_ns = 0;
        (*thread).wakeups = 0;
    }
}

/// Lets `thread` count into the row of the epoll behind its descriptor `epfd`.
///
/// # Safety
/// `thread` must be a value of THREADS, and the current one.
#[inline(always)]
unsafe fn locate(thread: *mut Thread, epfd: i32) {
    // SAFETY: the caller's promise.
    unsafe {
        (*thread).epfd = epfd;
        epoll::resolve_fd(thread, epfd);
    }
}

/// What is counted and measured of each return, whether or not the wait slept.
///
/// # Safety
/// `thread` must be a value of THREADS, `row` its row.
#[inline(always)]
unsafe fn count_return(
    thread: *mut Thread,
    row: *mut Row,
    call: &Call,
    ret: i32,
    zero_timeout: impl FnOnce() -> bool,
) {
    // SAFETY: the caller's promise.
    unsafe {
        count(row, Counter::Waits, 1);
        if TIME_LOOPS.load() != 0 {
            end_waiting(thread, row);
        }
        if WAITS_SEEN.load() != 0 {
            count_scans(&raw const *thread, row, ret > 0);
        }
        let woken = (*thread).wakeups > 0;
        if ret > 0 {
            if COUNT_ACCEPTS.load() != 0 {
                (*thread).delivered = DELIVERED;
            }
            count(row, Counter::Events, ret as u64);
            record_in(row, (*thread).row, &SLOT_EVENTS_PER_WAIT, || ret as u64);
            if ret == call.maxevents {
                count(row, Counter::FullBatches, 1);
            }
            if !woken {
                count(row, Counter::DeliveriesAtOnce, 1);
            } else if (*thread).inferred != 0 {
                count(row, Counter::WakeupsUnclassified, 1);
            }
            if (*thread).queued_ns != 0 {
                record_in(row, (*thread).row, &SLOT_QUEUE, || {
                    since(kernel::now(), (*thread).queued_ns)
                });
            }
        } else if ret == 0 {
            // Where wakeups are inferred, the one that ends in 0 was the timer's.
            if woken && (*thread).inferred == 0 {
                count(row, Counter::EmptyWakeups, 1);
            }
            let zero = if WAITS_SEEN.load() != 0 {
                (*thread).zero_timeout != 0
            } else {
                zero_timeout()
            };
            count(
                row,
                if zero {
                    Counter::ZeroTimeouts
                } else {
                    Counter::Timeouts
                },
                1,
            );
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
        let busy = since(now, (*thread).returned_ns);
        if let Some(row) = row((*thread).row) {
            count(row, Counter::BusyNs, busy);
            record_in(row, (*thread).row, &SLOT_BUSY, || busy);
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
            count(row, Counter::WaitingNs, since(now, (*thread).entered_ns));
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
unsafe fn record_phases(thread: *mut Thread) {
    let now = kernel::now();
    // SAFETY: the caller's promise.
    unsafe {
        let (runnable, notified) = ((*thread).runnable_ns, (*thread).notified_ns);
        // Without a switch it never left the CPU: woken between queueing and sleeping.
        let on_cpu = || match (*thread).on_cpu_ns {
            0 => runnable,
            on_cpu => on_cpu,
        };
        if SLOT_WAKEUP.load() >= Metric::COUNT as u64
            && let Some(row) = row((*thread).row)
        {
            // Else the histogram tells.
            count(row, Counter::DeliveriesSlept, 1);
        }
        record_phase::<{ phase::WAKEUP }>(thread, &SLOT_WAKEUP, now, || match notified {
            0 => runnable,
            notified => notified,
        });
        if notified != 0 {
            record_phase::<{ phase::CALLBACK }>(thread, &SLOT_CALLBACK, runnable, || notified);
        }
        if SLOT_RUNQUEUE.load() < Metric::COUNT as u64 {
            record_phase::<{ phase::RUNQUEUE }>(thread, &SLOT_RUNQUEUE, on_cpu(), || runnable);
        }
        record_phase::<{ phase::DELIVERY }>(thread, &SLOT_DELIVERY, now, on_cpu);
    }
}
