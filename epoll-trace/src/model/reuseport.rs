//! Groups of sockets that listen at one address (SO_REUSEPORT): the kernel gives each connection to one of them, whatever its owner does.

use std::collections::{BTreeMap, HashMap};

use super::delta::Window;
use super::filter::Filter;
use super::herds::{Herd, Work, gini, judged, shown};
use super::source::Listening;

/// The sockets of one address.
#[derive(Clone, Debug, PartialEq)]
pub struct Group {
    /// The address. Not yet safe for a terminal.
    pub address: String,
    /// Inode of its network namespace.
    pub netns: u64,
    /// In the order of their inodes.
    pub sockets: Vec<Socket>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Socket {
    /// Its inode.
    pub inode: u64,
    /// Connections that wait to be accepted now.
    pub queue: u64,
    /// What was counted of it; `None` if it was not seen since the start: it got no connection and was not added to an epoll.
    pub herd: Option<Herd>,
}

impl Socket {
    /// Connections that reached it in the window: notifications of the watcher that got most. One not seen since the start got none.
    pub fn connections(&self) -> u64 {
        self.herd.as_ref().map_or(0, |herd| herd.events)
    }

    /// Connections that its workers accepted, of it or of any other.
    pub fn accepts(&self) -> Option<u64> {
        self.herd.as_ref()?.sum(|worker| Work::Accepts.of(worker))
    }
}

impl Group {
    /// The one with the longest queue.
    pub fn fullest(&self) -> Option<&Socket> {
        self.sockets.iter().max_by_key(|socket| socket.queue)
    }

    /// The median of the queues; of an even number the lower one of the two in the middle.
    pub fn median_queue(&self) -> u64 {
        let mut queues: Vec<u64> = self.sockets.iter().map(|socket| socket.queue).collect();
        queues.sort_unstable();
        let middle = queues.len().saturating_sub(1) / 2;
        queues.get(middle).copied().unwrap_or(0)
    }

    /// Connections that reached any of them.
    pub fn connections(&self) -> u64 {
        self.sockets.iter().map(Socket::connections).sum()
    }

    /// The part of `socket` in them, 0 to 1.
    pub fn share(&self, socket: &Socket) -> Option<f64> {
        let whole = self.connections();
        (whole > 0).then(|| socket.connections() as f64 / whole as f64)
    }

    /// How unequal the shares are.
    pub fn gini(&self) -> Option<f64> {
        let parts: Vec<u64> = self.sockets.iter().map(Socket::connections).collect();
        gini(&parts)
    }
}

/// The sources that `filter` lets pass, those that a waiter watches who passes, most surplus first, and the groups of listeners of
/// which one passes, most connections first. Without `all` only those with events in the window.
pub fn herds_and_groups(window: &Window, filter: &Filter, all: bool) -> (Vec<Herd>, Vec<Group>) {
    let judged = judged(window, filter);
    let groups = groups(window, &judged, all);
    (shown(judged, all), groups)
}

fn groups(window: &Window, judged: &[(Herd, bool)], all: bool) -> Vec<Group> {
    if window.counted.listening.len() < 2 {
        return Vec::new();
    }
    let by_inode: HashMap<(u64, u64), &(Herd, bool)> = judged
        .iter()
        .filter_map(|known| {
            let named = known.0.named.as_deref().ok()?;
            let place = (named.netns?, named.inode?);
            Some((place, known))
        })
        .collect();
    let mut addresses: BTreeMap<(u64, &str), Vec<&Listening>> = BTreeMap::new();
    for socket in &window.counted.listening {
        let place = (socket.netns, socket.address.as_str());
        addresses.entry(place).or_default().push(socket);
    }
    let passes =
        |netns, socket: &&Listening| by_inode.get(&(netns, socket.inode)).is_some_and(|known| known.1);
    let mut groups: Vec<Group> = addresses
        .into_iter()
        .filter(|((netns, _), sockets)| {
            sockets.len() > 1 && sockets.iter().any(|socket| passes(*netns, socket))
        })
        .map(|((netns, address), sockets)| Group {
            address: address.to_owned(),
            netns,
            sockets: sockets
                .into_iter()
                .map(|socket| Socket {
                    inode: socket.inode,
                    queue: socket.queue,
                    herd: by_inode.get(&(netns, socket.inode)).map(|(herd, _)| herd.clone()),
                })
                .collect(),
        })
        .filter(|group| all || group.connections() > 0)
        .collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.connections()));
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::Source as _;
    use crate::source::synthetic::Synthetic;

    fn shown(filter: &Filter) -> Vec<Group> {
        let mut source = Synthetic::demo();
        source.share();
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        herds_and_groups(&window, filter, false).1
    }

    #[test]
    fn a_socket_that_nobody_was_seen_to_watch_belongs_to_the_group() {
        let [group] = &shown(&Filter::default())[..] else {
            panic!("one address has two sockets")
        };
        let [seen, unseen] = &group.sockets[..] else {
            panic!("{group:?}")
        };
        assert_eq!(
            (seen.connections(), seen.queue, group.share(seen)),
            (100, 3, Some(1.0))
        );
        assert_eq!((unseen.connections(), unseen.queue, &unseen.herd), (0, 7, &None));
        assert_eq!(group.gini(), Some(0.5));
    }

    #[test]
    fn who_watches_none_of_them_does_not_see_it() {
        let of = |pid| Filter {
            pids: vec![pid],
            ..Filter::default()
        };
        assert_eq!(shown(&of(185)).len(), 1);
        assert_eq!(shown(&of(210)), []);
    }
}
