//! TCP listeners and who watches them, from /proc alone: where the kernel tells nothing of items, what their workers make of their
//! wakeups can still be put together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::identity::source::{listening, named, netns_of};
use crate::identity::{Item, items_of};
use crate::model::snapshot::{EpollId, Row};
use crate::model::source::{Listening, Named, SourceId, SourceItem, SourceItemKey};

/// Epolls whose list is read at one look; the others' turn comes at the next.
const MOST_EPOLLS: usize = 32;
/// Bytes of one list at most: some 10,000 items.
const MOST_BYTES: u64 = 1 << 20;
/// Looks until an epoll's list is read again: its mutex is held meanwhile.
const LOOKS_BETWEEN: u64 = 10;
/// Processes whose network namespace is looked at, at one look.
const MOST_PROCESSES: usize = 64;

/// A process's descriptor of an epoll.
type Place = (u32, i32);

/// What an epoll watched when it was last read.
#[derive(Default)]
struct Known {
    looked: u64,
    items: Vec<Item>,
}

/// All epolls that were read.
#[derive(Default)]
pub(super) struct Listeners {
    looks: u64,
    epolls: BTreeMap<Place, Known>,
    names: BTreeMap<u64, Arc<Named>>,
    listening: Vec<Listening>,
}

impl Listeners {
    /// The listeners that epolls of `rows` watch, an item for each, without what is counted of items; closed ones as long as their epolls
    /// have rows. An epoll of before that nobody waited on yet is not among them.
    pub(super) fn read(&mut self, rows: &[Row]) -> Vec<SourceItem> {
        self.looks += 1;
        let mut waiters: BTreeMap<Place, (EpollId, Vec<&Row>)> = BTreeMap::new();
        for row in rows {
            if let (Some(epoll), Some(epfd)) = (row.key.epoll, row.epfd) {
                let found = waiters.entry((row.key.pid, epfd)).or_insert((epoll, Vec::new()));
                found.1.push(row);
            }
        }
        self.epolls.retain(|place, _| waiters.contains_key(place));
        let places: Vec<Place> = waiters.keys().copied().collect();
        self.list(&places);
        let pids: BTreeSet<u32> = places.iter().map(|&(pid, _)| pid).collect();
        self.listen(&pids);
        let listening: BTreeSet<u64> = self.listening.iter().map(|socket| socket.inode).collect();
        let mut watched = BTreeSet::new();
        let mut found = Vec::new();
        for (place, (epoll, rows)) in waiters {
            let items = self.epolls.get(&place).into_iter().flat_map(|known| &known.items);
            for item in items {
                let open = listening.contains(&item.inode);
                if open && !self.names.contains_key(&item.inode) {
                    let name = named(place.0, &format!("socket:[{}]", item.inode));
                    self.names.insert(item.inode, Arc::new(name));
                }
                if let Some(name) = self.names.get(&item.inode) {
                    watched.insert(item.inode);
                    let item = listener(place, epoll, item, Arc::clone(name), &rows);
                    found.push(SourceItem { open, ..item });
                }
            }
        }
        self.names.retain(|inode, _| watched.contains(inode));
        found
    }

    /// Who listens in the network namespaces of the waiting processes, and how many connections wait there, at the last look.
    pub(super) fn listening(&self) -> &[Listening] {
        &self.listening
    }

    /// Reads what epolls watch whose list is not known, or old.
    fn list(&mut self, places: &[Place]) {
        let old = |known: &Known| self.looks - known.looked >= LOOKS_BETWEEN;
        let due: Vec<Place> = places
            .iter()
            .filter(|place| self.epolls.get(place).is_none_or(old))
            .take(MOST_EPOLLS)
            .copied()
            .collect();
        for (pid, epfd) in due {
            let known = self.epolls.entry((pid, epfd)).or_default();
            // One that cannot be read, or is too long, is tried again as late as any. What it watched before its process ended stays.
            known.looked = self.looks;
            if let Some(items) = items_of(pid, epfd, MOST_BYTES) {
                known.items = items;
            }
        }
    }

    fn listen(&mut self, pids: &BTreeSet<u32>) {
        let mut seen = BTreeSet::new();
        self.listening.clear();
        for &pid in pids.iter().take(MOST_PROCESSES) {
            let netns = netns_of(pid).filter(|netns| seen.insert(*netns));
            let found = netns.and_then(|netns| listening(pid, netns));
            self.listening.extend(found.into_iter().flatten());
        }
        self.listening.sort();
    }
}

fn listener(
    (pid, epfd): Place,
    epoll: EpollId,
    item: &Item,
    named: Arc<Named>,
    waiters: &[&Row],
) -> SourceItem {
    SourceItem {
        key: SourceItemKey {
            // The kernel gives no address; an inode's number is one socket's as long as it lives.
            source: SourceId {
                file: item.inode,
                born_ns: 0,
            },
            epoll,
            fd: item.fd,
        },
        counted: false,
        notifications: 0,
        woken: 0,
        passed_on: 0,
        first: 0,
        backlog: None,
        events: item.events,
        open: true,
        named: Ok(named),
        owner: Some((pid, Some(epfd))),
        waiters: waiters.iter().map(|&row| Row::clone(row)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::os::fd::AsRawFd as _;

    use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};

    use crate::model::snapshot::RowKey;

    #[test]
    fn an_own_listener_is_found_with_who_watches_it() {
        let socket = TcpListener::bind("127.0.0.1:0").unwrap();
        let (read, _write) = nix::unistd::pipe().unwrap();
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC).unwrap();
        let flags = EpollFlags::EPOLLIN | EpollFlags::EPOLLEXCLUSIVE;
        epoll.add(&socket, EpollEvent::new(flags, 1)).unwrap();
        epoll.add(&read, EpollEvent::new(EpollFlags::EPOLLIN, 2)).unwrap();
        let id = EpollId {
            address: EpollId::BY_FD | 7,
            born_ns: 0,
        };
        let row = Row {
            key: RowKey {
                pid: std::process::id(),
                epoll: Some(id),
                ..RowKey::default()
            },
            epfd: Some(epoll.0.as_raw_fd()),
            ..Row::default()
        };
        let mut listeners = Listeners::default();
        let found = listeners.read(std::slice::from_ref(&row));
        let [item] = &found[..] else {
            panic!("one listener is watched: {found:?}")
        };
        assert_eq!((item.key.epoll, item.key.fd), (id, socket.as_raw_fd()));
        assert_eq!(item.events & (1 << 28), 1 << 28);
        assert!(!item.counted && item.waiters.len() == 1);
        let address = socket.local_addr().unwrap().to_string();
        assert_eq!(item.named.as_ref().unwrap().name.as_deref(), Some(&*address));
        assert!(
            listeners
                .listening()
                .iter()
                .any(|socket| socket.address == address)
        );
        // The list tells of its end when it is read again.
        drop(socket);
        let closed = listeners.read(std::slice::from_ref(&row));
        assert!(closed.len() == 1 && !closed[0].open, "{closed:?}");
        for _ in 0..LOOKS_BETWEEN {
            listeners.read(std::slice::from_ref(&row));
        }
        assert_eq!(listeners.read(&[row]), []);
    }
    #[test]
    fn what_was_watched_stays_when_its_process_ended() {
        let gone = (u32::MAX, 7);
        let row = Row {
            key: RowKey {
                pid: gone.0,
                epoll: Some(EpollId::default()),
                ..RowKey::default()
            },
            epfd: Some(gone.1),
            ..Row::default()
        };
        let mut listeners = Listeners::default();
        let item = Item {
            inode: 42,
            ..Item::default()
        };
        let known = Known {
            looked: 0,
            items: vec![item],
        };
        listeners.epolls.insert(gone, known);
        listeners.names.insert(42, Arc::default());
        for _ in 0..=2 * LOOKS_BETWEEN {
            let found = listeners.read(std::slice::from_ref(&row));
            assert!(found.len() == 1 && !found[0].open, "{found:?}");
        }
        assert_eq!(listeners.read(&[]), []);
        assert!(listeners.names.is_empty() && listeners.epolls.is_empty());
    }
}
