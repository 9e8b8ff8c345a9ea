//! A sleeping waiter is made runnable, and gets its CPU.

use epoll_trace_ebpf::Counter;

use super::{
    aggregate::{count, row},
    epoll, notification, thread,
};
use crate::{
    globals::EPOLL_BY_FD,
    kernel,
    maps::{NO_ROW, Thread},
};

/// Epoll wakes the waiter `task` of the epoll at `address` (`ep_autoremove_wake_function`).
/// `identify` gives `task` as a number fit for reading the task's fields; asked only if the waiter is new.
#[inline(always)]
pub fn wakeup(task: u64, address: u64, identify: impl FnOnce() -> Option<u64>) {
    let Some(thread) = thread::known_or_sleeping(task, identify) else {
        return;
    };
    // SAFETY: a value of THREADS; its thread sleeps, and ep->lock keeps other wakers out.
    unsafe {
        if EPOLL_BY_FD.load() == 0 {
            epoll::resolve(thread, address);
        }
        // Queued and running: `try_to_wake_up` will say 0. It can become so, but not the other way round, while the waker
        // holds ep->lock: a waiter goes to sleep only under that lock.
        if !kernel::is_asleep((*thread).task) {
            if let Some(row) = row((*thread).row) {
                count(row, Counter::AlreadyRunnable, 1);
            }
            return;
        }
        let notified = notification::in_progress();
        if let Some(row) = row((*thread).row) {
            count(row, epoll::cause(notified.is_some()), 1);
        }
        stamp(thread, notified.unwrap_or(0));
    }
}

/// The scheduler wakes `task`, which sleeps interruptibly within a wait: all that is seen where epoll itself cannot be probed.
/// Whether epoll, a timer or a signal woke it is known when the wait goes on.
#[inline(always)]
pub fn waking(task: u64, tid: u32) {
    if !thread::may_be_known(tid) {
        return;
    }
    let Some(thread) = thread::known(task) else { return };
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
        if (*thread).wakeups > 0
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

/// The scheduler puts `task`, thread `tid`, on a CPU.
#[inline(always)]
pub fn on_cpu(task: u64, tid: u32) {
    if !thread::may_be_known(tid) {
        return;
    }
    let Some(thread) = thread::known(task) else { return };
    // SAFETY: a value of THREADS.
    unsafe {
        if (*thread).runnable_ns != 0 && (*thread).on_cpu_ns == 0 {
            (*thread).on_cpu_ns = kernel::now();
        }
    }
}
