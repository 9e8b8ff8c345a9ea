//! Who woke the waiters of each row.

use std::collections::{BTreeMap, HashMap};

use aya::maps::{HashMap as BpfHashMap, MapData, MapError};
use epoll_trace_ebpf as abi;

use super::text;
use crate::model::waker::{WakerId, Wakers};

/// The map that holds them, and what was read from it last.
pub(super) struct WakerTable {
    map: BpfHashMap<MapData, abi::WakerKey, abi::Waker>,
    by_row: HashMap<u32, Vec<(abi::WakerKey, u64)>>,
    /// Names of threads by id, of all that are remembered.
    names: BTreeMap<u32, String>,
}

/// Who woke the waiters of a row.
#[derive(Clone, Debug, Default)]
pub(super) struct Woken {
    /// Wakeups of all causes, where they are wanted.
    pub(super) wakers: Wakers,
    /// Chain wakeups, where they are wanted.
    pub(super) chains: Wakers,
}

fn id(key: &abi::WakerKey) -> Option<WakerId> {
    let context = abi::WakeContext::ALL.get(key.context as usize)?;
    Some(match context {
        abi::WakeContext::Process | abi::WakeContext::Chain => WakerId::Thread {
            pid: key.tgid,
            tid: key.tid,
        },
        abi::WakeContext::Softirq => WakerId::Softirq,
        abi::WakeContext::Interrupt => WakerId::Interrupt,
        abi::WakeContext::Timer => WakerId::Timer,
    })
}

impl WakerTable {
    /// Nothing read yet.
    pub(super) fn new(map: BpfHashMap<MapData, abi::WakerKey, abi::Waker>) -> Self {
        Self {
            map,
            by_row: HashMap::new(),
            names: BTreeMap::new(),
        }
    }

    /// Reads all of them.
    ///
    /// # Errors
    /// When the kernel refuses a read.
    pub(super) fn read(&mut self) -> Result<(), MapError> {
        self.by_row.clear();
        self.names.clear();
        for entry in self.map.iter() {
            let (key, waker) = entry?;
            self.by_row.entry(key.row).or_default().push((key, waker.wakeups));
            if key.tid != 0 {
                self.names.insert(key.tid, text(&waker.comm));
            }
        }
        Ok(())
    }

    /// Who woke the waiters of row `index`.
    pub(super) fn of(&self, index: u32) -> Woken {
        let mut woken = Woken::default();
        for (key, wakeups) in self.by_row.get(&index).into_iter().flatten() {
            let part = if key.context == abi::WakeContext::Chain as u32 {
                &mut woken.chains
            } else {
                &mut woken.wakers
            };
            part.extend(id(key).map(|id| (id, *wakeups)));
        }
        woken
    }

    /// Row `index` is given back: what is remembered of it makes room.
    ///
    /// # Errors
    /// When the kernel refuses a write.
    pub(super) fn forget(&mut self, index: u32) -> Result<(), MapError> {
        for (key, _) in self.by_row.remove(&index).unwrap_or_default() {
            self.map.remove(&key)?;
        }
        Ok(())
    }

    /// Names of the threads that woke somebody, by their id.
    pub(super) fn names(&self) -> BTreeMap<u32, String> {
        self.names.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contexts_have_the_same_names_on_both_sides() {
        for (context, &named) in (0..).zip(abi::WakeContext::ALL) {
            if named == abi::WakeContext::Chain {
                continue;
            }
            let key = abi::WakerKey {
                context,
                ..abi::WakerKey::default()
            };
            assert_eq!(id(&key).map(WakerId::context), Some(named.name()));
        }
        assert_eq!(
            id(&abi::WakerKey {
                context: 99,
                ..abi::WakerKey::default()
            }),
            None
        );
    }
}
