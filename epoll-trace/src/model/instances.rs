//! The epolls of a look, with the processes that wait on each: found by id, ten thousand times for each view.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use super::snapshot::{Epoll, EpollId, Snapshot};

/// Where an epoll stands in [`Instances`]: its id is looked up once per row.
pub(super) type Place = u32;

/// Epolls and their waiters.
pub(super) struct Instances<'a> {
    places: HashMap<EpollId, Place, BuildHasherDefault<IdHasher>>,
    all: Vec<Instance<'a>>,
    /// Of each row its epoll's place.
    of_rows: Vec<Option<Place>>,
}

/// What is known of one.
pub(super) struct Instance<'a> {
    /// Its id.
    pub(super) id: EpollId,
    /// Its counters, where it was read.
    pub(super) epoll: Option<&'a Epoll>,
    waiter: Option<u32>,
    /// Processes besides `waiter`: of few epolls there are any.
    others: Vec<u32>,
}

impl<'a> Instances<'a> {
    /// Of all rows, not only of those that a filter lets pass: a waiter that it hides is a waiter still.
    pub(super) fn of(look: &'a Snapshot) -> Self {
        let mut instances = Self {
            places: HashMap::default(),
            all: Vec::with_capacity(look.epolls.len()),
            of_rows: Vec::with_capacity(look.rows.len()),
        };
        instances.places.reserve(look.epolls.len());
        for epoll in &look.epolls {
            instances.entry(epoll.id).1.epoll = Some(epoll);
        }
        for row in &look.rows {
            let place = row.key.epoll.map(|id| {
                let (place, instance) = instances.entry(id);
                instance.add(row.key.pid);
                place
            });
            instances.of_rows.push(place);
        }
        instances
    }

    fn entry(&mut self, id: EpollId) -> (Place, &mut Instance<'a>) {
        let new = self.all.len() as Place;
        let place = *self.places.entry(id).or_insert(new);
        if place == new {
            self.all.push(Instance {
                id,
                epoll: None,
                waiter: None,
                others: Vec::new(),
            });
        }
        (place, &mut self.all[place as usize])
    }

    /// The place of each row's epoll, in the order of the rows.
    pub(super) fn of_rows(&self) -> &[Option<Place>] {
        &self.of_rows
    }

    /// What stands at `place`.
    pub(super) fn at(&self, place: Place) -> &Instance<'a> {
        &self.all[place as usize]
    }

    /// The epoll called `id`.
    pub(super) fn epoll(&self, id: EpollId) -> Option<&'a Epoll> {
        self.at(*self.places.get(&id)?).epoll
    }

    /// Those that nobody waits on.
    pub(super) fn without_waiter(&self) -> impl Iterator<Item = (Place, &'a Epoll)> {
        let all = (0..).zip(&self.all);
        all.filter(|(_, instance)| instance.waiter.is_none())
            .filter_map(|(place, instance)| Some((place, instance.epoll?)))
    }
}

impl Instance<'_> {
    /// Whether somebody waits on it.
    pub(super) fn is_waited_on(&self) -> bool {
        self.waiter.is_some()
    }

    /// Processes that wait on it; nobody where only a process can name it, since there is one then.
    pub(super) fn users(&self) -> impl Iterator<Item = u32> {
        let all = self.waiter.iter().chain(&self.others).copied();
        all.filter(|_| !self.id.is_private())
    }

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
