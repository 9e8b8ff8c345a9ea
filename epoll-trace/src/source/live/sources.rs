//! Files that several watch, and listeners: read whole, named once, kept for a while after their end.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use crate::identity::source::{link_of, listening, named};
use crate::model::snapshot::{Epoll, EpollId, Row, RowKey};
use crate::model::source::{Listening, Named, SourceId, SourceItem, SourceItemKey};

/// Items of closed files and epolls that are kept.
const MAX_CLOSED_ITEMS: usize = 4096;
/// Files that are looked up at one look; the others' turn comes at the next.
const MOST_NAMED: usize = 32;
/// Processes that are asked what a file is: they must agree.
const MOST_ASKED: usize = 4;
/// Network namespaces whose listeners are looked up at a look.
const MOST_NAMESPACES: usize = 8;
const NOT_YET: &str = "it was not looked up yet";
const NOBODY: &str = "no process that waits on its epolls was seen";

/// What was read last of one item.
struct Followed {
    raw: abi::SourceItem,
    waiters: BTreeMap<RowKey, Row>,
    /// Known as long as the epoll is, and kept after that.
    owner: Option<(u32, Option<i32>)>,
    /// The last look at which it had more notifications than before, CLOCK_MONOTONIC ns.
    news_ns: u64,
}

/// All items of shared files.
pub(super) struct Sources {
    items: BpfHashMap<MapData, abi::SourceKey, abi::SourceItem>,
    live: BTreeMap<(abi::SourceKey, u64), Followed>,
    closed: VecDeque<SourceItem>,
    names: HashMap<SourceId, Result<Arc<Named>, Arc<str>>>,
    /// Closed items that had to make room.
    pub(super) forgotten: u64,
    /// Items that were over at the last look already.
    dying: BTreeSet<(abi::SourceKey, u64)>,
}

fn source_of(key: &abi::SourceKey, born_ns: u64) -> SourceId {
    SourceId {
        file: key.file,
        born_ns,
    }
}

fn epoll_of(key: &abi::SourceKey) -> EpollId {
    EpollId {
        address: key.epoll.address,
        born_ns: key.epoll.born_ns,
    }
}

impl Sources {
    /// Takes the map over.
    pub(super) fn new(items: BpfHashMap<MapData, abi::SourceKey, abi::SourceItem>) -> Self {
        Self {
            items,
            live: BTreeMap::new(),
            closed: VecDeque::new(),
            names: HashMap::new(),
            forgotten: 0,
            dying: BTreeSet::new(),
        }
    }

    /// Reads every item at `at_ns`; `rows` are the waiters of this look, `epolls` its epolls.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self, at_ns: u64, rows: &[Row], epolls: &[Epoll]) -> Result<(), MapError> {
        for item in self.items.iter() {
            let (key, raw) = item?;
            let followed = self.live.entry((key, raw.born_ns)).or_insert_with(|| Followed {
                raw,
                waiters: BTreeMap::new(),
                owner: None,
                news_ns: at_ns,
            });
            if followed.raw.notifications != raw.notifications {
                followed.news_ns = at_ns;
            }
            followed.raw = raw;
        }
        if self.live.is_empty() {
            return Ok(());
        }
        let mut of_epolls: HashMap<EpollId, Vec<&Row>> = HashMap::new();
        for row in rows {
            if let Some(epoll) = row.key.epoll {
                of_epolls.entry(epoll).or_default().push(row);
            }
        }
        let owners: HashMap<EpollId, _> = epolls.iter().map(|epoll| (epoll.id, epoll.owner())).collect();
        for ((key, _), followed) in &mut self.live {
            followed.owner = followed.owner.or_else(|| *owners.get(&epoll_of(key))?);
            for row in of_epolls.get(&epoll_of(key)).into_iter().flatten() {
                followed.waiters.insert(row.key, Row::clone(row));
            }
        }
        self.name();
        Ok(())
    }

    /// Looks up what new files are, by the processes that wait on the epolls that watch them.
    fn name(&mut self) {
        let mut askable: BTreeMap<(SourceId, u64), Vec<(u32, i32)>> = BTreeMap::new();
        for ((key, born_ns), followed) in &self.live {
            let source = source_of(key, *born_ns);
            if !self.names.contains_key(&source) {
                let who = followed.waiters.keys().map(|row| (row.pid, key.fd));
                let place = (source, followed.raw.inode);
                askable.entry(place).or_default().extend(who);
            }
        }
        for ((source, inode), who) in askable
            .into_iter()
            .filter(|(_, who)| !who.is_empty())
            .take(MOST_NAMED)
        {
            self.names.insert(source, look_up(&who, inode));
        }
    }

    /// Takes items that are over out of the kernel's table: those of a file that was closed, or of an epoll that `is_alive` does
    /// not know. That takes two calls: what was on its way is in by then.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(&mut self, is_alive: impl Fn(&abi::EpollId) -> bool) -> Result<(), MapError> {
        let over: BTreeSet<_> = self
            .live
            .iter()
            .filter(|((key, _), item)| item.raw.gone == abi::RELEASED || !is_alive(&key.epoll))
            .map(|(&place, _)| place)
            .collect();
        for place in over.intersection(&self.dying) {
            let Some(last) = self.live.remove(place) else {
                continue;
            };
            let (key, born_ns) = place;
            match self.items.get(key, 0) {
                Ok(raw) if raw.born_ns == *born_ns => self.items.remove(key)?,
                // Another file's by now.
                Ok(_) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error),
            }
            if self.closed.len() >= MAX_CLOSED_ITEMS && self.closed.pop_front().is_some() {
                self.forgotten += 1;
            }
            let item = self.item(key, *born_ns, &last, false);
            self.closed.push_back(item);
        }
        self.dying = over;
        let used: BTreeSet<SourceId> = self
            .live
            .keys()
            .map(|(key, born)| source_of(key, *born))
            .collect();
        self.names.retain(|source, _| used.contains(source));
        Ok(())
    }

    /// Who listens at the addresses of the listeners that are followed and have a name, and how many connections wait there now. Processes
    /// that wait for these lend their view of the network; with none left nothing is known.
    pub(super) fn listening(&self) -> Vec<Listening> {
        let mut namespaces: BTreeMap<u64, (BTreeSet<u32>, BTreeSet<&str>)> = BTreeMap::new();
        for ((key, born_ns), followed) in &self.live {
            let source = source_of(key, *born_ns);
            let named = self.names.get(&source).and_then(|named| named.as_deref().ok());
            let place = named.and_then(|named| Some((named.netns?, named.name.as_deref()?)));
            if followed.raw.gone == abi::WATCHED
                && followed.raw.listener != 0
                && let Some((netns, address)) = place
            {
                let (pids, addresses) = namespaces.entry(netns).or_default();
                pids.extend(followed.waiters.keys().map(|row| row.pid));
                addresses.insert(address);
            }
        }
        let namespaces = namespaces.into_iter().take(MOST_NAMESPACES);
        let found = namespaces.flat_map(|(netns, (pids, addresses))| {
            let found = pids
                .into_iter()
                .take(MOST_ASKED)
                .find_map(|pid| listening(pid, netns));
            let mut found = found.unwrap_or_default();
            found.retain(|socket| addresses.contains(socket.address.as_str()));
            found
        });
        let mut found: Vec<Listening> = found.collect();
        found.sort();
        found
    }

    /// The last look that found an event of the file with this inode, CLOCK_MONOTONIC ns; `None` if it is not followed.
    pub(super) fn news_of(&self, inode: u64) -> Option<u64> {
        let own = self.live.values().filter(|item| item.raw.inode == inode);
        own.map(|item| item.news_ns).max()
    }

    /// The epolls of items that are not over.
    pub(super) fn watching(&self) -> BTreeSet<abi::EpollId> {
        let live = self.live.iter().filter(|(_, item)| item.raw.gone == abi::WATCHED);
        live.map(|((key, _), _)| key.epoll).collect()
    }

    fn item(&self, key: &abi::SourceKey, born_ns: u64, followed: &Followed, open: bool) -> SourceItem {
        let source = source_of(key, born_ns);
        let why = if followed.waiters.is_empty() {
            NOBODY
        } else {
            NOT_YET
        };
        SourceItem {
            counted: true,
            key: SourceItemKey {
                source,
                epoll: epoll_of(key),
                fd: key.fd,
            },
            notifications: followed.raw.notifications,
            woken: followed.raw.woken,
            passed_on: followed.raw.passed_on,
            first: followed.raw.first,
            backlog: (followed.raw.listener != 0).then_some(u64::from(followed.raw.backlog)),
            events: followed.raw.events,
            open,
            owner: followed.owner,
            named: self
                .names
                .get(&source)
                .cloned()
                .unwrap_or_else(|| Err(why.into())),
            waiters: followed.waiters.values().cloned().collect(),
        }
    }

    /// Everything read; `is_alive` tells which epolls are open.
    pub(super) fn model(&self, is_alive: impl Fn(&abi::EpollId) -> bool) -> Vec<SourceItem> {
        let live = self.live.iter().map(|((key, born_ns), followed)| {
            let open = followed.raw.gone == abi::WATCHED && is_alive(&key.epoll);
            self.item(key, *born_ns, followed, open)
        });
        live.chain(self.closed.iter().cloned()).collect()
    }
}

/// What the file with this inode (0 = unknown) is that each of `who` has as this descriptor. A number may be another file's since: if that
/// has another inode it is none of ours, and if they do not agree, nothing is said.
fn look_up(who: &[(u32, i32)], inode: u64) -> Result<Arc<Named>, Arc<str>> {
    let mut found: Option<(u32, i32, String)> = None;
    let mut why: Arc<str> = NOBODY.into();
    for &(pid, fd) in who.iter().take(MOST_ASKED) {
        match (link_of(pid, fd, inode), &found) {
            (Ok(link), Some((.., other))) if link != *other => {
                return Err("the processes that watch it have different files as its descriptor".into());
            }
            (Ok(_), Some(_)) => {}
            (Ok(link), None) => found = Some((pid, fd, link)),
            (Err(reason), _) => why = reason.into(),
        }
    }
    let (pid, fd, link) = found.ok_or(why)?;
    let named = named(pid, &link);
    if named.is_nameless_socket() {
        // It may have ended between the two looks: then that is why.
        link_of(pid, fd, inode)?;
    }
    Ok(Arc::new(named))
}
