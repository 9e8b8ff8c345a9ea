//! Waits that bring nothing: timeouts, signals, and the byte that is gone before its waiter runs.

use std::os::fd::AsRawFd as _;
use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sched::{CpuSet, sched_getaffinity, sched_getcpu, sched_setaffinity};
use nix::sys::epoll::{EpollEvent, EpollFlags};
use nix::sys::signal::{
    SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, kill, sigaction, sigprocmask,
};
use nix::unistd::Pid;

use super::crew::{Crew, Need};
use super::expect::Known;
use super::source::{Kind, Source, Stop, epoll, epoll_on};
use super::waiter::{Duty, SOURCE, now_ns, read8, serve, wait_once};

/// The timeout of a wait that has one.
const TIMEOUT_MS: i32 = 5;

/// `rounds` waits of 5 ms and as many of 0 ms, on an epoll that watches nothing.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_timeouts(rounds: u64) -> Result<(Crew, Known)> {
    let epoll = epoll()?;
    let epfd = epoll.0.as_raw_fd();
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| {
        for timeout in [TIMEOUT_MS, 0] {
            for _ in 0..rounds {
                wait_once(place, epfd, timeout)?;
            }
        }
        Ok(())
    })?;
    crew.finish()?;
    Ok((
        crew,
        Known {
            epolls: 1,
            scans: Some(0),
            ..Known::default()
        },
    ))
}

/// How long the loop handles one event, and how long it waits for the next in vain.
const HANDLER_MS: u64 = 20;

/// `rounds` times: an event comes while the loop is busy for 20 ms more, then waits 20 ms in vain.
/// The loop sends the event itself, so nothing depends on a second process.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_slow(rounds: u64) -> Result<(Crew, Known)> {
    let (end, source) = nix::unistd::pipe().context("cannot make a pipe")?;
    let epoll = epoll()?;
    epoll
        .add(&end, EpollEvent::new(EpollFlags::EPOLLIN, SOURCE))
        .context("cannot watch a pipe")?;
    let (epfd, fd) = (epoll.0.as_raw_fd(), end.as_raw_fd());
    let mut crew = Crew::new(1, rounds)?;
    crew.fork(|place| {
        let mut returned = None;
        for _ in 0..rounds {
            place.slot.sent_ns.store(now_ns(), Ordering::Release);
            nix::unistd::write(&source, b"x")?;
            std::thread::sleep(Duration::from_millis(HANDLER_MS));
            for timeout in [-1, HANDLER_MS as i32] {
                let entering = now_ns();
                if let Some(returned) = returned {
                    place
                        .slot
                        .busy_ns
                        .fetch_add(entering - returned, Ordering::Relaxed);
                }
                wait_once(place, epfd, timeout)?;
                let now = now_ns();
                place.slot.waiting_ns.fetch_add(now - entering, Ordering::Relaxed);
                returned = Some(now);
                if timeout < 0 {
                    read8(fd)?;
                    place.slot.consumed.fetch_add(1, Ordering::Release);
                }
            }
        }
        Ok(())
    })?;
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: rounds,
            epolls: 1,
            notifications: rounds,
            queued: rounds,
            // One for the event, one that polls the item again before the wait in vain.
            scans: Some(2 * rounds),
            ..Known::default()
        },
    ))
}

extern "C" fn ignore(_signal: libc::c_int) {}

/// Has SIGUSR1 interrupt system calls of this process.
///
/// # Errors
/// None that a valid signal can have.
pub(super) fn accept_signal() -> Result<(), Errno> {
    let action = SigAction::new(SigHandler::Handler(ignore), SaFlags::empty(), SigSet::empty());
    // SAFETY: the handler does nothing at all.
    unsafe { sigaction(Signal::SIGUSR1, &action) }?;
    sigprocmask(
        SigmaskHow::SIG_UNBLOCK,
        Some(&SigSet::from(Signal::SIGUSR1)),
        None,
    )
}

/// `rounds` waits, each ended by SIGUSR1.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_signals(rounds: u64) -> Result<(Crew, Known)> {
    let epoll = epoll()?;
    let epfd = epoll.0.as_raw_fd();
    let mut crew = Crew::new(1, 0)?;
    let child = crew.fork(|place| {
        accept_signal()?;
        for _ in 0..rounds {
            wait_once(place, epfd, -1)?;
        }
        Ok(())
    })?;
    crew.settle(&Need::default())?;
    for _ in 0..rounds {
        kill(child, Signal::SIGUSR1).with_context(|| format!("cannot signal waiter {child}"))?;
        crew.settle(&Need {
            woken: 0..1,
            ..Need::default()
        })?;
    }
    crew.finish()?;
    // A wait that was interrupted looks at the ready list once more before it returns.
    Ok((
        crew,
        Known {
            epolls: 1,
            scans: Some(rounds),
            ..Known::default()
        },
    ))
}

/// Keeps the calling thread, and what it forks, on one CPU, where its waiter cannot preempt it; undone at its end.
struct Pinned {
    cpus: CpuSet,
    realtime: bool,
}

impl Pinned {
    fn here() -> Result<Self> {
        let this = Pid::from_raw(0);
        let cpus = sched_getaffinity(this).context("cannot read the CPU affinity")?;
        let mut one = CpuSet::new();
        let cpu = sched_getcpu().context("cannot tell the current CPU")?;
        one.set(cpu)
            .context("this CPU's number is too high for a CPU set")?;
        sched_setaffinity(this, &one).with_context(|| format!("cannot stay on CPU {cpu}"))?;
        // With privilege nobody else on this CPU gets in between either. What is forked starts as a normal process.
        let realtime = set_policy(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, 1).is_ok();
        Ok(Self { cpus, realtime })
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // Both were so before; if the kernel refuses meanwhile there is nothing better to do.
        if self.realtime {
            let _ = set_policy(libc::SCHED_OTHER, 0);
        }
        let _ = sched_setaffinity(Pid::from_raw(0), &self.cpus);
    }
}

/// Sets the scheduling policy of the calling thread.
fn set_policy(policy: libc::c_int, priority: libc::c_int) -> Result<(), Errno> {
    let param = libc::sched_param {
        sched_priority: priority,
    };
    // SAFETY: `param` is valid for the time of the call.
    Errno::result(unsafe { libc::sched_setscheduler(0, policy, &raw const param) }).map(drop)
}

/// `events` bytes that the writer takes back before the waiter, on the same CPU, can run. A waiter that did run
/// first returns and finds the byte or nothing; the report counts those.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_hidden(events: u64) -> Result<(Crew, Known)> {
    let _pinned = Pinned::here()?;
    let mut source = Source::new(Kind::Pipe)?;
    let epoll = epoll_on(&source, EpollFlags::empty())?;
    let stop = Stop::new()?;
    stop.watch(&epoll)?;
    let fd = source.fd();
    let duty = Duty {
        epfd: epoll.0.as_raw_fd(),
        fd,
        take: source.take(),
        rearm: None,
        quota: None,
    };
    let mut crew = Crew::new(1, events)?;
    crew.fork(|place| {
        // Such a process does not preempt its waker. Needs no privilege.
        set_policy(libc::SCHED_BATCH, 0)?;
        serve(place, &duty)
    })?;
    crew.settle(&Need::default())?;
    let mut taken_back = 0;
    for _ in 0..events {
        crew.stamp(0..1);
        source.fire()?;
        match read8(fd) {
            Ok(()) => taken_back += 1,
            Err(Errno::EAGAIN) => {}
            Err(error) => return Err(error).context("cannot take the byte back"),
        }
        crew.settle(&Need {
            woken: 0..1,
            ..Need::default()
        })?;
    }
    let deliveries = crew.arena().sum(|slot| &slot.deliveries_slept);
    stop.fire()?;
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: events,
            events_taken_back: taken_back,
            stops: 1,
            epolls: 1,
            notifications: source.notifications(events, events, 1, false) + 1,
            wakeups_source: events + 1,
            // One per wakeup; after a delivery the next wait polls the queued item for nothing.
            scans: Some(events + 1 + deliveries),
            ..Known::default()
        },
    ))
}
