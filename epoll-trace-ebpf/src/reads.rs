//! Reads of epolls' fdinfo, which hold `ep->mtx`: who reads, and how long each takes.

use crate::{COMM_LEN, EpollId, Histogram};

/// An epoll, and a process that reads its fdinfo.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadKey {
    /// The epoll.
    pub epoll: EpollId,
    /// The reading process.
    pub tgid: u32,
    /// Explicit padding.
    pub pad: u32,
}

/// What a [`ReadKey`] counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRow {
    /// Name of the thread that read first.
    pub comm: [u8; COMM_LEN],
    /// Time from the begin of `ep_show_fdinfo` to its end.
    pub took: Histogram,
}

/// Readers followed at once, of all epolls together, where they are wanted.
pub const MAX_READERS: u32 = 256;
/// Reads in progress at once.
pub const MAX_READS: u32 = 1024;

const _: () =
    assert!(size_of::<ReadKey>() == 24 && size_of::<ReadRow>() == COMM_LEN + size_of::<Histogram>());

#[cfg(feature = "user")]
mod pod {
    // SAFETY: repr(C), integers and arrays of integers, no padding (asserted above), every bit pattern valid.
    unsafe impl aya::Pod for super::ReadKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::ReadRow {}
}
