//! Locks of epolls: a table for people, JSON Lines and CSV for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;

use super::json::{self, VERSION};
use super::sanitize::sanitize;
use super::text::write_absent;
use super::units::{ABSENT, TimeUnit, auto_time};
use super::wrap::wrapped;
use super::{csv, losses_line};
use crate::model::delta::Window;
use crate::model::histogram::{Bucket, Quantile};
use crate::model::locks::LockEntry;
use crate::model::snapshot::{EpollCounter, FIRST_LOCK_WAITS, LOCK_PATHS, LockPath, Metric, PathSum};

const INDENT: &str = "  ";
/// Widths of name, kind, process, threads and waits.
const WIDTHS: [usize; 5] = [15, 6, 10, 7, 8];
/// Width of a time: total, mean, p99 and max.
const TIME: usize = 6;

/// What one block is made from.
#[derive(Clone, Copy, Debug)]
pub struct LockReport<'a> {
    /// What was counted, with losses and absent reasons.
    pub window: &'a Window,
    /// In the order to show.
    pub entries: &'a [LockEntry],
}

impl LockReport<'_> {
    fn absent(&self) -> &BTreeMap<String, String> {
        &self.window.counted.absent
    }

    /// Whether contention can be seen at all.
    fn is_known(&self) -> bool {
        !self.absent().contains_key(Metric::Lock.name())
    }
}

/// Writes one block as text: a row per lock and what waited below it, what cannot be seen, and the losses.
/// Times are in `unit`, or each in the one that suits it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(
    out: &mut dyn Write,
    report: &LockReport<'_>,
    unit: Option<TimeUnit>,
    ascii: bool,
    time_of_day: Option<&str>,
) -> io::Result<()> {
    if let Some(time) = time_of_day {
        writeln!(out, "{time}")?;
    }
    if !report.entries.is_empty() {
        write_head(out)?;
    } else if report.is_known() {
        writeln!(out, "No epoll's lock was waited for.")?;
    }
    for entry in report.entries {
        write_row(out, entry, unit, ascii)?;
    }
    notes(out, report)?;
    writeln!(out)
}

/// Writes why something is not shown, and the losses.
///
/// # Errors
/// When `out` cannot be written.
pub fn notes(out: &mut dyn Write, report: &LockReport<'_>) -> io::Result<()> {
    let kinds = [
        Metric::Lock.name(),
        Metric::Mutex.name(),
        EpollCounter::SourceLockWaits.name(),
        LOCK_PATHS,
        FIRST_LOCK_WAITS,
    ];
    write_absent(out, report.absent(), kinds.into_iter())?;
    let losses = losses_line(&report.window.counted.losses);
    write!(out, "{}", wrapped(&losses, "", INDENT))
}

/// Writes the titles of [`write_row`].
///
/// # Errors
/// When `out` cannot be written.
pub fn write_head(out: &mut dyn Write) -> io::Result<()> {
    let [name, kind, comm, threads, waits] = WIDTHS;
    writeln!(
        out,
        "{:name$} {:kind$} {:comm$} {:>threads$} {:>waits$} {:>TIME$} {:>TIME$} {:>TIME$} {:>TIME$}",
        "LOCK", "KIND", "COMM", "THREADS", "WAITS", "TOTAL", "AVG", "P99", "MAX"
    )
}

/// Writes a lock, and what waited for it below.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_row(
    out: &mut dyn Write,
    entry: &LockEntry,
    unit: Option<TimeUnit>,
    ascii: bool,
) -> io::Result<()> {
    let [name, kind, comm, threads, waits] = WIDTHS;
    let time = |nanos: Option<u64>| nanos.map_or(ABSENT.to_owned(), |nanos| time(nanos, unit));
    let known = entry
        .threads
        .map_or(ABSENT.to_owned(), |threads| threads.to_string());
    let process: String = sanitize(&entry.name, ascii).chars().take(comm).collect();
    writeln!(
        out,
        "{:name$} {:kind$} {process:comm$} {known:>threads$} {:>waits$} {:>TIME$} {:>TIME$} {:>TIME$} {:>TIME$}",
        entry.lock_name(),
        entry.kind.name(),
        entry.count(),
        time(Some(entry.sum_ns())),
        time(entry.mean_ns()),
        time(entry.waited.percentile(Quantile::P99)),
        time(entry.waited.max()),
    )?;
    let shares: Vec<String> = entry
        .shares()
        .iter()
        .map(|(path, share)| format!("{} {:.0}%", path.name(), share * 100.0))
        .collect();
    write!(out, "{}", wrapped(&shares.join(", "), "    by ", "       "))
}

/// In `unit` where that fits its column.
fn time(nanos: u64, unit: Option<TimeUnit>) -> String {
    unit.map(|unit| unit.time(nanos))
        .filter(|text| text.chars().count() <= TIME)
        .unwrap_or_else(|| auto_time(nanos))
}

#[derive(Serialize)]
struct LockLine<'a> {
    v: u32,
    kind: &'static str,
    lock: &'static str,
    pid: u32,
    epoll: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    fd: Option<i32>,
    comm: &'a str,
    span_ns: u64,
    threads: Option<u64>,
    count: u64,
    sum_ns: u64,
    max_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    /// By name; those that did not wait are left out.
    paths: BTreeMap<&'static str, PathLine>,
    /// Lower edge, first value beyond, count.
    buckets: Vec<(u64, u64, u64)>,
}

#[derive(Serialize)]
struct PathLine {
    count: u64,
    sum_ns: u64,
}

/// Writes one block as JSON Lines: a line per lock, and the losses, which end the block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, report: &LockReport<'_>) -> io::Result<()> {
    for entry in report.entries {
        json::write_line(out, &line(entry, report.window.span_ns))?;
    }
    json::write_losses(out, report.window)
}

fn line(entry: &LockEntry, span_ns: u64) -> LockLine<'_> {
    let waited = &entry.waited;
    let path = |&path: &LockPath| {
        let PathSum { count, sum_ns } = entry.paths[path as usize];
        (count > 0).then_some((path.name(), PathLine { count, sum_ns }))
    };
    LockLine {
        v: VERSION,
        kind: "lock",
        lock: entry.kind.name(),
        pid: entry.epoll.pid,
        epoll: entry.epoll.epoll_name().unwrap_or_default(),
        fd: entry.fd,
        comm: &entry.name,
        span_ns,
        threads: entry.threads,
        count: entry.count(),
        sum_ns: entry.sum_ns(),
        max_ns: waited.max(),
        p50_ns: waited.percentile(Quantile::P50),
        p90_ns: waited.percentile(Quantile::P90),
        p99_ns: waited.percentile(Quantile::P99),
        p999_ns: waited.percentile(Quantile::P999),
        paths: LockPath::ALL.iter().filter_map(path).collect(),
        buckets: waited
            .buckets()
            .map(|bucket: Bucket| (bucket.low, bucket.next, bucket.count))
            .collect(),
    }
}

const COLUMNS: [&str; 14] = [
    "at_ns", "span_ns", "pid", "epoll", "fd", "comm", "lock", "threads", "count", "sum_ns", "max_ns",
    "p50_ns", "p99_ns", "lost",
];

/// Writes the names of the columns of the CSV table.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv_header(out: &mut dyn Write) -> io::Result<()> {
    csv::record(out, COLUMNS.into_iter())
}

/// Writes one block as CSV: a row per lock.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(out: &mut dyn Write, report: &LockReport<'_>) -> io::Result<()> {
    let counted = &report.window.counted;
    let lost = counted.losses.values().sum::<u64>().to_string();
    for entry in report.entries {
        let record: [String; COLUMNS.len()] = [
            counted.at_ns.to_string(),
            report.window.span_ns.to_string(),
            entry.epoll.pid.to_string(),
            entry.epoll.epoll_name().unwrap_or_default(),
            csv::optional(entry.fd),
            sanitize(&entry.name, false),
            entry.kind.name().to_owned(),
            csv::optional(entry.threads),
            entry.count().to_string(),
            entry.sum_ns().to_string(),
            csv::optional(entry.waited.max()),
            csv::optional(entry.waited.percentile(Quantile::P50)),
            csv::optional(entry.waited.percentile(Quantile::P99)),
            lost.clone(),
        ];
        csv::record(out, record.into_iter())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Filter;
    use crate::model::locks::{LockOrder, locks};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;
    use crate::view::wrap::COLUMNS as WIDTH;

    fn shown(source: &mut Synthetic, write: impl Fn(&mut Vec<u8>, &LockReport<'_>)) -> String {
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let mut entries = locks(&window, &Filter::default());
        LockOrder::Total.sort(&mut entries);
        let report = LockReport {
            window: &window,
            entries: &entries,
        };
        let mut out = Vec::new();
        write(&mut out, &report);
        String::from_utf8(out).unwrap()
    }

    fn text(source: &mut Synthetic, unit: Option<TimeUnit>) -> String {
        let text = shown(source, |out, report| {
            write_text(out, report, unit, false, Some("12:00:01")).unwrap();
        });
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        text
    }

    fn contended() -> Synthetic {
        let mut source = Synthetic::demo();
        source.contend();
        source
    }

    #[test]
    fn table() {
        insta::assert_snapshot!(text(&mut contended(), None));
    }

    #[test]
    fn nothing_is_wider_than_80_in_any_unit() {
        let mut source = contended();
        source.without(&["source_lock_waits", "lock_paths"]);
        source.lose("locks_full", 3);
        for unit in [TimeUnit::Nanos, TimeUnit::Micros, TimeUnit::Millis] {
            let text = text(&mut source, Some(unit));
            assert!(text.contains("LOST: locks_full=3"), "{text}");
            assert!(
                text.contains("source_lock_waits, lock_paths: - (this kernel"),
                "{text}"
            );
        }
    }

    #[test]
    fn quiet_says_so_and_names_the_blind_spot() {
        let mut source = Synthetic::demo();
        source.without(&[FIRST_LOCK_WAITS]);
        let text = text(&mut source, None);
        assert!(
            text.contains("No epoll's lock was waited for.\nfirst_lock_waits: - ("),
            "{text}"
        );
    }

    #[test]
    fn what_cannot_be_known_is_not_called_quiet() {
        let mut source = Synthetic::demo();
        source.without(&["lock", "mutex", "source_lock_waits"]);
        assert_eq!(
            text(&mut source, None),
            "12:00:01\nlock, mutex, source_lock_waits: - (this kernel refuses the probe)\nlosses: none\n\n"
        );
    }

    #[test]
    fn json_lines() {
        insta::assert_snapshot!(shown(&mut contended(), |out, report| {
            write_json(out, report).unwrap();
        }));
    }

    #[test]
    fn csv_rows_have_the_columns_of_the_head() {
        let text = shown(&mut contended(), |out, report| {
            write_csv_header(out).unwrap();
            write_csv(out, report).unwrap();
        });
        let columns: Vec<_> = text.lines().map(|line| line.split(',').count()).collect();
        assert_eq!(columns, [COLUMNS.len(); 4], "{text}");
    }
}
