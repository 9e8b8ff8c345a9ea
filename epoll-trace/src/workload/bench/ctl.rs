//! `bench ctl`: threads that add, modify and delete their own descriptors of one shared epoll.

use std::io::{self, Write};
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::unistd::gettid;
use serde::Serialize;

use super::random::Random;
use super::report::{Asked, Thread, per_thread};
use super::stats::Stats;
use super::threads::{Control, Job, keeping, run};
use super::{LoadArgs, places};
use crate::workload::cpus::allowed;
use crate::workload::waiter::control;

/// Between two rounds of a thread, as perf has it.
const PAUSE: Duration = Duration::from_nanos(250);

/// Arguments of `bench ctl`.
#[derive(Clone, Debug, clap::Args)]
pub struct CtlArgs {
    /// How many, how long.
    #[command(flatten)]
    pub load: LoadArgs,
    /// Random operations on random descriptors, half of them added before; the same in every run
    #[arg(short = 'R', long)]
    pub randomize: bool,
}

/// Calls of epoll_ctl by operation and result. What failed with anything else ends the run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CtlOps {
    /// EPOLL_CTL_ADD done.
    pub ctl_add: u64,
    /// EPOLL_CTL_MOD done.
    pub ctl_mod: u64,
    /// EPOLL_CTL_DEL done.
    pub ctl_del: u64,
    /// EPOLL_CTL_ADD that failed with EEXIST.
    pub ctl_eexist: u64,
    /// EPOLL_CTL_MOD that failed with ENOENT.
    pub ctl_mod_enoent: u64,
    /// EPOLL_CTL_DEL that failed with ENOENT.
    pub ctl_del_enoent: u64,
    /// All that failed with ENOENT.
    pub ctl_enoent: u64,
}

impl CtlOps {
    /// All calls.
    pub(super) fn calls(&self) -> u64 {
        self.ctl_add + self.ctl_mod + self.ctl_del + self.ctl_eexist + self.ctl_enoent
    }

    fn plus(mut self, more: &Self) -> Self {
        self.ctl_add += more.ctl_add;
        self.ctl_mod += more.ctl_mod;
        self.ctl_del += more.ctl_del;
        self.ctl_eexist += more.ctl_eexist;
        self.ctl_mod_enoent += more.ctl_mod_enoent;
        self.ctl_del_enoent += more.ctl_del_enoent;
        self.ctl_enoent += more.ctl_enoent;
        self
    }

    /// One call, counted by its result.
    fn call(&mut self, epfd: RawFd, op: Op, fd: RawFd) -> Result<()> {
        let data = u64::from(fd.cast_unsigned());
        match (control(epfd, op.number(), fd, op.events(), data), op) {
            (Ok(()), Op::Add) => self.ctl_add += 1,
            (Ok(()), Op::Mod) => self.ctl_mod += 1,
            (Ok(()), Op::Del) => self.ctl_del += 1,
            (Err(Errno::EEXIST), _) => self.ctl_eexist += 1,
            (Err(Errno::ENOENT), Op::Del) => {
                self.ctl_del_enoent += 1;
                self.ctl_enoent += 1;
            }
            (Err(Errno::ENOENT), _) => {
                self.ctl_mod_enoent += 1;
                self.ctl_enoent += 1;
            }
            (Err(error), op) => return Err(error).with_context(|| format!("epoll_ctl {op:?} failed")),
        }
        Ok(())
    }
}

/// Operations of epoll_ctl.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Add,
    Mod,
    Del,
}

impl Op {
    const ALL: [Self; 3] = [Self::Add, Self::Mod, Self::Del];

    fn number(self) -> i32 {
        match self {
            Self::Add => libc::EPOLL_CTL_ADD,
            Self::Mod => libc::EPOLL_CTL_MOD,
            Self::Del => libc::EPOLL_CTL_DEL,
        }
    }

    /// A MOD asks for output instead of input, as in perf: an eventfd is writable, so it also queues the item.
    fn events(self) -> u32 {
        match self {
            Self::Mod => libc::EPOLLOUT.cast_unsigned(),
            Self::Add | Self::Del => libc::EPOLLIN.cast_unsigned(),
        }
    }
}

/// Averages over threads of the calls that succeeded.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct CtlStats {
    /// EPOLL_CTL_ADD.
    pub add: Stats,
    /// EPOLL_CTL_MOD.
    #[serde(rename = "mod")]
    pub modify: Stats,
    /// EPOLL_CTL_DEL.
    pub del: Stats,
}

/// One run of `bench ctl`.
#[derive(Clone, Debug, Serialize)]
pub struct CtlReport {
    /// What was asked for.
    #[serde(flatten)]
    pub asked: Asked,
    /// Random operations.
    pub randomize: bool,
    /// Epolls made, nested ones included.
    pub epolls: usize,
    /// From the start to the word to end, ns.
    pub elapsed_ns: u64,
    /// Calls per second and thread, failed ones included.
    pub ops_per_s: Stats,
    /// What perf prints: successful calls per thread over the whole run.
    pub average_ops: CtlStats,
    /// EPOLL_CTL_ADD before the start.
    pub set_up: u64,
    /// Over all threads and the set-up.
    pub totals: CtlOps,
    /// By thread.
    pub per_thread: Vec<Thread<CtlOps>>,
}

/// What a worker is there for.
struct Duty {
    epfd: RawFd,
    fds: Vec<RawFd>,
    random: Option<Random>,
    most: u64,
}

fn work(mut duty: Duty, shared: &Control) -> Result<CtlOps> {
    let mut counts = CtlOps::default();
    while !shared.done() {
        if let Some(random) = &mut duty.random {
            let fd = duty.fds.get(random.below(duty.fds.len()));
            let op = Op::ALL.get(random.below(Op::ALL.len()));
            if let (Some(&fd), Some(&op)) = (fd, op) {
                counts.call(duty.epfd, op, fd)?;
            }
        } else {
            for call in duty.fds.iter().flat_map(|&fd| Op::ALL.map(|op| (op, fd))) {
                if counts.calls() < duty.most {
                    counts.call(duty.epfd, call.0, call.1)?;
                }
            }
        }
        if counts.calls() >= duty.most {
            break;
        }
        std::thread::sleep(PAUSE);
    }
    Ok(counts)
}

type Worked = (i32, CtlOps);

/// Runs the load of `args`; `head` is written before it starts.
///
/// # Errors
/// When the kernel refuses something, a thread fails or does not end, or `head` cannot be written.
pub(crate) fn perform(args: &CtlArgs, head: &mut dyn Write) -> Result<CtlReport> {
    let cpus = allowed()?;
    let threads = args.load.count(cpus.len(), 0);
    let places = places(&cpus, threads, args.load.noaffinity);
    let files = args.load.files(threads)?;
    let tree = args.load.epoll_tree()?;
    let epfd = tree
        .first()
        .map(|epoll| epoll.0.as_raw_fd())
        .context("no epoll")?;
    let mut set_up = CtlOps {
        ctl_add: args.load.nested.into(),
        ..CtlOps::default()
    };
    if args.randomize {
        // Else most MODs and DELs would fail at first.
        for file in files.iter().flat_map(|map| map.iter().step_by(2)) {
            set_up.call(epfd, Op::Add, file.as_raw_fd())?;
        }
    }
    args.load.announce(head, threads, "doing epoll_ctl ops")?;
    let fds: Vec<Vec<RawFd>> = files
        .iter()
        .map(|map| map.iter().map(|file| file.as_raw_fd()).collect())
        .collect();
    let open = Arc::new((files, tree));
    let mut jobs: Vec<(Option<usize>, Job<Worked>)> = Vec::with_capacity(threads);
    for ((fds, &cpu), seed) in fds.iter().zip(&places).zip(1..) {
        let duty = Duty {
            epfd,
            fds: fds.clone(),
            random: args.randomize.then(|| Random::new(seed)),
            most: args.load.bound().operations(),
        };
        let job = keeping(&open, move |control| {
            Ok((gettid().as_raw(), work(duty, control)?))
        });
        jobs.push((cpu, job));
    }
    let finished = run(jobs, None, args.load.bound())?;
    let elapsed = finished.elapsed;
    let per_thread = per_thread(&finished.workers, &fds, &places, elapsed, |counts| counts.calls());
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    Ok(report(args, open.1.len(), elapsed_ns, set_up, per_thread))
}

fn report(
    args: &CtlArgs,
    epolls: usize,
    elapsed_ns: u64,
    set_up: CtlOps,
    per_thread: Vec<Thread<CtlOps>>,
) -> CtlReport {
    let stats =
        |number: fn(&Thread<CtlOps>) -> f64| Stats::of(&per_thread.iter().map(number).collect::<Vec<_>>());
    CtlReport {
        asked: Asked::of("bench_ctl", &args.load, per_thread.len()),
        randomize: args.randomize,
        epolls,
        elapsed_ns,
        ops_per_s: stats(|thread| thread.ops_per_s),
        average_ops: CtlStats {
            add: stats(|thread| thread.counts.ctl_add as f64),
            modify: stats(|thread| thread.counts.ctl_mod as f64),
            del: stats(|thread| thread.counts.ctl_del as f64),
        },
        set_up: set_up.ctl_add,
        totals: per_thread
            .iter()
            .fold(set_up, |sum, thread| sum.plus(&thread.counts)),
        per_thread,
    }
}

impl CtlReport {
    /// Writes what perf writes; `verbose` adds the totals.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write_text(&self, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
        for (index, thread) in self.per_thread.iter().enumerate() {
            let CtlOps {
                ctl_add,
                ctl_mod,
                ctl_del,
                ..
            } = thread.counts;
            writeln!(
                out,
                "[thread {index:2}] fds: {} [ add: {ctl_add:04} ops; mod: {ctl_mod:04} ops; del: {ctl_del:04} ops ]",
                thread.fds
            )?;
        }
        writeln!(out)?;
        let CtlStats { add, modify, del } = &self.average_ops;
        for (name, stats) in [("ADD", add), ("MOD", modify), ("DEL", del)] {
            writeln!(
                out,
                "Averaged {:.0} {name} operations ({})",
                stats.average,
                stats.spread()
            )?;
        }
        if verbose {
            let totals = serde_json::to_value(self.totals)?;
            writeln!(
                out,
                "\nof {} epolls, nesting level(s): {}: {totals}",
                self.epolls, self.asked.nested
            )?;
        }
        Ok(())
    }
}
