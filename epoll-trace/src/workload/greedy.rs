//! A loop with one file that it stays at for long: the events of the others wait meanwhile.

use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::epoll::{EpollEvent, EpollFlags};

use super::arena::Place;
use super::crew::Crew;
use super::expect::Known;
use super::source::epoll;
use super::waiter::{add, wait_once};

/// What there is to read of the greedy file in each round, byte by byte.
const PIECES: [u8; 20] = [b'x'; 20];
/// What it takes to handle one of them.
const PIECE: Duration = Duration::from_millis(2);
/// Other files; each has an event in each round that finds the loop with nothing else to do.
const OTHERS: usize = 4;
/// Epolls name the greedy file by this word, and the others by those behind it: none is the file of a scenario's latency.
const GREEDY: u64 = 2;

/// How much the loop reads of the greedy file before it looks at the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Appetite {
    /// All there is, as EPOLLET wants it.
    Endless,
    /// One piece: level-triggered, what is left comes again.
    Piece,
}

impl Appetite {
    /// Waits for which the greedy file's bytes and the event beside them are delivered, in each round.
    const fn waits(self) -> u64 {
        match self {
            Self::Endless => 2,
            // That event comes together with the second piece.
            Self::Piece => PIECES.len() as u64,
        }
    }

    const fn flags(self) -> EpollFlags {
        match self {
            Self::Endless => EpollFlags::EPOLLET,
            Self::Piece => EpollFlags::empty(),
        }
    }
}

/// `rounds` times: an event of each of the other files, one by one; then [`PIECES`] of the greedy one, and while the loop is at the first
/// of them another event of another file. The loop sends all of it itself, so nothing depends on a second process.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(appetite: Appetite, rounds: u64) -> Result<(Crew, Known)> {
    let epoll = epoll()?;
    let mut pairs = Vec::new();
    for word in (GREEDY..).take(1 + OTHERS) {
        let pair = UnixStream::pair().context("cannot make a socket pair")?;
        pair.0
            .set_nonblocking(true)
            .context("cannot make a socket nonblocking")?;
        let how = if word == GREEDY {
            appetite.flags()
        } else {
            EpollFlags::EPOLLET
        };
        epoll
            .add(&pair.0, EpollEvent::new(EpollFlags::EPOLLIN | how, word))
            .context("cannot watch a socket")?;
        pairs.push(pair);
    }
    let mut files = pairs.iter().map(|(near, far)| File {
        near: near.as_raw_fd(),
        far: far.as_raw_fd(),
    });
    let greedy = files.next().context("there is no socket")?;
    let others: Vec<File> = files.collect();
    let epfd = epoll.0.as_raw_fd();
    let mut crew = Crew::new(1, 0)?;
    crew.fork(|place| {
        for _ in 0..rounds {
            for other in &others {
                other.send(b"x")?;
                wait_once(place, epfd, -1)?;
                other.read(place)?;
            }
            match appetite {
                Appetite::Endless => endless(place, epfd, greedy, others[0])?,
                Appetite::Piece => by_piece(place, epfd, greedy, others[0])?,
            }
        }
        Ok(())
    })?;
    crew.finish()?;
    let sent = rounds * (OTHERS as u64 + 2);
    Ok((
        crew,
        Known {
            events_sent: sent,
            epolls: 1,
            notifications: sent,
            queued: sent,
            scans: Some(rounds * (OTHERS as u64 + appetite.waits())),
            ..Known::default()
        },
    ))
}

/// A watched socket, and the one that it is written to by.
#[derive(Clone, Copy)]
struct File {
    near: RawFd,
    far: RawFd,
}

impl File {
    fn send(self, bytes: &[u8]) -> Result<(), Errno> {
        // SAFETY: `bytes` is readable as far as it is long.
        Errno::result(unsafe { libc::write(self.far, bytes.as_ptr().cast(), bytes.len()) }).map(drop)
    }

    /// Reads one byte.
    fn read_byte(self) -> Result<(), Errno> {
        let mut byte = 0_u8;
        // SAFETY: `byte` has room for one.
        Errno::result(unsafe { libc::read(self.near, (&raw mut byte).cast(), 1) }).map(drop)
    }

    /// Reads its one byte: an event taken.
    fn read(self, place: &Place<'_>) -> Result<(), Errno> {
        self.read_byte()?;
        add(&place.slot.consumed, 1);
        Ok(())
    }
}

/// Stays at the greedy file until nothing is left, then finds what came meanwhile.
fn endless(place: &Place<'_>, epfd: RawFd, greedy: File, other: File) -> Result<(), Errno> {
    greedy.send(&PIECES)?;
    wait_once(place, epfd, -1)?;
    other.send(b"x")?;
    for _ in PIECES {
        greedy.read_byte()?;
        std::thread::sleep(PIECE);
    }
    match greedy.read_byte() {
        Err(Errno::EAGAIN) => {}
        Err(other) => return Err(other),
        // There was more than was sent: no errno says so.
        Ok(()) => return Err(Errno::ENOTRECOVERABLE),
    }
    add(&place.slot.consumed, 1);
    wait_once(place, epfd, -1)?;
    other.read(place)
}

/// Takes a piece of the greedy file with each delivery, and the other event with the one that brings it.
fn by_piece(place: &Place<'_>, epfd: RawFd, greedy: File, other: File) -> Result<(), Errno> {
    greedy.send(&PIECES)?;
    for piece in 0..PIECES.len() {
        wait_once(place, epfd, -1)?;
        match piece {
            0 => other.send(b"x")?,
            1 => other.read(place)?,
            _ => {}
        }
        greedy.read_byte()?;
        std::thread::sleep(PIECE);
    }
    add(&place.slot.consumed, 1);
    Ok(())
}
