//! Counters of epolls, whoever waits on them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError, Queue};
use epoll_trace_ebpf as abi;

use super::Take;
use super::instance::{
    Base, Before, Followed, Found as FoundBy, Values, base_of, changes, is_same, net_items, values,
};
use super::mapped::Mapped;
use super::pool::{Found, Pool};
use super::rows::MAX_CLOSED;
use super::slots::Slots;
use super::tally::epoll_counters;
use super::text;
use crate::identity;
use crate::model::snapshot::{Epoll, EpollCounter, EpollId, Known};

/// The maps that hold epolls.
pub(super) struct EpollMaps {
    rows: Mapped<abi::Epoll>,
    known: BpfHashMap<MapData, u64, abi::KnownEpoll>,
    free: Queue<MapData, u32>,
    free_blocks: Queue<MapData, u32>,
}

impl EpollMaps {
    /// Takes them out of the object, by name.
    ///
    /// # Errors
    /// When the object and this agent are not of one build.
    pub(super) fn new(take: &mut Take<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            rows: Mapped::new(take("EPOLL_ROWS")?)?,
            known: take("EPOLLS")?.try_into()?,
            free: take("FREE_EPOLLS")?.try_into()?,
            free_blocks: take("EPOLL_BLOCKS")?.try_into()?,
        })
    }
}

/// All epolls.
pub(super) struct Epolls {
    maps: EpollMaps,
    pool: Pool,
    live: Slots<Followed>,
    /// These in the order of their ids.
    order: Vec<(abi::EpollId, u32)>,
    /// What the model gets of each, in this order; nothing where all of it is to be made.
    models: Vec<Epoll>,
    /// Those of which it is to be made anew.
    changed: Vec<abi::EpollId>,
    /// One went since they were put in order.
    gone: bool,
    /// Those that were closed.
    dead: BTreeSet<abi::EpollId>,
    /// There is an open epoll of which it is not known what it watches.
    some_unknown: bool,
    /// [`Epolls::had`] or [`Epolls::found`] told something since the last look.
    told: bool,
    /// Names of processes that created epolls while we looked, or had them before.
    creators: BTreeMap<u32, String>,
    /// Sums of the closed ones, by [`EpollId::closed_sums`].
    closed: BTreeMap<EpollId, [u64; EpollCounter::COUNT]>,
    /// Of these, how many had to make room.
    pub(super) forgotten: u64,
    dying: BTreeSet<u32>,
    /// What those had that were there before us, less what was counted until it was read.
    before: HashMap<abi::EpollId, Base>,
    /// Processes by which they were found at the start.
    found: FoundBy,
    /// The counters of those of which none is known.
    nothing: Values,
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
            order: Vec::new(),
            models: Vec::new(),
            changed: Vec::new(),
            gone: false,
            dead: BTreeSet::new(),
            some_unknown: false,
            told: false,
            creators: BTreeMap::new(),
            closed: BTreeMap::new(),
            forgotten: 0,
            dying: BTreeSet::new(),
            before: HashMap::new(),
            found: HashMap::new(),
            nothing: Values::default(),
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
        self.told = true;
        Ok(true)
    }

    /// Takes the process by which an epoll was found; the first names it.
    pub(super) fn found(&mut self, id: abi::EpollId, process: u32, fd: i32) {
        self.told = true;
        self.found.entry(id).or_insert_with(|| {
            let name = identity::comm(process, None).unwrap_or_default();
            (process, fd, name)
        });
    }

    /// Whether [`Epolls::had`] was told of this epoll.
    pub(super) fn knows_items_of(&self, id: &abi::EpollId) -> bool {
        self.before.contains_key(id)
    }

    /// Whether there is an open epoll of which it is not known what it watches.
    pub(super) fn some_unknown(&self) -> bool {
        self.some_unknown
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
        let told = std::mem::take(&mut self.told);
        let mut arranged = !(told || std::mem::take(&mut self.gone));
        self.dead.clear();
        self.some_unknown = false;
        for &index in &self.pool.used {
            let raw = self.maps.rows.get(index)?;
            let base = match self.live.get_mut(index) {
                Some(followed) if !told && is_same(&followed.raw, &raw) => {
                    if followed.update(raw) {
                        self.changed.push(raw.id);
                    }
                    followed.base
                }
                _ => {
                    arranged = false;
                    let base = base_of(&raw, &self.before);
                    self.live.insert(index, Followed::new(raw, base));
                    base
                }
            };
            if raw.dead != 0 {
                self.dead.insert(raw.id);
            } else {
                self.some_unknown |= base.is_none();
            }
        }
        if !arranged {
            self.arrange();
        }
        Ok(())
    }

    fn arrange(&mut self) {
        let ids = self.live.iter().map(|(index, followed)| (followed.raw.id, index));
        self.order = ids.collect();
        self.order.sort_unstable();
        self.models.clear();
        self.creators.clear();
        let raws = self.live.values().map(|followed| &followed.raw);
        for epoll in raws.filter(|epoll| epoll.creator_tgid != 0) {
            let name = || text(&epoll.creator_comm);
            self.creators.entry(epoll.creator_tgid).or_insert_with(name);
        }
        for (process, _, name) in self.found.values() {
            self.creators.entry(*process).or_insert_with(|| name.clone());
        }
    }

    /// Whether an epoll is followed.
    pub(super) fn follows(&self, id: &abi::EpollId) -> bool {
        self.order.binary_search_by_key(id, |&(id, _)| id).is_ok()
    }

    /// Whether an epoll is followed and was not closed at the last look.
    pub(super) fn is_open(&self, id: &abi::EpollId) -> bool {
        self.follows(id) && !self.dead.contains(id)
    }

    /// The epolls that were closed, as of the last look.
    pub(super) fn dead(&self) -> &BTreeSet<abi::EpollId> {
        &self.dead
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
            // One from before the start may be waited on without an end since then: its process is the one that it was found by.
            let owner = match epoll.creator_tgid {
                0 => self.found.get(&epoll.id).map(|&(process, ..)| process),
                creator => Some(creator),
            };
            !watching.contains(&epoll.id) && !owner.is_some_and(identity::exists)
        };
        let mut now_dead = BTreeSet::new();
        let mut left = waiters;
        for &(id, index) in &self.order {
            // Both lists are in order.
            while let [(epoll, _), others @ ..] = left
                && *epoll < id
            {
                left = others;
            }
            let waited_on = left.first().is_some_and(|&(epoll, _)| epoll == id);
            let is_abandoned = || self.live.get(index).is_some_and(|epoll| abandoned(&epoll.raw));
            if self.dead.contains(&id) || (!waited_on && is_abandoned()) {
                now_dead.insert(index);
            }
        }
        let final_rows: Vec<u32> = now_dead.intersection(&self.dying).copied().collect();
        for index in final_rows {
            let Some(Followed { raw: gone, .. }) = self.live.remove(index) else {
                continue;
            };
            self.gone = true;
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
        if self.gone {
            self.order.retain(|&(_, index)| self.live.get(index).is_some());
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
        for (process, name) in &self.creators {
            names.entry(*process).or_insert_with(|| name.clone());
        }
    }

    fn give_back(&mut self, index: u32) -> anyhow::Result<()> {
        self.maps.rows.set(index, ZERO)?;
        self.maps.free.push(index, 0)?;
        self.pool.recycled(index);
        Ok(())
    }

    /// Everything read, with [`EpollId::closed_sums`] for the closed epolls; ordered by id.
    pub(super) fn model(&mut self, known: &Known) -> Vec<Epoll> {
        let mut epolls = Vec::with_capacity(self.closed.len() + self.order.len());
        // What stands for closed ones lies at address 0.
        epolls.extend(self.closed.iter().map(|(&id, &counts)| Epoll {
            id,
            creator: id.process_of_closed(),
            opened: None,
            items: Some(0).filter(|_| known.items),
            flags: None,
            counters: values(counts, known, &self.nothing),
        }));
        self.make_models(known);
        epolls.extend_from_slice(&self.models);
        epolls
    }

    /// Most are what they were at the last look.
    fn make_models(&mut self, known: &Known) {
        let (live, found, nothing) = (&mut self.live, &self.found, &self.nothing);
        let mut model = |index| Some(live.get_mut(index)?.model(found, known, nothing));
        if self.models.len() != self.order.len() {
            let all = self.order.iter();
            self.models = all.filter_map(|&(_, index)| model(index)).collect();
        } else {
            for id in &self.changed {
                if let Ok(place) = self.order.binary_search_by_key(id, |&(id, _)| id)
                    && let Some(new) = model(self.order[place].1)
                {
                    self.models[place] = new;
                }
            }
        }
        self.changed.clear();
    }
}
