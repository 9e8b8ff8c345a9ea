//! What keys do in the filter line, in menus and in the help.

use super::super::actions::{Action, Key};
use super::{App, Effect, Mode};

const LONGEST_FILTER: usize = 64;

impl App {
    pub(super) fn type_filter(&mut self, key: Key) -> Option<Effect> {
        let list = &mut self.lists[self.screen as usize];
        let mut filter = list.filter().to_owned();
        match key {
            Key::Char(c) if filter.chars().count() < LONGEST_FILTER => filter.push(c),
            Key::Backspace => _ = filter.pop(),
            // What is not understood cannot be kept.
            Key::Enter if list.mistake().is_some() => return None,
            Key::Enter => self.mode = Mode::Table,
            Key::Esc => {
                filter.clear();
                self.mode = Mode::Table;
            }
            _ => {}
        }
        list.set_filter(filter);
        self.arrange();
        None
    }

    /// Where a key moves the cursor of a menu of `lines`.
    fn menu_line(action: Option<Action>, line: usize, lines: usize) -> Option<usize> {
        let last = lines.saturating_sub(1);
        Some(match action? {
            Action::Down => (line + 1).min(last),
            Action::Up => line.saturating_sub(1),
            Action::First => 0,
            Action::Last => last,
            _ => return None,
        })
    }

    pub(super) fn choose_sort(&mut self, line: usize, key: Key) -> Option<Effect> {
        let action = self.bindings.action(key);
        if let Some(line) = Self::menu_line(action, line, self.screen.heads().len()) {
            self.mode = Mode::SortMenu(line);
            return None;
        }
        match action {
            Some(Action::Open) => {
                self.mode = Mode::Table;
                self.sort_by(line);
            }
            Some(Action::Back | Action::SortMenu | Action::Quit) => self.mode = Mode::Table,
            _ => {}
        }
        None
    }

    /// Space shows or hides a column, J and K move it; Enter keeps what was chosen.
    pub(super) fn choose_column(&mut self, line: usize, key: Key) -> Option<Effect> {
        let action = self.bindings.action(key);
        let lines = self.list().columns.len();
        if let Some(line) = Self::menu_line(action, line, lines) {
            self.mode = Mode::Columns(line);
            return None;
        }
        let list = &mut self.lists[self.screen as usize];
        match (key, action) {
            (Key::Char(' '), _) => list.toggle_column(line),
            (Key::Char('J'), _) if line + 1 < lines => {
                list.columns.swap(line, line + 1);
                self.mode = Mode::Columns(line + 1);
            }
            (Key::Char('K'), _) if line > 0 => {
                list.columns.swap(line, line - 1);
                self.mode = Mode::Columns(line - 1);
            }
            (_, Some(Action::Open | Action::Back | Action::Columns | Action::Quit)) => {
                self.mode = Mode::Table;
                return Some(Effect::SaveColumns(self.screen, self.list().column_ids()));
            }
            _ => {}
        }
        None
    }

    pub(super) fn read_help(&mut self, key: Key) -> Option<Effect> {
        const PAGE: usize = 10;
        match self.bindings.action(key) {
            Some(Action::Down) => self.scrolled += 1,
            Some(Action::Up) => self.scrolled = self.scrolled.saturating_sub(1),
            Some(Action::PageDown) => self.scrolled += PAGE,
            Some(Action::PageUp) => self.scrolled = self.scrolled.saturating_sub(PAGE),
            _ => {
                self.scrolled = 0;
                self.mode = Mode::Table;
            }
        }
        None
    }

    pub(super) fn sort_by(&mut self, column: usize) {
        if column < self.screen.heads().len() {
            let list = &mut self.lists[self.screen as usize];
            list.sort = Some(column);
            list.inverted = false;
            self.arrange();
        }
    }

    /// Sorts by the column to the left or the right of the one it is sorted by, of those that are shown.
    pub(super) fn step_sort(&mut self, step: isize) {
        let shown: Vec<usize> = self.list().shown().collect();
        let now = shown.iter().position(|&column| Some(column) == self.list().sort);
        let next = match now {
            Some(now) => now.saturating_add_signed(step).min(shown.len().saturating_sub(1)),
            None => 0,
        };
        if let Some(&column) = shown.get(next) {
            self.sort_by(column);
        }
    }

    pub(super) fn invert(&mut self) {
        let list = &mut self.lists[self.screen as usize];
        list.inverted = !list.inverted;
        self.arrange();
    }
}
