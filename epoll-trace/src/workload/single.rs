//! One waiter process on one epoll: every kind of file, every mode, and an epoll watched by an epoll.

use std::os::fd::{AsRawFd as _, RawFd};

use anyhow::{Context as _, Result};
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::crew::{Crew, Need, Start};
use super::expect::Known;
use super::source::{Kind, Source, epoll, epoll_on};
use super::waiter::{Duty, Rearm, SOURCE, serve};

/// How an epoll reports a ready file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Level-triggered.
    Level,
    /// EPOLLET.
    Edge,
    /// EPOLLONESHOT, armed again with EPOLL_CTL_MOD.
    Oneshot,
    /// Level-triggered, EPOLLEXCLUSIVE.
    Exclusive,
    /// The same, and taken out and put in again after each event, behind all others.
    InTurn,
}

impl Mode {
    /// Its flag.
    pub(super) fn flags(self) -> EpollFlags {
        match self {
            Self::Level => EpollFlags::empty(),
            Self::Edge => EpollFlags::EPOLLET,
            Self::Oneshot => EpollFlags::EPOLLONESHOT,
            Self::Exclusive | Self::InTurn => EpollFlags::EPOLLEXCLUSIVE,
        }
    }

    /// Whether an event wakes one waiter, however many epolls watch.
    pub(super) const fn wakes_one(self) -> bool {
        matches!(self, Self::Exclusive | Self::InTurn)
    }

    /// Whether a delivery puts the item back on the ready list (`ep_send_events`, fs/eventpoll.c).
    pub(super) const fn requeues(self) -> bool {
        matches!(self, Self::Level | Self::Exclusive)
    }

    /// What a waiter that got an event of descriptor `fd` does to it.
    pub(super) fn rearm(self, fd: RawFd) -> Option<Rearm> {
        matches!(self, Self::Oneshot | Self::InTurn).then(|| Rearm {
            fd,
            events: (EpollFlags::EPOLLIN | self.flags()).bits().cast_unsigned(),
            requeued: self == Self::InTurn,
        })
    }
}

/// Fires `events` one by one, each when the waiter sleeps, and sees the waiter off.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn drive(crew: &mut Crew, source: &mut Source, events: u64) -> Result<()> {
    for sent in 1..=events {
        crew.stamp(0..1);
        source.fire()?;
        crew.settle(&Need {
            woken: 0..1,
            consumed: sent,
            ..Need::default()
        })?;
    }
    crew.finish()
}

/// `events` on a file of `kind`, watched in `mode`.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(kind: Kind, mode: Mode, events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let epoll = epoll_on(&source, mode.flags())?;
    let duty = Duty {
        epfd: epoll.0.as_raw_fd(),
        fd: source.fd(),
        take: source.take(),
        rearm: mode.rearm(source.fd()),
        quota: Some(events),
    };
    let mut crew = Crew::new(1, events)?;
    crew.fork(|place| serve(place, &duty))?;
    crew.begin(start)?;
    drive(&mut crew, &mut source, events)?;
    // A level-triggered item is queued again by its delivery, and the next wait polls it for nothing first.
    let polled_again = if mode.requeues() { events - 1 } else { 0 };
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: 1,
            notifications: source.notifications(events, events, 1, false),
            unasked: source.unasked(events, 1),
            wakeups_source: events,
            scans: Some(events + polled_again),
            ..Known::default()
        },
    ))
}

/// `events` on a pipe watched by an inner epoll, which an outer one watches; the waiter waits on the outer.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_nested(events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Pipe)?;
    let inner = epoll_on(&source, EpollFlags::empty())?;
    let outer = epoll()?;
    outer
        .add(&inner.0, EpollEvent::new(EpollFlags::EPOLLIN, SOURCE))
        .context("cannot watch an epoll with an epoll")?;
    let duty = Duty {
        epfd: outer.0.as_raw_fd(),
        fd: source.fd(),
        take: source.take(),
        rearm: None,
        quota: Some(events),
    };
    let mut crew = Crew::new(1, events)?;
    crew.fork(|place| serve(place, &duty))?;
    crew.begin(start)?;
    drive(&mut crew, &mut source, events)?;
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: 2,
            // The pipe notifies the inner epoll, and that the outer one within the same call.
            notifications: 2 * source.notifications(events, events, 1, false),
            wakeups_source: events,
            // Nobody sleeps on the inner epoll.
            queued: source.notifications(events, events, 1, false),
            nested: source.notifications(events, events, 1, false),
            // The outer scans as any level-triggered one; each of its scans makes the inner scan, and so did EPOLL_CTL_ADD.
            scans: Some((2 * events - 1) + 2 * events),
            scans_polled: 2 * events,
            ..Known::default()
        },
    ))
}
