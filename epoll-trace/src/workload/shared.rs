//! Several waiters on one epoll: threads of a process, or processes that share it over fork.

use std::os::fd::{AsRawFd as _, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::epoll::Epoll;

use super::crew::{Crew, Need, Start};
use super::expect::{Known, Reach};
use super::single::Mode;
use super::source::{Kind, Source, Stop, epoll_on};
use super::waiter::{Duty, serve, serve_after};

/// Who waits on the shared epoll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Host {
    /// Threads of the generator's process.
    Threads,
    /// The same; of a level-triggered event each is woken and returns before any takes it.
    Together,
    /// Processes forked after the epoll was made.
    Processes,
}

/// `events` on a file of `kind` that one epoll watches, with `waiters` on that epoll.
///
/// # Errors
/// When the kernel refuses something, or no progress is made.
pub(super) fn run(
    host: Host,
    kind: Kind,
    mode: Mode,
    waiters: usize,
    events: u64,
    start: Start,
) -> Result<(Crew, Known)> {
    let mut source = Source::new(kind)?;
    let stop = Stop::new()?;
    let epoll = epoll_on(&source, mode.flags())?;
    stop.watch(&epoll)?;
    let open = (Arc::new(epoll), Arc::clone(source.watched()));
    let duty = Duty {
        epfd: open.0.0.as_raw_fd(),
        fd: source.fd(),
        take: source.take(),
        rearm: mode.rearm(source.fd()),
        quota: None,
    };
    let mut crew = Crew::new(waiters, events)?;
    staff(&mut crew, host, waiters, duty, &open)?;
    crew.begin(start)?;
    let count = waiters as u64;
    let wakeups_chain = send(&mut crew, &mut source, mode, waiters, events)?;
    for done in 1..=waiters {
        stop.fire()?;
        crew.settle(&Need {
            consumed: events,
            done,
            ..Need::default()
        })?;
    }
    crew.finish()?;
    Ok((
        crew,
        Known {
            events_sent: events,
            stops: count,
            epolls: 1,
            notifications: source.notifications(events, events, 1, false) + count,
            unasked: source.unasked(events, 1),
            wakeups_source: events + count,
            wakeups_chain,
            // Level-triggered it depends on who polls the queued item first.
            scans: (!mode.requeues()).then_some(events + count),
            reach: Some(Reach {
                items: 1,
                fan_out: 1,
                woken_per_event: 1,
                chain_per_event: match host {
                    _ if !mode.requeues() => Some(0),
                    Host::Together => Some(count - 1),
                    Host::Threads | Host::Processes => None,
                },
                passed_on_per_event: 0,
            }),
            ..Known::default()
        },
    ))
}

/// Starts the waiters; threads keep what is `open` to their end.
fn staff(
    crew: &mut Crew,
    host: Host,
    waiters: usize,
    duty: Duty,
    open: &(Arc<Epoll>, Arc<OwnedFd>),
) -> Result<()> {
    let round = Arc::new(Round::of(if host == Host::Together { waiters } else { 1 }));
    for _ in 0..waiters {
        match host {
            Host::Processes => {
                crew.fork(|place| serve(place, &duty))?;
            }
            Host::Threads | Host::Together => {
                let open = (Arc::clone(&open.0), Arc::clone(&open.1));
                let round = Arc::clone(&round);
                crew.spawn(move |place| {
                    let result = serve_after(place, &duty, || round.meet());
                    drop(open);
                    result
                })?;
            }
        }
    }
    Ok(())
}

/// Sends the events, one after the other, and gives the chain wakeups that they made.
fn send(crew: &mut Crew, source: &mut Source, mode: Mode, waiters: usize, events: u64) -> Result<u64> {
    let mut wakeups_chain = 0;
    for sent in 1..=events {
        let before = crew.arena().sum(|slot| &slot.deliveries_slept);
        crew.stamp(0..waiters);
        source.fire()?;
        crew.settle(&Need {
            consumed: sent,
            ..Need::default()
        })?;
        let deliveries = crew.arena().sum(|slot| &slot.deliveries_slept) - before;
        if mode.requeues() {
            wakeups_chain += chain_wakeups(deliveries, waiters as u64);
        }
    }
    Ok(wakeups_chain)
}

/// Where waiters that each return once per event wait for the last of them.
struct Round {
    size: u64,
    came: AtomicU64,
}

impl Round {
    fn of(size: usize) -> Self {
        Self {
            size: size as u64,
            came: AtomicU64::new(0),
        }
    }

    /// Returns once all of this round are here. Nobody comes twice before: who takes the event, and so lets the others find nothing, has
    /// left already.
    fn meet(&self) {
        let place = self.came.fetch_add(1, Ordering::AcqRel);
        let full = (place / self.size + 1) * self.size;
        let deadline = Instant::now() + PATIENCE;
        while self.came.load(Ordering::Acquire) < full && Instant::now() < deadline {
            // To sleep here would look like a sleep in the next wait.
            std::thread::yield_now();
        }
    }
}

/// Without one of the others for so long, a waiter goes on: the counts tell.
const PATIENCE: Duration = Duration::from_secs(10);

/// Chain wakeups of one level-triggered event that found all `waiters` asleep and made `deliveries`.
/// Each delivery queues the item again and wakes one sleeper if there is one. From the notification until the
/// scan that drops the item, the epoll counts as ready, so nobody newly sleeps: the k-th delivery finds
/// `waiters - k` sleepers, and the last of `waiters` deliveries none.
fn chain_wakeups(deliveries: u64, waiters: u64) -> u64 {
    deliveries.min(waiters.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::chain_wakeups;

    #[test]
    fn the_last_of_all_waiters_finds_nobody_to_wake() {
        assert_eq!(chain_wakeups(1, 4), 1);
        assert_eq!(chain_wakeups(3, 4), 3);
        assert_eq!(chain_wakeups(4, 4), 3);
        assert_eq!(chain_wakeups(1, 1), 0);
    }
}
