//! The field table: complete, within its widths, and in the order people expect.

use super::*;
use crate::model::histogram::Histogram;
use std::collections::BTreeSet;
use std::sync::Arc;

#[test]
fn every_counter_has_a_row_and_every_row_its_own_id() {
    for name in Counter::ALL
        .iter()
        .map(|id| id.name())
        .chain(EpollCounter::ALL.iter().map(|id| id.name()))
    {
        assert!(
            counters().any(|field| field.id == name),
            "{name} is shown nowhere"
        );
    }
    let ids: BTreeSet<_> = FIELDS.iter().map(|field| field.id).collect();
    assert_eq!(ids.len(), FIELDS.len());
}

#[test]
fn what_needs_nothing_is_known_without_anything() {
    let entry = Entry {
        span_ns: 1,
        counters: [None; Counter::COUNT],
        ..Entry::default()
    };
    for field in FIELDS {
        let absent = field.value(&entry) == Value::Absent;
        assert_eq!(absent, field.needs != Needs::Nothing, "{}", field.id);
    }
}

#[test]
fn the_columns_fit_80_with_a_cursor() {
    let widths: u16 = columns().map(|field| field.width + 1).sum();
    assert!(widths < 80, "{widths}");
    assert!(columns().all(|field| field.title.len() <= usize::from(field.width)));
}

fn with(pid: u32, bucket: u16, count: u64) -> Entry {
    let shape: Arc<[u64]> = (0..100).map(|edge| edge * 1000).collect();
    let mut entry = Entry::default();
    entry.key.pid = pid;
    entry.metrics[Metric::Wakeup as usize] = Some(Histogram::new(shape, vec![(bucket, count)], 0));
    entry
}

#[test]
fn one_late_wakeup_does_not_lead_and_absent_is_last() {
    let mut entries = [
        with(1, 90, 1),
        with(2, 10, 500),
        Entry::default(),
        with(4, 20, 500),
    ];
    let p99 = Field::from_id("p99").unwrap();
    entries.sort_by(|a, b| p99.compare(a, b, false));
    assert_eq!(entries.each_ref().map(|entry| entry.key.pid), [4, 2, 1, 0]);
    entries.sort_by(|a, b| p99.compare(a, b, true));
    assert_eq!(entries.each_ref().map(|entry| entry.key.pid), [2, 4, 1, 0]);
}
