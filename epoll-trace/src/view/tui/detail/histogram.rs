//! The wakeup times as powers of two, with the percentiles beside the rows they lie in.

use ratatui::text::{Line, Span};

use super::{Room, Subject, UNIT};
use crate::model::histogram::{Histogram, Log2Row, Quantile};
use crate::view::text::bar_length;
use crate::view::tui::style::Look;

/// A line for each row from the first that counts, and the head.
pub(super) fn most(subject: &Subject<'_>) -> usize {
    let rows = subject.wakeups().map(|values| values.log2_rows(UNIT.nanos()));
    rows.map_or(0, |rows| fitting(rows, usize::MAX).len() + 1)
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    match subject.wakeups() {
        Some(values) => histogram(values, room.width, room.height, look),
        None => Vec::new(),
    }
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
