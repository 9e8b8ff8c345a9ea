//! The rows of (process, epoll) pairs: found, read, folded together once their epoll is closed.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aya::maps::{Array, HashMap as BpfHashMap, MapData, MapError, Queue};
use epoll_trace_ebpf as abi;

use super::{
    pool::{Found, Pool},
    tally::{self, Tally},
    text,
};
use crate::model::{
    histogram::Shape,
    snapshot::{Counter, EpollId, Metric, Row, RowKey},
};

/// The four maps that hold rows.
pub(super) struct RowMaps {
    pub(super) rows: Array<MapData, abi::Row>,
    pub(super) histograms: Array<MapData, abi::Histogram>,
    pub(super) index: BpfHashMap<MapData, abi::RowKey, u32>,
    pub(super) free: Queue<MapData, u32>,
}

/// What was read last of one row, or of all closed epolls of a process.
struct Followed {
    epfd: i32,
    comm: String,
    counters: [u64; Counter::COUNT],
    tallies: Vec<Tally>,
    /// Nothing was counted between the last two readings, so the histograms were read after the last count.
    settled: bool,
}

/// All rows.
pub(super) struct Rows {
    maps: RowMaps,
    pool: Pool,
    metrics: Vec<Metric>,
    live: HashMap<u32, (abi::RowKey, Followed)>,
    closed: BTreeMap<(u32, u32), Followed>,
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
};
const ZERO_HISTOGRAM: abi::Histogram = abi::Histogram {
    sum_ns: 0,
    counts: [0; abi::BUCKETS],
};

impl Rows {
    /// Fills the queue of free rows. `metrics` in the order of their histograms in each row.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(mut maps: RowMaps, metrics: Vec<Metric>) -> Result<Self, MapError> {
        let pool = Pool::fill(&mut maps.free, maps.rows.len())?;
        let forgotten = 0;
        let (live, closed, dying) = (HashMap::new(), BTreeMap::new(), BTreeSet::new());
        Ok(Self {
            maps,
            pool,
            metrics,
            live,
            closed,
            forgotten,
            dying,
        })
    }

    /// Reads every row that is in use.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> Result<(), MapError> {
        let map = &self.maps.rows;
        let tombstones = self.pool.discover(|index| {
            map.get(&index, 0).map(|row| match row.key.tgid {
                0 => Found::Unused,
                abi::TOMBSTONE => Found::Tombstone,
                _ => Found::Used,
            })
        })?;
        for index in tombstones {
            self.give_back(index)?;
        }
        for index in self.pool.used.clone() {
            self.read_row(index)?;
        }
        Ok(())
    }

    fn read_row(&mut self, index: u32) -> Result<(), MapError> {
        let raw = self.maps.rows.get(&index, 0)?;
        let mut counters = [0; Counter::COUNT];
        for (&id, value) in abi::Counter::ALL.iter().zip(raw.counters) {
            if let Some(id) = tally::counter(id) {
                counters[id as usize] = value;
            }
        }
        let slots = self.metrics.len();
        let (_, followed) = self.live.entry(index).or_insert_with(|| {
            let new = Followed {
                epfd: -1,
                comm: String::new(),
                counters: [0; Counter::COUNT],
                tallies: Vec::new(),
                settled: false,
            };
            (raw.key, new)
        });
        let quiet = followed.counters == counters;
        let unchanged = quiet && followed.settled;
        followed.settled = quiet && !followed.tallies.is_empty();
        followed.epfd = raw.epfd;
        followed.counters = counters;
        followed.comm = text(&raw.comm);
        followed.tallies.resize(slots, Tally::default());
        if unchanged {
            return Ok(());
        }
        for (slot, tally) in (0u32..).zip(&mut followed.tallies) {
            tally.update(&self.maps.histograms.get(&(index * slots as u32 + slot), 0)?);
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
    ) -> Result<(), MapError> {
        let is_final = |key: &abi::RowKey| {
            dead.contains(&key.epoll) || gone.contains(&(key.tgid, (key.tid != 0).then_some(key.tid)))
        };
        let now_dead: BTreeSet<u32> = self
            .live
            .iter()
            .filter(|(_, (key, _))| is_final(key))
            .map(|(&index, _)| index)
            .collect();
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some((key, gone)) = self.live.remove(&index) else {
                continue;
            };
            self.maps.index.remove(&key)?;
            self.give_back(index)?;
            match self.closed.get_mut(&(key.tgid, key.tid)) {
                None => {
                    if self.closed.len() >= MAX_CLOSED && self.closed.pop_first().is_some() {
                        self.forgotten += 1;
                    }
                    self.closed
                        .insert((key.tgid, key.tid), Followed { epfd: -1, ..gone });
                }
                Some(sum) => {
                    sum.counters
                        .iter_mut()
                        .zip(gone.counters)
                        .for_each(|(sum, count)| *sum += count);
                    sum.tallies
                        .iter_mut()
                        .zip(&gone.tallies)
                        .for_each(|(sum, tally)| sum.absorb(tally));
                    sum.comm = gone.comm;
                }
            }
        }
        self.dying = now_dead;
        Ok(())
    }

    fn give_back(&mut self, index: u32) -> Result<(), MapError> {
        self.maps.rows.set(index, ZERO_ROW, 0)?;
        let slots = self.metrics.len() as u32;
        for slot in 0..slots {
            self.maps
                .histograms
                .set(index * slots + slot, ZERO_HISTOGRAM, 0)?;
        }
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }

    /// Processes that wait or waited on each epoll.
    pub(super) fn waiters(&self) -> HashMap<abi::EpollId, BTreeSet<u32>> {
        let mut waiters: HashMap<abi::EpollId, BTreeSet<u32>> = HashMap::new();
        for (key, _) in self.live.values() {
            waiters.entry(key.epoll).or_default().insert(key.tgid);
        }
        waiters
    }

    /// Everything read, with the programs' name for each process (or thread).
    pub(super) fn model(
        &self,
        shape: &Shape,
        known: impl Fn(&str) -> bool,
    ) -> (Vec<Row>, BTreeMap<u32, String>) {
        let mut names = BTreeMap::new();
        let mut rows = Vec::new();
        let live = self
            .live
            .values()
            .map(|(key, followed)| (key.tgid, key.tid, Some(key.epoll), followed));
        let closed = self
            .closed
            .iter()
            .map(|(&(tgid, tid), followed)| (tgid, tid, None, followed));
        for (tgid, tid, epoll, followed) in closed.chain(live) {
            let tid = (tid != 0).then_some(tid);
            names.insert(tid.unwrap_or(tgid), followed.comm.clone());
            rows.push(followed.row(tgid, tid, epoll, &self.metrics, shape, &known));
        }
        rows.sort_by_key(|row| row.key);
        (rows, names)
    }
}

impl Followed {
    fn row(
        &self,
        pid: u32,
        tid: Option<u32>,
        epoll: Option<abi::EpollId>,
        metrics: &[Metric],
        shape: &Shape,
        known: &impl Fn(&str) -> bool,
    ) -> Row {
        let epoll = epoll.map(|id| EpollId {
            address: id.address,
            born_ns: id.born_ns,
        });
        let mut row = Row {
            key: RowKey { pid, tid, epoll },
            epfd: (self.epfd >= 0).then_some(self.epfd),
            ..Row::default()
        };
        for &id in Counter::ALL {
            row.counters[id as usize] = known(id.name()).then_some(self.counters[id as usize]);
        }
        for (&metric, tally) in metrics.iter().zip(&self.tallies) {
            row.metrics[metric as usize] = known(metric.name()).then(|| tally.histogram(shape));
        }
        row
    }
}
