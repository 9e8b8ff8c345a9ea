//! The table of a screen: only the rows that are seen are worked out. Without a row, why there is none.

use ratatui::Frame;
use ratatui::style::Style;
use ratatui::text::Span;

use super::app::layout::{Layout, Placed};
use super::app::screen::{Rows, Screen};
use super::app::{App, Sample};
use super::draw::{offer, rect, sentences};
use super::style::Look;
use crate::fields::{Head, Value};
use crate::model::finding::Severity;
use crate::view::sanitize::sanitize;
use crate::view::units::short;

/// Draws it.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, layout: &Layout, look: Look) {
    if layout.head.height == 0 {
        return;
    }
    let Some((sample, rows)) = app.sample().zip(app.rows()) else {
        return sentences(
            frame,
            rect(layout.body),
            "Waiting for the first look...".to_owned(),
        );
    };
    if app.list().order().is_empty() {
        return sentences(frame, rect(layout.body), why_empty(app, sample, &rows));
    }
    let heads = app.screen.heads();
    for placed in &layout.columns {
        let head = &heads[placed.column];
        let sorted = app.list().sorted_by().is_some_and(|by| by.id == head.id);
        let style = if sorted { look.sorted() } else { look.head() };
        cell(frame, layout.head.y, *placed, head, head.title, style);
    }
    let shown = app.list().order().iter().enumerate().skip(layout.first);
    for (line, (number, &row)) in shown.take(usize::from(layout.rows.height)).enumerate() {
        let y = layout.rows.y + line as u16;
        let style = match (number == app.list().place(), rows.is_gone(row)) {
            (true, _) => look.cursor(),
            (false, true) => look.dim(),
            (false, false) => Style::new(),
        };
        let area = rect(layout.rows);
        frame
            .buffer_mut()
            .set_style(ratatui::layout::Rect { y, height: 1, ..area }, style);
        for placed in &layout.columns {
            let value = rows.value(row, placed.column);
            let head = &heads[placed.column];
            let text = sanitize(&short(&value), look.ascii);
            let style = style.patch(severity(head, &value, look));
            cell(frame, y, *placed, head, &text, style);
        }
    }
}

/// Names stand at the left and lose their end, numbers at the right.
fn cell(frame: &mut Frame<'_>, y: u16, placed: Placed, head: &Head, text: &str, style: Style) {
    let width = Span::raw(text).width();
    let room = usize::from(placed.width);
    let indent = if head.is_name {
        0
    } else {
        room.saturating_sub(width)
    };
    let x = placed.x.saturating_add(indent as u16);
    let area = frame.area();
    if y < area.bottom() && x < area.right() {
        frame.buffer_mut().set_stringn(x, y, text, room, style);
    }
}

/// A severity has a color besides its letter.
fn severity(head: &Head, value: &Value, look: Look) -> Style {
    let Value::Ranked(rank, _) = value else {
        return Style::new();
    };
    let rank = match head.id {
        "severity" => *rank,
        "finding" => rank.wrapping_sub(1),
        _ => return Style::new(),
    };
    match rank {
        rank if rank == Severity::Crit as u8 => look.alarm(),
        rank if rank == Severity::Warn as u8 => look.warning(),
        rank if rank == Severity::Info as u8 => look.note(),
        _ => Style::new(),
    }
}

fn why_empty(app: &App, sample: &Sample, rows: &Rows<'_>) -> String {
    if !rows.is_empty() {
        return format!(
            "No {} matches the filter; Esc clears it.",
            app.screen.rows_are()[0]
        );
    }
    let missing = app.unmeasured();
    if app.is_attaching() {
        return "Attaching what this screen needs; that takes a second or more.".to_owned();
    }
    if app.screen.is_empty_without() && !missing.is_empty() {
        return format!("Not measured. {}", offer(app, missing));
    }
    if app.screen == Screen::Epolls && sample.epolls.is_none() {
        return "Waiting for the next look...".to_owned();
    }
    let mut words = app.screen.nothing().to_owned();
    if app.screen == Screen::Findings {
        words = super::texts::conclusion(sample);
        if !missing.is_empty() {
            words = format!("{words} {}", offer(app, missing));
        }
    }
    words
}
