//! The rows of (process, epoll) pairs: found, read, folded together once their epoll is closed.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::{HashMap as BpfHashMap, MapData, Queue};
use epoll_trace_ebpf as abi;

use super::{
    chunks::Chunks,
    mapped::Mapped,
    pool::{Found, Pool},
    slots::Slots,
    tally::{self, Part, Tally},
    text,
    wakers::{WakerTable, Woken},
};
use crate::model::{
    histogram::Shape,
    shared::Shared,
    snapshot::{Counter, EpollId, Known, Metric, Numbers, Row, RowKey},
};

/// The maps that hold rows.
pub(super) struct RowMaps {
    pub(super) rows: Mapped<abi::Row>,
    pub(super) index: BpfHashMap<MapData, abi::RowKey, u32>,
    pub(super) free: Queue<MapData, u32>,
    pub(super) free_blocks: Queue<MapData, u32>,
}

/// What was read last of one row.
struct Followed {
    raw: abi::Row,
    /// Its histograms, by slot and place.
    parts: Vec<Part>,
    /// Nothing was counted between the last two readings, so the histograms were read after the last count.
    settled: bool,
    /// What the model gets, until something changes.
    numbers: Option<Shared<Numbers>>,
}

/// All closed epolls of a process (or thread) together.
struct Closed {
    comm: String,
    counters: [u64; Counter::COUNT],
    tallies: Vec<Tally>,
    woken: Woken,
}

/// All rows.
pub(super) struct Rows {
    maps: RowMaps,
    pool: Pool,
    chunks: Chunks,
    wakers: WakerTable,
    metrics: Vec<Metric>,
    live: Slots<Followed>,
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
    pad: 0,
    comm: [0; abi::COMM_LEN],
    counters: [0; abi::Counter::COUNT],
    sums: [0; abi::Metric::COUNT],
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
            let raw = self.maps.rows.get(index)?;
            match self.live.get_mut(index) {
                Some(followed) => followed.update(raw),
                None => self.live.insert(index, Followed::new(raw)),
            }
        }
        self.early.extend(self.chunks.discover()?);
        let live = &mut self.live;
        self.early.retain(|&(chunk, owner)| {
            let row = live.get_mut(owner.row);
            let early = row.is_none();
            if let Some(followed) = row {
                followed.own(chunk, owner);
            }
            early
        });
        let changed = self.live.iter_mut().filter(|(_, row)| row.numbers.is_none());
        for (_, followed) in changed {
            for part in &mut followed.parts {
                part.update(&self.chunks.counts(part.chunk)?);
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
            live.filter(|(_, followed)| is_final(&followed.raw.key))
                .map(|(index, _)| index)
                .collect()
        };
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(gone) = self.live.remove(index) else {
                continue;
            };
            let key = gone.raw.key;
            let woken = self.wakers.of(index);
            self.maps.index.remove(&key)?;
            self.give_back(index)?;
            for part in &gone.parts {
                self.chunks.give_back(part.chunk)?;
            }
            let (slots, waiter) = (self.metrics.len(), (key.tgid, key.tid));
            if self.closed.len() >= MAX_CLOSED
                && !self.closed.contains_key(&waiter)
                && self.closed.pop_first().is_some()
            {
                self.forgotten += 1;
            }
            let sum = self.closed.entry(waiter).or_insert_with(|| Closed::new(slots));
            sum.absorb(&gone, &woken);
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

    /// Processes that wait or waited on each epoll, ascending.
    pub(super) fn waiters(&self) -> Vec<(abi::EpollId, u32)> {
        let keys = self.live.values().map(|followed| followed.raw.key);
        let mut waiters: Vec<_> = keys.map(|key| (key.epoll, key.tgid)).collect();
        waiters.sort_unstable();
        waiters.dedup();
        waiters
    }

    /// Everything read, with the programs' name for each process (or thread).
    pub(super) fn model(&mut self, shape: &Shape, known: &Known) -> (Vec<Row>, BTreeMap<u32, String>) {
        let mut names = self.wakers.names();
        let mut rows = Vec::with_capacity(self.closed.len() + self.pool.used.len());
        let metrics = &self.metrics;
        let histograms = |tallies: &mut dyn FnMut(usize) -> Tally| {
            let known = metrics
                .iter()
                .enumerate()
                .filter(|(_, metric)| known.metrics[**metric as usize]);
            let mut histograms: Vec<_> = known
                .map(|(slot, &metric)| (metric, tallies(slot).histogram(shape)))
                .collect();
            histograms.sort_unstable_by_key(|&(metric, _)| metric);
            histograms
        };
        let counters = |counters: [u64; Counter::COUNT]| {
            std::array::from_fn(|index| known.counters[index].then_some(counters[index]))
        };
        for (index, followed) in self.live.iter_mut() {
            let key = followed.key();
            let id = key.tid.unwrap_or(key.pid);
            names.entry(id).or_insert_with(|| text(&followed.raw.comm));
            let numbers = followed.numbers.take().unwrap_or_else(|| {
                let Woken { wakers, chains } = self.wakers.of(index);
                Shared::from(Numbers {
                    counters: counters(followed.counters()),
                    wakers,
                    chains,
                    metrics: histograms(&mut |slot| followed.tally(slot)),
                })
            });
            rows.push(Row {
                key,
                epfd: (followed.raw.epfd >= 0).then_some(followed.raw.epfd),
                numbers: numbers.clone(),
            });
            followed.numbers = Some(numbers);
        }
        for (&(pid, tid), closed) in &self.closed {
            let tid = (tid != 0).then_some(tid);
            names
                .entry(tid.unwrap_or(pid))
                .or_insert_with(|| closed.comm.clone());
            rows.push(Row {
                key: RowKey {
                    pid,
                    tid,
                    epoll: None,
                },
                epfd: None,
                numbers: Shared::from(Numbers {
                    counters: counters(closed.counters),
                    wakers: closed.woken.wakers.clone(),
                    chains: closed.woken.chains.clone(),
                    metrics: histograms(&mut |slot| closed.tallies[slot].clone()),
                }),
            });
        }
        rows.sort_unstable_by_key(|row| row.key);
        (rows, names)
    }
}

impl Followed {
    fn new(raw: abi::Row) -> Self {
        Self {
            raw,
            parts: Vec::new(),
            settled: false,
            numbers: None,
        }
    }

    /// Takes a new reading; what it says of histograms is still to be read unless nothing can have changed.
    fn update(&mut self, raw: abi::Row) {
        let quiet = self.raw == raw;
        if !(quiet && self.settled) {
            self.numbers = None;
        }
        self.settled = quiet;
        if !quiet {
            self.raw = raw;
        }
    }

    fn own(&mut self, chunk: u32, owner: abi::Owner) {
        let part = Part::new(chunk, owner);
        let place = self.parts.partition_point(|other| other.place() <= part.place());
        self.parts.insert(place, part);
        self.numbers = None;
    }

    fn key(&self) -> RowKey {
        let key = self.raw.key;
        RowKey {
            pid: key.tgid,
            tid: (key.tid != 0).then_some(key.tid),
            epoll: Some(EpollId {
                address: key.epoll.address,
                born_ns: key.epoll.born_ns,
            }),
        }
    }

    fn counters(&self) -> [u64; Counter::COUNT] {
        tally::counters(&self.raw.counters)
    }

    fn tally(&self, slot: usize) -> Tally {
        Tally::of(&self.parts, slot, self.raw.sums.get(slot).copied().unwrap_or(0))
    }
}

impl Closed {
    fn new(slots: usize) -> Self {
        Self {
            comm: String::new(),
            counters: [0; Counter::COUNT],
            tallies: vec![Tally::default(); slots],
            woken: Woken::default(),
        }
    }

    fn absorb(&mut self, gone: &Followed, woken: &Woken) {
        self.woken.add(woken);
        self.comm = text(&gone.raw.comm);
        let counters = self.counters.iter_mut().zip(gone.counters());
        counters.for_each(|(sum, count)| *sum += count);
        for (slot, tally) in self.tallies.iter_mut().enumerate() {
            tally.absorb(&gone.tally(slot));
        }
    }
}
