//! Memory that the generator and its waiters, threads or processes, write together.
//! Atomics only: a forked waiter must not allocate or lock.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use anyhow::{Context as _, Result};

/// What one waiter does, as it says itself. All zero at the start.
#[derive(Default)]
#[repr(C, align(128))]
pub(super) struct Slot {
    /// Process id, 0 until the waiter runs.
    pub(super) pid: AtomicI32,
    /// Thread id, 0 until the waiter runs; written after `pid`.
    pub(super) tid: AtomicI32,
    /// errno that ended the waiter, 0 for none.
    pub(super) failure: AtomicI32,
    /// 1 once the waiter will not wait again.
    pub(super) done: AtomicI32,
    /// Waits begun.
    pub(super) entered: AtomicU64,
    /// The thread's voluntary context switches just before the latest wait.
    pub(super) entry_switches: AtomicU64,
    /// CLOCK_MONOTONIC ns just before the latest event for this waiter.
    pub(super) sent_ns: AtomicU64,
    /// Latency samples taken.
    pub(super) sampled: AtomicU64,
    /// Waits that returned.
    pub(super) waits: AtomicU64,
    /// Waits that returned events after a sleep.
    pub(super) deliveries_slept: AtomicU64,
    /// Waits that returned events without a sleep.
    pub(super) deliveries_at_once: AtomicU64,
    /// Events returned.
    pub(super) events: AtomicU64,
    /// Waits that returned 0 at their timeout.
    pub(super) timeouts: AtomicU64,
    /// Waits with timeout 0 that returned 0.
    pub(super) zero_timeouts: AtomicU64,
    /// Waits that ended with EINTR.
    pub(super) interrupted: AtomicU64,
    /// Events of the generator this waiter took off the watched file.
    pub(super) consumed: AtomicU64,
    /// Reads and accepts after a delivery that found nothing.
    pub(super) eagain: AtomicU64,
    /// Voluntary context switches within waits.
    pub(super) sleeps: AtomicU64,
    /// Waits that io_uring completed for it.
    pub(super) uring_waits: AtomicU64,
    /// Their events.
    pub(super) uring_events: AtomicU64,
    /// Time between waits, ns, where the waiter takes it.
    pub(super) busy_ns: AtomicU64,
    /// Time in waits, ns, where the waiter takes it.
    pub(super) waiting_ns: AtomicU64,
}

/// The slot of one waiter and its room for latency samples (ns).
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    /// Its counters.
    pub(super) slot: &'a Slot,
    samples: &'a [AtomicU64],
}

impl Place<'_> {
    /// Keeps one latency; beyond the room it is dropped.
    pub(super) fn sample(&self, ns: u64) {
        let taken = self.slot.sampled.load(Ordering::Relaxed);
        let room = usize::try_from(taken)
            .ok()
            .and_then(|index| self.samples.get(index));
        if let Some(room) = room {
            room.store(ns, Ordering::Relaxed);
            self.slot.sampled.store(taken + 1, Ordering::Release);
        }
    }
}

/// A shared anonymous mapping that outlives a fork.
pub(super) struct Arena {
    base: NonNull<libc::c_void>,
    length: usize,
    slots: usize,
    samples_each: usize,
}

// SAFETY: the mapping holds atomics only and lives as long as the `Arena`.
unsafe impl Send for Arena {}
// SAFETY: as above.
unsafe impl Sync for Arena {}

impl Arena {
    /// Room for `slots` waiters with `samples_each` latencies each.
    ///
    /// # Errors
    /// When the kernel refuses the memory.
    pub(super) fn new(slots: usize, samples_each: usize) -> Result<Self> {
        let samples = slots
            .checked_mul(samples_each)
            .and_then(|count| count.checked_mul(size_of::<AtomicU64>()));
        let length = samples
            .and_then(|bytes| bytes.checked_add(slots * size_of::<Slot>()))
            .context(
                "the scenario needs more memory than this machine can address: lower --events or --waiters",
            )?;
        // SAFETY: a new anonymous mapping touches no existing memory.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if base == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error()).with_context(|| {
                format!("cannot map {length} bytes shared with the waiters: lower --events or --waiters")
            });
        }
        let base = NonNull::new(base).context("the kernel mapped the waiters' memory at address 0")?;
        Ok(Self {
            base,
            length,
            slots,
            samples_each,
        })
    }

    /// Every waiter's slot.
    pub(super) fn slots(&self) -> &[Slot] {
        // SAFETY: the mapping starts with `slots` zeroed `Slot`s, page aligned, and lives as long as `self`; zero is a valid atomic.
        unsafe { std::slice::from_raw_parts(self.base.cast::<Slot>().as_ptr(), self.slots) }
    }

    fn samples(&self) -> &[AtomicU64] {
        // SAFETY: the samples follow the slots, whose size is a multiple of their alignment, and end at the mapping's end.
        unsafe {
            let first = self.base.cast::<Slot>().add(self.slots).cast::<AtomicU64>();
            std::slice::from_raw_parts(first.as_ptr(), self.slots * self.samples_each)
        }
    }

    /// The place of waiter `index`.
    pub(super) fn place(&self, index: usize) -> Option<Place<'_>> {
        let first = index.checked_mul(self.samples_each)?;
        let samples = self.samples().get(first..first.checked_add(self.samples_each)?)?;
        Some(Place {
            slot: self.slots().get(index)?,
            samples,
        })
    }

    /// Every latency of every waiter, ns, in no order.
    pub(super) fn latencies(&self) -> Vec<u64> {
        let places = (0..self.slots).filter_map(|index| self.place(index));
        places
            .flat_map(|place| {
                let taken = usize::try_from(place.slot.sampled.load(Ordering::Acquire)).unwrap_or(usize::MAX);
                place
                    .samples
                    .iter()
                    .take(taken)
                    .map(|sample| sample.load(Ordering::Relaxed))
            })
            .collect()
    }

    /// One field summed over all waiters.
    pub(super) fn sum(&self, field: fn(&Slot) -> &AtomicU64) -> u64 {
        self.slots()
            .iter()
            .map(|slot| field(slot).load(Ordering::Acquire))
            .sum()
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: this is the mapping made in `new`, and no reference into it outlives `self`. The result is of no use here.
        unsafe { libc::munmap(self.base.as_ptr(), self.length) };
    }
}
