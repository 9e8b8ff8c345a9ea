//! What `top` shows and how keys change it. Pure: no terminal, no clock, no source.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::actions::{Action, Key, action};
use crate::fields::{Field, columns};
use crate::model::entry::{Entry, EntryKey};
use crate::model::history::{History, Span};
use crate::model::overhead::Overhead;

/// Intervals that `+` and `-` step through.
const INTERVALS_MS: &[u64] = &[100, 200, 500, 1_000, 2_000, 5_000, 10_000];
const PAGE: isize = 10;
const LONGEST_FILTER: usize = 64;

/// What one look gives the screen.
#[derive(Clone, Debug, Default)]
pub struct Sample {
    /// Counters of the last interval, histograms since the start or the last reset.
    pub entries: Vec<Entry>,
    /// Time since then, ns.
    pub since_ns: u64,
    /// The probe plan in one line.
    pub plan_line: String,
    /// Loss counters by name.
    pub losses: BTreeMap<String, u64>,
    /// Why a counter or metric cannot be known, by name.
    pub absent: Arc<BTreeMap<String, String>>,
    /// What the probes cost in the last interval, where that was asked for.
    pub cost: Option<Overhead>,
}

/// What the command must do for the screen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End.
    Quit,
    /// Measure anew.
    Reset,
    /// Look this often.
    Interval(Duration),
}

/// What keys mean at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The table.
    #[default]
    Table,
    /// The selected process alone.
    Zoomed,
    /// Typing a filter.
    Filter,
    /// Choosing the sort column; which is under the cursor.
    SortMenu(usize),
    /// The keys.
    Help,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    sample: Option<Arc<Sample>>,
    /// What came in while frozen.
    waiting: Option<Arc<Sample>>,
    order: Vec<usize>,
    /// `None` follows the first row.
    selected: Option<EntryKey>,
    /// Where the selected row was, for when its process goes.
    place: usize,
    /// What keys mean.
    pub mode: Mode,
    /// Text that names or PIDs must contain, in lower case.
    pub filter: String,
    /// The sort column.
    pub sort: &'static Field,
    /// Whether its order is turned around.
    pub inverted: bool,
    /// Whether new samples wait.
    pub frozen: bool,
    history: History,
    /// How far the detail looks back.
    pub span: Span,
    /// Time between two looks.
    pub interval: Duration,
    /// The exit code of the command that is traced, once it has ended; as a shell has it.
    pub command_ended: Option<u8>,
}

impl App {
    /// An empty screen.
    pub fn new(sort: &'static Field, interval: Duration) -> Self {
        Self {
            sample: None,
            waiting: None,
            order: Vec::new(),
            selected: None,
            place: 0,
            mode: Mode::default(),
            filter: String::new(),
            sort,
            inverted: false,
            frozen: false,
            history: History::default(),
            span: Span::default(),
            interval,
            command_ended: None,
        }
    }

    /// Takes in a look; while frozen it waits.
    pub fn update(&mut self, sample: Arc<Sample>) {
        self.history.want(self.selected().map(|entry| entry.key));
        self.history.take(sample.since_ns, &sample.entries);
        self.show(sample);
    }

    fn show(&mut self, sample: Arc<Sample>) {
        if self.frozen && self.sample.is_some() {
            self.waiting = Some(sample);
            return;
        }
        self.sample = Some(sample);
        self.arrange();
    }

    /// The look that is shown.
    pub fn sample(&self) -> Option<&Sample> {
        self.sample.as_deref()
    }

    /// The last minutes; those while frozen too.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The rows, filtered and sorted.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Entry> {
        let entries = self.sample().map_or(&[][..], |sample| &sample.entries);
        self.order.iter().map(|&index| &entries[index])
    }

    /// Number of the selected row; 0 when there is none.
    pub fn place(&self) -> usize {
        self.place
    }

    /// The selected row.
    pub fn selected(&self) -> Option<&Entry> {
        self.rows().nth(self.place)
    }

    /// Obeys a key.
    pub fn key(&mut self, key: Key) -> Option<Effect> {
        if key == Key::Ctrl('c') {
            return Some(Effect::Quit);
        }
        match self.mode {
            Mode::Table | Mode::Zoomed => return self.act(action(key)?),
            Mode::Filter => self.type_filter(key),
            Mode::SortMenu(place) => self.choose(place, key),
            Mode::Help => self.mode = Mode::Table,
        }
        None
    }

    fn act(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Quit => return Some(Effect::Quit),
            Action::Reset => {
                self.freeze(false);
                return Some(Effect::Reset);
            }
            Action::Slower => return self.step_interval(1),
            Action::Faster => return self.step_interval(-1),
            Action::Help => self.mode = Mode::Help,
            Action::Down => self.move_by(1),
            Action::Up => self.move_by(-1),
            Action::PageDown => self.move_by(PAGE),
            Action::PageUp => self.move_by(-PAGE),
            Action::First => self.move_by(isize::MIN),
            Action::Last => self.move_by(isize::MAX),
            Action::Zoom => self.mode = Mode::Zoomed,
            Action::Back => self.back(),
            Action::Filter => self.mode = Mode::Filter,
            Action::SortMenu => self.mode = Mode::SortMenu(self.sort_place()),
            Action::SortLeft => self.sort_by_place(self.sort_place().saturating_sub(1)),
            Action::SortRight => self.sort_by_place(self.sort_place() + 1),
            Action::Invert => {
                self.inverted = !self.inverted;
                self.arrange();
            }
            Action::Freeze => self.freeze(!self.frozen),
            Action::Span => self.span = self.span.next(),
        }
        None
    }

    fn back(&mut self) {
        if self.mode == Mode::Zoomed {
            self.mode = Mode::Table;
            return;
        }
        self.selected = None;
        self.filter.clear();
        self.arrange();
    }

    fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
        if !frozen && let Some(sample) = self.waiting.take() {
            self.show(sample);
        }
    }

    fn step_interval(&mut self, step: isize) -> Option<Effect> {
        let now = u64::try_from(self.interval.as_millis()).unwrap_or(u64::MAX);
        let next = if step > 0 {
            INTERVALS_MS.iter().find(|&&interval| interval > now)
        } else {
            INTERVALS_MS.iter().rfind(|&&interval| interval < now)
        };
        self.interval = Duration::from_millis(*next?);
        Some(Effect::Interval(self.interval))
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Char(c) if self.filter.chars().count() < LONGEST_FILTER => {
                self.filter.extend(c.to_lowercase())
            }
            Key::Backspace => _ = self.filter.pop(),
            Key::Enter => self.mode = Mode::Table,
            Key::Esc => {
                self.filter.clear();
                self.mode = Mode::Table;
            }
            _ => {}
        }
        self.arrange();
    }

    fn choose(&mut self, place: usize, key: Key) {
        let last = columns().count().saturating_sub(1);
        self.mode = match action(key) {
            Some(Action::Down) => Mode::SortMenu((place + 1).min(last)),
            Some(Action::Up) => Mode::SortMenu(place.saturating_sub(1)),
            Some(Action::First) => Mode::SortMenu(0),
            Some(Action::Last) => Mode::SortMenu(last),
            Some(Action::Zoom) => {
                self.sort_by_place(place);
                Mode::Table
            }
            Some(Action::Back | Action::SortMenu | Action::Quit) => Mode::Table,
            _ => self.mode,
        };
    }

    fn sort_place(&self) -> usize {
        columns().position(|field| field.id == self.sort.id).unwrap_or(0)
    }

    fn sort_by_place(&mut self, place: usize) {
        if let Some(field) = columns().nth(place) {
            self.sort = field;
            self.arrange();
        }
    }

    fn move_by(&mut self, rows: isize) {
        let last = self.order.len().saturating_sub(1);
        self.place = self.place.saturating_add_signed(rows).min(last);
        self.selected = self.selected().map(|entry| entry.key);
    }

    /// Filters, sorts and finds the selected row again; when its process has gone, the one now in its place.
    fn arrange(&mut self) {
        let Some(sample) = self.sample.clone() else { return };
        let entries = &sample.entries;
        self.order = self
            .sort
            .arranged(entries, |entry| self.passes(entry), self.inverted);
        self.place = match self.selected {
            None => 0,
            Some(key) => {
                let found = self.order.iter().position(|&index| entries[index].key == key);
                found.unwrap_or(self.place.min(self.order.len().saturating_sub(1)))
            }
        };
        if self.selected.is_some() {
            self.selected = self.selected().map(|entry| entry.key);
        }
    }

    fn passes(&self, entry: &Entry) -> bool {
        self.filter.is_empty()
            || entry.name.to_lowercase().contains(&self.filter)
            || entry.key.pid.to_string().contains(&self.filter)
    }
}
