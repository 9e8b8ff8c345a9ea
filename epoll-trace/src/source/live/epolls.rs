//! Counters of epolls, whoever waits on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aya::maps::{Array, MapData, MapError, Queue};
use epoll_trace_ebpf as abi;

use super::pool::{Found, Pool};
use crate::model::snapshot::{Epoll, EpollCounter, EpollId};

/// All epolls.
pub(super) struct Epolls {
    rows: Array<MapData, abi::Epoll>,
    free: Queue<MapData, u32>,
    pool: Pool,
    live: HashMap<u32, abi::Epoll>,
    /// Sums of the closed ones by process.
    closed: BTreeMap<u32, [u64; EpollCounter::COUNT]>,
    dying: BTreeSet<u32>,
}

fn counters(raw: &abi::Epoll) -> [u64; EpollCounter::COUNT] {
    let mut counters = [0; EpollCounter::COUNT];
    counters[EpollCounter::Notifications as usize] = raw.notifications;
    counters[EpollCounter::Scans as usize] = raw.scans;
    counters
}

impl Epolls {
    /// Fills the queue of free rows.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(
        rows: Array<MapData, abi::Epoll>,
        mut free: Queue<MapData, u32>,
    ) -> Result<Self, MapError> {
        let size = rows.len();
        for index in 0..size {
            free.push(index, 0)?;
        }
        let (live, closed, dying) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self {
            rows,
            free,
            pool: Pool::new(size),
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
        let rows = &self.rows;
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
            self.live.insert(index, self.rows.get(&index, 0)?);
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

    /// Adds those that were dead at the last look already to the sums of `processes_of` them, and hands their rows out again.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(
        &mut self,
        processes_of: impl Fn(abi::EpollId) -> BTreeSet<u32>,
    ) -> Result<(), MapError> {
        let now_dead: BTreeSet<u32> = self
            .live
            .iter()
            .filter(|(_, epoll)| epoll.dead != 0)
            .map(|(&index, _)| index)
            .collect();
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(gone) = self.live.remove(&index) else {
                continue;
            };
            let mut processes = processes_of(gone.id);
            processes.extend((gone.creator_tgid != 0).then_some(gone.creator_tgid));
            for process in processes {
                let sums = self.closed.entry(process).or_default();
                sums.iter_mut()
                    .zip(counters(&gone))
                    .for_each(|(sum, count)| *sum += count);
            }
            self.give_back(index)?;
        }
        self.dying = now_dead;
        Ok(())
    }

    fn give_back(&mut self, index: u32) -> Result<(), MapError> {
        self.rows.set(index, abi::Epoll::default(), 0)?;
        self.free.push(index, 0)?;
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
                counters: values(counters(raw)),
            })
            .chain(self.closed.iter().map(|(&process, &counts)| Epoll {
                id: EpollId {
                    address: 0,
                    born_ns: u64::from(process),
                },
                creator: Some(process),
                counters: values(counts),
            }))
            .collect();
        epolls.sort_by_key(|epoll| epoll.id);
        epolls
    }
}
