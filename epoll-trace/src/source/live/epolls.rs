//! Counters of epolls, whoever waits on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aya::maps::{Array, HashMap as BpfHashMap, MapData, MapError, Queue};
use epoll_trace_ebpf as abi;

use super::pool::{Found, Pool};
use super::rows::MAX_CLOSED;
use super::text;
use crate::identity;
use crate::model::snapshot::{Epoll, EpollCounter, EpollId};

/// The three maps that hold epolls.
pub(super) struct EpollMaps {
    pub(super) rows: Array<MapData, abi::Epoll>,
    pub(super) known: BpfHashMap<MapData, u64, abi::KnownEpoll>,
    pub(super) free: Queue<MapData, u32>,
}

/// All epolls.
pub(super) struct Epolls {
    maps: EpollMaps,
    pool: Pool,
    live: HashMap<u32, abi::Epoll>,
    /// Sums of the closed ones by process.
    closed: BTreeMap<u32, [u64; EpollCounter::COUNT]>,
    dying: BTreeSet<u32>,
}

fn counters(raw: &abi::Epoll) -> [u64; EpollCounter::COUNT] {
    let mut counters = [0; EpollCounter::COUNT];
    for (&id, value) in abi::EpollCounter::ALL.iter().zip(raw.counters) {
        if let Some(id) = EpollCounter::from_name(id.name()) {
            counters[id as usize] = value;
        }
    }
    counters
}

const ZERO: abi::Epoll = abi::Epoll {
    id: abi::EpollId {
        address: 0,
        born_ns: 0,
    },
    creator_tgid: 0,
    epfd: 0,
    dead: 0,
    flags: 0,
    creator_comm: [0; abi::COMM_LEN],
    queued_ns: 0,
    queued_in_scan_ns: 0,
    counters: [0; abi::EpollCounter::COUNT],
};

impl Epolls {
    /// Fills the queue of free rows.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(mut maps: EpollMaps) -> Result<Self, MapError> {
        let pool = Pool::fill(&mut maps.free, maps.rows.len())?;
        let (live, closed, dying) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self {
            maps,
            pool,
            live,
            closed,
            dying,
        })
    }

    /// Reads every epoll.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> Result<(), MapError> {
        let rows = &self.maps.rows;
        let tombstones = self.pool.discover(|index| {
            rows.get(&index, 0).map(|row| match (row.id.born_ns, row.dead) {
                (0, 0) => Found::Unused,
                (0, _) => Found::Tombstone,
                _ => Found::Used,
            })
        })?;
        for index in tombstones {
            self.give_back(index)?;
        }
        for &index in &self.pool.used {
            self.live.insert(index, self.maps.rows.get(&index, 0)?);
        }
        Ok(())
    }

    /// The epolls that were closed.
    pub(super) fn dead(&self) -> BTreeSet<abi::EpollId> {
        self.live
            .values()
            .filter(|epoll| epoll.dead != 0)
            .map(|epoll| epoll.id)
            .collect()
    }

    /// Adds those that were dead at the last look already to the sums of their waiters (of their creator without any),
    /// and hands their rows out again. Where the end of an epoll cannot be seen, one that nobody knows any more is dead.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(&mut self, waiters: &HashMap<abi::EpollId, BTreeSet<u32>>) -> Result<(), MapError> {
        let abandoned = |epoll: &abi::Epoll| {
            !waiters.contains_key(&epoll.id)
                && (epoll.creator_tgid == 0 || !identity::exists(epoll.creator_tgid))
        };
        let now_dead: BTreeSet<u32> = self
            .live
            .iter()
            .filter(|(_, epoll)| epoll.dead != 0 || abandoned(epoll))
            .map(|(&index, _)| index)
            .collect();
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(gone) = self.live.remove(&index) else {
                continue;
            };
            let creator = || {
                (gone.creator_tgid != 0)
                    .then_some(gone.creator_tgid)
                    .into_iter()
                    .collect()
            };
            let processes: BTreeSet<u32> = waiters.get(&gone.id).cloned().unwrap_or_else(creator);
            for process in processes {
                if self.closed.len() >= MAX_CLOSED && !self.closed.contains_key(&process) {
                    self.closed.pop_first();
                }
                let sums = self.closed.entry(process).or_default();
                sums.iter_mut()
                    .zip(counters(&gone))
                    .for_each(|(sum, count)| *sum += count);
            }
            self.forget_address(&gone, index)?;
            self.give_back(index)?;
        }
        self.dying = now_dead;
        Ok(())
    }

    /// The programs forget an epoll when they see its end; here that is made up for.
    fn forget_address(&mut self, gone: &abi::Epoll, index: u32) -> Result<(), MapError> {
        match self.maps.known.get(&gone.id.address, 0) {
            Ok(known) if known.index == index => self.maps.known.remove(&gone.id.address),
            Ok(_) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Names of the processes that created epolls while we looked.
    pub(super) fn creators(&self) -> impl Iterator<Item = (u32, String)> {
        let created = self.live.values().filter(|epoll| epoll.creator_tgid != 0);
        created.map(|epoll| (epoll.creator_tgid, text(&epoll.creator_comm)))
    }

    fn give_back(&mut self, index: u32) -> Result<(), MapError> {
        self.maps.rows.set(index, ZERO, 0)?;
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }

    /// Everything read. The closed epolls of a process are one entry with address 0.
    pub(super) fn model(&self, known: impl Fn(&str) -> bool) -> Vec<Epoll> {
        let values = |counts: [u64; EpollCounter::COUNT]| {
            let mut values = [None; EpollCounter::COUNT];
            for &id in EpollCounter::ALL {
                values[id as usize] = known(id.name()).then_some(counts[id as usize]);
            }
            values
        };
        let mut epolls: Vec<Epoll> = self
            .live
            .values()
            .map(|raw| Epoll {
                id: EpollId {
                    address: raw.id.address,
                    born_ns: raw.id.born_ns,
                },
                creator: (raw.creator_tgid != 0).then_some(raw.creator_tgid),
                flags: raw.flags,
                counters: values(counters(raw)),
            })
            .chain(self.closed.iter().map(|(&process, &counts)| Epoll {
                id: EpollId {
                    address: 0,
                    born_ns: u64::from(process),
                },
                creator: Some(process),
                flags: 0,
                counters: values(counts),
            }))
            .collect();
        epolls.sort_by_key(|epoll| epoll.id);
        epolls
    }
}
