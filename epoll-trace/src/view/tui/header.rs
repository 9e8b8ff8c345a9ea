//! The lines above the table: the machine, what tracing costs and loses, the screens, and by which probes all is known.

use ratatui::Frame;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::layout::{Layout, tabs};
use super::app::screen::Screen;
use super::app::{App, Sample};
use super::draw::rect;
use super::style::Look;
use crate::model::finding::Severity;
use crate::view::losses_line;
use crate::view::overhead::own_cost;
use crate::view::sanitize::sanitize;
use crate::view::units::auto_time;

/// Draws them.
pub(super) fn draw(frame: &mut Frame<'_>, app: &App, layout: &Layout, look: Look) {
    let width = usize::from(layout.title.width);
    let title = fitted(title(app, look), look.dot(), width);
    frame.render_widget(Paragraph::new(title), rect(layout.title));
    if layout.tabs.height > 0 {
        frame.render_widget(Paragraph::new(screens(app, width, look)), rect(layout.tabs));
    }
    if let Some(sample) = app.sample().filter(|_| layout.plan.height > 0) {
        let plan = whole_words(&sanitize(&sample.plan_line, look.ascii), width, look);
        frame.render_widget(Paragraph::new(Line::styled(plan, look.dim())), rect(layout.plan));
    }
}

/// The parts of the first line, each with how soon it may go: those of the highest number first, 0 never.
fn title(app: &App, look: Look) -> Vec<(u8, Span<'static>)> {
    let mut parts = vec![(7, Span::styled("epoll-trace", look.head()))];
    if let Some(sample) = app.sample() {
        parts.extend(machine(sample, look));
        if let Some(cost) = &sample.cost {
            parts.push((4, Span::raw(own_cost(cost))));
        }
        let lost = sample.losses.values().any(|&count| count > 0);
        let style = if lost { look.alarm() } else { look.dim() };
        parts.push((0, Span::styled(losses_line(&sample.losses), style)));
        parts.extend(worst(sample, look).map(|part| (2, part)));
    }
    parts.push((9, Span::raw(format!("every {:.1}s", app.interval.as_secs_f64()))));
    if let Some(code) = app.command_ended {
        parts.push((1, Span::styled(format!("command ended ({code})"), look.accent())));
    }
    if app.is_attaching() {
        parts.push((1, Span::styled("attaching...", look.accent())));
    }
    if app.frozen {
        parts.push((0, Span::styled("FROZEN", look.alarm())));
    }
    parts
}

/// Host, kernel, how long it is traced, and by which probes.
fn machine(sample: &Sample, look: Look) -> Vec<(u8, Span<'static>)> {
    let mut parts = Vec::new();
    let mut add = |rank: u8, text: String| {
        if !text.is_empty() {
            parts.push((rank, Span::raw(sanitize(&text, look.ascii))));
        }
    };
    add(8, sample.host.name.clone());
    add(6, sample.host.kernel.clone());
    add(3, format!("up {}", auto_time(sample.since_ns)));
    let status = sample.status.as_ref();
    let family = status.and_then(|status| status.family.clone());
    add(5, family.unwrap_or_default());
    parts
}

/// The worst finding.
fn worst(sample: &Sample, look: Look) -> Option<Span<'static>> {
    let finding = sample.findings().first()?;
    let style = match finding.severity {
        Severity::Crit => look.alarm(),
        Severity::Warn => look.warning(),
        Severity::Info => look.note(),
    };
    let text = format!("{} {}", finding.severity.letter(), finding.diagnosis.id);
    Some(Span::styled(text, style))
}

/// The line of screens, and what of this one is shown.
fn screens(app: &App, width: usize, look: Look) -> Line<'static> {
    let mut line = Line::default();
    let words = tabs(app.screen, u16::try_from(width).unwrap_or(u16::MAX));
    for (screen, x, text) in words {
        let gap = usize::from(x).saturating_sub(line.width());
        line.push_span(Span::raw(" ".repeat(gap)));
        let style = if screen == app.screen {
            look.cursor()
        } else {
            look.dim()
        };
        line.push_span(Span::styled(text, style));
    }
    let room = width.saturating_sub(line.width() + 2);
    let shown = fitted(shown(app, look), look.dot(), room);
    if shown.width() <= room && shown.width() > 0 {
        line.push_span(Span::raw("  "));
        line.extend(shown.spans);
    }
    line
}

/// How many rows there are, by what they are filtered and sorted, and over which time they are counted.
fn shown(app: &App, look: Look) -> Vec<(u8, Span<'static>)> {
    let Some(sample) = app.sample() else {
        return Vec::new();
    };
    let list = app.list();
    let [one, many] = app.screen.rows_are();
    let rows = match app.passing() {
        1 => format!("1 {one}"),
        rows => format!("{rows} {many}"),
    };
    let mut parts = vec![(1, Span::raw(rows))];
    if !list.filter().is_empty() {
        let filter = format!("/{}", sanitize(list.filter(), look.ascii));
        parts.push((2, Span::styled(filter, look.accent())));
    }
    if let Some(head) = list.sorted_by().filter(|_| list.inverted()) {
        parts.push((3, Span::raw(format!("{} inverted", head.title))));
    }
    let span = match app.screen {
        Screen::Processes | Screen::Epolls => sample.since_ns,
        Screen::Sources | Screen::Locks => sample.window_ns,
        Screen::Findings => sample.examined_ns,
        Screen::Own => 0,
    };
    if span > 0 {
        parts.push((4, Span::raw(format!("over {}", auto_time(span)))));
    }
    parts
}

/// As many of `parts` as fit `width`, with `dot` between them.
fn fitted(mut parts: Vec<(u8, Span<'static>)>, dot: &'static str, width: usize) -> Line<'static> {
    let dots = dot.chars().count();
    let needed = |parts: &[(u8, Span<'_>)]| {
        let between = parts.len().saturating_sub(1) * dots;
        between + parts.iter().map(|(_, part)| part.width()).sum::<usize>()
    };
    while needed(&parts) > width
        && let Some(least) = parts.iter().map(|&(rank, _)| rank).max().filter(|&rank| rank > 0)
    {
        parts.retain(|&(rank, _)| rank != least);
    }
    let mut spans = Vec::new();
    for (_, part) in parts {
        if !spans.is_empty() {
            spans.push(Span::raw(dot));
        }
        spans.push(part);
    }
    Line::from(spans)
}

/// As many words of `text` as fit `width`, with a mark where some are missing: half a word or number would mislead.
pub(super) fn whole_words(text: &str, width: usize, look: Look) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mark = look.ellipsis();
    let mut kept = String::new();
    for word in text.split(' ') {
        let space = usize::from(!kept.is_empty());
        if kept.chars().count() + space + word.chars().count() + 1 + mark.chars().count() > width {
            break;
        }
        if space > 0 {
            kept.push(' ');
        }
        kept.push_str(word);
    }
    if kept.is_empty() {
        return text.chars().take(width).collect();
    }
    format!("{kept} {mark}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole() {
        let look = |ascii| Look::simple(ascii, false);
        assert_eq!(
            whole_words("p50=4us p99=26us", 16, look(false)),
            "p50=4us p99=26us"
        );
        assert_eq!(whole_words("p50=4us p99=26us", 15, look(false)), "p50=4us …");
        assert_eq!(whole_words("p50=4us p99=26us", 12, look(true)), "p50=4us ...");
        assert_eq!(whole_words("p50=4us", 3, look(false)), "p50");
        assert_eq!(whole_words("", 0, look(false)), "");
    }
}
