//! Counters of epolls, whoever waits on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError, Queue};
use epoll_trace_ebpf as abi;

use super::mapped::Mapped;
use super::pool::{Found, Pool};
use super::rows::MAX_CLOSED;
use super::slots::Slots;
use super::tally::epoll_counters;
use super::text;
use crate::identity;
use crate::model::shared::Shared;
use crate::model::snapshot::{Epoll, EpollCounter, EpollId, Known};

/// The maps that hold epolls.
pub(super) struct EpollMaps {
    pub(super) rows: Mapped<abi::Epoll>,
    pub(super) known: BpfHashMap<MapData, u64, abi::KnownEpoll>,
    pub(super) free: Queue<MapData, u32>,
    pub(super) free_blocks: Queue<MapData, u32>,
}

/// What was read last of one epoll.
struct Followed {
    raw: abi::Epoll,
    /// What the model gets of its counters, until one changes.
    counters: Option<Shared<[Option<u64>; EpollCounter::COUNT]>>,
}

impl Followed {
    fn update(&mut self, raw: abi::Epoll) {
        if self.raw.counters != raw.counters {
            self.counters = None;
        }
        self.raw = raw;
    }
}

/// All epolls.
pub(super) struct Epolls {
    maps: EpollMaps,
    pool: Pool,
    live: Slots<Followed>,
    /// Sums of the closed ones, by [`EpollId::closed_sums`].
    closed: BTreeMap<EpollId, [u64; EpollCounter::COUNT]>,
    /// Of these, how many had to make room.
    pub(super) forgotten: u64,
    dying: BTreeSet<u32>,
    /// What those had that were there before us, less what was counted until it was read.
    before: HashMap<abi::EpollId, Base>,
    /// Processes by which epolls were found at the start: id, descriptor and name.
    found: HashMap<abi::EpollId, (u32, i32, String)>,
}

/// What an epoll watched at a moment of the past.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Before {
    /// How many items it had.
    pub(super) items: u64,
    /// Flags they used.
    pub(super) flags: u32,
}

/// What is to be added to an epoll's counts to know what it watches; may be below 0.
#[derive(Clone, Copy, Debug, Default)]
struct Base {
    items: i64,
    flags: u32,
}

/// Items that came less items that went.
fn net_items(counters: &[u64; EpollCounter::COUNT]) -> i64 {
    let of = |counter: EpollCounter| counters[counter as usize] as i64;
    of(EpollCounter::CtlAdd) - of(EpollCounter::CtlDel) - of(EpollCounter::ItemsReleased)
}

fn changes(counters: &[u64; EpollCounter::COUNT]) -> u64 {
    let of = |counter: EpollCounter| counters[counter as usize];
    of(EpollCounter::CtlAdd) + of(EpollCounter::CtlDel) + of(EpollCounter::ItemsReleased)
}

const ZERO: abi::Epoll = abi::Epoll {
    id: abi::EpollId {
        address: 0,
        born_ns: 0,
    },
    creator_tgid: 0,
    epfd: 0,
    dead: 0,
    flags: 0,
    creator_comm: [0; abi::COMM_LEN],
    queued_ns: 0,
    queued_in_scan_ns: 0,
    listed: 0,
    counters: [0; abi::EpollCounter::COUNT],
};

impl Epolls {
    /// Fills the queue of free rows.
    ///
    /// # Errors
    /// When the kernel refuses to fill the queue.
    pub(super) fn new(mut maps: EpollMaps) -> anyhow::Result<Self> {
        let pool = Pool::fill(&mut maps.free_blocks, maps.rows.len())?;
        Ok(Self {
            maps,
            pool,
            live: Slots::new(),
            closed: BTreeMap::new(),
            forgotten: 0,
            dying: BTreeSet::new(),
            before: HashMap::new(),
            found: HashMap::new(),
        })
    }

    /// Takes over what an epoll had when its fdinfo was written; false if it changed since, and `before` says nothing.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn had(&mut self, shown: abi::Shown, before: Before) -> anyhow::Result<bool> {
        let known = match self.maps.known.get(&shown.id.address, 0) {
            Ok(known) if known.born_ns == shown.id.born_ns => known,
            // It was closed: nothing to know.
            Ok(_) | Err(MapError::KeyNotFound) => return Ok(true),
            Err(error) => return Err(error.into()),
        };
        let counters = epoll_counters(&self.maps.rows.get(known.index)?.counters);
        if changes(&counters) != shown.changes {
            return Ok(false);
        }
        let base = Base {
            items: before.items as i64 - net_items(&counters),
            flags: before.flags,
        };
        self.before.insert(shown.id, base);
        Ok(true)
    }

    /// Takes the process by which an epoll was found; the first names it.
    pub(super) fn found(&mut self, id: abi::EpollId, process: u32, fd: i32) {
        self.found.entry(id).or_insert_with(|| {
            let name = identity::comm(process, None).unwrap_or_default();
            (process, fd, name)
        });
    }

    fn opened(&self, raw: &abi::Epoll) -> Option<(u32, i32)> {
        if raw.creator_tgid != 0 {
            return Some((raw.creator_tgid, raw.epfd));
        }
        self.found.get(&raw.id).map(|&(process, fd, _)| (process, fd))
    }

    /// Whether [`Epolls::had`] was told of this epoll.
    pub(super) fn knows_items_of(&self, id: &abi::EpollId) -> bool {
        self.before.contains_key(id)
    }

    /// Whether there is an open epoll of which it is not known what it watches.
    pub(super) fn some_unknown(&self) -> bool {
        self.raws().any(|raw| raw.dead == 0 && self.base(raw).is_none())
    }

    /// An epoll that was created while we looked had nothing before.
    fn base(&self, raw: &abi::Epoll) -> Option<Base> {
        if raw.creator_tgid != 0 {
            return Some(Base::default());
        }
        self.before.get(&raw.id).copied()
    }

    fn items(&self, raw: &abi::Epoll) -> Option<u64> {
        if raw.dead != 0 {
            return Some(0);
        }
        u64::try_from(self.base(raw)?.items + net_items(&epoll_counters(&raw.counters))).ok()
    }

    fn flags(&self, raw: &abi::Epoll) -> Option<u32> {
        let seen = (raw.flags != 0).then_some(raw.flags);
        self.base(raw).map_or(seen, |base| Some(base.flags | raw.flags))
    }

    /// Reads every epoll.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> anyhow::Result<()> {
        let rows = &mut self.maps.rows;
        let tombstones = self.pool.discover(|index| {
            rows.get(index).map(|row| match (row.id.born_ns, row.dead) {
                (0, 0) => Found::Unused,
                (0, _) => Found::Tombstone,
                _ => Found::Used,
            })
        })?;
        for index in tombstones {
            self.give_back(index)?;
        }
        for &index in &self.pool.used {
            let raw = self.maps.rows.get(index)?;
            match self.live.get_mut(index) {
                Some(followed) => followed.update(raw),
                None => self.live.insert(index, Followed { raw, counters: None }),
            }
        }
        Ok(())
    }

    fn raws(&self) -> impl Iterator<Item = &abi::Epoll> {
        self.live.values().map(|followed| &followed.raw)
    }

    /// The epolls that are followed.
    pub(super) fn ids(&self) -> BTreeSet<abi::EpollId> {
        self.raws().map(|epoll| epoll.id).collect()
    }

    /// The epolls that were closed.
    pub(super) fn dead(&self) -> BTreeSet<abi::EpollId> {
        self.raws()
            .filter(|epoll| epoll.dead != 0)
            .map(|epoll| epoll.id)
            .collect()
    }

    /// Adds those that were dead at the last look already to the sums of their waiters (of their creator without any),
    /// and hands their rows out again. Where the end of an epoll cannot be seen, one that nobody knows any more is dead, but for
    /// those that are `watching`.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(
        &mut self,
        waiters: &[(abi::EpollId, u32)],
        watching: &BTreeSet<abi::EpollId>,
    ) -> anyhow::Result<()> {
        let waiters_of = |id: abi::EpollId| {
            let first = waiters.partition_point(|&(epoll, _)| epoll < id);
            waiters[first..]
                .iter()
                .take_while(move |&&(epoll, _)| epoll == id)
        };
        let abandoned = |epoll: &abi::Epoll| {
            waiters_of(epoll.id).next().is_none()
                && !watching.contains(&epoll.id)
                && (epoll.creator_tgid == 0 || !identity::exists(epoll.creator_tgid))
        };
        let now_dead: BTreeSet<u32> = self
            .live
            .iter()
            .filter(|(_, epoll)| epoll.raw.dead != 0 || abandoned(&epoll.raw))
            .map(|(index, _)| index)
            .collect();
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(Followed { raw: gone, .. }) = self.live.remove(index) else {
                continue;
            };
            let processes: BTreeSet<u32> = waiters_of(gone.id).map(|&(_, process)| process).collect();
            let creator = (gone.creator_tgid != 0).then_some(gone.creator_tgid);
            for id in EpollId::closed_sums(creator, &processes) {
                if self.closed.len() >= MAX_CLOSED
                    && !self.closed.contains_key(&id)
                    && self.closed.pop_first().is_some()
                {
                    self.forgotten += 1;
                }
                let sums = self.closed.entry(id).or_default();
                sums.iter_mut()
                    .zip(epoll_counters(&gone.counters))
                    .for_each(|(sum, count)| *sum += count);
            }
            self.before.remove(&gone.id);
            self.found.remove(&gone.id);
            self.forget_address(&gone, index)?;
            self.give_back(index)?;
        }
        self.dying = now_dead;
        Ok(())
    }

    /// The programs forget an epoll when they see its end; here that is made up for.
    fn forget_address(&mut self, gone: &abi::Epoll, index: u32) -> Result<(), MapError> {
        match self.maps.known.get(&gone.id.address, 0) {
            Ok(known) if known.index == index => self.maps.known.remove(&gone.id.address),
            Ok(_) | Err(MapError::KeyNotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Adds the names of processes that created epolls while we looked, or had them before, where there is none yet.
    pub(super) fn name_creators(&self, names: &mut BTreeMap<u32, String>) {
        for epoll in self.raws().filter(|epoll| epoll.creator_tgid != 0) {
            let name = || text(&epoll.creator_comm);
            names.entry(epoll.creator_tgid).or_insert_with(name);
        }
        for (process, _, name) in self.found.values() {
            names.entry(*process).or_insert_with(|| name.clone());
        }
    }

    fn give_back(&mut self, index: u32) -> anyhow::Result<()> {
        self.maps.rows.set(index, ZERO)?;
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }

    /// Everything read, with [`EpollId::closed_sums`] for the closed epolls.
    pub(super) fn model(&mut self, known: &Known) -> Vec<Epoll> {
        let values = |counts: [u64; EpollCounter::COUNT]| {
            Shared::from(std::array::from_fn(|index| {
                known.epolls[index].then_some(counts[index])
            }))
        };
        for (_, Followed { raw, counters }) in self.live.iter_mut() {
            counters.get_or_insert_with(|| values(epoll_counters(&raw.counters)));
        }
        // What stands for closed ones lies at address 0.
        let live = self.live.values();
        let mut live: Vec<_> = live.map(|followed| (followed.raw.id, followed)).collect();
        live.sort_unstable_by_key(|&(id, _)| id);
        let closed = self.closed.iter().map(|(&id, &counts)| Epoll {
            id,
            creator: id.process_of_closed(),
            opened: None,
            items: Some(0).filter(|_| known.items),
            flags: None,
            counters: values(counts),
        });
        closed
            .chain(live.into_iter().map(|(_, Followed { raw, counters })| Epoll {
                id: EpollId {
                    address: raw.id.address,
                    born_ns: raw.id.born_ns,
                },
                creator: (raw.creator_tgid != 0).then_some(raw.creator_tgid),
                opened: self.opened(raw),
                items: self.items(raw).filter(|_| known.items),
                flags: self.flags(raw).filter(|_| known.flags),
                counters: counters.clone().unwrap_or_default(),
            }))
            .collect()
    }
}
