//! `ep_poll_callback`: enter and exit bracket every wakeup that it causes, on one CPU with interrupts off (fs/eventpoll.c).

use epoll_trace_ebpf::{Loss, MAX_NESTING};

use super::{
    aggregate::{add, lose},
    epoll,
};
use crate::{
    globals::{COUNT_PER_EPOLL, EPOLL_BY_FD},
    kernel,
    maps::CPUS,
};

/// `wait` is the wait-queue entry it was called with.
#[inline(always)]
pub fn notification_enter(wait: u64) {
    let Some(cpu) = CPUS.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's value of CPUS; interrupts are off.
    unsafe {
        let depth = (*cpu).depth as usize;
        if depth < MAX_NESTING {
            (&raw mut (*cpu).entered_ns)
                .cast::<u64>()
                .add(depth)
                .write(kernel::now());
        } else {
            lose(Loss::NestingTooDeep);
        }
        (*cpu).depth = depth as u64 + 1;
    }
    if COUNT_PER_EPOLL.load() != 0
        && EPOLL_BY_FD.load() == 0
        && let Some(address) = kernel::epoll_of_watch(wait)
        && let Some(epoll) = epoll::counters(address)
    {
        // SAFETY: a value of EPOLL_ROWS.
        unsafe { add(&raw mut (*epoll).notifications, 1) };
    }
}

/// It returns.
#[inline(always)]
pub fn notification_exit() {
    let Some(cpu) = CPUS.get_ptr_mut(0) else { return };
    // SAFETY: this CPU's value of CPUS; interrupts are off. One that began before we looked has nothing to take back.
    unsafe {
        if (*cpu).depth > 0 {
            (*cpu).depth -= 1;
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
