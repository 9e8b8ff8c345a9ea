//! Every rule on windows made for it, on both sides of each threshold; and what holds of the whole table.

mod files;
mod looked;
mod lost;
mod rules;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::delta::Window;
use super::super::files::{Delivered, FILE_TIMES, FILES};
use super::super::filter::Filter;
use super::super::histogram::{Histogram, Shape};
use super::super::look::{Look, WATCHED_FILES};
use super::super::readers::{READERS, Reader};
use super::super::snapshot::{
    Counter, Epoll, EpollCounter, EpollId, FLAGS, ITEMS, Lock, LockKey, LockKind, LockPath, Metric, Numbers,
    PathSum, Row, RowKey, Snapshot,
};
use super::super::source::{Named, SOURCES, SourceId, SourceItem, SourceItemKey};
use super::words::unexplained;
use super::*;

/// Ten seconds, as long as a run without options.
const SPAN_NS: u64 = 10_000_000_000;

/// One process with an epoll each, and what it did in the window; all other counters are 0.
#[derive(Clone, Debug)]
struct Process {
    counters: Vec<(Counter, u64)>,
    epoll: Vec<(EpollCounter, u64)>,
    metrics: Vec<(Metric, Vec<(u64, u64)>)>,
    items: Option<u64>,
    flags: Option<u32>,
}

impl Process {
    fn new(counters: &[(Counter, u64)], epoll: &[(EpollCounter, u64)]) -> Self {
        Self {
            counters: counters.to_vec(),
            epoll: epoll.to_vec(),
            metrics: Vec::new(),
            items: Some(1),
            flags: Some(0),
        }
    }

    /// With `count` values of `value` in a metric.
    fn with(mut self, metric: Metric, values: &[(u64, u64)]) -> Self {
        self.metrics.push((metric, values.to_vec()));
        self.metrics.sort_by_key(|(metric, _)| *metric);
        self
    }
}

/// A file of this kind; each of the processes has an item there: flags, notifications and waiters woken.
type Shared = (&'static str, Vec<(u32, u64, u64)>);
/// Waits for a lock of the first process: how many, how long, and on which path.
type Waits = (LockKind, LockPath, u64, u64);

#[derive(Clone, Debug, Default)]
struct Case {
    processes: Vec<Process>,
    shared: Option<Shared>,
    locks: Vec<Waits>,
    look: Option<Look>,
    /// Process, reads and how long each took, of the first process's epoll.
    readers: Vec<(u32, u64, u64)>,
    delivered: Delivered,
    absent: Vec<&'static str>,
    lost: u64,
}

fn shape() -> Shape {
    (0..16)
        .chain((4..37).flat_map(|exponent| (0..16).map(move |sub| (16 + sub) << (exponent - 4))))
        .chain([1 << 37])
        .collect()
}

fn histogram(values: &[(u64, u64)]) -> Histogram {
    let shape = shape();
    let mut all = Histogram::new(Arc::clone(&shape), Vec::new(), 0);
    for &(value, count) in values {
        let bucket = shape.partition_point(|&edge| edge <= value) - 1;
        let own = Histogram::new(Arc::clone(&shape), vec![(bucket as u16, count)], value * count);
        all.merge(&own);
    }
    all
}

fn id(process: usize) -> EpollId {
    EpollId {
        address: 1 << 63 | (process as u64 + 1),
        born_ns: 1,
    }
}

fn pid(process: usize) -> u32 {
    100 + process as u32
}

fn row(index: usize, process: &Process) -> Row {
    let count = |counter| process.counters.iter().find(|(own, _)| *own == counter);
    let numbers = Numbers {
        counters: std::array::from_fn(|index| {
            Some(count(Counter::ALL[index]).map_or(0, |(_, count)| *count))
        }),
        metrics: process
            .metrics
            .iter()
            .map(|(metric, values)| (*metric, histogram(values)))
            .collect(),
        ..Numbers::default()
    };
    Row {
        key: RowKey {
            pid: pid(index),
            tid: None,
            epoll: Some(id(index)),
        },
        epfd: Some(5),
        numbers: numbers.into(),
    }
}

fn epoll(index: usize, process: &Process) -> Epoll {
    let count = |counter| process.epoll.iter().find(|(own, _)| *own == counter);
    Epoll {
        id: id(index),
        creator: Some(pid(index)),
        opened: Some((pid(index), 5)),
        items: process.items,
        flags: process.flags,
        counters: std::array::from_fn(|index| {
            Some(count(EpollCounter::ALL[index]).map_or(0, |(_, count)| *count))
        })
        .into(),
    }
}

fn lock(&(kind, path, count, each): &Waits) -> Lock {
    let mut paths = [PathSum::default(); LockPath::COUNT];
    paths[path as usize] = PathSum {
        count,
        sum_ns: count * each,
    };
    Lock {
        key: LockKey {
            pid: pid(0),
            tid: None,
            epoll: Some(id(0)),
            kind,
            fd: None,
        },
        threads: Some(2),
        paths,
        waited: histogram(&[(each, count)]),
    }
}

fn reader(&(by, count, each): &(u32, u64, u64)) -> Reader {
    Reader {
        epoll: id(0),
        owner: Some(pid(0)),
        pid: by,
        name: "agent".to_owned(),
        took: histogram(&[(each, count)]),
    }
}

impl Case {
    fn of(process: Process) -> Self {
        Self {
            processes: vec![process],
            ..Self::default()
        }
    }

    fn window(&self) -> Window {
        let rows: Vec<Row> = self
            .processes
            .iter()
            .enumerate()
            .map(|(at, of)| row(at, of))
            .collect();
        let epolls = self.processes.iter().enumerate().map(|(at, of)| epoll(at, of));
        let items = self.shared.iter().flat_map(|(kind, items)| {
            let item = |(index, &(flags, notifications, woken)): (usize, &(u32, u64, u64))| SourceItem {
                counted: !self.absent.contains(&SOURCES),
                key: SourceItemKey {
                    source: SourceId { file: 1, born_ns: 1 },
                    epoll: id(index),
                    fd: 7,
                },
                notifications,
                woken,
                passed_on: 0,
                first: 0,
                backlog: None,
                owner: None,
                events: 1 | flags,
                open: true,
                named: match *kind {
                    "" => Err("it is gone".into()),
                    kind => Ok(Arc::new(Named {
                        kind: kind.to_owned(),
                        ..Named::default()
                    })),
                },
                waiters: vec![rows[index].clone()],
            };
            items.iter().enumerate().map(item).collect::<Vec<_>>()
        });
        Window {
            span_ns: SPAN_NS,
            counted: Snapshot {
                epolls: epolls.collect(),
                sources: items.collect(),
                locks: self.locks.iter().map(lock).collect(),
                look: self.look.clone(),
                delivered: self.delivered.clone(),
                readers: self.readers.iter().map(reader).collect(),
                losses: [("rows_full".to_owned(), self.lost)].into(),
                absent: Arc::new(
                    self.absent
                        .iter()
                        .map(|&name| (name.to_owned(), "refused".to_owned()))
                        .collect(),
                ),
                rows,
                ..Snapshot::default()
            },
        }
    }

    fn examine(&self) -> Examination {
        examine(&self.window(), &Filter::default(), &Limits::default())
    }

    /// What was found: each diagnosis with its worst severity.
    fn found(&self) -> Vec<(&'static str, Severity)> {
        let findings = self.examine().findings;
        findings
            .iter()
            .map(|finding| (finding.diagnosis.id, finding.severity))
            .collect()
    }

    fn outcome(&self, id: &str) -> Outcome {
        let checks = self.examine().checks;
        let check = checks.into_iter().find(|check| check.diagnosis.id == id);
        check.unwrap().outcome
    }
}

#[test]
fn diagnoses_are_numbered_and_each_word_is_explained() {
    for (index, diagnosis) in DIAGNOSES.iter().enumerate() {
        assert_eq!(diagnosis.id, format!("D{:02}", index + 1));
        assert_eq!(
            Diagnosis::from_id(&diagnosis.id.to_lowercase()).unwrap().id,
            diagnosis.id
        );
        for text in diagnosis.texts().into_iter().chain([diagnosis.source]) {
            assert!(!text.is_empty(), "{}", diagnosis.id);
        }
        // Names stand in lists.
        assert!(!diagnosis.name.contains([',', ':']), "{}", diagnosis.name);
        for text in diagnosis.texts() {
            assert_eq!(
                unexplained(text),
                Vec::<String>::new(),
                "{}: {text}",
                diagnosis.id
            );
        }
    }
}

#[test]
fn needs_are_names_of_numbers() {
    let known: BTreeSet<&str> = Counter::ALL
        .iter()
        .map(|counter| counter.name())
        .chain(EpollCounter::ALL.iter().map(|counter| counter.name()))
        .chain(Metric::ALL.iter().map(|metric| metric.name()))
        .chain([SOURCES, ITEMS, FLAGS, WATCHED_FILES, READERS, FILES, FILE_TIMES])
        .collect();
    for diagnosis in DIAGNOSES {
        let unknown: Vec<_> = diagnosis
            .needs
            .iter()
            .filter(|name| !known.contains(*name))
            .collect();
        assert_eq!(unknown, Vec::<&&str>::new(), "{}", diagnosis.id);
        assert!(!diagnosis.needs.is_empty(), "{}", diagnosis.id);
    }
}

#[test]
fn every_threshold_stands_in_the_rule_of_its_diagnosis() {
    let limits = Limits::default();
    for diagnosis in DIAGNOSES {
        for text in diagnosis.texts() {
            assert!(
                !limits.filled(text).contains(['{', '}']),
                "{}: {text}",
                diagnosis.id
            );
        }
    }
    for &limit in Limit::ALL.iter().filter(|&&limit| limit != Limit::Samples) {
        let (id, _) = limit.help().split_once(": ").unwrap();
        let diagnosis = Diagnosis::from_id(id).unwrap();
        let placeholder = format!("{{{}}}", limit.name());
        assert!(
            diagnosis.severity.contains(&placeholder),
            "{id} does not tell of {}",
            limit.name()
        );
    }
}

#[test]
fn without_anything_nothing_was_checked() {
    let examination = Case::default().examine();
    assert_eq!((examination.findings.len(), examination.epolls), (0, 0));
    let checked = |check: &&Check| matches!(check.outcome, Outcome::Clear(_) | Outcome::Found(_));
    assert_eq!(examination.checks.iter().filter(checked).count(), 0);
}

#[test]
fn what_a_rule_needs_and_is_not_there_is_its_reason() {
    let mut case = rules::chain(200, 200);
    assert_eq!(case.found(), [("D02", Severity::Warn)]);
    case.absent = vec!["wakeups_chain", "sources", "lock"];
    assert_eq!(case.found(), []);
    for (id, name) in [("D02", "wakeups_chain"), ("D01", "sources"), ("D14", "lock")] {
        assert_eq!(case.outcome(id), Outcome::Unchecked(format!("{name}: refused")));
    }
}

#[test]
fn few_samples_are_said_to_be_few() {
    let case = rules::chain(99, 99);
    assert_eq!(case.outcome("D02"), Outcome::TooFew(99));
    assert_eq!(rules::chain(100, 0).outcome("D02"), Outcome::Clear(1));
}

#[test]
fn losses_and_doubts_lower_the_confidence() {
    let level = |case: &Case| case.examine().findings[0].confidence.clone();
    assert_eq!(level(&rules::chain(1000, 1000)).level, Level::High);
    assert_eq!(level(&rules::chain(200, 200)).level, Level::Medium);
    let mut case = rules::chain(1000, 1000);
    case.lost = 50;
    let confidence = level(&case);
    assert_eq!(confidence.level, Level::High);
    assert!(
        confidence.why.contains("50 counts were lost"),
        "{}",
        confidence.why
    );
    case.lost = 51;
    assert_eq!(level(&case).level, Level::Low);
}

#[test]
fn a_filter_says_whose_findings_are_wanted() {
    let mut case = rules::chain(1000, 1000);
    case.processes.push(case.processes[0].clone());
    assert_eq!(case.found().len(), 2);
    let filter = Filter {
        pids: vec![pid(1)],
        ..Filter::default()
    };
    let findings = examine(&case.window(), &filter, &Limits::default()).findings;
    let pids: Vec<u32> = findings.iter().map(|finding| finding.subject.key.pid).collect();
    assert_eq!(pids, [pid(1)]);
}
