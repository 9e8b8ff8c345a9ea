//! The epolls of a look, with the processes that wait on each: found by id, ten thousand times for each view.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::snapshot::{Epoll, EpollId, Snapshot};

/// Epolls and their waiters by id.
pub(super) struct Instances<'a> {
    by_id: HashMap<EpollId, Instance<'a>, BuildHasherDefault<IdHasher>>,
    all: &'a [Epoll],
}

/// What is known of one.
#[derive(Default)]
struct Instance<'a> {
    epoll: Option<&'a Epoll>,
    waiter: Option<u32>,
    /// Processes besides `waiter`: of few epolls there are any.
    others: Vec<u32>,
}

impl<'a> Instances<'a> {
    /// Of all rows, not only of those that a filter lets pass: a waiter that it hides is a waiter still.
    pub(super) fn of(look: &'a Snapshot) -> Self {
        let mut by_id: HashMap<EpollId, Instance<'a>, _> = HashMap::default();
        by_id.reserve(look.epolls.len());
        for epoll in &look.epolls {
            by_id.entry(epoll.id).or_default().epoll = Some(epoll);
        }
        for row in &look.rows {
            if let Some(id) = row.key.epoll {
                by_id.entry(id).or_default().add(row.key.pid);
            }
        }
        Self {
            by_id,
            all: &look.epolls,
        }
    }

    /// The epoll called `id`.
    pub(super) fn epoll(&self, id: EpollId) -> Option<&'a Epoll> {
        self.by_id.get(&id)?.epoll
    }

    /// Those that nobody waits on.
    pub(super) fn without_waiter(&self) -> impl Iterator<Item = &'a Epoll> {
        let waited_on = |epoll: &Epoll| {
            self.by_id
                .get(&epoll.id)
                .is_some_and(|found| found.waiter.is_some())
        };
        self.all.iter().filter(move |epoll| !waited_on(epoll))
    }

    /// Processes that wait on an epoll; nobody where only a process can name it, since there is one then.
    pub(super) fn users(&self, id: EpollId) -> impl Iterator<Item = u32> {
        let found = self.by_id.get(&id).filter(|_| !id.is_private());
        found
            .into_iter()
            .flat_map(|found| found.waiter.iter().chain(&found.others).copied())
    }
}

impl Instance<'_> {
    fn add(&mut self, pid: u32) {
        match self.waiter {
            None => self.waiter = Some(pid),
            Some(waiter) if waiter == pid || self.others.contains(&pid) => {}
            Some(_) => self.others.push(pid),
        }
    }
}

/// Ids come from the kernel: nobody chooses them to collide, and the usual hasher takes a third of a refresh.
#[derive(Default)]
struct IdHasher(u64);

impl Hasher for IdHasher {
    fn write_u64(&mut self, value: u64) {
        // Addresses differ in the middle bits, and a product carries upwards only: so its upper half is taken down.
        let mixed = (self.0.rotate_left(5) ^ value).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(byte.into()));
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
