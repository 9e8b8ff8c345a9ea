//! Files that several watch, and listeners, as they are counted: one item each for every epoll and descriptor.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::snapshot::{EpollId, Row, RowKey};

/// What they are called among numbers, where they may be absent.
pub const SOURCES: &str = "sources";

/// A watched file, told apart from an earlier one at the same address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceId {
    /// Kernel address.
    pub file: u64,
    /// CLOCK_MONOTONIC ns when it was first seen to be a source.
    pub born_ns: u64,
}

/// An item of a source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceItemKey {
    /// The file.
    pub source: SourceId,
    /// Who watches it.
    pub epoll: EpollId,
    /// The descriptor it was added as.
    pub fd: i32,
}

/// What a watched file is. Texts come from processes: not yet safe for a terminal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// `tcp`, `udp`, `unix`, `socket`, `pipe`, `eventfd`, …, `file`.
    pub kind: String,
    /// Address or path, where the kind has one and it could be found.
    pub name: Option<String>,
    /// Inode of a socket or pipe.
    pub inode: Option<u64>,
    /// Of a TCP listener: connections that waited to be accepted when it was looked up.
    pub accept_queue: Option<u64>,
    /// Of a socket: inode of the network namespace that it was looked up in.
    pub netns: Option<u64>,
}

impl Named {
    /// Whether it is a socket that no table of its network namespace has.
    pub fn is_nameless_socket(&self) -> bool {
        self.kind == "socket" && self.name.is_none()
    }
}

/// A TCP socket that listens at the address of a known one, or is it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listening {
    /// Inode of its network namespace.
    pub netns: u64,
    /// Its local address.
    pub address: String,
    /// Its inode.
    pub inode: u64,
    /// Connections that wait to be accepted at this look.
    pub queue: u64,
}

/// What one item counted since the start of tracing.
#[derive(Clone, Debug, PartialEq)]
pub struct SourceItem {
    /// Which.
    pub key: SourceItemKey,
    /// Whether the four numbers below are counted; where the kernel tells nothing of items they are 0, and herds are estimated.
    pub counted: bool,
    /// Notifications of events it asks for.
    pub notifications: u64,
    /// Waiters that these made runnable.
    pub woken: u64,
    /// Notifications that ended without a waiter, so that the kernel went on to the next item: seen by what the callback returned, and only of
    /// EPOLLEXCLUSIVE items.
    pub passed_on: u64,
    /// Notifications for which it stood first in the file's wait queue, where each event begins.
    pub first: u64,
    /// Of a listener: how many connections may wait to be accepted.
    pub backlog: Option<u64>,
    /// Its mask and flags.
    pub events: u32,
    /// Whether it still watches.
    pub open: bool,
    /// What the file is; else why that is not known.
    pub named: Result<Arc<Named>, Arc<str>>,
    /// A process that has its epoll, and its descriptor there: who made it, or had it at the start.
    pub owner: Option<(u32, Option<i32>)>,
    /// The processes that wait on its epoll, with all that they count there.
    pub waiters: Vec<Row>,
}

/// Takes off `later` what `earlier` had counted already, and what was over by then. A row that an item did not have then is
/// what `row` finds.
pub(super) fn take_off<'a>(
    later: &mut Vec<SourceItem>,
    earlier: &'a [SourceItem],
    row: impl Fn(RowKey) -> Option<&'a Row>,
    minus: impl Fn(&Row, &Row) -> Row,
) {
    let before: HashMap<SourceItemKey, &SourceItem> = earlier.iter().map(|item| (item.key, item)).collect();
    later.retain(|item| {
        before.get(&item.key).is_none_or(|old| {
            old.open || item.open || item.notifications > old.notifications || item.woken > old.woken
        })
    });
    let waiters: BTreeMap<RowKey, &'a Row> = earlier
        .iter()
        .flat_map(|item| &item.waiters)
        .map(|row| (row.key, row))
        .collect();
    for item in later {
        if let Some(old) = before.get(&item.key) {
            item.notifications = item.notifications.saturating_sub(old.notifications);
            item.woken = item.woken.saturating_sub(old.woken);
            item.passed_on = item.passed_on.saturating_sub(old.passed_on);
            item.first = item.first.saturating_sub(old.first);
        }
        for waiter in &mut item.waiters {
            if let Some(old) = waiters.get(&waiter.key).copied().or_else(|| row(waiter.key)) {
                *waiter = minus(waiter, old);
            }
        }
    }
}
