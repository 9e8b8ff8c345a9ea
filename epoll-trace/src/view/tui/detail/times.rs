//! Every time that is kept of the subject, as percentiles in a table; what is not measured says so.

use ratatui::text::Line;

use super::{Room, Subject};
use crate::model::histogram::{Histogram, Quantile};
use crate::model::snapshot::Metric;
use crate::view::sanitize::sanitize;
use crate::view::tui::header::whole_words;
use crate::view::tui::style::Look;
use crate::view::units::{ABSENT, auto_time};

const NAME: usize = 10;
const VALUE: usize = 8;

/// Locks have a screen of their own.
fn metrics() -> impl Iterator<Item = Metric> {
    let all = Metric::ALL.iter().copied();
    all.filter(|metric| metric.is_time() && !metric.is_of_locks())
}

/// A head and a line for each.
pub(super) fn most(subject: &Subject<'_>) -> usize {
    match subject.wakeups() {
        Some(_) => metrics().count() + 1,
        None => 0,
    }
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let heads = ["count", "p50", "p90", "p99", "p99.9", "max"];
    let heads: String = heads.map(|head| format!("{head:>VALUE$}")).concat();
    let head = whole_words(&format!("{:<NAME$}{heads}", "time"), room.width, look);
    let mut lines = vec![Line::styled(head, look.dim())];
    // Those that are measured first: the others may be cut off.
    let (known, absent): (Vec<_>, Vec<_>) =
        metrics().partition(|&metric| subject.entry.metric(metric).is_some());
    lines.extend(known.into_iter().chain(absent).map(|metric| {
        let name = metric.name();
        let text = match subject.entry.metric(metric) {
            Some(values) => format!("{name:<NAME$}{}", row(values)),
            None => {
                let reason = sanitize(subject.why(name), look.ascii);
                format!("{name:<NAME$}{ABSENT:>VALUE$} ({reason})")
            }
        };
        Line::from(whole_words(&text, room.width, look))
    }));
    lines
}

fn row(values: &Histogram) -> String {
    let quantiles = [Quantile::P50, Quantile::P90, Quantile::P99, Quantile::P999];
    let times = quantiles
        .into_iter()
        .map(|quantile| values.percentile(quantile))
        .chain([values.max()])
        .map(|time| time.map_or(ABSENT.to_owned(), auto_time));
    std::iter::once(values.count().to_string())
        .chain(times)
        .map(|text| format!("{text:>VALUE$}"))
        .collect()
}
