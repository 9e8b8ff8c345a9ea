//! Who reads epolls' fdinfo: the kernel holds `ep->mtx` meanwhile.

use super::histogram::Histogram;
use super::snapshot::EpollId;

/// What they are called among numbers, where they may be absent.
pub const READERS: &str = "fdinfo_readers";

/// A process that reads the fdinfo of an epoll. This tool's own reads are not among them.
#[derive(Clone, Debug, PartialEq)]
pub struct Reader {
    /// The epoll; [`EpollId::closed_of`] a process for all its closed ones.
    pub epoll: EpollId,
    /// A process that was seen to wait on it.
    pub owner: Option<u32>,
    /// The process.
    pub pid: u32,
    /// Name of the thread that read first. Not yet safe for a terminal.
    pub name: String,
    /// How long each read took, ns, with the wait for the mutex.
    pub took: Histogram,
}

/// Takes off `later` what `earlier` had counted already. What an epoll had that was closed since is in the sum over those of its owner.
pub(super) fn take_off(later: &mut [Reader], earlier: &[Reader]) {
    let key = |reader: &Reader| (reader.epoll, reader.pid);
    let there: Vec<_> = later.iter().map(key).collect();
    for old in earlier {
        let folded = || (old.owner.map(EpollId::closed_of).unwrap_or_default(), old.pid);
        let place = if there.contains(&key(old)) {
            key(old)
        } else {
            folded()
        };
        if let Some(reader) = later.iter_mut().find(|reader| key(reader) == place) {
            reader.took = reader.took.minus(&old.took);
        }
    }
}
