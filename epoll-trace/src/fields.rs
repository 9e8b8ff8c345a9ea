//! Every number that views show about an entry: one row each, and all views walk the rows.
//! A new column is a new row.

use std::cmp::Ordering;

use crate::model::entry::Entry;
use crate::model::histogram::Quantile;
use crate::model::snapshot::{Counter, EpollCounter, Metric};

/// What a field's getter finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Cannot be known here, or there is nothing to compute it from.
    Absent,
    /// A name, not yet safe for a terminal.
    Text(String),
    /// A number of things.
    Count(u64),
    /// Per second.
    Rate(f64),
    /// Things per thing.
    Ratio(f64),
    /// Part of a whole, 0 to 1.
    Share(f64),
    /// A time, ns.
    Nanos(u64),
}

impl Value {
    fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => own.cmp(other),
            _ => self.number().total_cmp(&other.number()),
        }
    }

    fn number(&self) -> f64 {
        match self {
            Self::Absent | Self::Text(_) => 0.0,
            Self::Count(value) | Self::Nanos(value) => *value as f64,
            Self::Rate(value) | Self::Ratio(value) | Self::Share(value) => *value,
        }
    }
}

/// Where a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A column of the table of `top`.
    Table,
    /// An item of the counters block and of JSON lines.
    Counters,
    /// Both.
    Both,
}

/// Which end comes first when sorted by the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
    /// Largest first, after those whose percentiles rest on enough values.
    DownByEvidence,
}

#[derive(Clone, Copy, Debug)]
enum Get {
    Of(fn(&Entry) -> Value),
    Counter(Counter),
    Epoll(EpollCounter),
}

/// What must be measured for a field to have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing beyond the entry itself.
    Nothing,
    /// These histograms.
    Metrics(&'static [Metric]),
    /// The counters.
    Counters,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in JSON, in sort keys and in the counters block.
    pub id: &'static str,
    /// Head of its column.
    pub title: &'static str,
    /// Unit in words.
    pub unit: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Width of its column.
    pub width: u16,
    /// Which end is sorted first.
    pub order: Order,
    /// Where it is shown.
    pub place: Place,
    /// Columns with the highest number go first where the screen is narrow.
    pub dispensable: u8,
    /// What it takes to know it.
    pub needs: Needs,
    get: Get,
}

impl Field {
    /// The field called `id`.
    pub fn from_id(id: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.id == id)
    }

    const fn dispensable(self, dispensable: u8) -> Self {
        Self { dispensable, ..self }
    }

    const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Its value in `entry`.
    pub fn value(&self, entry: &Entry) -> Value {
        let count = |count: Option<u64>| count.map_or(Value::Absent, Value::Count);
        match self.get {
            Get::Of(get) => get(entry),
            Get::Counter(counter) => count(entry.counter(counter)),
            Get::Epoll(counter) => count(entry.epoll_counter(counter)),
        }
    }

    /// Which of two entries comes first by this field; absent values come last either way, equal ones are ordered by key.
    pub fn compare(&self, left: &Entry, right: &Entry, inverted: bool) -> Ordering {
        let (a, b) = (self.value(left), self.value(right));
        let absent_last = (a == Value::Absent).cmp(&(b == Value::Absent));
        let (order, evidence) = match self.order {
            Order::Up => (a.order(&b), Ordering::Equal),
            Order::Down => (b.order(&a), Ordering::Equal),
            Order::DownByEvidence => (
                b.order(&a),
                right.has_enough_values().cmp(&left.has_enough_values()),
            ),
        };
        let by_value = evidence.then(if inverted { order.reverse() } else { order });
        absent_last.then(by_value).then_with(|| left.key.cmp(&right.key))
    }
}

/// The columns of `top`, left to right.
pub fn columns() -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS.iter().filter(|field| field.place != Place::Counters)
}

/// The columns that fit `width` with a space between them, left to right; PID and name always stay.
pub fn columns_within(width: u16) -> Vec<&'static Field> {
    let mut kept: Vec<_> = columns().collect();
    let needed = |kept: &[&Field]| kept.iter().map(|field| field.width + 1).sum::<u16>();
    while needed(&kept) > width.saturating_add(1)
        && let Some(least) = kept
            .iter()
            .map(|field| field.dispensable)
            .max()
            .filter(|&least| least > 0)
    {
        kept.retain(|field| field.dispensable != least);
    }
    kept
}

/// The items of the counters block and of JSON lines.
pub fn counters() -> impl Iterator<Item = &'static Field> + Clone {
    FIELDS.iter().filter(|field| field.place != Place::Table)
}

const fn column(
    id: &'static str,
    title: &'static str,
    unit: &'static str,
    width: u16,
    order: Order,
    get: fn(&Entry) -> Value,
    help: &'static str,
) -> Field {
    Field {
        id,
        title,
        unit,
        help,
        width,
        order,
        place: Place::Table,
        dispensable: 0,
        needs: Needs::Nothing,
        get: Get::Of(get),
    }
}

const fn counter(counter: Counter) -> Field {
    item(counter.name(), counter.help(), Get::Counter(counter))
}

const fn epoll_counter(counter: EpollCounter) -> Field {
    item(counter.name(), counter.help(), Get::Epoll(counter))
}

const fn item(id: &'static str, help: &'static str, get: Get) -> Field {
    Field {
        id,
        title: id,
        unit: "count",
        help,
        width: 10,
        order: Order::Down,
        place: Place::Counters,
        dispensable: 0,
        needs: Needs::Counters,
        get,
    }
}

fn rate(entry: &Entry, count: Option<u64>) -> Value {
    entry.per_second(count).map_or(Value::Absent, Value::Rate)
}

fn wakeup(entry: &Entry, quantile: Quantile) -> Value {
    entry
        .percentile(Metric::Wakeup, quantile)
        .map_or(Value::Absent, Value::Nanos)
}

const WAKEUP: Needs = Needs::Metrics(&[Metric::Wakeup]);

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
    column(
        "comm",
        "COMM",
        "name",
        12,
        Order::Up,
        |e| Value::Text(e.name.clone()),
        "Name of the process",
    ),
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
        .dispensable(8)
    },
    column(
        "waits_per_s",
        "WAITS/s",
        "per second",
        7,
        Order::Down,
        |e| rate(e, e.counter(Counter::Waits)),
        "Waits that ended",
    )
    .dispensable(6)
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
    .dispensable(7)
    .needs(Needs::Counters),
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
    .dispensable(1)
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
    .dispensable(5)
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
    counter(Counter::Waits),
    item(
        "wakeups",
        "Wakeups of all causes",
        Get::Of(|e| e.wakeups().map_or(Value::Absent, Value::Count)),
    ),
    counter(Counter::WakeupsSource),
    counter(Counter::WakeupsChain),
    counter(Counter::WakeupsCtl),
    counter(Counter::WakeupsUnclassified),
    counter(Counter::EmptyWakeups),
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
    },
    counter(Counter::WaitingNs),
    counter(Counter::BusyNs),
    item(
        "deliveries",
        "Waits that returned events",
        Get::Of(|e| e.deliveries().map_or(Value::Absent, Value::Count)),
    ),
    counter(Counter::DeliveriesSlept),
    counter(Counter::DeliveriesAtOnce),
    counter(Counter::Events),
    counter(Counter::FullBatches),
    counter(Counter::Timeouts),
    counter(Counter::ZeroTimeouts),
    counter(Counter::Interrupted),
    counter(Counter::Errors),
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
];

#[cfg(test)]
mod tests;
