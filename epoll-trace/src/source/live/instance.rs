//! One epoll as it was read last, and what the model gets of it.

use std::collections::HashMap;

use epoll_trace_ebpf as abi;

use super::tally::epoll_counters;
use crate::model::shared::Shared;
use crate::model::snapshot::{Epoll, EpollCounter, EpollId, Known};

/// Processes by which epolls were found at the start: id, descriptor and name.
pub(super) type Found = HashMap<abi::EpollId, (u32, i32, String)>;

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
pub(super) struct Base {
    /// How many items more.
    pub(super) items: i64,
    /// Flags besides those seen.
    pub(super) flags: u32,
}

/// Items that came less items that went.
pub(super) fn net_items(counters: &[u64; EpollCounter::COUNT]) -> i64 {
    let of = |counter: EpollCounter| counters[counter as usize] as i64;
    of(EpollCounter::CtlAdd) - of(EpollCounter::CtlDel) - of(EpollCounter::ItemsReleased)
}

/// Changes of its items that were counted.
pub(super) fn changes(counters: &[u64; EpollCounter::COUNT]) -> u64 {
    let of = |counter: EpollCounter| counters[counter as usize];
    of(EpollCounter::CtlAdd) + of(EpollCounter::CtlDel) + of(EpollCounter::ItemsReleased)
}

/// What was read last of one epoll.
pub(super) struct Followed {
    /// As the programs have it.
    pub(super) raw: abi::Epoll,
    /// What it had before; nothing where that is not known.
    pub(super) base: Option<Base>,
    /// What the model gets of its counters, until one changes.
    counters: Option<Values>,
}

/// Counters as the model has them.
pub(super) type Values = Shared<[Option<u64>; EpollCounter::COUNT]>;

/// What was counted of an epoll, or of closed ones, as far as it is known; where nothing is, `nothing` serves all of them.
pub(super) fn values(counts: [u64; EpollCounter::COUNT], known: &Known, nothing: &Values) -> Values {
    if known.epolls == [false; EpollCounter::COUNT] {
        return nothing.clone();
    }
    let values = std::array::from_fn(|index| known.epolls[index].then_some(counts[index]));
    Values::from(values)
}

/// An epoll that was created while we looked had nothing before.
pub(super) fn base_of(raw: &abi::Epoll, before: &HashMap<abi::EpollId, Base>) -> Option<Base> {
    if raw.creator_tgid != 0 {
        return Some(Base::default());
    }
    before.get(&raw.id).copied()
}

/// Whether it is the same epoll under the same name.
pub(super) fn is_same(one: &abi::Epoll, other: &abi::Epoll) -> bool {
    let of = |raw: &abi::Epoll| (raw.id, raw.creator_tgid, raw.creator_comm);
    of(one) == of(other)
}

impl Followed {
    /// One that is new.
    pub(super) fn new(raw: abi::Epoll, base: Option<Base>) -> Self {
        Self {
            raw,
            base,
            counters: None,
        }
    }

    /// Takes a new reading; whether it is another one.
    pub(super) fn update(&mut self, raw: abi::Epoll) -> bool {
        if self.raw == raw {
            return false;
        }
        if self.raw.counters != raw.counters {
            self.counters = None;
        }
        self.raw = raw;
        true
    }

    fn items(&self) -> Option<u64> {
        if self.raw.dead != 0 {
            return Some(0);
        }
        u64::try_from(self.base?.items + net_items(&epoll_counters(&self.raw.counters))).ok()
    }

    fn flags(&self) -> Option<u32> {
        let seen = (self.raw.flags != 0).then_some(self.raw.flags);
        self.base.map_or(seen, |base| Some(base.flags | self.raw.flags))
    }

    /// What the model gets.
    pub(super) fn model(&mut self, found: &Found, known: &Known, nothing: &Values) -> Epoll {
        let (raw, creator) = (&self.raw, self.raw.creator_tgid);
        let counters = self
            .counters
            .get_or_insert_with(|| values(epoll_counters(&raw.counters), known, nothing))
            .clone();
        Epoll {
            id: EpollId {
                address: raw.id.address,
                born_ns: raw.id.born_ns,
            },
            creator: (creator != 0).then_some(creator),
            opened: match creator {
                0 => found.get(&raw.id).map(|&(process, fd, _)| (process, fd)),
                _ => Some((creator, raw.epfd)),
            },
            items: self.items().filter(|_| known.items),
            flags: self.flags().filter(|_| known.flags),
            counters,
        }
    }
}
