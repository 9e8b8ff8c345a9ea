//! A sleeping waiter is made runnable, and gets its CPU.

use epoll_trace_ebpf::Counter;

use super::{
    aggregate::{count, row},
    epoll, notification, source, thread, waker,
};
use crate::{
    globals::{
        COUNT_CHAINS, COUNT_PER_EPOLL, COUNT_SOURCES, COUNT_WAITS, COUNT_WAKERS, EPOLL_BY_FD,
        NOTIFICATIONS_SEEN, OFF_EP_WQ_HEAD, WAITS_SEEN,
    },
    kernel,
    maps::{NO_ROW, Thread},
};

/// Epoll wakes the waiter `task` of the epoll whose `wq.head` is at `head` (`ep_autoremove_wake_function`); `is_asleep` tells whether it can
/// be woken.
#[inline(always)]
pub fn wakeup(task: u64, head: u64, is_asleep: impl FnOnce() -> bool) {
    let Some(thread) = thread::known_or_sleeping(task) else {
        return;
    };
    // SAFETY: a value of THREADS; its thread sleeps, and ep->lock keeps other wakers out.
    unsafe {
        if EPOLL_BY_FD.load() == 0 {
            epoll::resolve(thread, head.wrapping_sub(OFF_EP_WQ_HEAD.load()));
        }
        // Queued and running: `try_to_wake_up` will say 0. It can become so, but not the other way round, while the waker
        // holds ep->lock: a waiter goes to sleep only under that lock.
        if !is_asleep() {
            if COUNT_WAITS.load() != 0
                && let Some(row) = row((*thread).row)
            {
                count(row, Counter::AlreadyRunnable, 1);
            }
            return;
        }
        let notified = if NOTIFICATIONS_SEEN.load() != 0 {
            notification::in_progress()
        } else {
            None
        };
        if COUNT_SOURCES.load() != 0 && notified.is_some() {
            source::woke();
        }
        let (counted, with_wakers) = (COUNT_WAITS.load() != 0, COUNT_WAKERS.load() != 0);
        let chains = COUNT_CHAINS.load() != 0;
        if (counted || with_wakers)
            && let Some(row) = row((*thread).row)
        {
            let timer = (COUNT_PER_EPOLL.load() != 0 || with_wakers) && notification::by_timer();
            if counted {
                let cause = if WAITS_SEEN.load() != 0 && NOTIFICATIONS_SEEN.load() != 0 {
                    epoll::cause(notified.is_some())
                } else {
                    Counter::WakeupsUnclassified
                };
                count(row, cause, 1);
                if chains && matches!(cause, Counter::WakeupsChain) {
                    waker::chained((*thread).row);
                }
                if timer {
                    count(row, Counter::WakeupsTimer, 1);
                }
            }
            if with_wakers {
                waker::woke((*thread).row, timer);
            }
        }
        stamp(thread, notified.unwrap_or(0));
    }
}

/// The scheduler wakes thread `tid`, which `task` gives the address of and which sleeps interruptibly within a wait: all that is seen where epoll itself cannot be probed.
/// Whether epoll, a timer or a signal woke it is known when the wait goes on.
#[inline(always)]
pub fn waking(tid: u32, task: impl FnOnce() -> Option<u64>) {
    let Some(thread) = thread::known_as(tid, task) else {
        return;
    };
    // SAFETY: a value of THREADS; its thread sleeps, and its pi_lock keeps other wakers out.
    unsafe {
        if (*thread).waiting == 0 || (*thread).row == NO_ROW {
            return;
        }
        if (*thread).wakeups > 0
            && let Some(row) = row((*thread).row)
        {
            count(row, Counter::WakeupsUnclassified, 1);
        }
        (*thread).inferred = 1;
        stamp(thread, 0);
    }
}

/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
unsafe fn stamp(thread: *mut Thread, notified_ns: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        if COUNT_WAITS.load() != 0
            && (*thread).wakeups > 0
            && let Some(row) = row((*thread).row)
        {
            // It slept again without a return: the wakeup before was for nothing.
            count(row, Counter::EmptyWakeups, 1);
        }
        (*thread).wakeups += 1;
        (*thread).notified_ns = notified_ns;
        (*thread).on_cpu_ns = 0;
        (*thread).runnable_ns = kernel::now();
    }
}

/// The scheduler puts thread `tid`, which `task` gives the address of, on a CPU.
#[inline(always)]
pub fn on_cpu(tid: u32, task: impl FnOnce() -> Option<u64>) {
    let Some(thread) = thread::known_as(tid, task) else {
        return;
    };
    // SAFETY: a value of THREADS.
    unsafe {
        if (*thread).runnable_ns != 0 && (*thread).on_cpu_ns == 0 {
            (*thread).on_cpu_ns = kernel::now();
        }
    }
}
