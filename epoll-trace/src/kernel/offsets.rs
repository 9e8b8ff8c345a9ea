//! Offsets that reach the BPF programs as read-only globals: Rust BPF code carries no field relocations of its own.

use super::Facts;
use super::btf::TypeFacts;
use super::caps::TablePath;
use super::fields::Field;
use super::names;

/// How a global is made of field offsets.
enum Formula {
    /// The field itself.
    Is(Field),
    /// A field inside a structure embedded in another.
    Sum(Field, Field),
    /// From the second field to the first.
    Difference(Field, Field),
}

/// Declares offsets: `Variant = "GLOBAL", formula, what it is for;`.
macro_rules! offsets {
    ($($variant:ident = $name:literal, $formula:expr, $help:literal;)*) => {
        /// An offset in bytes that the programs read from a global variable.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Offset { $(#[doc = $help] $variant,)* }

        impl Offset {
            /// Every offset.
            pub const ALL: &[Offset] = &[$(Offset::$variant,)*];

            /// Name of the global in the BPF object.
            pub const fn global(self) -> &'static str {
                match self { $(Offset::$variant => $name,)* }
            }

            const fn formula(self) -> Formula {
                match self { $(Offset::$variant => $formula,)* }
            }
        }
    };
}

offsets! {
    EpWqHead = "OFF_EP_WQ_HEAD", Formula::Sum(Field::EventpollWq, Field::WaitQueueHeadHead),
        "`eventpoll` → the list head of its waiters.";
    EntryPrivate = "OFF_ENTRY_PRIVATE", Formula::Is(Field::WaitQueueEntryPrivate),
        "Wait queue entry → the sleeping task.";
    EntryPrev = "OFF_ENTRY_PREV", Formula::Sum(Field::WaitQueueEntryEntry, Field::ListHeadPrev),
        "Wait queue entry → the entry before it, or the list head.";
    WaitBase = "OFF_WAIT_BASE", Formula::Difference(Field::EppollEntryWait, Field::EppollEntryBase),
        "How far before `eppoll_entry.wait` its `base`, the item, lies.";
    ItemEp = "OFF_ITEM_EP", Formula::Is(Field::EpitemEp), "`epitem` → its `eventpoll`.";
    ItemEvents = "OFF_ITEM_EVENTS", Formula::Sum(Field::EpitemEvent, Field::EpollEventEvents), "`epitem` → its mask and flags.";
    ItemFllink = "OFF_ITEM_FLLINK", Formula::Is(Field::EpitemFllink), "`epitem` → its place among those that watch the same file.";
    ItemFile = "OFF_ITEM_FILE", Formula::Sum(Field::EpitemFfd, Field::EpollKeyFile), "`epitem` → the watched file.";
    ItemOvflink = "OFF_ITEM_OVFLINK", Formula::Is(Field::EpitemOvflistNext), "`epitem` → the next one on the overflow list.";
    EpOvflist = "OFF_EP_OVFLIST", Formula::Is(Field::EventpollOvflist), "`eventpoll` → its overflow list, -1 outside of scans.";
    EpLock = "OFF_EP_LOCK", Formula::Is(Field::EventpollLock), "`eventpoll` → the lock of its ready list.";
    EpMtx = "OFF_EP_MTX", Formula::Is(Field::EventpollMtx), "`eventpoll` → its mutex.";
    ItemFd = "OFF_ITEM_FD", Formula::Sum(Field::EpitemFfd, Field::EpollKeyFd), "`epitem` → the descriptor it was added as.";
    WaitWhead = "OFF_WAIT_WHEAD", Formula::Difference(Field::EppollEntryWhead, Field::EppollEntryWait),
        "How far behind `eppoll_entry.wait` its `whead`, the source's wait queue, lies.";
    QueueHead = "OFF_QUEUE_HEAD", Formula::Is(Field::WaitQueueHeadHead), "Wait queue → the list head of its entries.";
    EntryNext = "OFF_ENTRY_NEXT", Formula::Sum(Field::WaitQueueEntryEntry, Field::ListHeadNext),
        "Wait queue entry → the entry behind it, or the list head.";
    TaskPid = "OFF_TASK_PID", Formula::Is(Field::TaskPid), "Task → thread id.";
    TaskTgid = "OFF_TASK_TGID", Formula::Is(Field::TaskTgid), "Task → process id.";
    TaskState = "OFF_TASK_STATE", Formula::Is(Field::TaskState), "Task → run state, of which the low 32 bits count.";
    TaskFiles = "OFF_TASK_FILES", Formula::Is(Field::TaskFiles), "Task → its open files.";
    TaskComm = "OFF_TASK_COMM", Formula::Is(Field::TaskComm), "Task → name.";
    TaskLeader = "OFF_TASK_LEADER", Formula::Is(Field::TaskGroupLeader), "Task → first thread of its process.";
    TaskSignal = "OFF_TASK_SIGNAL", Formula::Is(Field::TaskSignal), "Task → what its process shares.";
    SignalLive = "OFF_SIGNAL_LIVE", Formula::Is(Field::SignalLive), "That → threads that still live.";
    FilesFdt = "OFF_FILES_FDT", Formula::Is(Field::FilesFdt), "Open files → descriptor table.";
    FdtFd = "OFF_FDT_FD", Formula::Is(Field::FdtableFd), "Descriptor table → array of files.";
    FilePrivate = "OFF_FILE_PRIVATE", Formula::Is(Field::FilePrivateData), "File → its `eventpoll`, if it is one.";
    FileFop = "OFF_FILE_FOP", Formula::Is(Field::FileFop), "File → file operations.";
    FileEp = "OFF_FILE_EP", Formula::Is(Field::FileEp), "File → the items that watch it.";
    FileInode = "OFF_FILE_INODE", Formula::Is(Field::FileInode), "File → its inode.";
    InodeIno = "OFF_INODE_INO", Formula::Is(Field::InodeIno), "Inode → its number.";
    SocketFile = "OFF_SOCKET_FILE", Formula::Is(Field::SocketFile), "Socket → its file.";
    SocketSk = "OFF_SOCKET_SK", Formula::Is(Field::SocketSk), "Socket → its `sock`.";
    SocketType = "OFF_SOCKET_TYPE", Formula::Is(Field::SocketType), "Socket → its type: whether it is a stream.";
    SockState = "OFF_SOCK_STATE", Formula::Sum(Field::SockCommon, Field::SockCommonState), "`sock` → its state: whether it listens.";
    SockBacklog = "OFF_SOCK_BACKLOG", Formula::Is(Field::SockBacklog), "`sock` → connections that may wait to be accepted.";
    RegsDi = "OFF_REGS_DI", Formula::Is(Field::RegsDi), "Registers → first syscall argument.";
    RegsSi = "OFF_REGS_SI", Formula::Is(Field::RegsSi), "Registers → second syscall argument.";
    RegsDx = "OFF_REGS_DX", Formula::Is(Field::RegsDx), "Registers → third syscall argument.";
    RegsR10 = "OFF_REGS_R10", Formula::Is(Field::RegsR10), "Registers → fourth syscall argument.";
    RegsOrigAx = "OFF_REGS_ORIG_AX", Formula::Is(Field::RegsOrigAx), "Registers → syscall number.";
}

/// Global: 1 when the timeout of `do_epoll_wait` is a `timespec64 *`, 0 when it is an `int` of ms.
pub const TIMEOUT_IS_POINTER: &str = "TIMEOUT_IS_POINTER";
/// Global: 1 when `file.f_ep_links` is the list of items itself (up to 5.10), 0 when `file.f_ep` points to it.
pub const FILE_EP_IS_LIST: &str = "FILE_EP_IS_LIST";
/// Global: address of the file operations of every epoll, 0 where the kernel hides it.
pub const EVENTPOLL_FOPS: &str = "EVENTPOLL_FOPS";
/// Global: address of the file operations of every timerfd, 0 where the kernel hides it.
pub const TIMERFD_FOPS: &str = "TIMERFD_FOPS";
/// Global: address of `__per_cpu_offset`, 0 where the kernel hides it.
pub const PER_CPU_OFFSETS: &str = "PER_CPU_OFFSETS";
/// Global: where each CPU's part has the count of `preempt_count()`, 0 where that is not known.
pub const PREEMPT_COUNT: &str = "PREEMPT_COUNT";
/// Global: lowest bit of the interrupts in that count.
pub const INTERRUPT_SHIFT: &str = "INTERRUPT_SHIFT";

/// Global: 1 where programs follow typed pointers from the current task on, 0 where each field is read by helper.
pub const TASK_IS_TYPED: &str = "TASK_IS_TYPED";
/// Global: 1 where they also load through a pointer of no type, which then is no number to them.
pub const UNTYPED_LOADS: &str = "UNTYPED_LOADS";

/// The way from a task to its table of descriptors, if BTF tells it.
pub(super) fn table_path(types: &TypeFacts) -> Option<TablePath> {
    let offset = |field| i16::try_from(*types.fields.get(&field)?).ok();
    Some([
        offset(Field::TaskFiles)?,
        offset(Field::FilesFdt)?,
        offset(Field::FdtableFd)?,
    ])
}

/// Where interrupts that are switched off are counted in bits 16 to 23, those that are served stand above them
/// (include/linux/preempt.h).
fn interrupt_shift(facts: &Facts) -> u64 {
    match facts.symbols.address(names::INTERRUPTS_OFF) {
        Some(_) => 24,
        None => 16,
    }
}

/// Where each CPU's part of memory has what `preempt_count()` reads: a variable of its own, or a field of `pcpu_hot`
/// (arch/x86/include/asm/current.h, 6.2 to 6.14).
pub fn preempt_count(facts: &Facts) -> Option<u64> {
    facts.symbols.address(names::PREEMPT_COUNT).or_else(|| {
        let field = facts.types.fields.get(&Field::PcpuHotPreemptCount)?;
        facts
            .symbols
            .address(names::PCPU_HOT)?
            .checked_add(u64::from(*field))
    })
}

/// Functions whose place in the kernel's text tells, from a stack, what a thread does; the global of each, which with
/// `_END` is that of the first address behind it.
const TEXTS: &[(&str, &str)] = &[
    ("do_epoll_ctl", "TEXT_CTL"),
    ("do_epoll_ctl_file", "TEXT_CTL_FILE"),
    ("ep_poll_callback", "TEXT_NOTIFICATION"),
    ("ep_show_fdinfo", "TEXT_FDINFO"),
    ("eventpoll_release_file", "TEXT_CLOSE"),
    ("ep_eventpoll_release", "TEXT_RELEASE"),
];

/// The globals of [`TEXTS`]; none where the kernel hides addresses.
fn texts(facts: &Facts) -> Vec<(String, u64)> {
    let place = |(function, global): &(&str, &str)| {
        let (start, end) = *facts.symbols.texts.get(*function)?;
        Some([((*global).to_owned(), start), (format!("{global}_END"), end)])
    };
    TEXTS.iter().filter_map(place).flatten().collect()
}

impl Offset {
    /// The offset on this kernel, in bytes.
    ///
    /// # Errors
    /// The name of the field that BTF does not have.
    pub fn of(self, facts: &Facts) -> Result<u32, &'static str> {
        let field = |field: Field| facts.types.fields.get(&field).copied().ok_or(field.name());
        match self.formula() {
            Formula::Is(only) => field(only),
            Formula::Sum(outer, inner) => Ok(field(outer)? + field(inner)?),
            Formula::Difference(end, start) => {
                let (end, start) = (field(end)?, field(start)?);
                end.checked_sub(start).ok_or(Field::EppollEntryBase.name())
            }
        }
    }
}

/// Every global the loader writes, by name. All are 64 bits wide in the object.
///
/// One whose field is missing is left out: the plan chooses no program that reads it.
pub fn globals(facts: &Facts) -> Vec<(String, u64)> {
    let offsets = Offset::ALL
        .iter()
        .filter_map(|offset| Some((offset.global(), u64::from(offset.of(facts).ok()?))));
    let timeout = facts
        .types
        .timeout_is_pointer
        .map(|is| (TIMEOUT_IS_POINTER, u64::from(is)));
    let is_list = facts.types.fields.contains_key(&Field::FileEpLinks);
    let data = |symbol| facts.symbols.address(symbol).unwrap_or_default();
    let others = [
        (FILE_EP_IS_LIST, u64::from(is_list)),
        (TASK_IS_TYPED, u64::from(facts.caps.typed_task.is_yes())),
        (UNTYPED_LOADS, u64::from(facts.caps.untyped_load.is_yes())),
        (EVENTPOLL_FOPS, data(names::EVENTPOLL_FOPS)),
        (TIMERFD_FOPS, data(names::TIMERFD_FOPS)),
        (PER_CPU_OFFSETS, data(names::PER_CPU_OFFSETS)),
        (PREEMPT_COUNT, preempt_count(facts).unwrap_or_default()),
        (INTERRUPT_SHIFT, interrupt_shift(facts)),
    ];
    let named = offsets.chain(timeout).chain(others);
    let named = named.map(|(name, value)| (name.to_owned(), value));
    named.chain(texts(facts)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::canned;

    /// One row per global: 5.10, 6.1, 6.12, 6.18, the hardened 6.18, 7.3.
    const EXPECTED: &[(&str, [u64; 6])] = &[
        ("OFF_EP_WQ_HEAD", [40, 40, 40, 40, 40, 32]),
        ("OFF_ENTRY_PRIVATE", [8; 6]),
        ("OFF_ENTRY_PREV", [32; 6]),
        ("OFF_WAIT_BASE", [8; 6]),
        ("OFF_ITEM_EP", [80, 72, 72, 72, 72, 72]),
        ("OFF_ITEM_EVENTS", [112, 104, 104, 104, 104, 104]),
        ("OFF_ITEM_FLLINK", [88, 80, 80, 80, 80, 80]),
        ("OFF_ITEM_FILE", [48; 6]),
        ("OFF_ITEM_OVFLINK", [40; 6]),
        ("OFF_EP_OVFLIST", [120, 120, 120, 120, 120, 112]),
        ("OFF_EP_LOCK", [96, 96, 96, 96, 96, 88]),
        ("OFF_EP_MTX", [0; 6]),
        ("OFF_ITEM_FD", [56; 6]),
        ("OFF_WAIT_WHEAD", [40; 6]),
        ("OFF_QUEUE_HEAD", [8; 6]),
        ("OFF_ENTRY_NEXT", [24; 6]),
        ("OFF_TASK_PID", [2232, 2416, 2432, 2704, 1264, 2872]),
        ("OFF_TASK_TGID", [2236, 2420, 2436, 2708, 1268, 2876]),
        ("OFF_TASK_STATE", [16, 24, 24, 24, 24, 24]),
        ("OFF_TASK_FILES", [2808, 3048, 3048, 3320, 1824, 3488]),
        ("OFF_TASK_COMM", [2736, 2976, 2976, 3248, 1752, 3408]),
        ("OFF_TASK_LEADER", [2296, 2480, 2496, 2768, 1328, 2936]),
        ("OFF_TASK_SIGNAL", [2832, 3072, 3072, 3344, 1848, 3520]),
        ("OFF_SIGNAL_LIVE", [4; 6]),
        ("OFF_FILES_FDT", [32; 6]),
        ("OFF_FDT_FD", [8; 6]),
        ("OFF_FILE_PRIVATE", [200, 200, 32, 24, 24, 24]),
        ("OFF_FILE_FOP", [40, 40, 16, 8, 8, 8]),
        ("OFF_FILE_EP", [208, 208, 144, 136, 136, 128]),
        ("OFF_FILE_INODE", [32, 32, 40, 32, 32, 32]),
        ("OFF_INODE_INO", [64; 6]),
        ("OFF_SOCKET_FILE", [16; 6]),
        ("OFF_SOCKET_SK", [24; 6]),
        ("OFF_SOCKET_TYPE", [4; 6]),
        ("OFF_SOCK_STATE", [18; 6]),
        ("OFF_SOCK_BACKLOG", [580, 556, 608, 612, 604, 620]),
        ("OFF_REGS_DI", [112; 6]),
        ("OFF_REGS_SI", [104; 6]),
        ("OFF_REGS_DX", [96; 6]),
        ("OFF_REGS_R10", [56; 6]),
        ("OFF_REGS_ORIG_AX", [120; 6]),
        ("TIMEOUT_IS_POINTER", [0, 1, 1, 1, 1, 1]),
        ("FILE_EP_IS_LIST", [1, 0, 0, 0, 0, 0]),
        ("TASK_IS_TYPED", [0, 1, 1, 1, 1, 1]),
        ("UNTYPED_LOADS", [0, 0, 0, 1, 1, 1]),
    ];

    #[test]
    fn offsets_of_known_kernels() {
        for (column, name) in canned::KERNELS.iter().enumerate() {
            let expected: Vec<_> = EXPECTED
                .iter()
                .map(|&(global, values)| (global.to_owned(), values[column]))
                .collect();
            let found = globals(&canned::kernel(name));
            let (offsets, addresses) = found.split_at(EXPECTED.len());
            assert_eq!(offsets, expected, "{name}");
            let names = [
                EVENTPOLL_FOPS,
                TIMERFD_FOPS,
                PER_CPU_OFFSETS,
                PREEMPT_COUNT,
                INTERRUPT_SHIFT,
            ];
            assert!(
                addresses.iter().map(|(global, _)| global.as_str()).eq(names),
                "{name}"
            );
            let shift = if *name == "debian-7.3" { 24 } else { 16 };
            assert_eq!(addresses.last().map(|(_, value)| *value), Some(shift), "{name}");
        }
    }

    #[test]
    fn a_missing_field_is_named_and_its_global_left_out() {
        let mut facts = canned::kernel("debian-6.1");
        facts.types.fields.remove(&Field::EppollEntryBase);
        assert_eq!(Offset::WaitBase.of(&facts), Err("eppoll_entry.base"));
        assert!(
            globals(&facts)
                .iter()
                .all(|(global, _)| global != "OFF_WAIT_BASE")
        );
    }
}
