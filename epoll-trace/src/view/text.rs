//! Text for people: a histogram with power-of-two rows per entry, its percentiles, and its counters. 80 columns.

use std::io::{self, Write};

use super::sanitize::sanitize;
use super::units::{ABSENT, TimeUnit, short};
use super::wrap::{COLUMNS, wrapped};
use super::{Report, losses_line};
use crate::fields;
use crate::model::entry::Entry;
use crate::model::histogram::{Histogram, Log2Row, Quantile};
use crate::model::snapshot::Metric;

const MOST_STARS: usize = 40;
const INDENT: &str = "  ";

/// How text is written.
#[derive(Clone, Debug, Default)]
pub struct TextOptions {
    /// Unit of times.
    pub unit: TimeUnit,
    /// No character beyond ASCII.
    pub ascii: bool,
}

/// Writes one block: an optional time of day, a section per entry that has something to show, and the losses.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut dyn Write,
    report: &Report<'_>,
    options: &TextOptions,
    time_of_day: Option<&str>,
) -> io::Result<()> {
    if let Some(time) = time_of_day {
        writeln!(out, "{time}")?;
    }
    let mut shown = 0;
    for entry in report.entries {
        shown += usize::from(section(out, entry, report, options)?);
    }
    if shown == 0 {
        writeln!(out, "No epoll wakeups seen.")?;
    }
    notes(out, report)?;
    writeln!(out)
}

/// Writes why what was asked for is not shown, and the losses.
///
/// # Errors
/// When `out` cannot be written.
pub fn notes(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    absent(out, report)?;
    write!(out, "{}", wrapped(&losses_line(report.losses()), "", INDENT))
}

/// Writes what there is of `entry`; whether there was anything.
fn section(
    out: &mut dyn Write,
    entry: &Entry,
    report: &Report<'_>,
    options: &TextOptions,
) -> io::Result<bool> {
    let mut shown = false;
    for &metric in report.metrics {
        let Some(values) = entry.metric(metric).filter(|values| values.count() > 0) else {
            continue;
        };
        let which = if report.metrics == [Metric::Wakeup] {
            String::new()
        } else {
            format!(", {}", metric.name())
        };
        writeln!(out, "{}", head(entry, &which, options.ascii))?;
        let unit = if metric.is_time() {
            options.unit
        } else {
            TimeUnit::Things
        };
        histogram(out, values, unit)?;
        shown = true;
    }
    if report.counters && (shown || !entry.is_idle()) {
        if !shown {
            writeln!(out, "{}", head(entry, "", options.ascii))?;
        }
        counters(out, entry)?;
        shown = true;
    }
    if shown {
        writeln!(out)?;
    }
    Ok(shown)
}

/// Whose numbers follow, and `which` of them. A name that is too long loses its end.
fn head(entry: &Entry, which: &str, ascii: bool) -> String {
    let key = &entry.key;
    let id = match (key.epoll_name(), key.tid) {
        (Some(epoll), _) => format!("epoll = {epoll}"),
        (None, Some(tid)) => format!("tid = {tid}"),
        (None, None) => format!("pid = {}", key.pid),
    };
    let room = COLUMNS.saturating_sub(id.len() + 1 + which.len());
    let name: String = sanitize(&entry.name, ascii).chars().take(room).collect();
    format!("{id} {name}{which}")
}

fn histogram(out: &mut dyn Write, values: &Histogram, unit: TimeUnit) -> io::Result<()> {
    let rows = values.log2_rows(unit.nanos());
    let digits = |of: fn(&Log2Row) -> u64| {
        rows.iter()
            .map(|row| of(row).to_string().len())
            .max()
            .unwrap_or(0)
    };
    let edge = digits(|row| row.high).max(10);
    let count = digits(|row| row.count).max(8);
    let stars = COLUMNS.saturating_sub(2 * edge + count + 10).min(MOST_STARS);
    writeln!(
        out,
        "{:>edge$} {:edge$}   : {:count$} distribution",
        unit.head(),
        "",
        "count"
    )?;
    let most = rows.iter().map(|row| row.count).max().unwrap_or(0);
    for row in &rows {
        let bar = "*".repeat(bar_length(row.count, most, stars));
        writeln!(
            out,
            "{:>edge$} -> {:<edge$} : {:<count$} |{bar:stars$}|",
            row.low, row.high, row.count
        )?;
    }
    write!(out, "{}", wrapped(&percentiles(values, unit), "", INDENT))
}

/// Length of a bar of `count` where `most` is `full` long. A count that is not 0 may still round to nothing.
pub(crate) fn bar_length(count: u64, most: u64, full: usize) -> usize {
    let length = u128::from(count) * full as u128 / u128::from(most.max(1));
    usize::try_from(length).unwrap_or(full).min(full)
}

/// `count=24 p50=16.4us … max=31.2us`.
pub(crate) fn percentiles(values: &Histogram, unit: TimeUnit) -> String {
    let time = |nanos: Option<u64>| nanos.map_or(ABSENT.to_owned(), |nanos| unit.time(nanos));
    let at = |quantile| time(values.percentile(quantile));
    format!(
        "count={} p50={} p90={} p99={} p99.9={} max={}",
        values.count(),
        at(Quantile::P50),
        at(Quantile::P90),
        at(Quantile::P99),
        at(Quantile::P999),
        time(values.max())
    )
}

/// Why what was asked for is not shown: a line per reason.
fn absent(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    let metrics = report.metrics.iter().map(|metric| metric.name());
    let counters = fields::counters()
        .map(|field| field.id)
        .filter(|_| report.counters);
    let mut reasons: Vec<(&str, Vec<&str>)> = Vec::new();
    for name in metrics.chain(counters) {
        let Some(reason) = report.absent().get(name) else {
            continue;
        };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, names)) => names.push(name),
            None => reasons.push((reason, vec![name])),
        }
    }
    for (reason, names) in reasons {
        let line = format!("{}: {ABSENT} ({reason})", names.join(", "));
        write!(out, "{}", wrapped(&line, "", INDENT))?;
    }
    Ok(())
}

fn counters(out: &mut dyn Write, entry: &Entry) -> io::Result<()> {
    let mut line = String::from(" ");
    for field in fields::counters() {
        let item = format!(" {}={}", field.id, short(&field.value(entry)));
        if line.len() + item.len() > COLUMNS {
            writeln!(out, "{line}")?;
            line = String::from(" ");
        }
        line.push_str(&item);
    }
    writeln!(out, "{line}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delta::Window;
    use crate::model::filter::Filter;
    use crate::model::group::{GroupBy, group};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;

    fn shown(
        source: &mut Synthetic,
        by: GroupBy,
        metrics: &[Metric],
        counters: bool,
        unit: TimeUnit,
    ) -> String {
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let entries = group(&window, by, &Filter::default());
        let report = Report {
            window: &window,
            entries: &entries,
            metrics,
            counters,
        };
        let mut out = Vec::new();
        write(
            &mut out,
            &report,
            &TextOptions { unit, ascii: false },
            Some("12:00:01"),
        )
        .unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.lines().all(|line| line.chars().count() <= COLUMNS),
            "wider than 80:\n{text}"
        );
        text
    }

    #[test]
    fn processes() {
        insta::assert_snapshot!(shown(
            &mut Synthetic::demo(),
            GroupBy::Process,
            &[Metric::Wakeup],
            false,
            TimeUnit::Micros
        ));
    }

    #[test]
    fn epolls_with_counters_and_losses() {
        let mut source = Synthetic::demo();
        source.lose("rows_full", 3);
        insta::assert_snapshot!(shown(
            &mut source,
            GroupBy::Epoll,
            &[Metric::Wakeup],
            true,
            TimeUnit::Millis
        ));
    }

    #[test]
    fn nothing_is_wider_than_80() {
        let mut source = Synthetic::demo();
        source.lose(&"x".repeat(90), 3);
        source.without(&[
            "callback",
            "notifications",
            "scans",
            "wakeups_source",
            "wakeups_chain",
        ]);
        for by in [GroupBy::Process, GroupBy::Thread, GroupBy::Epoll] {
            for unit in [TimeUnit::Nanos, TimeUnit::Micros, TimeUnit::Millis] {
                shown(&mut source, by, Metric::ALL, true, unit);
            }
        }
        let mut entry = Entry::default();
        entry.key.tid = Some(u32::MAX);
        entry.name = "wide ".repeat(40);
        assert_eq!(head(&entry, ", callback", false).chars().count(), COLUMNS);
        let shape: std::sync::Arc<[u64]> = [0, 1, 60_000_000_000].into();
        let values = Histogram::new(shape, vec![(1, u64::MAX / 2)], 0);
        let mut out = Vec::new();
        histogram(&mut out, &values, TimeUnit::Nanos).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
    }

    #[test]
    fn what_is_absent_has_a_reason() {
        let mut source = Synthetic::demo();
        source.without(&["callback", "notifications", "scans"]);
        source.per_thread();
        let text = shown(
            &mut source,
            GroupBy::Thread,
            &[Metric::Callback, Metric::Runqueue],
            true,
            TimeUnit::Nanos,
        );
        assert!(
            text.contains("\ncallback, notifications, scans: - (this kernel refuses the probe)\n"),
            "{text}"
        );
        assert!(
            text.contains("notifications=-") && text.contains(" scans=-"),
            "{text}"
        );
        assert!(text.contains("tid = 186 nginx, runqueue"), "{text}");
        assert!(!text.contains(", callback"), "{text}");
    }

    #[test]
    fn nothing_is_said_so() {
        let text = shown(
            &mut Synthetic::empty(),
            GroupBy::Process,
            &[Metric::Wakeup],
            false,
            TimeUnit::Micros,
        );
        assert_eq!(text, "12:00:01\nNo epoll wakeups seen.\nlosses: none\n\n");
    }
}
