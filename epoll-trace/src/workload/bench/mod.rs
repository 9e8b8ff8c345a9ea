//! What `perf bench epoll wait` and `ctl` do, with exact counts of what a tracer must see.
//! After tools/perf/bench/epoll-wait.c and epoll-ctl.c of the kernel.

mod ctl;
mod random;
mod report;
mod stats;
#[cfg(test)]
mod tests;
mod threads;
mod wait;
mod wait_report;

use std::io::Write;
use std::os::fd::AsFd as _;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;

pub(crate) use ctl::perform as ctl;
pub use ctl::{CtlArgs, CtlReport};
pub use stats::Stats;
pub use wait::WaitArgs;
pub(crate) use wait::perform as wait;
pub use wait_report::WaitReport;

use super::files::allow_files;
use super::source::{epoll, eventfd};
use threads::Bound;

/// Options of both loads; letters are those of perf.
#[derive(Clone, Debug, clap::Args)]
pub struct LoadArgs {
    /// Threads [default: wait: one less than CPUs; ctl: one per CPU]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub threads: Option<u32>,
    /// Seconds to run; Ctrl-C ends earlier
    #[arg(short, long, value_name = "SECS", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub runtime: u32,
    /// End each thread after so many operations instead
    #[arg(long, value_name = "N", conflicts_with = "runtime", value_parser = clap::value_parser!(u64).range(1..))]
    pub ops: Option<u64>,
    /// Eventfds per thread
    #[arg(short = 'f', long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub nfds: u32,
    /// Epolls nested below each epoll, which watch nothing
    #[arg(short = 'N', long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=4))]
    pub nested: u32,
    /// Leave it to the scheduler where threads run; else thread I stays on CPU I, round robin
    #[arg(short = 'n', long)]
    pub noaffinity: bool,
    /// One JSON object instead of text
    #[arg(long)]
    pub json: bool,
}

impl LoadArgs {
    fn bound(&self) -> Bound {
        match self.ops {
            Some(count) => Bound::Operations(count),
            None => Bound::Runtime(Duration::from_secs(self.runtime.into())),
        }
    }

    /// Threads to start, where `spared` CPUs are left to others by default.
    fn count(&self, cpus: usize, spared: usize) -> usize {
        self.threads.map_or_else(
            || cpus.saturating_sub(spared).max(1),
            |count| usize::try_from(count).unwrap_or(usize::MAX),
        )
    }

    /// Says what is about to run, as perf does.
    fn announce(&self, head: &mut dyn Write, threads: usize, what: &str) -> Result<()> {
        let how_long = match self.ops {
            Some(count) => format!("for {count} operations each"),
            None => format!("for {} secs", self.runtime),
        };
        writeln!(
            head,
            "Run summary [PID {}]: {threads} threads {what} {} file-descriptors {how_long}.\n",
            std::process::id(),
            self.nfds,
        )
        .and_then(|()| head.flush())
        .context("cannot write the summary")
    }

    /// `nfds` eventfds for each of `threads`.
    fn files(&self, threads: usize) -> Result<Vec<Vec<EventFd>>> {
        // An epoll and its nested ones per thread at most.
        let each = u64::from(self.nfds) + 1 + u64::from(self.nested);
        allow_files(
            each * threads as u64,
            &format!("{threads} threads"),
            "lower --threads or --nfds",
        )?;
        (0..threads)
            .map(|_| (0..self.nfds).map(|_| eventfd()).collect())
            .collect()
    }

    /// A new epoll and the epolls nested below it, itself first. They watch each other for EPOLLHUP, which never comes.
    fn epoll_tree(&self) -> Result<Vec<Epoll>> {
        let tree: Vec<Epoll> = (0..=self.nested).map(|_| epoll()).collect::<Result<_>>()?;
        // From the innermost outwards, as perf does: the kernel checks the depth below at each step.
        for pair in tree.windows(2).rev() {
            if let [outer, inner] = pair {
                outer
                    .add(inner.0.as_fd(), EpollEvent::new(EpollFlags::EPOLLHUP, 0))
                    .context("cannot watch an epoll with an epoll")?;
            }
        }
        Ok(tree)
    }
}

/// The CPU of each of `threads`, round robin, or none of its own.
fn places(cpus: &[usize], threads: usize, noaffinity: bool) -> Vec<Option<usize>> {
    let pinned = cpus.iter().copied().map(Some).cycle().take(threads);
    let free = std::iter::repeat_n(None, threads);
    if noaffinity || cpus.is_empty() {
        free.collect()
    } else {
        pinned.collect()
    }
}

/// `5`, or `5 ... 68`: the descriptors of a thread.
fn span(fds: &[i32]) -> String {
    match fds {
        [first, .., last] => format!("{first} ... {last}"),
        [only] => only.to_string(),
        [] => "none".to_owned(),
    }
}
