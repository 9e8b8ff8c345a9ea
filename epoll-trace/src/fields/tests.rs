//! The field table: complete, within its widths, and in the order people expect.

use super::*;
use crate::model::entry::Entry;
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
fn of_the_columns_those_that_fit_and_are_known_stay() {
    let heads: Vec<Head> = columns().map(|field| field.head(false)).collect();
    let titles = |width, known: fn(&Head) -> bool| -> Vec<&str> {
        let kept = fitting(&heads, width, known);
        let widths: u16 = kept.iter().map(|&place| heads[place].width + 1).sum();
        assert!(widths <= width.max(20) + 1, "{width}: {kept:?}");
        kept.into_iter().map(|place| heads[place].title).collect()
    };
    let of_waits = |head: &Head| !["finding", "queue_p99", "utilization"].contains(&head.id);
    assert_eq!(
        titles(80, of_waits).join(" "),
        "PID COMM WAITS/s WAKE/s EV/WAIT EMPTY% P50 P99 MAX RUNQ%"
    );
    assert_eq!(
        titles(80, |_| true).join(" "),
        "PID COMM WAKE/s EMPTY% QUEUE99 P50 P99 RUNQ% FIND UTIL"
    );
    assert_eq!(titles(200, of_waits).len(), heads.len());
    assert_eq!(titles(1, |_| true), ["PID", "COMM"]);
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

#[test]
fn the_columns_of_epolls_fit_80_and_the_name_stays() {
    let titles = |width| -> Vec<&str> {
        epoll_columns_within(width)
            .iter()
            .map(|field| field.title)
            .collect()
    };
    let needed = |titles: &[&str]| -> u16 {
        let of = |title: &&str| epoll_columns().find(|field| field.title == *title).unwrap().width + 1;
        titles.iter().map(of).sum()
    };
    assert!(
        needed(&titles(80)) <= 81 && titles(80).len() >= 9,
        "{:?}",
        titles(80)
    );
    assert_eq!(titles(200).len(), epoll_columns().count());
    assert_eq!(titles(20), ["EPOLL", "COMM", "P99"]);
    assert!(epoll_columns().all(|field| field.title.len() <= usize::from(field.width)));
}

#[test]
fn flags_have_short_names() {
    assert_eq!(flags(0), "LT");
    assert_eq!(flags(1 << 31 | 1 << 28), "ET|EXCL");
    assert_eq!(flags(0xf << 28), "ET|1SHOT|EXCL|WAKE");
}

#[test]
fn what_a_shared_ring_would_save() {
    let mut entry = Entry::default();
    entry.counters[Counter::Waits as usize] = Some(10);
    entry.counters[Counter::Events as usize] = Some(4);
    entry.epoll_counters = [Some(0); EpollCounter::COUNT];
    entry.epoll_counters[EpollCounter::CtlMod as usize] = Some(5);
    entry.epoll_counters[EpollCounter::CtlEnoent as usize] = Some(1);
    let of = |entry: &Entry, id| Field::from_id(id).unwrap().value(entry);
    assert_eq!(of(&entry, "syscalls_per_event"), Value::Ratio(4.0));
    assert_eq!(of(&entry, "ctl_per_event"), Value::Ratio(1.5));
    entry.epoll_counters[EpollCounter::CtlAdd as usize] = None;
    assert_eq!(of(&entry, "syscalls_per_event"), Value::Absent);
}

/// How often `word` stands between quotes in the sources below `directory`, tests left out.
fn places(directory: &std::path::Path, word: &str) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let places = paths.map(|path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.contains("tests") {
            return 0;
        }
        if path.is_dir() {
            return places(&path, word);
        }
        if !name.ends_with(".rs") {
            return 0;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap_or_default();
        code.matches(&format!("{word:?}")).count()
    });
    places.sum()
}

#[test]
fn a_column_is_one_row_and_nothing_else() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    // Of the columns on all screens those whose names are no words of anything else.
    let ids = ["wakeups_per_s", "empty_share", "queue_p99", "ovf_share"];
    for id in ids {
        assert!(
            columns().chain(epoll_columns()).any(|field| field.id == id),
            "{id}"
        );
        assert_eq!(places(&sources, id), 1, "{id}");
    }
}
