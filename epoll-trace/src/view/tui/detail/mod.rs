//! One process or epoll in full: how late it wakes, where the time goes, how its waits end, and how that was in the last minutes.
//!
//! Panels stand in the order of [`PANELS`]; where it is low, those at its end are left out first: the times of each metric, the
//! rates, the heat map, the outcomes of waits, the histogram, the wake path. From [`TWO_COLUMNS_FROM`] cells on how late
//! it wakes stands beside how often and how its waits end. A line is drawn as far as it goes, at any size.

mod heat;
mod histogram;
mod outcomes;
mod path;
mod rates;
mod times;

use std::collections::BTreeMap;

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::Line;
use ratatui::widgets::{Block, Borders, Paragraph};

use super::app::App;
use super::header::whole_words;
use super::style::Look;
use crate::model::entry::Entry;
use crate::model::histogram::Histogram;
use crate::model::history::{History, Slice};
use crate::model::snapshot::{Metric, NOT_MEASURED};
use crate::view::sanitize::sanitize;
use crate::view::text::percentiles;
use crate::view::units::{ABSENT, TimeUnit};

const UNIT: TimeUnit = TimeUnit::Micros;

/// From this width on panels stand beside each other.
const TWO_COLUMNS_FROM: u16 = 100;
/// From this height on a blank line is below what stands above both.
const BLANK_BELOW_FROM: u16 = 24;
/// Between two columns.
const GAP: u16 = 2;
/// A histogram of so many lines is worth more than blank lines between panels.
const ROWS_BEFORE_BLANKS: usize = 8;

/// Whose detail, and what is known of it.
#[derive(Clone, Copy)]
struct Subject<'a> {
    entry: &'a Entry,
    /// Why a counter or metric cannot be known, by name.
    absent: &'a BTreeMap<String, String>,
    history: &'a History,
    /// When the shown numbers are of, ns since the start: a frozen screen stands still.
    until_ns: u64,
    /// How far the heat map and the rates look back, ns.
    window_ns: u64,
}

impl<'a> Subject<'a> {
    /// What `app` has selected.
    fn of(app: &'a App) -> Option<Self> {
        Some(Self {
            entry: app.selected()?,
            absent: &app.sample()?.absent,
            until_ns: app.sample()?.since_ns,
            history: app.history(),
            window_ns: app.span.window_ns(app.history().reach_ns()),
        })
    }

    /// The wakeup times, where there are any.
    fn wakeups(&self) -> Option<&'a Histogram> {
        let values = self.entry.metric(Metric::Wakeup);
        values.filter(|values| values.count() > 0)
    }

    /// The last minutes in `count` parts, see [`History::slices`].
    fn slices(&self, count: usize) -> Vec<Option<Slice>> {
        let (until, window) = (self.until_ns, self.window_ns);
        self.history.slices(&self.entry.key, until, window, count)
    }

    /// Why the counter or metric called `name` is absent.
    fn why(&self, name: &str) -> &'a str {
        self.absent.get(name).map_or(NOT_MEASURED, String::as_str)
    }

    fn title(&self, look: Look) -> String {
        let key = self.entry.key;
        let id = key.epoll_name().unwrap_or_else(|| key.pid.to_string());
        let name = sanitize(&self.entry.name, look.ascii);
        format!(" {id} {name}: wakeup latency, each phase by its own percentiles ")
    }
}

/// Where a panel stands on a wide screen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Above,
    Left,
    Right,
}

/// A part of the detail.
struct Panel {
    side: Side,
    /// Lines below which it is left out.
    least: usize,
    /// Lines it can use; 0 where it has nothing to say.
    most: fn(&Subject<'_>) -> usize,
    /// At most so many lines as the room is high.
    lines: fn(&Subject<'_>, Room, Look) -> Vec<Line<'static>>,
    /// Whether it takes what room is left before blank lines do.
    greedy: bool,
}

/// Cells that a panel may use.
#[derive(Clone, Copy)]
struct Room {
    width: usize,
    height: usize,
}

const fn panel(
    side: Side,
    least: usize,
    most: fn(&Subject<'_>) -> usize,
    lines: fn(&Subject<'_>, Room, Look) -> Vec<Line<'static>>,
) -> Panel {
    Panel {
        side,
        least,
        most,
        lines,
        greedy: false,
    }
}

const fn greedy(panel: Panel) -> Panel {
    Panel {
        greedy: true,
        ..panel
    }
}

/// Every panel, the last to be left out first.
const PANELS: &[Panel] = &[
    panel(Side::Above, 1, |_| 1, summary),
    greedy(panel(Side::Above, 2, path::most, path::lines)),
    greedy(panel(Side::Left, 6, histogram::most, histogram::lines)),
    panel(Side::Right, 1, outcomes::most, outcomes::lines),
    panel(Side::Left, 6, heat::most, heat::lines),
    panel(Side::Right, 3, rates::most, rates::lines),
    panel(Side::Right, 4, times::most, times::lines),
];

/// Draws what is selected; nothing without a choice.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, app: &App, look: Look) {
    if let Some(subject) = Subject::of(app) {
        show(frame, area, &subject, look);
    }
}

fn show(frame: &mut Frame<'_>, area: Rect, subject: &Subject<'_>, look: Look) {
    let block = Block::new()
        .borders(Borders::TOP)
        .border_set(look.border())
        .title(subject.title(look));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if inner.width < TWO_COLUMNS_FROM {
        column(frame, inner, subject, look, |_| true);
        return;
    }
    let above: usize = PANELS
        .iter()
        .filter(|panel| panel.side == Side::Above)
        .map(|panel| (panel.most)(subject))
        .sum();
    let above = u16::try_from(above).unwrap_or(u16::MAX);
    let blank = u16::from(inner.height >= BLANK_BELOW_FROM);
    let rows = [Constraint::Length(above), Constraint::Min(0)];
    let [top, below] = Layout::vertical(rows).spacing(blank).areas(inner);
    let halves = Layout::horizontal([Constraint::Fill(1); 2]).spacing(GAP);
    let [left, right] = halves.areas(below);
    for (area, side) in [(top, Side::Above), (left, Side::Left), (right, Side::Right)] {
        column(frame, area, subject, look, |panel| panel.side == side);
    }
}

/// Draws the panels that are `wanted` below each other.
fn column(
    frame: &mut Frame<'_>,
    area: Rect,
    subject: &Subject<'_>,
    look: Look,
    wanted: impl Fn(&Panel) -> bool,
) {
    let panels = PANELS.iter().filter(|panel| wanted(panel));
    let wishes: Vec<_> = panels
        .map(|panel| (panel, (panel.most)(subject)))
        .filter(|&(_, most)| most > 0)
        .collect();
    let (heights, blanks) = heights(&wishes, usize::from(area.height));
    let mut lines = Vec::new();
    for (place, ((panel, _), height)) in wishes.iter().zip(heights).enumerate() {
        if place > 0 && place <= blanks {
            lines.push(Line::default());
        }
        let room = Room {
            width: usize::from(area.width),
            height,
        };
        let mut own = (panel.lines)(subject, room, look);
        own.truncate(height);
        lines.append(&mut own);
    }
    frame.render_widget(Paragraph::new(lines), area);
}

/// How high each panel is, of those that fit `room`, and how many blank lines stand between them.
fn heights(wishes: &[(&Panel, usize)], room: usize) -> (Vec<usize>, usize) {
    let mut left = room;
    let mut heights = Vec::new();
    for (panel, most) in wishes {
        let least = panel.least.min(*most);
        if least > left {
            break;
        }
        left -= least;
        heights.push(least);
    }
    let grow = |heights: &mut [usize], left: &mut usize, only: fn(&Panel) -> bool, most: usize| {
        for (height, (panel, wish)) in heights.iter_mut().zip(wishes) {
            if only(panel) {
                let more = (*wish).min(most).saturating_sub(*height).min(*left);
                *height += more;
                *left -= more;
            }
        }
    };
    grow(&mut heights, &mut left, |panel| panel.greedy, ROWS_BEFORE_BLANKS);
    let gaps = heights.len().saturating_sub(1);
    let blanks = if left >= gaps { gaps } else { 0 };
    left -= blanks;
    grow(&mut heights, &mut left, |_| true, usize::MAX);
    (heights, blanks)
}

fn summary(subject: &Subject<'_>, room: Room, look: Look) -> Vec<Line<'static>> {
    let text = match subject.wakeups() {
        Some(values) => percentiles(values, UNIT),
        None if subject.entry.metric(Metric::Wakeup).is_some() => "no wakeup yet".to_owned(),
        None => {
            let reason = subject.why(Metric::Wakeup.name());
            sanitize(&format!("wakeup: {ABSENT} ({reason})"), look.ascii)
        }
    };
    vec![Line::from(whole_words(&text, room.width, look))]
}

/// Splits `full` cells in proportion to `parts`; all of them are used when a part is not 0.
fn split<const N: usize>(parts: [u64; N], full: usize) -> [usize; N] {
    let whole: u128 = parts.iter().map(|&part| u128::from(part)).sum();
    let (mut sum, mut before) = (0, 0);
    parts.map(|part| {
        sum += u128::from(part);
        let end = usize::try_from((sum * full as u128 * 2 + whole) / (whole * 2).max(1)).unwrap_or(full);
        let cells = end.min(full) - before;
        before += cells;
        cells
    })
}

#[cfg(test)]
mod tests;
