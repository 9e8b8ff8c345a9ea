//! `bench wait`: threads in epoll_wait, one event per call, under one writer that never lets them starve.

use std::io::Write;
use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use nix::unistd::gettid;

use super::random::Random;
use super::report::per_thread;
use super::threads::{Control, Job, Written, keeping, run};
use super::wait_report::{SetUp, WaitCounts, WaitReport, report};
use super::{LoadArgs, places};
use crate::workload::cpus::allowed;
use crate::workload::waiter::{control, read8, write8};

/// Between two rounds of the writer, ns, as perf has it.
const WRITER_PAUSE_NS: libc::c_long = 500;

/// Arguments of `bench wait`.
#[derive(Clone, Debug, clap::Args)]
pub struct WaitArgs {
    /// How many, how long.
    #[command(flatten)]
    pub load: LoadArgs,
    /// An epoll per thread instead of one for all
    #[arg(short, long)]
    pub multiq: bool,
    /// Wait with timeout 0. An operation is a wait that found something; perf also counts others, after reading again
    #[arg(short = 'B', long)]
    pub nonblocking: bool,
    /// EPOLLONESHOT, armed again with EPOLL_CTL_MOD
    #[arg(short = 'S', long)]
    pub oneshot: bool,
    /// EPOLLET. As in perf each operation then tries EPOLL_CTL_ADD, which fails with EEXIST
    #[arg(short = 'E', long)]
    pub edge: bool,
    /// EPOLLEXCLUSIVE; changes nothing unless several epolls watch a descriptor, see --all-fds
    #[arg(long, conflicts_with = "oneshot")]
    pub exclusive: bool,
    /// Every epoll watches the descriptors of all threads: a herd, which perf does not make
    #[arg(long, requires = "multiq")]
    pub all_fds: bool,
    /// Write in random order; the same in every run
    #[arg(short = 'R', long)]
    pub randomize: bool,
}

/// What a worker is there for.
struct Duty {
    epfd: RawFd,
    timeout: i32,
    edge: bool,
    oneshot: bool,
    /// Other epolls deliver the same event, so a read that finds nothing is final.
    shared: bool,
    most: u64,
}

/// Waits, reads and arms again until told to end. perf's worker: the read is tried again until the writer comes round,
/// when another thread was faster.
fn work(duty: &Duty, shared: &Control) -> Result<WaitCounts> {
    let mut counts = WaitCounts::default();
    while counts.deliveries < duty.most && !shared.done() {
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        // SAFETY: `event` is room for the one event asked for.
        let returned = unsafe { libc::epoll_wait(duty.epfd, &raw mut event, 1, duty.timeout) };
        counts.waits += 1;
        match returned {
            1.. => counts.deliveries += 1,
            0 => {
                counts.zero_timeouts += 1;
                continue;
            }
            _ if Errno::last() == Errno::EINTR => {
                counts.interrupted += 1;
                continue;
            }
            _ => return Err(Errno::last()).context("epoll_wait failed"),
        }
        let fd = RawFd::try_from(event.u64).context("an event with the data of nobody")?;
        loop {
            match read8(fd) {
                Ok(()) => {
                    counts.reads += 1;
                    break;
                }
                Err(Errno::EAGAIN) => counts.eagain += 1,
                Err(error) => return Err(error).context("cannot read an eventfd"),
            }
            if duty.shared || shared.done() {
                break;
            }
        }
        rearm(duty, fd, event.events, &mut counts)?;
    }
    Ok(counts)
}

fn rearm(duty: &Duty, fd: RawFd, seen: u32, counts: &mut WaitCounts) -> Result<()> {
    let data = u64::from(fd.cast_unsigned());
    let input = libc::EPOLLIN.cast_unsigned();
    let mut events = seen;
    if duty.edge {
        events = input | libc::EPOLLET.cast_unsigned();
        match control(duty.epfd, libc::EPOLL_CTL_ADD, fd, events, data) {
            Err(Errno::EEXIST) => counts.ctl_eexist += 1,
            other => {
                other.context("EPOLL_CTL_ADD again failed")?;
                counts.ctl_add += 1;
            }
        }
    }
    if duty.oneshot {
        events |= input | libc::EPOLLONESHOT.cast_unsigned();
        control(duty.epfd, libc::EPOLL_CTL_MOD, fd, events, data).context("cannot arm a descriptor again")?;
        counts.ctl_mod += 1;
    }
    Ok(())
}

/// Writes to all descriptors, round by round.
fn write_rounds(mut fds: Vec<Vec<RawFd>>, randomize: bool, control: &Control) -> Result<Written> {
    let mut random = Random::new(1);
    let mut written = Written::default();
    let pause = libc::timespec {
        tv_sec: 0,
        tv_nsec: WRITER_PAUSE_NS,
    };
    while !control.over() {
        if randomize {
            random.shuffle(&mut fds);
        }
        for map in &mut fds {
            if randomize {
                random.shuffle(map);
            }
            for &fd in map.iter() {
                write8(fd).context("cannot write to an eventfd")?;
                written.writes += 1;
            }
        }
        written.rounds += 1;
        // SAFETY: `pause` is valid, and the rest of a pause cut short is not asked for.
        unsafe { libc::nanosleep(&raw const pause, std::ptr::null_mut()) };
    }
    Ok(written)
}

/// Files, epolls and what set them up.
struct Stage {
    files: Vec<Vec<EventFd>>,
    /// An epoll that is waited on, and those nested below it.
    trees: Vec<Vec<Epoll>>,
    added: u64,
}

impl Stage {
    fn new(args: &WaitArgs, threads: usize) -> Result<Self> {
        let mut flags = EpollFlags::EPOLLIN;
        flags.set(EpollFlags::EPOLLONESHOT, args.oneshot);
        flags.set(EpollFlags::EPOLLET, args.edge);
        flags.set(EpollFlags::EPOLLEXCLUSIVE, args.exclusive);
        let files = args.load.files(threads)?;
        let epolls = if args.multiq { threads } else { 1 };
        let trees: Vec<Vec<Epoll>> = (0..epolls)
            .map(|_| args.load.epoll_tree())
            .collect::<Result<_>>()?;
        let mut added = epolls as u64 * u64::from(args.load.nested);
        let roots: Vec<&Epoll> = trees.iter().filter_map(|tree| tree.first()).collect();
        for (index, map) in files.iter().enumerate() {
            // One epoll: it watches all. One each: its own, or all.
            let watching = roots.iter().enumerate();
            for (_, root) in watching.filter(|&(owner, _)| !args.multiq || args.all_fds || owner == index) {
                for file in map {
                    let data = u64::try_from(file.as_raw_fd()).context("a negative descriptor")?;
                    root.add(file, EpollEvent::new(flags, data)).context(
                        "cannot watch an eventfd: lower --nfds or raise fs.epoll.max_user_watches",
                    )?;
                    added += 1;
                }
            }
        }
        Ok(Self { files, trees, added })
    }

    /// The epoll that thread `index` waits on.
    fn epfd(&self, index: usize) -> Option<RawFd> {
        let tree = self.trees.get(index).or_else(|| self.trees.first())?;
        Some(tree.first()?.0.as_raw_fd())
    }

    fn fds(&self) -> Vec<Vec<RawFd>> {
        let map = |files: &Vec<EventFd>| files.iter().map(|file| file.as_raw_fd()).collect();
        self.files.iter().map(map).collect()
    }
}

type Worked = (i32, WaitCounts);

/// Runs the load of `args`; `head` is written before it starts.
///
/// # Errors
/// When the kernel refuses something, a thread fails or does not end, or `head` cannot be written.
pub(crate) fn perform(args: &WaitArgs, head: &mut dyn Write) -> Result<WaitReport> {
    let cpus = allowed()?;
    // One CPU is left to the writer.
    let threads = args.load.count(cpus.len(), 1);
    let places = places(&cpus, threads, args.load.noaffinity);
    let stage = Arc::new(Stage::new(args, threads)?);
    let semantics = if args.oneshot {
        " (EPOLLONESHOT semantics)"
    } else {
        ""
    };
    args.load
        .announce(head, threads, &format!("monitoring{semantics} on"))?;
    let mut jobs: Vec<(Option<usize>, Job<Worked>)> = Vec::with_capacity(threads);
    for (index, &cpu) in places.iter().enumerate() {
        let duty = Duty {
            epfd: stage.epfd(index).context("a thread without an epoll")?,
            timeout: if args.nonblocking { 0 } else { -1 },
            edge: args.edge,
            oneshot: args.oneshot,
            shared: args.all_fds,
            most: args.load.bound().operations(),
        };
        let job = keeping(&stage, move |control| {
            Ok((gettid().as_raw(), work(&duty, control)?))
        });
        jobs.push((cpu, job));
    }
    let (fds, randomize) = (stage.fds(), args.randomize);
    let writer = keeping(&stage, move |control| write_rounds(fds, randomize, control));
    let finished = run(jobs, Some(writer), args.load.bound())?;
    let elapsed = finished.elapsed;
    let per_thread = per_thread(&finished.workers, &stage.fds(), &places, elapsed, |counts| {
        counts.deliveries
    });
    let elapsed_ns = u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX);
    let set_up = SetUp {
        epolls: stage.trees.iter().map(Vec::len).sum(),
        watchers: if args.all_fds { threads as u64 } else { 1 },
        added: stage.added,
    };
    Ok(report(args, &set_up, elapsed_ns, finished.written, per_thread))
}
