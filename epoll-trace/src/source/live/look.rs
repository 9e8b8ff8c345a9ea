//! One look at the processes that wait: what their epolls watch, against what they have open and what their files keep.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aya::maps::{Array, MapData};
use epoll_trace_ebpf as abi;

use super::edges::{Counted, Edges, Waiter};
use crate::identity::source::{Held, held};
use crate::identity::{self, Item};
use crate::model::look::{Ghost, Look, LookedAt};
use crate::model::snapshot::{Epoll, EpollId, Snapshot};

/// Epolls that are looked at, at most.
const MOST_EPOLLS: usize = 256;
/// Epolls with more files are left out: to list 1000 of them holds `ep->mtx` for 1 ms (`ep_show_fdinfo`, fs/eventpoll.c).
const MOST_ITEMS: u64 = 1000;
/// Bytes of one fdinfo, at most: room for so many items.
const MOST_BYTES: u64 = 256 << 10;
/// Processes that may wait on an epoll; of one with more nothing is said.
const MOST_WAITERS: usize = 8;
/// A look takes no longer than about this; without others on the CPUs it is some milliseconds.
const MOST_TIME: Duration = Duration::from_secs(2);
/// From one look to the next at least: a little less than the run of ten seconds.
const BETWEEN: Duration = Duration::from_millis(9_500);

/// What is remembered from look to look.
#[derive(Default)]
pub(super) struct Looker {
    last: Option<Instant>,
    /// The first snapshot, CLOCK_MONOTONIC ns.
    began_ns: Option<u64>,
}

impl Looker {
    /// A snapshot is taken at `at_ns`.
    pub(super) fn began(&mut self, at_ns: u64) {
        self.began_ns.get_or_insert(at_ns);
    }

    /// Looks at the epolls of `snapshot`; `None` if that was done shortly before.
    ///
    /// # Errors
    /// When the kernel refuses to read or write a map.
    pub(super) fn look(
        &mut self,
        snapshot: &Snapshot,
        slot: &mut Array<MapData, abi::Shown>,
        counted: Counted<'_>,
    ) -> anyhow::Result<Option<Look>> {
        let now = Instant::now();
        if self.last.is_some_and(|last| now.duration_since(last) < BETWEEN) {
            return Ok(None);
        }
        self.last = Some(now);
        let waiters = waiters(snapshot);
        let began_ns = self.began_ns.unwrap_or(snapshot.at_ns);
        let mut sight = Sight {
            slot,
            edges: Edges::new(counted, began_ns, snapshot.at_ns, now + MOST_TIME),
        };
        let fits = |epoll: &&Epoll| {
            let few = epoll.items.is_some_and(|items| (1..=MOST_ITEMS).contains(&items));
            few && !epoll.id.stands_for_closed() && !epoll.id.is_private()
        };
        let mut epolls = Vec::new();
        for epoll in snapshot.epolls.iter().filter(fits).take(MOST_EPOLLS) {
            if now.elapsed() >= MOST_TIME {
                break;
            }
            let own = waiters.get(&epoll.id).map_or(&[][..], Vec::as_slice);
            epolls.extend(sight.of(epoll, own)?);
        }
        Ok(Some(Look { epolls }))
    }
}

/// The processes that were seen to wait on each epoll.
fn waiters(snapshot: &Snapshot) -> HashMap<EpollId, Vec<Waiter>> {
    let mut waiters: HashMap<EpollId, Vec<Waiter>> = HashMap::new();
    for row in &snapshot.rows {
        if let (Some(epoll), Some(epfd)) = (row.key.epoll, row.epfd) {
            let own = waiters.entry(epoll).or_default();
            if !own.contains(&(row.key.pid, epfd)) {
                own.push((row.key.pid, epfd));
            }
        }
    }
    waiters
}

/// One look in progress.
struct Sight<'a> {
    slot: &'a mut Array<MapData, abi::Shown>,
    edges: Edges<'a>,
}

impl Sight<'_> {
    /// What is seen of `epoll`, on which `waiters` were seen to wait; `None` if its list cannot be had.
    fn of(&mut self, epoll: &Epoll, waiters: &[Waiter]) -> anyhow::Result<Option<LookedAt>> {
        let owner = epoll.opened.into_iter();
        let mut whom = waiters.iter().copied().chain(owner);
        let Some(reader) = whom.find(|&(pid, _)| identity::exists(pid)) else {
            return Ok(None);
        };
        let Some(items) = self.list(epoll.id, reader)? else {
            return Ok(None);
        };
        let pids = waiters.iter().map(|&(pid, _)| pid);
        let pids: Vec<u32> = pids.filter(|&pid| identity::exists(pid)).collect();
        let mut ghosts = if pids.is_empty() || pids.len() > MOST_WAITERS {
            None
        } else {
            Some(closed(&items, &pids))
        };
        if let Some(found) = ghosts.as_mut().filter(|found| !found.is_empty()) {
            // One that was closed for good between the two reads is none.
            let Some(still) = self.list(epoll.id, reader)? else {
                return Ok(None);
            };
            let again = closed(&still, &pids);
            found.retain(|ghost| again.contains(ghost));
        }
        let whom = if waiters.is_empty() {
            &[reader][..]
        } else {
            waiters
        };
        let found = self.edges.of(epoll.id, &items, whom)?;
        Ok(Some(LookedAt {
            id: epoll.id,
            items: items.len() as u64,
            left: found.left,
            unsent: found.unsent,
            unseen: found.unseen,
            ghosts,
        }))
    }

    /// What `epoll` watches, read by a process's descriptor; `None` if that is another epoll by now.
    fn list(&mut self, epoll: EpollId, (pid, epfd): Waiter) -> anyhow::Result<Option<Vec<Item>>> {
        self.slot.set(0, abi::Shown::default(), 0)?;
        let items = identity::items_of(pid, epfd, MOST_BYTES);
        let shown = self.slot.get(&0, 0)?.id;
        let is_it = (shown.address, shown.born_ns) == (epoll.address, epoll.born_ns);
        Ok(items.filter(|_| is_it))
    }
}

/// Those of `items` that none of `pids` has any more. One that nobody can be asked about is none.
fn closed(items: &[Item], pids: &[u32]) -> Vec<Ghost> {
    let ghost = |item: &Item| {
        let held: Vec<Held> = pids
            .iter()
            .filter_map(|&pid| held(pid, item.fd, item.inode))
            .collect();
        let gone = held.len() == pids.len() && !held.contains(&Held::Same);
        gone.then(|| Ghost {
            fd: item.fd,
            inode: item.inode,
            reused: held.contains(&Held::Other),
        })
    };
    items.iter().filter_map(ghost).collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    fn item(fd: i32, inode: u64) -> Item {
        Item {
            fd,
            events: 1,
            inode,
            ..Item::default()
        }
    }

    #[test]
    fn a_file_is_closed_that_nobody_has_under_its_number() {
        let (read, write) = nix::unistd::pipe().unwrap();
        let inode = nix::sys::stat::fstat(&read).unwrap().st_ino;
        let own = std::process::id();
        let (open, gone) = (item(read.as_raw_fd(), inode), item(1_000_000, inode));
        assert_eq!(closed(&[open], &[own]), []);
        let ghost = |item: Item, reused| Ghost {
            fd: item.fd,
            inode: item.inode,
            reused,
        };
        assert_eq!(closed(&[open, gone], &[own]), [ghost(gone, false)]);
        // Another pipe has the number.
        let other = item(write.as_raw_fd(), inode + 1_000_000);
        assert_eq!(closed(&[other], &[own]), [ghost(other, true)]);
        // Of a process that is gone nothing is known.
        assert_eq!(closed(&[gone], &[own, 0]), []);
    }
}
