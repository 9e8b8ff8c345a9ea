//! Files and threads' duties of each workload.

use std::os::fd::{AsRawFd as _, RawFd};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::catalog::{Load, Watch};
use super::turns::{
    Futexes, Progress, Tally, follow_epoll, follow_futex, lead_epoll, lead_futex, lead_getppid, lead_writes,
};
use crate::workload::source::{epoll, eventfd};

/// Threads beside the writer.
const WAITERS: usize = 4;

/// Makes so many turns.
pub(super) type Lead = Box<dyn FnMut(u64, &Progress) -> Result<Tally, Errno> + Send>;
/// Answers the leader until a signal comes while the flag is set.
pub(super) type Follow = Box<dyn FnOnce(&AtomicBool) -> Result<Tally, Errno> + Send>;

/// What each thread of a workload is to do. The leader alone decides when something happens; the others sleep between rounds.
pub(super) struct Cast {
    pub(super) lead: Lead,
    pub(super) followers: Vec<Follow>,
}

/// Descriptors of a workload. Each thread keeps all of them open, since one that outlives a failed run must not meet
/// descriptors of others.
#[derive(Default)]
struct Files {
    epolls: Vec<Epoll>,
    eventfds: Vec<EventFd>,
}

impl Files {
    fn epoll(&mut self) -> Result<RawFd> {
        let epoll = epoll()?;
        let fd = epoll.0.as_raw_fd();
        self.epolls.push(epoll);
        Ok(fd)
    }

    fn eventfd(&mut self) -> Result<RawFd> {
        Ok(self.keep(eventfd()?))
    }

    /// One whose read sleeps.
    fn blocking_eventfd(&mut self) -> Result<RawFd> {
        let file = EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC)
            .context("cannot make an eventfd: raise the limit of open files (ulimit -n)")?;
        Ok(self.keep(file))
    }

    fn keep(&mut self, file: EventFd) -> RawFd {
        let fd = file.as_raw_fd();
        self.eventfds.push(file);
        fd
    }

    /// Has the latest epoll watch the latest eventfd for input.
    fn watch(&self, mode: EpollFlags) -> Result<()> {
        let (epoll, file) = self
            .epolls
            .last()
            .zip(self.eventfds.last())
            .context("no epoll or no eventfd to watch")?;
        let data = u64::try_from(file.as_raw_fd()).context("a negative descriptor")?;
        epoll
            .add(file, EpollEvent::new(EpollFlags::EPOLLIN | mode, data))
            .context("cannot watch an eventfd")
    }

    /// A new epoll on a new eventfd.
    fn pair(&mut self) -> Result<(RawFd, RawFd)> {
        let pair = (self.epoll()?, self.eventfd()?);
        self.watch(EpollFlags::empty())?;
        Ok(pair)
    }
}

impl Cast {
    /// Opens what `load` needs.
    ///
    /// # Errors
    /// When the kernel refuses a file.
    pub(super) fn new(load: Load) -> Result<Self> {
        match load {
            Load::PingPong => ping_pong(),
            Load::Ready => ready(),
            Load::Waiters(watch) => waiters(watch),
            Load::Futex => Ok(futex()),
            Load::Getppid => Ok(Self {
                lead: Box::new(lead_getppid),
                followers: Vec::new(),
            }),
        }
    }
}

fn ping_pong() -> Result<Cast> {
    let mut files = Files::default();
    let ((epfd, fd), (far_epfd, far)) = (files.pair()?, files.pair()?);
    let files = Arc::new(files);
    Ok(Cast {
        lead: lead_on(&files, epfd, far),
        followers: vec![follow_on(&files, far_epfd, fd)],
    })
}

fn ready() -> Result<Cast> {
    let mut files = Files::default();
    let (epfd, fd) = files.pair()?;
    Ok(Cast {
        lead: lead_on(&Arc::new(files), epfd, fd),
        followers: Vec::new(),
    })
}

fn lead_on(files: &Arc<Files>, epfd: RawFd, target: RawFd) -> Lead {
    let open = Arc::clone(files);
    Box::new(move |turns, progress| {
        let _open = &open;
        lead_epoll(epfd, target, turns, progress)
    })
}

fn follow_on(files: &Arc<Files>, epfd: RawFd, answer: RawFd) -> Follow {
    let open = Arc::clone(files);
    Box::new(move |over| {
        let _open = &open;
        follow_epoll(epfd, answer, over)
    })
}

fn waiters(watch: Watch) -> Result<Cast> {
    let mut files = Files::default();
    let acknowledged = files.blocking_eventfd()?;
    let mut targets = Vec::with_capacity(WAITERS);
    let mut epfds = Vec::with_capacity(WAITERS);
    match watch {
        Watch::Shared(edge) => {
            let mut mode = EpollFlags::empty();
            mode.set(EpollFlags::EPOLLET, edge);
            epfds = vec![files.epoll()?; WAITERS];
            for _ in 0..WAITERS {
                targets.push(files.eventfd()?);
                files.watch(mode)?;
            }
        }
        Watch::Own => {
            for _ in 0..WAITERS {
                let (epfd, fd) = files.pair()?;
                epfds.push(epfd);
                targets.push(fd);
            }
        }
        Watch::Herd(exclusive) => {
            let mut mode = EpollFlags::empty();
            mode.set(EpollFlags::EPOLLEXCLUSIVE, exclusive);
            targets.push(files.eventfd()?);
            for _ in 0..WAITERS {
                epfds.push(files.epoll()?);
                files.watch(mode)?;
            }
        }
    }
    let files = Arc::new(files);
    let followers = epfds
        .into_iter()
        .map(|epfd| follow_on(&files, epfd, acknowledged));
    Ok(Cast {
        followers: followers.collect(),
        lead: Box::new(move |turns, progress| {
            let _open = &files;
            lead_writes(&targets, acknowledged, turns, progress)
        }),
    })
}

fn futex() -> Cast {
    let words = Arc::new(Futexes::default());
    let far = Arc::clone(&words);
    Cast {
        lead: Box::new(move |turns, progress| lead_futex(&words, turns, progress)),
        followers: vec![Box::new(move |over| follow_futex(&far, over))],
    }
}
