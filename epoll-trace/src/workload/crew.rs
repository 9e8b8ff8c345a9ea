//! The waiters of one run: starts them, knows when all of them sleep, ends and reaps them.
//! Everything is bounded: no progress for [`WATCHDOG`] is an error, and what is left is killed by pid.

use std::io::{self, Write as _};
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork, getpid, getppid, gettid};

use super::arena::{Arena, Place, Slot};
use super::waiter::now_ns;
use super::witness::{Sight, Witness};

/// Without progress for so long a run is given up.
const WATCHDOG: Duration = Duration::from_secs(30);

/// Between two looks at waiters that are not there yet. Short against a wakeup, long enough to leave them the CPU.
const PAUSE: Duration = Duration::from_micros(30);
/// Where the pause ends up, doubling, when waiters take long: looking costs them CPU time.
const LONG_PAUSE: Duration = Duration::from_micros(240);

/// The smallest stack that leaves room for a waiter and for a panic's message.
const STACK_BYTES: usize = 128 * 1024;

/// What has to be true, besides that every waiter sleeps or is done, before the next event may be sent.
#[derive(Clone, Debug, Default)]
pub(super) struct Need {
    /// These waiters went to sleep anew, or ended, since the last time.
    pub(super) woken: Range<usize>,
    /// So many events were taken in all.
    pub(super) consumed: u64,
    /// So many waiters are done in all.
    pub(super) done: usize,
}

/// When events are sent, once all waiters sleep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Start {
    /// The first only when a line, or the end, of standard input comes.
    pub(super) on_line: bool,
    /// Time from one to the next, if they can be sent so soon; without it each follows as soon as it can.
    pub(super) period: Option<Duration>,
}

/// Waiters with their shared memory.
pub(super) struct Crew {
    arena: Arc<Arena>,
    children: Vec<Pid>,
    threads: Vec<JoinHandle<()>>,
    witnesses: Vec<Witness>,
    settled: Vec<Sight>,
    period: Option<Duration>,
    /// When the next event is due.
    due: Instant,
}

impl Crew {
    /// Memory for `size` waiters of which each takes up to `samples` latencies.
    ///
    /// # Errors
    /// When the kernel refuses the memory.
    pub(super) fn new(size: usize, samples: u64) -> Result<Self> {
        let samples = usize::try_from(samples).context("too many events for this machine")?;
        Ok(Self {
            arena: Arc::new(Arena::new(size, samples)?),
            children: Vec::new(),
            threads: Vec::new(),
            witnesses: Vec::new(),
            settled: Vec::new(),
            period: None,
            due: Instant::now(),
        })
    }

    /// The waiters' counters.
    pub(super) fn arena(&self) -> &Arena {
        &self.arena
    }

    /// Starts the next waiter as a process. `job` must make system calls only: no memory, no locks, no output.
    ///
    /// # Errors
    /// When the kernel refuses the process, or the waiter does not start.
    pub(super) fn fork(&mut self, job: impl FnOnce(&Place<'_>) -> Result<(), Errno>) -> Result<Pid> {
        let index = self.witnesses.len();
        let parent = getpid();
        let place = self
            .arena
            .place(index)
            .context("more waiters than room was made for")?;
        // SAFETY: the child only makes system calls and writes atomics of the shared mapping, then leaves by _exit.
        match unsafe { fork() }.context("cannot start a waiter process: check the limit of processes")? {
            ForkResult::Child => {
                let _ = nix::sys::prctl::set_pdeathsig(Signal::SIGKILL);
                if getppid() == parent {
                    let _ = catch_unwind(AssertUnwindSafe(|| run_waiter(&place, job)));
                }
                // SAFETY: ends the child at once, without the generator's exit handlers and buffers.
                unsafe { libc::_exit(0) }
            }
            ForkResult::Parent { child } => {
                self.children.push(child);
                self.enlist(index)?;
                Ok(child)
            }
        }
    }

    /// Starts the next waiter as a thread of this process.
    ///
    /// # Errors
    /// When the kernel refuses the thread, or the waiter does not start.
    pub(super) fn spawn(
        &mut self,
        job: impl FnOnce(&Place<'_>) -> Result<(), Errno> + Send + 'static,
    ) -> Result<()> {
        let index = self.witnesses.len();
        let arena = Arc::clone(&self.arena);
        let thread = std::thread::Builder::new()
            .stack_size(STACK_BYTES)
            .spawn(move || {
                if let Some(place) = arena.place(index) {
                    run_waiter(&place, job);
                }
            })
            .context("cannot start a waiter thread: check the limit of threads")?;
        self.threads.push(thread);
        self.enlist(index)
    }

    /// Opens the witness of the waiter just started.
    fn enlist(&mut self, index: usize) -> Result<()> {
        let deadline = Instant::now() + WATCHDOG;
        let slot = self
            .arena
            .slots()
            .get(index)
            .context("more waiters than room was made for")?;
        let mut tid = 0;
        while tid == 0 {
            if Instant::now() > deadline {
                bail!("waiter {index} did not start within {} s", WATCHDOG.as_secs());
            }
            std::thread::sleep(PAUSE);
            tid = slot.tid.load(Ordering::Acquire);
        }
        self.witnesses
            .push(Witness::open(slot.pid.load(Ordering::Acquire), tid)?);
        self.settled.push(Sight::Busy('R'));
        Ok(())
    }

    /// Waits until the next event is due, and notes the time of it for `waiters`.
    pub(super) fn stamp(&mut self, waiters: Range<usize>) {
        if let Some(period) = self.period {
            let now = Instant::now();
            std::thread::sleep(self.due.saturating_duration_since(now));
            // What could not be sent in time is not made up for.
            self.due = (self.due + period).max(now);
        }
        for slot in self.arena.slots().iter().take(waiters.end).skip(waiters.start) {
            slot.sent_ns.store(now_ns(), Ordering::Release);
        }
    }

    /// Waits until every waiter sleeps for the first time, then for the start.
    ///
    /// # Errors
    /// As [`Crew::settle`], and when standard input or error does not work.
    pub(super) fn begin(&mut self, start: Start) -> Result<()> {
        self.settle(&Need::default())?;
        (self.period, self.due) = (start.period, Instant::now());
        if start.on_line {
            writeln!(io::stderr(), "all waiters sleep; Enter sends the first event")
                .context("cannot say that all waiters sleep")?;
            io::stdin()
                .read_line(&mut String::new())
                .context("cannot read the line that starts the events")?;
        }
        Ok(())
    }

    /// Waits until `least` events were taken in all, whatever the waiters do meanwhile.
    ///
    /// # Errors
    /// When a waiter failed, or nothing is taken for [`WATCHDOG`].
    pub(super) fn catch_up(&self, least: u64) -> Result<()> {
        let (mut taken, mut deadline) = (0, Instant::now() + WATCHDOG);
        loop {
            let now = self.arena.sum(|slot| &slot.consumed);
            if now >= least {
                return Ok(());
            }
            if now > taken {
                (taken, deadline) = (now, Instant::now() + WATCHDOG);
            }
            for (witness, slot) in self.witnesses.iter().zip(self.arena.slots()) {
                witness.look(slot)?;
            }
            if Instant::now() > deadline {
                bail!(
                    "no progress for {} s: {now} of {least} events taken; is the machine overloaded or a waiter stopped?",
                    WATCHDOG.as_secs()
                );
            }
            std::thread::sleep(LONG_PAUSE);
        }
    }

    /// Waits until every waiter sleeps in epoll_wait (or is done) and `need` holds: nothing moves any more
    /// until the next event.
    ///
    /// # Errors
    /// When a waiter failed, or nothing of this happens for [`WATCHDOG`].
    pub(super) fn settle(&mut self, need: &Need) -> Result<()> {
        let deadline = Instant::now() + WATCHDOG;
        let mut sights = Vec::with_capacity(self.witnesses.len());
        let mut pause = PAUSE;
        loop {
            if self.quiet(need, &mut sights)? {
                self.settled = sights;
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!(
                    "no progress for {} s: waiting for {need:?}, seen {sights:?}, {} events taken; is the machine overloaded or a waiter stopped?",
                    WATCHDOG.as_secs(),
                    self.arena.sum(|slot| &slot.consumed),
                );
            }
            std::thread::sleep(pause);
            pause = LONG_PAUSE.min(pause * 2);
        }
    }

    /// One try of [`Crew::settle`]. Everybody is looked at twice: who shows the same sleep both times slept in
    /// between, so at the moment between the two rounds nobody ran, and a wakeup handed on cannot be under way.
    fn quiet(&self, need: &Need, sights: &mut Vec<Sight>) -> Result<bool> {
        sights.clear();
        let done = self
            .arena
            .slots()
            .iter()
            .filter(|slot| slot.done.load(Ordering::Acquire) != 0);
        let cheap = self.arena.sum(|slot| &slot.consumed) >= need.consumed && done.count() >= need.done;
        let pairs = || self.witnesses.iter().zip(self.arena.slots());
        for (index, (witness, slot)) in pairs().enumerate() {
            // Failures show even while the counters are not there yet.
            if !cheap && slot.failure.load(Ordering::Acquire) == 0 {
                continue;
            }
            let sight = witness.look(slot)?;
            sights.push(sight);
            let same_sleep = self.settled.get(index) == Some(&sight) && sight != Sight::Done;
            if matches!(sight, Sight::Busy(_)) || (need.woken.contains(&index) && same_sleep) {
                return Ok(false);
            }
        }
        if !cheap {
            return Ok(false);
        }
        for ((witness, slot), first) in pairs().zip(sights.iter()) {
            if witness.look(slot)? != *first {
                return Ok(false);
            }
        }
        // Who is known to have slept anew has left the CPU for it; of the others only the kernel can tell. Asked last,
        // because asking about a task that still runs costs a tick.
        for (index, ((witness, _), sight)) in pairs().zip(sights.iter()).enumerate() {
            let known = need.woken.contains(&index) || *sight == Sight::Done;
            if !known && !witness.off_cpu() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Kills the sleeping process `child` and takes its waiter for done.
    ///
    /// # Errors
    /// When the process is gone already or does not end.
    pub(super) fn kill(&mut self, child: Pid) -> Result<()> {
        kill(child, Signal::SIGKILL).with_context(|| format!("cannot kill waiter {child}"))?;
        reap(child, Instant::now() + WATCHDOG)?;
        self.children.retain(|&other| other != child);
        for slot in self
            .arena
            .slots()
            .iter()
            .filter(|slot| slot.pid.load(Ordering::Acquire) == child.as_raw())
        {
            slot.done.store(1, Ordering::Release);
        }
        Ok(())
    }

    /// Joins and reaps waiters that are all done.
    ///
    /// # Errors
    /// When one does not end, or ended badly.
    pub(super) fn finish(&mut self) -> Result<()> {
        self.settle(&Need {
            done: self.witnesses.len(),
            ..Need::default()
        })?;
        let deadline = Instant::now() + WATCHDOG;
        while let Some(child) = self.children.last().copied() {
            reap(child, deadline)?;
            self.children.pop();
        }
        for thread in self.threads.drain(..) {
            while !thread.is_finished() {
                if Instant::now() > deadline {
                    bail!("a waiter thread did not end within {} s", WATCHDOG.as_secs());
                }
                std::thread::sleep(PAUSE);
            }
            if thread.join().is_err() {
                bail!("a waiter thread panicked: this is a bug of epoll-trace, please report it");
            }
        }
        Ok(())
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for &child in &self.children {
            // An error means that it is gone already.
            let _ = kill(child, Signal::SIGKILL);
            let _ = waitpid(child, None);
        }
    }
}

fn run_waiter(place: &Place<'_>, job: impl FnOnce(&Place<'_>) -> Result<(), Errno>) {
    let slot: &Slot = place.slot;
    let _ = nix::sys::prctl::set_name(c"waiter");
    slot.pid.store(getpid().as_raw(), Ordering::Release);
    slot.tid.store(gettid().as_raw(), Ordering::Release);
    if let Err(error) = job(place) {
        slot.failure.store(error as i32, Ordering::Release);
    }
    slot.done.store(1, Ordering::Release);
}

/// Waits for the end of a child.
fn reap(child: Pid, deadline: Instant) -> Result<()> {
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::StillAlive) | Err(Errno::EINTR) => {}
            Ok(_) => return Ok(()),
            Err(error) => return Err(error).with_context(|| format!("cannot reap waiter {child}")),
        }
        if Instant::now() > deadline {
            bail!("waiter {child} did not end within {} s", WATCHDOG.as_secs());
        }
        std::thread::sleep(PAUSE);
    }
}
