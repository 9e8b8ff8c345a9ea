//! Files that deliveries return: how long each waited for that, how long its thread was away with it, and whether another thread got it
//! meanwhile. A file is known by its epoll and the word that the program gave it in epoll_ctl.

use super::histogram::Histogram;
use super::snapshot::{EDGE, EpollId};

/// What files, and the threads they go to, are called among numbers, where they may be absent.
pub const FILES: &str = "delivered_files";
/// What the times they waited are called there.
pub const FILE_TIMES: &str = "delivered_file_times";

/// Losses that make nothing but these too small.
pub const FILE_LOSSES: [&str; 2] = ["files_full", "events_unread"];

/// A file by the name that deliveries give it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// The epoll, closed or not.
    pub epoll: EpollId,
    /// `epoll_event.data`.
    pub data: u64,
}

/// What is counted of one file.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    /// Which.
    pub id: FileId,
    /// The epoll it is shown with: its own, or [`EpollId::closed_of`] a process.
    pub epoll: EpollId,
    /// The descriptor it was added as, and whether it is a connected stream socket; `None` where neither epoll_ctl nor a notification told.
    pub seen: Option<Seen>,
    /// Several items of the epoll have the same word: which of them was delivered cannot be told.
    pub ambiguous: bool,
    /// How often it was delivered.
    pub deliveries: u64,
    /// Those of them to another thread while the one before was not back in a wait.
    pub overlaps: u64,
    /// Deliveries that held it alone and whose thread was seen to wait again.
    pub alone: u64,
    /// Time from these to that wait, ns.
    pub alone_ns: u64,
    /// From its first notification to the delivery, ns; to a power of two.
    pub waited: Histogram,
}

/// What was seen of a file besides its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The descriptor it was added as.
    pub fd: i32,
    /// Whether it is a connected stream socket.
    pub stream: bool,
    /// Mask and flags of its item.
    pub events: u32,
}

impl Seen {
    /// Whether it is watched edge-triggered.
    pub const fn is_edge(self) -> bool {
        self.events & EDGE != 0
    }
}

/// What is counted of all files of an epoll together, forgotten ones included.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSums {
    /// The epoll; [`EpollId::closed_of`] a process for all its closed ones.
    pub epoll: EpollId,
    /// A process that was seen to wait on it.
    pub owner: Option<u32>,
    /// Events whose files were looked up.
    pub deliveries: u64,
    /// Events that were not.
    pub unread: u64,
    /// Time from deliveries of several files to their thread's next wait, ns.
    pub shared_ns: u64,
    /// As [`File::waited`].
    pub waited: Histogram,
}

impl FileSums {
    /// Adds what `more` counted.
    pub fn add(&mut self, more: &Self) {
        self.deliveries += more.deliveries;
        self.unread += more.unread;
        self.shared_ns += more.shared_ns;
        self.waited.merge(&more.waited);
    }

    fn take_off(&mut self, old: &Self) {
        self.deliveries = self.deliveries.saturating_sub(old.deliveries);
        self.unread = self.unread.saturating_sub(old.unread);
        self.shared_ns = self.shared_ns.saturating_sub(old.shared_ns);
        self.waited = self.waited.minus(&old.waited);
    }
}

/// All that deliveries returned.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Delivered {
    /// By [`FileId`]; files that were not used for long may be missing.
    pub files: Vec<File>,
    /// By epoll.
    pub sums: Vec<FileSums>,
}

impl Delivered {
    /// The files of `epoll`.
    pub fn of(&self, epoll: EpollId) -> impl Iterator<Item = &File> + Clone {
        self.files.iter().filter(move |file| file.epoll == epoll)
    }

    /// What the files of `epoll` count together.
    pub fn sums_of(&self, epoll: EpollId) -> Option<&FileSums> {
        self.sums.iter().find(|sums| sums.epoll == epoll)
    }

    /// Takes off what `earlier` had counted already. What an epoll had that was closed since is in the sum over those of its owner.
    pub(super) fn take_off(&mut self, earlier: &Self) {
        self.files.sort_unstable_by_key(|file| file.id);
        for old in &earlier.files {
            let place = self.files.binary_search_by_key(&old.id, |file| file.id);
            let Some(file) = place.ok().and_then(|place| self.files.get_mut(place)) else {
                continue;
            };
            // One that was forgotten meanwhile has begun anew.
            if file.deliveries >= old.deliveries {
                file.deliveries -= old.deliveries;
                file.overlaps = file.overlaps.saturating_sub(old.overlaps);
                file.alone = file.alone.saturating_sub(old.alone);
                file.alone_ns = file.alone_ns.saturating_sub(old.alone_ns);
                file.waited = file.waited.minus(&old.waited);
            }
        }
        for old in &earlier.sums {
            let folded = old.owner.map(EpollId::closed_of);
            let place = if self.sums_of(old.epoll).is_some() {
                Some(old.epoll)
            } else {
                folded
            };
            if let Some(sums) = self.sums.iter_mut().find(|sums| Some(sums.epoll) == place) {
                sums.take_off(old);
            }
        }
    }
}
