//! Which place in `THREADS` a thread has: the one that its task_struct's address hashes to, or the first free one of a few others.
//!
//! What is looked up millions of times a second is an array's element with the address in it; maps come in only where two
//! threads meet at one place, and when a thread is first or last seen.

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::MAX_THREADS;

use crate::{
    globals::UNTYPED_LOADS,
    maps::{CPUS, CROWDED, OWNERS, STRAYS},
};

/// Places that are tried for a thread. With half of all taken one thread in 65,536 finds none.
const TRIES: u32 = 16;
/// From one try to the next: odd, so that all places come up.
const STRIDE: u32 = 0x2545;
/// Fibonacci hashing: the golden ratio's share of 2^64.
const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;

const _: () = assert!(MAX_THREADS.is_power_of_two());

/// `pointer` as a number to calculate with. What a typed pointer's field of unknown type holds is none to the verifier of 6.18;
/// read back from a map it is. For programs with interrupts off.
#[inline(always)]
pub fn as_number(pointer: u64) -> Option<u64> {
    let cpu = CPUS.get_ptr_mut(0)?;
    // SAFETY: this CPU's value of CPUS.
    unsafe {
        (&raw mut (*cpu).scratch).write_volatile(pointer);
        Some((&raw const (*cpu).scratch).read_volatile())
    }
}

/// As [`as_number`], for a field that says nothing of its type: until 6.17 it is a number as it is.
#[inline(always)]
pub fn untyped_as_number(pointer: u64) -> Option<u64> {
    if UNTYPED_LOADS.load() == 0 {
        return Some(pointer);
    }
    as_number(pointer)
}

/// Where the thread at `task` belongs.
#[inline(always)]
pub fn home(task: u64) -> u32 {
    (task.wrapping_mul(MULTIPLIER) >> (u64::BITS - MAX_THREADS.ilog2())) as u32
}

#[inline(always)]
fn crowded(place: u32) -> *mut u8 {
    // SAFETY: the index is below the array's length.
    unsafe {
        (&raw mut CROWDED)
            .cast::<u8>()
            .add((place & (MAX_THREADS - 1)) as usize)
    }
}

/// Whether a thread that belongs to `place` had to go elsewhere.
#[inline(always)]
pub fn is_crowded(place: u32) -> bool {
    // SAFETY: an element of CROWDED.
    unsafe { crowded(place).read_volatile() != 0 }
}

/// The place of the thread at `task`, if it is one that had to go elsewhere.
#[inline(always)]
pub fn of_stray(task: u64) -> Option<u32> {
    // SAFETY: a value of STRAYS.
    Some(unsafe { *STRAYS.get_ptr(task)? })
}

/// No place: beyond the end of `THREADS`.
pub const NONE: u32 = u32::MAX;

/// Gives the thread at `task` a place, or the one that it has; [`NONE`] if all that are tried are taken.
#[inline(always)]
pub fn take(task: u64) -> u32 {
    let home = home(task);
    for step in 0..TRIES {
        let place = home.wrapping_add(step * STRIDE) & (MAX_THREADS - 1);
        if OWNERS.insert(place, task, u64::from(BPF_NOEXIST)).is_ok() {
            if place != home {
                // SAFETY: an element of CROWDED; set before the thread is there to be looked for.
                unsafe { crowded(home).write_volatile(1) };
                if STRAYS.insert(task, place, 0).is_err() {
                    // Without that it would never be found.
                    let _ = OWNERS.remove(place);
                    return NONE;
                }
            }
            return place;
        }
        // SAFETY: a value of OWNERS.
        let owner = OWNERS.get_ptr(place).map(|owner| unsafe { *owner });
        if owner == Some(task) {
            return place;
        }
    }
    NONE
}

/// The thread at `task` needs its place no more.
#[inline(always)]
pub fn give_back(task: u64) {
    let home = home(task);
    let place = match of_stray(task) {
        Some(place) => {
            let _ = STRAYS.remove(task);
            place
        }
        None => home,
    };
    // It may have none.
    let _ = OWNERS.remove(place);
}
