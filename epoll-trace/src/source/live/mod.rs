//! Snapshots from the maps of the loaded programs. The only place that turns the programs' layout into plain numbers.

mod epolls;
mod pool;
mod rows;
mod tally;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    path::Path,
    sync::Arc,
};

use anyhow::Context as _;
use aya::maps::{Array, CgroupArray, HashMap as BpfHashMap, MapData};
use aya_log::EbpfLogger;
use epoll_trace_ebpf::{self as abi, Loss};
use nix::time::{ClockId, clock_gettime};

use self::{
    epolls::{EpollMaps, Epolls},
    rows::{RowMaps, Rows},
};
use super::Source;
use crate::{
    identity,
    model::{
        histogram::Shape,
        snapshot::{Metric, Snapshot},
    },
    probe::load::Loaded,
};

/// More ids than that cannot be traced by name.
pub const MAX_IDS: usize = abi::MAX_TREE as usize;

/// Name of the loss that no map counts: hits of our programs that the kernel dropped.
pub const PROBE_MISSES: &str = "probe_misses";
/// Name of the loss of this agent's own: processes whose closed epolls it kept no longer.
pub const CLOSED_FORGOTTEN: &str = "closed_forgotten";

/// The running programs as a [`Source`]. Dropping it detaches them.
pub struct Live {
    rows: Rows,
    epolls: Epolls,
    losses: Array<MapData, u64>,
    traced: BpfHashMap<MapData, u32, u32>,
    cgroup: CgroupArray<MapData>,
    shape: Shape,
    absent: Arc<BTreeMap<String, String>>,
    plan_line: String,
    deaths_are_seen: bool,
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
        let maps = RowMaps {
            rows: take("ROWS")?.try_into()?,
            histograms: take("HISTOGRAMS")?.try_into()?,
            index: take("ROW_INDEX")?.try_into()?,
            free: take("FREE_ROWS")?.try_into()?,
        };
        let epolls = EpollMaps {
            rows: take("EPOLL_ROWS")?.try_into()?,
            known: take("EPOLLS")?.try_into()?,
            free: take("FREE_EPOLLS")?.try_into()?,
        };
        let losses = take("LOSSES")?.try_into()?;
        let traced = take("TRACED")?.try_into()?;
        let cgroup = take("CGROUP")?.try_into()?;
        Ok(Self {
            rows: Rows::new(maps, metrics)?,
            epolls: Epolls::new(epolls)?,
            losses,
            traced,
            cgroup,
            shape: tally::shape(),
            absent: Arc::default(),
            plan_line: String::new(),
            deaths_are_seen: false,
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

    /// Lets the programs trace only threads of the cgroup at `directory`, and of those below it.
    ///
    /// # Errors
    /// When it is gone, or is no cgroup of the unified hierarchy.
    pub fn trace_within(&mut self, directory: &Path) -> anyhow::Result<()> {
        let failed = || format!("cannot trace cgroup {}", directory.display());
        let file = File::open(directory).with_context(failed)?;
        self.cgroup.set(0, file, 0).with_context(failed)
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

    fn flush_log(&mut self) {
        if let Some(log) = &mut self.log {
            log.flush();
        }
    }

    fn losses(&self) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut losses = BTreeMap::new();
        for &loss in Loss::ALL {
            losses.insert(loss.name().to_owned(), self.losses.get(&(loss as u32), 0)?);
        }
        losses.insert(CLOSED_FORGOTTEN.to_owned(), self.rows.forgotten);
        if let Some(misses) = self.loaded.misses() {
            losses.insert(PROBE_MISSES.to_owned(), misses);
        }
        Ok(losses)
    }
}

impl Source for Live {
    fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let at = clock_gettime(ClockId::CLOCK_MONOTONIC)?;
        self.flush_log();
        self.epolls.read()?;
        self.rows.read()?;
        let absent = Arc::clone(&self.absent);
        let known = |name: &str| !absent.contains_key(name);
        let (rows, mut names) = self.rows.model(&self.shape, known);
        let waiters = rows.iter().map(|row| (row.key.pid, row.key.tid)).collect();
        let gone = refresh_names(&waiters, &mut names);
        // A row keeps its process's part in an epoll that others still use: it goes when the epoll does, where that is seen.
        let gone = if self.deaths_are_seen {
            BTreeSet::new()
        } else {
            gone
        };
        for (creator, name) in self.epolls.creators() {
            names.entry(creator).or_insert(name);
        }
        let snapshot = Snapshot {
            at_ns: at.tv_sec() as u64 * 1_000_000_000 + at.tv_nsec() as u64,
            epolls: self.epolls.model(known),
            rows,
            names,
            losses: self.losses()?,
            absent: Arc::clone(&self.absent),
        };
        let dead = self.epolls.dead();
        self.epolls.fold(&self.rows.waiters())?;
        self.rows.fold(&dead, &gone)?;
        Ok(snapshot)
    }

    fn plan_line(&self) -> &str {
        &self.plan_line
    }
}

/// A name as the kernel keeps it: bytes up to the first 0.
fn text(comm: &[u8]) -> String {
    let end = comm.iter().position(|&byte| byte == 0).unwrap_or(comm.len());
    String::from_utf8_lossy(&comm[..end]).into_owned()
}

/// A process that still runs may have got another name since its row was made. Gives those that do not run any more.
fn refresh_names(
    waiters: &BTreeSet<(u32, Option<u32>)>,
    names: &mut BTreeMap<u32, String>,
) -> BTreeSet<(u32, Option<u32>)> {
    let mut gone = BTreeSet::new();
    for &(pid, tid) in waiters {
        match identity::comm(pid, tid) {
            Some(comm) => {
                names.insert(tid.unwrap_or(pid), comm);
            }
            None if !identity::exists(tid.unwrap_or(pid)) => {
                gone.insert((pid, tid));
            }
            None => {}
        }
    }
    gone
}
