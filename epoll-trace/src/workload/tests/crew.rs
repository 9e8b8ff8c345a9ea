//! Waiters that fail, are killed or given up: the run ends, and nobody stays behind.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};

use super::super::crew::{Crew, Need};
use super::super::single;
use super::super::source::{Kind, Source, epoll, epoll_on};
use super::super::waiter::{Duty, serve, wait_once};

#[test]
fn a_failing_waiter_ends_the_run_at_once() {
    let mut crew = Crew::new(1, 0).unwrap();
    crew.fork(|place| wait_once(place, -1, -1).map(drop)).unwrap();
    let error = crew.settle(&Need::default()).unwrap_err().to_string();
    assert!(error.contains("Bad file descriptor"), "{error}");
}

#[test]
fn a_waiter_killed_from_outside_ends_the_run_at_once() {
    let epoll = epoll().unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let mut crew = Crew::new(1, 0).unwrap();
    let child = crew.fork(|place| wait_once(place, epfd, -1).map(drop)).unwrap();
    crew.settle(&Need::default()).unwrap();
    kill(child, Signal::SIGKILL).unwrap();
    let error = crew
        .settle(&Need {
            woken: 0..1,
            ..Need::default()
        })
        .unwrap_err()
        .to_string();
    assert!(error.contains("killed from outside"), "{error}");
}

#[test]
fn a_crew_given_up_leaves_no_process() {
    let source = Source::new(Kind::Pipe).unwrap();
    let epoll = epoll_on(&source, single::Mode::Level.flags()).unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let duty = Duty {
        epfd,
        fd: source.fd(),
        take: source.take(),
        rearm: None,
        quota: None,
    };
    let mut crew = Crew::new(1, 0).unwrap();
    let child = crew.fork(|place| serve(place, &duty)).unwrap();
    crew.settle(&Need::default()).unwrap();
    drop(crew);
    assert_eq!(kill(child, None), Err(Errno::ESRCH));
}

/// A waiter that is late to sleep: the witness must not take its other sleep for the one in epoll_wait.
#[test]
fn a_sleep_elsewhere_is_not_taken_for_the_wait() {
    let epoll = epoll().unwrap();
    let epfd = std::os::fd::AsRawFd::as_raw_fd(&epoll.0);
    let mut crew = Crew::new(1, 0).unwrap();
    crew.fork(|place| {
        for _ in 0..3 {
            std::thread::sleep(Duration::from_millis(20));
        }
        wait_once(place, epfd, 10_000).map(drop)
    })
    .unwrap();
    crew.settle(&Need::default()).unwrap();
    let entered = crew.arena().sum(|slot| &slot.entered);
    let returned = crew.arena().sum(|slot| &slot.waits);
    assert_eq!((entered, returned), (1, 0));
}
