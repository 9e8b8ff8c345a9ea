//! The command line of `herd`.

use clap::Args;

use super::TraceArgs;
use crate::model::snapshot::Metric;

pub(super) const EXAMPLES: &str = "\
A source is a file that several watch, or a listener; below it each epoll
that watches it, a worker. Fan-out: items that an event reaches. Woken per
event: waiters it makes run. EMPTY wakeups, DELIV and ACCEPTS are all of that
worker, of any source. BUSY is the part of its time between waits, PART its
part of the accepts, or of the deliveries without any.
--path adds the p99 of what a wakeup is made of, at the cost of a histogram each.
SO_REUSEPORT: sockets of one address, of which the kernel gives each connection
to one. A chain: threads of one epoll that wake each other.
-p, -t, --comm and --epfd choose sources by their workers; all who watch a
source are shown and counted.

Examples:
  epoll-trace herd 1 5                   five blocks of a second
  epoll-trace herd -d 10 -p 185          what process 185 shares with others
  epoll-trace herd --json -- ./server    a command from start to end";

/// Arguments of `herd`.
#[derive(Args, Clone, Debug)]
pub struct HerdArgs {
    /// The run.
    #[command(flatten)]
    pub trace: TraceArgs,
    /// Also sources that had no event in the block
    #[arg(long)]
    pub all: bool,
    /// Also where the time of the workers' wakeups goes: callback, run queue, delivery
    #[arg(long)]
    pub path: bool,
}

impl HerdArgs {
    /// The histograms that it needs.
    pub fn metrics(&self) -> Vec<Metric> {
        if self.path { PATH.to_vec() } else { Vec::new() }
    }
}

/// A wakeup and its parts.
const PATH: [Metric; 4] = [
    Metric::Wakeup,
    Metric::Callback,
    Metric::Runqueue,
    Metric::Delivery,
];
