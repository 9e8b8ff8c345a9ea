//! The watched files: how to make one, fire one event on it, and how often that calls ep_poll_callback.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrIn, bind, listen, setsockopt, socket, sockopt,
};
use nix::sys::timerfd::{ClockId, TimerFd, TimerFlags};
use nix::unistd::{pipe2, write};

use super::waiter::{SOURCE, STOP, Take};

/// What kind of file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A pipe's read end; an event is one byte.
    Pipe,
    /// One end of a UNIX stream pair; an event is one byte.
    Socketpair,
    /// An eventfd; an event is a write of 1.
    Eventfd,
    /// A TCP listener on loopback; an event is a connect.
    Tcp,
    /// A timerfd; an event is an expiration.
    Timer,
}

/// A watched file and what it takes to fire events on it.
pub(super) struct Source {
    /// What kind of file.
    pub(super) kind: Kind,
    watched: Arc<OwnedFd>,
    far: Option<OwnedFd>,
    address: Option<SocketAddr>,
    client: Option<TcpStream>,
}

impl Source {
    /// Makes the file, nonblocking.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn new(kind: Kind) -> Result<Self> {
        let mut address = None;
        let (watched, far) = match kind {
            Kind::Pipe => {
                let (near, far) =
                    pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK).context("cannot make a pipe")?;
                (near, Some(far))
            }
            Kind::Socketpair => {
                let (near, far) = UnixStream::pair().context("cannot make a socket pair")?;
                near.set_nonblocking(true)
                    .context("cannot make a socket nonblocking")?;
                (near.into(), Some(far.into()))
            }
            Kind::Eventfd => (eventfd()?.into(), None),
            Kind::Timer => {
                let flags = TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK;
                let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).context("cannot make a timerfd")?;
                (timer.into(), None)
            }
            Kind::Tcp => {
                let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
                    .context("cannot listen on loopback: bring it up with `ip link set lo up`")?;
                listener
                    .set_nonblocking(true)
                    .context("cannot make the listener nonblocking")?;
                address = Some(
                    listener
                        .local_addr()
                        .context("cannot read the listener's address")?,
                );
                (listener.into(), None)
            }
        };
        Ok(Self {
            kind,
            watched: Arc::new(watched),
            far,
            address,
            client: None,
        })
    }

    /// A listener whose address others may have too: that of `address`, or one of its own.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn reusable(address: Option<SocketAddr>) -> Result<Self> {
        let made = || -> nix::Result<OwnedFd> {
            let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
            let listener = socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
            setsockopt(&listener, sockopt::ReusePort, &true)?;
            let port = address.map_or(0, |address| address.port());
            bind(listener.as_raw_fd(), &SockaddrIn::new(127, 0, 0, 1, port))?;
            listen(&listener, Backlog::MAXCONN)?;
            Ok(listener)
        };
        let listener = TcpListener::from(made().context("cannot listen on loopback with SO_REUSEPORT")?);
        let address = listener
            .local_addr()
            .context("cannot read the listener's address")?;
        Ok(Self {
            kind: Kind::Tcp,
            watched: Arc::new(listener.into()),
            far: None,
            address: Some(address),
            client: None,
        })
    }

    /// The watched file; a thread that uses it keeps a clone.
    pub(super) fn watched(&self) -> &Arc<OwnedFd> {
        &self.watched
    }

    /// Where a listener listens.
    pub(super) fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The watched file's descriptor.
    pub(super) fn fd(&self) -> RawFd {
        self.watched.as_raw_fd()
    }

    /// How a waiter takes an event off it.
    pub(super) fn take(&self) -> Take {
        if self.kind == Kind::Tcp {
            Take::Accept
        } else {
            Take::Read
        }
    }

    /// Fires one event.
    ///
    /// # Errors
    /// When the write or connect fails.
    pub(super) fn fire(&mut self) -> Result<()> {
        if self.kind == Kind::Timer {
            return expire_in(self.fd(), SOON_NS).context("cannot set a timerfd");
        }
        match (&self.far, self.address) {
            (Some(far), _) => {
                write(far, b"x").context("cannot write the event's byte")?;
            }
            (None, Some(address)) => {
                self.client = None;
                self.client = Some(connected(address)?);
            }
            (None, None) => {
                write(self.watched.as_fd(), &1_u64.to_ne_bytes()).context("cannot write to the eventfd")?;
            }
        }
        Ok(())
    }

    /// Calls of ep_poll_callback by `fired` events of which `taken` were taken off, with `watchers` epolls
    /// watching. A waker walks all entries, or with EPOLLEXCLUSIVE up to the first whose epoll has a sleeper.
    /// Reading an eventfd wakes its writers (EPOLLOUT), on the same queue and of interest to no entry, so
    /// that walk never stops early. Reading the others wakes no watched queue.
    pub(super) fn notifications(&self, fired: u64, taken: u64, watchers: u64, exclusive: bool) -> u64 {
        let by_writes = if exclusive { fired } else { fired * watchers };
        by_writes + self.unasked(taken, watchers)
    }

    /// Those of the above that are of interest to no entry.
    pub(super) fn unasked(&self, taken: u64, watchers: u64) -> u64 {
        if self.kind == Kind::Eventfd {
            taken * watchers
        } else {
            0
        }
    }
}

/// A new connection to `address`.
///
/// # Errors
/// When the kernel refuses it.
pub(super) fn connected(address: SocketAddr) -> Result<TcpStream> {
    let client = TcpStream::connect(address)
        .context("cannot connect on loopback: bring it up with `ip link set lo up`")?;
    // Closing then resets the connection: no TIME_WAIT, so many events do not use up the ports.
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&client, sockopt::Linger, &linger).context("cannot set SO_LINGER")?;
    Ok(client)
}

/// How far off an expiration is set: the waiter sleeps already.
const SOON_NS: libc::c_long = 100_000;

/// Arms a timerfd once, `ns` from now.
///
/// # Errors
/// The errno of timerfd_settime.
pub(super) fn expire_in(timer: RawFd, ns: libc::c_long) -> Result<(), Errno> {
    let never = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let once = libc::itimerspec {
        it_interval: never,
        it_value: libc::timespec {
            tv_sec: 0,
            tv_nsec: ns,
        },
    };
    // SAFETY: `once` is valid for the time of the call, and the old setting is not asked for.
    let result = unsafe { libc::timerfd_settime(timer, 0, &raw const once, std::ptr::null_mut()) };
    Errno::result(result).map(drop)
}

/// Ends waiters one at a time: edge-triggered and never read, so each write wakes one sleeper, by one notification.
pub(super) struct Stop(EventFd);

impl Stop {
    /// Makes the eventfd.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(super) fn new() -> Result<Self> {
        eventfd().map(Self)
    }

    /// Has `epoll` watch it.
    ///
    /// # Errors
    /// When epoll_ctl fails.
    pub(super) fn watch(&self, epoll: &Epoll) -> Result<()> {
        let event = EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, STOP);
        epoll.add(&self.0, event).context("cannot watch the stop eventfd")
    }

    /// Wakes one sleeper for good.
    ///
    /// # Errors
    /// When the write fails.
    pub(super) fn fire(&self) -> Result<()> {
        self.0.write(1).context("cannot write to the stop eventfd")?;
        Ok(())
    }
}

/// A nonblocking eventfd at 0.
///
/// # Errors
/// When the kernel refuses it.
pub(super) fn eventfd() -> Result<EventFd> {
    EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
        .context("cannot make an eventfd: raise the limit of open files (ulimit -n)")
}

/// A new epoll.
///
/// # Errors
/// When the kernel refuses it.
pub(super) fn epoll() -> Result<Epoll> {
    Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)
        .context("cannot make an epoll: raise the limit of open files (ulimit -n)")
}

/// A new epoll that watches `source` for input.
///
/// # Errors
/// When the kernel refuses the epoll, or epoll_ctl fails.
pub(super) fn epoll_on(source: &Source, mode: EpollFlags) -> Result<Epoll> {
    let epoll = epoll()?;
    epoll
        .add(
            source.watched().as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN | mode, SOURCE),
        )
        .with_context(|| format!("cannot watch a {:?}", source.kind))?;
    Ok(epoll)
}
