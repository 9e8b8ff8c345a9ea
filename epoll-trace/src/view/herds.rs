//! Herds: a table of workers below each shared file for people, JSON Lines and CSV for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::json::{self, VERSION};
use super::sanitize::sanitize;
use super::text::write_absent;
use super::units::{ABSENT, short};
use super::wrap::wrapped;
use super::{csv, losses_line};
use crate::fields::{Value, flags};
use crate::model::delta::Window;
use crate::model::herds::{Herd, Worker};
use crate::model::snapshot::Counter;
use crate::model::source::{Named, SOURCES};

const INDENT: &str = "  ";
/// Widths of worker, process, flags, woken, deliveries, empty wakeups, accepts, share and its bar.
const WIDTHS: [usize; 9] = [13, 9, 7, 7, 7, 6, 7, 4, 10];
/// Characters of the name of a file, which may be a long path.
const NAME: usize = 48;

/// What one block is made from.
#[derive(Clone, Copy, Debug)]
pub struct HerdReport<'a> {
    /// What was counted, with losses and absent reasons.
    pub window: &'a Window,
    /// In the order to show.
    pub herds: &'a [Herd],
}

impl HerdReport<'_> {
    fn absent(&self) -> &BTreeMap<String, String> {
        &self.window.counted.absent
    }
}

/// Writes one block as text: each source with what an event of it does, its workers, and the losses.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(
    out: &mut dyn Write,
    report: &HerdReport<'_>,
    ascii: bool,
    time_of_day: Option<&str>,
) -> io::Result<()> {
    if let Some(time) = time_of_day {
        writeln!(out, "{time}")?;
    }
    for herd in report.herds {
        source(out, herd, ascii)?;
    }
    if report.herds.is_empty() && !report.absent().contains_key(SOURCES) {
        writeln!(out, "No file that several watch had an event.")?;
    }
    notes(out, report)?;
    writeln!(out)
}

/// Writes why something is not shown, and the losses.
///
/// # Errors
/// When `out` cannot be written.
pub fn notes(out: &mut dyn Write, report: &HerdReport<'_>) -> io::Result<()> {
    let names = [
        SOURCES,
        Counter::EmptyWakeups.name(),
        Counter::Accepts.name(),
        Counter::AcceptEagain.name(),
    ];
    write_absent(out, report.absent(), names.into_iter())?;
    let losses = losses_line(&report.window.counted.losses);
    write!(out, "{}", wrapped(&losses, "", INDENT))
}

fn source(out: &mut dyn Write, herd: &Herd, ascii: bool) -> io::Result<()> {
    write!(out, "{}", wrapped(&title(herd, ascii), "", INDENT))?;
    write!(out, "{}", wrapped(&effect(herd), INDENT, INDENT))?;
    if herd.workers.is_empty() {
        return Ok(());
    }
    let [worker, comm, flags, woken, deliveries, empty, accepts, share, _] = WIDTHS;
    writeln!(
        out,
        "{INDENT}{:worker$} {:comm$} {:flags$} {:>woken$} {:>deliveries$} {:>empty$} {:>accepts$} {:>share$}",
        "WORKER", "COMM", "FLAGS", "WOKEN", "DELIV", "EMPTY", "ACCEPTS", "PART"
    )?;
    for worker in &herd.workers {
        row(out, herd, worker, ascii)?;
    }
    Ok(())
}

/// What it is, and who watches it.
fn title(herd: &Herd, ascii: bool) -> String {
    let what = match &herd.named {
        Ok(named) => describe(named, ascii),
        Err(why) => format!("{ABSENT} ({})", sanitize(why, ascii)),
    };
    let mut parts = vec![match herd.items {
        1 => "1 item".to_owned(),
        items => format!("{items} items"),
    }];
    parts.extend(
        herd.workers
            .first()
            .map(|worker| format!("descriptor {}", worker.fd)),
    );
    if let Ok(named) = &herd.named {
        parts.extend(
            named
                .accept_queue
                .map(|count| format!("{count} to accept when found")),
        );
    }
    format!("{what}: {}", parts.join(", "))
}

/// Kind and name of a file, safe for a terminal.
pub(super) fn describe(named: &Named, ascii: bool) -> String {
    let name: String = match (&named.name, named.inode) {
        (Some(name), _) => name.chars().take(NAME).collect(),
        (None, Some(inode)) => format!("[{inode}]"),
        (None, None) => String::new(),
    };
    sanitize(format!("{} {name}", named.kind).trim_end(), ascii)
}

/// What an event of it does, in a sentence.
fn effect(herd: &Herd) -> String {
    let ratio = |ratio: Option<f64>| short(&ratio.map_or(Value::Absent, Value::Ratio));
    let mut parts = vec![
        format!("{} events", herd.events),
        format!("fan-out {}", ratio(herd.fan_out())),
        format!("woken per event {}", ratio(herd.woken_per_event())),
    ];
    if let (Some(share), Some(wakeups)) = (herd.empty_share(), herd.sum(Worker::wakeups)) {
        let share = short(&Value::Share(share));
        parts.push(format!("{share} of its workers' {wakeups} wakeups were empty"));
    }
    if let Some(eagain) = herd
        .sum(|worker| worker.counter(Counter::AcceptEagain))
        .filter(|&count| count > 0)
    {
        parts.push(format!("{eagain} found nothing to accept"));
    }
    if let Some(gini) = herd.gini() {
        let work = herd.shared_work().name();
        parts.push(format!("Gini {gini:.2} of {work}"));
    }
    parts.join(", ")
}

fn row(out: &mut dyn Write, herd: &Herd, worker: &Worker, ascii: bool) -> io::Result<()> {
    let [name, comm, flag, woken, deliveries, empty, accepts, part, bar] = WIDTHS;
    let process: String = sanitize(&worker.name, ascii).chars().take(comm).collect();
    let share = herd.share(worker);
    let filled = share.map_or(0, |share| (share * bar as f64).round() as usize);
    let line = format!(
        "{INDENT}{:name$} {process:comm$} {:flag$} {:>woken$} {:>deliveries$} {:>empty$} {:>accepts$} {:>part$} {}",
        name_of(worker).unwrap_or_else(|| ABSENT.to_owned()),
        flags(worker.events),
        count(Some(worker.woken), woken),
        count(worker.deliveries(), deliveries),
        count(worker.counter(Counter::EmptyWakeups), empty),
        count(worker.counter(Counter::Accepts), accepts),
        short(&share.map_or(Value::Absent, Value::Share)),
        "#".repeat(filled),
    );
    writeln!(out, "{}", line.trim_end())
}

fn process_of(worker: &Worker) -> Option<u32> {
    (worker.key.pid != 0).then_some(worker.key.pid)
}

/// `PID:epfd`, if its process is known.
fn name_of(worker: &Worker) -> Option<String> {
    worker.key.epoll_name().filter(|_| worker.key.pid != 0)
}

/// In full where that fits its column.
fn count(count: Option<u64>, width: usize) -> String {
    let Some(count) = count else {
        return ABSENT.to_owned();
    };
    let whole = count.to_string();
    if whole.len() <= width {
        return whole;
    }
    short(&Value::Rate(count as f64))
}

#[derive(Serialize)]
struct SourceLine<'a> {
    v: u32,
    kind: &'static str,
    pid: Option<u32>,
    fd: Option<i32>,
    source: Option<&'a str>,
    name: Option<&'a str>,
    inode: Option<u64>,
    accept_queue_when_found: Option<u64>,
    /// Why `source` is null.
    #[serde(skip_serializing_if = "Option::is_none")]
    unnamed: Option<&'a str>,
    span_ns: u64,
    items: u64,
    events: u64,
    notifications: u64,
    woken: u64,
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
    notifications: u64,
    woken: u64,
    wakeups: Option<u64>,
    deliveries: Option<u64>,
    empty_wakeups: Option<u64>,
    accepts: Option<u64>,
    accept_eagain: Option<u64>,
    share: Option<f64>,
}

/// Writes one block as JSON Lines: a line per source, and the losses, which end the block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, report: &HerdReport<'_>) -> io::Result<()> {
    for herd in report.herds {
        json::write_line(out, &line(herd, report.window.span_ns))?;
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
        accept_queue_when_found: named.and_then(|named| named.accept_queue),
        unnamed: herd.named.as_ref().err().map(|why| &**why),
        span_ns,
        items: herd.items,
        events: herd.events,
        notifications: herd.notifications(),
        woken: herd.woken(),
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
    WorkerLine {
        pid: process_of(worker),
        epoll: name_of(worker),
        comm: &worker.name,
        processes: worker.processes,
        fd: worker.fd,
        flags: flags(worker.events),
        notifications: worker.notifications,
        woken: worker.woken,
        wakeups: worker.wakeups(),
        deliveries: worker.deliveries(),
        empty_wakeups: worker.counter(Counter::EmptyWakeups),
        accepts: worker.counter(Counter::Accepts),
        accept_eagain: worker.counter(Counter::AcceptEagain),
        share: herd.share(worker),
    }
}

const COLUMNS: [&str; 16] = [
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
            line.notifications.to_string(),
            line.woken.to_string(),
            csv::optional(line.wakeups),
            csv::optional(line.deliveries),
            csv::optional(line.empty_wakeups),
            csv::optional(line.accepts),
            csv::optional(line.accept_eagain),
            lost.clone(),
        ];
        csv::record(out, record.into_iter())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
