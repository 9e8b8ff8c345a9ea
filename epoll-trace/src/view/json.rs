//! JSON Lines for programs: one object per line, each with a version and a kind, the same names as everywhere.
//! A number that cannot be known is null; its reason stands in `absent` of the plan and losses lines.
//! Names stay whole, but what a terminal would obey instead of print comes out escaped.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use super::Report;
use super::sanitize::is_harmful;
use crate::fields::{self, Value};
use crate::model::delta::Window;
use crate::model::entry::Entry;
use crate::model::histogram::{Bucket, Histogram, Quantile};
use crate::model::snapshot::Metric;
use crate::model::waker::{Waker, WakerId};

/// Version of the lines; grows when a name changes its meaning or goes away.
pub const VERSION: u32 = 1;

/// The first line of a run: which probes count, and what cannot be known.
#[derive(Debug, Serialize)]
pub struct PlanLine<'a> {
    v: u32,
    kind: &'static str,
    /// The plan in one line.
    line: &'a str,
    /// The whole plan, as the probes command prints it.
    plan: &'a serde_json::Value,
    absent: &'a BTreeMap<String, String>,
}

#[derive(Serialize)]
struct HistLine<'a> {
    v: u32,
    kind: &'static str,
    metric: &'static str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoll: Option<String>,
    comm: &'a str,
    count: Option<u64>,
    sum_ns: Option<u64>,
    max_ns: Option<u64>,
    p50_ns: Option<u64>,
    p90_ns: Option<u64>,
    p99_ns: Option<u64>,
    p999_ns: Option<u64>,
    /// Lower edge, first value beyond, count.
    buckets: Option<Vec<(u64, u64, u64)>>,
}

#[derive(Serialize)]
struct LossesLine<'a> {
    v: u32,
    kind: &'static str,
    at_ns: u64,
    span_ns: u64,
    losses: &'a BTreeMap<String, u64>,
    absent: &'a BTreeMap<String, String>,
}

/// The counters of an entry: every item of the field table.
struct CountersLine<'a>(&'a Entry);

impl Serialize for CountersLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(entry) = self;
        let key = &entry.key;
        let epoll = key.epoll_name();
        let kind = match (&epoll, key.tid) {
            (Some(_), _) => "epoll",
            (None, Some(_)) => "thread",
            (None, None) => "process",
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("v", &VERSION)?;
        map.serialize_entry("kind", kind)?;
        map.serialize_entry("pid", &key.pid)?;
        if let Some(tid) = key.tid {
            map.serialize_entry("tid", &tid)?;
        }
        if let Some(epoll) = epoll {
            map.serialize_entry("epoll", &epoll)?;
        }
        map.serialize_entry("comm", &entry.name)?;
        map.serialize_entry("span_ns", &entry.span_ns)?;
        for field in fields::counters() {
            map.serialize_entry(field.id, &FieldValue(field.value(entry)))?;
        }
        map.end()
    }
}

pub(super) struct FieldValue(pub(super) Value);

impl Serialize for FieldValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Value::Absent => serializer.serialize_none(),
            Value::Text(text) | Value::Ranked(_, text) => serializer.serialize_str(text),
            Value::Count(count) | Value::Nanos(count) => serializer.serialize_u64(*count),
            Value::Rate(number) | Value::Ratio(number) | Value::Share(number) | Value::FineShare(number) => {
                serializer.serialize_f64(*number)
            }
        }
    }
}

/// Who made waiters of an entry runnable; without a thread the keys about one are null.
#[derive(Serialize)]
struct WakerLine<'a> {
    v: u32,
    kind: &'static str,
    pid: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    tid: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoll: Option<String>,
    comm: &'a str,
    context: &'static str,
    waker_pid: Option<u32>,
    waker_tid: Option<u32>,
    waker_comm: Option<&'a str>,
    wakeups: u64,
}

/// Writes the plan line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_plan(
    out: &mut dyn Write,
    line: &str,
    plan: &serde_json::Value,
    absent: &BTreeMap<String, String>,
) -> io::Result<()> {
    write_line(
        out,
        &PlanLine {
            v: VERSION,
            kind: "plan",
            line,
            plan,
            absent,
        },
    )
}

/// Writes one block: a `hist` line per entry and metric, a line of counters per entry and its wakers where asked, and the losses, which end the block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, report: &Report<'_>) -> io::Result<()> {
    for entry in report.entries {
        for &metric in report.metrics {
            let line = hist_line(entry, metric, report.absent().contains_key(metric.name()));
            if metric.is_time() {
                write_line(out, &line)?;
            } else {
                write_line(out, &without_unit(&line)?)?;
            }
        }
        if report.counters {
            write_line(out, &CountersLine(entry))?;
        }
        for waker in entry.wakers.iter().filter(|_| report.wakers) {
            write_line(out, &waker_line(entry, waker))?;
        }
    }
    write_losses(out, report.window)
}

/// Writes the line that ends a block: what was lost in it, and what cannot be known.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_losses(out: &mut dyn Write, window: &Window) -> io::Result<()> {
    write_line(
        out,
        &LossesLine {
            v: VERSION,
            kind: "losses",
            at_ns: window.counted.at_ns,
            span_ns: window.span_ns,
            losses: &window.counted.losses,
            absent: &window.counted.absent,
        },
    )
}

fn waker_line<'a>(entry: &'a Entry, waker: &'a Waker) -> WakerLine<'a> {
    let thread = match waker.id {
        WakerId::Thread { pid, tid } => Some((pid, tid)),
        _ => None,
    };
    WakerLine {
        v: VERSION,
        kind: "waker",
        pid: entry.key.pid,
        tid: entry.key.tid,
        epoll: entry.key.epoll_name(),
        comm: &entry.name,
        context: waker.id.context(),
        waker_pid: thread.map(|(pid, _)| pid),
        waker_tid: thread.map(|(_, tid)| tid),
        waker_comm: thread.map(|_| waker.name.as_str()),
        wakeups: waker.wakeups,
    }
}

/// Numbers of things are no times: their keys have no `_ns`.
fn without_unit(line: &HistLine<'_>) -> io::Result<serde_json::Value> {
    let mut value = serde_json::to_value(line)?;
    if let Some(object) = value.as_object_mut() {
        *object = std::mem::take(object)
            .into_iter()
            .map(|(key, value)| (key.strip_suffix("_ns").unwrap_or(&key).to_owned(), value))
            .collect();
    }
    Ok(value)
}

fn hist_line(entry: &Entry, metric: Metric, absent: bool) -> HistLine<'_> {
    let values = entry.metric(metric);
    let known = |of: fn(&Histogram) -> u64| (!absent).then(|| values.map_or(0, of));
    let at = |quantile| values.and_then(|values| values.percentile(quantile));
    HistLine {
        v: VERSION,
        kind: "hist",
        metric: metric.name(),
        pid: entry.key.pid,
        tid: entry.key.tid,
        epoll: entry.key.epoll_name(),
        comm: &entry.name,
        count: known(Histogram::count),
        sum_ns: known(|values| values.sum_ns),
        max_ns: values.and_then(Histogram::max),
        p50_ns: at(Quantile::P50),
        p90_ns: at(Quantile::P90),
        p99_ns: at(Quantile::P99),
        p999_ns: at(Quantile::P999),
        buckets: (!absent).then(|| {
            let triple = |bucket: Bucket| (bucket.low, bucket.next, bucket.count);
            values.map_or_else(Vec::new, |values| values.buckets().map(triple).collect())
        }),
    }
}

/// Writes `line` as one JSON object and a line break.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    line.serialize(&mut serde_json::Serializer::with_formatter(
        &mut *out,
        TerminalSafe,
    ))?;
    writeln!(out)
}

/// JSON allows most characters that [`super::sanitize`] keeps from terminals to stand as they are; here they are escaped.
struct TerminalSafe;

impl Formatter for TerminalSafe {
    fn write_string_fragment<W: ?Sized + Write>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (place, harmful) in fragment.match_indices(is_harmful) {
            writer.write_all(&fragment.as_bytes()[plain..place])?;
            for unit in harmful.encode_utf16() {
                write!(writer, "\\u{unit:04x}")?;
            }
            plain = place + harmful.len();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::filter::Filter;
    use crate::model::group::{GroupBy, group};
    use crate::source::Source;
    use crate::source::synthetic::Synthetic;
    use proptest::prelude::*;

    fn lines(source: &mut Synthetic, by: GroupBy) -> String {
        let first = source.snapshot().unwrap();
        let window = Window::between(&first, &source.snapshot().unwrap());
        let filter = Filter {
            pids: vec![300, 301],
            ..Filter::default()
        };
        let entries = group(&window, by, &filter);
        let report = Report {
            window: &window,
            entries: &entries,
            metrics: &[Metric::Wakeup, Metric::Callback],
            counters: true,
            wakers: true,
        };
        let mut out = Vec::new();
        let plan = serde_json::json!({"family": "synthetic"});
        write_plan(&mut out, source.plan_line(), &plan, report.absent()).unwrap();
        write(&mut out, &report).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn numbers_of_things_have_no_unit() {
        let entry = Entry::default();
        let line = without_unit(&hist_line(&entry, Metric::EventsPerWait, false)).unwrap();
        assert!(line.get("p50").is_some() && line.get("sum").is_some(), "{line}");
        assert!(!line.to_string().contains("_ns"), "{line}");
    }

    #[test]
    fn epolls() {
        insta::assert_snapshot!(lines(&mut Synthetic::demo(), GroupBy::Epoll));
    }

    #[test]
    fn unknown_is_null_and_has_a_reason() {
        let mut source = Synthetic::demo();
        source.without(&["callback", "empty_wakeups"]);
        let text = lines(&mut source, GroupBy::Process);
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let of = |kind: &str| {
            lines
                .iter()
                .filter(|line| line["kind"] == kind)
                .cloned()
                .collect::<Vec<_>>()
        };
        let callback = &of("hist")[1];
        assert_eq!(callback["metric"], "callback");
        for name in ["count", "sum_ns", "max_ns", "p50_ns", "buckets"] {
            assert!(
                callback.get(name).is_some_and(serde_json::Value::is_null),
                "{name}"
            );
        }
        assert!(
            of("process")[0]
                .get("empty_wakeups")
                .is_some_and(serde_json::Value::is_null)
        );
        assert_eq!(of("process")[0]["wakeups_chain"], 25);
        assert_eq!(
            of("losses")[0]["absent"]["callback"],
            "this kernel refuses the probe"
        );
        assert!(lines.iter().all(|line| line["v"] == 1));
    }

    fn written(name: &str) -> String {
        let mut out = Vec::new();
        write_line(&mut out, &serde_json::json!({ "comm": name })).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_a_terminal_would_obey_is_escaped_and_comes_back() {
        assert_eq!(
            written("a\u{9b}31m\u{202e}b\u{7f}\u{e0041}\u{1b}\"größe"),
            "{\"comm\":\"a\\u009b31m\\u202eb\\u007f\\udb40\\udc41\\u001b\\\"größe\"}\n"
        );
    }

    proptest! {
        #[test]
        fn every_name_comes_back_from_safe_text(name in ".*") {
            let text = written(&name);
            prop_assert!(!text.trim_end().contains(is_harmful));
            let back: serde_json::Value = serde_json::from_str(&text).unwrap();
            prop_assert_eq!(back["comm"].as_str(), Some(name.as_str()));
        }
    }
}
