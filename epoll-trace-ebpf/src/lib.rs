//! The memory layout shared by the BPF programs and the agent: keys, values, histogram shape, names.
//!
//! Integers and arrays only, explicit padding, sizes asserted: both sides read the same bytes whatever compiled them.
//! This file knows neither aya-ebpf nor std nor any kernel structure.
#![cfg_attr(not(test), no_std)]
#![cfg_attr(target_arch = "bpf", feature(asm_experimental_arch))]

/// Changes with every change of this file's layout; the agent refuses an object that says another one.
pub const ABI_VERSION: u32 = 8;

mod bucket;
mod context;
mod deliveries;
mod ids;
mod reads;
mod sources;

pub use bucket::{BUCKETS, CHUNK_BUCKETS, SUB_BUCKETS, bucket, bucket_low, place_in_part, shift_of_part};
pub use context::context_of;
pub use deliveries::{
    EVENTS_READ, FileKey, FileRow, FileSums, NEW_STREAM, OCTAVES, OTHER_FILE, Round, STREAM, UNSEEN_FILE,
};
pub use ids::{Counter, EpollCounter, LockKind, LockPath, Loss, Metric, WakeContext};
pub use reads::{MAX_READERS, MAX_READS, ReadKey, ReadRow};
pub use sources::{ITEM_KIND_SLOTS, RELEASED, REMOVED, SOURCE_WALK, SourceItem, SourceKey, WATCHED};

/// Rows (process × epoll pairs) followed at once, unless the agent says otherwise.
pub const DEFAULT_ROWS: u32 = 16_384;
/// Threads followed at once.
pub const MAX_THREADS: u32 = 32_768;
/// Epolls followed at once.
pub const MAX_EPOLLS: u32 = 16_384;
/// Chunks of a whole histogram.
pub const CHUNKS_EACH: usize = BUCKETS / CHUNK_BUCKETS;
/// Places for chunks in a row's table: [`CHUNKS_EACH`] made even, so that a row needs no padding.
pub const CHUNK_PLACES: usize = CHUNKS_EACH.next_multiple_of(2);
/// Chunks that are taken from the queue of unused blocks at once, so that the agent has little to fill at the start.
pub const BLOCK: u32 = 32;
/// Chunks for the histograms of the programs' object, before the agent says how many.
pub const DEFAULT_CHUNKS: u32 = 1 << 16;
/// Processes followed below a traced command.
pub const MAX_TREE: u32 = 16_384;
/// TASK_COMM_LEN of the kernel.
pub const COMM_LEN: usize = 16;
/// Notifications nest at most this deep: EP_MAX_NESTS + 1 (fs/eventpoll.c).
pub const MAX_NESTING: usize = 5;
/// Slots of the table that tells a context switch cheaply whether a thread uses epoll at all.
pub const TID_FILTER_SLOTS: usize = 1 << 16;

/// Offset of `private` in `struct wait_queue_entry` (include/linux/wait.h), the same from 4.13 to 7.3. A program that loads it from there
/// needs no global for it; it is used only where the kernel's types say the same.
pub const ENTRY_PRIVATE: u64 = 8;
/// Offset of `entry.prev` there, likewise.
pub const ENTRY_PREV: u64 = 32;

/// One epoll instance: the address alone is not enough, the slab hands it out again.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpollId {
    /// Address of the `struct eventpoll`, or [`EpollId::by_fd`].
    pub address: u64,
    /// CLOCK_MONOTONIC ns when it was created, or first seen.
    pub born_ns: u64,
}

impl EpollId {
    /// Marks an "address" that is made of process and descriptor number, where the kernel hides addresses.
    pub const BY_FD: u64 = 1 << 62;

    /// The address that stands for descriptor `epfd` of process `tgid`.
    #[inline(always)]
    pub const fn address_by_fd(tgid: u32, epfd: i32) -> u64 {
        Self::BY_FD | (tgid as u64) << 31 | epfd as u32 as u64
    }
}

/// Key of the aggregation: (process, epoll), and the thread where asked.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RowKey {
    /// The epoll.
    pub epoll: EpollId,
    /// The waiting process.
    pub tgid: u32,
    /// The waiting thread with per-thread rows, else 0.
    pub tid: u32,
}

/// Counters of one [`RowKey`], and where its histograms lie.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Whose row this is.
    pub key: RowKey,
    /// The descriptor number the process last waited with, -1 while unknown.
    pub epfd: i32,
    /// Values of 0 in its histograms, which change no sum. It wraps.
    pub zeroes: u32,
    /// Name of the process (of the thread with per-thread rows) when the row was made.
    pub comm: [u8; COMM_LEN],
    /// By [`Counter`].
    pub counters: [u64; Counter::COUNT],
    /// By slot and place in the histogram: 1 + the index of its [`Chunk`], 0 while no value fell there.
    pub chunks: [[u32; CHUNK_PLACES]; Metric::COUNT],
}

/// A histogram of its own, where there are few.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Sum of all values, ns.
    pub sum_ns: u64,
    /// Counts by [`bucket`]. They wrap: the agent adds up differences.
    pub counts: [u32; BUCKETS],
}

/// A part of a histogram: most use a small part of their range, so parts get memory when the first value falls there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// [`Owner::encode`], 0 while it is unused.
    pub owner: u64,
    /// Sum of the values counted here.
    pub sum: u64,
    /// Counts of consecutive [`bucket`]s. They wrap: the agent adds up differences.
    pub counts: [u32; CHUNK_BUCKETS],
}

/// What a [`Chunk`] is part of. Two threads may take one each for the same part at the same time: both count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Index of the row.
    pub row: u32,
    /// Slot of the histogram.
    pub slot: u8,
    /// Which part of it, below [`CHUNKS_EACH`].
    pub part: u8,
}

impl Owner {
    const USED: u64 = 1 << 63;

    /// In one word, never 0.
    #[inline(always)]
    pub const fn encode(self) -> u64 {
        Self::USED | (self.row as u64) << 16 | (self.slot as u64) << 8 | self.part as u64
    }

    /// The inverse of [`Owner::encode`]; `None` for a chunk that nobody uses.
    pub const fn decode(word: u64) -> Option<Self> {
        if word & Self::USED == 0 {
            return None;
        }
        Some(Self {
            row: (word >> 16) as u32,
            slot: (word >> 8) as u8,
            part: word as u8,
        })
    }
}

/// What is known of one epoll whoever waits on it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Epoll {
    /// Which.
    pub id: EpollId,
    /// Process that created it while we looked, else 0.
    pub creator_tgid: u32,
    /// The descriptor number it was created with, -1 if it was there before us.
    pub epfd: i32,
    /// 1 after its last file was closed.
    pub dead: u32,
    /// EPOLLET, EPOLLONESHOT, EPOLLEXCLUSIVE and EPOLLWAKEUP as far as any item was seen to use them.
    pub flags: u32,
    /// Name of that process.
    pub creator_comm: [u8; COMM_LEN],
    /// First notification that waits for the next scan, ns; 0 = none.
    pub queued_ns: u64,
    /// First notification that waits for the scan after the one in progress, ns; 0 = none.
    pub queued_in_scan_ns: u64,
    /// Items that notifications put on the overflow list and no scan's end has counted yet.
    pub listed: u64,
    /// By [`EpollCounter`].
    pub counters: [u64; EpollCounter::COUNT],
}

/// A watched file: key of what is remembered of its mask.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemKey {
    /// Address of the epoll.
    pub epoll: u64,
    /// Descriptor number that epoll_ctl named.
    pub fd: i32,
    /// Explicit padding.
    pub pad: u32,
}

/// What epoll_ctl last asked of an item.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ItemEvent {
    /// The user's word.
    pub data: u64,
    /// Mask and flags.
    pub events: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// Bits of an item's mask that are flags, no events: EPOLLEXCLUSIVE, EPOLLWAKEUP, EPOLLONESHOT, EPOLLET
/// (`EP_PRIVATE_BITS`, fs/eventpoll.c).
pub const EVENT_FLAGS: u32 = 0xf << 28;
/// Items of an overflow list that is not called long.
pub const OVERFLOW_LONG: u64 = 64;
/// Items of a closed file that are looked at.
pub const RELEASE_WALK: u32 = 128;
/// Items remembered at once.
pub const MAX_ITEMS: u32 = 32_768;

/// A lock, and a process that waited for it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockKey {
    /// The epoll; of a source's lock the first that was seen to watch it.
    pub epoll: EpollId,
    /// The waiting process; in an interrupt the one that was interrupted.
    pub tgid: u32,
    /// The waiting thread with per-thread rows, else 0.
    pub tid: u32,
    /// By [`LockKind`].
    pub kind: u32,
    /// The descriptor that the epoll watches the source as; -1 for the epoll's own locks.
    pub fd: i32,
}

/// Waits for the lock of one [`LockKey`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockRow {
    /// Different threads that waited.
    pub threads: u64,
    /// Waits by [`LockPath`].
    pub counts: [u64; LockPath::COUNT],
    /// Time waited by [`LockPath`], ns.
    pub sums_ns: [u64; LockPath::COUNT],
    /// Times waited.
    pub waited: Histogram,
}

/// A thread that waited for a lock.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LockThread {
    /// The lock and the process.
    pub lock: LockKey,
    /// The thread.
    pub tid: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// Locks followed at once, where locks are wanted.
pub const MAX_LOCKS: u32 = 2048;
/// Threads told apart that waited for a lock, of all locks.
pub const MAX_LOCK_THREADS: u32 = 16_384;
/// Threads that wait for a mutex at once.
pub const MAX_MUTEX_WAITS: u32 = 4096;
/// Wait queues of watched files remembered at once.
pub const MAX_SOURCES: u32 = 16_384;
/// Items of files that several watch, and of listeners, followed at once, where herds are wanted.
pub const MAX_SOURCE_ITEMS: u32 = 16_384;
/// Delivered files followed at once, where they are wanted.
pub const MAX_FILES: u32 = 8192;
/// Epolls whose delivered files are added up, where they are wanted.
pub const MAX_FILE_SUMS: u32 = 4096;
/// Threads whose last delivery is remembered, where files are wanted.
pub const MAX_ROUNDS: u32 = 8192;
/// Slots of the table that tells cheaply that a lock is none of an epoll's.
pub const LOCK_FILTER_SLOTS: usize = 1 << 16;

/// Where a live epoll, known by its address, has its counters.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownEpoll {
    /// Part of its identity.
    pub born_ns: u64,
    /// Index of its [`Epoll`].
    pub index: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// The epoll whose fdinfo the agent had the kernel write last.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub id: EpollId,
    /// Changes of its items that were counted before: ADD, DEL and releases together.
    pub changes: u64,
}

/// Who woke waiters of a row.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WakerKey {
    /// Index of the row.
    pub row: u32,
    /// A [`WakeContext`].
    pub context: u32,
    /// Process that woke; 0 unless in [`WakeContext::Process`].
    pub tgid: u32,
    /// Thread that woke; likewise.
    pub tid: u32,
}

/// What a [`WakerKey`] did.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waker {
    /// Waiters it made runnable.
    pub wakeups: u64,
    /// Name of the thread when it was first seen; empty unless in [`WakeContext::Process`].
    pub comm: [u8; COMM_LEN],
}

/// Wakers (of all rows together) remembered at once.
pub const MAX_WAKERS: u32 = 8192;

/// In [`RowKey::tgid`] of a row that lost a race and stays unused until the agent recycles it.
pub const TOMBSTONE: u32 = u32::MAX;

const _: () = {
    assert!(size_of::<EpollId>() == 16);
    assert!(size_of::<RowKey>() == 24);
    assert!(size_of::<Row>() == 24 + 8 + COMM_LEN + 8 * Counter::COUNT + 4 * CHUNK_PLACES * Metric::COUNT);
    assert!(size_of::<Chunk>() == 16 + 4 * CHUNK_BUCKETS && CHUNKS_EACH * CHUNK_BUCKETS == BUCKETS);
    assert!(
        size_of::<Epoll>() == 72 + 8 * EpollCounter::COUNT
            && size_of::<ItemKey>() == 16
            && size_of::<ItemEvent>() == 16
            && size_of::<KnownEpoll>() == 16
            && size_of::<Shown>() == 24
            && size_of::<WakerKey>() == 16
            && size_of::<Waker>() == 8 + COMM_LEN
    );
    assert!(
        size_of::<LockKey>() == 32
            && size_of::<LockRow>() == 8 + 16 * LockPath::COUNT + size_of::<Histogram>()
            && size_of::<LockThread>() == 40
    );
    assert!(bucket_low(BUCKETS) >= 60_000_000_000);
};

#[cfg(feature = "user")]
mod pod {
    use super::{
        Chunk, Epoll, EpollId, KnownEpoll, LockKey, LockRow, LockThread, Row, RowKey, Shown, Waker, WakerKey,
    };

    // SAFETY: repr(C), integers and arrays of integers, no padding (asserted above), every bit pattern valid.
    unsafe impl aya::Pod for EpollId {}
    // SAFETY: as above.
    unsafe impl aya::Pod for RowKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Row {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Chunk {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Epoll {}
    // SAFETY: as above.
    unsafe impl aya::Pod for KnownEpoll {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Shown {}
    // SAFETY: as above.
    unsafe impl aya::Pod for WakerKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Waker {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LockKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LockRow {}
    // SAFETY: as above.
    unsafe impl aya::Pod for LockThread {}
}

#[cfg(test)]
mod tests {
    use super::Owner;

    #[test]
    fn an_owner_comes_back() {
        let owner = Owner {
            row: 70_000,
            slot: 9,
            part: 16,
        };
        assert_eq!(Owner::decode(owner.encode()), Some(owner));
        assert_eq!(Owner::decode(0), None);
    }
}
