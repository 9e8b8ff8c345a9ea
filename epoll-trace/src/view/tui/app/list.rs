//! The state of a list: its order, what of it is wanted, which row is selected, which part is seen. One type for every screen.

use super::screen::{RowId, Rows, Screen};
use crate::fields::{Head, arranged};
use crate::view::tui::query::{Query, QueryError};

/// The state of the list of one screen.
#[derive(Clone, Debug)]
pub struct List {
    screen: Screen,
    /// Places of rows in the sample, filtered and sorted.
    order: Vec<usize>,
    /// `None` follows the first row.
    selected: Option<RowId>,
    /// Where the selected row is or, once it has gone, was.
    place: usize,
    /// The first row that is seen.
    top: usize,
    /// The column that it is sorted by; without one as the sample has it.
    pub(super) sort: Option<usize>,
    /// Whether the order is turned around.
    pub(super) inverted: bool,
    /// What was typed to filter by.
    filter: String,
    /// The same as it is understood; while there is a mistake in it as it was before.
    query: Query,
    /// What is not understood.
    mistake: Option<QueryError>,
    /// Every column in the order chosen, and whether it is shown.
    pub(super) columns: Vec<(usize, bool)>,
}

impl List {
    pub(super) fn new(screen: Screen) -> Self {
        Self {
            screen,
            order: Vec::new(),
            selected: None,
            place: 0,
            top: 0,
            sort: screen.first_sort(),
            inverted: false,
            filter: String::new(),
            query: Query::default(),
            mistake: None,
            columns: (0..screen.heads().len()).map(|column| (column, true)).collect(),
        }
    }

    /// Places of rows in the sample, in the order they are shown.
    pub(in crate::view::tui) fn order(&self) -> &[usize] {
        &self.order
    }

    /// Number of the selected row; 0 when there is none.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The first row that is seen.
    pub(in crate::view::tui) fn top(&self) -> usize {
        self.top
    }

    /// What is filtered by.
    pub fn filter(&self) -> &str {
        &self.filter
    }

    /// What is wrong with it.
    pub fn mistake(&self) -> Option<&QueryError> {
        self.mistake.as_ref()
    }

    /// Filters by `text`, from when the rows are arranged next.
    pub(super) fn set_filter(&mut self, text: String) {
        match Query::parse(&text, self.screen.asked()) {
            Ok(query) => {
                self.query = query;
                self.mistake = None;
            }
            Err(mistake) => self.mistake = Some(mistake),
        }
        self.filter = text;
    }

    /// Whether the order is turned around.
    pub fn inverted(&self) -> bool {
        self.inverted
    }

    /// The column that it is sorted by.
    pub fn sorted_by(&self) -> Option<&'static Head> {
        self.screen.heads().get(self.sort?)
    }

    /// The columns that are shown where there is room, in the order chosen.
    pub(in crate::view::tui) fn shown(&self) -> impl Iterator<Item = usize> {
        let columns = self.columns.iter().filter(|(_, shown)| *shown);
        columns.map(|&(column, _)| column)
    }

    /// Names of the columns that are shown, in the order chosen.
    pub fn column_ids(&self) -> Vec<&'static str> {
        let heads = self.screen.heads();
        self.shown().map(|column| heads[column].id).collect()
    }

    /// Shows the columns called `ids` in this order, and no others; unknown ones are left out, none at all changes nothing.
    pub fn choose_columns(&mut self, ids: &[String]) {
        let mut chosen: Vec<usize> = Vec::new();
        for column in ids.iter().filter_map(|id| self.screen.column(id)) {
            if !chosen.contains(&column) {
                chosen.push(column);
            }
        }
        if chosen.is_empty() {
            return;
        }
        let others: Vec<usize> = (0..self.screen.heads().len())
            .filter(|column| !chosen.contains(column))
            .collect();
        let shown = chosen.into_iter().map(|column| (column, true));
        let hidden = others.into_iter().map(|column| (column, false));
        self.columns = shown.chain(hidden).collect();
    }

    /// Shows or hides a line of the menu of columns; the last one stays.
    pub(super) fn toggle_column(&mut self, line: usize) {
        let shown = self.shown().count();
        if let Some((_, is_shown)) = self.columns.get_mut(line)
            && (!*is_shown || shown > 1)
        {
            *is_shown = !*is_shown;
        }
    }

    /// Moves `rows` down, or up where that is below 0.
    pub(super) fn move_by(&mut self, rows: isize, all: &Rows<'_>) {
        let last = self.order.len().saturating_sub(1);
        self.select(self.place.saturating_add_signed(rows).min(last), all);
    }

    /// Selects the row with this number, if there is one.
    pub(super) fn select(&mut self, place: usize, all: &Rows<'_>) {
        if let Some(&row) = self.order.get(place) {
            self.place = place;
            self.selected = all.id(row);
        }
    }

    /// Selects a row that need not be there yet, and lets it through the filter.
    pub(super) fn go_to(&mut self, row: RowId) {
        self.set_filter(String::new());
        self.selected = Some(row);
    }

    /// No selection, no filter.
    pub(super) fn clear(&mut self) {
        self.selected = None;
        self.set_filter(String::new());
    }

    /// Filters, sorts and finds the selected row again; when it has gone, the one now in its place.
    pub(super) fn arrange(&mut self, rows: &Rows<'_>, with_threads: bool) {
        let passes = |place: &usize| self.query.is_empty() || rows.passes(*place, self.screen, &self.query);
        let wanted = (0..rows.len()).filter(passes);
        self.order = match self.sort {
            Some(column) => self.sorted(wanted, column, rows),
            None => wanted.collect(),
        };
        if with_threads {
            let processes = std::mem::take(&mut self.order);
            for place in processes {
                self.order.push(place);
                let threads = rows.threads(place);
                match self.sort {
                    Some(column) => self.order.extend(self.sorted(threads, column, rows)),
                    None => self.order.extend(threads),
                }
            }
        }
        self.find_selected(rows);
    }

    fn sorted(&self, places: impl Iterator<Item = usize>, column: usize, rows: &Rows<'_>) -> Vec<usize> {
        let Some(head) = self.screen.heads().get(column) else {
            return places.collect();
        };
        let ranks = places
            .filter_map(|place| Some((rows.rank(place, column)?, place)))
            .collect();
        arranged(ranks, head.order, self.inverted)
    }

    fn find_selected(&mut self, rows: &Rows<'_>) {
        let last = self.order.len().saturating_sub(1);
        let Some(selected) = &self.selected else {
            self.place = 0;
            return;
        };
        if self.order.is_empty() {
            // What is not there yet may come with the next look.
            self.place = 0;
            return;
        }
        let is_it = |&row: &usize| rows.id(row).as_ref() == Some(selected);
        match self.order.iter().position(is_it) {
            Some(place) => self.place = place,
            None => self.select(self.place.min(last), rows),
        }
    }

    /// Moves what is seen as little as it takes for the selected row to be among `height`.
    pub(super) fn scroll(&mut self, height: usize) {
        self.top = first_row(self.top, self.place, self.order.len(), height);
    }
}

/// The first of `height` rows to show of `rows`, near `top`, so that row `place` is among them.
pub(in crate::view::tui) fn first_row(top: usize, place: usize, rows: usize, height: usize) -> usize {
    let lowest = (place + 1).saturating_sub(height);
    top.clamp(lowest, place.max(lowest))
        .min(rows.saturating_sub(height))
}
