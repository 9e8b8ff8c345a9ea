//! How the waits of the last interval ended, as parts of all of them.

use ratatui::style::Style;
use ratatui::text::{Line, Span};

use super::{Room, Subject, split};
use crate::fields::Value;
use crate::model::snapshot::Counter;
use crate::view::sanitize::sanitize;
use crate::view::tui::header::whole_words;
use crate::view::tui::style::Look;
use crate::view::units::{ABSENT, short};

/// An outcome: its counter, its word (a delivery is one after a sleep, or one at once), and its glyph, the second for ASCII.
const OUTCOMES: [(Counter, &str, [&str; 2]); 6] = [
    (Counter::DeliveriesSlept, "delivered", ["█", "#"]),
    (Counter::DeliveriesAtOnce, "at once", ["▓", "="]),
    (Counter::Timeouts, "timeout", ["▒", "t"]),
    (Counter::ZeroTimeouts, "zero timeout", ["░", "z"]),
    (Counter::Interrupted, "interrupted", ["i", "i"]),
    (Counter::Errors, "error", ["!", "!"]),
];
const BAR: usize = 20;

/// The bar may need a line of its own.
pub(super) fn most(_: &Subject<'_>) -> usize {
    2
}

pub(super) fn lines(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let entry = subject.entry;
    let Some(waits) = entry.counter(Counter::Waits) else {
        let reason = sanitize(subject.why(Counter::Waits.name()), look.ascii);
        let text = format!("waits: {ABSENT} ({reason})");
        return vec![Line::from(whole_words(&text, room.width, look))];
    };
    if waits == 0 {
        let text = whole_words("no wait ended in the last interval", room.width, look);
        return vec![Line::styled(text, look.dim())];
    }
    let counts = OUTCOMES.map(|(counter, ..)| entry.counter(counter));
    let glyphs = OUTCOMES.map(|(_, _, [glyph, ascii])| if look.ascii { ascii } else { glyph });
    let rate = entry.per_second(Some(waits)).map_or(Value::Absent, Value::Rate);
    let label = format!("waits {}/s", short(&rate));
    let words: Vec<String> = (0..OUTCOMES.len())
        .filter(|&place| counts[place] != Some(0))
        .map(|place| {
            format!(
                "{} {} {}",
                glyphs[place],
                OUTCOMES[place].1,
                share(counts[place], waits)
            )
        })
        .collect();
    let words = words.join("  ");
    let lengths = split(counts.map(Option::unwrap_or_default), BAR);
    let bar = lengths.into_iter().enumerate();
    let bar = bar.map(|(place, cells)| Span::styled(glyphs[place].repeat(cells), style(place, look)));
    let together = label.len() + 1 + BAR + 2 + words.chars().count();
    let mut first = vec![Span::raw(format!("{label} "))];
    if together <= room.width {
        first.extend(bar);
        first.push(Span::raw(format!("  {words}")));
        return vec![Line::from(first)];
    }
    if room.height > 1 && label.len() + 1 + BAR <= room.width {
        first.extend(bar);
        return vec![
            Line::from(first),
            Line::from(whole_words(&words, room.width, look)),
        ];
    }
    vec![Line::from(whole_words(
        &format!("{label}  {words}"),
        room.width,
        look,
    ))]
}

/// A part of all waits; the smallest is no nothing.
fn share(count: Option<u64>, waits: u64) -> String {
    match count {
        None => ABSENT.to_owned(),
        Some(count) if count > 0 && (count as f64) < waits as f64 * 0.005 => "<1%".to_owned(),
        Some(count) => short(&Value::Share(count as f64 / waits as f64)),
    }
}

fn style(place: usize, look: Look) -> Style {
    match OUTCOMES[place].0 {
        Counter::Errors => look.alarm(),
        Counter::DeliveriesSlept | Counter::DeliveriesAtOnce => look.accent(),
        _ => look.dim(),
    }
}
