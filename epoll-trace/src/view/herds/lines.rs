//! Herds for programs: JSON Lines, and CSV.

use std::io::{self, Write};

use serde::Serialize;

use super::super::csv;
use super::super::json::{self, VERSION};
use super::super::sanitize::sanitize;
use super::{HerdReport, name_of, process_of};
use crate::fields::flags;
use crate::model::chains::Chain;
use crate::model::herds::{Herd, Worker};
use crate::model::histogram::Quantile;
use crate::model::reuseport::Group;
use crate::model::snapshot::{Counter, Metric};
use crate::model::waker::WakerId;

#[derive(Serialize)]
struct SourceLine<'a> {
    v: u32,
    kind: &'static str,
    pid: Option<u32>,
    fd: Option<i32>,
    source: Option<&'a str>,
    name: Option<&'a str>,
    inode: Option<u64>,
    listener: bool,
    accept_queue_when_found: Option<u64>,
    accept_queue: Option<u64>,
    backlog: Option<u64>,
    /// Why `source` is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    unnamed: Option<&'a str>,
    span_ns: u64,
    items: u64,
    events: u64,
    /// Whether `events`, `woken` and what is made of them are estimates.
    estimated: bool,
    notifications: Option<u64>,
    woken: u64,
    passed_on: Option<u64>,
    fan_out: Option<f64>,
    woken_per_event: Option<f64>,
    wakeups: Option<u64>,
    deliveries: Option<u64>,
    empty_wakeups: Option<u64>,
    accepts: Option<u64>,
    accept_eagain: Option<u64>,
    shared_work: &'static str,
    gini: Option<f64>,
    workers: Vec<WorkerLine<'a>>,
}

#[derive(Serialize)]
struct WorkerLine<'a> {
    pid: Option<u32>,
    epoll: Option<String>,
    comm: &'a str,
    processes: u64,
    fd: i32,
    flags: String,
    notifications: Option<u64>,
    woken: u64,
    passed_on: Option<u64>,
    wakeups: Option<u64>,
    wakeups_chain: Option<u64>,
    deliveries: Option<u64>,
    empty_wakeups: Option<u64>,
    accepts: Option<u64>,
    accept_eagain: Option<u64>,
    utilization: Option<f64>,
    share: Option<f64>,
    /// Null unless they are measured.
    wakeup_p50_ns: Option<u64>,
    wakeup_p99_ns: Option<u64>,
    callback_p99_ns: Option<u64>,
    runqueue_p99_ns: Option<u64>,
    delivery_p99_ns: Option<u64>,
    runqueue_share: Option<f64>,
}

#[derive(Serialize)]
struct GroupLine<'a> {
    v: u32,
    kind: &'static str,
    name: &'a str,
    span_ns: u64,
    connections: u64,
    gini: Option<f64>,
    sockets: Vec<SocketLine<'a>>,
}

#[derive(Serialize)]
struct SocketLine<'a> {
    inode: u64,
    accept_queue: u64,
    backlog: Option<u64>,
    connections: u64,
    share: Option<f64>,
    /// Whether anybody was seen to watch it.
    seen: bool,
    accepts: Option<u64>,
    workers: Vec<WorkerLine<'a>>,
}

#[derive(Serialize)]
struct ChainLine<'a> {
    v: u32,
    kind: &'static str,
    pid: u32,
    epoll: Option<String>,
    comm: &'a str,
    span_ns: u64,
    wakeups_source: Option<u64>,
    wakeups_chain: u64,
    woken_per_event: Option<f64>,
    deliveries: Option<u64>,
    empty_wakeups: Option<u64>,
    causes: Vec<CauseLine<'a>>,
    causes_left_out: usize,
}

#[derive(Serialize)]
struct CauseLine<'a> {
    pid: Option<u32>,
    tid: Option<u32>,
    comm: &'a str,
    wakeups: u64,
}

/// Writes one block as JSON Lines: a line per source, per group of listeners and per chain, and the losses, which end the block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, report: &HerdReport<'_>) -> io::Result<()> {
    for herd in report.herds {
        json::write_line(out, &line(herd, report.window.span_ns))?;
    }
    for group in report.groups {
        json::write_line(out, &group_line(group, report.window.span_ns))?;
    }
    for chain in report.chains {
        json::write_line(out, &chain_line(chain, report.window.span_ns))?;
    }
    json::write_losses(out, report.window)
}

fn line(herd: &Herd, span_ns: u64) -> SourceLine<'_> {
    let named = herd.named.as_deref().ok();
    let sum = |counter: Counter| herd.sum(|worker| worker.counter(counter));
    SourceLine {
        v: VERSION,
        kind: "source",
        pid: herd.workers.iter().find_map(process_of),
        fd: herd.workers.first().map(|worker| worker.fd),
        source: named.map(|named| named.kind.as_str()),
        name: named.and_then(|named| named.name.as_deref()),
        inode: named.and_then(|named| named.inode),
        listener: herd.is_listener(),
        accept_queue_when_found: named.and_then(|named| named.accept_queue),
        accept_queue: herd.accept_queue,
        backlog: herd.backlog,
        unnamed: herd.named.as_ref().err().map(|why| &**why),
        span_ns,
        items: herd.items,
        events: herd.events,
        estimated: herd.estimated,
        notifications: herd.counted(herd.notifications()),
        woken: herd.woken(),
        passed_on: herd.counted(herd.passed_on()),
        fan_out: herd.fan_out(),
        woken_per_event: herd.woken_per_event(),
        wakeups: herd.sum(Worker::wakeups),
        deliveries: herd.sum(Worker::deliveries),
        empty_wakeups: sum(Counter::EmptyWakeups),
        accepts: sum(Counter::Accepts),
        accept_eagain: sum(Counter::AcceptEagain),
        shared_work: herd.shared_work().name(),
        gini: herd.gini(),
        workers: herd
            .workers
            .iter()
            .map(|worker| worker_line(herd, worker))
            .collect(),
    }
}

fn worker_line<'a>(herd: &Herd, worker: &'a Worker) -> WorkerLine<'a> {
    let p99 = |metric| worker.percentile(metric, Quantile::P99);
    WorkerLine {
        pid: process_of(worker),
        epoll: name_of(worker),
        comm: &worker.name,
        processes: worker.processes,
        fd: worker.fd,
        flags: flags(worker.events),
        notifications: herd.counted(worker.notifications),
        woken: worker.woken,
        passed_on: herd.counted(worker.passed_on),
        wakeups: worker.wakeups(),
        wakeups_chain: worker.counter(Counter::WakeupsChain),
        deliveries: worker.deliveries(),
        empty_wakeups: worker.counter(Counter::EmptyWakeups),
        accepts: worker.counter(Counter::Accepts),
        accept_eagain: worker.counter(Counter::AcceptEagain),
        utilization: worker.utilization(),
        share: herd.share(worker),
        wakeup_p50_ns: worker.percentile(Metric::Wakeup, Quantile::P50),
        wakeup_p99_ns: p99(Metric::Wakeup),
        callback_p99_ns: p99(Metric::Callback),
        runqueue_p99_ns: p99(Metric::Runqueue),
        delivery_p99_ns: p99(Metric::Delivery),
        runqueue_share: worker.runqueue_share(),
    }
}

fn group_line(group: &Group, span_ns: u64) -> GroupLine<'_> {
    let sockets = group.sockets.iter().map(|socket| {
        let herd = socket.herd.as_ref();
        let workers = herd
            .into_iter()
            .flat_map(|herd| herd.workers.iter().map(|worker| worker_line(herd, worker)));
        SocketLine {
            inode: socket.inode,
            accept_queue: socket.queue,
            backlog: herd.and_then(|herd| herd.backlog),
            connections: socket.connections(),
            share: group.share(socket),
            seen: herd.is_some(),
            accepts: socket.accepts(),
            workers: workers.collect(),
        }
    });
    GroupLine {
        v: VERSION,
        kind: "reuseport",
        name: &group.address,
        span_ns,
        connections: group.connections(),
        gini: group.gini(),
        sockets: sockets.collect(),
    }
}

/// Threads of a chain that have a line of their own.
const MOST_CAUSES: usize = 64;

fn chain_line(chain: &Chain, span_ns: u64) -> ChainLine<'_> {
    let causes = chain.causes.iter().take(MOST_CAUSES).map(|cause| {
        let (pid, tid) = match cause.id {
            WakerId::Thread { pid, tid } => (Some(pid), Some(tid)),
            _ => (None, None),
        };
        CauseLine {
            pid,
            tid,
            comm: &cause.name,
            wakeups: cause.wakeups,
        }
    });
    ChainLine {
        v: VERSION,
        kind: "chain",
        pid: chain.key.pid,
        epoll: chain.key.epoll_name(),
        comm: &chain.name,
        span_ns,
        wakeups_source: chain.by_source,
        wakeups_chain: chain.by_chain,
        woken_per_event: chain.woken_per_event(),
        deliveries: chain.deliveries,
        empty_wakeups: chain.empty,
        causes: causes.collect(),
        causes_left_out: chain.causes.len().saturating_sub(MOST_CAUSES),
    }
}

pub(super) const COLUMNS: [&str; 17] = [
    "at_ns",
    "span_ns",
    "pid",
    "fd",
    "source",
    "name",
    "items",
    "events",
    "notifications",
    "woken",
    "wakeups",
    "deliveries",
    "empty_wakeups",
    "accepts",
    "accept_eagain",
    "estimated",
    "lost",
];

/// Writes the names of the columns of the CSV table.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv_header(out: &mut dyn Write) -> io::Result<()> {
    csv::record(out, COLUMNS.into_iter())
}

/// Writes one block as CSV: a row per source.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(out: &mut dyn Write, report: &HerdReport<'_>) -> io::Result<()> {
    let counted = &report.window.counted;
    let lost = counted.losses.values().sum::<u64>().to_string();
    for herd in report.herds {
        let line = line(herd, report.window.span_ns);
        let text = |text: Option<&str>| sanitize(text.unwrap_or_default(), false);
        let record: [String; COLUMNS.len()] = [
            counted.at_ns.to_string(),
            line.span_ns.to_string(),
            csv::optional(line.pid),
            csv::optional(line.fd),
            text(line.source),
            text(line.name),
            line.items.to_string(),
            line.events.to_string(),
            csv::optional(line.notifications),
            line.woken.to_string(),
            csv::optional(line.wakeups),
            csv::optional(line.deliveries),
            csv::optional(line.empty_wakeups),
            csv::optional(line.accepts),
            csv::optional(line.accept_eagain),
            line.estimated.to_string(),
            lost.clone(),
        ];
        csv::record(out, record.into_iter())?;
    }
    Ok(())
}
