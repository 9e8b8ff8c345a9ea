//! What belongs below the tables of workers, for people: where the time of their wakeups goes, sockets of one address, and epolls whose
//! waiters wake each other.

use std::cmp::Reverse;
use std::io::{self, Write};

use super::super::sanitize::sanitize;
use super::super::units::{ABSENT, auto_time, short};
use super::super::wrap::wrapped;
use super::{INDENT, count, name_of, or_absent};
use crate::fields::Value;
use crate::model::chains::Chain;
use crate::model::herds::{Herd, Worker};
use crate::model::histogram::Quantile;
use crate::model::reuseport::{Group, Socket};
use crate::model::snapshot::Metric;
use crate::model::waker::WakerId;

/// Widths of worker, process, connections, accepts, queue, utilization, share and its bar.
const WIDTHS: [usize; 8] = [14, 10, 8, 8, 10, 4, 4, 12];
/// Sockets of a group, and threads of a chain, that have a line of their own.
const MOST_SOCKETS: usize = 64;
const MOST_CAUSES: usize = 5;
/// Workers of a source whose wake path is shown.
const MOST_PATHS: usize = 4;

/// Writes where the time of the slowest workers' wakeups goes, as far as it is measured.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn paths(out: &mut dyn Write, herd: &Herd) -> io::Result<()> {
    let p99 = |worker: &Worker, metric| worker.percentile(metric, Quantile::P99);
    let mut slow: Vec<(u64, &Worker)> = herd
        .workers
        .iter()
        .filter_map(|worker| Some((p99(worker, Metric::Wakeup)?, worker)))
        .collect();
    slow.sort_by_key(|&(total, worker)| (Reverse(total), worker.key));
    for (total, worker) in slow.into_iter().take(MOST_PATHS) {
        let part = |name: &str, metric| {
            let time = p99(worker, metric).map_or_else(|| ABSENT.to_owned(), auto_time);
            format!("{name} {time}")
        };
        let parts = [
            part("callback", Metric::Callback),
            part("run queue", Metric::Runqueue),
            part("delivery", Metric::Delivery),
        ];
        let share = worker.runqueue_share().map_or(Value::Absent, Value::Share);
        let line = format!(
            "wake path p99 {}: {}, total {}; {} of all its time is run queue",
            name_of(worker).unwrap_or_else(|| ABSENT.to_owned()),
            parts.join(", "),
            auto_time(total),
            short(&share)
        );
        write!(out, "{}", wrapped(&line, INDENT, INDENT))?;
    }
    Ok(())
}

/// Writes a group with a line for each socket.
///
/// # Errors
/// When `out` cannot be written.
pub fn group(out: &mut dyn Write, group: &Group, ascii: bool) -> io::Result<()> {
    let mut title = format!(
        "SO_REUSEPORT {}: {} sockets, {} connections",
        sanitize(&group.address, ascii),
        group.sockets.len(),
        group.connections()
    );
    if let Some(gini) = group.gini() {
        title.push_str(&format!(", Gini {gini:.2}"));
    }
    write!(out, "{}", wrapped(&title, "", INDENT))?;
    let [worker, comm, connections, accepts, queue, busy, part, _] = WIDTHS;
    writeln!(
        out,
        "{INDENT}{:worker$} {:comm$} {:>connections$} {:>accepts$} {:>queue$} {:>busy$} {:>part$}",
        "WORKER", "COMM", "CONNECT", "ACCEPTS", "QUEUE", "BUSY", "PART"
    )?;
    for socket in group.sockets.iter().take(MOST_SOCKETS) {
        self::socket(out, group, socket, ascii)?;
    }
    match group.sockets.len().saturating_sub(MOST_SOCKETS) {
        0 => Ok(()),
        more => writeln!(out, "{INDENT}{more} more"),
    }
}

fn socket(out: &mut dyn Write, group: &Group, socket: &Socket, ascii: bool) -> io::Result<()> {
    let [name, comm, connections, accepts, queue, busy, part, bar] = WIDTHS;
    let worker: Option<&Worker> = socket.herd.as_ref().and_then(|herd| herd.workers.first());
    // One that several watch is a herd of its own above.
    let more = socket
        .herd
        .as_ref()
        .map_or(0, |herd| herd.workers.len().saturating_sub(1));
    let mut who = worker.and_then(name_of).unwrap_or_else(|| ABSENT.to_owned());
    if more > 0 {
        who.push_str(&format!("+{more}"));
    }
    let process = worker.map_or("", |worker| &worker.name);
    let process: String = sanitize(process, ascii).chars().take(comm).collect();
    let share = group.share(socket);
    let filled = share.map_or(0, |share| (share * bar as f64).round() as usize);
    let backlog = socket.herd.as_ref().and_then(|herd| herd.backlog);
    let ratio = |part: Option<f64>| short(&part.map_or(Value::Absent, Value::Share));
    let line = format!(
        "{INDENT}{who:name$} {process:comm$} {:>connections$} {:>accepts$} {:>queue$} {:>busy$} {:>part$} {}",
        count(Some(socket.connections()), connections),
        count(socket.accepts(), accepts),
        format!("{}/{}", socket.queue, or_absent(backlog)),
        ratio(worker.and_then(Worker::utilization)),
        ratio(share),
        "#".repeat(filled),
    );
    writeln!(out, "{}", line.trim_end())
}

/// Writes a chain: how many an event wakes, and by whom.
///
/// # Errors
/// When `out` cannot be written.
pub(super) fn chain(out: &mut dyn Write, chain: &Chain, ascii: bool) -> io::Result<()> {
    let name = chain.key.epoll_name();
    let name = name.unwrap_or_else(|| format!("closed epolls of {}", chain.key.pid));
    let mut parts = vec![format!(
        "chain {name} {}: {} wakeups by a thread of its own beside {} by sources",
        sanitize(&chain.name, ascii),
        chain.by_chain,
        or_absent(chain.by_source)
    )];
    if let Some(woken) = chain.woken_per_event() {
        parts.push(format!("{woken:.2} woken per event"));
    }
    parts.extend(chain.empty.map(|empty| format!("{empty} empty wakeups")));
    write!(out, "{}", wrapped(&parts.join(", "), "", INDENT))?;
    let (first, others) = chain.causes.split_at(chain.causes.len().min(MOST_CAUSES));
    let mut causes: Vec<String> = first
        .iter()
        .map(|cause| {
            let who = match cause.id {
                WakerId::Thread { pid, tid } => format!("{} {pid}/{tid}", sanitize(&cause.name, ascii)),
                id => id.context().to_owned(),
            };
            format!("{who} {}", cause.wakeups)
        })
        .collect();
    if !others.is_empty() {
        let wakeups: u64 = others.iter().map(|cause| cause.wakeups).sum();
        causes.push(format!("{} others {wakeups}", others.len()));
    }
    if causes.is_empty() {
        return Ok(());
    }
    write!(
        out,
        "{}",
        wrapped(&format!("by {}", causes.join(", ")), INDENT, INDENT)
    )
}
