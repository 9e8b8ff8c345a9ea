//! The screen as a whole: header, table, pane of the selected process, footer, and what lies over them.
//! Reads the state, never changes it; every size down to one cell is drawn as far as it goes.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Table};

use super::actions::BINDINGS;
use super::app::{App, Mode};
use super::detail;
use super::header;
use super::style::Look;
use crate::fields::{Field, columns, columns_within};
use crate::model::entry::Entry;
use crate::view::sanitize::sanitize;
use crate::view::units::short;

const FOOTER: u16 = 1;
/// Below this height the table needs every line.
const PANE_FROM: u16 = 16;
const PANE_MOST: u16 = 20;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, app: &App, look: Look) {
    let area = frame.area();
    let head = header::lines(app, look, area.width, area.height);
    let [top, body, footer] = Layout::vertical([
        Constraint::Length(head.len() as u16),
        Constraint::Min(0),
        Constraint::Length(FOOTER),
    ])
    .areas(area);
    header::draw(frame, top, head);
    if app.mode == Mode::Zoomed {
        detail::draw(frame, body, app, look);
    } else {
        let pane = pane_height(area.height, body.height, app.rows().len());
        let [table, pane] = Layout::vertical([Constraint::Min(0), Constraint::Length(pane)]).areas(body);
        draw_table(frame, table, app, look);
        detail::draw(frame, pane, app, look);
    }
    draw_footer(frame, footer, app, look);
    match app.mode {
        Mode::Help => draw_help(frame, body, look),
        Mode::SortMenu(place) => draw_sort_menu(frame, body, place, look),
        Mode::Table | Mode::Zoomed | Mode::Filter => {}
    }
}

/// Half of the screen, and what a short table leaves.
fn pane_height(screen: u16, body: u16, rows: usize) -> u16 {
    if screen < PANE_FROM {
        return 0;
    }
    let table = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1);
    (screen / 2).max(body.saturating_sub(table)).min(PANE_MOST)
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let Some(sample) = app.sample() else {
        frame.render_widget(Paragraph::new("Waiting for the first look..."), area);
        return;
    };
    if app.rows().len() == 0 {
        let words = if sample.entries.is_empty() {
            "No process has waited on an epoll yet."
        } else {
            "No process matches the filter; Esc clears it."
        };
        frame.render_widget(Paragraph::new(words), area);
        return;
    }
    let fields = columns_within(area.width);
    let height = usize::from(area.height.saturating_sub(1));
    let first = first_row(app.place(), app.rows().len(), height);
    let rows = app
        .rows()
        .enumerate()
        .skip(first)
        .take(height)
        .map(|(place, entry)| {
            let style = if place == app.place() {
                look.cursor()
            } else {
                ratatui::style::Style::new()
            };
            Row::new(fields.iter().map(|field| cell(field, entry, look))).style(style)
        });
    let head = Row::new(fields.iter().map(|field| {
        let style = if field.id == app.sort.id {
            look.sorted()
        } else {
            look.head()
        };
        Cell::new(aligned(field, field.title.to_owned())).style(style)
    }));
    let widths = fields.iter().map(|field| Constraint::Length(field.width));
    frame.render_widget(Table::new(rows, widths).header(head).column_spacing(1), area);
}

/// The first row to show so that row `place` of `rows` is among the `height` shown, in the middle where possible.
fn first_row(place: usize, rows: usize, height: usize) -> usize {
    place.saturating_sub(height / 2).min(rows.saturating_sub(height))
}

fn cell(field: &Field, entry: &Entry, look: Look) -> Cell<'static> {
    Cell::new(aligned(field, sanitize(&short(&field.value(entry)), look.ascii)))
}

fn aligned(field: &Field, text: String) -> Line<'static> {
    let line = Line::from(text);
    if field.is_name() {
        line
    } else {
        line.right_aligned()
    }
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    if app.mode == Mode::Filter {
        let text = format!(
            "filter: {}_   Enter keep, Esc clear",
            sanitize(&app.filter, look.ascii)
        );
        frame.render_widget(Paragraph::new(Span::styled(text, look.accent())), area);
        return;
    }
    let words = BINDINGS
        .iter()
        .filter_map(|binding| Some((binding.shown, binding.footer?)));
    let spans =
        words.flat_map(|(keys, word)| [Span::styled(keys, look.head()), Span::raw(format!(" {word}  "))]);
    frame.render_widget(Paragraph::new(Line::from_iter(spans)), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, look: Look) {
    let lines = BINDINGS.iter().map(|binding| {
        Line::from_iter([
            Span::styled(format!("{:>8}  ", binding.shown), look.head()),
            Span::raw(binding.help),
        ])
    });
    popup(frame, area, look, " keys: any key goes back ", lines.collect(), 0);
}

fn draw_sort_menu(frame: &mut Frame<'_>, area: Rect, place: usize, look: Look) {
    let lines = columns().enumerate().map(|(nth, field)| {
        let style = if nth == place {
            look.cursor()
        } else {
            ratatui::style::Style::new()
        };
        Line::styled(format!("{:<8} {}", field.title, field.help), style)
    });
    popup(frame, area, look, " sort by ", lines.collect(), place);
}

/// A box in the middle with as many of `lines` as fit, line `place` among them.
fn popup(
    frame: &mut Frame<'_>,
    area: Rect,
    look: Look,
    title: &'static str,
    lines: Vec<Line<'static>>,
    place: usize,
) {
    let width = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len());
    let width = u16::try_from(width + 2).unwrap_or(u16::MAX).min(area.width);
    let height = u16::try_from(lines.len() + 2)
        .unwrap_or(u16::MAX)
        .min(area.height);
    let area = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let shown = usize::from(height.saturating_sub(2));
    let first = first_row(place, lines.len(), shown);
    let text: Vec<_> = lines.into_iter().skip(first).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(text).block(Block::bordered().border_set(look.border()).title(title)),
        area,
    );
}
