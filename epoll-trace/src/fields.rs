//! Every number that views show about an entry: one row each, and all views walk the rows.
//! A new column is a new row.

mod column;
mod field;
pub mod findings;
mod item_flags;
pub mod locks;
pub mod overhead;
pub mod own;
mod row;
pub mod sources;

pub use column::{Column, Head, Rank, arranged, fitting};
pub use field::{Field, Needs, Order, Place, Value};
pub use item_flags::{flag_named, flags, flags_in_words};

use crate::model::histogram::Quantile;
use crate::model::snapshot::{Counter, EpollCounter, Metric};
use field::{Get, NAME};
use row::{
    LOCKS, WAKEUP, column, counter, epoll_counter, finding, item, of, p99, rate, ratio, ratio_of, share,
    share_of, time, wakeup,
};

/// The columns of `top`, left to right.
pub fn columns() -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS
        .iter()
        .filter(|field| matches!(field.place, Place::Table | Place::Both))
}

/// The columns of `epolls`, left to right.
pub fn epoll_columns() -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS.iter().filter(|field| field.of_epolls.is_some())
}

/// The columns of `epolls` that fit `width` with a space between them, left to right; the epoll and its process's name always stay.
pub fn epoll_columns_within(width: u16) -> Vec<&'static Field> {
    let columns: Vec<&'static Field> = epoll_columns().collect();
    let heads: Vec<Head> = columns.iter().map(|field| field.head(true)).collect();
    let kept = fitting(&heads, width, |_| true);
    kept.into_iter().map(|place| columns[place]).collect()
}

/// The items of the counters block and of JSON lines.
pub fn counters() -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS
        .iter()
        .filter(|field| matches!(field.place, Place::Counters | Place::Both))
}

/// Every field, in the order of columns and items.
pub static FIELDS: &[Field] = &[
    column(
        "pid",
        "PID",
        "id",
        7,
        Order::Up,
        |e| Value::Count(e.key.pid.into()),
        "Process",
    ),
    Field {
        place: Place::Epolls,
        ..column(
            "epoll",
            "EPOLL",
            NAME,
            12,
            Order::Up,
            |e| Value::Text(e.key.epoll_name().unwrap_or_default()),
            "The epoll, as PID:epfd",
        )
    }
    .of_epolls(0),
    column(
        "comm",
        "COMM",
        NAME,
        12,
        Order::Up,
        |e| Value::Text(e.name.clone()),
        "Name of the process",
    )
    .of_epolls(0),
    Field {
        place: Place::Both,
        ..column(
            "epolls",
            "EPOLLS",
            "count",
            6,
            Order::Down,
            |e| Value::Count(e.epolls),
            "Open epolls it waited on",
        )
        .made_of(&["waits"])
        .dispensable(9)
    },
    of("items", "Items: watched files", |e| {
        e.items.map_or(Value::Absent, Value::Count)
    })
    .titled("ITEMS", 6)
    .of_epolls(2),
    Field {
        order: Order::Up,
        unit: NAME,
        ..of(
            "flags",
            "Flags its items were seen to use: ET, 1SHOT, EXCL, WAKE; LT without any",
            |e| e.flags.map_or(Value::Absent, |bits| Value::Text(flags(bits))),
        )
    }
    .titled("FLAGS", 8)
    .of_epolls(3),
    of("processes", "Processes that waited on its epolls", |e| {
        Value::Count(e.processes)
    })
    .made_of(&["waits"])
    .titled("PROCS", 5)
    .needs(Needs::Nothing)
    .of_epolls(5),
    column(
        "waits_per_s",
        "WAITS/s",
        "per second",
        7,
        Order::Down,
        |e| rate(e, e.counter(Counter::Waits)),
        "Waits that ended",
    )
    .made_of(&["waits"])
    .dispensable(7)
    .of_epolls(1)
    .needs(Needs::Counters),
    column(
        "wakeups_per_s",
        "WAKE/s",
        "per second",
        7,
        Order::Down,
        |e| rate(e, e.wakeups()),
        "Wakeups of all causes",
    )
    .dispensable(2)
    .needs(Needs::Counters),
    column(
        "events_per_wait",
        "EV/WAIT",
        "events",
        7,
        Order::Down,
        |e| e.events_per_wait().map_or(Value::Absent, Value::Ratio),
        "Events per wait; below 1 some waits return nothing",
    )
    .made_of(&["events", "waits"])
    .dispensable(8)
    .of_epolls(4)
    .needs(Needs::Counters),
    share_of(
        "full_share",
        "Deliveries with as many events as maxevents allows, of all",
        |e| share(e, e.counter(Counter::FullBatches), e.deliveries()),
    )
    .made_of(&["full_batches", "deliveries_slept", "deliveries_at_once"])
    .titled("FULL%", 5)
    .of_epolls(8),
    share_of("empty_share", "Empty wakeups, of all", |e| {
        e.empty_share().map_or(Value::Absent, Value::Share)
    })
    .made_of(&["empty_wakeups", "wakeups_unclassified"])
    .titled("EMPTY%", 6)
    .in_top(5)
    .of_epolls(6),
    share_of(
        "ovf_share",
        "Notifications that hit a scan in progress, of all",
        |e| {
            let all = e.epoll_counter(EpollCounter::Notifications);
            share(e, e.epoll_counter(EpollCounter::NotificationsInScan), all)
        },
    )
    .made_of(&["ovf_notifications", "notifications"])
    .titled("OVF%", 4)
    .of_epolls(9),
    ratio_of("ctl_per_event", "Calls of epoll_ctl per event delivered", |e| {
        ratio(e, e.ctl(), e.counter(Counter::Events))
    })
    .made_of(&["ctl_add", "events"])
    .titled("CTL/EV", 6)
    .of_epolls(7),
    column(
        "queue_p99",
        "QUEUE99",
        "time",
        7,
        Order::Down,
        |e| p99(e, Metric::Queue),
        "Time that 1 % of the events wait longer for a loop that does not sleep",
    )
    .made_of(&["queue"])
    .dispensable(2)
    .needs(Needs::Metrics(&[Metric::Queue]))
    .of_epolls(2),
    Field {
        place: Place::Epolls,
        ..column(
            "lock_p99",
            "LOCK99",
            "time",
            6,
            Order::Down,
            |e| p99(e, Metric::Lock),
            "Time that 1 % of the waits for the lock of its ready list take longer",
        )
    }
    .made_of(&["lock"])
    .needs(Needs::Metrics(&[Metric::Lock]))
    .of_epolls(10),
    column(
        "p50",
        "P50",
        "time",
        6,
        Order::DownByEvidence,
        |e| wakeup(e, Quantile::P50),
        "Median wakeup latency",
    )
    .dispensable(3)
    .needs(WAKEUP),
    column(
        "p99",
        "P99",
        "time",
        6,
        Order::DownByEvidence,
        |e| wakeup(e, Quantile::P99),
        "Wakeup latency that 1 % exceed",
    )
    .made_of(&["wakeup"])
    .dispensable(1)
    .of_epolls(0)
    .needs(WAKEUP),
    column(
        "max",
        "MAX",
        "time",
        6,
        Order::Down,
        |e| {
            e.metric(Metric::Wakeup)
                .and_then(|h| h.max())
                .map_or(Value::Absent, Value::Nanos)
        },
        "Longest wakeup latency, at most 6.25 % too long",
    )
    .dispensable(6)
    .needs(WAKEUP),
    column(
        "runqueue_share",
        "RUNQ%",
        "percent",
        5,
        Order::Down,
        |e| e.runqueue_share().map_or(Value::Absent, Value::Share),
        "Part of the wakeup latency spent waiting for a CPU",
    )
    .dispensable(4)
    .needs(Needs::Metrics(&[Metric::Wakeup, Metric::Runqueue])),
    column(
        "finding",
        "FIND",
        NAME,
        5,
        Order::Down,
        |e| e.finding.map_or(Value::Absent, finding),
        "The worst of its findings: C for crit, W for warn, I for info; all stand on the screen of findings",
    )
    .dispensable(1)
    .needs(Needs::Findings),
    counter(Counter::Waits),
    item(
        "wakeups",
        "Wakeups of all causes",
        Get::Of(|e| e.wakeups().map_or(Value::Absent, Value::Count)),
    )
    .made_of(&["wakeups_unclassified"]),
    counter(Counter::WakeupsSource),
    counter(Counter::WakeupsTimer),
    counter(Counter::WakeupsChain),
    counter(Counter::WakeupsCtl),
    counter(Counter::WakeupsUnclassified),
    counter(Counter::EmptyWakeups),
    item(
        "wasted_wakeups",
        "Empty wakeups, and deliveries whose first accept gave EAGAIN",
        Get::Of(|e| e.wasted_wakeups().map_or(Value::Absent, Value::Count)),
    )
    .made_of(&["empty_wakeups", "accept_eagain"]),
    counter(Counter::AlreadyRunnable),
    counter(Counter::ScansRepoll),
    counter(Counter::ScansSpurious),
    Field {
        unit: "share",
        ..item(
            "utilization",
            "Time between waits over all its time",
            Get::Of(|e| e.utilization().map_or(Value::Absent, Value::Share)),
        )
        .made_of(&["busy_ns", "waiting_ns"])
        .titled("UTIL", 4)
        .in_top(4)
    },
    ratio_of(
        "syscalls_per_event",
        "Waits and calls of epoll_ctl per event delivered",
        |e| {
            let calls = e.counter(Counter::Waits).zip(e.ctl());
            ratio(
                e,
                calls.map(|(waits, ctl)| waits + ctl),
                e.counter(Counter::Events),
            )
        },
    )
    .made_of(&["waits", "ctl_add", "events"]),
    ratio_of(
        "wakeups_per_wait",
        "Wakeups per wait: above 1, waits slept again",
        |e| ratio(e, e.wakeups(), e.counter(Counter::Waits)),
    )
    .made_of(&["wakeups_unclassified", "waits"]),
    ratio_of("scans_per_wait", "Scans of the ready list per wait", |e| {
        ratio(e, e.epoll_counter(EpollCounter::Scans), e.counter(Counter::Waits))
    })
    .made_of(&["scans", "waits"]),
    share_of(
        "zero_timeout_share",
        "Waits with timeout 0 that returned 0, of all: polling",
        |e| share(e, e.counter(Counter::ZeroTimeouts), e.counter(Counter::Waits)),
    )
    .made_of(&["zero_timeouts", "waits"]),
    share_of(
        "timeout_share",
        "Waits that returned 0 at their timeout, of all",
        |e| share(e, e.counter(Counter::Timeouts), e.counter(Counter::Waits)),
    )
    .made_of(&["timeouts", "waits"]),
    time(counter(Counter::WaitingNs)),
    time(counter(Counter::BusyNs)),
    item(
        "deliveries",
        "Waits that returned events",
        Get::Of(|e| e.deliveries().map_or(Value::Absent, Value::Count)),
    )
    .made_of(&["deliveries_slept", "deliveries_at_once"]),
    counter(Counter::DeliveriesSlept),
    counter(Counter::DeliveriesAtOnce),
    counter(Counter::Events),
    counter(Counter::FullBatches),
    counter(Counter::Timeouts),
    counter(Counter::ZeroTimeouts),
    counter(Counter::Interrupted),
    counter(Counter::Errors),
    counter(Counter::Accepts),
    counter(Counter::AcceptEagain),
    counter(Counter::AcceptErrors),
    epoll_counter(EpollCounter::Notifications),
    epoll_counter(EpollCounter::NotificationsUnasked),
    epoll_counter(EpollCounter::NotificationsQueued),
    epoll_counter(EpollCounter::NotificationsInScan),
    epoll_counter(EpollCounter::NotificationsNested),
    epoll_counter(EpollCounter::Scans),
    epoll_counter(EpollCounter::ScansOverflow),
    epoll_counter(EpollCounter::OverflowItems),
    epoll_counter(EpollCounter::OverflowMore),
    epoll_counter(EpollCounter::CtlAdd),
    epoll_counter(EpollCounter::CtlMod),
    epoll_counter(EpollCounter::CtlDel),
    epoll_counter(EpollCounter::CtlModSame),
    epoll_counter(EpollCounter::CtlEinval),
    epoll_counter(EpollCounter::CtlEexist),
    epoll_counter(EpollCounter::CtlEnoent),
    epoll_counter(EpollCounter::CtlEbadf),
    epoll_counter(EpollCounter::CtlErrors),
    epoll_counter(EpollCounter::UringWaits),
    epoll_counter(EpollCounter::UringEvents),
    epoll_counter(EpollCounter::ItemsReleased),
    epoll_counter(EpollCounter::Created),
    epoll_counter(EpollCounter::Closed),
    epoll_counter(EpollCounter::LockWaits).needs(LOCKS),
    epoll_counter(EpollCounter::MutexWaits).needs(LOCKS),
    epoll_counter(EpollCounter::SourceLockWaits).needs(LOCKS),
];

#[cfg(test)]
mod tests;
