//! The threads of a run. They live for all rounds, so that a later one is as warm as the first, stay on one CPU, and are
//! ended by a signal: a write would be one more wakeup than the workload says.
//! The main thread only sleeps during a round; it gives up when nothing moves.

use std::os::unix::thread::JoinHandleExt as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{getpid, gettid};

use super::stage::{Cast, Follow, Lead};
use super::turns::{Progress, Tally};
use crate::workload::cpus::{allowed, batch, pin};
use crate::workload::quiet::accept_signal;
use crate::workload::witness::Witness;

/// Without progress for so long a run is given up.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Between two looks at threads that are not there yet. Short against what a start takes, and never within a round.
const PAUSE: Duration = Duration::from_micros(200);

/// One finished round.
#[derive(Clone, Copy, Debug)]
pub(super) struct Measured {
    /// CLOCK_MONOTONIC_RAW over the window, ns.
    pub(super) wall_ns: u64,
    /// CPU time of the process over the window, ns.
    pub(super) cpu_ns: u64,
    /// What the leader did, its warm-up included.
    pub(super) tally: Tally,
    /// How often the leader went to sleep, its warm-up included.
    sleeps: u64,
}

/// A thread that answers the leader.
struct Follower {
    thread: JoinHandle<Result<Tally>>,
    witness: Witness,
}

/// The threads of one run.
pub(super) struct Crew {
    go: Sender<(u64, u64)>,
    back: Receiver<Result<Measured>>,
    lead: JoinHandle<()>,
    followers: Vec<Follower>,
    over: Arc<AtomicBool>,
    progress: Arc<Progress>,
    patience: Duration,
}

impl Crew {
    /// Starts the threads of `cast` and waits until those that answer sleep. A round without progress
    /// for `patience` fails.
    ///
    /// # Errors
    /// When the kernel refuses a thread, its CPU or its policy, or one does not start.
    pub(super) fn new(cast: Cast, patience: Duration) -> Result<Self> {
        accept_signal().context("cannot set up SIGUSR1, which ends threads")?;
        let cpu = *allowed()?.first().context("no CPU is allowed")?;
        let over = Arc::new(AtomicBool::new(false));
        let progress = Arc::new(Progress::default());
        let mut followers = Vec::with_capacity(cast.followers.len());
        for job in cast.followers {
            followers.push(start_follower(job, cpu, &over)?);
        }
        let (go, orders) = channel();
        let (reports, back) = channel();
        let shared = Arc::clone(&progress);
        let lead = std::thread::Builder::new()
            .name("lead".to_owned())
            .spawn(move || lead(cast.lead, cpu, &orders, &reports, &shared))
            .context("cannot start a thread: check the limit of threads")?;
        Ok(Self {
            go,
            back,
            lead,
            followers,
            over,
            progress,
            patience,
        })
    }

    /// One round of `warm_up` turns of the leader, then of `turns` in the window. Also says whether every turn put each thread
    /// to sleep exactly once.
    ///
    /// # Errors
    /// When a thread fails, or nothing moves for too long.
    pub(super) fn round(&mut self, warm_up: u64, turns: u64) -> Result<(Measured, bool)> {
        let before = self.sleeps()?;
        self.go
            .send((warm_up, turns))
            .map_err(|_| anyhow!("the leading thread has ended"))?;
        let measured = self.wait()?;
        let sleeps = self.sleeps()?;
        let once = |(before, after): (&u64, &u64)| after - before == warm_up + turns;
        let each = measured.sleeps == warm_up + turns && before.iter().zip(&sleeps).all(once);
        Ok((measured, each))
    }

    /// Waits for the end of a round.
    fn wait(&mut self) -> Result<Measured> {
        loop {
            let before = self.progress.turns();
            match self.back.recv_timeout(self.patience) {
                Ok(measured) => return measured,
                Err(RecvTimeoutError::Disconnected) => bail!("the leading thread has ended"),
                Err(RecvTimeoutError::Timeout) if self.progress.turns() != before => {}
                Err(RecvTimeoutError::Timeout) => return Err(self.stalled(before)),
            }
        }
    }

    /// Waits until all that answer sleep; how often each went to sleep in its life.
    fn sleeps(&mut self) -> Result<Vec<u64>> {
        let all: Result<Vec<u64>> = self
            .followers
            .iter()
            .map(|follower| asleep(&follower.witness))
            .collect();
        all.map_err(|error| self.failure().unwrap_or(error))
    }

    /// The error of a thread that ended too early.
    fn failure(&mut self) -> Option<anyhow::Error> {
        let ended = |follower: &Follower| follower.thread.is_finished();
        let index = self.followers.iter().position(ended)?;
        joined(self.followers.swap_remove(index).thread).err()
    }

    /// Why nothing moves.
    fn stalled(&mut self, turns: u64) -> anyhow::Error {
        self.failure().unwrap_or_else(|| {
            anyhow!(
                "no progress for {} s after {turns} turns: is the machine overloaded or a thread stopped?",
                self.patience.as_secs_f64()
            )
        })
    }

    /// Ends all threads; what those that answered did.
    ///
    /// # Errors
    /// When a thread fails or does not end.
    pub(super) fn end(self) -> Result<Vec<Tally>> {
        drop(self.go);
        let deadline = Instant::now() + PATIENCE;
        joined_by(self.lead, deadline)?;
        self.over.store(true, Ordering::Release);
        let mut tallies = Vec::with_capacity(self.followers.len());
        for follower in self.followers {
            tallies.push(joined_by(follower.thread, deadline)??);
        }
        Ok(tallies)
    }
}

/// Starts one that answers.
fn start_follower(job: Follow, cpu: usize, over: &Arc<AtomicBool>) -> Result<Follower> {
    let started = Arc::new(AtomicI32::new(0));
    let (announce, over) = (Arc::clone(&started), Arc::clone(over));
    let body = move || {
        settle_on(cpu)?;
        // The last thing before it waits: from here on, asleep means in a wait.
        announce.store(gettid().as_raw(), Ordering::Release);
        job(&over).context("a thread that answers failed")
    };
    let thread = std::thread::Builder::new()
        .name("follow".to_owned())
        .spawn(body)
        .context("cannot start a thread: check the limit of threads")?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        let tid = started.load(Ordering::Acquire);
        if tid != 0 {
            let witness =
                Witness::open(getpid().as_raw(), tid).and_then(|witness| asleep(&witness).map(|_| witness));
            return match witness {
                Ok(witness) => Ok(Follower { thread, witness }),
                Err(error) if thread.is_finished() => Err(joined(thread).err().unwrap_or(error)),
                Err(error) => Err(error),
            };
        }
        if thread.is_finished() {
            joined(thread)?;
            bail!("a thread ended before it began");
        }
        if Instant::now() > deadline {
            bail!("a thread did not start within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The one CPU, and the policy.
fn settle_on(cpu: usize) -> Result<()> {
    pin(cpu).with_context(|| format!("cannot stay on CPU {cpu}"))?;
    batch().context("cannot become a batch job (SCHED_BATCH)")
}

/// Waits until the thread of `witness` sleeps, in its wait; how often it went to sleep in its life.
fn asleep(witness: &Witness) -> Result<u64> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match witness.state()? {
            // The count is read again once it is known to be off the CPU: it moves after the state.
            Some(('S', _)) if witness.off_cpu() => {
                if let Some(('S', sleeps)) = witness.state()? {
                    return Ok(sleeps);
                }
            }
            Some(_) => {}
            None => bail!("a thread ended in the middle of the run"),
        }
        if Instant::now() > deadline {
            bail!("a thread does not go to sleep within {} s", PATIENCE.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}

/// The leading thread: a round for each order.
fn lead(
    mut job: Lead,
    cpu: usize,
    orders: &Receiver<(u64, u64)>,
    reports: &Sender<Result<Measured>>,
    progress: &Progress,
) {
    let placed = settle_on(cpu);
    while let Ok((warm_up, turns)) = orders.recv() {
        let measured = match &placed {
            Ok(()) => measure(&mut job, warm_up, turns, progress).context("the leading thread failed"),
            Err(error) => Err(anyhow!("{error:#}")),
        };
        if reports.send(measured).is_err() {
            break;
        }
    }
}

/// Warm-up, then the window.
fn measure(job: &mut Lead, warm_up: u64, turns: u64, progress: &Progress) -> Result<Measured, Errno> {
    let slept = own_sleeps()?;
    let before = job(warm_up, progress)?;
    let cpu = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    let wall = clock_gettime(ClockId::CLOCK_MONOTONIC_RAW)?;
    let window = job(turns, progress)?;
    let wall_end = clock_gettime(ClockId::CLOCK_MONOTONIC_RAW)?;
    let cpu_end = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(Measured {
        wall_ns: between(wall, wall_end),
        cpu_ns: between(cpu, cpu_end),
        tally: before.plus(window),
        sleeps: own_sleeps()? - slept,
    })
}

/// ns from `start` to `end`.
fn between(start: TimeSpec, end: TimeSpec) -> u64 {
    let span = Duration::from(end).saturating_sub(Duration::from(start));
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// Voluntary context switches of the calling thread.
fn own_sleeps() -> Result<u64, Errno> {
    let switches = getrusage(UsageWho::RUSAGE_THREAD)?.voluntary_context_switches();
    Ok(u64::try_from(switches).unwrap_or(0))
}

/// The result of a thread, which signals end if it waits.
fn joined_by<T>(thread: JoinHandle<T>, deadline: Instant) -> Result<T> {
    while !thread.is_finished() {
        if Instant::now() > deadline {
            bail!("a thread did not end within {} s", PATIENCE.as_secs());
        }
        // SAFETY: the thread is not joined yet, so its id is valid; the signal has a handler that does nothing.
        // Again and again, since one that comes before the wait is lost.
        unsafe { libc::pthread_kill(thread.as_pthread_t(), libc::SIGUSR1) };
        std::thread::sleep(PAUSE);
    }
    thread.join().map_err(|_| panicked())
}

fn joined(thread: JoinHandle<Result<Tally>>) -> Result<Tally> {
    thread.join().map_err(|_| panicked())?
}

fn panicked() -> anyhow::Error {
    anyhow!("a thread panicked: this is a bug of epoll-trace, please report it")
}
