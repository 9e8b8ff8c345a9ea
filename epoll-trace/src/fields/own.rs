//! The columns of our own probes.

use super::{Column, Value};
use crate::model::own::OwnRow;

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Absent, Value::Count)
}

type Col = Column<OwnRow>;

/// Every column, left to right.
pub static OWN_COLUMNS: &[Col] = &[
    Col::name(
        "signal",
        "SIGNAL",
        12,
        |r| Value::Text(r.signal.signal.clone()),
        "What is to be seen",
    ),
    Col::name(
        "verdict",
        "VERDICT",
        8,
        |r| Value::Text(r.signal.verdict.name().to_owned()),
        "Whether it is: fallback loses something, absent cannot be had, broken should have worked",
    ),
    Col::number(
        "runs_per_s",
        "RUNS/s",
        7,
        |r| r.runs_per_s.map_or(Value::Absent, Value::Rate),
        "Runs of its programs; one that serves several signals stands with each",
    )
    .dispensable(1),
    Col::number(
        "ns_per_run",
        "NS/RUN",
        6,
        |r| r.ns_per_run.map_or(Value::Absent, Value::Ratio),
        "Mean time of a run, ns",
    )
    .dispensable(2),
    Col::number(
        "core",
        "CORE",
        6,
        |r| r.core_share.map_or(Value::Absent, Value::FineShare),
        "Their part of one core",
    )
    .dispensable(1),
    Col::number(
        "misses",
        "MISSES",
        6,
        |r| count(r.misses),
        "Hits that were dropped, since the program ran on that CPU",
    )
    .dispensable(3),
    Col::name(
        "hook",
        "HOOK",
        20,
        |r| r.signal.hook.clone().map_or(Value::Absent, Value::Text),
        "Where they are attached",
    )
    .dispensable(4)
    .grows(),
];
