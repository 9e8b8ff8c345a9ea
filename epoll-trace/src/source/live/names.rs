//! Names of the processes and threads that wait, and which of them are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::identity;

/// Files read at each look, at most, besides those of waiters that are new: with many waiters that costs more than
/// all maps. A name that changed is seen some looks later then.
const READS: usize = 128;

/// A process, and its thread where rows are kept by thread.
pub(super) type Waiter = (u32, Option<u32>);

/// What `/proc` says of waiters.
#[derive(Default)]
pub(super) struct Names {
    known: BTreeMap<Waiter, String>,
    gone: BTreeSet<Waiter>,
    /// The last one whose turn it was.
    last: Waiter,
}

impl Names {
    /// Puts the present names of `waiters` into `names`: a process that runs may have got another one since its row was made.
    /// One that has ended keeps what is there.
    pub(super) fn refresh(&mut self, waiters: &BTreeSet<Waiter>, names: &mut BTreeMap<u32, String>) {
        self.known.retain(|waiter, _| waiters.contains(waiter));
        self.gone.retain(|waiter| waiters.contains(waiter));
        let new = waiters.iter().filter(|waiter| !self.known.contains_key(waiter));
        let mut due: BTreeSet<Waiter> = new.copied().collect();
        let after = (std::ops::Bound::Excluded(self.last), std::ops::Bound::Unbounded);
        let turns = waiters.range(after).chain(waiters.iter());
        for &waiter in turns.take(READS.min(waiters.len())) {
            due.insert(waiter);
            self.last = waiter;
        }
        for (pid, tid) in due {
            match identity::comm(pid, tid) {
                Some(comm) => _ = self.known.insert((pid, tid), comm),
                None => {
                    self.known.remove(&(pid, tid));
                    if !identity::exists(tid.unwrap_or(pid)) {
                        self.gone.insert((pid, tid));
                    }
                }
            }
        }
        for (&(pid, tid), comm) in &self.known {
            names.insert(tid.unwrap_or(pid), comm.clone());
        }
    }

    /// Waiters that do not run any more.
    pub(super) fn gone(&self) -> &BTreeSet<Waiter> {
        &self.gone
    }
}
