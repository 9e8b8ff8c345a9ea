//! What runs in a waiter: epoll_wait, count, take the event, again.
//! System calls and atomics only, because it also runs after a fork of a process with threads.

use std::os::fd::RawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use nix::errno::Errno;

use super::arena::Place;

/// `epoll_event.data` of the file the scenario is about.
pub(super) const SOURCE: u64 = 0;
/// `epoll_event.data` of the eventfd that ends the waiter.
pub(super) const STOP: u64 = 1;

/// Room for events in one wait. More than a scenario ever makes ready, so that no delivery fills it.
const MAX_EVENTS: usize = 128;

/// How a waiter takes an event off the watched file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Take {
    /// Read up to eight bytes: a pipe's or socket's single byte, an eventfd's counter.
    Read,
    /// Accept and close.
    Accept,
    /// Leave it: edge-triggered, and nobody looks at the content.
    Leave,
}

/// What a waiter is there for. Descriptors are borrowed from the generator, which keeps them open while it runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Duty {
    /// The epoll to wait on.
    pub(super) epfd: RawFd,
    /// The watched file.
    pub(super) fd: RawFd,
    /// How to take an event off it.
    pub(super) take: Take,
    /// What it does to its item after each event.
    pub(super) rearm: Option<Rearm>,
    /// Stop after so many deliveries; without it only [`STOP`] ends the waiter.
    pub(super) quota: Option<u64>,
}

/// An item that is set up again after each event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rearm {
    /// Its descriptor.
    pub(super) fd: RawFd,
    /// Its mask and flags.
    pub(super) events: u32,
    /// By EPOLL_CTL_DEL and EPOLL_CTL_ADD, behind all others in the file's wait queue; else by EPOLL_CTL_MOD.
    pub(super) requeued: bool,
}

/// How one wait ended.
pub(super) enum Outcome {
    /// With events; `stop` if [`STOP`] was among them, `source` if the scenario's file was.
    Events { source: bool, stop: bool },
    /// With nothing.
    Empty,
    /// By a signal.
    Interrupted,
}

/// CLOCK_MONOTONIC in ns.
pub(super) fn now_ns() -> u64 {
    let mut now = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `now` is a valid place for the result; the call cannot fail with this clock.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    u64::try_from(now.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or(0)
}

/// Voluntary context switches of the calling thread: the kernel's `nvcsw`, which `/proc/PID/task/TID/status` shows too.
fn own_switches() -> u64 {
    // SAFETY: `rusage` is plain integers, so zero is valid.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: `usage` is a valid place for the result; the call cannot fail with these arguments.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, &raw mut usage) };
    u64::try_from(usage.ru_nvcsw).unwrap_or(0)
}

/// Only the waiter itself writes its counters, so no read-modify-write is needed.
pub(super) fn add(counter: &AtomicU64, by: u64) {
    counter.store(counter.load(Ordering::Relaxed) + by, Ordering::Release);
}

/// One epoll_wait, counted. Between the announcement and the call nothing can block.
///
/// # Errors
/// The errno of epoll_wait, EINTR excepted.
pub(super) fn wait_once(place: &Place<'_>, epfd: RawFd, timeout_ms: i32) -> Result<Outcome, Errno> {
    let slot = place.slot;
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; MAX_EVENTS];
    let before = own_switches();
    slot.entry_switches.store(before, Ordering::Release);
    add(&slot.entered, 1);
    // SAFETY: `events` has room for MAX_EVENTS events.
    let returned = unsafe { libc::epoll_wait(epfd, events.as_mut_ptr(), MAX_EVENTS as i32, timeout_ms) };
    let at = now_ns();
    let error = Errno::last();
    let sleeps = own_switches() - before;
    add(&slot.waits, 1);
    add(&slot.sleeps, sleeps);
    match usize::try_from(returned) {
        Ok(0) => {
            let counter = if timeout_ms == 0 {
                &slot.zero_timeouts
            } else {
                &slot.timeouts
            };
            add(counter, 1);
            Ok(Outcome::Empty)
        }
        Ok(count) => {
            let counter = if sleeps > 0 {
                &slot.deliveries_slept
            } else {
                &slot.deliveries_at_once
            };
            add(counter, 1);
            add(&slot.events, count as u64);
            let has = |data| events.iter().take(count).any(|event| event.u64 == data);
            let outcome = Outcome::Events {
                source: has(SOURCE),
                stop: has(STOP),
            };
            if has(SOURCE) {
                place.sample(at.saturating_sub(slot.sent_ns.load(Ordering::Acquire)));
            }
            Ok(outcome)
        }
        Err(_) if error == Errno::EINTR => {
            add(&slot.interrupted, 1);
            Ok(Outcome::Interrupted)
        }
        Err(_) => Err(error),
    }
}

/// Takes one event off `fd`, counted.
///
/// # Errors
/// The errno of read or accept4, EAGAIN excepted.
pub(super) fn take(place: &Place<'_>, fd: RawFd, how: Take) -> Result<(), Errno> {
    let result = match how {
        Take::Read => read8(fd),
        Take::Accept => accept(fd),
        Take::Leave => Ok(()),
    };
    match result {
        Ok(()) => add(&place.slot.consumed, 1),
        Err(Errno::EAGAIN) => add(&place.slot.eagain, 1),
        Err(error) => return Err(error),
    }
    Ok(())
}

/// Reads up to eight bytes off a nonblocking file.
///
/// # Errors
/// The errno of read.
pub(super) fn read8(fd: RawFd) -> Result<(), Errno> {
    let mut bytes = [0_u8; 8];
    // SAFETY: `bytes` has room for its own length.
    let read = unsafe { libc::read(fd, bytes.as_mut_ptr().cast(), bytes.len()) };
    Errno::result(read).map(drop)
}

/// Writes 1 to an eventfd.
///
/// # Errors
/// The errno of write; EAGAIN would need 2^64 - 1 unread writes.
pub(super) fn write8(fd: RawFd) -> Result<(), Errno> {
    let one = 1_u64;
    // SAFETY: `one` is eight bytes long.
    let written = unsafe { libc::write(fd, (&raw const one).cast(), size_of::<u64>()) };
    Errno::result(written).map(drop)
}

/// Accepts one connection and closes it.
///
/// # Errors
/// The errno of accept4.
pub(super) fn accept(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: null addresses are allowed and mean that the peer's address is not wanted.
    let accepted =
        unsafe { libc::accept4(fd, std::ptr::null_mut(), std::ptr::null_mut(), libc::SOCK_CLOEXEC) };
    let accepted = Errno::result(accepted)?;
    // SAFETY: the descriptor was just made and nobody else knows it.
    unsafe { libc::close(accepted) };
    Ok(())
}

/// epoll_ctl with an event mask and data.
///
/// # Errors
/// The errno of epoll_ctl.
pub(super) fn control(epfd: RawFd, op: i32, fd: RawFd, events: u32, data: u64) -> Result<(), Errno> {
    let mut event = libc::epoll_event { events, u64: data };
    // SAFETY: `event` is a valid event for the time of the call.
    Errno::result(unsafe { libc::epoll_ctl(epfd, op, fd, &raw mut event) }).map(drop)
}

fn set_up(epfd: RawFd, item: Rearm) -> Result<(), Errno> {
    let call = |op| control(epfd, op, item.fd, item.events, SOURCE);
    if !item.requeued {
        return call(libc::EPOLL_CTL_MOD);
    }
    call(libc::EPOLL_CTL_DEL)?;
    call(libc::EPOLL_CTL_ADD)
}

/// Waits and takes until the quota is reached or [`STOP`] arrives.
///
/// # Errors
/// The first errno of a system call that has to succeed.
pub(super) fn serve(place: &Place<'_>, duty: &Duty) -> Result<(), Errno> {
    serve_after(place, duty, || {})
}

/// As [`serve`], with `before` between the return of a wait and the event taken.
///
/// # Errors
/// As of [`serve`].
pub(super) fn serve_after(place: &Place<'_>, duty: &Duty, before: impl Fn()) -> Result<(), Errno> {
    let mut deliveries = 0_u64;
    loop {
        let Outcome::Events { source, stop } = wait_once(place, duty.epfd, -1)? else {
            continue;
        };
        if source {
            before();
            take(place, duty.fd, duty.take)?;
            if let Some(rearm) = duty.rearm {
                set_up(duty.epfd, rearm)?;
            }
        }
        deliveries += 1;
        if stop || duty.quota.is_some_and(|quota| deliveries >= quota) {
            return Ok(());
        }
    }
}
