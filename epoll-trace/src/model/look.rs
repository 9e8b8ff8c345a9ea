//! What one look at live processes tells beyond the counters: watched files that are closed, and files that keep connections or bytes of which
//! no event tells. It costs reads of `/proc`, so it is bounded and taken only where it is asked for.

use super::snapshot::EpollId;

/// What it is called among numbers, where it may be absent.
pub const WATCHED_FILES: &str = "watched_files";

/// One look at the epolls that somebody waits on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Look {
    /// Those whose list of watched files was read, by id. The others were closed, have too many files, or there was no time left.
    pub epolls: Vec<LookedAt>,
}

impl Look {
    /// What was seen of `epoll`.
    pub fn of(&self, epoll: EpollId) -> Option<&LookedAt> {
        self.epolls.iter().find(|looked| looked.id == epoll)
    }
}

/// What was seen of one epoll.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LookedAt {
    /// Which.
    pub id: EpollId,
    /// Files that it watches.
    pub items: u64,
    /// Of these, those that no process which waits here has any more under the number it was added as; `None` if none was seen to wait,
    /// or too many were.
    pub ghosts: Option<Vec<Ghost>>,
    /// Listeners and connections that it watches edge-triggered, and that keep something.
    pub left: Vec<Left>,
    /// Connections among its files whose peers have not taken all that was written to them.
    pub unsent: u64,
    /// Edge-triggered files that may keep something, and that could not be looked into.
    pub unseen: Option<Unseen>,
}

/// A watched file whose descriptor is closed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ghost {
    /// The descriptor it was added as.
    pub fd: i32,
    /// Number of the file's inode.
    pub inode: u64,
    /// The descriptor is another file's by now.
    pub reused: bool,
}

/// Files that could not be looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unseen {
    /// How many.
    pub files: u64,
    /// Why, of the first.
    pub why: &'static str,
}

/// What a file keeps until somebody takes it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kept {
    /// A listener: connections that wait to be accepted.
    #[default]
    Connections,
    /// A connection: bytes that wait to be read.
    Bytes,
}

/// An edge-triggered file that keeps something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The descriptor it is watched as.
    pub fd: i32,
    /// Its address, or both ends.
    pub address: String,
    /// What it keeps.
    pub kept: Kept,
    /// How much of that.
    pub queue: u64,
    /// For at least so long no event of it came, ns.
    pub quiet_ns: u64,
    /// Whether a thread sleeps in epoll_wait on this epoll, and the one that got the last event of this file is back in a wait.
    pub idle: bool,
}
