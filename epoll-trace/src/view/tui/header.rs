//! The lines above the table: what is shown, what was lost, and by which probes it is known.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::app::App;
use super::style::Look;
use crate::view::losses_line;
use crate::view::overhead::own_cost;
use crate::view::sanitize::sanitize;
use crate::view::units::auto_time;

/// From this height on the plan may have a line of its own.
const THREE_LINES_FROM: u16 = 20;

/// The lines of the header on a screen of `width` × `height`.
pub(super) fn lines(app: &App, look: Look, width: u16, height: u16) -> Vec<Line<'static>> {
    let width = usize::from(width);
    let mut lines = vec![fitted(title(app, look), look.dot(), width)];
    let Some(sample) = app.sample() else {
        lines.push(Line::default());
        return lines;
    };
    let lost = sample.losses.values().any(|&count| count > 0);
    let losses = Span::styled(
        losses_line(&sample.losses),
        if lost { look.alarm() } else { look.dim() },
    );
    let plan = sanitize(&sample.plan_line, look.ascii);
    let together = losses.width() + look.dot().chars().count() + plan.chars().count();
    if together > width && height >= THREE_LINES_FROM {
        lines.push(Line::from(losses));
        lines.push(Line::styled(whole_words(&plan, width, look), look.dim()));
    } else {
        // Losses stand first: a narrow screen cuts the end.
        let room = width.saturating_sub(losses.width() + look.dot().chars().count());
        let plan = Span::styled(whole_words(&plan, room, look), look.dim());
        lines.push(Line::from(vec![losses, Span::raw(look.dot()), plan]));
    }
    lines
}

/// Draws them.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, lines: Vec<Line<'static>>) {
    frame.render_widget(Paragraph::new(lines), area);
}

/// The parts of the first line, each with how soon it may go: those of the highest number first.
fn title(app: &App, look: Look) -> Vec<(u8, Span<'static>)> {
    let mut parts = vec![
        (0, Span::styled("epoll-trace top", look.head())),
        (5, Span::raw(format!("every {:.1}s", app.interval.as_secs_f64()))),
    ];
    if let Some(sample) = app.sample() {
        let processes = match app.rows().len() {
            1 => "1 process".to_owned(),
            many => format!("{many} processes"),
        };
        parts.push((4, Span::raw(format!("times over {}", auto_time(sample.since_ns)))));
        parts.push((3, Span::raw(processes)));
    }
    if let Some(cost) = app.sample().and_then(|sample| sample.cost.as_ref()) {
        parts.push((2, Span::raw(own_cost(cost))));
    }
    if app.inverted {
        parts.push((2, Span::raw(format!("{} inverted", app.sort.title))));
    }
    if !app.filter.is_empty() {
        let filter = format!("/{}", sanitize(&app.filter, look.ascii));
        parts.push((1, Span::styled(filter, look.accent())));
    }
    if let Some(code) = app.command_ended {
        parts.push((1, Span::styled(format!("command ended ({code})"), look.accent())));
    }
    if app.frozen {
        parts.push((0, Span::styled("FROZEN", look.alarm())));
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
