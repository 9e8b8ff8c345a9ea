//! What one look at live processes tells beyond the counters: watched files that are closed, and listeners that keep connections of which
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
    /// Listeners that it watches edge-triggered, and that keep connections.
    pub left: Vec<Left>,
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

/// A listener whose accept queue holds connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// The descriptor it is watched as.
    pub fd: i32,
    /// Its address.
    pub address: String,
    /// How many connections wait to be accepted.
    pub queue: u64,
    /// For at least so long no event of it came, ns.
    pub quiet_ns: u64,
    /// Whether a thread sleeps in epoll_wait on this epoll.
    pub loop_waits: bool,
}
