//! Waits for locks: read whole, folded together once their epoll is closed.

use std::collections::{BTreeMap, BTreeSet};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use super::Take;
use super::rows::MAX_CLOSED;
use super::tally::Tally;
use crate::model::{
    histogram::Shape,
    snapshot::{EpollId, Lock, LockKey, LockKind, LockPath, PathSum},
};

/// The two maps that hold locks.
pub(super) struct LockMaps {
    rows: BpfHashMap<MapData, abi::LockKey, abi::LockRow>,
    threads: BpfHashMap<MapData, abi::LockThread, u32>,
}

impl LockMaps {
    /// Takes them out of the object, by name.
    ///
    /// # Errors
    /// When the object and this agent are not of one build.
    pub(super) fn new(take: &mut Take<'_>) -> anyhow::Result<Self> {
        Ok(Self {
            rows: take("LOCKS")?.try_into()?,
            threads: take("LOCK_THREADS")?.try_into()?,
        })
    }
}

/// What was read last of one lock, or of all closed epolls of a process.
#[derive(Clone, Default)]
struct Followed {
    threads: u64,
    paths: [PathSum; LockPath::COUNT],
    tally: Tally,
}

/// A lock of the closed epolls of a process: process, thread, kind.
type ClosedKey = (u32, u32, u32);

/// All locks.
pub(super) struct Locks {
    maps: LockMaps,
    live: BTreeMap<abi::LockKey, Followed>,
    closed: BTreeMap<ClosedKey, Followed>,
    /// Sums of closed epolls that had to make room.
    pub(super) forgotten: u64,
    /// Locks whose epoll was gone at the last look already: nothing counts into them any more.
    dying: BTreeSet<abi::LockKey>,
}

impl Locks {
    /// Takes the maps over.
    pub(super) const fn new(maps: LockMaps) -> Self {
        Self {
            maps,
            live: BTreeMap::new(),
            closed: BTreeMap::new(),
            forgotten: 0,
            dying: BTreeSet::new(),
        }
    }

    /// Reads every lock.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> Result<(), MapError> {
        for row in self.maps.rows.iter() {
            let (key, raw) = row?;
            let followed = self.live.entry(key).or_default();
            followed.threads = raw.threads;
            for (&path, (count, sum_ns)) in abi::LockPath::ALL
                .iter()
                .zip(raw.counts.into_iter().zip(raw.sums_ns))
            {
                if let Some(path) = LockPath::from_name(path.name()) {
                    followed.paths[path as usize] = PathSum { count, sum_ns };
                }
            }
            followed.tally.update(&raw.waited);
        }
        Ok(())
    }

    /// Folds the locks of epolls that are not `followed` any more into one of their process. That takes two calls: an epoll
    /// that is new has locks before it was read itself.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn fold(&mut self, followed: impl Fn(&abi::EpollId) -> bool) -> Result<(), MapError> {
        let gone: BTreeSet<abi::LockKey> = self
            .live
            .keys()
            .filter(|key| !followed(&key.epoll))
            .copied()
            .collect();
        let last: BTreeSet<abi::LockKey> = gone.intersection(&self.dying).copied().collect();
        for key in &last {
            let Some(lock) = self.live.remove(key) else {
                continue;
            };
            self.maps.rows.remove(key)?;
            let place = (key.tgid, key.tid, key.kind);
            if self.closed.len() >= MAX_CLOSED && !self.closed.contains_key(&place) {
                self.closed.pop_first();
                self.forgotten += 1;
            }
            self.closed.entry(place).or_default().absorb(&lock);
        }
        self.dying = gone;
        self.forget_threads(&last)
    }

    fn forget_threads(&mut self, locks: &BTreeSet<abi::LockKey>) -> Result<(), MapError> {
        if locks.is_empty() {
            return Ok(());
        }
        let threads: Vec<abi::LockThread> = self
            .maps
            .threads
            .keys()
            .filter(|thread| thread.as_ref().is_ok_and(|thread| locks.contains(&thread.lock)))
            .collect::<Result<_, _>>()?;
        threads
            .iter()
            .try_for_each(|thread| self.maps.threads.remove(thread))
    }

    /// Everything read.
    pub(super) fn model(&self, shape: &Shape) -> Vec<Lock> {
        let live = self.live.iter().filter_map(|(key, followed)| {
            let epoll = EpollId {
                address: key.epoll.address,
                born_ns: key.epoll.born_ns,
            };
            let fd = (key.fd >= 0).then_some(key.fd);
            let key = model_key((key.tgid, key.tid, key.kind), Some(epoll), fd)?;
            Some(followed.lock(key, Some(followed.threads), shape))
        });
        let closed = self
            .closed
            .iter()
            .filter_map(|(&place, followed)| Some(followed.lock(model_key(place, None, None)?, None, shape)));
        live.chain(closed).collect()
    }
}

fn model_key((pid, tid, kind): ClosedKey, epoll: Option<EpollId>, fd: Option<i32>) -> Option<LockKey> {
    let kind = abi::LockKind::ALL.get(kind as usize)?;
    Some(LockKey {
        pid,
        tid: (tid != 0).then_some(tid),
        epoll,
        kind: LockKind::from_name(kind.name())?,
        fd,
    })
}

impl Followed {
    fn absorb(&mut self, other: &Self) {
        for (sum, path) in self.paths.iter_mut().zip(other.paths) {
            sum.count += path.count;
            sum.sum_ns += path.sum_ns;
        }
        self.tally.absorb(&other.tally);
    }

    fn lock(&self, key: LockKey, threads: Option<u64>, shape: &Shape) -> Lock {
        Lock {
            key,
            threads,
            paths: self.paths,
            waited: self.tally.clone().histogram(shape),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_have_the_same_names() {
        let names = |ids: &[LockPath]| ids.iter().map(|id| id.name()).collect::<Vec<_>>();
        let raw: Vec<_> = abi::LockPath::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(names(LockPath::ALL), raw);
        let kinds: Vec<_> = abi::LockKind::ALL.iter().map(|id| id.name()).collect();
        assert_eq!(
            LockKind::ALL.iter().map(|id| id.name()).collect::<Vec<_>>(),
            kinds
        );
    }
}
