//! The command line of `locks`.

use clap::{Args, ValueEnum};

use super::TraceArgs;
use crate::model::locks::LockOrder;

pub(super) const EXAMPLES: &str = "\
A lock is PID:epfd, or PID:epfd/FD for the wait queue of a watched file.
Kinds: lock is ep->lock (the ready list), mutex is ep->mtx (scans, epoll_ctl).
THREADS are those that waited since the start, the rest is of the block.

Examples:
  epoll-trace locks                      until Ctrl-C
  epoll-trace locks 1 5 -p 185           five seconds of process 185's epolls
  epoll-trace locks --json -- ./server   a command from start to end";

/// Arguments of `locks`.
#[derive(Args, Clone, Debug)]
pub struct LocksArgs {
    /// The run.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// Sort by this, largest first
    #[arg(short = 'S', long, value_name = "KEY", value_enum, default_value_t)]
    pub sort: LockSort,
}

/// What locks are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LockSort {
    /// Time waited.
    #[default]
    Total,
    /// Waits.
    Count,
    /// Mean time.
    Avg,
    /// What 1 % exceed.
    P99,
    /// The longest.
    Max,
    /// Threads.
    Threads,
}

impl LockSort {
    /// As the model calls it.
    pub const fn order(self) -> LockOrder {
        match self {
            Self::Total => LockOrder::Total,
            Self::Count => LockOrder::Count,
            Self::Avg => LockOrder::Mean,
            Self::P99 => LockOrder::P99,
            Self::Max => LockOrder::Max,
            Self::Threads => LockOrder::Threads,
        }
    }
}
