//! Loads in which events come while waiters run: contention on `ep->lock` and `ep->mtx`.
//! Who sleeps and who is woken depends on the race; what was sent, waited for and delivered is exact all the same.

use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::ScopedJoinHandle;

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;

use super::arena::Place;
use super::cpus::{allowed, pin};
use super::crew::{Crew, Need, Start};
use super::expect::{Ctl, Known};
use super::files::allow_files;
use super::source::{Stop, epoll, eventfd};
use super::waiter::{Outcome, SOURCE, control, wait_once};

/// Who races with the waiters.
#[derive(Clone, Copy, Debug)]
pub(super) struct Racers {
    /// Threads that write.
    pub(super) writers: u64,
    /// Eventfds that each of them writes to in turn, watched with EPOLLET and never read.
    pub(super) files_each: u64,
    /// Threads that change an item of their own by EPOLL_CTL_MOD as often as events are sent, and each time really.
    pub(super) changers: u64,
    /// Eventfds besides, watched and never ready.
    pub(super) idle: u64,
    /// Threads that read the epoll's fdinfo, once for [`RARER`] events.
    pub(super) readers: u64,
    /// Threads that meanwhile add files and close them without EPOLL_CTL_DEL, until all others are through.
    pub(super) closers: u64,
}

/// Events to one look at fdinfo, which takes as long as the epoll has items.
const RARER: u64 = 20;

/// Writers on every CPU, files of their own, so that they share nothing but the epoll.
pub(super) const LOCK: Racers = Racers {
    writers: 4,
    files_each: 16,
    changers: 0,
    idle: 0,
    readers: 0,
    closers: 0,
};
/// Threads in epoll_ctl while others scan.
pub(super) const MUTEX: Racers = Racers {
    writers: 1,
    files_each: 64,
    changers: 3,
    idle: 0,
    readers: 0,
    closers: 0,
};
/// Whoever reads fdinfo has the mutex while it prints all items, and closing a watched file takes it too.
pub(super) const PATHS: Racers = Racers {
    writers: 1,
    files_each: 64,
    changers: 0,
    idle: 400,
    readers: 2,
    closers: 2,
};

/// CPUs of this process; a race takes two.
fn cpus() -> Result<Vec<usize>> {
    let cpus = allowed()?;
    if cpus.len() < 2 {
        bail!(
            "a race takes two CPUs, and this process may use one: run it with `taskset` on more, or in a VM with --smp 2"
        );
    }
    Ok(cpus)
}

/// Keeps the calling thread on the CPU numbered `place` in `cpus`, round robin.
fn stay(cpus: &[usize], place: usize) -> Result<(), Errno> {
    match place.checked_rem(cpus.len()).and_then(|index| cpus.get(index)) {
        Some(&cpu) => pin(cpu),
        None => Err(Errno::EINVAL),
    }
}

/// The epoll and everything it watches.
struct Stage {
    epoll: Epoll,
    stop: Stop,
    /// By writer.
    written: Vec<Vec<EventFd>>,
    /// One per changer.
    changed: Vec<EventFd>,
    idle: Vec<EventFd>,
}

impl Stage {
    fn new(racers: Racers) -> Result<Self> {
        allow_files(
            racers.writers * racers.files_each + racers.changers + racers.idle,
            "the racers",
            "take another scenario",
        )?;
        let many = |count: u64| (0..count).map(|_| eventfd()).collect::<Result<Vec<_>>>();
        let stage = Self {
            epoll: epoll()?,
            stop: Stop::new()?,
            written: (0..racers.writers)
                .map(|_| many(racers.files_each))
                .collect::<Result<_>>()?,
            changed: many(racers.changers)?,
            idle: many(racers.idle)?,
        };
        let input = EpollFlags::EPOLLIN;
        let edge = stage
            .written
            .iter()
            .flatten()
            .map(|file| (file, input | EpollFlags::EPOLLET));
        let level = stage.changed.iter().chain(&stage.idle).map(|file| (file, input));
        for (file, flags) in edge.chain(level) {
            stage
                .epoll
                .add(file, EpollEvent::new(flags, SOURCE))
                .context("cannot watch an eventfd")?;
        }
        stage.stop.watch(&stage.epoll)?;
        Ok(stage)
    }

    fn epfd(&self) -> RawFd {
        self.epoll.0.as_raw_fd()
    }

    /// Items that were added, the stop eventfd included.
    fn items(&self) -> u64 {
        let files = self.written.iter().map(Vec::len).sum::<usize>() + self.changed.len() + self.idle.len();
        files as u64 + 1
    }
}

/// Waits until told to stop, and leaves everything unread.
fn watch(place: &Place<'_>, epfd: RawFd) -> Result<(), Errno> {
    loop {
        if let Outcome::Events { stop: true, .. } = wait_once(place, epfd, -1)? {
            return Ok(());
        }
    }
}

/// Writes `events` times, to one file after the other.
fn write_in_turn(files: &[EventFd], events: u64) -> Result<()> {
    for (file, _) in files.iter().cycle().zip(0..events) {
        file.write(1).context("cannot write to an eventfd")?;
    }
    Ok(())
}

/// Changes the mask of one item `times`, so that no MOD leaves it as it was. The file is never ready.
fn change(epfd: RawFd, fd: RawFd, times: u64) -> Result<()> {
    let masks = [libc::EPOLLIN | libc::EPOLLPRI, libc::EPOLLIN];
    for (mask, _) in masks.iter().cycle().zip(0..times) {
        control(epfd, libc::EPOLL_CTL_MOD, fd, mask.cast_unsigned(), SOURCE)
            .context("cannot change an item")?;
    }
    Ok(())
}

/// Reads all of the epoll's fdinfo, as often as told.
fn show(epfd: RawFd, times: u64) -> Result<()> {
    let path = format!("/proc/self/fdinfo/{epfd}");
    for _ in 0..times {
        std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
    }
    Ok(())
}

/// Adds a file that is never ready and closes it, until told that it is `over`. Gives how often.
fn close(epfd: RawFd, over: &AtomicBool) -> Result<u64> {
    let mut times = 0;
    while !over.load(Ordering::Relaxed) {
        times += 1;
        let file = eventfd()?;
        let input = libc::EPOLLIN.cast_unsigned();
        control(epfd, libc::EPOLL_CTL_ADD, file.as_raw_fd(), input, SOURCE)
            .context("cannot watch an eventfd")?;
    }
    Ok(times)
}

/// Runs the racers to their end; waiters are on the first CPUs, racers go round from the second on. Gives how many files were
/// added and closed.
fn race(racers: Racers, stage: &Stage, cpus: &[usize], events: u64) -> Result<u64> {
    let over = AtomicBool::new(false);
    let writers = stage.written.len() as u64;
    std::thread::scope(|scope| {
        let mut running: Vec<ScopedJoinHandle<'_, Result<()>>> = Vec::new();
        for (files, number) in stage.written.iter().zip(0..) {
            // What cannot be shared evenly the first ones send.
            let share = events / writers + u64::from(number < events % writers);
            let place = running.len() + 1;
            running.push(scope.spawn(move || {
                stay(cpus, place).context("cannot pin a writer")?;
                write_in_turn(files, share)
            }));
        }
        for file in &stage.changed {
            let place = running.len() + 1;
            running.push(scope.spawn(move || {
                stay(cpus, place).context("cannot pin a thread")?;
                change(stage.epfd(), file.as_raw_fd(), events)
            }));
        }
        for _ in 0..racers.readers {
            let place = running.len() + 1;
            running.push(scope.spawn(move || {
                stay(cpus, place).context("cannot pin a reader")?;
                show(stage.epfd(), events.div_ceil(RARER))
            }));
        }
        let (first, over) = (running.len() + 1, &over);
        let close = |place| {
            scope.spawn(move || {
                stay(cpus, place).context("cannot pin a thread")?;
                close(stage.epfd(), over)
            })
        };
        let closers: Vec<_> = (first..)
            .zip(0..racers.closers)
            .map(|(place, _)| close(place))
            .collect();
        let done: Vec<_> = running.into_iter().map(joined).collect();
        over.store(true, Ordering::Relaxed);
        let closed: Vec<_> = closers.into_iter().map(joined).collect();
        done.into_iter().collect::<Result<()>>()?;
        closed.into_iter().sum()
    })
}

/// What a racer gave.
fn joined<T>(racer: ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    match racer.join() {
        Ok(result) => result,
        Err(_) => bail!("a racer panicked: this is a bug of epoll-trace, please report it"),
    }
}

/// `events` writes by `racers` on one epoll with `waiters`.
///
/// # Errors
/// With one CPU only, when the kernel refuses something, or no progress is made.
pub(super) fn run(racers: Racers, waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let cpus = Arc::new(cpus()?);
    let stage = Arc::new(Stage::new(racers)?);
    let mut crew = Crew::new(waiters, 0)?;
    for place in 0..waiters {
        let (stage, cpus) = (Arc::clone(&stage), Arc::clone(&cpus));
        crew.spawn(move |slot| {
            stay(&cpus, place)?;
            watch(slot, stage.epfd())
        })?;
    }
    crew.begin(start)?;
    let closed = race(racers, &stage, &cpus, events)?;
    // A stop that meets a waiter at work could end one waiter for two stops.
    crew.settle(&Need::default())?;
    for done in 1..=waiters {
        stage.stop.fire()?;
        crew.settle(&Need {
            done,
            ..Need::default()
        })?;
    }
    crew.finish()?;
    let count = waiters as u64;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: 1,
            notifications: events + count,
            raced: true,
            ctl: Some(Ctl {
                ctl_add: stage.items() + closed,
                ctl_mod: racers.changers * events,
                ..Ctl::default()
            }),
            ..Known::default()
        },
    ))
}
