//! What rows of the table are made with: kinds of rows, and values as their getters return them.

use super::field::{Field, Get, Needs, Order, Place, Value};
use crate::model::entry::{Badge, Entry};
use crate::model::histogram::Quantile;
use crate::model::snapshot::{Counter, EpollCounter, Metric};

/// A column of `top` that is no item of the counters block.
pub(super) const fn column(
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
        of_epolls: None,
        made_of: &[],
        needs: Needs::Nothing,
        get: Get::Of(get),
    }
}

/// A counter of a row.
pub(super) const fn counter(counter: Counter) -> Field {
    item(counter.name(), counter.help(), Get::Counter(counter))
}

/// The same, of a counter of times.
pub(super) const fn time(field: Field) -> Field {
    Field { unit: "ns", ..field }
}

/// A counter of an epoll.
pub(super) const fn epoll_counter(counter: EpollCounter) -> Field {
    item(counter.name(), counter.help(), Get::Epoll(counter))
}

/// An item of the counters block, in the unit of counters.
pub(super) const fn item(id: &'static str, help: &'static str, get: Get) -> Field {
    Field {
        id,
        title: id,
        unit: "count",
        help,
        width: 10,
        order: Order::Down,
        place: Place::Counters,
        dispensable: 0,
        of_epolls: None,
        made_of: &[],
        needs: Needs::Counters,
        get,
    }
}

/// A count made of others.
pub(super) const fn of(id: &'static str, help: &'static str, get: fn(&Entry) -> Value) -> Field {
    item(id, help, Get::Of(get))
}

/// One count over another, in words of the second: events per wait.
pub(super) const fn ratio_of(id: &'static str, help: &'static str, get: fn(&Entry) -> Value) -> Field {
    Field {
        unit: "ratio",
        ..of(id, help, get)
    }
}

/// A part of a whole.
pub(super) const fn share_of(id: &'static str, help: &'static str, get: fn(&Entry) -> Value) -> Field {
    Field {
        unit: "share",
        ..of(id, help, get)
    }
}

/// What a wakeup latency rests on.
pub(super) const WAKEUP: Needs = Needs::Metrics(&[Metric::Wakeup]);

/// What waits for locks rest on.
pub(super) const LOCKS: Needs = Needs::Metrics(&[Metric::Lock, Metric::Mutex]);

/// `count` per second of what the entry is made of.
pub(super) fn rate(entry: &Entry, count: Option<u64>) -> Value {
    entry.per_second(count).map_or(Value::Absent, Value::Rate)
}

/// `part` over `whole`, in the unit of the one per the other.
pub(super) fn ratio(entry: &Entry, part: Option<u64>, whole: Option<u64>) -> Value {
    entry.ratio(part, whole).map_or(Value::Absent, Value::Ratio)
}

/// `part` of `whole`, 0 to 1.
pub(super) fn share(entry: &Entry, part: Option<u64>, whole: Option<u64>) -> Value {
    entry.ratio(part, whole).map_or(Value::Absent, Value::Share)
}

/// Wakeup latency.
pub(super) fn wakeup(entry: &Entry, quantile: Quantile) -> Value {
    entry
        .percentile(Metric::Wakeup, quantile)
        .map_or(Value::Absent, Value::Nanos)
}

/// A badge ranked by its severity.
pub(super) fn finding(badge: Badge) -> Value {
    badge.0.map_or(Value::Ranked(0, String::new()), |(severity, id)| {
        Value::Ranked(1 + severity as u8, format!("{} {id}", severity.letter()))
    })
}

/// What 1 % of the times exceed.
pub(super) fn p99(entry: &Entry, metric: Metric) -> Value {
    let time = entry.percentile(metric, Quantile::P99);
    time.map_or(Value::Absent, Value::Nanos)
}
