//! Numbers that are made up, for `top --demo`: a server with the troubles that people look for, and neighbours that are well.
//! They differ from second to second, but are the same at each start.

mod actor;
mod cast;

use std::collections::BTreeMap;
use std::sync::Arc;

use actor::{Actor, SECOND, Second, Values};
use cast::{CAST, LOCKS, SHARED, SharedFile};
use fastrand::Rng;

use super::Source;
use super::synthetic::{epoll_id, shape};
use crate::model::files::{Delivered, FILE_TIMES, FILES};
use crate::model::histogram::Shape;
use crate::model::look::WATCHED_FILES;
use crate::model::shared::Shared;
use crate::model::snapshot::{
    Counter, EXCLUSIVE, Epoll, EpollCounter, Lock, LockKey, LockPath, PathSum, Snapshot,
};
use crate::model::source::{Listening, Named, SourceId, SourceItem, SourceItemKey};

/// Seconds from one crowd on the CPUs to the next, and how long it stays.
const CROWDS: (u64, u64) = (24, 6);
/// Inode of the network namespace of the host, as it is on most.
const NETNS: u64 = 4_026_531_840;

/// The source. A second goes by from each look to the next, however fast they come.
#[derive(Clone, Debug)]
pub struct Story {
    actors: Vec<Actor>,
    /// Events of each of [`SHARED`].
    events: [u64; SHARED.len()],
    /// Times waited for each of [`LOCKS`].
    locks: [Values; LOCKS.len()],
    shape: Shape,
    rng: Rng,
    looks: u64,
    names: Arc<BTreeMap<u32, String>>,
    absent: Arc<BTreeMap<String, String>>,
}

impl Default for Story {
    fn default() -> Self {
        let named = |waiter: &cast::Waiter| [waiter.pid, waiter.tid].map(|id| (id, waiter.name.to_owned()));
        let absent =
            [FILES, FILE_TIMES, WATCHED_FILES].map(|name| (name.to_owned(), "not made up".to_owned()));
        Self {
            actors: CAST.iter().map(Actor::new).collect(),
            events: [0; SHARED.len()],
            locks: Default::default(),
            shape: shape(),
            rng: Rng::with_seed(1),
            looks: 0,
            names: Arc::new(CAST.iter().flat_map(named).collect()),
            absent: Arc::new(absent.into()),
        }
    }
}

impl Story {
    /// One second goes by.
    fn play(&mut self) {
        let mut second = Second {
            load: self.rng.u64(88..=112),
            crowd: self.looks % CROWDS.0 >= CROWDS.0 - CROWDS.1,
            shape: &self.shape,
            rng: &mut self.rng,
        };
        for actor in &mut self.actors {
            actor.play(&mut second);
        }
        for (events, file) in self.events.iter_mut().zip(&SHARED) {
            *events += second.at(file.notifications);
        }
        for (values, lock) in self.locks.iter_mut().zip(&LOCKS) {
            let count = second.at(lock.waits);
            values.note_near(&mut second, count, lock.ns);
        }
    }

    fn epolls(&self) -> Vec<Epoll> {
        let mut epolls: BTreeMap<u64, (Epoll, [u64; EpollCounter::COUNT])> = BTreeMap::new();
        for actor in &self.actors {
            let waiter = actor.waiter;
            let id = epoll_id(waiter.epoll);
            let (_, counters) = epolls.entry(waiter.epoll).or_insert_with(|| {
                let shared = SHARED.iter().find(|file| file.is_watched_by(waiter.epoll));
                let epoll = Epoll {
                    id,
                    creator: Some(waiter.pid),
                    opened: Some((waiter.pid, waiter.epfd)),
                    items: Some(waiter.items),
                    flags: Some(shared.map_or(0, |file| file.events & EXCLUSIVE)),
                    counters: Shared::default(),
                };
                (epoll, [0; EpollCounter::COUNT])
            });
            let at_once = actor.count(Counter::DeliveriesAtOnce);
            let scans = [
                Counter::DeliveriesSlept,
                Counter::EmptyWakeups,
                Counter::ZeroTimeouts,
            ];
            let accepts = actor.count(Counter::Accepts);
            for (counter, more) in [
                (
                    EpollCounter::Notifications,
                    actor.count(Counter::WakeupsSource) + at_once,
                ),
                (EpollCounter::NotificationsQueued, at_once),
                (
                    EpollCounter::Scans,
                    at_once + scans.map(|counter| actor.count(counter)).iter().sum::<u64>(),
                ),
                (EpollCounter::CtlAdd, accepts),
                (EpollCounter::ItemsReleased, accepts),
            ] {
                counters[counter as usize] += more;
            }
        }
        let whole = |(mut epoll, counters): (Epoll, [u64; EpollCounter::COUNT])| {
            epoll.counters = Shared::from(counters.map(Some));
            epoll
        };
        epolls.into_values().map(whole).collect()
    }

    fn sources(&self) -> Vec<SourceItem> {
        let files = SHARED.iter().zip(self.events).zip(1..);
        files
            .flat_map(|((file, events), number)| {
                let items = file.items.iter().enumerate();
                items.map(move |(at, &item)| self.item(file, (number, events), at, item))
            })
            .collect()
    }

    /// Item `at` of a shared file, which has a number and had events.
    fn item(
        &self,
        file: &SharedFile,
        (number, events): (u64, u64),
        at: usize,
        item: (u64, i32),
    ) -> SourceItem {
        let (epoll, fd) = item;
        let waiters: Vec<&Actor> = self
            .actors
            .iter()
            .filter(|actor| actor.waiter.epoll == epoll)
            .collect();
        let woken = waiters.iter().map(|actor| actor.shared).sum();
        // The kernel goes on to the second exclusive item where the first one sleeps not.
        let is_passed = file.events & EXCLUSIVE != 0 && at > 0;
        let (kind, address, inode) = file.named;
        SourceItem {
            key: SourceItemKey {
                source: SourceId {
                    file: number,
                    born_ns: 1,
                },
                epoll: epoll_id(epoll),
                fd,
            },
            counted: true,
            notifications: if is_passed { woken } else { events },
            woken,
            passed_on: if is_passed || file.events & EXCLUSIVE == 0 {
                0
            } else {
                events - woken
            },
            first: if at == 0 { events } else { 0 },
            backlog: file.queue.map(|(most, _)| most),
            events: file.events,
            open: true,
            named: Ok(Arc::new(Named {
                kind: kind.to_owned(),
                name: Some(address.to_owned()),
                inode: Some(inode),
                accept_queue: file.queue.map(|(_, now)| now),
                netns: Some(NETNS),
            })),
            owner: waiters
                .first()
                .map(|actor| (actor.waiter.pid, Some(actor.waiter.epfd))),
            waiters: waiters.iter().map(|actor| actor.row(&self.shape)).collect(),
        }
    }

    fn locks(&self) -> Vec<Lock> {
        let lock = |(lock, values): (&cast::Contended, &Values)| {
            let mut paths = [PathSum::default(); LockPath::COUNT];
            paths[lock.path as usize] = PathSum {
                count: values.count(),
                sum_ns: values.sum,
            };
            Lock {
                key: LockKey {
                    pid: lock.thread.0,
                    tid: Some(lock.thread.1),
                    epoll: Some(epoll_id(lock.epoll)),
                    kind: lock.kind,
                    fd: None,
                },
                threads: Some(1),
                paths,
                waited: values.histogram(&self.shape),
            }
        };
        LOCKS.iter().zip(&self.locks).map(lock).collect()
    }
}

impl Source for Story {
    fn snapshot(&mut self) -> anyhow::Result<Snapshot> {
        let at_ns = self.looks * SECOND;
        if self.looks > 0 {
            self.play();
        }
        self.looks += 1;
        let listening = SHARED.iter().filter_map(|file| {
            let (_, queue) = file.queue?;
            Some(Listening {
                netns: NETNS,
                address: file.named.1.to_owned(),
                inode: file.named.2,
                queue,
            })
        });
        Ok(Snapshot {
            at_ns,
            rows: self.actors.iter().map(|actor| actor.row(&self.shape)).collect(),
            epolls: self.epolls(),
            locks: self.locks(),
            sources: self.sources(),
            listening: listening.collect(),
            readers: Vec::new(),
            delivered: Delivered::default(),
            look: None,
            names: Arc::clone(&self.names),
            losses: ["rows_full", "threads_full"]
                .map(|name| (name.to_owned(), 0))
                .into(),
            absent: Arc::clone(&self.absent),
            spent: None,
        })
    }

    fn plan_line(&self) -> &str {
        "probes: synthetic, nothing missing"
    }
}

#[cfg(test)]
mod tests;
