//! Ends in the middle: waiters killed while they wait, epolls closed and their addresses used again.

use std::os::fd::AsRawFd as _;

use anyhow::Result;
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;

use super::arena::Place;
use super::crew::{Crew, Need};
use super::expect::Known;
use super::single::drive;
use super::source::{Kind, Source, epoll_on};
use super::waiter::{Duty, SOURCE, control, serve, take, wait_once};

/// `rounds` times: a new process on an epoll of its own takes one event, waits again, and is killed.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_killed(rounds: u64) -> Result<(Crew, Known)> {
    let mut crew = Crew::new(usize::try_from(rounds)?, 1)?;
    let mut notifications = 0;
    for (index, sent) in (1..=rounds).enumerate() {
        let mut source = Source::new(Kind::Pipe)?;
        let epoll = epoll_on(&source, EpollFlags::empty())?;
        let duty = Duty {
            epfd: epoll.0.as_raw_fd(),
            fd: source.fd(),
            take: source.take(),
            rearm: None,
            quota: None,
        };
        let child = crew.fork(|place| serve(place, &duty))?;
        // The child's copy is now the last one: the epoll dies with it.
        drop(epoll);
        crew.settle(&Need::default())?;
        crew.stamp(index..index + 1);
        source.fire()?;
        crew.settle(&Need {
            woken: index..index + 1,
            consumed: sent,
            ..Need::default()
        })?;
        crew.kill(child)?;
        notifications += source.notifications(1, 1, 1, false);
    }
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: rounds,
            epolls: rounds,
            notifications,
            wakeups_source: rounds,
            killed: rounds,
            ..Known::default()
        },
    ))
}

/// `rounds` times: the waiter makes an epoll, takes one event through it and closes it, so that the kernel hands out
/// the same address and descriptor again.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_reuse(rounds: u64) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Pipe)?;
    let fd = source.fd();
    let how = source.take();
    let mut crew = Crew::new(1, rounds)?;
    let one = |place: &Place<'_>| {
        // SAFETY: makes a descriptor; touches no memory.
        let epfd = Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        control(
            epfd,
            libc::EPOLL_CTL_ADD,
            fd,
            libc::EPOLLIN.cast_unsigned(),
            SOURCE,
        )?;
        wait_once(place, epfd, -1)?;
        // SAFETY: made above, and nobody else knows it.
        Errno::result(unsafe { libc::close(epfd) })?;
        take(place, fd, how)
    };
    crew.fork(|place| (0..rounds).try_for_each(|_| one(place)))?;
    crew.settle(&Need::default())?;
    drive(&mut crew, &mut source, rounds)?;
    Ok((
        crew,
        Known {
            events_sent: rounds,
            epolls: rounds,
            notifications: source.notifications(rounds, rounds, 1, false),
            wakeups_source: rounds,
            scans: Some(rounds),
            ..Known::default()
        },
    ))
}
