//! Which place in `THREADS` a thread has: the one that its task_struct's address hashes to, or the first free one of a few others.
//!
//! What is looked up millions of times a second is an array's element with the address in it; maps come in only where two
//! threads meet at one place, and when a thread is first or last seen.

use core::arch::asm;

use aya_ebpf::bindings::BPF_NOEXIST;
use epoll_trace_ebpf::MAX_THREADS;

use crate::maps::{CROWDED, OWNERS, STRAYS};

/// Places that are tried for a thread. With half of all taken one thread in 65,536 finds none.
const TRIES: u32 = 16;
/// From one try to the next: odd, so that all places come up.
const STRIDE: u32 = 0x2545;
/// Fibonacci hashing: the golden ratio's share of 2^32, negated (GOLDEN_RATIO_32, include/linux/hash.h): fit for an instruction.
const MULTIPLIER: u32 = 0x61c8_8647;

const _: () = assert!(MAX_THREADS.is_power_of_two());

/// Where the thread at `task` belongs.
///
/// Three instructions, in 32 bits: what such a subtraction makes of a pointer is a number to the verifier, also where it lets nobody
/// calculate with the pointer itself (6.18).
#[inline(always)]
pub fn home(task: u64) -> u32 {
    let mut home = task;
    // SAFETY: three instructions on one register.
    unsafe {
        asm!(
            "w1 -= 0", "w1 *= {}", "w1 >>= {}",
            const MULTIPLIER, const u32::BITS - MAX_THREADS.ilog2(), inout("r1") home,
            options(pure, nomem, nostack)
        );
    }
    home as u32
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

/// As [`of_stray`], [`NONE`] if it is not. A function of its own: it is needed rarely.
#[inline(never)]
pub fn strayed_to(task: u64) -> u32 {
    of_stray(task).unwrap_or(NONE)
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
