//! Connections that are read less of than there is.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::unistd::pipe2;

use super::arena::Place;
use super::crew::Crew;
use super::expect::Known;
use super::source::epoll;
use super::waiter::{add, read8, wait_once, write8};

/// What a connection gets: the first byte is read at once.
const REQUEST: [u8; 4] = [b'x'; 4];
/// The wait in vain after each request, or the work on it.
const PAUSE_MS: u32 = 5;
/// A request that is not there after so many looks will not come.
const LOOKS: u32 = 1000;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(1);
/// Epolls name connections by this word and those behind it: none is the file of a scenario's latency.
const FIRST: u64 = 2;

/// What becomes of the bytes behind the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    /// EPOLLET: no event tells of them any more.
    Lost,
    /// Level-triggered: they come again until all are read.
    Told,
    /// EPOLLONESHOT: the connection is not armed again, on purpose.
    Refused,
    /// EPOLLET, and the waiter is at work on the first byte until it reads them; another one waits on the epoll meanwhile.
    Taken,
}

impl Rest {
    const fn flags(self) -> EpollFlags {
        match self {
            Self::Lost | Self::Taken => EpollFlags::EPOLLET,
            Self::Told => EpollFlags::empty(),
            Self::Refused => EpollFlags::EPOLLET.union(EpollFlags::EPOLLONESHOT),
        }
    }

    /// Scans for each request: of a level also the one before the wait in vain.
    const fn scans(self) -> u64 {
        match self {
            Self::Told => REQUEST.len() as u64 + 1,
            Self::Lost | Self::Refused | Self::Taken => 1,
        }
    }
}

/// `count` connections, each of which gets one [`REQUEST`]. The waiter sends it itself, so it is complete before the wait. With `stay_ms` the
/// last pause lasts so long.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(rest: Rest, count: u64, stay_ms: Option<u32>) -> Result<(Crew, Known)> {
    let epoll = epoll()?;
    let mut pairs = Vec::new();
    for word in FIRST..FIRST + count {
        let pair = pair()?;
        let event = EpollEvent::new(EpollFlags::EPOLLIN | rest.flags(), word);
        epoll.add(&pair.0, event).context("cannot watch a connection")?;
        pairs.push(pair);
    }
    // Blocks, unlike all else: the second waiter begins with the last connection.
    let (go, gone) = pipe2(OFlag::O_CLOEXEC).context("cannot make a pipe")?;
    let stage = Arc::new(Stage {
        pairs,
        epoll,
        go,
        gone,
    });
    let last_ms = stay_ms.unwrap_or(PAUSE_MS);
    let mut crew = Crew::new(if rest == Rest::Taken { 2 } else { 1 }, 0)?;
    // Threads of one process, as most servers are.
    let first = Arc::clone(&stage);
    crew.spawn(move |place| first.read(place, rest, last_ms))?;
    if rest == Rest::Taken {
        let second = Arc::clone(&stage);
        crew.spawn(move |place| second.wait(place, last_ms))?;
    }
    crew.finish()?;
    let left = stage.connections().map(|connection| unread(connection.near));
    let stranded: u64 = left
        .sum::<Result<u64, Errno>>()
        .context("cannot look at a connection")?;
    Ok((
        crew,
        Known {
            events_sent: count,
            epolls: 1,
            notifications: count,
            queued: count,
            scans: Some(rest.scans() * count),
            stranded: Some(stranded),
            ..Known::default()
        },
    ))
}

/// What the waiters need; each of them keeps it open.
struct Stage {
    /// Watched ends first: closed before the others, they get no event of the end.
    pairs: Vec<(TcpStream, TcpStream)>,
    epoll: Epoll,
    go: OwnedFd,
    gone: OwnedFd,
}

impl Stage {
    fn connections(&self) -> impl ExactSizeIterator<Item = Connection> {
        self.pairs.iter().map(|(near, far)| Connection {
            near: near.as_raw_fd(),
            far: far.as_raw_fd(),
        })
    }

    /// One connection after the other; the last pause lasts `last_ms`.
    fn read(&self, place: &Place<'_>, rest: Rest, last_ms: u32) -> Result<(), Errno> {
        let (epfd, last) = (self.epoll.0.as_raw_fd(), self.pairs.len() - 1);
        for (nth, connection) in self.connections().enumerate() {
            connection.request(place, epfd)?;
            if nth == last {
                write8(self.gone.as_raw_fd())?;
            }
            let pause_ms = if nth == last { last_ms } else { PAUSE_MS };
            connection.rest(place, epfd, rest, pause_ms)?;
        }
        Ok(())
    }

    /// Once the last request was taken, a wait in vain.
    fn wait(&self, place: &Place<'_>, last_ms: u32) -> Result<(), Errno> {
        read8(self.go.as_raw_fd())?;
        wait_once(place, self.epoll.0.as_raw_fd(), last_ms as i32).map(drop)
    }
}

/// Both ends of a connection over loopback, the first one nonblocking.
fn pair() -> Result<(TcpStream, TcpStream)> {
    let made = || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let far = TcpStream::connect(listener.local_addr()?)?;
        let (near, _) = listener.accept()?;
        near.set_nonblocking(true)?;
        std::io::Result::Ok((near, far))
    };
    made().context("cannot connect on loopback: bring it up with `ip link set lo up`")
}

/// A watched connection, and the end that it is written to by.
#[derive(Clone, Copy)]
struct Connection {
    near: RawFd,
    far: RawFd,
}

impl Connection {
    /// Sends a request, waits for its event and takes the first byte.
    fn request(self, place: &Place<'_>, epfd: RawFd) -> Result<(), Errno> {
        // SAFETY: the bytes are readable as far as they are long.
        Errno::result(unsafe { libc::write(self.far, REQUEST.as_ptr().cast(), REQUEST.len()) })?;
        let mut looks = 0;
        while unread(self.near)? < REQUEST.len() as u64 {
            looks += 1;
            if looks == LOOKS {
                return Err(Errno::ETIMEDOUT);
            }
            std::thread::sleep(LOOK);
        }
        wait_once(place, epfd, -1)?;
        self.read_byte()?;
        add(&place.slot.consumed, 1);
        Ok(())
    }

    /// What becomes of the bytes behind the first.
    fn rest(self, place: &Place<'_>, epfd: RawFd, rest: Rest, pause_ms: u32) -> Result<(), Errno> {
        if rest == Rest::Told {
            for _ in 1..REQUEST.len() {
                wait_once(place, epfd, -1)?;
                self.read_byte()?;
            }
        }
        if rest != Rest::Taken {
            return wait_once(place, epfd, pause_ms as i32).map(drop);
        }
        std::thread::sleep(Duration::from_millis(pause_ms.into()));
        (1..REQUEST.len()).try_for_each(|_| self.read_byte())
    }

    fn read_byte(self) -> Result<(), Errno> {
        let mut byte = 0_u8;
        // SAFETY: `byte` has room for one.
        Errno::result(unsafe { libc::read(self.near, (&raw mut byte).cast(), 1) }).map(drop)
    }
}

/// Bytes that came and were not read.
fn unread(socket: RawFd) -> Result<u64, Errno> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: FIONREAD writes an int, and `bytes` is one.
    Errno::result(unsafe { libc::ioctl(socket, libc::FIONREAD, &raw mut bytes) })?;
    Ok(bytes.unsigned_abs().into())
}
