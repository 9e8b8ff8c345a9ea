//! What `bench wait` did: counts, rates, and the forms in which they are written.

use std::io::{self, Write};

use serde::Serialize;

use super::report::{Asked, Thread};
use super::stats::Stats;
use super::threads::Written;
use super::wait::WaitArgs;

/// What one thread did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct WaitCounts {
    /// Waits that returned, however.
    pub waits: u64,
    /// Waits that returned an event: operations, and, since a wait asks for one event, events and full batches too.
    pub deliveries: u64,
    /// Waits with timeout 0 that returned 0.
    pub zero_timeouts: u64,
    /// Waits that ended with EINTR.
    pub interrupted: u64,
    /// Reads that got the eventfd's count.
    pub reads: u64,
    /// Reads that found nothing, because another thread got the same event.
    pub eagain: u64,
    /// EPOLL_CTL_ADD done, all before the start.
    pub ctl_add: u64,
    /// EPOLL_CTL_MOD done.
    pub ctl_mod: u64,
    /// EPOLL_CTL_DEL done: none, closing the epolls is enough.
    pub ctl_del: u64,
    /// EPOLL_CTL_ADD that failed with EEXIST.
    pub ctl_eexist: u64,
}

impl WaitCounts {
    fn plus(mut self, more: &Self) -> Self {
        for (sum, value) in [
            (&mut self.waits, more.waits),
            (&mut self.deliveries, more.deliveries),
            (&mut self.zero_timeouts, more.zero_timeouts),
            (&mut self.interrupted, more.interrupted),
            (&mut self.reads, more.reads),
            (&mut self.eagain, more.eagain),
            (&mut self.ctl_add, more.ctl_add),
            (&mut self.ctl_mod, more.ctl_mod),
            (&mut self.ctl_del, more.ctl_del),
            (&mut self.ctl_eexist, more.ctl_eexist),
        ] {
            *sum += value;
        }
        self
    }
}

/// One run of `bench wait`.
#[derive(Clone, Debug, Serialize)]
pub struct WaitReport {
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// An epoll per thread.
    pub multiq: bool,
    /// Waits with timeout 0.
    pub nonblocking: bool,
    /// EPOLLONESHOT.
    pub oneshot: bool,
    /// EPOLLET.
    pub edge: bool,
    /// EPOLLEXCLUSIVE.
    pub exclusive: bool,
    /// Every epoll watched all descriptors.
    pub all_fds: bool,
    /// Random order of writes.
    pub randomize: bool,
    /// Epolls made, nested ones included.
    pub epolls: usize,
    /// From the start to the word to end, ns.
    pub elapsed_ns: u64,
    /// Operations per second and thread.
    pub ops_per_s: Stats,
    /// Writes to eventfds, those included that ended the last waits.
    pub writes: u64,
    /// Rounds of the writer over all eventfds.
    pub rounds: u64,
    /// Calls of ep_poll_callback: each write, and each read too since it wakes writers, once per epoll that watches.
    /// Null with `exclusive` and `all_fds`, where it depends on who sleeps.
    pub notifications: Option<u64>,
    /// Over all threads and the set-up before them.
    pub totals: WaitCounts,
    /// By thread.
    pub per_thread: Vec<Thread<WaitCounts>>,
}

/// What the set-up before the start did.
pub(super) struct SetUp {
    /// Epolls made, nested ones included.
    pub(super) epolls: usize,
    /// Epolls that watch each eventfd.
    pub(super) watchers: u64,
    /// EPOLL_CTL_ADD done.
    pub(super) added: u64,
}

/// The report of a finished run.
pub(super) fn report(
    args: &WaitArgs,
    set_up: &SetUp,
    elapsed_ns: u64,
    written: Written,
    per_thread: Vec<Thread<WaitCounts>>,
) -> WaitReport {
    let before = WaitCounts {
        ctl_add: set_up.added,
        ..WaitCounts::default()
    };
    let totals = per_thread
        .iter()
        .fold(before, |sum, thread| sum.plus(&thread.counts));
    let rates: Vec<f64> = per_thread.iter().map(|thread| thread.ops_per_s).collect();
    WaitReport {
        asked: Asked::of("bench_wait", &args.load, per_thread.len()),
        multiq: args.multiq,
        nonblocking: args.nonblocking,
        oneshot: args.oneshot,
        edge: args.edge,
        exclusive: args.exclusive,
        all_fds: args.all_fds,
        randomize: args.randomize,
        epolls: set_up.epolls,
        elapsed_ns,
        ops_per_s: Stats::of(&rates),
        writes: written.writes,
        rounds: written.rounds,
        notifications: (!(args.exclusive && args.all_fds))
            .then_some((written.writes + totals.reads) * set_up.watchers),
        totals,
        per_thread,
    }
}

impl WaitReport {
    /// Writes what perf writes; `verbose` adds the totals.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_text(&self, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
        if verbose {
            let model = if self.multiq { "multi" } else { "single" };
            let order = if self.randomize { "random" } else { "lineal" };
            writeln!(
                out,
                "Using {model} queue model, nesting level(s): {}",
                self.asked.nested
            )?;
            writeln!(out, "writer-thread: {order} writes, full-loops: {}", self.rounds)?;
        }
        for (index, thread) in self.per_thread.iter().enumerate() {
            writeln!(
                out,
                "[thread {index:2}] fds: {} [ {:04.0} ops/sec ]",
                thread.fds, thread.ops_per_s
            )?;
        }
        writeln!(
            out,
            "\nAveraged {:.0} operations/sec ({}), total secs = {:.0}",
            self.ops_per_s.average,
            self.ops_per_s.spread(),
            self.elapsed_ns as f64 / 1e9
        )?;
        if verbose {
            let totals = serde_json::to_value(self.totals)?;
            writeln!(
                out,
                "\nwrites {}, of {} epolls: {totals}",
                self.writes, self.epolls
            )?;
        }
        Ok(())
    }
}
