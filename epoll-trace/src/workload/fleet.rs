//! Many processes with several epolls each, waited on in turn: what a tracer must hold and read at once on a busy machine.

use std::io::{self, Write as _};
use std::os::fd::{AsFd as _, AsRawFd as _, RawFd};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::unistd::write;

use super::arena::Place;
use super::crew::{Crew, Need, Start};
use super::expect::Known;
use super::files::allow_files;
use super::source::eventfd;
use super::waiter::{Outcome, SOURCE, Take, control, take, wait_once};

/// Epolls of each process, unless fewer are asked for.
pub(super) const EPOLLS_EACH: usize = 10;
/// Descriptors a process costs its generator: eventfd, two files of the witness.
const FILES_EACH: u64 = 3;

/// Waits `rounds` times, each on the next of its `each` epolls, which watches `fd` during its turn alone: so one event
/// is one notification, whatever happens to `fd` later.
fn take_turns(place: &Place<'_>, fd: RawFd, rounds: u64, each: usize) -> Result<(), Errno> {
    let mut epolls = [-1; EPOLLS_EACH];
    let epolls = &mut epolls[..each];
    for epoll in epolls.iter_mut() {
        // SAFETY: takes no pointer. The descriptor lives until the process ends.
        *epoll = Errno::result(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    }
    for (_, &epfd) in (0..rounds).zip(epolls.iter().cycle()) {
        control(epfd, libc::EPOLL_CTL_ADD, fd, libc::EPOLLIN as u32, SOURCE)?;
        while !matches!(wait_once(place, epfd, -1)?, Outcome::Events { .. }) {}
        control(epfd, libc::EPOLL_CTL_DEL, fd, 0, SOURCE)?;
        take(place, fd, Take::Read)?;
    }
    Ok(())
}

/// `events` spread evenly over `waiters` processes and their epolls (`each` has so many, 1 to [`EPOLLS_EACH`]), each of which gets at least one. A held start holds the last
/// round too: then every epoll has delivered, and all processes are still there.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(waiters: usize, each: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let each = each.clamp(1, EPOLLS_EACH);
    let count = waiters as u64;
    allow_files(
        count * FILES_EACH,
        &format!("{waiters} waiters"),
        "lower --waiters",
    )?;
    // One round more than epolls: the last one may be held.
    let rounds = events.div_ceil(count).max(each as u64 + 1);
    let mut crew = Crew::new(waiters, rounds)?;
    let mut files = Vec::with_capacity(waiters);
    for _ in 0..waiters {
        let file = eventfd()?;
        let fd = file.as_raw_fd();
        crew.fork(|place| take_turns(place, fd, rounds, each))?;
        files.push(file);
    }
    crew.begin(start)?;
    for round in 1..=rounds {
        if round == rounds && start.on_line {
            writeln!(
                io::stderr(),
                "all epolls have delivered; Enter sends the last events"
            )
            .context("cannot say that all epolls have delivered")?;
            io::stdin()
                .read_line(&mut String::new())
                .context("cannot read the line that ends the hold")?;
        }
        for (index, file) in files.iter().enumerate() {
            crew.stamp(index..index + 1);
            write(file.as_fd(), &1_u64.to_ne_bytes()).context("cannot write to an eventfd")?;
        }
        crew.settle(&Need {
            woken: 0..waiters,
            consumed: round * count,
            ..Need::default()
        })?;
    }
    crew.finish()?;
    let events = rounds * count;
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: count * each as u64,
            notifications: events,
            wakeups_source: events,
            scans: Some(events),
            ..Known::default()
        },
    ))
}
