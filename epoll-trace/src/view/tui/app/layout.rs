//! Where things are on the screen: one function for who draws it and for who is clicked on. Sizes are in cells.

use super::list::first_row;
use super::screen::Screen;
use super::{App, Mode};
use crate::fields::{Head, fitting};

/// From this height on the plan of probes has a line.
const PLAN_FROM: u16 = 20;
/// From this height on there is a line of screens.
const TABS_FROM: u16 = 4;
/// Below this height the table needs every line.
const PANE_FROM: u16 = 16;
/// Beside a long table.
const PANE_MOST: u16 = 20;
/// From this height on what is not measured has a line.
const NOTE_FROM: u16 = 20;

/// A part of the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Area {
    /// Its left column.
    pub x: u16,
    /// Its upper line.
    pub y: u16,
    /// Columns.
    pub width: u16,
    /// Lines.
    pub height: u16,
}

impl Area {
    /// Cuts `height` lines off its top.
    fn take(&mut self, height: u16) -> Self {
        let taken = Self {
            height: height.min(self.height),
            ..*self
        };
        self.y += taken.height;
        self.height -= taken.height;
        taken
    }

    fn holds(self, col: u16, row: u16) -> bool {
        let across = (self.x..self.x.saturating_add(self.width)).contains(&col);
        across && (self.y..self.y.saturating_add(self.height)).contains(&row)
    }
}

/// A column of the table on the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    /// Which.
    pub column: usize,
    /// Its left cell.
    pub x: u16,
    /// Its cells.
    pub width: u16,
}

/// Where everything is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The first line.
    pub title: Area,
    /// The screens.
    pub tabs: Area,
    /// The plan of probes.
    pub plan: Area,
    /// All below these, but for the footer.
    pub body: Area,
    /// Titles of the columns.
    pub head: Area,
    /// Rows of the table.
    pub rows: Area,
    /// What the selected row is made of.
    pub pane: Area,
    /// What is not measured.
    pub note: Area,
    /// Keys.
    pub footer: Area,
    /// The columns that there is room for.
    pub columns: Vec<Placed>,
    /// Number of the row at the top.
    pub first: usize,
}

/// What is under a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hit {
    /// The title of a column.
    Head(usize),
    /// A row, by its number.
    Row(usize),
    /// The line of screens, so many cells from its left.
    Tabs(u16),
    /// Nothing to click on.
    Nothing,
}

impl Layout {
    /// That of `app` on a screen of `width` × `height`.
    pub fn of(app: &App, width: u16, height: u16) -> Self {
        let mut rest = Area {
            x: 0,
            y: 0,
            width,
            height,
        };
        let mut layout = Self {
            title: rest.take(1),
            tabs: rest.take(u16::from(height >= TABS_FROM)),
            plan: rest.take(u16::from(height >= PLAN_FROM)),
            ..Self::default()
        };
        layout.footer = Area {
            y: (rest.y + rest.height).saturating_sub(1),
            height: rest.height.min(1),
            ..rest
        };
        rest.height = rest.height.saturating_sub(1);
        layout.body = rest;
        if app.mode == Mode::Zoomed {
            layout.pane = rest;
            return layout;
        }
        let rows = app.list().order().len();
        let note = u16::from(height >= NOTE_FROM && !app.unmeasured().is_empty() && rows > 0);
        let pane = match rows {
            0 => 0,
            rows => pane_height(height, rest.height - note.min(rest.height), rows),
        };
        let table = rest.height.saturating_sub(pane + note);
        let mut table = rest.take(table);
        layout.head = table.take(1);
        layout.rows = table;
        layout.pane = rest.take(pane);
        layout.note = rest;
        layout.columns = placed(app, width);
        let shown = usize::from(layout.rows.height);
        layout.first = first_row(app.list().top(), app.list().place(), rows, shown);
        layout
    }

    /// What is at a cell of the screen.
    pub fn hit(&self, col: u16, row: u16) -> Hit {
        if self.tabs.holds(col, row) {
            return Hit::Tabs(col);
        }
        if self.head.holds(col, row) {
            let mut columns = self.columns.iter();
            let under = columns.find(|placed| col < placed.x.saturating_add(placed.width).saturating_add(1));
            return under.map_or(Hit::Nothing, |placed| Hit::Head(placed.column));
        }
        if self.rows.holds(col, row) {
            return Hit::Row(self.first + usize::from(row - self.rows.y));
        }
        Hit::Nothing
    }
}

/// Half of the screen up to a bound, and all that a short table leaves.
fn pane_height(screen: u16, body: u16, rows: usize) -> u16 {
    if screen < PANE_FROM {
        return 0;
    }
    let table = u16::try_from(rows).unwrap_or(u16::MAX).saturating_add(1);
    (screen / 2)
        .min(PANE_MOST)
        .max(body.saturating_sub(table))
        .min(body.saturating_sub(2))
}

/// The columns that fit; those that nothing measures go first.
fn placed(app: &App, width: u16) -> Vec<Placed> {
    let heads = app.screen.heads();
    let chosen: Vec<usize> = app.list().shown().collect();
    let titles: Vec<Head> = chosen.iter().map(|&column| heads[column]).collect();
    let fit = fitting(&titles, width, |head| app.is_known(head));
    let used: u16 = fit.iter().map(|&nth| titles[nth].width + 1).sum();
    let mut spare = width.saturating_add(1).saturating_sub(used);
    let mut x = 0_u16;
    let place = |nth: usize| {
        let mut placed = Placed {
            column: chosen[nth],
            x,
            width: titles[nth].width,
        };
        if titles[nth].grows {
            placed.width += std::mem::take(&mut spare);
        }
        x = x.saturating_add(placed.width).saturating_add(1);
        placed
    };
    fit.into_iter().map(place).collect()
}

/// The words of the line of screens, each with its left cell; where it is narrow only the current one has its title.
pub fn tabs(current: Screen, width: u16) -> Vec<(Screen, u16, String)> {
    let place = |titled: fn(Screen, Screen) -> bool| {
        let mut x = 0;
        let word = |(nth, screen): (usize, Screen)| {
            let text = match titled(screen, current) {
                true => format!("{} {}", nth + 1, screen.title()),
                false => (nth + 1).to_string(),
            };
            let left = x;
            x += text.len() as u16 + 2;
            (screen, left, text)
        };
        let words: Vec<_> = Screen::ALL.into_iter().enumerate().map(word).collect();
        (words, x)
    };
    let (words, end) = place(|_, _| true);
    if end <= width.saturating_add(2) {
        return words;
    }
    place(|screen, current| screen == current).0
}
