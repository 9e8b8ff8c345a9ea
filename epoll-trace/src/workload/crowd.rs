//! Hundreds of threads blocked at once, each in epoll_wait on an epoll of its own: a probe that keeps state per call loses returns here.

use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::Arc;

use anyhow::{Context as _, Result};
use nix::sys::epoll::{Epoll, EpollEvent, EpollFlags};
use nix::sys::eventfd::EventFd;
use nix::unistd::write;

use super::crew::{Crew, Need, Start};
use super::expect::Known;
use super::files::allow_files;
use super::source::{epoll, eventfd};
use super::waiter::{Duty, SOURCE, Take, serve};

/// Descriptors a waiter costs: epoll, eventfd, two files of the witness.
const FILES_EACH: u64 = 4;

/// `events` spread evenly over `waiters` threads, rounded by rounds: in each, all that are due are written to at once.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(waiters: usize, events: u64, start: Start) -> Result<(Crew, Known)> {
    let count = waiters as u64;
    allow_files(
        count * FILES_EACH,
        &format!("{waiters} waiters"),
        "lower --waiters",
    )?;
    // With fewer events than threads the rest would have nothing to end on.
    let events = events.max(count);
    let (each, more) = (events / count, events % count);
    let mut crew = Crew::new(waiters, each + 1)?;
    let files: Vec<_> = (0..count)
        .map(|index| watcher(&mut crew, each + u64::from(index < more)))
        .collect::<Result<_>>()?;
    crew.begin(start)?;
    let mut consumed = 0;
    while consumed < events {
        let due = usize::try_from(events - consumed).map_or(waiters, |left| left.min(waiters));
        for (index, (_, file)) in files.iter().take(due).enumerate() {
            crew.stamp(index..index + 1);
            write(file.as_fd(), &1_u64.to_ne_bytes()).context("cannot write to an eventfd")?;
        }
        consumed += due as u64;
        crew.settle(&Need {
            woken: 0..due,
            consumed,
            ..Need::default()
        })?;
    }
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: events,
            epolls: count,
            notifications: events,
            wakeups_source: events,
            scans: Some(events),
            ..Known::default()
        },
    ))
}

/// Starts a thread that ends after `quota` deliveries of an eventfd of its own; gives its epoll and that file.
fn watcher(crew: &mut Crew, quota: u64) -> Result<(Arc<Epoll>, Arc<EventFd>)> {
    let epoll = Arc::new(epoll()?);
    let file = Arc::new(eventfd()?);
    epoll
        .add(
            file.as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN | EpollFlags::EPOLLET, SOURCE),
        )
        .context("cannot watch an eventfd")?;
    let duty = Duty {
        epfd: epoll.0.as_raw_fd(),
        fd: file.as_raw_fd(),
        // Never read: reading would notify again.
        take: Take::Leave,
        rearm: None,
        quota: Some(quota),
    };
    let open = (Arc::clone(&epoll), Arc::clone(&file));
    crew.spawn(move |place| {
        let result = serve(place, &duty);
        drop(open);
        result
    })?;
    Ok((epoll, file))
}
