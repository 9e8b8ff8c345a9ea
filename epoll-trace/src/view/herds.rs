//! Herds: a table of workers below each shared file or listener for people, with groups of listeners and chains; JSON Lines and CSV for
//! programs.

mod groups;
mod lines;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

pub use groups::group as write_group;
pub use lines::{write_csv, write_csv_header, write_json};

use super::losses_line;
use super::sanitize::sanitize;
use super::text::write_absent;
use super::units::{ABSENT, short};
use super::wrap::wrapped;
use crate::fields::sources::{EVENT_FLAGS, file_name};
use crate::fields::{Value, flags, flags_in_words};
use crate::model::chains::Chain;
use crate::model::delta::Window;
use crate::model::herds::{Herd, Worker};
use crate::model::reuseport::Group;
use crate::model::snapshot::Counter;
use crate::model::source::{Named, SOURCES};
use crate::model::waker::CHAINS;

const INDENT: &str = "  ";
/// Above listeners of which the kernel tells no items.
const ESTIMATED: &str = "Estimated, since these probes do not see whom a listener wakes: WOKEN is accepts, accepts that \
                         found nothing and empty wakeups of the epoll.";
/// Widths of worker, process, flags, woken, deliveries, empty wakeups, accepts, utilization, share and its bar.
const WIDTHS: [usize; 10] = [12, 8, 7, 6, 6, 6, 7, 4, 4, 8];
/// Characters of the name of a file, which may be a long path.
const NAME: usize = 48;

/// What one block is made from.
#[derive(Clone, Copy, Debug)]
pub struct HerdReport<'a> {
    /// What was counted, with losses and absent reasons.
    pub window: &'a Window,
    /// In the order to show.
    pub herds: &'a [Herd],
    /// Sockets of one address, likewise.
    pub groups: &'a [Group],
    /// Epolls whose waiters wake each other, likewise.
    pub chains: &'a [Chain],
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
        write_source(out, herd, ascii)?;
    }
    if report.herds.iter().any(|herd| herd.estimated) {
        write!(out, "{}", wrapped(ESTIMATED, "", INDENT))?;
    }
    if report.herds.is_empty() && !report.absent().contains_key(SOURCES) {
        writeln!(out, "No listener and no file that several watch had an event.")?;
    }
    for group in report.groups {
        groups::group(out, group, ascii)?;
    }
    for chain in report.chains {
        groups::chain(out, chain, ascii)?;
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
        CHAINS,
        Counter::EmptyWakeups.name(),
        Counter::Accepts.name(),
        Counter::AcceptEagain.name(),
    ];
    write_absent(out, report.absent(), names.into_iter())?;
    let losses = losses_line(&report.window.counted.losses);
    write!(out, "{}", wrapped(&losses, "", INDENT))
}

/// Writes one source: what it is, what an event of it does, and its workers.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_source(out: &mut dyn Write, herd: &Herd, ascii: bool) -> io::Result<()> {
    write!(out, "{}", wrapped(&title(herd, ascii), "", INDENT))?;
    write!(out, "{}", wrapped(&effect(herd), INDENT, INDENT))?;
    if herd.workers.is_empty() {
        return Ok(());
    }
    let [
        worker,
        comm,
        flags,
        woken,
        deliveries,
        empty,
        accepts,
        busy,
        share,
        _,
    ] = WIDTHS;
    writeln!(
        out,
        "{INDENT}{:worker$} {:comm$} {:flags$} {:>woken$} {:>deliveries$} {:>empty$} {:>accepts$} {:>busy$} {:>share$}",
        "WORKER", "COMM", "FLAGS", "WOKEN", "DELIV", "EMPTY", "ACCEPTS", "BUSY", "PART"
    )?;
    for worker in &herd.workers {
        row(out, herd, worker, ascii)?;
    }
    groups::paths(out, herd)
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
    let modes: BTreeSet<u32> = herd
        .workers
        .iter()
        .map(|worker| worker.events & EVENT_FLAGS)
        .collect();
    let modes: Vec<String> = modes.into_iter().map(flags_in_words).collect();
    parts.push(modes.join(" or "));
    let listener = if herd.is_listener() { "listener " } else { "" };
    if herd.is_listener() {
        let (queue, backlog) = (or_absent(herd.accept_queue), or_absent(herd.backlog));
        parts.push(format!("queue {queue}/{backlog}"));
    }
    format!("{listener}{what}: {}", parts.join(", "))
}

fn or_absent(count: Option<u64>) -> String {
    count.map_or_else(|| ABSENT.to_owned(), |count| count.to_string())
}

/// Kind and name of a file, safe for a terminal.
pub(super) fn describe(named: &Named, ascii: bool) -> String {
    let name: String = file_name(named)
        .chars()
        .take(named.kind.len() + 1 + NAME)
        .collect();
    sanitize(&name, ascii)
}

/// What an event of it does, in a sentence.
fn effect(herd: &Herd) -> String {
    let ratio = |ratio: Option<f64>| short(&ratio.map_or(Value::Absent, Value::Ratio));
    let mut parts = if herd.estimated {
        vec![
            format!("{} accepts", herd.events),
            format!("woken per accept about {}", ratio(herd.woken_per_event())),
        ]
    } else {
        vec![
            format!("{} events", herd.events),
            format!("fan-out {}", ratio(herd.fan_out())),
            format!("woken per event {}", ratio(herd.woken_per_event())),
        ]
    };
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
    if herd.passed_on() > 0 {
        parts.push(format!("{} passed on to the next by EXCLUSIVE", herd.passed_on()));
    }
    if let Some(gini) = herd.gini().filter(|_| herd.workers.len() > 1) {
        let work = herd.shared_work().name();
        parts.push(format!("Gini {gini:.2} of {work}"));
    }
    parts.join(", ")
}

fn row(out: &mut dyn Write, herd: &Herd, worker: &Worker, ascii: bool) -> io::Result<()> {
    let [
        name,
        comm,
        flag,
        woken,
        deliveries,
        empty,
        accepts,
        busy,
        part,
        bar,
    ] = WIDTHS;
    let process: String = sanitize(&worker.name, ascii).chars().take(comm).collect();
    let share = herd.share(worker);
    let filled = share.map_or(0, |share| (share * bar as f64).round() as usize);
    let line = format!(
        "{INDENT}{:name$} {process:comm$} {:flag$} {:>woken$} {:>deliveries$} {:>empty$} {:>accepts$} {:>busy$} {:>part$} {}",
        name_of(worker).unwrap_or_else(|| ABSENT.to_owned()),
        flags(worker.events),
        count(Some(worker.woken), woken),
        count(worker.deliveries(), deliveries),
        count(worker.counter(Counter::EmptyWakeups), empty),
        count(worker.counter(Counter::Accepts), accepts),
        short(&worker.utilization().map_or(Value::Absent, Value::Share)),
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

#[cfg(test)]
mod tests;
