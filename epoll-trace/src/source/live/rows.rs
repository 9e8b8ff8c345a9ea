//! The rows of (process, epoll) pairs: found, read, folded together once their epoll is closed.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use aya::maps::{HashMap as BpfHashMap, MapData, Queue};
use epoll_trace_ebpf as abi;

use super::{
    Take,
    chunks::Chunks,
    followed::{Followed, read},
    mapped::Mapped,
    pool::{Found, Pool},
    slots::Slots,
    tally::Part,
    text,
    wakers::WakerTable,
};
use crate::model::{
    histogram::Shape,
    shared::Shared,
    snapshot::{Known, Metric, Numbers, Row, RowKey},
};

/// The maps that hold rows.
pub(super) struct RowMaps {
    rows: Mapped<abi::Row>,
    index: BpfHashMap<MapData, abi::RowKey, u32>,
    free: Queue<MapData, u32>,
    free_blocks: Queue<MapData, u32>,
}

impl RowMaps {
    /// Takes them out of the object, by name.
    ///
    /// # Errors
    /// When the object and this agent are not of one build.
    pub(super) fn new(take: &mut Take<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            rows: Mapped::new(take("ROWS")?)?,
            index: take("ROW_INDEX")?.try_into()?,
            free: take("FREE_ROWS")?.try_into()?,
            free_blocks: take("ROW_BLOCKS")?.try_into()?,
        })
    }
}

/// All closed epolls of a process (or thread) together.
struct Closed {
    comm: String,
    numbers: Shared<Numbers>,
}

/// All rows.
pub(super) struct Rows {
    maps: RowMaps,
    pool: Pool,
    chunks: Chunks,
    wakers: WakerTable,
    metrics: Vec<Metric>,
    live: Slots<Followed>,
    /// Indices of these in the order of their keys; empty after one came or went.
    order: Vec<u32>,
    /// Epolls and their processes, ascending, along with it.
    waiters: Vec<(abi::EpollId, u32)>,
    /// Chunks of rows that were made after this look had looked for rows.
    early: Vec<(u32, abi::Owner)>,
    closed: BTreeMap<(u32, u32), Closed>,
    /// Sums of closed epolls that had to make room.
    pub(super) forgotten: u64,
    /// Rows of epolls that were already dead at the last look: nothing counts into them any more.
    dying: BTreeSet<u32>,
}

/// Processes (or threads) whose closed epolls are kept as a sum, at most.
pub(super) const MAX_CLOSED: usize = 16_384;

const ZERO_ROW: abi::Row = abi::Row {
    key: abi::RowKey {
        epoll: abi::EpollId {
            address: 0,
            born_ns: 0,
        },
        tgid: 0,
        tid: 0,
    },
    epfd: 0,
    zeroes: 0,
    comm: [0; abi::COMM_LEN],
    counters: [0; abi::Counter::COUNT],
    chunks: [[0; abi::CHUNK_PLACES]; abi::Metric::COUNT],
};

impl Rows {
    /// Fills the queue of free rows. `metrics` in the order of their slots.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(
        mut maps: RowMaps,
        chunks: Chunks,
        wakers: WakerTable,
        metrics: Vec<Metric>,
    ) -> anyhow::Result<Self> {
        let pool = Pool::fill(&mut maps.free_blocks, maps.rows.len())?;
        let forgotten = 0;
        let (live, closed, dying) = (Slots::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self {
            maps,
            pool,
            chunks,
            wakers,
            metrics,
            live,
            order: Vec::new(),
            waiters: Vec::new(),
            early: Vec::new(),
            closed,
            forgotten,
            dying,
        })
    }

    /// Reads every row that is in use.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        let map = &mut self.maps.rows;
        let tombstones = self.pool.discover(|index| {
            map.read(index, |row| {
                // SAFETY: `read` gives the address of a row in mapped memory.
                match unsafe { (&raw const (*row).key.tgid).read_volatile() } {
                    0 => Found::Unused,
                    abi::TOMBSTONE => Found::Tombstone,
                    _ => Found::Used,
                }
            })
        })?;
        for index in tombstones {
            self.give_back(index)?;
        }
        // Before the rows: what wakes meanwhile changes its row, which is then read once more.
        self.wakers.read()?;
        for &index in &self.pool.used {
            let reading = read(&mut self.maps.rows, index)?;
            match self.live.get_mut(index) {
                Some(followed) if followed.last.key == reading.key => {
                    followed.update(reading, &mut self.chunks)?;
                }
                known => {
                    self.order.clear();
                    match known {
                        // Its maker was still writing the key.
                        Some(followed) => followed.update(reading, &mut self.chunks)?,
                        None => self.live.insert(index, Followed::new(reading)),
                    }
                }
            }
        }
        let mut taken = mem::take(&mut self.early);
        taken.extend(self.chunks.discover()?);
        for (chunk, owner) in taken {
            match self.live.get_mut(owner.row) {
                Some(followed) => followed.own(Part::new(chunk, owner, self.chunks.sum(chunk)?)),
                None => self.early.push((chunk, owner)),
            }
        }
        Ok(())
    }

    /// Folds the rows of epolls in `dead` and of threads and processes in `gone` into one of their process, and hands the
    /// rows out again. That takes two calls: what was on its way when it died is in by then.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(
        &mut self,
        dead: &BTreeSet<abi::EpollId>,
        gone: &BTreeSet<(u32, Option<u32>)>,
    ) -> anyhow::Result<()> {
        let is_final = |key: &abi::RowKey| {
            dead.contains(&key.epoll) || gone.contains(&(key.tgid, (key.tid != 0).then_some(key.tid)))
        };
        let now_dead: BTreeSet<u32> = if dead.is_empty() && gone.is_empty() {
            BTreeSet::new()
        } else {
            let live = self.live.iter();
            live.filter(|(_, followed)| is_final(&followed.last.key))
                .map(|(index, _)| index)
                .collect()
        };
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(gone) = self.live.remove(index) else {
                continue;
            };
            self.order.clear();
            let key = gone.last.key;
            self.maps.index.remove(&key)?;
            self.give_back(index)?;
            for part in &gone.parts {
                self.chunks.give_back(part.chunk)?;
            }
            let waiter = (key.tgid, key.tid);
            if self.closed.len() >= MAX_CLOSED
                && !self.closed.contains_key(&waiter)
                && self.closed.pop_first().is_some()
            {
                self.forgotten += 1;
            }
            let comm = text(&gone.last.comm);
            match self.closed.get_mut(&waiter) {
                Some(sum) => {
                    sum.comm = comm;
                    sum.numbers.add(&gone.numbers);
                }
                None => {
                    let numbers = gone.numbers;
                    self.closed.insert(waiter, Closed { comm, numbers });
                }
            }
        }
        self.dying = now_dead;
        Ok(())
    }

    fn give_back(&mut self, index: u32) -> anyhow::Result<()> {
        self.maps.rows.set(index, ZERO_ROW)?;
        self.wakers.forget(index)?;
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }

    /// Processes that wait or waited on each epoll, ascending, as of the last [`Rows::model`].
    pub(super) fn waiters(&self) -> &[(abi::EpollId, u32)] {
        &self.waiters
    }

    fn arrange(&mut self) {
        let mut keys: Vec<_> = self
            .live
            .iter()
            .map(|(index, followed)| (followed.key(), index))
            .collect();
        keys.sort_unstable();
        self.order = keys.into_iter().map(|(_, index)| index).collect();
        let keys = self.live.values().map(|followed| followed.last.key);
        self.waiters = keys.map(|key| (key.epoll, key.tgid)).collect();
        self.waiters.sort_unstable();
        self.waiters.dedup();
    }

    /// Everything read, ordered by key, with the programs' name for each process (or thread).
    ///
    /// # Errors
    /// When the kernel refuses to read a histogram.
    pub(super) fn model(
        &mut self,
        shape: &Shape,
        known: &Known,
    ) -> anyhow::Result<(Vec<Row>, BTreeMap<u32, String>)> {
        if self.order.is_empty() {
            self.arrange();
        }
        let mut names = self.wakers.names();
        let mut rows = Vec::with_capacity(self.closed.len() + self.order.len());
        let mut last = None;
        for &index in &self.order {
            let Some(followed) = self.live.get_mut(index) else {
                continue;
            };
            let key = followed.key();
            let id = key.tid.unwrap_or(key.pid);
            if last.replace(id) != Some(id) {
                names.entry(id).or_insert_with(|| text(&followed.last.comm));
            }
            let woken = || self.wakers.of(index);
            followed.refresh(&self.metrics, &mut self.chunks, shape, known, woken)?;
            rows.push(Row {
                key,
                epfd: (followed.last.epfd >= 0).then_some(followed.last.epfd),
                numbers: followed.numbers.clone(),
            });
        }
        for (&(pid, tid), closed) in &self.closed {
            let tid = (tid != 0).then_some(tid);
            let id = tid.unwrap_or(pid);
            names.entry(id).or_insert_with(|| closed.comm.clone());
            let epoll = None;
            rows.push(Row {
                key: RowKey { pid, tid, epoll },
                epfd: None,
                numbers: closed.numbers.clone(),
            });
        }
        // Two ordered lists, which this sort finds.
        rows.sort_by_key(|row| row.key);
        Ok((rows, names))
    }
}
