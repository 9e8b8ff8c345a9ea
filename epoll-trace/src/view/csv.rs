//! One table for spreadsheets and scripts: a row per entry and metric, the same names as in JSON.
//! A number that cannot be known is an empty cell.

use std::io::{self, Write};

use csv::{Terminator, WriterBuilder};

use super::Report;
use super::sanitize::sanitize;
use crate::fields::{self, Value};
use crate::model::entry::Entry;
use crate::model::histogram::{Histogram, Quantile};
use crate::model::snapshot::Metric;

const KEYS: [&str; 6] = ["at_ns", "span_ns", "pid", "tid", "epoll", "comm"];
const HISTOGRAM: [&str; 9] = [
    "metric", "unit", "count", "sum", "max", "p50", "p90", "p99", "p999",
];
/// All loss counters together: rows must not depend on which there are.
const LOST: &str = "lost";

/// Writes the names of the columns; those of counters only where they are asked for.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_header(out: &mut dyn Write, counters: bool) -> io::Result<()> {
    let names = KEYS.into_iter().chain(HISTOGRAM);
    let fields = fields::counters().filter(|_| counters).map(|field| field.id);
    record(out, names.chain(fields).chain([LOST]))
}

/// Writes one block: a row per entry and metric.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    let lost = report.losses().values().sum::<u64>().to_string();
    for entry in report.entries {
        let keys = keys(report, entry);
        for &metric in report.metrics {
            let absent = report.absent().contains_key(metric.name());
            let counters = fields::counters()
                .filter(|_| report.counters)
                .map(|field| cell(&field.value(entry)));
            record(
                out,
                keys.iter()
                    .cloned()
                    .chain(histogram(entry, metric, absent))
                    .chain(counters)
                    .chain([lost.clone()]),
            )?;
        }
    }
    Ok(())
}

/// Writes one row.
///
/// # Errors
/// When writing fails.
pub(super) fn record(out: &mut dyn Write, cells: impl Iterator<Item = impl AsRef<[u8]>>) -> io::Result<()> {
    let mut writer = WriterBuilder::new()
        .terminator(Terminator::Any(b'\n'))
        .from_writer(out);
    writer.write_record(cells)?;
    writer.flush()
}

fn keys(report: &Report<'_>, entry: &Entry) -> [String; KEYS.len()] {
    let key = &entry.key;
    [
        report.window.counted.at_ns.to_string(),
        entry.span_ns.to_string(),
        key.pid.to_string(),
        optional(key.tid),
        key.epoll_name().unwrap_or_default(),
        sanitize(&entry.name, false),
    ]
}

fn histogram(entry: &Entry, metric: Metric, absent: bool) -> [String; HISTOGRAM.len()] {
    let values = entry.metric(metric);
    let known = |of: fn(&Histogram) -> u64| optional((!absent).then(|| values.map_or(0, of)));
    let at = |quantile| optional(values.and_then(|values| values.percentile(quantile)));
    [
        metric.name().to_owned(),
        if metric.is_time() { "ns" } else { "count" }.to_owned(),
        known(Histogram::count),
        known(|values| values.sum_ns),
        optional(values.and_then(Histogram::max)),
        at(Quantile::P50),
        at(Quantile::P90),
        at(Quantile::P99),
        at(Quantile::P999),
    ]
}

pub(super) fn optional(number: Option<impl ToString>) -> String {
    number.map_or_else(String::new, |number| number.to_string())
}

pub(super) fn cell(value: &Value) -> String {
    match value {
        Value::Absent => String::new(),
        Value::Text(text) | Value::Ranked(_, text) => sanitize(text, false),
        Value::Count(count) | Value::Nanos(count) => count.to_string(),
        Value::Rate(number) | Value::Ratio(number) | Value::Share(number) | Value::FineShare(number) => {
            number.to_string()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::delta::Window;
    use crate::model::filter::Filter;
    use crate::model::group::{GroupBy, group};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;

    fn table(source: &mut Synthetic, rename: Option<&str>) -> String {
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let filter = Filter {
            pids: vec![300, 301],
            ..Filter::default()
        };
        let mut entries = group(&window, GroupBy::Epoll, &filter);
        if let Some(name) = rename {
            name.clone_into(&mut entries[0].name);
        }
        let report = Report {
            window: &window,
            entries: &entries,
            metrics: &[Metric::Wakeup, Metric::Callback],
            counters: true,
            wakers: false,
        };
        let mut out = Vec::new();
        write_header(&mut out, true).unwrap();
        write(&mut out, &report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn epolls() {
        insta::assert_snapshot!(table(&mut Synthetic::demo(), None));
    }

    #[test]
    fn unknown_is_empty_and_names_cannot_break_rows() {
        let mut source = Synthetic::demo();
        source.without(&["callback", "empty_wakeups"]);
        let text = table(&mut source, Some("a,\"b\"\n\u{1b}[31m"));
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let columns = reader.headers().unwrap().clone();
        let of = |row: &csv::StringRecord, name: &str| {
            let place = columns.iter().position(|column| column == name).unwrap();
            row[place].to_owned()
        };
        let rows: Vec<_> = reader.records().map(Result::unwrap).collect();
        assert_eq!(of(&rows[0], "comm"), "a,\"b\"??[31m");
        assert_eq!(of(&rows[0], "metric"), "wakeup");
        assert_ne!(of(&rows[0], "count"), "");
        assert_eq!(of(&rows[1], "metric"), "callback");
        for name in ["count", "sum", "max", "p50", "empty_wakeups"] {
            assert_eq!(of(&rows[1], name), "", "{name}");
        }
    }
}
