//! A process that waits on its epoll through io_uring (IORING_OP_EPOLL_WAIT, Linux 6.15), never by epoll_wait.

use std::os::fd::{AsRawFd as _, RawFd};

use anyhow::{Context as _, Result, bail};
use io_uring::types::{Fd, epoll_event};
use io_uring::{IoUring, Probe, opcode};
use nix::errno::Errno;
use nix::sys::epoll::EpollFlags;

use super::arena::Place;
use super::crew::Crew;
use super::expect::Known;
use super::source::{Kind, Source, epoll_on};
use super::waiter::{Take, add, read8, take, write8};

/// Requests in flight: one wait at a time.
const ENTRIES: u32 = 2;
/// Room for events in one wait; one is ready.
const MAX_EVENTS: usize = 8;

/// `events` on an eventfd, each waited for through io_uring. Every other one is there before its wait begins; the others
/// find the wait pending.
///
/// # Errors
/// When the kernel has no such wait, or refuses io_uring or something else.
pub(super) fn run(events: u64) -> Result<(Crew, Known)> {
    let mut ring = ring()?;
    let source = Source::new(Kind::Eventfd)?;
    let epoll = epoll_on(&source, EpollFlags::EPOLLET)?;
    let (epfd, fd) = (epoll.0.as_raw_fd(), source.fd());
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| wait_all(place, &mut ring, epfd, fd, events))?;
    crew.finish()?;
    let (waits, found) = (
        crew.arena().sum(|slot| &slot.uring_waits),
        crew.arena().sum(|slot| &slot.uring_events),
    );
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: 1,
            notifications: source.notifications(events, events, 1, false),
            unasked: source.unasked(events, 1),
            // Nobody sleeps on the epoll itself: io_uring polls it.
            queued: events,
            uring_waits: waits,
            uring_events: found,
            ..Known::default()
        },
    ))
}

/// A ring, made before the fork since that takes memory, if this kernel has such waits and lets us.
fn ring() -> Result<IoUring> {
    let ring = IoUring::new(ENTRIES)
        .context("io_uring is not to be had here: the kernel, kernel.io_uring_disabled or a filter of system calls refuses it")?;
    let mut probe = Probe::new();
    ring.submitter()
        .register_probe(&mut probe)
        .context("cannot ask what io_uring can")?;
    if !probe.is_supported(opcode::EpollWait::CODE) {
        bail!("this kernel's io_uring cannot wait on an epoll: that came with Linux 6.15");
    }
    Ok(ring)
}

/// The waiter: it sends each event itself.
fn wait_all(place: &Place<'_>, ring: &mut IoUring, epfd: RawFd, fd: RawFd, events: u64) -> Result<(), Errno> {
    let mut room = [libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS];
    let wait = opcode::EpollWait::new(
        Fd(epfd),
        room.as_mut_ptr().cast::<epoll_event>(),
        MAX_EVENTS as u32,
    )
    .build();
    for event in 0..events {
        let pending = event % 2 == 0;
        if !pending {
            write8(fd)?;
        }
        // SAFETY: `room` outlives the request, which is complete before the next one.
        unsafe { ring.submission().push(&wait) }.map_err(|_| Errno::EBUSY)?;
        if pending {
            ring.submit().map_err(errno)?;
            write8(fd)?;
        }
        ring.submit_and_wait(1).map_err(errno)?;
        let entry = ring.completion().next().ok_or(Errno::EIO)?;
        let found = u64::try_from(entry.result()).map_err(|_| Errno::from_raw(-entry.result()))?;
        add(&place.slot.uring_waits, 1);
        add(&place.slot.uring_events, found);
        take(place, fd, Take::Read)?;
    }
    // Nothing is left to read.
    match read8(fd) {
        Err(Errno::EAGAIN) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(Errno::ENOTRECOVERABLE),
    }
}

fn errno(error: std::io::Error) -> Errno {
    Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO))
}
