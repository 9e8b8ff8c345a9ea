//! Timers that expire while their waiter scans. The interrupt comes on the scanning CPU, so no second one has to race with it.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::arena::Place;
use super::crew::Crew;
use super::expect::{Ctl, Known};
use super::files::allow_files;
use super::source::{Kind, Source, epoll, eventfd, expire_in};
use super::waiter::{SOURCE, Take, take, wait_once};

/// Files that are always ready, so that each scan is long, and each wait delivers.
const READY: u64 = 64;
/// Timers armed at once. With the above less than a wait has room for.
const TIMERS: u64 = 32;
/// From one expiration to the next, ns: several in each scan, even of a fast machine.
const APART_NS: libc::c_long = 5_000;
/// `epoll_event.data` of a file that is always ready.
const ALWAYS: u64 = 2;
/// Waits between two looks at the timers, which take time from scans.
const WAITS: u32 = 8;

/// `events` expirations of edge-triggered timers, round by round, while the waiter does nothing but wait with timeout 0.
/// How many of them meet a scan depends on the machine; all else is exact.
///
/// # Errors
/// When the kernel refuses something.
pub(super) fn run(events: u64) -> Result<(Crew, Known)> {
    allow_files(READY + TIMERS, "the watched files", "take another scenario")?;
    let epoll = epoll()?;
    let ready = (0..READY).map(|_| eventfd()).collect::<Result<Vec<_>>>()?;
    for file in &ready {
        file.write(1).context("cannot write to an eventfd")?;
        epoll
            .add(file, EpollEvent::new(EpollFlags::EPOLLIN, ALWAYS))
            .context("cannot watch an eventfd")?;
    }
    let timers = (0..TIMERS)
        .map(|_| Source::new(Kind::Timer))
        .collect::<Result<Vec<_>>>()?;
    let edge = EpollFlags::EPOLLIN | EpollFlags::EPOLLET;
    for timer in &timers {
        epoll
            .add(timer.watched(), EpollEvent::new(edge, SOURCE))
            .context("cannot watch a timerfd")?;
    }
    let epfd = epoll.0.as_raw_fd();
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| {
        let mut left = events;
        while left > 0 {
            let due = usize::try_from(left.min(TIMERS)).map_err(|_| Errno::EINVAL)?;
            round(place, epfd, timers.get(..due).unwrap_or(&timers))?;
            left -= due as u64;
        }
        Ok(())
    })?;
    crew.finish()?;
    let waits = crew.arena().sum(|slot| &slot.waits);
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: 1,
            notifications: events,
            queued: events,
            scans: Some(waits),
            overflows: true,
            ctl: Some(Ctl {
                ctl_add: READY + TIMERS,
                ..Ctl::default()
            }),
            ..Known::default()
        },
    ))
}

/// Has each of `timers` expire once, and waits until all have.
fn round(place: &Place<'_>, epfd: i32, timers: &[Source]) -> Result<(), Errno> {
    for (timer, number) in timers.iter().zip(1..) {
        expire_in(timer.fd(), number * APART_NS)?;
    }
    let taken = || place.slot.consumed.load(std::sync::atomic::Ordering::Relaxed);
    let all = taken() + timers.len() as u64;
    while taken() < all {
        for _ in 0..WAITS {
            wait_once(place, epfd, 0)?;
        }
        for timer in timers {
            // One that was read, or has not expired yet, gives nothing.
            take(place, timer.fd(), Take::Read)?;
        }
    }
    Ok(())
}
