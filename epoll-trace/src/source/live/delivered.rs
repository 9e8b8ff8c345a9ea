//! Files that deliveries return: read whole; those of closed epolls are kept with the process that waited on them.

use std::collections::BTreeMap;
use std::sync::Arc;

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use crate::model::files::{Delivered as Model, File, FileId, FileSums, Seen};
use crate::model::histogram::{Histogram, Shape};
use crate::model::snapshot::{EpollId, Row};

/// Files of closed epolls that are kept.
const MAX_CLOSED: usize = 1024;
/// While it is read the kernel may forget the file that the next one is asked by, and begin again.
const MOST_READ: usize = 2 * abi::MAX_FILES as usize;

/// Unused places that each CPU may keep for itself, so that the kernel forgets files before all places are taken (`LOCAL_FREE_TARGET`,
/// kernel/bpf/bpf_lru_list.h).
const SPARE: usize = 128;

/// The maps that hold them.
pub(super) struct DeliveredMaps {
    pub(super) files: BpfHashMap<MapData, abi::FileKey, abi::FileRow>,
    pub(super) sums: BpfHashMap<MapData, abi::EpollId, abi::FileSums>,
    pub(super) rounds: BpfHashMap<MapData, u64, abi::Round>,
}

/// What was seen of a file last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LastSeen {
    /// When it was delivered, notified, or put into the epoll or changed there, CLOCK_MONOTONIC ns.
    pub(super) at_ns: u64,
    /// The thread that got it has not come back to a wait.
    pub(super) is_held: bool,
}

/// All files.
pub(super) struct Delivered {
    maps: DeliveredMaps,
    /// Edges of the programs' buckets of them.
    shape: Shape,
    /// The last look, CLOCK_MONOTONIC ns.
    last_ns: u64,
    /// The most files that the kernel had at a look.
    most: usize,
    files: BTreeMap<FileId, File>,
    sums: BTreeMap<EpollId, FileSums>,
    closed_files: BTreeMap<FileId, File>,
    /// By process.
    closed_sums: BTreeMap<u32, FileSums>,
    /// Epolls' sums and files that had to make room, or of which nobody was seen to wait.
    pub(super) forgotten: u64,
}

impl Delivered {
    /// Takes the maps over.
    pub(super) fn new(maps: DeliveredMaps) -> Self {
        let edge = |octave| abi::bucket_low(octave * abi::SUB_BUCKETS as usize);
        Self {
            maps,
            shape: (0..=abi::OCTAVES).map(edge).collect(),
            last_ns: 0,
            most: 0,
            files: BTreeMap::new(),
            sums: BTreeMap::new(),
            closed_files: BTreeMap::new(),
            closed_sums: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Reads everything at `at_ns`; `rows` are the waiters of this look. What belongs to epolls that are not `followed` any more makes room.
    ///
    /// # Errors
    /// When the kernel refuses a read or a write.
    pub(super) fn read(
        &mut self,
        at_ns: u64,
        rows: &[Row],
        followed: impl Fn(&abi::EpollId) -> bool,
    ) -> Result<(), MapError> {
        let mut owners: BTreeMap<EpollId, u32> = BTreeMap::new();
        for row in rows {
            if let Some(epoll) = row.key.epoll {
                owners.entry(epoll).or_insert(row.key.pid);
            }
        }
        // Epolls are read before: one that is younger than the last look may be too young to be followed.
        let last_ns = std::mem::replace(&mut self.last_ns, at_ns);
        let is_gone = |id: &abi::EpollId| id.born_ns < last_ns && !followed(id);
        self.read_files(is_gone)?;
        self.read_sums(&owners, is_gone)
    }

    fn read_files(&mut self, is_gone: impl Fn(&abi::EpollId) -> bool) -> Result<(), MapError> {
        self.files.clear();
        let mut gone = Vec::new();
        for entry in self.maps.files.iter().take(MOST_READ) {
            let (key, raw) = entry?;
            let file = file(&key, &raw, &self.shape);
            if is_gone(&key.epoll) {
                gone.push((key, file));
            } else {
                self.files.insert(file.id, file);
            }
        }
        self.most = self.most.max(self.files.len() + gone.len());
        for (key, mut file) in gone {
            forget(self.maps.files.remove(&key))?;
            // Its sums still tell whose it was.
            let owner = self.sums.get(&file.id.epoll).and_then(|sums| sums.owner);
            if file.deliveries == 0 {
                continue;
            }
            match owner {
                Some(owner) if self.closed_files.len() < MAX_CLOSED => {
                    file.epoll = EpollId::closed_of(owner);
                    self.closed_files.insert(file.id, file);
                }
                _ => self.forgotten += 1,
            }
        }
        Ok(())
    }

    fn read_sums(
        &mut self,
        owners: &BTreeMap<EpollId, u32>,
        is_gone: impl Fn(&abi::EpollId) -> bool,
    ) -> Result<(), MapError> {
        let mut gone = Vec::new();
        for entry in self.maps.sums.iter() {
            let (key, raw) = entry?;
            let id = epoll_of(&key);
            let known = self.sums.get(&id).and_then(|sums| sums.owner);
            let sums = FileSums {
                epoll: id,
                owner: known.or_else(|| owners.get(&id).copied()),
                deliveries: raw.deliveries,
                unread: raw.unread,
                shared_ns: raw.shared_ns,
                waited: histogram(&self.shape, &raw.waited),
            };
            if is_gone(&key) {
                gone.push(key);
            }
            self.sums.insert(id, sums);
        }
        for key in gone {
            forget(self.maps.sums.remove(&key))?;
            let Some(mut last) = self.sums.remove(&epoll_of(&key)) else {
                continue;
            };
            match last.owner {
                Some(owner)
                    if self.closed_sums.len() < MAX_CLOSED || self.closed_sums.contains_key(&owner) =>
                {
                    last.epoll = EpollId::closed_of(owner);
                    self.closed_sums
                        .entry(owner)
                        .and_modify(|sums| sums.add(&last))
                        .or_insert(last);
                }
                _ => self.forgotten += 1,
            }
        }
        Ok(())
    }

    /// What was seen last of the file that `epoll` has under the word `data`, as it is now; of several with that word the last one counts.
    /// `None` if nothing was, or it was forgotten.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn last_seen(&self, epoll: EpollId, data: u64) -> Result<Option<LastSeen>, MapError> {
        let epoll = abi::EpollId {
            address: epoll.address,
            born_ns: epoll.born_ns,
        };
        let Some(row) = found(self.maps.files.get(&abi::FileKey { epoll, data }, 0))? else {
            return Ok(None);
        };
        let round = found(self.maps.rounds.get(&row.last_task, 0))?;
        Ok(Some(LastSeen {
            at_ns: row.last_ns,
            is_held: round.is_some_and(|round| round.turn == row.last_turn && round.returned_ns != 0),
        }))
    }

    /// Whether the kernel still has every file of `epoll` that it saw: it had room for all, or the deliveries of those that it has are all
    /// that there were.
    pub(super) fn remembers_all(&self, epoll: EpollId) -> bool {
        let spare = SPARE * aya::util::nr_cpus().unwrap_or(usize::MAX / SPARE);
        if self.most.saturating_add(spare) < abi::MAX_FILES as usize {
            return true;
        }
        let own = self.files.values().filter(|file| file.epoll == epoll);
        let sums = self.sums.get(&epoll).map_or(0, |sums| sums.deliveries);
        own.map(|file| file.deliveries).sum::<u64>() >= sums
    }

    /// Everything read.
    pub(super) fn model(&self) -> Model {
        let (files, sums) = (self.files.values(), self.sums.values());
        Model {
            files: files.chain(self.closed_files.values()).cloned().collect(),
            sums: sums.chain(self.closed_sums.values()).cloned().collect(),
        }
    }
}

/// One that is not there is no error.
fn found<T>(value: Result<T, MapError>) -> Result<Option<T>, MapError> {
    match value {
        Ok(value) => Ok(Some(value)),
        Err(MapError::KeyNotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

/// One that the kernel forgot before is no error.
fn forget(removed: Result<(), MapError>) -> Result<(), MapError> {
    match removed {
        Err(MapError::KeyNotFound) => Ok(()),
        other => other,
    }
}

fn file(key: &abi::FileKey, raw: &abi::FileRow, shape: &Shape) -> File {
    let epoll = epoll_of(&key.epoll);
    File {
        id: FileId {
            epoll,
            data: key.data,
        },
        epoll,
        seen: (raw.kind != abi::UNSEEN_FILE).then_some(Seen {
            fd: raw.fd,
            stream: raw.kind == abi::STREAM,
            events: raw.events,
        }),
        ambiguous: raw.ambiguous != 0,
        deliveries: raw.deliveries,
        overlaps: raw.overlaps,
        alone: raw.alone,
        alone_ns: raw.alone_ns,
        waited: histogram(shape, &raw.waited),
    }
}

/// The programs keep no sum of these times.
fn histogram(shape: &Shape, counts: &[u32]) -> Histogram {
    let counts = (0_u16..).zip(counts.iter().map(|&count| u64::from(count)));
    Histogram::new(Arc::clone(shape), counts.collect(), 0)
}

fn epoll_of(id: &abi::EpollId) -> EpollId {
    EpollId {
        address: id.address,
        born_ns: id.born_ns,
    }
}
