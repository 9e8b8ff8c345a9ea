//! Readers of fdinfo: read whole, folded together by process once their epoll is closed.

use std::collections::BTreeMap;

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use super::tally::Tally;
use super::text;
use crate::model::histogram::Shape;
use crate::model::readers::Reader;
use crate::model::snapshot::{EpollId, Row};

/// Readers of closed epolls that are kept.
const MAX_CLOSED: usize = 256;

/// What was read last of one reader.
#[derive(Clone, Default)]
struct Followed {
    name: String,
    took: Tally,
    /// A process that waits on the epoll.
    owner: Option<u32>,
}

impl Followed {
    fn model(&self, epoll: EpollId, pid: u32, shape: &Shape) -> Reader {
        Reader {
            epoll,
            owner: self.owner,
            pid,
            name: self.name.clone(),
            took: self.took.clone().histogram(shape),
        }
    }
}

/// All readers.
pub(super) struct Readers {
    map: BpfHashMap<MapData, abi::ReadKey, abi::ReadRow>,
    live: BTreeMap<abi::ReadKey, Followed>,
    /// By process that waited on the epoll, and process that read.
    closed: BTreeMap<(u32, u32), Followed>,
    /// Those that had to make room, and those of which nobody was seen to wait.
    pub(super) forgotten: u64,
}

impl Readers {
    /// Takes the map over.
    pub(super) const fn new(map: BpfHashMap<MapData, abi::ReadKey, abi::ReadRow>) -> Self {
        Self {
            map,
            live: BTreeMap::new(),
            closed: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Reads every reader; `rows` are the waiters of this look. Those of epolls that are not `followed` any more make room for others.
    ///
    /// # Errors
    /// When the kernel refuses a read or a write.
    pub(super) fn read(
        &mut self,
        rows: &[Row],
        followed: impl Fn(&abi::EpollId) -> bool,
    ) -> Result<(), MapError> {
        for entry in self.map.iter() {
            let (key, raw) = entry?;
            let reader = self.live.entry(key).or_default();
            reader.name = text(&raw.comm);
            reader.took.update(&raw.took);
            let mut waiters = rows.iter().filter(|row| row.key.epoll == Some(epoll_of(&key)));
            reader.owner = reader.owner.or_else(|| waiters.next().map(|row| row.key.pid));
        }
        let gone = self.live.keys().filter(|key| !followed(&key.epoll));
        let gone: Vec<abi::ReadKey> = gone.copied().collect();
        for key in gone {
            match self.map.remove(&key) {
                Ok(()) | Err(MapError::KeyNotFound) => {}
                Err(error) => return Err(error),
            }
            let last = self.live.remove(&key).unwrap_or_default();
            let place = last.owner.map(|owner| (owner, key.tgid));
            match place.filter(|place| self.closed.len() < MAX_CLOSED || self.closed.contains_key(place)) {
                Some(place) => {
                    let sum = self.closed.entry(place).or_default();
                    (sum.name, sum.owner) = (last.name, last.owner);
                    sum.took.absorb(&last.took);
                }
                None => self.forgotten += 1,
            }
        }
        Ok(())
    }

    /// Everything read.
    pub(super) fn model(&self, shape: &Shape) -> Vec<Reader> {
        let live = self.live.iter();
        let live = live.map(|(key, reader)| reader.model(epoll_of(key), key.tgid, shape));
        let closed = self.closed.iter();
        let closed =
            closed.map(|(&(owner, pid), reader)| reader.model(EpollId::closed_of(owner), pid, shape));
        live.chain(closed).collect()
    }
}

fn epoll_of(key: &abi::ReadKey) -> EpollId {
    EpollId {
        address: key.epoll.address,
        born_ns: key.epoll.born_ns,
    }
}
