//! What edge-triggered files keep of which no event tells: connections that nobody accepts, bytes that nobody reads.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::delivered::Delivered;
use super::now_ns;
use super::sources::Sources;
use crate::identity::connections::{Connections, connections, may_hold_bytes};
use crate::identity::source::{listeners, netns_of};
use crate::identity::{self, Item};
use crate::model::look::{Kept, Left, Unseen};
use crate::model::snapshot::{EDGE, EpollId};
use crate::model::source::Listening;

/// Network namespaces whose connections are read at a look, at most.
const MOST_NAMESPACES: usize = 8;
/// Processes that are asked whether they wait.
const MOST_WAITERS: usize = 8;
/// EPOLLIN in the mask of an item.
const INPUT: u32 = 1;

const NO_FILES: &str = "which files deliveries return is not known here, so what its edge-triggered connections hold is not looked at";
const NO_TABLE: &str = "some of its edge-triggered files are unix sockets, datagram sockets or pipes, or belong to another network namespace: \
                        no table tells what these hold";
const CUT: &str =
    "there are too many connections or network namespaces, or there was no time to read what they hold";
const FORGOTTEN: &str = "more files had events than are remembered, so when a connection that holds bytes had its last is not known";

/// A process, and its descriptor of the epoll.
pub(super) type Waiter = (u32, i32);

/// What was counted of the files: listeners, and what deliveries return, where that is measured.
pub(super) type Counted<'a> = (&'a Sources, Option<&'a Delivered>);

/// What was found of one epoll.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Found {
    pub(super) left: Vec<Left>,
    /// Connections whose peers have not taken all.
    pub(super) unsent: u64,
    pub(super) unseen: Option<Unseen>,
}

impl Found {
    fn not_seen(&mut self, why: &'static str) {
        self.unseen.get_or_insert(Unseen { files: 0, why }).files += 1;
    }
}

/// The sockets of a network namespace.
struct Table {
    listeners: Vec<Listening>,
    /// And when they were about to be read, CLOCK_MONOTONIC ns.
    connections: Option<(u64, Connections)>,
}

/// One look in progress.
pub(super) struct Edges<'a> {
    counted: Counted<'a>,
    began_ns: u64,
    at_ns: u64,
    /// No table is read any more after that.
    end: Instant,
    /// By network namespace.
    tables: BTreeMap<u64, Table>,
}

impl<'a> Edges<'a> {
    /// `began_ns` is the first snapshot and `at_ns` the one that `counted` is of, CLOCK_MONOTONIC ns.
    pub(super) fn new(counted: Counted<'a>, began_ns: u64, at_ns: u64, end: Instant) -> Self {
        Self {
            counted,
            began_ns,
            at_ns,
            end,
            tables: BTreeMap::new(),
        }
    }

    /// What the edge-triggered ones of `items` keep, all that `epoll` watches; `waiters` were seen to wait on it.
    ///
    /// # Errors
    /// When the kernel refuses to read a map, or tells no time.
    pub(super) fn of(&mut self, epoll: EpollId, items: &[Item], waiters: &[Waiter]) -> anyhow::Result<Found> {
        let mut found = Found::default();
        let edges: Vec<&Item> = items.iter().filter(|item| is_told_once(item)).collect();
        let mut present = waiters.iter().filter_map(|&(pid, _)| Some((pid, netns_of(pid)?)));
        let Some((pid, netns)) = present.next().filter(|_| !edges.is_empty()) else {
            return Ok(found);
        };
        let Some(table) = self.table(pid, netns, &edges)? else {
            return Ok(found);
        };
        let mut left = full(&edges, table);
        let listening: BTreeSet<u64> = table.listeners.iter().map(|socket| socket.inode).collect();
        let others = edges.iter().filter(|item| !listening.contains(&item.inode));
        let read_ns = match &table.connections {
            Some((at_ns, connections)) => {
                let holding = others.filter_map(|&item| holds(item, connections, pid, &mut found));
                left.extend(holding);
                found.unsent = unsent(items, connections);
                *at_ns
            }
            None => {
                let may = others.filter(|item| may_hold_bytes(pid, item.fd));
                may.for_each(|_| found.not_seen(NO_FILES));
                0
            }
        };
        if !left.is_empty() {
            // Asked after what they hold, and before their last events: so whatever came meanwhile shows as one.
            let mut asked = waiters.iter().take(MOST_WAITERS);
            let sleeps = asked.any(|&(pid, epfd)| identity::waits_on(pid, epfd) == Some(true));
            for (item, left) in left {
                match self.since(epoll, item, left.kept, read_ns)? {
                    Some((quiet_ns, is_held)) => found.left.push(Left {
                        quiet_ns,
                        idle: sleeps && !is_held,
                        ..left
                    }),
                    None => found.not_seen(FORGOTTEN),
                }
            }
        }
        Ok(found)
    }

    /// The sockets in network namespace `netns`, which process `pid` is in: listeners, and connections where `edges` has other files than
    /// listeners. Read once; `None` if the process is gone.
    fn table(&mut self, pid: u32, netns: u64, edges: &[&Item]) -> anyhow::Result<Option<&Table>> {
        let read = self.tables.values().filter(|table| table.connections.is_some());
        let room = read.count() < MOST_NAMESPACES;
        let table = match self.tables.entry(netns) {
            Entry::Occupied(place) => place.into_mut(),
            Entry::Vacant(place) => {
                let Some((_, listeners)) = listeners(pid) else {
                    return Ok(None);
                };
                place.insert(Table {
                    listeners,
                    connections: None,
                })
            }
        };
        let listens = |item: &&Item| table.listeners.iter().any(|socket| socket.inode == item.inode);
        if self.counted.1.is_some() && table.connections.is_none() && !edges.iter().all(listens) {
            let at_ns = now_ns()?;
            let all = match room {
                true => connections(pid, self.end),
                false => Connections::default(),
            };
            table.connections = Some((at_ns, all));
        }
        Ok(Some(table))
    }

    /// For how long no event of `item` came, ns, and whether the thread that got the last one is still at it; `None` if that is not known.
    /// What it keeps was read at `read_ns`.
    fn since(
        &self,
        epoll: EpollId,
        item: &Item,
        kept: Kept,
        read_ns: u64,
    ) -> anyhow::Result<Option<(u64, bool)>> {
        let (sources, delivered) = self.counted;
        // One that is not followed had no event since the start.
        if kept == Kept::Connections {
            let news = sources.news_of(item.inode).unwrap_or(self.began_ns);
            return Ok(Some((self.at_ns.saturating_sub(news), false)));
        }
        let Some(delivered) = delivered else {
            return Ok(None);
        };
        let last = delivered.last_seen(epoll, item.data)?;
        let known = last.map(|last| (last.at_ns, last.is_held));
        let known = known.or_else(|| delivered.remembers_all(epoll).then_some((self.began_ns, false)));
        Ok(known.map(|(at_ns, is_held)| (read_ns.saturating_sub(at_ns), is_held)))
    }
}

/// Whether an event is told once of what comes in. A file that EPOLLONESHOT disarmed asks for nothing, a level-triggered one is told again.
const fn is_told_once(item: &Item) -> bool {
    item.events & EDGE != 0 && item.events & INPUT != 0
}

/// Listeners among `edges` that keep connections.
fn full<'i>(edges: &[&'i Item], table: &Table) -> Vec<(&'i Item, Left)> {
    let keeps = |&item: &&'i Item| {
        let mut queues = table.listeners.iter().filter(|socket| socket.queue > 0);
        let socket = queues.find(|socket| socket.inode == item.inode)?;
        let left = Left {
            fd: item.fd,
            address: socket.address.clone(),
            kept: Kept::Connections,
            queue: socket.queue,
            ..Left::default()
        };
        Some((item, left))
    };
    edges.iter().filter_map(keeps).collect()
}

/// What `item` holds, if that is bytes that nobody reads. One that waits for its own peer to read has reason not to read itself.
fn holds<'i>(
    item: &'i Item,
    connections: &Connections,
    pid: u32,
    found: &mut Found,
) -> Option<(&'i Item, Left)> {
    let Some(socket) = connections.sockets.get(&item.inode) else {
        if may_hold_bytes(pid, item.fd) {
            found.not_seen(if connections.whole { NO_TABLE } else { CUT });
        }
        return None;
    };
    (socket.unread > 0 && socket.unsent == 0).then(|| {
        let left = Left {
            fd: item.fd,
            address: socket.name.clone().unwrap_or_default(),
            kept: Kept::Bytes,
            queue: socket.unread,
            ..Left::default()
        };
        (item, left)
    })
}

/// Connections among `items` whose peers have not taken all that was written to them.
fn unsent(items: &[Item], connections: &Connections) -> u64 {
    let of = |item: &Item| connections.sockets.get(&item.inode);
    let sockets = items.iter().filter_map(of);
    sockets.filter(|socket| socket.unsent > 0).count() as u64
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::net::UdpSocket;
    use std::os::fd::AsRawFd as _;

    use super::*;
    use crate::identity::connections::Connection;

    const OWN: u64 = 42;

    fn table(unread: u64, unsent: u64, whole: bool) -> Connections {
        let name = Some("a > b".to_owned());
        let socket = Connection { unread, unsent, name };
        Connections {
            sockets: HashMap::from([(OWN, socket)]),
            whole,
        }
    }

    fn item(fd: i32, inode: u64) -> Item {
        Item {
            fd,
            inode,
            ..Item::default()
        }
    }

    /// What the item with the inode of the table's socket holds, and what is said of one that is in no table.
    fn held(connections: &Connections, fd: i32, inode: u64) -> (Option<u64>, Option<&'static str>) {
        let (item, mut found) = (item(fd, inode), Found::default());
        let left = holds(&item, connections, std::process::id(), &mut found);
        let why = found.unseen.map(|unseen| unseen.why);
        (left.map(|(_, left)| left.queue), why)
    }

    #[test]
    fn an_event_is_told_once_of_edge_triggered_input_alone() {
        const ONESHOT: u32 = 1 << 30;
        let told = |events| {
            is_told_once(&Item {
                events,
                ..Item::default()
            })
        };
        assert!(told(EDGE | INPUT) && told(EDGE | INPUT | ONESHOT));
        assert!(!told(INPUT) && !told(EDGE | 4) && !told(EDGE | ONESHOT));
    }

    #[test]
    fn bytes_count_unless_the_peer_takes_none() {
        assert_eq!(held(&table(3, 0, true), 7, OWN), (Some(3), None));
        assert_eq!(held(&table(0, 0, true), 7, OWN), (None, None));
        assert_eq!(held(&table(3, 1, true), 7, OWN), (None, None));
        assert_eq!(unsent(&[item(7, OWN), item(8, 9)], &table(0, 1, true)), 1);
        assert_eq!(unsent(&[item(7, OWN)], &table(1, 0, true)), 0);
    }

    #[test]
    fn a_socket_in_no_table_is_not_seen_and_other_files_hold_nothing() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let file = std::fs::File::open("/dev/null").unwrap();
        let (udp, null) = (socket.as_raw_fd(), file.as_raw_fd());
        assert_eq!(held(&table(3, 0, true), udp, 1), (None, Some(NO_TABLE)));
        assert_eq!(held(&table(3, 0, false), udp, 1), (None, Some(CUT)));
        assert_eq!(held(&table(3, 0, false), null, 1), (None, None));
        let mut found = Found::default();
        found.not_seen(CUT);
        found.not_seen(NO_TABLE);
        assert_eq!(found.unseen, Some(Unseen { files: 2, why: CUT }));
    }
}
