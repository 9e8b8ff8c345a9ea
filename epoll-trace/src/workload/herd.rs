//! Processes with an own epoll each, all on one file: the thundering herd, with all that epoll_ctl offers against it. The file may be
//! an epoll, which watches the one with the events.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd as _, RawFd};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};

use super::crew::{Crew, Need, Start};
use super::expect::{Ctl, Known, Reach};
use super::single::Mode;
use super::source::{Kind, Source, Stop, connected, epoll, epoll_on};
use super::waiter::{Duty, Rearm, SOURCE, serve, serve_after};

/// `events` on one file of `kind`, watched by `waiters` processes.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(
    kind: Kind,
    mode: Mode,
    waiters: usize,
    events: u64,
    start: Start,
) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let exclusive = mode.wakes_one();
    let herd = Herd {
        rearm: mode.rearm(source.fd()),
        source: &mut source,
        waiters,
        events,
        woken: if exclusive { 0 } else { waiters },
    };
    let (crew, deliveries) = drive(herd, start, |source| epoll_on(source, mode.flags()))?;
    let count = waiters as u64;
    let woken = if exclusive { 1 } else { count };
    let wakeups_source = woken * events + count;
    // Level-triggered, every delivery but the last queued its item again, and the next wait polled it for nothing.
    let polled_again = if mode.requeues() { deliveries } else { 0 };
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count,
            notifications: source.notifications(events, events, count, exclusive) + count,
            unasked: source.unasked(events, count),
            wakeups_source,
            scans: Some(wakeups_source + polled_again),
            ctl: (mode == Mode::InTurn).then_some(Ctl {
                ctl_add: 2 * count + events,
                ctl_del: events,
                ..Ctl::default()
            }),
            reach: Some(Reach {
                items: count,
                fan_out: woken,
                woken_per_event: woken,
                chain_per_event: Some(0),
                passed_on_per_event: 0,
            }),
            ..Known::default()
        },
    ))
}

/// The same, but the epolls watch one epoll, which watches the file. Where that is [`Mode::Exclusive`], it is this inner item: an epoll cannot
/// be watched so (EINVAL).
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_nested(
    kind: Kind,
    mode: Mode,
    waiters: usize,
    events: u64,
    start: Start,
) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let (inside, outside) = match mode {
        Mode::Exclusive | Mode::InTurn => (Mode::Exclusive, Mode::Level),
        Mode::Level | Mode::Edge | Mode::Oneshot => (Mode::Level, mode),
    };
    let inner = epoll_on(&source, inside.flags())?;
    let watch = |_: &Source| {
        let outer = epoll()?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | outside.flags(), SOURCE);
        outer
            .add(&inner.0, event)
            .context("cannot watch an epoll with an epoll")?;
        Ok(outer)
    };
    let herd = Herd {
        rearm: outside.rearm(inner.0.as_raw_fd()),
        source: &mut source,
        waiters,
        events,
        woken: waiters,
    };
    let (crew, _) = drive(herd, start, watch)?;
    let count = waiters as u64;
    let inside = source.notifications(events, events, 1, false);
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count + 1,
            // The file notifies the inner epoll, and that all outer ones within the same call.
            notifications: inside + events * count + count,
            unasked: source.unasked(events, 1),
            nested: events * count,
            // Nobody sleeps on the inner epoll.
            queued: events,
            wakeups_source: events * count + count,
            // How often the inner one is scanned depends on who comes first.
            scans: None,
            reach: Some(Reach {
                items: count,
                fan_out: count,
                woken_per_event: count,
                chain_per_event: Some(0),
                passed_on_per_event: 0,
            }),
            ..Known::default()
        },
    ))
}

/// `events` on one listener, watched by `waiters` processes with EPOLLEXCLUSIVE, and before them by an epoll that nobody waits on: the kernel notifies
/// that first each time, and goes on to the next.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_idle_first(waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Tcp)?;
    let _idle = epoll_on(&source, EpollFlags::EPOLLEXCLUSIVE)?;
    let herd = Herd {
        rearm: None,
        source: &mut source,
        waiters,
        events,
        woken: 0,
    };
    let (crew, deliveries) = drive(herd, start, |source| epoll_on(source, EpollFlags::EPOLLEXCLUSIVE))?;
    let count = waiters as u64;
    let wakeups_source = events + count;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count + 1,
            notifications: 2 * events + count,
            queued: events,
            wakeups_source,
            scans: Some(wakeups_source + deliveries),
            reach: Some(Reach {
                items: count + 1,
                fan_out: 2,
                woken_per_event: 1,
                chain_per_event: Some(0),
                passed_on_per_event: 1,
            }),
            ..Known::default()
        },
    ))
}

/// `events` connections to one address at which each of `waiters` processes has a listener of its own (SO_REUSEPORT). The kernel chooses by the
/// addresses of both ends.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_reuseport(waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::reusable(None)?;
    let others: Vec<Source> = (1..waiters)
        .map(|_| Source::reusable(source.address()))
        .collect::<Result<_>>()?;
    let mut own = others.iter();
    let mut watch = |first: &Source| {
        // The last waiter gets the socket whose address the others took.
        let source = own.next().unwrap_or(first);
        Ok((epoll_on(source, EpollFlags::empty())?, source.fd()))
    };
    let herd = Herd {
        rearm: None,
        source: &mut source,
        waiters,
        events,
        woken: 0,
    };
    let (crew, deliveries) = drive_each(herd, start, &mut watch)?;
    let count = waiters as u64;
    let wakeups_source = events + count;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count,
            notifications: events + count,
            wakeups_source,
            scans: Some(wakeups_source + deliveries),
            ..Known::default()
        },
    ))
}

/// What the slow one of several listeners takes for each connection.
const SLOW: Duration = Duration::from_millis(100);
/// Connections that are not taken yet, at most: the kernel keeps more for one listener.
const IN_FLIGHT: u64 = 48;

/// As [`run_reuseport`], but the first waiter takes its time for each connection, and nobody waits for it: what the kernel gives it piles up
/// in its queue while the others' are empty.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_uneven(waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let first = Source::reusable(None)?;
    let address = first.address().context("a listener without an address")?;
    let others: Vec<Source> = (1..waiters)
        .map(|_| Source::reusable(Some(address)))
        .collect::<Result<_>>()?;
    let mut crew = Crew::new(waiters, 0)?;
    let mut ends = Vec::with_capacity(waiters);
    for (index, source) in [&first].into_iter().chain(&others).enumerate() {
        let (epoll, stop) = (epoll_on(source, EpollFlags::empty())?, Stop::new()?);
        stop.watch(&epoll)?;
        let duty = Duty {
            epfd: epoll.0.as_raw_fd(),
            fd: source.fd(),
            take: source.take(),
            rearm: None,
            quota: None,
        };
        let pause = if index == 0 { SLOW } else { Duration::ZERO };
        crew.fork(|place| serve_after(place, &duty, || std::thread::sleep(pause)))?;
        ends.push((epoll, stop));
    }
    crew.begin(start)?;
    // A reset may overtake the end of its own handshake, which another CPU is still to see: so none is closed at once.
    let mut clients = VecDeque::new();
    for sent in 0..events {
        crew.catch_up(sent.saturating_sub(IN_FLIGHT))?;
        clients.push_back(connected(address)?);
        if clients.len() as u64 > 2 * IN_FLIGHT {
            clients.pop_front();
        }
    }
    crew.catch_up(events)?;
    for (_, stop) in &ends {
        stop.fire()?;
    }
    crew.finish()?;
    let count = waiters as u64;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: count,
            notifications: events + count,
            ctl: Some(Ctl {
                ctl_add: 2 * count,
                ..Ctl::default()
            }),
            raced: true,
            ..Known::default()
        },
    ))
}

/// What is watched, and by whom.
struct Herd<'a> {
    source: &'a mut Source,
    /// What a waiter does to its item after each event.
    rearm: Option<Rearm>,
    waiters: usize,
    events: u64,
    /// These are woken by each event; of the others that the event was taken tells that one was.
    woken: usize,
}

/// Sends the events, each once all waiters sleep on the epolls that `watch` makes, and sees the waiters off.
fn drive(herd: Herd<'_>, start: Start, watch: impl Fn(&Source) -> Result<Epoll>) -> Result<(Crew, u64)> {
    drive_each(herd, start, &mut |source| Ok((watch(source)?, source.fd())))
}

/// As [`drive`], where `watch` also says the descriptor that the waiter takes events off.
fn drive_each(
    herd: Herd<'_>,
    start: Start,
    watch: &mut dyn FnMut(&Source) -> Result<(Epoll, RawFd)>,
) -> Result<(Crew, u64)> {
    let Herd {
        source,
        rearm,
        waiters,
        events,
        woken,
    } = herd;
    let mut epolls = Vec::with_capacity(waiters);
    let mut stops = Vec::with_capacity(waiters);
    let mut crew = Crew::new(waiters, events)?;
    for _ in 0..waiters {
        let (epoll, fd) = watch(source)?;
        let stop = Stop::new()?;
        stop.watch(&epoll)?;
        let duty = Duty {
            epfd: epoll.0.as_raw_fd(),
            fd,
            take: source.take(),
            rearm,
            quota: None,
        };
        crew.fork(|place| serve(place, &duty))?;
        epolls.push(epoll);
        stops.push(stop);
    }
    crew.begin(start)?;
    for sent in 1..=events {
        crew.stamp(0..waiters);
        source.fire()?;
        crew.settle(&Need {
            woken: 0..woken,
            consumed: sent,
            done: 0,
        })?;
    }
    let deliveries = crew.arena().sum(|slot| &slot.deliveries_slept);
    for stop in &stops {
        stop.fire()?;
    }
    crew.finish()?;
    Ok((crew, deliveries))
}
