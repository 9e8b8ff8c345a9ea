//! Adding to rows, histograms and losses. Adds are atomic: threads of one process share a row.

use core::arch::asm;

use aya_ebpf::Global;
use epoll_trace_ebpf::{BUCKETS, Counter, Histogram, Loss, Row, bucket};

use crate::{
    globals::SLOTS,
    maps::{HISTOGRAMS, LOSSES, NO_ROW, ROWS},
};

/// Adds to a 64-bit map value.
///
/// # Safety
/// `target` must point into a map value.
#[inline(always)]
pub unsafe fn add(target: *mut u64, amount: u64) {
    // SAFETY: one BPF_XADD on memory that lives as long as the program runs. The library's atomics are not there:
    // the target claims to have no compare-and-swap.
    unsafe {
        asm!("lock *(u64 *)({0} + 0) += {1}", in(reg) target, in(reg) amount, options(nostack, preserves_flags))
    };
}

/// Adds to a 32-bit map value.
///
/// # Safety
/// `target` must point into a map value.
#[inline(always)]
pub unsafe fn add32(target: *mut u32, amount: u32) {
    // SAFETY: as in `add`.
    unsafe {
        asm!("lock *(u32 *)({0} + 0) += {1}", in(reg) target, in(reg) u64::from(amount), options(nostack, preserves_flags))
    };
}

/// Counts a loss.
#[inline(always)]
pub fn lose(loss: Loss) {
    if let Some(count) = LOSSES.get_ptr_mut(loss as u32) {
        // SAFETY: a value of LOSSES.
        unsafe { add(count, 1) };
    }
}

/// The row at `index`, if there is one.
#[inline(always)]
pub fn row(index: u32) -> Option<*mut Row> {
    if index == NO_ROW {
        return None;
    }
    ROWS.get_ptr_mut(index)
}

/// Adds `amount` to a counter of `row`.
///
/// # Safety
/// `row` must come from [`row`].
#[inline(always)]
pub unsafe fn count(row: *mut Row, counter: Counter, amount: u64) {
    // SAFETY: a field of a map value.
    unsafe {
        add(
            (&raw mut (*row).counters).cast::<u64>().add(counter as usize),
            amount,
        )
    };
}

/// Puts `value_ns` into the histogram `slot` of row `index`, if that histogram is wanted.
#[inline(always)]
pub fn record(index: u32, slot: &Global<u64>, value_ns: u64) {
    let (slot, slots) = (slot.load(), SLOTS.load());
    if slot >= slots {
        return;
    }
    if let Some(histogram) =
        HISTOGRAMS.get_ptr_mut(index.wrapping_mul(slots as u32).wrapping_add(slot as u32))
    {
        // SAFETY: a value of HISTOGRAMS.
        unsafe { put(histogram, value_ns) };
    }
}

/// Puts `value_ns` into `histogram`.
///
/// # Safety
/// `histogram` must point into a map value.
#[inline(always)]
pub unsafe fn put(histogram: *mut Histogram, value_ns: u64) {
    // The verifier cannot follow the arithmetic of `bucket`: the opaque copy keeps the check that it can follow.
    let place = core::hint::black_box(bucket(value_ns));
    if place >= BUCKETS {
        return;
    }
    // SAFETY: fields of a map value; `place` was just checked.
    unsafe {
        add(&raw mut (*histogram).sum_ns, value_ns);
        add32((&raw mut (*histogram).counts).cast::<u32>().add(place), 1);
    }
}
