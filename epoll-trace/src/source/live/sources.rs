//! Files that several watch: read whole, named once, kept for a while after their end.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use crate::identity::source::{link_of, named};
use crate::model::snapshot::{EpollId, Row, RowKey};
use crate::model::source::{Named, SourceId, SourceItem, SourceItemKey};

/// Items of closed files and epolls that are kept.
const MAX_CLOSED_ITEMS: usize = 4096;
/// Files that are looked up at one look; the others' turn comes at the next.
const MOST_NAMED: usize = 32;
/// Processes that are asked what a file is: they must agree.
const MOST_ASKED: usize = 4;
const NOT_YET: &str = "it was not looked up yet";
const NOBODY: &str = "no process that waits on its epolls was seen";

/// What was read last of one item.
struct Followed {
    raw: abi::SourceItem,
    waiters: BTreeMap<RowKey, Row>,
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

    /// Reads every item; `rows` are the waiters of this look.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self, rows: &[Row]) -> Result<(), MapError> {
        for item in self.items.iter() {
            let (key, raw) = item?;
            let followed = self.live.entry((key, raw.born_ns)).or_insert_with(|| Followed {
                raw,
                waiters: BTreeMap::new(),
            });
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
        for ((key, _), followed) in &mut self.live {
            for row in of_epolls.get(&epoll_of(key)).into_iter().flatten() {
                followed.waiters.insert(row.key, Row::clone(row));
            }
        }
        self.name();
        Ok(())
    }

    /// Looks up what new files are, by the processes that wait on the epolls that watch them.
    fn name(&mut self) {
        let mut askable: BTreeMap<SourceId, Vec<(u32, i32)>> = BTreeMap::new();
        for ((key, born_ns), followed) in &self.live {
            let source = source_of(key, *born_ns);
            if !self.names.contains_key(&source) {
                let who = followed.waiters.keys().map(|row| (row.pid, key.fd));
                askable.entry(source).or_default().extend(who);
            }
        }
        for (source, who) in askable
            .into_iter()
            .filter(|(_, who)| !who.is_empty())
            .take(MOST_NAMED)
        {
            self.names.insert(source, look_up(&who));
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
            key: SourceItemKey {
                source,
                epoll: epoll_of(key),
                fd: key.fd,
            },
            notifications: followed.raw.notifications,
            woken: followed.raw.woken,
            events: followed.raw.events,
            open,
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

/// What the file is that each of `who` has as this descriptor. A number may be another file's since: if they do not agree, nothing is said.
fn look_up(who: &[(u32, i32)]) -> Result<Arc<Named>, Arc<str>> {
    let mut found: Option<(u32, String)> = None;
    let mut why: Arc<str> = NOBODY.into();
    for &(pid, fd) in who.iter().take(MOST_ASKED) {
        match (link_of(pid, fd), &found) {
            (Ok(link), Some((_, other))) if link != *other => {
                return Err("the processes that watch it have different files as its descriptor".into());
            }
            (Ok(_), Some(_)) => {}
            (Ok(link), None) => found = Some((pid, link)),
            (Err(reason), _) => why = reason.into(),
        }
    }
    let (pid, link) = found.ok_or(why)?;
    Ok(Arc::new(named(pid, &link)))
}
