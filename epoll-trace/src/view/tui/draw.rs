//! The screen as a whole: header, table, what the selected row is made of, footer, and what lies over them.
//! Reads the state, never changes it; every size down to one cell is drawn as far as it goes. Where things are is `app::layout`'s to say.

use ratatui::Frame;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Paragraph, Wrap};

use super::actions::Action;
use super::app::layout::{Area, Layout};
use super::app::screen::Screen;
use super::app::{App, Mode};
use super::style::Look;
use super::{detail, header, table, texts};
use crate::model::measures::Measures;
use crate::view::sanitize::sanitize;

/// Draws everything.
pub fn draw(frame: &mut Frame<'_>, app: &App, look: Look) {
    let area = frame.area();
    let layout = Layout::of(app, area.width, area.height);
    header::draw(frame, app, &layout, look);
    table::draw(frame, app, &layout, look);
    draw_pane(frame, rect(layout.pane), app, look);
    draw_note(frame, rect(layout.note), app, look);
    draw_footer(frame, rect(layout.footer), app, look);
    let body = rect(layout.body);
    match app.mode {
        Mode::Help => draw_help(frame, body, app, look),
        Mode::SortMenu(line) => draw_sort_menu(frame, body, app, line, look),
        Mode::Columns(line) => draw_columns(frame, body, app, line, look),
        Mode::Table | Mode::Zoomed | Mode::Filter => {}
    }
}

/// What a terminal of `width` × `height` shows, as text without colors.
///
/// # Errors
/// In words, when it cannot be drawn.
pub fn as_text(app: &App, look: Look, width: u16, height: u16) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("cannot draw: {error}");
    let mut terminal = Terminal::new(TestBackend::new(width, height)).map_err(|error| failed(&error))?;
    terminal
        .draw(|frame| draw(frame, app, look))
        .map_err(|error| failed(&error))?;
    let buffer = terminal.backend().buffer();
    let line = |cells: &[ratatui::buffer::Cell]| {
        let text: String = cells.iter().map(|cell| cell.symbol()).collect();
        format!("{}\n", text.trim_end())
    };
    Ok(buffer
        .content()
        .chunks(usize::from(width.max(1)))
        .map(line)
        .collect())
}

pub(super) fn rect(area: Area) -> Rect {
    Rect {
        x: area.x,
        y: area.y,
        width: area.width,
        height: area.height,
    }
}

fn draw_pane(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    match app.screen {
        Screen::Processes | Screen::Epolls => detail::draw(frame, area, app, look),
        Screen::Sources | Screen::Locks | Screen::Findings | Screen::Own => {
            texts::draw(frame, area, app, look);
        }
    }
}

/// What would be measured on a key, and its price, in a sentence.
pub(super) fn offer(app: &App, missing: Measures) -> String {
    let names: Vec<&str> = missing.rows().map(|row| row.what).collect();
    let prices: Vec<&str> = missing.rows().map(|row| row.price).collect();
    let key = app.bindings.shown(Action::Measure);
    format!(
        "{key} measures {} from then on. Price: {}.",
        names.join("; "),
        prices.join("; ")
    )
}

fn draw_note(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let missing = app.unmeasured();
    if area.height == 0 || missing.is_empty() {
        return;
    }
    let names: Vec<&str> = missing.rows().map(|row| row.name).collect();
    let key = app.bindings.shown(Action::Measure);
    let text = format!(
        "Not measured: {}. {key} measures it: {}.",
        names.join(", "),
        missing.rows().map(|row| row.price).collect::<Vec<_>>().join("; ")
    );
    let text = header::whole_words(&text, usize::from(area.width), look);
    frame.render_widget(Paragraph::new(Line::styled(text, look.dim())), area);
}

fn draw_footer(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let width = usize::from(area.width);
    if app.mode == Mode::Filter {
        let typed = format!("filter: {}_  ", sanitize(app.list().filter(), look.ascii));
        let words = match app.list().mistake() {
            Some(mistake) => Span::styled(sanitize(&mistake.to_string(), look.ascii), look.alarm()),
            None => Span::raw(" Enter keep, Esc clear"),
        };
        let line = Line::from_iter([Span::styled(typed, look.accent()), words]);
        return frame.render_widget(Paragraph::new(line), area);
    }
    if let Some(notice) = &app.notice {
        let style = if notice.failed {
            look.alarm()
        } else {
            look.accent()
        };
        let text = header::whole_words(&sanitize(&notice.text, look.ascii), width, look);
        frame.render_widget(Paragraph::new(Span::styled(text, style)), area);
        return;
    }
    let mut spans = Vec::new();
    let mut used = 0;
    for (binding, _) in app
        .bindings
        .rows()
        .filter(|(binding, _)| binding.works_on(app.screen))
    {
        let Some(word) = binding.footer else { continue };
        let key = app.bindings.shown(binding.action);
        used += key.chars().count() + word.chars().count() + 1;
        if used > width || key.is_empty() {
            break;
        }
        used += 2;
        spans.extend([Span::styled(key, look.head()), Span::raw(format!(" {word}  "))]);
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

fn draw_help(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    let rows: Vec<_> = app
        .bindings
        .rows()
        .filter(|(binding, _)| binding.works_on(app.screen))
        .collect();
    let width = rows
        .iter()
        .map(|(_, keys)| keys.chars().count())
        .max()
        .unwrap_or(0);
    let lines: Vec<Line<'static>> = rows
        .into_iter()
        .map(|(binding, keys)| {
            let help = match binding.action {
                Action::Show(screen) => screen.title(),
                _ => binding.help,
            };
            Line::from_iter([
                Span::styled(format!("{keys:>width$}  "), look.head()),
                Span::raw(help),
            ])
        })
        .collect();
    let most = lines
        .len()
        .saturating_sub(usize::from(area.height.saturating_sub(2)));
    let first = app.scrolled.min(most);
    popup(
        frame,
        area,
        look,
        " keys: j and k scroll, any other key goes back ",
        lines,
        first,
    );
}

fn draw_sort_menu(frame: &mut Frame<'_>, area: Rect, app: &App, line: usize, look: Look) {
    let lines = app.screen.heads().iter().enumerate();
    let lines = lines.map(|(nth, head)| {
        let text = format!("{:<13} {}", head.title, head.help);
        Line::styled(text, cursor(nth == line, look))
    });
    menu(frame, area, look, " sort by ", lines.collect(), line);
}

fn draw_columns(frame: &mut Frame<'_>, area: Rect, app: &App, line: usize, look: Look) {
    let lines = app.columns().enumerate();
    let lines = lines.map(|(nth, (head, shown))| {
        let mark = if shown { 'x' } else { ' ' };
        let text = format!("[{mark}] {:<13} {}", head.title, head.help);
        Line::styled(text, cursor(nth == line, look))
    });
    let title = " columns: Space shows or hides, J and K move, Enter keeps ";
    menu(frame, area, look, title, lines.collect(), line);
}

fn cursor(here: bool, look: Look) -> Style {
    if here { look.cursor() } else { Style::new() }
}

/// A box with as many of `lines` as fit, line `place` among them.
fn menu(
    frame: &mut Frame<'_>,
    area: Rect,
    look: Look,
    title: &'static str,
    lines: Vec<Line<'static>>,
    place: usize,
) {
    let height = usize::from(area.height.saturating_sub(2));
    let first = place
        .saturating_sub(height / 2)
        .min(lines.len().saturating_sub(height));
    popup(frame, area, look, title, lines, first);
}

/// A box in the middle with as many of `lines` as fit, from the one numbered `first` on.
fn popup(
    frame: &mut Frame<'_>,
    area: Rect,
    look: Look,
    title: &'static str,
    lines: Vec<Line<'static>>,
    first: usize,
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
    let text: Vec<_> = lines.into_iter().skip(first).collect();
    frame.render_widget(Clear, area);
    frame.render_widget(
        Paragraph::new(text).block(Block::bordered().border_set(look.border()).title(title)),
        area,
    );
}

/// Sentences that may need several lines.
pub(super) fn sentences(frame: &mut Frame<'_>, area: Rect, text: String) {
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: true }), area);
}
