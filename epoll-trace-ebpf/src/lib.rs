//! The memory layout shared by the BPF programs and the agent: keys, values, histogram shape, names.
//!
//! Integers and arrays only, explicit padding, sizes asserted: both sides read the same bytes whatever compiled them.
//! This file knows neither aya-ebpf nor std nor any kernel structure.
#![cfg_attr(not(test), no_std)]

/// Changes with every change of this file's layout; the agent refuses an object that says another one.
pub const ABI_VERSION: u32 = 2;

mod bucket;
mod ids;

pub use bucket::{BUCKETS, SUB_BUCKETS, bucket, bucket_low};
pub use ids::{Counter, EpollCounter, Loss, Metric};

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
/// Items of the overflow list that are counted at the end of a scan.
pub const OVERFLOW_WALK: u32 = 64;
/// Items remembered at once.
pub const MAX_ITEMS: u32 = 32_768;

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
    assert!(
        size_of::<Epoll>() == 64 + 8 * EpollCounter::COUNT
            && size_of::<ItemKey>() == 16
            && size_of::<ItemEvent>() == 16
            && size_of::<KnownEpoll>() == 16
    );
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
