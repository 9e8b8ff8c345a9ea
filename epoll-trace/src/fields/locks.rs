//! The columns of locks.

use super::{Column, Value};
use crate::model::histogram::Quantile;
use crate::model::locks::LockEntry;

fn time(nanos: Option<u64>) -> Value {
    nanos.map_or(Value::Absent, Value::Nanos)
}

/// Where most of the time was waited.
fn worst_path(lock: &LockEntry) -> Value {
    let shares = lock.shares();
    shares.first().map_or(Value::Absent, |(path, share)| {
        Value::Text(format!("{} {:.0}%", path.name(), share * 100.0))
    })
}

type Col = Column<LockEntry>;

/// Every column, left to right.
pub static LOCK_COLUMNS: &[Col] = &[
    Col::name(
        "lock",
        "LOCK",
        15,
        |l| Value::Text(l.lock_name()),
        "The epoll, as PID:epfd; /FD is the watched file",
    ),
    Col::name(
        "kind",
        "KIND",
        6,
        |l| Value::Text(l.kind.name().to_owned()),
        "lock: of the ready list, mutex: of scans and epoll_ctl, source: of a watched file",
    ),
    Col::name(
        "comm",
        "COMM",
        10,
        |l| Value::Text(l.name.clone()),
        "Name of the epoll's process",
    )
    .dispensable(3),
    Col::number(
        "threads",
        "THREADS",
        7,
        |l| l.threads.map_or(Value::Absent, Value::Count),
        "Threads that waited for it since the start",
    )
    .dispensable(2),
    Col::number("waits", "WAITS", 7, |l| Value::Count(l.count()), "Waits for it"),
    Col::number(
        "total",
        "TOTAL",
        6,
        |l| Value::Nanos(l.sum_ns()),
        "Time waited, all together",
    ),
    Col::number("mean", "AVG", 6, |l| time(l.mean_ns()), "Mean time of a wait").dispensable(5),
    Col::number(
        "p99",
        "P99",
        6,
        |l| time(l.waited.percentile(Quantile::P99)),
        "Time that 1 % of the waits exceed",
    )
    .dispensable(1),
    Col::number("max", "MAX", 6, |l| time(l.waited.max()), "The longest wait").dispensable(4),
    Col::name(
        "path",
        "MOST IN",
        12,
        worst_path,
        "What most of the time was waited in",
    )
    .dispensable(6)
    .grows(),
];
