//! What keys do on the screens themselves: from one to another, through their rows, and into them.

use super::layout::{Hit, Layout, tabs};
use super::screen::{Screen, place_of};
use super::{App, Effect, Mode};
use crate::model::measures::{Measure, Measures};
use crate::view::sanitize::sanitize;
use crate::view::tui::actions::Action;
use crate::view::units::short;

/// Rows that a turn of the wheel moves by.
const WHEEL: isize = 3;

impl App {
    pub(super) fn expand(&mut self) {
        if self.screen == Screen::Processes {
            self.with_threads = !self.with_threads;
            if self.with_threads && self.unmeasured().has(Measure::Threads) {
                let key = self.bindings.shown(Action::Measure);
                self.told(Ok(format!(
                    "threads are not measured: {key} measures them, from then on"
                )));
            }
            self.arrange();
        }
    }

    /// Measures what this screen needs besides what is measured.
    pub(super) fn measure_more(&mut self) -> Option<Effect> {
        let missing = self.unmeasured();
        let measured = self.sample()?.measures;
        if missing.is_empty() {
            self.told(Ok("all that this screen shows is measured".to_owned()));
            return None;
        }
        self.measure(measured.with(missing))
    }

    /// Measures what was measured at the start, and no more.
    pub(super) fn measure_less(&mut self) -> Option<Effect> {
        let measured = self.sample()?.measures;
        let first = self.first_measures?;
        if measured == first {
            self.told(Ok("nothing is measured that was not at the start".to_owned()));
            return None;
        }
        self.measure(first)
    }

    fn measure(&mut self, measures: Measures) -> Option<Effect> {
        if self.attaching.is_some() {
            return None;
        }
        self.attaching = Some(measures);
        self.freeze(false);
        Some(Effect::Measure(measures))
    }

    /// The selected row as text: each column's name and value.
    pub(super) fn copy(&mut self) -> Option<Effect> {
        let (rows, place) = (self.rows()?, self.selected_row()?);
        let heads = self.screen.heads();
        let words = self.list().shown().map(|column| {
            let value = short(&rows.value(place, column));
            format!("{}={}", heads[column].id, sanitize(&value, false))
        });
        Some(Effect::Copy(words.collect::<Vec<_>>().join("\t")))
    }

    pub(super) fn step_screen(&mut self, step: usize) -> Option<Effect> {
        let next = (self.screen as usize + step) % Screen::ALL.len();
        self.show(Screen::ALL[next])
    }

    pub(super) fn show(&mut self, screen: Screen) -> Option<Effect> {
        self.screen = screen;
        self.mode = Mode::Table;
        self.scrolled = 0;
        self.arrange();
        Some(Effect::Show(screen))
    }

    /// From a process to its epolls.
    pub(super) fn show_epolls(&mut self) -> Option<Effect> {
        let pid = self
            .selected()
            .filter(|_| self.screen == Screen::Processes)?
            .key
            .pid;
        self.list_of(Screen::Epolls).clear();
        self.list_of(Screen::Epolls).set_filter(format!("pid:{pid}"));
        self.show(Screen::Epolls)
    }

    /// From a finding to the row that shows it.
    pub(super) fn jump(&mut self) -> Option<Effect> {
        let subject = &self.finding()?.subject;
        let Some((screen, row)) = place_of(subject, self.sample()?) else {
            self.told(Err(
                "what it is about is not among the sources any more".to_owned()
            ));
            return None;
        };
        self.list_of(screen).go_to(row);
        self.show(screen)
    }

    /// The selected row alone; again, of a process its epolls and of a finding whom it is about.
    pub(super) fn open(&mut self) -> Option<Effect> {
        if self.mode == Mode::Zoomed {
            return match self.screen {
                Screen::Processes => self.show_epolls(),
                Screen::Findings => self.jump(),
                _ => None,
            };
        }
        if self.selected_row().is_some() {
            self.scrolled = 0;
            self.mode = Mode::Zoomed;
        }
        None
    }

    /// Rows of a page.
    pub(super) fn page(&self) -> isize {
        let layout = Layout::of(self, self.size.0, self.size.1);
        let lines = match self.mode {
            Mode::Zoomed => layout.pane.height,
            _ => layout.rows.height,
        };
        isize::try_from(lines).unwrap_or(1).max(1)
    }

    /// Moves through the table; a row alone is scrolled.
    pub(super) fn move_by(&mut self, rows: isize) {
        if self.mode == Mode::Zoomed && !matches!(self.screen, Screen::Processes | Screen::Epolls) {
            self.scrolled = self.scrolled.saturating_add_signed(rows);
            return;
        }
        self.with_rows(|list, all| list.move_by(rows, all));
    }

    pub(super) fn turn(&mut self, mode: Mode, turns: i8) -> Option<Effect> {
        let rows = isize::from(turns) * WHEEL;
        match mode {
            Mode::Table | Mode::Zoomed => self.move_by(rows),
            Mode::Help => self.scrolled = self.scrolled.saturating_add_signed(rows),
            Mode::Filter | Mode::SortMenu(_) | Mode::Columns(_) => {}
        }
        None
    }

    /// A click on a row selects it, on a title sorts by it, or inverts that order; on a screen's name shows it. It closes a menu.
    pub(super) fn click(&mut self, col: u16, row: u16) -> Option<Effect> {
        if !matches!(self.mode, Mode::Table | Mode::Zoomed) {
            self.mode = Mode::Table;
            return None;
        }
        match Layout::of(self, self.size.0, self.size.1).hit(col, row) {
            Hit::Row(number) => self.with_rows(|list, all| list.select(number, all)),
            Hit::Head(column) if self.list().sort == Some(column) => self.invert(),
            Hit::Head(column) => self.sort_by(column),
            Hit::Tabs(col) => {
                let words = tabs(self.screen, self.size.0);
                let (screen, ..) = words.iter().rfind(|(_, x, _)| *x <= col)?;
                return self.show(*screen);
            }
            Hit::Nothing => {}
        }
        None
    }
}
