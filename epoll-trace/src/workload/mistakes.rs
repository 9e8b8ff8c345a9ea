//! What programs do wrong with epoll, on demand and with its numbers: a level left unread, a close that removes nothing,
//! one accept for many connections, epoll_ctl without need.

use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsRawFd as _, IntoRawFd as _, RawFd};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::EpollFlags;
use nix::unistd::pipe2;

use super::arena::Place;
use super::crew::{Crew, Start};
use super::expect::{Ctl, Known};
use super::single::drive;
use super::source::{Kind, Source, epoll, epoll_on};
use super::waiter::{SOURCE, Take, control, read8, take, wait_once};

/// `waits` waits that all return the one byte nobody reads; then it is read.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_unread(waits: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Pipe)?;
    let epoll = epoll_on(&source, EpollFlags::empty())?;
    let (epfd, fd, how) = (epoll.0.as_raw_fd(), source.fd(), source.take());
    // All but the first latency would be the age of the byte: none is kept.
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| {
        for _ in 0..waits {
            wait_once(place, epfd, -1)?;
        }
        take(place, fd, how)
    })?;
    crew.begin(start)?;
    source.fire()?;
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: 1,
            epolls: 1,
            notifications: source.notifications(1, 1, 1, false),
            wakeups_source: 1,
            scans: Some(waits),
            ..Known::default()
        },
    ))
}

/// The waiter closes its descriptor of the watched pipe without EPOLL_CTL_DEL but holds a duplicate: `events` still come, and
/// nothing removes the item any more. The number is gone (EBADF), and to epoll the duplicate is another item (ENOENT).
///
/// # Errors
/// When the kernel refuses something, accepts what it must refuse, or no progress is made.
pub(super) fn run_dup_close(events: u64, start: Start) -> Result<(Crew, Known)> {
    let mut source = Source::new(Kind::Pipe)?;
    let epoll = epoll_on(&source, EpollFlags::empty())?;
    let (epfd, fd, how) = (epoll.0.as_raw_fd(), source.fd(), source.take());
    let mut crew = Crew::new(1, events)?;
    crew.fork(|place| {
        // SAFETY: makes a descriptor; touches no memory.
        let kept = Errno::result(unsafe { libc::dup(fd) })?;
        // SAFETY: the child's own descriptor, which nothing in the child uses after this.
        Errno::result(unsafe { libc::close(fd) })?;
        for _ in 0..events {
            wait_once(place, epfd, -1)?;
            take(place, kept, how)?;
        }
        refused(Errno::EBADF, control(epfd, libc::EPOLL_CTL_DEL, fd, 0, 0))?;
        refused(Errno::ENOENT, control(epfd, libc::EPOLL_CTL_DEL, kept, 0, 0))
    })?;
    crew.begin(start)?;
    drive(&mut crew, &mut source, events)?;
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: 1,
            notifications: source.notifications(events, events, 1, false),
            wakeups_source: events,
            scans: Some(2 * events - 1),
            ctl: Some(Ctl {
                ctl_add: 1,
                ctl_ebadf: 1,
                ctl_enoent: 1,
                ..Ctl::default()
            }),
            ..Known::default()
        },
    ))
}

/// Connections of one burst.
const BURST: u64 = 4;
/// The wait in vain after each burst.
const IN_VAIN_MS: i32 = 5;
/// A connection that is not there after so many looks will not come.
const LOOKS: u32 = 1000;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);

/// `bursts` times: a burst of [`BURST`] connections is one edge, hence one event, and the waiter accepts once; the next wait
/// finds nothing although the others are there. They are stranded until the next connection comes, and more after each burst.
/// The waiter connects itself, so the burst is complete before it waits. With `stay_ms` the last wait lasts so long.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run_single_accept(bursts: u64, stay_ms: Option<u32>) -> Result<(Crew, Known)> {
    let source = Source::new(Kind::Tcp)?;
    let epoll = epoll_on(&source, EpollFlags::EPOLLET)?;
    let address = source.address().context("a listener without an address")?;
    let (epfd, fd) = (epoll.0.as_raw_fd(), source.fd());
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| {
        for before in 0..bursts {
            connect(address, fd, BURST, before * (BURST - 1))?;
            wait_once(place, epfd, -1)?;
            take(place, fd, Take::Accept)?;
            let last = stay_ms.filter(|_| before + 1 == bursts);
            wait_once(place, epfd, last.map_or(IN_VAIN_MS, |stay| stay as i32))?;
        }
        Ok(())
    })?;
    crew.finish()?;
    let mut stranded = 0;
    while accepted(fd)? {
        stranded += 1;
    }
    let sent = bursts * BURST;
    Ok((
        crew,
        Known {
            events_sent: sent,
            epolls: 1,
            notifications: source.notifications(sent, bursts, 1, false),
            queued: sent,
            scans: Some(bursts),
            stranded: Some(stranded),
            ..Known::default()
        },
    ))
}

/// Makes `count` connections, left open until the process ends, and waits until all are there to accept besides `before` others.
fn connect(address: SocketAddr, listener: RawFd, count: u64, before: u64) -> Result<(), Errno> {
    for _ in 0..count {
        let client = TcpStream::connect(address)
            .map_err(|error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
        let _left_open = client.into_raw_fd();
    }
    for _ in 0..LOOKS {
        if backlog(listener)? >= before + count {
            return Ok(());
        }
        std::thread::sleep(LOOK);
    }
    Err(Errno::ETIMEDOUT)
}

/// Connections that wait to be accepted: of a listener, TCP_INFO has them as `tcpi_unacked` (tcp_get_info, net/ipv4/tcp.c).
fn backlog(listener: RawFd) -> Result<u64, Errno> {
    // SAFETY: `tcp_info` is plain integers, so zero is valid.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = size_of::<libc::tcp_info>() as libc::socklen_t;
    // SAFETY: `info` has room for `length` bytes, and both are valid for the time of the call.
    let result = unsafe {
        libc::getsockopt(
            listener,
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            (&raw mut info).cast(),
            &raw mut length,
        )
    };
    Errno::result(result).map(|_| info.tcpi_unacked.into())
}

/// Accepts and closes one connection, if there is one.
fn accepted(listener: RawFd) -> Result<bool> {
    match super::waiter::accept(listener) {
        Ok(()) => Ok(true),
        Err(Errno::EAGAIN) => Ok(false),
        Err(error) => Err(error).context("cannot accept what is stranded"),
    }
}

/// `rounds` times for one event: ADD, MOD, a MOD that changes nothing, DEL, and five calls that fail.
///
/// # Errors
/// When the kernel refuses something, or accepts what it must refuse.
pub(super) fn run_churn(rounds: u64) -> Result<(Crew, Known)> {
    let (near, far) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).context("cannot make a pipe")?;
    let epoll = epoll()?;
    let (epfd, near_fd, far_fd) = (epoll.0.as_raw_fd(), near.as_raw_fd(), far.as_raw_fd());
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| (0..rounds).try_for_each(|_| churn(place, epfd, near_fd, far_fd)))?;
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: rounds,
            epolls: 1,
            notifications: rounds,
            queued: rounds,
            scans: Some(rounds),
            ctl: Some(Ctl {
                ctl_add: rounds,
                ctl_mod: 2 * rounds,
                ctl_mod_same: rounds,
                ctl_del: rounds,
                ctl_eexist: rounds,
                ctl_enoent: 2 * rounds,
                ctl_ebadf: rounds,
                ctl_einval: rounds,
            }),
            ..Known::default()
        },
    ))
}

/// One round. The item is ready only between the write and the read, so no epoll_ctl queues it.
fn churn(place: &Place<'_>, epfd: RawFd, near: RawFd, far: RawFd) -> Result<(), Errno> {
    const ADD: i32 = libc::EPOLL_CTL_ADD;
    const MOD: i32 = libc::EPOLL_CTL_MOD;
    const DEL: i32 = libc::EPOLL_CTL_DEL;
    let input = libc::EPOLLIN.cast_unsigned();
    let more = input | libc::EPOLLPRI.cast_unsigned();
    control(epfd, ADD, near, input, SOURCE)?;
    refused(Errno::EEXIST, control(epfd, ADD, near, input, SOURCE))?;
    control(epfd, MOD, near, more, SOURCE)?;
    control(epfd, MOD, near, more, SOURCE)?;
    // SAFETY: a byte string is readable as far as it is long.
    Errno::result(unsafe { libc::write(far, b"x".as_ptr().cast(), 1) })?;
    wait_once(place, epfd, -1)?;
    take(place, near, Take::Read)?;
    control(epfd, DEL, near, 0, 0)?;
    refused(Errno::ENOENT, control(epfd, DEL, near, 0, 0))?;
    refused(Errno::ENOENT, control(epfd, MOD, near, input, SOURCE))?;
    refused(Errno::EBADF, control(epfd, ADD, -1, input, SOURCE))?;
    refused(Errno::EINVAL, control(epfd, ADD, epfd, input, SOURCE))?;
    // Nothing is left to read: a byte too many would make the next ADD find the pipe ready.
    refused(Errno::EAGAIN, read8(near))
}

/// Holds a call to the error it must give.
fn refused(expected: Errno, result: Result<(), Errno>) -> Result<(), Errno> {
    match result {
        Err(error) if error == expected => Ok(()),
        Err(other) => Err(other),
        // What must be refused was done: no errno says so.
        Ok(()) => Err(Errno::ENOTRECOVERABLE),
    }
}
