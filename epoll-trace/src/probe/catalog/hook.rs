//! Where programs are attached, what that takes of the kernel, and what it costs there before any instruction of ours.

use crate::kernel::caps::Capability;
use crate::kernel::offsets::{self, Offset};
use crate::kernel::{Facts, Support};

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

    /// What it takes to attach there.
    pub(super) const fn needs(self) -> [Need; 2] {
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
