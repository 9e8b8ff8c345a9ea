//! Files that deliveries return: what is counted of each, known by its epoll and the word that the program gave it.

use crate::{BUCKETS, EpollId, SUB_BUCKETS};

/// A file as a delivery names it.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey {
    /// The epoll.
    pub epoll: EpollId,
    /// `epoll_event.data` of its item.
    pub data: u64,
}

/// Buckets of the times in a [`FileRow`]: one for each power of two.
pub const OCTAVES: usize = BUCKETS / SUB_BUCKETS as usize;

/// What a [`FileKey`] counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRow {
    /// Address of its item; 0 = no notification of it was seen yet.
    pub item: u64,
    /// Address of the `struct file`; 0 = not known, or not watched any more.
    pub file: u64,
    /// Address of the task_struct of the thread that it was delivered to last; 0 = none.
    pub last_task: u64,
    /// Which of that thread's deliveries that was.
    pub last_turn: u64,
    /// The first notification since its last delivery, ns; 0 = none.
    pub ready_ns: u64,
    /// When it was last delivered, notified, or put into the epoll or changed there, ns.
    pub last_ns: u64,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Those of them to another thread while the one before was not back in a wait.
    pub overlaps: u64,
    /// Deliveries that held it alone and whose thread was seen to wait again.
    pub alone: u64,
    /// Time from these to that wait, ns.
    pub alone_ns: u64,
    /// The descriptor it was added as; means nothing as long as `kind` is [`UNSEEN_FILE`].
    pub fd: i32,
    /// One of [`UNSEEN_FILE`], [`OTHER_FILE`], [`NEW_STREAM`], [`STREAM`].
    pub kind: u32,
    /// Mask and flags of its item when it was last notified.
    pub events: u32,
    /// 1: several items of this epoll have the same word, so that it cannot be told which one was delivered.
    pub ambiguous: u32,
    /// Times from the first notification to the delivery, by [`bucket`](crate::bucket) without its sub-buckets.
    pub waited: [u32; OCTAVES],
}

/// What is counted of all files of an epoll together.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileSums {
    /// Events whose files were looked up.
    pub deliveries: u64,
    /// Events that were not: there were more in their delivery than are looked at, or the program's memory could not be read.
    pub unread: u64,
    /// Time from deliveries of several files to their thread's next wait, ns.
    pub shared_ns: u64,
    /// As [`FileRow::waited`].
    pub waited: [u32; OCTAVES],
}

/// What a thread's last delivery brought.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Counts its deliveries.
    pub turn: u64,
    /// When that was, ns; 0 once it waits again.
    pub returned_ns: u64,
    /// The epoll and the last file that was looked at.
    pub file: FileKey,
    /// How many events there were.
    pub files: u32,
    /// The first of them as the kernel wrote them: mask, and the two halves of the user's word.
    pub events: [u32; 3 * EVENTS_READ],
    /// Explicit padding.
    pub pad: u32,
}

/// In [`FileRow::kind`]: neither epoll_ctl nor a notification told.
pub const UNSEEN_FILE: u32 = 0;
/// In [`FileRow::kind`]: no socket, a listener, or a socket of datagrams.
pub const OTHER_FILE: u32 = 1;
/// In [`FileRow::kind`]: a stream socket that was not connected when it was last looked at.
pub const NEW_STREAM: u32 = 2;
/// In [`FileRow::kind`]: a connected stream socket.
pub const STREAM: u32 = 3;

/// Events of a delivery that are looked at.
pub const EVENTS_READ: usize = 16;

const _: () = assert!(
    size_of::<FileKey>() == 24
        && size_of::<FileRow>() == 96 + 4 * OCTAVES
        && size_of::<FileSums>() == 24 + 4 * OCTAVES
        && size_of::<Round>() == 48 + size_of::<[u32; 3]>() * EVENTS_READ
        && OCTAVES.is_multiple_of(2)
);

#[cfg(feature = "user")]
mod pod {
    // SAFETY: repr(C), integers and arrays of integers, no padding (asserted above), every bit pattern valid.
    unsafe impl aya::Pod for super::FileKey {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::FileRow {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::FileSums {}
    // SAFETY: as above.
    unsafe impl aya::Pod for super::Round {}
}
