//! Snapshots from the maps of the loaded programs. The only place that turns the programs' layout into plain numbers.

mod chunks;
mod delivered;
mod edges;
mod epolls;
mod followed;
mod instance;
mod items;
mod listeners;
mod locks;
mod look;
mod mapped;
mod names;
mod pool;
mod readers;
mod rows;
mod slots;
mod sources;
mod tally;
mod wakers;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use aya::maps::{Array, CgroupArray, HashMap as BpfHashMap, Map, MapData};
use aya_log::EbpfLogger;
use epoll_trace_ebpf::{self as abi, Loss};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use self::{
    chunks::{ChunkMaps, Chunks},
    delivered::{Delivered, DeliveredMaps},
    epolls::{EpollMaps, Epolls},
    listeners::Listeners,
    locks::{LockMaps, Locks},
    look::Looker,
    names::Names,
    readers::Readers,
    rows::{RowMaps, Rows},
    sources::Sources,
    wakers::WakerTable,
};
use super::Source;
use crate::{
    identity,
    model::{
        files::FILES,
        histogram::Shape,
        look::WATCHED_FILES,
        overhead::Spent,
        snapshot::{FLAGS, ITEMS, Known, Metric, Snapshot},
        source::SOURCES,
    },
    probe::load::Loaded,
};

/// More ids than that cannot be traced by name.
pub const MAX_IDS: usize = abi::MAX_TREE as usize;

/// Name of the loss that no map counts: hits of our programs that the kernel dropped.
pub const PROBE_MISSES: &str = "probe_misses";
/// Name of the loss of this agent's own: sums over closed epolls of a process that it kept no longer.
pub const CLOSED_FORGOTTEN: &str = "closed_forgotten";

/// The running programs as a [`Source`]. Dropping it detaches them.
pub struct Live {
    rows: Rows,
    epolls: Epolls,
    shown: Array<MapData, abi::Shown>,
    /// Epolls of the start whose items were not read.
    fdinfo_cut: u64,
    /// Why it is not known of every epoll what it watches.
    partly: String,
    looker: Looker,
    locks: Option<Locks>,
    sources: Sources,
    /// Instead of them, where the kernel tells nothing of items.
    listeners: Option<Listeners>,
    readers: Readers,
    delivered: Delivered,
    losses: Array<MapData, u64>,
    traced: BpfHashMap<MapData, u32, u32>,
    names: Names,
    cgroup: CgroupArray<MapData>,
    shape: Shape,
    absent: Arc<BTreeMap<String, String>>,
    plan_line: String,
    deaths_are_seen: bool,
    /// Whether runs of the programs are counted, and if not why; `None` if nobody asked.
    counts_runs: Option<Result<(), String>>,
    /// What the programs say, if they were asked to. Read with each snapshot: a reader that waits on the ring buffer would
    /// be one more epoll to wake for each record.
    log: Option<EbpfLogger<&'static dyn log::Log>>,
    loaded: Loaded,
}

impl Drop for Live {
    fn drop(&mut self) {
        self.flush_log();
    }
}

impl Live {
    /// Takes over the maps of `loaded`. `metrics` are those it keeps, in the order of their slots.
    ///
    /// # Errors
    /// When the object and this agent are not of one build, or the kernel refuses to fill a map.
    pub fn new(mut loaded: Loaded, metrics: Vec<Metric>) -> anyhow::Result<Self> {
        let log = loaded
            .logs
            .then(|| EbpfLogger::init(&mut loaded.ebpf))
            .transpose();
        let log = log.context("cannot read the programs' log")?;
        let ebpf = &mut loaded.ebpf;
        let mut take = |name: &str| {
            ebpf.take_map(name)
                .with_context(|| format!("the BPF object has no map {name}"))
        };
        let rows = RowMaps::new(&mut take)?;
        let chunks = Chunks::new(ChunkMaps::new(&mut take)?)?;
        let epolls = EpollMaps::new(&mut take)?;
        let shown = take("SHOWN")?.try_into()?;
        let wakers = WakerTable::new(take("WAKERS")?.try_into()?);
        let wants_locks = metrics.iter().any(|metric| metric.is_of_locks());
        let of_rows = metrics
            .into_iter()
            .filter(|metric| !metric.is_of_locks())
            .collect();
        let locks = LockMaps::new(&mut take)?;
        let sources = Sources::new(take("SOURCE_ITEMS")?.try_into()?);
        let readers = Readers::new(take("READERS")?.try_into()?);
        let delivered = Delivered::new(DeliveredMaps {
            files: take("FILES")?.try_into()?,
            sums: take("FILE_SUMS")?.try_into()?,
            rounds: take("ROUNDS")?.try_into()?,
        });
        let losses = take("LOSSES")?.try_into()?;
        let traced = take("TRACED")?.try_into()?;
        let cgroup = take("CGROUP")?.try_into()?;
        Ok(Self {
            rows: Rows::new(rows, chunks, wakers, of_rows)?,
            locks: wants_locks.then(|| Locks::new(locks)),
            sources,
            listeners: None,
            readers,
            delivered,
            epolls: Epolls::new(epolls)?,
            shown,
            fdinfo_cut: 0,
            partly: String::new(),
            looker: Looker::default(),
            losses,
            traced,
            names: Names::default(),
            cgroup,
            shape: tally::shape(),
            absent: Arc::default(),
            plan_line: String::new(),
            deaths_are_seen: false,
            counts_runs: None,
            log,
            loaded,
        })
    }

    /// Lets the programs trace process (or thread, by the filter's kind) `id`.
    ///
    /// # Errors
    /// When more are asked for than the map holds.
    pub fn trace(&mut self, id: u32) -> anyhow::Result<()> {
        self.traced
            .insert(id, 1, 0)
            .with_context(|| format!("cannot trace {id}: at most {} ids", abi::MAX_TREE))
    }

    /// Has the kernel count what our programs cost; that costs time itself. A refusal shows in [`Snapshot::spent`].
    pub fn count_runs(&mut self) {
        self.counts_runs = Some(self.loaded.count_runs());
    }

    /// Lets the programs trace only threads of the cgroup at `directory`, and of those below it.
    ///
    /// # Errors
    /// When it is gone, or is no cgroup of the unified hierarchy.
    pub fn trace_within(&mut self, directory: &Path) -> anyhow::Result<()> {
        let failed = || format!("cannot trace cgroup {}", directory.display());
        let file = File::open(directory).with_context(failed)?;
        self.cgroup.set(0, file, 0).with_context(failed)
    }

    /// Whether the kernel took every program.
    pub fn is_whole(&self) -> bool {
        self.loaded.broken.is_empty()
    }

    /// The loaded programs.
    pub fn loaded(&mut self) -> &mut Loaded {
        &mut self.loaded
    }

    /// Takes what the views say of this run: why numbers are `absent`, and the probes in one line. `deaths_are_seen` says that
    /// the programs tell when an epoll is closed; else what belongs to processes that are gone is given up.
    pub fn describe(&mut self, absent: BTreeMap<String, String>, plan_line: String, deaths_are_seen: bool) {
        self.deaths_are_seen = deaths_are_seen;
        self.absent = Arc::new(absent);
        self.plan_line = plan_line;
    }

    /// Reads once what the epolls of `processes` watch, after the programs were attached: from here on they count its changes.
    ///
    /// # Errors
    /// When the kernel refuses to read or write a map.
    pub fn read_items(&mut self, processes: &[u32]) -> anyhow::Result<()> {
        self.fdinfo_cut = items::read(&mut self.epolls, &mut self.shown, processes)
            .context("cannot learn what epolls watch")?;
        Ok(())
    }

    /// Takes the reason that is given where it is not known of every epoll what it watches.
    pub fn items_known_partly(&mut self, why: impl Into<String>) {
        self.partly = why.into();
    }

    /// Lets the listeners that epolls watch be found by fdinfo, for what can be put together without items.
    pub fn find_listeners(&mut self) {
        self.listeners = Some(Listeners::default());
    }

    /// Why numbers are absent, of all epolls or of some.
    fn absent_now(&self) -> Arc<BTreeMap<String, String>> {
        if self.absent.contains_key(ITEMS) || !self.epolls.some_unknown() {
            return Arc::clone(&self.absent);
        }
        let mut absent = BTreeMap::clone(&self.absent);
        for name in [ITEMS, FLAGS] {
            absent
                .entry(name.to_owned())
                .or_insert_with(|| self.partly.clone());
        }
        Arc::new(absent)
    }

    fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    fn spent(&self) -> Option<Spent> {
        let counted = self.counts_runs.as_ref()?;
        let usage = getrusage(UsageWho::RUSAGE_SELF).ok();
        let nanos = |time: TimeVal| time.tv_sec() as u64 * 1_000_000_000 + time.tv_usec() as u64 * 1_000;
        Some(Spent {
            uncounted: counted.as_ref().err().cloned(),
            programs: self.loaded.runs(),
            maps: self.loaded.maps.clone(),
            agent_ns: usage.map(|usage| nanos(usage.user_time()) + nanos(usage.system_time())),
            agent_bytes: identity::own_memory(),
        })
    }

    /// Gives up what is over and was read, and hands its room out again.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    fn fold(&mut self) -> anyhow::Result<()> {
        self.sources.fold(|epoll| self.epolls.is_open(epoll))?;
        self.epolls.fold(self.rows.waiters(), &self.sources.watching())?;
        // A row keeps its process's part in an epoll that others still use: it goes when the epoll does, where that is seen.
        let none = BTreeSet::new();
        let gone = if self.deaths_are_seen {
            &none
        } else {
            self.names.gone()
        };
        self.rows.fold(self.epolls.dead(), gone)?;
        if let Some(locks) = &mut self.locks {
            locks.fold(|epoll| self.epolls.follows(epoll))?;
        }
        Ok(())
    }

    fn losses(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut losses = BTreeMap::new();
        for &loss in Loss::ALL {
            losses.insert(loss.name().to_owned(), self.losses.get(&(loss as u32), 0)?);
        }
        losses.insert(items::FDINFO_CUT.to_owned(), self.fdinfo_cut);
        let of_locks = self.locks.as_ref().map_or(0, |locks| locks.forgotten);
        let forgotten = self.rows.forgotten
            + self.epolls.forgotten
            + self.sources.forgotten
            + self.readers.forgotten
            + self.delivered.forgotten
            + of_locks;
        losses.insert(CLOSED_FORGOTTEN.to_owned(), forgotten);
        if let Some(misses) = self.loaded.misses() {
            losses.insert(PROBE_MISSES.to_owned(), misses);
        }
        Ok(losses)
    }
}

impl Source for Live {
    fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let at_ns = now_ns()?;
        self.looker.began(at_ns);
        self.flush_log();
        self.epolls.read()?;
        self.rows.read()?;
        if let Some(locks) = &mut self.locks {
            locks.read()?;
        }
        let absent = Arc::clone(&self.absent);
        let known = Known::but(&absent);
        let (rows, mut names) = self.rows.model(&self.shape, &known)?;
        let mut waiters: Vec<_> = rows.iter().map(|row| (row.key.pid, row.key.tid)).collect();
        waiters.dedup();
        let waiters = waiters.into_iter().collect();
        self.names.refresh(&waiters, &mut names);
        self.epolls.name_creators(&mut names);
        let epolls = self.epolls.model(&known);
        if !absent.contains_key(SOURCES) {
            self.sources.read(at_ns, &rows, &epolls)?;
        }
        self.readers.read(&rows, |epoll| self.epolls.follows(epoll))?;
        if !absent.contains_key(FILES) {
            let follows = |epoll: &abi::EpollId| self.epolls.follows(epoll);
            self.delivered.read(at_ns, &rows, follows)?;
        }
        let (sources, listening) = match &mut self.listeners {
            Some(listeners) => (listeners.read(&rows), listeners.listening().to_vec()),
            None => (
                self.sources.model(|epoll| self.epolls.is_open(epoll)),
                self.sources.listening(),
            ),
        };
        let snapshot = Snapshot {
            at_ns,
            sources,
            listening,
            readers: self.readers.model(&self.shape),
            delivered: self.delivered.model(),
            look: None,
            epolls,
            locks: self
                .locks
                .as_ref()
                .map_or_else(Vec::new, |locks| locks.model(&self.shape)),
            rows,
            names: Arc::new(names),
            losses: self.losses()?,
            absent: self.absent_now(),
            spent: self.spent(),
        };
        self.fold()?;
        Ok(snapshot)
    }

    fn look(&mut self, snapshot: &mut Snapshot) -> anyhow::Result<()> {
        if !self.absent.contains_key(WATCHED_FILES) {
            let delivered = (!self.absent.contains_key(FILES)).then_some(&self.delivered);
            let seen = (&self.sources, delivered);
            snapshot.look = self.looker.look(snapshot, &mut self.shown, seen)?;
        }
        Ok(())
    }

    fn plan_line(&self) -> &str {
        &self.plan_line
    }
}

/// CLOCK_MONOTONIC, which the programs use too, ns.
fn now_ns() -> anyhow::Result<u64> {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
    Ok(now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64)
}

/// Takes a map of the loaded object by its name.
type Take<'a> = dyn FnMut(&str) -> anyhow::Result<Map> + 'a;

/// A name as the kernel keeps it: bytes up to the first 0.
fn text(comm: &[u8]) -> String {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..end]).into_owned()
}
