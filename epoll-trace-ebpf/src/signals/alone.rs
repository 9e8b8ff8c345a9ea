//! Wakeups where nothing else is wanted than the histogram of their times: no counts, no causes, no phases. All that happens
//! to a thread that was woken on the same epoll before stands here in a row; the rest are functions of their own, so that
//! nothing is saved and no stack is taken for them.

use core::arch::asm;

use super::{
    aggregate::{phase, put_phase},
    epoll, places, thread,
};
use crate::{
    globals::OFF_EP_WQ_HEAD,
    kernel,
    maps::{NO_ROW, THREADS},
};

/// Place of the only histogram in its row's.
const SLOT: u64 = 0;

/// Whether `number` is above 0, in three instructions in place of five.
#[inline(always)]
fn is_positive(number: i32) -> bool {
    let less_one: u64;
    // SAFETY: one instruction on one register.
    unsafe { asm!("w1 += -1", in("r1") number, lateout("r1") less_one, options(pure, nomem, nostack)) };
    less_one < i32::MAX as u64
}

/// Epoll wakes the waiter `task` of the epoll whose `wq.head` is at `head`; `is_asleep` tells whether it can be woken.
#[inline(always)]
pub fn wakeup_alone(task: u64, head: u64, is_asleep: impl FnOnce() -> bool) {
    let Some(mut thread) = THREADS.get_ptr_mut(places::home(task)) else {
        return;
    };
    // SAFETY: a value of THREADS; its thread sleeps, and ep->lock keeps other wakers out.
    unsafe {
        if (*thread).task != task || (*thread).head != head || (*thread).epoch != epoll::epoch() {
            if (*thread).task == task && (*thread).traced == 0 {
                return;
            }
            let Some(found) = THREADS.get_ptr_mut(lead(task, head)) else {
                return;
            };
            thread = found;
        }
        if is_asleep() {
            (*thread).runnable_ns = kernel::now();
        }
    }
}

/// Lets the thread at `task` count into the row of the epoll at `head`: its place, [`places::NONE`] if it is not to be traced.
#[inline(never)]
fn lead(task: u64, head: u64) -> u32 {
    let Some((place, thread)) = thread::place_of_sleeping(task) else {
        return places::NONE;
    };
    // SAFETY: a value of THREADS.
    unsafe {
        epoll::resolve(thread, head.wrapping_sub(OFF_EP_WQ_HEAD.load()));
        (*thread).head = if (*thread).row == NO_ROW { 0 } else { head };
    }
    place
}

/// The current thread's wait on descriptor `epfd` returns `ret`: events, or a negative errno.
#[inline(always)]
pub fn return_alone(ret: impl FnOnce() -> i32, epfd: impl FnOnce() -> i32) {
    let Some(thread) = thread::find(kernel::current_task()) else {
        return;
    };
    // SAFETY: a value of THREADS, written by its own thread outside of sleeps.
    unsafe {
        let runnable = (*thread).runnable_ns;
        // Of a thread that is not traced it is never set.
        if runnable == 0 {
            return;
        }
        (*thread).runnable_ns = 0;
        if is_positive(ret()) {
            epoll::name_row(thread, epfd());
            put_phase::<{ phase::WAKEUP }>(thread, SLOT, kernel::now().wrapping_sub(runnable));
        }
    }
}
