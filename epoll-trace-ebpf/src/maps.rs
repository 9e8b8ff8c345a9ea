//! Every map. Sizes that depend on the run are set by the agent.

use crate::signals::Request;
use aya_ebpf::{
    macros::map,
    maps::{Array, CgroupArray, HashMap, LruHashMap, PerCpuArray, Queue},
};
use epoll_trace_ebpf::{
    BLOCK, Chunk, DEFAULT_CHUNKS, DEFAULT_ROWS, Epoll, EpollId, FileKey, FileRow, FileSums, ITEM_KIND_SLOTS,
    ItemEvent, ItemKey, KnownEpoll, LOCK_FILTER_SLOTS, LockKey, LockRow, LockThread, Loss, MAX_EPOLLS,
    MAX_FILE_SUMS, MAX_FILES, MAX_ITEMS, MAX_LOCK_THREADS, MAX_LOCKS, MAX_MUTEX_WAITS, MAX_NESTING,
    MAX_READERS, MAX_READS, MAX_ROUNDS, MAX_SOURCE_ITEMS, MAX_SOURCES, MAX_THREADS, MAX_TREE, MAX_WAKERS,
    ReadKey, ReadRow, Round, Row, RowKey, Shown, SourceItem, SourceKey, TID_FILTER_SLOTS, Waker, WakerKey,
};

/// What is known of a thread that waits on epolls, or of one that is not traced.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Thread {
    /// Process.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
    /// Address of its task_struct, fit for reading its fields; 0 = this place is free.
    pub task: u64,
    /// Address of the epoll that `row` belongs to.
    pub epoll: u64,
    /// Address of that epoll's `wq.head`, where wakeups alone are followed; 0 = `row` is none.
    pub head: u64,
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
    /// Items that the overflow list of its last scan got until that was seen to end.
    pub listed: u64,
    /// The file that its last wait without a wakeup was on, 0 = none; the epoll behind it, and the value of [`EPOCH`] then.
    pub file: u64,
    /// See `file`.
    pub file_epoll: u64,
    /// See `file`.
    pub file_epoch: u64,
    /// By phase: where its last value of that histogram was counted.
    pub parts: [Part; PHASES],
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
    /// 1 + the index of the epoll that it scanned in this wait; 0 = none seen.
    pub scanned: u32,
    /// The descriptor that its row was told of, or [`UNSEEN`].
    pub named: i32,
    /// Explicit padding.
    pub pad: u32,
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
    /// What the thread did since a delivery: one of [`NOT_DELIVERED`], [`DELIVERED`], [`ACCEPTED`].
    pub delivered: u8,
    /// Explicit padding.
    pub pad2: [u8; 3],
}

/// Histograms of which a thread remembers where its last value was counted.
pub const PHASES: usize = 4;

/// A part of a histogram: two powers of two, a chunk.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Part {
    /// Its values shifted right by so much lie from 16 on and below 64; see [`Part::NONE`].
    pub shift: u32,
    /// Index of the chunk that counts them.
    pub chunk: u32,
}

impl Part {
    /// No value shifted so far is 16 or more.
    pub const NONE: Self = Self { shift: 63, chunk: 0 };
}

/// The notifications in progress on this CPU: they run with interrupts off, so nothing else comes between.
#[repr(C)]
pub struct Cpu {
    /// How many, one inside the other.
    pub depth: u64,
    /// Entry times, outermost first.
    pub entered_ns: [u64; MAX_NESTING],
    /// Wait-queue entry of the outermost.
    pub source: u64,
    /// Their items, where several watch the file, outermost first; file 0 = nobody else does, or herds are not wanted.
    pub sources: [SourceKey; MAX_NESTING],
    /// Address of this CPU's `preempt_count()`; 0 = not asked for yet.
    pub preempt_count: u64,
}

/// A wait for a lock in progress.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct LockWait {
    /// Address of the lock.
    pub lock: u64,
    /// When it began, ns.
    pub began_ns: u64,
    /// The epoll it belongs to.
    pub epoll: EpollId,
    /// Index of that epoll's counters.
    pub index: u32,
    /// Descriptor of the source, -1 for a lock of the epoll itself.
    pub fd: i32,
    /// By `LockKind`.
    pub kind: u32,
    /// By `LockPath`.
    pub path: u32,
}

/// Spin locks wait one inside the other: task, softirq, interrupt, NMI.
pub const MAX_SPINS: usize = 4;

/// The waits for spin locks in progress on this CPU: they run with preemption off.
#[repr(C)]
pub struct Spins {
    /// How many.
    pub depth: u64,
    /// Outermost first.
    pub waits: [LockWait; MAX_SPINS],
}

/// The wait queue of a watched file.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct WatchedSource {
    /// Address of the epoll.
    pub epoll: u64,
    /// Address of the wait-queue entry it watches with.
    pub wait: u64,
    /// The descriptor it was added as.
    pub fd: i32,
    /// Explicit padding.
    pub pad: u32,
}

/// In [`Thread::row`]: none.
pub const NO_ROW: u32 = u32::MAX;
/// In [`Thread::delivered`]: it waits, or its last wait brought nothing.
pub const NOT_DELIVERED: u8 = 0;
/// In [`Thread::delivered`]: its last wait brought events, and it accepted nothing since.
pub const DELIVERED: u8 = 1;
/// In [`Thread::delivered`]: it called accept since.
pub const ACCEPTED: u8 = 2;
/// In [`Thread::epfd`]: the wait began before us.
pub const UNSEEN: i32 = -1;

/// `BPF_F_MMAPABLE`: the agent reads such an array as its own memory, without a system call for each entry.
const MAPPED: u32 = 1 << 10;

/// What is known of threads, each at the place that its task_struct's address hashes to, or further on if another thread has
/// that: an array is looked up at a tenth of a hash map's price. Written by waits and wakeups, freed by task exit. Read by
/// waits, wakeups and context switches. Full: `threads_full`.
#[map]
pub static THREADS: Array<Thread> = Array::with_max_entries(MAX_THREADS, 0);
/// By place in `THREADS`: whose it is. Written by whoever takes a place: only one can. Removed by task exit. Read by the same.
/// Full: never, it has room for every place.
#[map]
pub static OWNERS: HashMap<u32, u64> = HashMap::with_max_entries(MAX_THREADS, 0);
/// By task_struct address: the place of a thread whose own place another one had. Written by whoever takes that place, removed by
/// task exit. Read by whoever does not find a thread at a place in `CROWDED`. Full: never, it has room for every place.
#[map]
pub static STRAYS: HashMap<u64, u32> = HashMap::with_max_entries(MAX_THREADS, 0);
/// By eventpoll address: its identity. Written by birth, first wait or wakeup, removed by death and by the agent.
/// Read by waits, wakeups, notifications and scans. Full: `epolls_full`.
#[map]
pub static EPOLLS: HashMap<u64, KnownEpoll> = HashMap::with_max_entries(MAX_EPOLLS, 0);
/// Counters of epolls. Written by birth, first wait or wakeup, notifications, scans and death. Read by the agent,
/// which zeroes what it recycles. Full: `epolls_full`.
#[map]
pub static EPOLL_ROWS: Array<Epoll> = Array::with_max_entries(MAX_EPOLLS, MAPPED);
/// Indices of `EPOLL_ROWS` that were used before, and the rest of blocks. Written by the agent and by whoever takes a block. Read
/// by birth and first wait or wakeup, which take one. Full: never, it has room for all.
#[map]
pub static FREE_EPOLLS: Queue<u32> = Queue::with_max_entries(MAX_EPOLLS, 0);
/// Blocks of `BLOCK` indices of `EPOLL_ROWS` never used so far. Written by the agent. Read by who finds none in `FREE_EPOLLS`.
/// Full: always at the start; empty is `epolls_full`.
#[map]
pub static EPOLL_BLOCKS: Queue<u32> = Queue::with_max_entries(MAX_EPOLLS / BLOCK, 0);
/// By epoll, process and thread: the index of its row. Written by the first wait or wakeup, removed by the agent.
/// Read by waits and wakeups whose thread changes its epoll. Full: `rows_full`.
#[map]
pub static ROW_INDEX: HashMap<RowKey, u32> = HashMap::with_max_entries(DEFAULT_ROWS, 0);
/// Counters of (process, epoll) pairs. Written by waits and wakeups. Read by the agent, which zeroes what it
/// recycles. Full: `rows_full`.
#[map]
pub static ROWS: Array<Row> = Array::with_max_entries(DEFAULT_ROWS, MAPPED);
/// Parts of histograms. Written by returns of waits. Read by the agent, which zeroes what it recycles. Full:
/// `chunks_full`.
#[map]
pub static CHUNKS: Array<Chunk> = Array::with_max_entries(DEFAULT_CHUNKS, MAPPED);
/// Chunks that were used before, and the rest of blocks. Written by the agent and by whoever takes a block. Read by
/// returns of waits, which take one. Full: never, it has room for all.
#[map]
pub static FREE_CHUNKS: Queue<u32> = Queue::with_max_entries(DEFAULT_CHUNKS, 0);
/// Blocks of `BLOCK` chunks never used so far. Written by the agent. Read by returns of waits that find no free
/// chunk. Full: always at the start; empty is `chunks_full`.
#[map]
pub static FREE_BLOCKS: Queue<u32> = Queue::with_max_entries(DEFAULT_CHUNKS / BLOCK, 0);
/// Indices of `ROWS` that were used before, and the rest of blocks. Written by the agent and by whoever takes a block. Read by the
/// first wait or wakeup of a pair, which takes one. Full: never, it has room for all.
#[map]
pub static FREE_ROWS: Queue<u32> = Queue::with_max_entries(DEFAULT_ROWS, 0);
/// Blocks of `BLOCK` indices of `ROWS` never used so far. Written by the agent. Read by who finds none in `FREE_ROWS`. Full: always
/// at the start; empty is `rows_full`.
#[map]
pub static ROW_BLOCKS: Queue<u32> = Queue::with_max_entries(DEFAULT_ROWS / BLOCK, 0);
/// By row and context (thread, softirq, interrupt, timer): who made its waiters runnable. Written by wakeups, removed by the
/// agent with the row. Read by wakeups and the agent. Full: `wakers_lost`.
#[map]
pub static WAKERS: HashMap<WakerKey, Waker> = HashMap::with_max_entries(MAX_WAKERS, 0);
/// Notifications in progress, and where this CPU counts its interrupts. Written by entry and exit of notifications. Read by wakeups. Full: deeper than
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
/// The epoll that the agent's last read of an fdinfo was about. Written by that read, zeroed by the agent before it.
/// Read by the agent. Full: never, it has one place.
#[map]
pub static SHOWN: Array<Shown> = Array::with_max_entries(1, 0);
/// By task_struct address: when the read of an fdinfo in progress began. Written by begins of such reads, removed by their ends. Read by the
/// same. Full: `readers_full`.
#[map]
pub static READS: HashMap<u64, u64> = HashMap::with_max_entries(MAX_READS, 0);
/// By epoll and process: who reads its fdinfo. Written by ends of such reads, removed by the agent. Read by the agent. Full:
/// `readers_full`.
#[map]
pub static READERS: HashMap<ReadKey, ReadRow> = HashMap::with_max_entries(MAX_READERS, 0);
/// What a new row of `READERS` is made of: zeroes, too many for the stack. Written by nobody. Read by the ends of reads.
/// Full: never, it has one place.
#[map]
pub static READ_ZERO: Array<ReadRow> = Array::with_max_entries(1, 0);
/// Waits for locks by lock and process. Written by the ends of waits for locks, removed by the agent. Read by the agent.
/// Full: `locks_full`.
#[map]
pub static LOCKS: HashMap<LockKey, LockRow> = HashMap::with_max_entries(MAX_LOCKS, 0);
/// What a new row of `LOCKS` is made of: zeroes, too many for the stack. Written by nobody. Read by the ends of waits for
/// locks. Full: never, it has one place.
#[map]
pub static LOCK_ZERO: Array<LockRow> = Array::with_max_entries(1, 0);
/// Which threads waited for a lock. Written by the ends of waits for locks, removed by the agent. Read by the same. Full:
/// `lock_threads_full`.
#[map]
pub static LOCK_THREADS: HashMap<LockThread, u32> = HashMap::with_max_entries(MAX_LOCK_THREADS, 0);
/// Waits for spin locks in progress. Written by begins and ends of waits for locks. Read by the same. Full: `lock_waits_full`.
#[map]
pub static SPINS: PerCpuArray<Spins> = PerCpuArray::with_max_entries(1, 0);
/// By task_struct address: the wait for a mutex in progress. Written by begins and ends of waits for locks. Read by the
/// same. Full: `lock_waits_full`.
#[map]
pub static MUTEX_WAITS: HashMap<u64, LockWait> = HashMap::with_max_entries(MAX_MUTEX_WAITS, 0);
/// By wait-queue head address: who watches it. Written by notifications, where locks are wanted. Read by notifications
/// and begins of waits for locks. Full: the source unused for longest is forgotten until it notifies again.
#[map]
pub static SOURCES: LruHashMap<u64, WatchedSource> = LruHashMap::with_max_entries(MAX_SOURCES, 0);
/// By file, epoll and descriptor: what an item of a file that several watch, or of a listener, counted. Written by notifications, wakeups and
/// EPOLL_CTL_ADD, where herds are wanted, marked by EPOLL_CTL_DEL and the file's end, removed by the agent. Read by notifications, wakeups and the agent. Full: `source_items_full`.
#[map]
pub static SOURCE_ITEMS: HashMap<SourceKey, SourceItem> = HashMap::with_max_entries(MAX_SOURCE_ITEMS, 0);
/// By epoll and the program's word: a file that was watched, notified or delivered. Written by notifications, epoll_ctl, enters and returns of waits, removed
/// by the agent. Read by the same. Full: the file unused for longest is forgotten; in `FILE_SUMS` it still counts.
#[map]
pub static FILES: LruHashMap<FileKey, FileRow> = LruHashMap::with_max_entries(MAX_FILES, 0);
/// What a new row of `FILES` is made of: zeroes, too many for the stack. Written by nobody. Read by who makes one. Full: never, it has
/// one place.
#[map]
pub static FILE_ZERO: Array<FileRow> = Array::with_max_entries(1, 0);
/// By epoll: what its files count together. Written by enters and returns of waits, removed by the agent. Read by the agent. Full: `files_full`.
#[map]
pub static FILE_SUMS: HashMap<EpollId, FileSums> = HashMap::with_max_entries(MAX_FILE_SUMS, 0);
/// What a new row of `FILE_SUMS` is made of, likewise. Written by nobody. Read by returns of waits. Full: never, it has one place.
#[map]
pub static FILE_SUMS_ZERO: Array<FileSums> = Array::with_max_entries(1, 0);
/// By task_struct address: what the thread's last delivery brought. Written by enters and returns of waits, removed by task exit. Read by
/// returns of waits and the agent. Full: the thread that waited longest ago is forgotten until it waits again.
#[map]
pub static ROUNDS: LruHashMap<u64, Round> = LruHashMap::with_max_entries(MAX_ROUNDS, 0);
/// What a new value of `ROUNDS` is made of, likewise. Written by nobody. Read by returns of waits. Full: never, it has one place.
#[map]
pub static ROUND_ZERO: Array<Round> = Array::with_max_entries(1, 0);
/// Process (or thread) ids to trace, where a filter is on; with a cgroup those in it at the start. Written by the agent and by fork, removed by exit. Read by
/// threads seen for the first time. Full: `tree_full`.
#[map]
pub static TRACED: HashMap<u32, u32> = HashMap::with_max_entries(MAX_TREE, 0);
/// The cgroup (v2) whose threads are traced, if only those are. Written by the agent. Read by threads seen for the
/// first time. Full: never, it has one place.
#[map]
pub static CGROUP: CgroupArray = CgroupArray::with_max_entries(1, 0);

/// By place in `THREADS`: 1 once a thread that belongs there had to go elsewhere. Written by whoever adds to `STRAYS`, never taken back. Read by
/// whoever does not find a thread at its place. Full: never, it has one for each place.
#[unsafe(no_mangle)]
pub static mut CROWDED: [u8; MAX_THREADS as usize] = [0; MAX_THREADS as usize];
/// By thread id modulo its size: how many threads in `THREADS` have such an id; keeps everybody else's context
/// switches cheap. Written by whoever adds to `THREADS` or removes from it. Read by context switches. Full: never,
/// ids share places.
#[unsafe(no_mangle)]
pub static mut TID_FILTER: [u32; TID_FILTER_SLOTS] = [0; TID_FILTER_SLOTS];
/// Grows with every birth and death of an epoll: what was looked up before is stale. Written by birth and death. Read
/// by waits and wakeups. Full: never, it is one number.
#[unsafe(no_mangle)]
pub static mut EPOCH: u64 = 0;
/// By item address, hashed: an item of a socket, with 1 in its lowest bit if that is a listener; keeps all other sockets cheap where herds are
/// wanted. Written by notifications and EPOLL_CTL_ADD. Read by notifications. Full: two items of one place are looked at anew each time.
#[unsafe(no_mangle)]
pub static mut ITEM_KINDS: [u64; ITEM_KIND_SLOTS] = [0; ITEM_KIND_SLOTS];
/// By lock address, hashed: 1 once an epoll or source has a lock there; keeps everybody else's locks cheap. Written by whoever adds to
/// `EPOLLS` or `SOURCES`, where locks are wanted. Read by begins and ends of waits for locks. Full: never, addresses share
/// places, and none is taken back: the kernel hands the same ones out again.
#[unsafe(no_mangle)]
pub static mut LOCK_FILTER: [u8; LOCK_FILTER_SLOTS] = [0; LOCK_FILTER_SLOTS];
