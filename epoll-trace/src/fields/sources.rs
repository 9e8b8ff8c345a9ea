//! The columns of listeners and files that several watch.

use super::{Column, Value, flags};
use crate::model::herds::{Herd, Worker};
use crate::model::snapshot::Counter;
use crate::model::source::Named;

/// Bits of a mask of epoll_ctl that are flags, no events (`EP_PRIVATE_BITS`, fs/eventpoll.c).
pub const EVENT_FLAGS: u32 = 0xf << 28;

/// Kind and name of a file, not yet safe for a terminal.
pub fn file_name(named: &Named) -> String {
    match (&named.name, named.inode) {
        (Some(name), _) => format!("{} {name}", named.kind),
        (None, Some(inode)) => format!("{} [{inode}]", named.kind),
        (None, None) => named.kind.clone(),
    }
}

/// The same of a source; of one without a name who watches it as what.
pub fn source_name(herd: &Herd) -> String {
    match (&herd.named, herd.workers.first()) {
        (Ok(named), _) => file_name(named),
        (Err(_), Some(worker)) => {
            let epoll = worker.key.epoll_name().unwrap_or_default();
            format!("{epoll}/{}", worker.fd)
        }
        (Err(_), None) => String::new(),
    }
}

fn modes(herd: &Herd) -> Value {
    let all = herd.workers.iter().fold(0, |all, worker| all | worker.events);
    Value::Text(flags(all & EVENT_FLAGS))
}

fn ratio(ratio: Option<f64>) -> Value {
    ratio.map_or(Value::Absent, Value::Ratio)
}

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Absent, Value::Count)
}

type Col = Column<Herd>;

/// Every column, left to right.
pub static SOURCE_COLUMNS: &[Col] = &[
    Col::name(
        "source",
        "SOURCE",
        24,
        |h| Value::Text(source_name(h)),
        "The file; without a name who watches it, as PID:epfd/FD",
    )
    .grows(),
    Col::name("flags", "FLAGS", 7, modes, "Flags of its items").dispensable(5),
    Col::number(
        "workers",
        "WORKERS",
        7,
        |h| Value::Count(h.workers.len() as u64),
        "Epolls that watch it",
    )
    .dispensable(3),
    Col::number(
        "events",
        "EVENTS",
        7,
        |h| Value::Count(h.events),
        "Events of it that reached anybody",
    )
    .dispensable(2),
    Col::number(
        "fan_out",
        "FAN-OUT",
        7,
        |h| ratio(h.fan_out()),
        "Items that an event reaches",
    ),
    Col::number(
        "woken",
        "WOKEN",
        6,
        |h| ratio(h.woken_per_event()),
        "Waiters that an event wakes",
    ),
    Col::number(
        "wasted",
        "WASTED%",
        7,
        |h| h.empty_share().map_or(Value::Absent, Value::Share),
        "Wakeups of its workers, by this file or another, after which there was nothing to do",
    )
    .made_of(&["empty_wakeups"])
    .dispensable(1),
    Col::number(
        "accepts",
        "ACCEPTS",
        7,
        |h| count(h.sum(|w: &Worker| w.counter(Counter::Accepts))),
        "Connections that its workers accepted",
    )
    .made_of(&["accepts"])
    .dispensable(6),
    Col::number(
        "gini",
        "GINI",
        4,
        |h| ratio(h.gini()),
        "How unequal the work is: 0 where all workers get the same",
    )
    .dispensable(7),
    Col::number(
        "queue",
        "QUEUE",
        6,
        |h| count(h.accept_queue),
        "Connections that wait to be accepted now",
    )
    .dispensable(4),
];
