//! Processes with an own epoll each, all on one file: the thundering herd, with and without EPOLLEXCLUSIVE, and behind an epoll.

use std::os::fd::AsRawFd as _;

use anyhow::{Context as _, Result};
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::crew::{Crew, Need, Start};
use super::expect::{Ctl, Known};
use super::source::{Kind, Source, Stop, epoll, epoll_on};
use super::waiter::{Duty, Rearm, SOURCE, serve};

/// Whom an event wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wakes {
    /// Everybody.
    All,
    /// One, by EPOLLEXCLUSIVE: the first in the queue, as long as it sleeps.
    One,
    /// One, who then goes to the end of the queue.
    InTurn,
}

/// `events` on one file of `kind`, watched by `waiters` processes.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(
    kind: Kind,
    wakes: Wakes,
    waiters: usize,
    events: u64,
    start: Start,
) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let exclusive = wakes != Wakes::All;
    let mode = if exclusive {
        EpollFlags::EPOLLEXCLUSIVE
    } else {
        EpollFlags::empty()
    };
    let again = (EpollFlags::EPOLLIN | mode).bits().cast_unsigned();
    let mut epolls = Vec::with_capacity(waiters);
    let mut stops = Vec::with_capacity(waiters);
    let mut crew = Crew::new(waiters, events)?;
    for _ in 0..waiters {
        let epoll = epoll_on(&source, mode)?;
        let stop = Stop::new()?;
        stop.watch(&epoll)?;
        let duty = Duty {
            epfd: epoll.0.as_raw_fd(),
            fd: source.fd(),
            take: source.take(),
            rearm: (wakes == Wakes::InTurn).then_some(Rearm::Requeue(again)),
            quota: None,
        };
        crew.fork(|place| serve(place, &duty))?;
        epolls.push(epoll);
        stops.push(stop);
    }
    crew.begin(start)?;
    // All are woken by each event; with EPOLLEXCLUSIVE one is, and that it took the event shows it was.
    let woken = if exclusive { 0..0 } else { 0..waiters };
    for sent in 1..=events {
        crew.stamp(0..waiters);
        source.fire()?;
        crew.settle(&Need {
            woken: woken.clone(),
            consumed: sent,
            done: 0,
        })?;
    }
    let deliveries = crew.arena().sum(|slot| &slot.deliveries_slept);
    for stop in &stops {
        stop.fire()?;
    }
    crew.finish()?;
    let count = waiters as u64;
    let wakeups_source = if exclusive { events } else { events * count } + count;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count,
            notifications: source.notifications(events, events, count, exclusive) + count,
            unasked: source.unasked(events, count),
            wakeups_source,
            // Every delivery but the last queued its item again, and the next wait polled it for nothing: unless it was removed.
            scans: Some(match wakes {
                Wakes::InTurn => wakeups_source,
                _ => wakeups_source + deliveries,
            }),
            ctl: (wakes == Wakes::InTurn).then_some(Ctl {
                ctl_add: 2 * count + events,
                ctl_del: events,
                ..Ctl::default()
            }),
            ..Known::default()
        },
    ))
}

/// `events` on a pipe in an epoll that the epolls of `waiters` processes watch: each wakes all of them.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_nested(waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Pipe)?;
    let inner = epoll_on(&source, EpollFlags::empty())?;
    let mut outers = Vec::with_capacity(waiters);
    let mut crew = Crew::new(waiters, events)?;
    for _ in 0..waiters {
        let outer = epoll()?;
        outer
            .add(&inner.0, EpollEvent::new(EpollFlags::EPOLLIN, SOURCE))
            .context("cannot watch an epoll with an epoll")?;
        let stop = Stop::new()?;
        stop.watch(&outer)?;
        let duty = Duty {
            epfd: outer.0.as_raw_fd(),
            fd: source.fd(),
            take: source.take(),
            rearm: None,
            quota: None,
        };
        crew.fork(|place| serve(place, &duty))?;
        outers.push((outer, stop));
    }
    crew.begin(start)?;
    for sent in 1..=events {
        crew.stamp(0..waiters);
        source.fire()?;
        crew.settle(&Need {
            woken: 0..waiters,
            consumed: sent,
            done: 0,
        })?;
    }
    for (_, stop) in &outers {
        stop.fire()?;
    }
    crew.finish()?;
    let count = waiters as u64;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count + 1,
            notifications: events + events * count + count,
            wakeups_source: events * count + count,
            // Nobody sleeps on the inner epoll.
            queued: events,
            nested: events * count,
            ..Known::default()
        },
    ))
}
