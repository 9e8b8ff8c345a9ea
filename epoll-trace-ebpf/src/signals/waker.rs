//! Who makes waiters runnable.

use aya_ebpf::{bindings::BPF_NOEXIST, helpers::bpf_get_current_comm};
use epoll_trace_ebpf::{COMM_LEN, Loss, WakeContext, Waker, WakerKey, context_of};

use super::aggregate::{add, lose};
use crate::{
    globals::INTERRUPT_SHIFT,
    kernel,
    maps::{CPUS, WAKERS},
};

/// A waiter of row `row` was made runnable by what runs on this CPU; `timer` says that a timerfd expired.
#[inline(always)]
pub fn woke(row: u32, timer: bool) {
    let context = if timer {
        Some(WakeContext::Timer)
    } else {
        context()
    };
    let Some(context) = context else {
        lose(Loss::WakersLost);
        return;
    };
    // Elsewhere the current thread was only interrupted.
    let by_thread = context == WakeContext::Process;
    let (tgid, tid) = if by_thread { kernel::current_ids() } else { (0, 0) };
    note(
        WakerKey {
            row,
            context: context as u32,
            tgid,
            tid,
        },
        by_thread,
    );
}

/// A waiter of row `row` was made runnable by the current thread, which waited on the same epoll and is at the end of its scan.
#[inline(always)]
pub fn chained(row: u32) {
    let (tgid, tid) = kernel::current_ids();
    note(
        WakerKey {
            row,
            context: WakeContext::Chain as u32,
            tgid,
            tid,
        },
        true,
    );
}

/// Counts a wakeup by `key`, which is the current thread or none.
#[inline(always)]
fn note(key: WakerKey, by_thread: bool) {
    let waker = match WAKERS.get_ptr_mut(key) {
        Some(waker) => waker,
        None => {
            let comm = if by_thread {
                bpf_get_current_comm().unwrap_or_default()
            } else {
                [0; COMM_LEN]
            };
            // Another CPU may be first: the look-up tells.
            let _ = WAKERS.insert(key, Waker { wakeups: 0, comm }, u64::from(BPF_NOEXIST));
            let Some(waker) = WAKERS.get_ptr_mut(key) else {
                lose(Loss::WakersLost);
                return;
            };
            waker
        }
    };
    // SAFETY: a value of WAKERS.
    unsafe { add(&raw mut (*waker).wakeups, 1) };
}

/// What runs on this CPU; `None` where that cannot be read.
#[inline(always)]
fn context() -> Option<WakeContext> {
    let cpu = CPUS.get_ptr_mut(0)?;
    // SAFETY: this CPU's value of CPUS: whoever else writes the address here writes the same one.
    let address = unsafe {
        if (*cpu).preempt_count == 0 {
            (*cpu).preempt_count = kernel::preempt_count_address()?;
        }
        (*cpu).preempt_count
    };
    kernel::probed_at(address).map(|count| context_of(count, INTERRUPT_SHIFT.load()))
}
