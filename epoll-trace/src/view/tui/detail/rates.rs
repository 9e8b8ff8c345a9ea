//! How often things happened in the last minutes: a line of small bars for each, with the number of the last interval.

use ratatui::text::{Line, Span};

use super::{Room, Subject};
use crate::fields::Value;
use crate::model::entry::Entry;
use crate::model::history::{Rate, Slice};
use crate::model::snapshot::Counter;
use crate::view::sanitize::sanitize;
use crate::view::tui::header::whole_words;
use crate::view::tui::style::Look;
use crate::view::units::{ABSENT, short};

/// One line of bars.
struct Row {
    label: &'static str,
    /// Of the last interval.
    now: fn(&Entry) -> Option<f64>,
    /// Of a part of the time.
    then: fn(&Slice) -> Option<f64>,
    value: fn(f64) -> Value,
    /// A counter it rests on.
    needs: Counter,
}

const ROWS: [Row; 4] = [
    Row {
        label: "wakeups/s",
        now: |entry| Rate::Wakeups.of(entry),
        then: |slice| slice.rates[Rate::Wakeups as usize],
        value: Value::Rate,
        needs: Counter::WakeupsUnclassified,
    },
    Row {
        label: "events/s",
        now: |entry| Rate::Events.of(entry),
        then: |slice| slice.rates[Rate::Events as usize],
        value: Value::Rate,
        needs: Counter::Events,
    },
    Row {
        label: "ev/wait",
        now: Entry::events_per_wait,
        then: |slice| {
            let rate = |rate| slice.rates[rate as usize];
            let (events, waits) = rate(Rate::Events).zip(rate(Rate::Waits))?;
            (waits > 0.0).then(|| events / waits)
        },
        value: Value::Ratio,
        needs: Counter::Events,
    },
    Row {
        label: "waits/s",
        now: |entry| Rate::Waits.of(entry),
        then: |slice| slice.rates[Rate::Waits as usize],
        value: Value::Rate,
        needs: Counter::Waits,
    },
];

const LABEL: usize = 10;
const VALUE: usize = 7;
/// ` max 1.23M`.
const MOST: usize = 11;
/// Below so many cells there are numbers alone.
const LEAST_BARS: usize = 8;
/// More tells no more.
const TALLEST: usize = 3;

/// One line for each, of which the last may be cut off; higher bars where there is room.
pub(super) fn most(_: &Subject<'_>) -> usize {
    ROWS.len() * TALLEST
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let tall = (room.height / ROWS.len()).clamp(1, TALLEST);
    let beside = LABEL + VALUE + 1;
    let bars = room.width.saturating_sub(beside + MOST);
    let bars = if bars < LEAST_BARS { 0 } else { bars };
    let slices = subject.slices(bars);
    let rows = ROWS.iter();
    rows.flat_map(|row| row.lines(subject, &slices, tall, room.width, look))
        .collect()
}

impl Row {
    fn lines(
        &self,
        subject: &Subject<'_>,
        slices: &[Option<Slice>],
        tall: usize,
        width: usize,
        look: Look,
    ) -> Vec<Line<'static>> {
        let label = self.label;
        let Some(now) = (self.now)(subject.entry) else {
            let text = match subject.absent.get(self.needs.name()) {
                Some(reason) => format!(
                    "{label:<LABEL$}{ABSENT:>VALUE$} ({})",
                    sanitize(reason, look.ascii)
                ),
                None => format!("{label:<LABEL$}{ABSENT:>VALUE$}"),
            };
            return vec![Line::from(whole_words(&text, width, look))];
        };
        let values: Vec<_> = slices
            .iter()
            .map(|slice| slice.as_ref().and_then(self.then))
            .collect();
        let most = values.iter().flatten().copied().fold(0.0, f64::max);
        let mut lines: Vec<_> = (0..tall)
            .map(|line| {
                let bars = values
                    .iter()
                    .map(|&value| glyph(value, most, tall - 1 - line, tall, look));
                Line::from(vec![
                    Span::raw(" ".repeat(LABEL + VALUE + 1)),
                    Span::styled(bars.collect::<String>(), look.accent()),
                ])
            })
            .collect();
        let text = format!("{label:<LABEL$}{:>VALUE$} ", short(&(self.value)(now)));
        if let Some(last) = lines.last_mut() {
            last.spans[0] = Span::raw(whole_words(&text, width, look));
            if !values.is_empty() && most > 0.0 {
                let most = format!(" max {}", short(&(self.value)(most)));
                last.spans.push(Span::styled(most, look.dim()));
            }
        }
        lines
    }
}

/// What a bar shows in line `line` from below, of `tall`. What was not seen is blank, nothing is a line at the bottom.
fn glyph(value: Option<f64>, most: f64, line: usize, tall: usize, look: Look) -> &'static str {
    let Some(value) = value else { return " " };
    if value <= 0.0 {
        return if line == 0 { "_" } else { " " };
    }
    look.height((value / most * tall as f64 - line as f64).min(1.0))
}
