//! Offsets that reach the BPF programs as read-only globals: Rust BPF code carries no field relocations of its own.

use super::Facts;
use super::fields::Field;

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
    ItemOvflink = "OFF_ITEM_OVFLINK", Formula::Is(Field::EpitemOvflistNext), "`epitem` → the next one on the overflow list.";
    EpOvflist = "OFF_EP_OVFLIST", Formula::Is(Field::EventpollOvflist), "`eventpoll` → its overflow list, -1 outside of scans.";
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
    RegsDi = "OFF_REGS_DI", Formula::Is(Field::RegsDi), "Registers → first syscall argument.";
    RegsSi = "OFF_REGS_SI", Formula::Is(Field::RegsSi), "Registers → second syscall argument.";
    RegsDx = "OFF_REGS_DX", Formula::Is(Field::RegsDx), "Registers → third syscall argument.";
    RegsR10 = "OFF_REGS_R10", Formula::Is(Field::RegsR10), "Registers → fourth syscall argument.";
    RegsOrigAx = "OFF_REGS_ORIG_AX", Formula::Is(Field::RegsOrigAx), "Registers → syscall number.";
}

/// Global: 1 when the timeout of `do_epoll_wait` is a `timespec64 *`, 0 when it is an `int` of ms.
pub const TIMEOUT_IS_POINTER: &str = "TIMEOUT_IS_POINTER";
/// Global: address of the file operations of every epoll, 0 where the kernel hides it.
pub const EVENTPOLL_FOPS: &str = "EVENTPOLL_FOPS";

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
pub fn globals(facts: &Facts) -> Vec<(&'static str, u64)> {
    let offsets = Offset::ALL
        .iter()
        .filter_map(|offset| Some((offset.global(), u64::from(offset.of(facts).ok()?))));
    let timeout = facts
        .types
        .timeout_is_pointer
        .map(|is| (TIMEOUT_IS_POINTER, u64::from(is)));
    let fops = (EVENTPOLL_FOPS, facts.symbols.eventpoll_fops.unwrap_or_default());
    offsets.chain(timeout).chain([fops]).collect()
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
        ("OFF_ITEM_OVFLINK", [40; 6]),
        ("OFF_EP_OVFLIST", [120, 120, 120, 120, 120, 112]),
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
        ("OFF_REGS_DI", [112; 6]),
        ("OFF_REGS_SI", [104; 6]),
        ("OFF_REGS_DX", [96; 6]),
        ("OFF_REGS_R10", [56; 6]),
        ("OFF_REGS_ORIG_AX", [120; 6]),
        ("TIMEOUT_IS_POINTER", [0, 1, 1, 1, 1, 1]),
    ];

    #[test]
    fn offsets_of_known_kernels() {
        for (column, name) in canned::KERNELS.iter().enumerate() {
            let expected: Vec<_> = EXPECTED
                .iter()
                .map(|&(global, values)| (global, values[column]))
                .collect();
            let found = globals(&canned::kernel(name));
            assert_eq!(found[..found.len() - 1], expected, "{name}");
            assert_eq!(found.last().map(|&(global, _)| global), Some(EVENTPOLL_FOPS));
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
                .all(|&(global, _)| global != "OFF_WAIT_BASE")
        );
    }
}
