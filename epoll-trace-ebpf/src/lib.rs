//! The memory layout shared by the BPF programs and the agent: keys, values, histogram shape, names.
//!
//! Integers and arrays only, explicit padding, sizes asserted: both sides read the same bytes whatever compiled them.
//! This file knows neither aya-ebpf nor std nor any kernel structure.
#![cfg_attr(not(test), no_std)]

/// Changes with every change of this file's layout; the agent refuses an object that says another one.
pub const ABI_VERSION: u32 = 2;

/// Sub-buckets of one power of two: relative width 1/16 = 6.25 %.
pub const SUB_BUCKETS: u32 = 16;
const SUB_BITS: u32 = SUB_BUCKETS.ilog2();
/// The last power of two that has buckets of its own: 2^36 .. 2^37 ns, so 137 s.
const MAX_EXPONENT: u32 = 36;
/// Number of buckets of every histogram; the last one also takes everything longer.
pub const BUCKETS: usize = (((MAX_EXPONENT - SUB_BITS + 1) << SUB_BITS) + SUB_BUCKETS) as usize;

/// Position of the highest set bit, without the `clz` that BPF has not. `value` must not be 0 (0 gives 0).
#[inline(always)]
const fn floor_log2(mut value: u64) -> u32 {
    let mut log = 0;
    if value >= 1 << 32 {
        value >>= 32;
        log += 32;
    }
    if value >= 1 << 16 {
        value >>= 16;
        log += 16;
    }
    if value >= 1 << 8 {
        value >>= 8;
        log += 8;
    }
    if value >= 1 << 4 {
        value >>= 4;
        log += 4;
    }
    if value >= 1 << 2 {
        value >>= 2;
        log += 2;
    }
    if value >= 1 << 1 {
        log += 1;
    }
    log
}

/// The bucket that counts `value`: exact below 16, then 16 buckets for each power of two.
#[inline(always)]
pub const fn bucket(value: u64) -> usize {
    if value < SUB_BUCKETS as u64 {
        return value as usize;
    }
    let exponent = floor_log2(value);
    if exponent > MAX_EXPONENT {
        return BUCKETS - 1;
    }
    let sub = (value >> (exponent - SUB_BITS)) as u32 & (SUB_BUCKETS - 1);
    (((exponent - SUB_BITS + 1) << SUB_BITS) + sub) as usize
}

/// The inverse of [`bucket`]: the smallest value that bucket `index` counts. For `BUCKETS` it gives the first value beyond the range.
pub const fn bucket_low(index: usize) -> u64 {
    let index = index as u64;
    let sub_buckets = SUB_BUCKETS as u64;
    if index < sub_buckets {
        return index;
    }
    let exponent = (index >> SUB_BITS) - 1;
    (sub_buckets + (index & (sub_buckets - 1))) << exponent
}

/// Declares a `repr(u32)` list of ids together with their names: one place for each fact.
macro_rules! ids {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u32)]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every id, in the order of the layout.
            pub const ALL: &[$name] = &[$($name::$variant,)*];
            /// How many there are.
            pub const COUNT: usize = $name::ALL.len();

            /// The name in JSON, metrics and docs.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

ids! {
    /// Times kept as histograms, in ns.
    Metric {
        /// Notification that woke the waiter → return to user space, of deliveries that slept.
        Wakeup = "wakeup",
        /// That notification's entry → the waiter made runnable.
        Callback = "callback",
        /// Made runnable → on CPU.
        Runqueue = "runqueue",
        /// On CPU → return to user space.
        Delivery = "delivery",
    }
}

ids! {
    /// What a [`Row`] counts.
    Counter {
        /// Waits that ended.
        Waits = "waits",
        /// Waits that returned N > 0 after at least one wakeup.
        DeliveriesSlept = "deliveries_slept",
        /// Waits that returned N > 0 without a wakeup.
        DeliveriesAtOnce = "deliveries_at_once",
        /// Sum of N over all deliveries.
        Events = "events",
        /// Deliveries with N = maxevents.
        FullBatches = "full_batches",
        /// Waits with a timeout other than 0 that returned 0.
        Timeouts = "timeouts",
        /// Waits with timeout 0 that returned 0.
        ZeroTimeouts = "zero_timeouts",
        /// Waits that ended with EINTR.
        Interrupted = "interrupted",
        /// Waits that ended with any other error.
        Errors = "errors",
        /// Wakeups inside a notification.
        WakeupsSource = "wakeups_source",
        /// Wakeups at the end of another thread's scan.
        WakeupsChain = "wakeups_chain",
        /// Wakeups by epoll_ctl adding or changing a file that is ready.
        WakeupsCtl = "wakeups_ctl",
        /// Wakeups whose cause this mechanism cannot tell.
        WakeupsUnclassified = "wakeups_unclassified",
        /// Wakeups after which the wait slept again or returned 0.
        EmptyWakeups = "empty_wakeups",
    }
}

ids! {
    /// Everything that can make a number too small; each is shown by every view.
    Loss {
        /// A thread was not followed: the thread table was full.
        ThreadsFull = "threads_full",
        /// A process × epoll pair got no row: all rows were taken.
        RowsFull = "rows_full",
        /// A value went into no histogram: all chunks were taken.
        ChunksFull = "chunks_full",
        /// An epoll was not followed: the epoll table was full.
        EpollsFull = "epolls_full",
        /// A notification was nested deeper than the kernel allows: its callback time is unknown.
        NestingTooDeep = "nesting_too_deep",
        /// A process was not followed after fork: the process tree was full.
        TreeFull = "tree_full",
        /// A thread woken before its first wait could not be identified.
        WaitersUnidentified = "waiters_unidentified",
    }
}

/// Rows (process × epoll pairs) followed at once, unless the agent says otherwise.
pub const DEFAULT_ROWS: u32 = 16_384;
/// Threads followed at once.
pub const MAX_THREADS: u32 = 32_768;
/// Epolls followed at once.
pub const MAX_EPOLLS: u32 = 16_384;
/// Buckets of a [`Chunk`]: two powers of two.
pub const CHUNK_BUCKETS: usize = 2 * SUB_BUCKETS as usize;
/// Chunks of a whole histogram.
pub const CHUNKS_EACH: usize = BUCKETS / CHUNK_BUCKETS;
/// Places for chunks in a row's table: [`CHUNKS_EACH`] made even, so that a row needs no padding.
pub const CHUNK_PLACES: usize = CHUNKS_EACH.next_multiple_of(2);
/// Chunks that are taken from the queue of unused blocks at once, so that the agent has little to fill at the start.
pub const BLOCK_CHUNKS: u32 = 32;
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
    /// Explicit padding.
    pub pad: u32,
    /// Name of the process (of the thread with per-thread rows) when the row was made.
    pub comm: [u8; COMM_LEN],
    /// By [`Counter`].
    pub counters: [u64; Counter::COUNT],
    /// Sums of all values, by slot.
    pub sums: [u64; Metric::COUNT],
    /// By slot and place in the histogram: 1 + the index of its [`Chunk`], 0 while no value fell there.
    pub chunks: [[u32; CHUNK_PLACES]; Metric::COUNT],
}

/// A part of a histogram: most use a small part of their range, so parts get memory when the first value falls there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// [`Owner::encode`], 0 while it is unused.
    pub owner: u64,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Epoll {
    /// Which.
    pub id: EpollId,
    /// Process that created it while we looked, else 0.
    pub creator_tgid: u32,
    /// The descriptor number it was created with, -1 if it was there before us.
    pub epfd: i32,
    /// 1 after its last file was closed.
    pub dead: u32,
    /// Explicit padding.
    pub pad: u32,
    /// Name of that process.
    pub creator_comm: [u8; COMM_LEN],
    /// `ep_poll_callback` calls.
    pub notifications: u64,
    /// Scans of the ready list.
    pub scans: u64,
}

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

/// In [`RowKey::tgid`] of a row that lost a race and stays unused until the agent recycles it.
pub const TOMBSTONE: u32 = u32::MAX;

const _: () = {
    assert!(size_of::<EpollId>() == 16);
    assert!(size_of::<RowKey>() == 24);
    assert!(
        size_of::<Row>() == 24 + 8 + COMM_LEN + 8 * Counter::COUNT + (8 + 4 * CHUNK_PLACES) * Metric::COUNT
    );
    assert!(size_of::<Chunk>() == 8 + 4 * CHUNK_BUCKETS && CHUNKS_EACH * CHUNK_BUCKETS == BUCKETS);
    assert!(size_of::<Epoll>() == 64 && size_of::<KnownEpoll>() == 16);
    assert!(bucket_low(BUCKETS) >= 60_000_000_000);
};

#[cfg(feature = "user")]
mod pod {
    use super::{Chunk, Epoll, EpollId, KnownEpoll, Row, RowKey};

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn buckets_are_contiguous_and_inverse() {
        for index in 0..BUCKETS {
            let (low, next) = (bucket_low(index), bucket_low(index + 1));
            assert!(low < next);
            assert_eq!(bucket(low), index);
            assert_eq!(bucket(next - 1), index);
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

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

    proptest! {
        #[test]
        fn log2_is_that_of_the_library(value in 1..=u64::MAX) {
            prop_assert_eq!(floor_log2(value), value.ilog2());
        }

        #[test]
        fn a_value_lies_in_its_bucket_within_a_sixteenth(value in 0..bucket_low(BUCKETS)) {
            let index = bucket(value);
            let (low, next) = (bucket_low(index), bucket_low(index + 1));
            prop_assert!(low <= value && value < next);
            prop_assert!((next - low - 1) * u64::from(SUB_BUCKETS) <= low);
        }
    }
}
