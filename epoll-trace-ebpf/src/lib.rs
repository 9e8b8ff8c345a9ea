//! The memory layout shared by the BPF programs and the agent: keys, values, histogram shape, names.
//!
//! Integers and arrays only, explicit padding, sizes asserted: both sides read the same bytes whatever compiled them.
//! This file knows neither aya-ebpf nor std nor any kernel structure.
#![cfg_attr(not(test), no_std)]

/// Changes with every change of this file's layout; the agent refuses an object that says another one.
pub const ABI_VERSION: u32 = 1;

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
pub const DEFAULT_ROWS: u32 = 4096;
/// Threads followed at once.
pub const MAX_THREADS: u32 = 32_768;
/// Epolls followed at once.
pub const MAX_EPOLLS: u32 = 8192;
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

/// Counters of one [`RowKey`]; its histograms lie in another map at the same index.
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
}

/// One histogram.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Sum of all values, ns.
    pub sum_ns: u64,
    /// Counts by [`bucket`]. They wrap: the agent adds up differences.
    pub counts: [u32; BUCKETS],
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
    assert!(size_of::<Row>() == 24 + 8 + COMM_LEN + 8 * Counter::COUNT);
    assert!(size_of::<Histogram>() == 8 + 4 * BUCKETS);
    assert!(size_of::<Epoll>() == 64 && size_of::<KnownEpoll>() == 16);
    assert!(bucket_low(BUCKETS) >= 60_000_000_000);
};

#[cfg(feature = "user")]
mod pod {
    use super::{Epoll, EpollId, Histogram, KnownEpoll, Row, RowKey};

    // SAFETY: repr(C), integers and arrays of integers, no padding (asserted above), every bit pattern valid.
    unsafe impl aya::Pod for EpollId {}
    // SAFETY: as above.
    unsafe impl aya::Pod for RowKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Row {}
    // SAFETY: as above.
    unsafe impl aya::Pod for Histogram {}
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
