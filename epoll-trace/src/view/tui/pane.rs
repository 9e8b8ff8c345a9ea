//! The selected process: its percentiles, where a wakeup's time goes, and its histogram.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::app::{App, Sample};
use super::header::whole_words;
use super::style::Look;
use crate::model::entry::Entry;
use crate::model::histogram::{Histogram, Log2Row, Quantile};
use crate::model::snapshot::Metric;
use crate::view::sanitize::sanitize;
use crate::view::text::{bar_length, percentiles};
use crate::view::units::{ABSENT, TimeUnit, auto_time};

const UNIT: TimeUnit = TimeUnit::Micros;
const PHASES: [(Metric, &str); 3] = [
    (Metric::Callback, "callback"),
    (Metric::Runqueue, "run queue"),
    (Metric::Delivery, "delivery"),
];
const PHASE_BAR: usize = 20;

/// Draws the selected process; nothing without one.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let (Some(sample), Some(entry)) = (app.sample(), app.selected()) else {
        return;
    };
    let title = format!(
        " {} {}: wakeup latency, each phase by its own percentiles ",
        entry.key.pid,
        sanitize(&entry.name, look.ascii)
    );
    let block = Block::new()
        .borders(Borders::TOP)
        .border_set(look.border())
        .title(title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let mut lines = summary(entry, sample, look, usize::from(inner.width));
    if let Some(values) = entry.metric(Metric::Wakeup) {
        let room = usize::from(inner.height).saturating_sub(lines.len());
        lines.extend(histogram(values, usize::from(inner.width), room, look));
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

fn summary(entry: &Entry, sample: &Sample, look: Look, width: usize) -> Vec<Line<'static>> {
    let Some(values) = entry.metric(Metric::Wakeup).filter(|values| values.count() > 0) else {
        let why = sample.absent.get(Metric::Wakeup.name());
        let why = why.map_or("no wakeup yet".to_owned(), |reason| {
            format!("wakeup: {ABSENT} ({reason})")
        });
        return vec![Line::from(sanitize(&why, look.ascii))];
    };
    vec![
        Line::from(whole_words(&percentiles(values, UNIT), width, look)),
        phases(entry, "p50", Quantile::P50, look, width),
        phases(entry, "p99", Quantile::P99, look, width),
    ]
}

/// Where the time goes: each phase's own percentile, so the three need not add up to the whole's.
/// Where it is narrow, first the bar goes, then the phases that cannot be known.
fn phases(entry: &Entry, label: &'static str, quantile: Quantile, look: Look, width: usize) -> Line<'static> {
    let times = PHASES.map(|(metric, _)| entry.percentile(metric, quantile));
    let lengths = parts(times.map(|time| time.unwrap_or(0)), PHASE_BAR);
    let glyphs = look.phases();
    let word = |place: usize| {
        let time = times[place].map_or(ABSENT.to_owned(), auto_time);
        format!(" {} {} {time}", glyphs[place], PHASES[place].1)
    };
    let words: String = (0..PHASES.len()).map(word).collect();
    let bare = label.len() + words.chars().count();
    if bare > width {
        let known = (0..PHASES.len()).filter(|&place| times[place].is_some());
        let known: String = known.map(word).collect();
        return Line::from(whole_words(&format!("{label}{known}"), width, look));
    }
    let mut spans = vec![Span::raw(label)];
    if bare + 1 + PHASE_BAR <= width {
        spans.push(Span::raw(" "));
        for (place, (glyph, length)) in glyphs.iter().zip(lengths).enumerate() {
            spans.push(Span::styled(glyph.repeat(length), look.phase(place)));
        }
    }
    spans.push(Span::raw(words));
    Line::from(spans)
}

/// Splits `full` cells in proportion to `times`; all of them are used when a time is not 0.
fn parts(times: [u64; 3], full: usize) -> [usize; 3] {
    let whole: u128 = times.iter().map(|&time| u128::from(time)).sum();
    let mut sum = 0;
    let mut before = 0;
    times.map(|time| {
        sum += u128::from(time);
        let end = usize::try_from((sum * full as u128 * 2 + whole) / (whole * 2).max(1)).unwrap_or(full);
        let part = end.min(full) - before;
        before += part;
        part
    })
}

fn histogram(values: &Histogram, width: usize, room: usize, look: Look) -> Vec<Line<'static>> {
    let rows = fitting(values.log2_rows(UNIT.nanos()), room.saturating_sub(1));
    let Some(most) = rows.iter().map(|row| row.count).max().filter(|_| room > 1) else {
        return Vec::new();
    };
    let digits = |of: fn(&Log2Row) -> u64| {
        rows.iter()
            .map(|row| of(row).to_string().len())
            .max()
            .unwrap_or(0)
    };
    let (edge, count) = (digits(|row| row.high).max(5), digits(|row| row.count).max(5));
    let marks = marks(values, &rows);
    let mark_room = marks.iter().map(String::len).max().unwrap_or(0) + 1;
    let stars = width.saturating_sub(2 * edge + count + 8 + mark_room);
    let mut lines = vec![Line::styled(
        format!("{:>edge$}    {:edge$} : {:>count$}", UNIT.head(), "", "count"),
        look.dim(),
    )];
    lines.extend(rows.iter().zip(marks).map(|(row, mark)| {
        Line::from_iter([
            Span::raw(format!(
                "{:>edge$} -> {:<edge$} : {:>count$} ",
                row.low, row.high, row.count
            )),
            Span::styled(
                look.bar().repeat(bar_length(row.count, most, stars)),
                look.accent(),
            ),
            Span::styled(format!(" {mark}"), look.head()),
        ])
    }));
    lines
}

/// Leaves out empty rows at the start, and joins neighbours where there are too many for `room`: no count gets lost.
fn fitting(mut rows: Vec<Log2Row>, room: usize) -> Vec<Log2Row> {
    let empty = rows.iter().take_while(|row| row.count == 0).count();
    rows.drain(..empty);
    let joined = rows.len().div_ceil(room.max(1)).max(1);
    let join = |rows: &[Log2Row]| {
        Some(Log2Row {
            low: rows.first()?.low,
            high: rows.last()?.high,
            count: rows.iter().map(|row| row.count).sum(),
        })
    };
    rows.chunks(joined).filter_map(join).collect()
}

/// Which percentiles lie in which row.
fn marks(values: &Histogram, rows: &[Log2Row]) -> Vec<String> {
    let marked = [
        ("p50", values.percentile(Quantile::P50)),
        ("p90", values.percentile(Quantile::P90)),
        ("p99", values.percentile(Quantile::P99)),
        ("p99.9", values.percentile(Quantile::P999)),
        ("max", values.max()),
    ];
    rows.iter()
        .map(|row| {
            let within = |nanos: u64| (row.low..=row.high).contains(&(nanos / UNIT.nanos()));
            let names = marked
                .iter()
                .filter(|(_, value)| value.is_some_and(within))
                .map(|&(name, _)| name);
            names.collect::<Vec<_>>().join(" ")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_use_the_whole_bar() {
        assert_eq!(parts([1, 2, 1], 20), [5, 10, 5]);
        assert_eq!(parts([0, 0, 0], 20), [0, 0, 0]);
        assert_eq!(parts([1, 1, 1], 20).iter().sum::<usize>(), 20);
        assert_eq!(parts([0, u64::MAX, u64::MAX], 20), [0, 10, 10]);
    }

    #[test]
    fn joining_keeps_every_count() {
        let row = |from: u32, to: u32, count| Log2Row {
            low: 1 << from,
            high: (2 << to) - 1,
            count,
        };
        let rows = vec![row(1, 1, 0), row(2, 2, 3), row(3, 3, 4), row(4, 4, 5)];
        assert_eq!(fitting(rows.clone(), 2), [row(2, 3, 7), row(4, 4, 5)]);
        assert_eq!(fitting(rows.clone(), 1), [row(2, 4, 12)]);
        assert_eq!(fitting(rows, 10).len(), 3);
        assert_eq!(fitting(Vec::new(), 0), []);
    }
}
