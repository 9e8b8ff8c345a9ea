//! Every map. Sizes that depend on the run are set by the agent.

use crate::signals::Request;
use aya_ebpf::{
    macros::map,
    maps::{Array, CgroupArray, HashMap, LruHashMap, PerCpuArray, Queue},
};
use epoll_trace_ebpf::{
    DEFAULT_ROWS, Epoll, Histogram, ItemEvent, ItemKey, KnownEpoll, Loss, MAX_EPOLLS, MAX_ITEMS, MAX_NESTING,
    MAX_THREADS, MAX_TREE, Row, RowKey, TID_FILTER_SLOTS,
};

/// What is known of a thread that waits on epolls, or of one that is not traced.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Thread {
    /// Process.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Address of its task_struct, fit for reading its fields.
    pub task: u64,
    /// Address of the epoll that `row` belongs to.
    pub epoll: u64,
    /// Value of [`EPOCH`] when `row` was looked up.
    pub epoch: u64,
    /// Entry of the waking notification; 0 = no notification woke it.
    pub notified_ns: u64,
    /// Made runnable; 0 = not woken in this wait.
    pub runnable_ns: u64,
    /// First on CPU after that; 0 = not yet.
    pub on_cpu_ns: u64,
    /// Entered this wait.
    pub entered_ns: u64,
    /// Returned from the wait before; 0 = none seen.
    pub returned_ns: u64,
    /// Began the scan in progress; 0 = not seen.
    pub scan_ns: u64,
    /// First notification that the last scan of this wait took over from the queue; 0 = none.
    pub queued_ns: u64,
    /// Index of its row, or [`NO_ROW`].
    pub row: u32,
    /// Wakeups in this wait.
    pub wakeups: u32,
    /// Scans in this wait before the first wakeup.
    pub scans_before: u32,
    /// Scans in this wait after it.
    pub scans_after: u32,
    /// Descriptor number of this wait, or [`UNSEEN`].
    pub epfd: i32,
    /// Capacity of this wait's event array, 0 if unknown.
    pub maxevents: i32,
    /// epoll_ctl in progress, where its return is seen elsewhere; op 0 = none.
    pub ctl: Request,
    /// 1 between wait enter and return.
    pub waiting: u8,
    /// 1: this wait does not block.
    pub zero_timeout: u8,
    /// 0: known, and known not to be wanted.
    pub traced: u8,
    /// 1: wakeups are seen by the scheduler alone; the last one's meaning is known at return.
    pub inferred: u8,
    /// Explicit padding.
    pub pad: u32,
}

/// The notifications in progress on this CPU: they run with interrupts off, so nothing else comes between.
#[repr(C)]
pub struct Cpu {
    /// How many, one inside the other.
    pub depth: u64,
    /// Entry times, outermost first.
    pub entered_ns: [u64; MAX_NESTING],
}

/// In [`Thread::row`]: none.
pub const NO_ROW: u32 = u32::MAX;
/// In [`Thread::epfd`]: the wait began before us.
pub const UNSEEN: i32 = -1;

/// By task_struct address: what is known of the thread. Written by waits and wakeups, removed by task exit. Read by
/// waits, wakeups and context switches. Full: `threads_full`.
#[map]
pub static THREADS: HashMap<u64, Thread> = HashMap::with_max_entries(MAX_THREADS, 0);
/// By eventpoll address: its identity. Written by birth, first wait or wakeup, removed by death and by the agent.
/// Read by waits, wakeups, notifications and scans. Full: `epolls_full`.
#[map]
pub static EPOLLS: HashMap<u64, KnownEpoll> = HashMap::with_max_entries(MAX_EPOLLS, 0);
/// Counters of epolls. Written by birth, first wait or wakeup, notifications, scans and death. Read by the agent,
/// which zeroes what it recycles. Full: `epolls_full`.
#[map]
pub static EPOLL_ROWS: Array<Epoll> = Array::with_max_entries(MAX_EPOLLS, 0);
/// Unused indices of `EPOLL_ROWS`. Written by the agent. Read by birth and first wait or wakeup, which take one.
/// Full: always at the start; empty is `epolls_full`.
#[map]
pub static FREE_EPOLLS: Queue<u32> = Queue::with_max_entries(MAX_EPOLLS, 0);
/// By epoll, process and thread: the index of its row. Written by the first wait or wakeup, removed by the agent.
/// Read by waits and wakeups whose thread changes its epoll. Full: `rows_full`.
#[map]
pub static ROW_INDEX: HashMap<RowKey, u32> = HashMap::with_max_entries(DEFAULT_ROWS, 0);
/// Counters of (process, epoll) pairs. Written by waits and wakeups. Read by the agent, which zeroes what it
/// recycles. Full: `rows_full`.
#[map]
pub static ROWS: Array<Row> = Array::with_max_entries(DEFAULT_ROWS, 0);
/// Histograms, `SLOTS` for each row. Written by returns of waits. Read by the agent, which zeroes what it recycles.
/// Full: with `ROWS`.
#[map]
pub static HISTOGRAMS: Array<Histogram> = Array::with_max_entries(DEFAULT_ROWS, 0);
/// Unused indices of `ROWS`. Written by the agent. Read by the first wait or wakeup of a pair, which takes one. Full:
/// always at the start; empty is `rows_full`.
#[map]
pub static FREE_ROWS: Queue<u32> = Queue::with_max_entries(DEFAULT_ROWS, 0);
/// Notifications in progress. Written by entry and exit of notifications. Read by wakeups. Full: deeper than
/// `MAX_NESTING` is `nesting_too_deep`.
#[map]
pub static CPUS: PerCpuArray<Cpu> = PerCpuArray::with_max_entries(1, 0);
/// Counts by [`Loss`]. Written by whoever loses something. Read by the agent. Full: never, it has a place for each.
#[map]
pub static LOSSES: Array<u64> = Array::with_max_entries(Loss::COUNT as u32, 0);
/// By epoll and descriptor: the mask last asked for. Written by epoll_ctl. Read by epoll_ctl. Full: the item unused for
/// longest is forgotten, and its next MOD counts as a change.
#[map]
pub static ITEMS: LruHashMap<ItemKey, ItemEvent> = LruHashMap::with_max_entries(MAX_ITEMS, 0);
/// Process (or thread) ids to trace, where a filter is on; with a cgroup those in it at the start. Written by the agent and by fork, removed by exit. Read by
/// threads seen for the first time. Full: `tree_full`.
#[map]
pub static TRACED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_TREE, 0);
/// The cgroup (v2) whose threads are traced, if only those are. Written by the agent. Read by threads seen for the
/// first time. Full: never, it has one place.
#[map]
pub static CGROUP: CgroupArray = CgroupArray::with_max_entries(1, 0);

/// By thread id modulo its size: how many threads in `THREADS` have such an id; keeps everybody else's context
/// switches cheap. Written by whoever adds to `THREADS` or removes from it. Read by context switches. Full: never,
/// ids share places.
#[unsafe(no_mangle)]
pub static mut TID_FILTER: [u32; TID_FILTER_SLOTS] = [0; TID_FILTER_SLOTS];
/// Grows with every birth and death of an epoll: what was looked up before is stale. Written by birth and death. Read
/// by waits and wakeups. Full: never, it is one number.
#[unsafe(no_mangle)]
pub static mut EPOCH: u64 = 0;
