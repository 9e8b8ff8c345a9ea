//! The catalog: every BPF program with what it needs and costs, and for every signal the rows that can deliver it.
//!
//! Tables only; `plan` decides. Facts about functions: fs/eventpoll.c of Linux 5.10 to 7.3.

use serde::{Deserialize, Serialize};

use crate::kernel::caps::Capability;
use crate::kernel::offsets::{self, Offset};
use crate::kernel::{Facts, Support};

/// Declares an enum whose variants have a name in JSON and on the command line.
macro_rules! named {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vdoc])* #[serde(rename = $text)] $variant,)* }

        impl $name {
            /// All of them, in the order they are shown.
            pub const ALL: &[$name] = &[$($name::$variant,)*];

            /// The name in JSON, text and docs.
            pub const fn name(self) -> &'static str {
                match self { $($name::$variant => $text,)* }
            }
        }
    };
}

named! {
    /// Something that happens in the kernel and that numbers are made of.
    Signal {
        /// A thread enters epoll_wait, epoll_pwait or epoll_pwait2.
        WaitEnter = "wait_enter",
        /// It returns.
        WaitReturn = "wait_return",
        /// A watched file tells its epoll that it is ready; entry and exit, so that the depth tells what lies inside.
        Notification = "notification",
        /// A sleeping waiter is made runnable.
        Wakeup = "wakeup",
        /// A thread is switched in.
        OnCpu = "on_cpu",
        /// A scan of the ready list begins.
        ScanStart = "scan_start",
        /// A scan of the ready list, wherever in it.
        Scan = "scan",
        /// A scan of the ready list ends, and its overflow list still stands.
        ScanEnd = "scan_end",
        /// epoll_ctl, with its arguments and its result.
        Ctl = "ctl",
        /// The last reference to a watched file goes, without EPOLL_CTL_DEL.
        FileRelease = "file_release",
        /// The kernel writes an epoll's fdinfo.
        EpollShown = "epoll_shown",
        /// The same from begin to end, by anybody but this tool.
        FdinfoRead = "fdinfo_read",
        /// A thread's accept or accept4 returns.
        Accept = "accept",
        /// A thread waits for a lock, of an epoll or of a file it watches; begin and end.
        Contention = "contention",
        /// io_uring waits on an epoll.
        UringWait = "uring_wait",
        /// An epoll is created.
        EpollBirth = "epoll_birth",
        /// The last file of an epoll is closed.
        EpollDeath = "epoll_death",
        /// A process or thread is created.
        ProcessFork = "process_fork",
        /// A thread ends.
        TaskExit = "task_exit",
    }
}

named! {
    /// A set of mechanisms that is used together.
    Family {
        /// fentry and fexit: cheapest, loses nothing.
        Fentry = "fentry",
        /// kprobes, with returns of sleeping functions from sys_exit.
        Kprobe = "kprobe",
        /// Typed tracepoints only.
        Tracepoint = "tracepoint",
    }
}

/// Where a program is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// Entry of a function, by trampoline.
    Fentry(&'static str),
    /// Return of a function, by trampoline.
    Fexit(&'static str),
    /// Entry of a function, by breakpoint or ftrace.
    Kprobe(&'static str),
    /// Return of a function. Only where the function never sleeps: returns beyond maxactive are lost.
    Kretprobe(&'static str),
    /// A tracepoint with typed arguments.
    TpBtf(&'static str),
}

impl Hook {
    /// The mechanism's name.
    pub const fn mechanism(self) -> &'static str {
        match self {
            Self::Fentry(_) => "fentry",
            Self::Fexit(_) => "fexit",
            Self::Kprobe(_) => "kprobe",
            Self::Kretprobe(_) => "kretprobe",
            Self::TpBtf(_) => "tp_btf",
        }
    }

    /// The kernel function or tracepoint.
    pub const fn target(self) -> &'static str {
        match self {
            Self::Fentry(target)
            | Self::Fexit(target)
            | Self::Kprobe(target)
            | Self::Kretprobe(target)
            | Self::TpBtf(target) => target,
        }
    }

    const fn needs(self) -> [Need; 2] {
        match self {
            Self::Fentry(name) | Self::Fexit(name) => {
                [Need::Capability(Capability::Fentry), Need::Traceable(name)]
            }
            Self::Kprobe(name) | Self::Kretprobe(name) => {
                [Need::Capability(Capability::Kprobe), Need::Probeable(name)]
            }
            Self::TpBtf(name) => [Need::Capability(Capability::TpBtf), Need::Tracepoint(name)],
        }
    }

    /// What it is paid on, where that is more than the signal itself.
    pub const fn paid_on(self) -> Option<&'static str> {
        match self {
            Self::TpBtf(name) => match name.as_bytes() {
                b"sys_enter" | b"sys_exit" => Some("every system call of every process"),
                b"sched_switch" => Some("every context switch"),
                b"sched_waking" => Some("every wakeup of every thread"),
                b"contention_begin" | b"contention_end" => Some("every wait for any lock of the machine"),
                _ => None,
            },
            Self::Fentry(name) => match name.as_bytes() {
                b"native_queued_spin_lock_slowpath" => Some("every wait for any lock of the machine"),
                _ => None,
            },
            _ => None,
        }
    }

    /// Instructions per hit of an empty program here, on 6.1: what the kernel takes before any of ours.
    pub const fn instructions(self) -> u32 {
        match self {
            Self::Fentry(_) => 128,
            Self::Fexit(_) => 184,
            Self::Kprobe(_) => 342,
            Self::Kretprobe(_) => 582,
            Self::TpBtf(name) => match name.as_bytes() {
                b"sys_enter" => 116,
                b"sys_exit" => 113,
                b"sched_switch" => 76,
                _ => 67,
            },
        }
    }
}

/// What a program needs of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A program kind or helper.
    Capability(Capability),
    /// A function that fentry can name.
    Traceable(&'static str),
    /// A symbol that a kprobe can name.
    Probeable(&'static str),
    /// A tracepoint with types.
    Tracepoint(&'static str),
    /// The fields behind an offset.
    Offset(Offset),
    /// The type of the timeout of `do_epoll_wait`.
    TimeoutType,
    /// Where a symbol of data lies.
    Data(&'static str),
    /// Where `preempt_count()` lies.
    PreemptCount,
}

impl Need {
    /// Whether `facts` meet it.
    pub fn check(self, facts: &Facts) -> Support {
        match self {
            Self::Capability(capability) => facts.caps.get(capability).clone(),
            Self::Traceable(function) => facts.traceable(function),
            Self::Probeable(symbol) => facts.probeable(symbol),
            Self::Tracepoint(name) => facts.tracepoint(name),
            Self::Offset(offset) => match offset.of(facts) {
                Ok(_) => Support::Yes,
                Err(field) => Support::No(format!("BTF has no field {field}")),
            },
            Self::TimeoutType if facts.types.timeout_is_pointer.is_some() => Support::Yes,
            Self::Data(symbol) => match facts.symbols.address(symbol) {
                Some(_) => Support::Yes,
                None => Support::No(format!("the kernel does not tell the address of {symbol}")),
            },
            Self::PreemptCount => match offsets::preempt_count(facts) {
                Some(_) => Support::Yes,
                None => Support::no("the kernel does not tell where preempt_count lies"),
            },
            Self::TimeoutType => Support::no("BTF does not tell the type of do_epoll_wait's timeout"),
        }
    }
}

/// One program of the BPF object.
#[derive(Debug, PartialEq, Eq)]
pub struct Program {
    /// Its name there; the kernel keeps 15 characters.
    pub name: &'static str,
    /// Where it is attached.
    pub hook: Hook,
    /// What it needs beyond the hook itself.
    pub extra: &'static [Need],
}

impl Program {
    /// Everything it needs: the hook first, since that reason says most.
    pub fn needs(&self) -> impl Iterator<Item = Need> {
        self.hook.needs().into_iter().chain(self.extra.iter().copied())
    }
}

const fn program(name: &'static str, hook: Hook, extra: &'static [Need]) -> Program {
    Program { name, hook, extra }
}

const PROBE_READ: Need = Need::Capability(Capability::ProbeReadKernel);
const TASK_IDS: [Need; 2] = [Need::Offset(Offset::TaskPid), Need::Offset(Offset::TaskTgid)];
const ITEM: [Need; 2] = [Need::Offset(Offset::WaitBase), Need::Offset(Offset::ItemEp)];
const ENTRY: [Need; 3] = [
    Need::Offset(Offset::EntryPrivate),
    Need::Offset(Offset::EntryPrev),
    Need::Offset(Offset::EpWqHead),
];
const WATCHERS: [Need; 4] = [
    PROBE_READ,
    Need::Offset(Offset::FileEp),
    Need::Offset(Offset::ItemFllink),
    Need::Offset(Offset::ItemEp),
];
const LOCKS: [Need; 7] = [
    PROBE_READ,
    Need::Offset(Offset::EpLock),
    Need::Offset(Offset::EpMtx),
    Need::Offset(Offset::ItemFd),
    Need::Offset(Offset::WaitWhead),
    Need::Offset(Offset::EntryNext),
    Need::Offset(Offset::ItemEp),
];
const SYSCALL: [Need; 4] = [
    Need::Offset(Offset::RegsDi),
    Need::Offset(Offset::RegsSi),
    Need::Offset(Offset::RegsDx),
    Need::Offset(Offset::RegsR10),
];

/// Every program. A kprobe program has no typed pointers: it reads through the helper.
pub const PROGRAMS: &[Program] = &[
    program(
        "enter_fentry",
        Hook::Fentry("do_epoll_wait"),
        &[Need::TimeoutType],
    ),
    program(
        "enter_kprobe",
        Hook::Kprobe("do_epoll_wait"),
        &[Need::TimeoutType],
    ),
    program("enter_tp", Hook::TpBtf("sys_enter"), &SYSCALL),
    program("return_fexit", Hook::Fexit("do_epoll_wait"), &[]),
    program(
        "return_tp",
        Hook::TpBtf("sys_exit"),
        &[
            Need::Offset(Offset::RegsOrigAx),
            SYSCALL[0],
            SYSCALL[1],
            SYSCALL[2],
            SYSCALL[3],
        ],
    ),
    program("notify_fentry", Hook::Fentry("ep_poll_callback"), &ITEM),
    program("notify_fexit", Hook::Fexit("ep_poll_callback"), &[]),
    program(
        "notify_kprobe",
        Hook::Kprobe("ep_poll_callback"),
        &[PROBE_READ, ITEM[0], ITEM[1]],
    ),
    program("notify_kret", Hook::Kretprobe("ep_poll_callback"), &[]),
    program(
        "wakeup_fentry",
        Hook::Fentry("ep_autoremove_wake_function"),
        &[ENTRY[0], ENTRY[1], ENTRY[2], TASK_IDS[0], TASK_IDS[1]],
    ),
    program(
        "wakeup_kprobe",
        Hook::Kprobe("ep_autoremove_wake_function"),
        &[PROBE_READ, ENTRY[0], ENTRY[1], ENTRY[2], TASK_IDS[0], TASK_IDS[1]],
    ),
    program(
        "wakeup_tp",
        Hook::TpBtf("sched_waking"),
        &[TASK_IDS[0], Need::Offset(Offset::TaskState)],
    ),
    program("oncpu_tp", Hook::TpBtf("sched_switch"), &[TASK_IDS[0]]),
    program("scan0_fentry", Hook::Fentry("ep_start_scan"), &[]),
    program("send_fentry", Hook::Fentry("ep_send_events"), &[]),
    program("scan05_fentry", Hook::Fentry("ep_send_events_proc"), &[]),
    program("scan0_kprobe", Hook::Kprobe("ep_start_scan"), &[]),
    program("send_kprobe", Hook::Kprobe("ep_send_events"), &[]),
    program("scan05_kprobe", Hook::Kprobe("ep_send_events_proc"), &[]),
    program("item_kprobe", Hook::Kprobe("ep_item_poll.isra.0"), &[]),
    program("ctl_fexit", Hook::Fexit("do_epoll_ctl"), &[]),
    program("ctl_kprobe", Hook::Kprobe("do_epoll_ctl"), &[PROBE_READ]),
    program("accept_fexit", Hook::Fexit("__sys_accept4"), &[]),
    program(
        "release_fentry",
        Hook::Fentry("eventpoll_release_file"),
        &WATCHERS,
    ),
    program(
        "release_kprobe",
        Hook::Kprobe("eventpoll_release_file"),
        &WATCHERS,
    ),
    program(
        "shown_fentry",
        Hook::Fentry("ep_show_fdinfo"),
        // As with the end of an epoll: typed loads would do.
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "shown_kprobe",
        Hook::Kprobe("ep_show_fdinfo"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "shown_fexit",
        Hook::Fexit("ep_show_fdinfo"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "uring_fexit",
        Hook::Fexit("epoll_sendevents"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program("scan_fentry", Hook::Fentry("ep_done_scan"), &[PROBE_READ]),
    program("scan_kprobe", Hook::Kprobe("ep_done_scan"), &[]),
    program("scan5_fexit", Hook::Fexit("ep_send_events_proc"), &[]),
    program("end5_fexit", Hook::Fexit("ep_send_events_proc"), &[PROBE_READ]),
    program(
        "scan5_kprobe",
        Hook::Kprobe("ep_scan_ready_list.constprop.0"),
        &[],
    ),
    program("birth_fexit", Hook::Fexit("do_epoll_create"), &[]),
    program(
        "death_fentry",
        Hook::Fentry("ep_eventpoll_release"),
        // Typed loads would do; without the helper epolls are not known by the address that this tells.
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program(
        "death_kprobe",
        Hook::Kprobe("ep_eventpoll_release"),
        &[PROBE_READ, Need::Offset(Offset::FilePrivate)],
    ),
    program("lock_tp", Hook::TpBtf("contention_begin"), &LOCKS),
    program("unlock_tp", Hook::TpBtf("contention_end"), &[]),
    program("rlock_fentry", Hook::Fentry("queued_read_lock_slowpath"), &LOCKS),
    program("rlock_fexit", Hook::Fexit("queued_read_lock_slowpath"), &[]),
    program("wlock_fentry", Hook::Fentry("queued_write_lock_slowpath"), &LOCKS),
    program("wlock_fexit", Hook::Fexit("queued_write_lock_slowpath"), &[]),
    program("mutex_fentry", Hook::Fentry("__mutex_lock_slowpath"), &LOCKS),
    program("mutex_fexit", Hook::Fexit("__mutex_lock_slowpath"), &[]),
    program(
        "spin_fentry",
        Hook::Fentry("native_queued_spin_lock_slowpath"),
        &LOCKS,
    ),
    program("spin_fexit", Hook::Fexit("native_queued_spin_lock_slowpath"), &[]),
    program(
        "pv_fentry",
        Hook::Fentry("__pv_queued_spin_lock_slowpath"),
        &LOCKS,
    ),
    program("pv_fexit", Hook::Fexit("__pv_queued_spin_lock_slowpath"), &[]),
    program("fork_tp", Hook::TpBtf("sched_process_fork"), &[TASK_IDS[1]]),
    program(
        "exit_tp",
        Hook::TpBtf("sched_process_exit"),
        &[
            TASK_IDS[1],
            Need::Offset(Offset::TaskSignal),
            Need::Offset(Offset::SignalLive),
        ],
    ),
];

/// The program called `name`.
pub fn program_named(name: &str) -> Option<&'static Program> {
    PROGRAMS.iter().find(|program| program.name == name)
}

mod rows;

pub use rows::{Means, ROWS, Row};

#[cfg(test)]
mod tests;
