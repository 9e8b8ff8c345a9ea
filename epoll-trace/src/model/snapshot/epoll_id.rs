//! Which epoll: open ones by where they lie and when they were seen, closed ones as a sum of their process.

use std::collections::BTreeSet;

/// An epoll instance, told apart from an earlier one at the same address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpollId {
    /// Kernel address, or a descriptor number marked with [`EpollId::BY_FD`] where addresses are hidden.
    pub address: u64,
    /// CLOCK_MONOTONIC ns when it was created or first seen.
    pub born_ns: u64,
}

impl EpollId {
    /// Marks an `address` that is a descriptor number; kernel addresses have the bit above it set.
    pub const BY_FD: u64 = 1 << 62;

    /// Marks, in `born_ns` of what stands for closed epolls, those that are counted with another process.
    const WITH_ANOTHER: u64 = 1 << 32;

    /// What stands for all closed epolls of process `pid`, but for those of [`EpollId::closed_with_another`].
    pub fn closed_of(pid: u32) -> Self {
        Self {
            address: 0,
            born_ns: u64::from(pid),
        }
    }

    /// What stands for the closed epolls that `pid` waited on and that [`EpollId::closed_of`] another process holds.
    /// They are numbers of `pid` too, but among epolls they would count twice.
    pub fn closed_with_another(pid: u32) -> Self {
        Self {
            address: 0,
            born_ns: Self::WITH_ANOTHER | u64::from(pid),
        }
    }

    /// The sums that a closed epoll goes to: one for each process that waited on it, for its creator without any. One of
    /// them holds it among epolls: the creator's if that waited, else the lowest process's.
    pub fn closed_sums(creator: Option<u32>, waiters: &BTreeSet<u32>) -> Vec<Self> {
        let holder = creator
            .filter(|creator| waiters.is_empty() || waiters.contains(creator))
            .or(waiters.first().copied());
        let others = waiters.iter().filter(|&&pid| Some(pid) != holder);
        holder
            .map(Self::closed_of)
            .into_iter()
            .chain(others.map(|&pid| Self::closed_with_another(pid)))
            .collect()
    }

    /// Whether it stands for closed epolls of a process: no epoll lies at address 0.
    pub fn stands_for_closed(self) -> bool {
        self.address == 0
    }

    /// The process whose closed epolls it stands for.
    pub fn process_of_closed(self) -> Option<u32> {
        self.stands_for_closed().then_some(self.born_ns as u32)
    }

    /// Whether it stands for closed epolls whose numbers another process holds among epolls.
    pub fn is_held_by_another(self) -> bool {
        self.stands_for_closed() && self.born_ns & Self::WITH_ANOTHER != 0
    }

    /// Whether the same id in another process is another epoll.
    pub fn is_private(self) -> bool {
        self.address >> 62 == Self::BY_FD >> 62
    }
}
