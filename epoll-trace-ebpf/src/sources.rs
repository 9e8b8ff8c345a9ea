//! Files that several watch, and listeners: what is counted of each of their items.

use crate::EpollId;

/// An item of a source: a watched file, and who watches it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// Address of the `struct file`.
    pub file: u64,
    /// The epoll.
    pub epoll: EpollId,
    /// The descriptor it was added as.
    pub fd: i32,
    /// Explicit padding.
    pub pad: u32,
}

/// What a [`SourceKey`] counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceItem {
    /// Notifications that carried an event it asks for.
    pub notifications: u64,
    /// Waiters that these made runnable.
    pub woken: u64,
    /// Those of the notifications for which `ep_poll_callback` returned 0: of an EPOLLEXCLUSIVE item whose epoll had no sleeper, so that the
    /// walk of the wait queue went on.
    pub passed_on: u64,
    /// Those of the notifications for which it stood first in the file's wait queue: there the walk of each event begins.
    pub first: u64,
    /// When its file was first seen to be a source, CLOCK_MONOTONIC ns: the same in all items of the file, and another one once the
    /// address is another file's.
    pub born_ns: u64,
    /// Number of the file's inode, 0 where it cannot be read.
    pub inode: u64,
    /// Its mask and flags when it was last looked at.
    pub events: u32,
    /// One of [`WATCHED`], [`REMOVED`], [`RELEASED`].
    pub gone: u32,
    /// 1: the file was a listening socket when it was noted.
    pub listener: u32,
    /// Of a listener: connections that may wait to be accepted (`sk_max_ack_backlog`).
    pub backlog: u32,
}

/// In [`SourceItem::gone`]: the item is there.
pub const WATCHED: u32 = 0;
/// In [`SourceItem::gone`]: EPOLL_CTL_DEL took it away.
pub const REMOVED: u32 = 1;
/// In [`SourceItem::gone`]: it went with its file, whose address may be another file's by now.
pub const RELEASED: u32 = 2;

/// Items of a file that are looked at when it is first seen to be a source.
pub const SOURCE_WALK: u32 = 64;

/// Items of which it is remembered at once whether they watch a listener.
pub const ITEM_KIND_SLOTS: usize = 1 << 14;

const _: () = assert!(size_of::<SourceKey>() == 32 && size_of::<SourceItem>() == 64);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: repr(C), integers only, no padding (asserted above), every bit pattern valid.
    unsafe impl aya::Pod for super::SourceKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::SourceItem {}
}
