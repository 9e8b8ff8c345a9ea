//! Adding to rows, histograms and losses. Adds are atomic: threads of one process share a row.

use core::{arch::asm, mem::offset_of};

use aya_ebpf::{Global, maps::Queue};
use epoll_trace_ebpf::{
    BLOCK, BUCKETS, CHUNK_BUCKETS, CHUNK_PLACES, Chunk, Counter, Histogram, Loss, Metric, Owner, Row, bucket,
    place_in_part, shift_of_part,
};

use crate::maps::{CHUNKS, FREE_BLOCKS, FREE_CHUNKS, LOSSES, NO_ROW, PHASES, Part, ROWS, Thread};

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

/// As [`add`], `OFFSET` bytes behind `target`.
///
/// # Safety
/// That must be in a map value too.
#[inline(always)]
unsafe fn add_behind<const OFFSET: usize>(target: *mut Chunk, amount: u64) {
    // SAFETY: as in `add`.
    unsafe {
        asm!("lock *(u64 *)({0} + {2}) += {1}", in(reg) target, in(reg) amount, const OFFSET, options(nostack, preserves_flags))
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

/// Takes an index: one from `free`, or of a block that nobody used so far the first, and the others go to `free`. To put each
/// index into a queue at the start would take the agent longer than all its programs take the verifier.
#[inline(always)]
pub fn take(free: &Queue<u32>, blocks: &Queue<u32>) -> Option<u32> {
    if let Ok(Some(index)) = free.pop() {
        return Some(index);
    }
    let Ok(Some(block)) = blocks.pop() else {
        return None;
    };
    let first = block.wrapping_mul(BLOCK);
    for more in 1..BLOCK {
        // The queue has room for every index there is.
        let _ = free.push(first.wrapping_add(more), 0);
    }
    Some(first)
}

/// Takes a chunk for `owner`: 1 + its index, 0 if there is none. A function of its own: it is needed rarely, and long.
#[inline(never)]
fn take_chunk(owner: u64) -> u32 {
    let Some(index) = take(&FREE_CHUNKS, &FREE_BLOCKS) else {
        lose(Loss::ChunksFull);
        return 0;
    };
    if let Some(chunk) = CHUNKS.get_ptr_mut(index) {
        // SAFETY: a value of CHUNKS that no one else knows.
        unsafe { (&raw mut (*chunk).owner).write_volatile(owner) };
    }
    index.wrapping_add(1)
}

/// Time from `then` to `now`, 0 if they stand the other way round: clocks of two CPUs may be a little apart.
#[inline(always)]
pub fn since(now: u64, then: u64) -> u64 {
    (now.wrapping_sub(then) as i64).max(0) as u64
}

/// The bucket of `value`, of which the verifier knows that it is below the next power of two.
///
/// It cannot follow the arithmetic, so an opaque copy keeps the check after it. Where it does know `value`'s bounds it walks
/// through branches that cannot be taken, to bounds that contradict each other, and gives up on what is calculated with them:
/// the mask ends that.
#[inline(always)]
fn place(value: u64) -> usize {
    core::hint::black_box(bucket(value)) & (BUCKETS.next_power_of_two() - 1)
}

/// Puts a value into the histogram `slot` of row `index`, if that histogram is wanted.
#[inline(always)]
pub fn record(index: u32, slot: &Global<u64>, value: impl FnOnce() -> u64) {
    if slot.load() < Metric::COUNT as u64
        && let Some(row) = row(index)
    {
        // SAFETY: it is that row.
        unsafe { record_in(row, index, slot, value) };
    }
}

/// As [`record`], where the row was looked up before.
///
/// # Safety
/// `row` must come from [`row`] for `index`.
#[inline(always)]
pub unsafe fn record_in(row: *mut Row, index: u32, slot: &Global<u64>, value: impl FnOnce() -> u64) {
    /// For all histograms of a program.
    #[inline(never)]
    unsafe fn put(row: *mut Row, index: u32, slot: u64, value: u64) -> u32 {
        // SAFETY: the caller's promise.
        unsafe { put_at(row, index, slot, value) }.is_some().into()
    }
    let slot = slot.load();
    if slot < Metric::COUNT as u64 {
        // SAFETY: the caller's promise.
        unsafe { put(row, index, slot, value()) };
    }
}

/// Histograms of which a thread remembers where its last value was counted: places in [`Thread::parts`].
pub mod phase {
    /// `wakeup`.
    pub const WAKEUP: usize = 0;
    /// `callback`.
    pub const CALLBACK: usize = 1;
    /// `runqueue`.
    pub const RUNQUEUE: usize = 2;
    /// `delivery`.
    pub const DELIVERY: usize = 3;
}

/// Puts the time from `then` to `now` into the histogram `slot` of the thread's row, if that histogram is wanted.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
pub unsafe fn record_phase<const PHASE: usize>(
    thread: *mut Thread,
    slot: &Global<u64>,
    now: u64,
    then: impl FnOnce() -> u64,
) {
    let slot = slot.load();
    if slot < Metric::COUNT as u64 {
        // SAFETY: the caller's promise.
        unsafe { put_phase::<PHASE>(thread, slot, now.wrapping_sub(then())) };
    }
}

/// Puts `time` into the histogram at place `slot` of the thread's row; below 0 it is 0.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
pub unsafe fn put_phase<const PHASE: usize>(thread: *mut Thread, slot: u64, time: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        if !put_again::<PHASE>(thread, time) {
            put_elsewhere(thread, PHASE as u64, slot, time);
        }
    }
}

/// Counts `time` where the last value was counted, if it belongs to the same part of the histogram: then nothing needs to be
/// looked up but the chunk. False if it does not.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(always)]
unsafe fn put_again<const PHASE: usize>(thread: *mut Thread, time: u64) -> bool {
    // SAFETY: fields of a value of THREADS, and of CHUNKS at a place below its counts' length.
    unsafe {
        let Part { shift, chunk } = (&raw const (*thread).parts[PHASE]).read_volatile();
        let Some(place) = place_in_part(time, shift) else {
            return false;
        };
        let Some(chunk) = CHUNKS.get_ptr_mut(chunk) else {
            return false;
        };
        add_behind::<{ offset_of!(Chunk, sum) }>(chunk, time);
        asm!(
            "{0} <<= 2", "{0} += {1}", "lock *(u32 *)({0} + {3}) += {2}",
            inout(reg) place => _, in(reg) chunk, in(reg) 1_u64, const offset_of!(Chunk, counts),
            options(nostack)
        );
    }
    true
}

/// Counts `time` in another part than the one before, and remembers that. A function of its own: it is needed rarely, and long.
///
/// # Safety
/// `thread` must be a value of THREADS.
#[inline(never)]
unsafe fn put_elsewhere(thread: *mut Thread, phase: u64, slot: u64, time: u64) -> u32 {
    // SAFETY: a value of THREADS and its row; the place was checked.
    unsafe {
        let index = (*thread).row;
        let Some(row) = row(index) else { return 0 };
        match put_at(row, index, slot, since(time, 0)) {
            Some((part, chunk)) if phase < PHASES as u64 => {
                let remembered = (&raw mut (*thread).parts).cast::<Part>().add(phase as usize);
                remembered.write_volatile(match shift_of_part(part) {
                    Some(shift) => Part { shift, chunk },
                    None => Part::NONE,
                });
            }
            // The histogram tells how many deliveries slept.
            None if phase == phase::WAKEUP as u64 => count(row, Counter::DeliveriesSlept, 1),
            _ => {}
        }
    }
    0
}

/// Puts `value` into the histogram at place `slot` of row `index`: into which part and which chunk, `None` if there was none left.
///
/// # Safety
/// `row` must come from [`row`] for `index`.
#[inline(always)]
unsafe fn put_at(row: *mut Row, index: u32, slot: u64, value: u64) -> Option<(usize, u32)> {
    let bucket = place(value);
    if bucket >= BUCKETS || slot >= Metric::COUNT as u64 {
        return None;
    }
    let (slot, part) = (slot as usize, bucket / CHUNK_BUCKETS);
    // SAFETY: fields of a map value; both indices were just checked.
    unsafe {
        let place = (&raw mut (*row).chunks)
            .cast::<u32>()
            .add(slot * CHUNK_PLACES + part);
        let mut chunk = place.read_volatile();
        if chunk == 0 {
            let owner = Owner {
                row: index,
                slot: slot as u8,
                part: part as u8,
            };
            chunk = take_chunk(owner.encode());
            if chunk == 0 {
                return None;
            }
            // Another thread may do the same now. The agent adds up what either counts: it knows chunks by their owner.
            place.write_volatile(chunk);
        }
        let index = chunk.wrapping_sub(1);
        let chunk = CHUNKS.get_ptr_mut(index)?;
        if value == 0 {
            add32(&raw mut (*row).zeroes, 1);
        }
        add(&raw mut (*chunk).sum, value);
        add32(
            (&raw mut (*chunk).counts)
                .cast::<u32>()
                .add(bucket % CHUNK_BUCKETS),
            1,
        );
        Some((part, index))
    }
}

/// Puts `value_ns` into `histogram`.
///
/// # Safety
/// `histogram` must point into a map value.
#[inline(always)]
pub unsafe fn put(histogram: *mut Histogram, value_ns: u64) {
    let place = place(value_ns);
    if place >= BUCKETS {
        return;
    }
    // SAFETY: fields of a map value; `place` was just checked.
    unsafe {
        add(&raw mut (*histogram).sum_ns, value_ns);
        add32((&raw mut (*histogram).counts).cast::<u32>().add(place), 1);
    }
}
