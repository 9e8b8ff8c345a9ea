//! Processes with an own epoll each, all on one file: the thundering herd, with and without EPOLLEXCLUSIVE.

use std::os::fd::AsRawFd as _;

use anyhow::Result;
use nix::sys::epoll::EpollFlags;

use super::crew::{Crew, Need, Start};
use super::expect::Known;
use super::source::{Kind, Source, Stop, epoll_on};
use super::waiter::{Duty, serve};

/// `events` on one file of `kind`, watched by `waiters` processes.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(
    kind: Kind,
    exclusive: bool,
    waiters: usize,
    events: u64,
    start: Start,
) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let mode = if exclusive {
        EpollFlags::EPOLLEXCLUSIVE
    } else {
        EpollFlags::empty()
    };
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
            rearm: None,
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
            // Every delivery but the last queued its item again, and the next wait polled it for nothing.
            scans: Some(wakeups_source + deliveries),
            ..Known::default()
        },
    ))
}
