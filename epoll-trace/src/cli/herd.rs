//! The command line of `herd`.

use clap::Args;

use super::TraceArgs;

pub(super) const EXAMPLES: &str = "\
A source is a file that several watch, or a listener; below it each epoll
that watches it, a worker. Fan-out: items that an event reaches. Woken per
event: waiters it makes run. EMPTY wakeups, DELIV and ACCEPTS are all of that
worker, of any source. BUSY is the part of its time between waits, PART its
part of the accepts, or of the deliveries without any.
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
}
