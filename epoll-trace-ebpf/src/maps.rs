//! Every map. Sizes that depend on the run are set by the agent.

use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, Queue},
};
use epoll_trace_ebpf::{
    DEFAULT_ROWS, Epoll, Histogram, KnownEpoll, Loss, MAX_EPOLLS, MAX_NESTING, MAX_THREADS, MAX_TREE, Row,
    RowKey, TID_FILTER_SLOTS,
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
    /// Index of its row, or [`NO_ROW`].
    pub row: u32,
    /// Wakeups in this wait.
    pub wakeups: u32,
    /// Descriptor number of this wait, -1 if it began before us.
    pub epfd: i32,
    /// Capacity of this wait's event array, 0 if unknown.
    pub maxevents: i32,
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

/// task_struct address → thread. Written by waits and wakeups, removed by task exit. Full: `threads_full`.
#[map]
pub static THREADS: HashMap<u64, Thread> = HashMap::with_max_entries(MAX_THREADS, 0);
/// eventpoll address → identity. Written by birth and first wait, removed by death and by the agent. Full: `epolls_full`.
#[map]
pub static EPOLLS: HashMap<u64, KnownEpoll> = HashMap::with_max_entries(MAX_EPOLLS, 0);
/// Counters of epolls; read and recycled by the agent.
#[map]
pub static EPOLL_ROWS: Array<Epoll> = Array::with_max_entries(MAX_EPOLLS, 0);
/// Unused indices of `EPOLL_ROWS`, filled by the agent. Empty: `epolls_full`.
#[map]
pub static FREE_EPOLLS: Queue<u32> = Queue::with_max_entries(MAX_EPOLLS, 0);
/// (epoll, process, thread) → index of its row. Written by the first wait or wakeup, removed by the agent. Full: `rows_full`.
#[map]
pub static ROW_INDEX: HashMap<RowKey, u32> = HashMap::with_max_entries(DEFAULT_ROWS, 0);
/// Counters; read and recycled by the agent.
#[map]
pub static ROWS: Array<Row> = Array::with_max_entries(DEFAULT_ROWS, 0);
/// Histograms, `SLOTS` for each row; read and zeroed by the agent.
#[map]
pub static HISTOGRAMS: Array<Histogram> = Array::with_max_entries(DEFAULT_ROWS, 0);
/// Unused indices of `ROWS`, filled by the agent. Empty: `rows_full`.
#[map]
pub static FREE_ROWS: Queue<u32> = Queue::with_max_entries(DEFAULT_ROWS, 0);
/// Notifications in progress; one element.
#[map]
pub static CPUS: PerCpuArray<Cpu> = PerCpuArray::with_max_entries(1, 0);
/// By [`Loss`]; read by the agent.
#[map]
pub static LOSSES: Array<u64> = Array::with_max_entries(Loss::COUNT as u32, 0);
/// Process (or thread) ids to trace, where a filter is on. Written by the agent and by fork. Full: `tree_full`.
#[map]
pub static TRACED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_TREE, 0);

/// By thread id modulo its size: how many threads in `THREADS` have such an id. Keeps everybody else's context switches cheap.
#[unsafe(no_mangle)]
pub static mut TID_FILTER: [u32; TID_FILTER_SLOTS] = [0; TID_FILTER_SLOTS];
/// Grows with every birth and death of an epoll: what was looked up before is stale.
#[unsafe(no_mangle)]
pub static mut EPOCH: u64 = 0;
