//! The catalog: every BPF program with what it needs and costs, and for every signal the rows that can deliver it.
//!
//! Tables only: `programs` and `rows`; `plan` decides. Facts about functions: fs/eventpoll.c of Linux 5.10 to 7.3.

mod hook;
mod programs;
mod rows;

use serde::{Deserialize, Serialize};

pub use hook::{Hook, Need};
pub use programs::{PROGRAMS, Program, program_named};
pub use rows::{Means, ROWS, Row};

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

#[cfg(test)]
mod tests;
