//! What `top` shows and how keys change it. Pure: no terminal, no clock, no source.

pub mod layout;
mod list;
mod menus;
mod moves;
mod sample;
pub mod screen;

use std::sync::Arc;
use std::time::Duration;

pub use list::List;
pub use sample::Sample;

use self::layout::Layout;
use self::screen::{Rows, Screen};
use super::actions::{Action, Bindings, Key};
use crate::fields::Head;
use crate::model::entry::Entry;
use crate::model::finding::Finding;
use crate::model::history::{History, Span};
use crate::model::measures::{Measure, Measures};

/// Intervals that `+` and `-` step through.
const INTERVALS_MS: &[u64] = &[100, 200, 500, 1_000, 2_000, 5_000, 10_000];
/// What the command must do for the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// End.
    Quit,
    /// Forget what was measured so far.
    Reset,
    /// Give the terminal back and stop, until the shell says `fg`.
    Suspend,
    /// Look this often.
    Interval(Duration),
    /// Look for this screen.
    Show(Screen),
    /// Measure this much from now on.
    Measure(Measures),
    /// Write what is seen to a file, and say where with [`App::told`].
    Write,
    /// Give this text to the terminal's clipboard.
    Copy(String),
    /// Remember the columns of a screen, by name.
    SaveColumns(Screen, Vec<&'static str>),
}

/// What keys mean at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// The table.
    #[default]
    Table,
    /// The selected row alone.
    Zoomed,
    /// Typing a filter.
    Filter,
    /// Choosing the sort column; which is under the cursor.
    SortMenu(usize),
    /// Choosing columns; which is under the cursor.
    Columns(usize),
    /// The keys.
    Help,
}

/// What the footer says until the next key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// In a sentence. Not yet safe for a terminal.
    pub text: String,
    /// Whether something failed.
    pub failed: bool,
}

/// The state of the screen.
#[derive(Clone, Debug)]
pub struct App {
    sample: Option<Arc<Sample>>,
    /// What came in while frozen.
    waiting: Option<Arc<Sample>>,
    lists: [List; Screen::ALL.len()],
    size: (u16, u16),
    /// What a source is being made for.
    attaching: Option<Measures>,
    /// What was measured at the start.
    first_measures: Option<Measures>,
    changed: bool,
    /// What is shown.
    pub screen: Screen,
    /// What keys mean.
    pub mode: Mode,
    /// Which keys do what.
    pub bindings: Bindings,
    /// First line of a text that is longer than the screen.
    pub scrolled: usize,
    /// Whether threads stand below their processes.
    pub with_threads: bool,
    /// Whether new samples wait.
    pub frozen: bool,
    history: History,
    /// How far the detail looks back.
    pub span: Span,
    /// Time between two looks.
    pub interval: Duration,
    /// The exit code of the command that is traced, once it has ended; as a shell has it.
    pub command_ended: Option<u8>,
    /// What the footer says instead of keys.
    pub notice: Option<Notice>,
}

impl App {
    /// An empty screen of processes, sorted by the column called `sort`.
    pub fn new(sort: &str, interval: Duration) -> Self {
        let mut lists = Screen::ALL.map(List::new);
        let processes = &mut lists[Screen::Processes as usize];
        processes.sort = Screen::Processes.column(sort).or(processes.sort);
        Self {
            sample: None,
            waiting: None,
            lists,
            size: (80, 24),
            attaching: None,
            first_measures: None,
            changed: true,
            screen: Screen::default(),
            mode: Mode::default(),
            bindings: Bindings::default(),
            scrolled: 0,
            with_threads: false,
            frozen: false,
            history: History::default(),
            span: Span::default(),
            interval,
            command_ended: None,
            notice: None,
        }
    }

    /// Takes in a look; while frozen it waits.
    pub fn update(&mut self, sample: Arc<Sample>) {
        self.history.want(self.selected().map(|entry| entry.key));
        let epolls = sample.epolls.iter().flatten();
        let followed = sample.entries.iter().chain(epolls).chain(&sample.threads);
        self.history.take(sample.since_ns, followed);
        // One of the source before may still come.
        if sample.failed.is_some() || self.attaching == Some(sample.measures) {
            self.attaching = None;
        }
        self.first_measures.get_or_insert(sample.measures);
        if let Some(why) = &sample.failed {
            self.told(Err(why.to_string()));
        }
        self.show_sample(sample);
    }

    fn show_sample(&mut self, sample: Arc<Sample>) {
        if self.frozen
            && let Some(shown) = &self.sample
        {
            // A screen that was not shown when it froze has its rows from the first look after.
            if let Some(completed) = shown.completed(self.screen, &sample) {
                self.sample = Some(Arc::new(completed));
                self.changed = true;
                self.arrange();
            }
            self.waiting = Some(sample);
            return;
        }
        self.changed = true;
        self.sample = Some(sample);
        self.arrange();
    }

    /// The last minutes; those while frozen too.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What came of an effect, for the footer.
    pub fn told(&mut self, outcome: Result<String, String>) {
        self.changed = true;
        let failed = outcome.is_err();
        let (Ok(text) | Err(text)) = outcome;
        self.notice = Some(Notice { text, failed });
    }

    /// The command that is traced has ended.
    pub fn ended(&mut self, code: u8) {
        self.changed = true;
        self.command_ended = Some(code);
    }

    /// The screen has this size now.
    pub fn resize(&mut self, width: u16, height: u16) {
        self.changed |= self.size != (width, height);
        self.size = (width, height);
        self.scroll();
    }

    /// Something else was on the terminal: all is to be drawn.
    pub fn redraw(&mut self) {
        self.changed = true;
    }

    /// Whether there is something to draw that was not there when this was asked last.
    pub fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// The look that is shown.
    pub fn sample(&self) -> Option<&Sample> {
        self.sample.as_deref()
    }

    /// The list of this screen.
    pub fn list(&self) -> &List {
        &self.lists[self.screen as usize]
    }

    /// The list of `screen`.
    pub fn list_of(&mut self, screen: Screen) -> &mut List {
        &mut self.lists[screen as usize]
    }

    /// All rows of this screen.
    pub(super) fn rows(&self) -> Option<Rows<'_>> {
        Some(Rows::of(self.screen, self.sample()?))
    }

    /// The place of the selected row among all rows.
    pub(super) fn selected_row(&self) -> Option<usize> {
        let list = self.list();
        list.order().get(list.place()).copied()
    }

    /// How many rows the filter lets pass; threads belong to the rows above them.
    pub fn passing(&self) -> usize {
        let all = self.rows().map_or(0, |rows| rows.len());
        let order = self.list().order().iter();
        order.filter(|&&row| row < all).count()
    }

    /// The process, thread or epoll that is selected.
    pub fn selected(&self) -> Option<&Entry> {
        self.rows()?.entry(self.selected_row()?)
    }

    /// The finding that is selected.
    pub(super) fn finding(&self) -> Option<&Finding> {
        match self.rows()? {
            Rows::Findings(findings) => findings.get(self.selected_row()?),
            _ => None,
        }
    }

    /// Every column of this screen in the order chosen, and whether it is shown.
    pub(super) fn columns(&self) -> impl Iterator<Item = (&'static Head, bool)> + '_ {
        let heads = self.screen.heads();
        let columns = self.list().columns.iter();
        columns.map(|&(column, shown)| (&heads[column], shown))
    }

    /// Whether a source is being made for other measures.
    pub fn is_attaching(&self) -> bool {
        self.attaching.is_some()
    }

    /// Whether something is measured that the column is made of.
    pub fn is_known(&self, head: &Head) -> bool {
        let Some(sample) = self.sample() else { return true };
        if head.id == "finding" {
            return sample.examination.is_some();
        }
        !head.made_of.iter().any(|name| sample.absent.contains_key(*name))
    }

    /// What this screen would show and nothing measures.
    pub fn unmeasured(&self) -> Measures {
        let threads = Measures::of(&[Measure::Threads]);
        let needed = match self.screen {
            Screen::Processes if self.with_threads => self.screen.needs().with(threads),
            screen => screen.needs(),
        };
        let measured = self.sample().map(|sample| sample.measures);
        measured.map_or(Measures::NONE, |measured| measured.missing(needed))
    }

    /// Obeys a key, a click or the wheel.
    pub fn key(&mut self, key: Key) -> Option<Effect> {
        self.changed = true;
        self.notice = None;
        if key == Key::Ctrl('c') {
            return Some(Effect::Quit);
        }
        let effect = match (self.mode, key) {
            (_, Key::Click { col, row }) => self.click(col, row),
            (Mode::Filter, key) => self.type_filter(key),
            (mode, Key::Wheel(turns)) => self.turn(mode, turns),
            (Mode::Table | Mode::Zoomed, key) => {
                let action = self.bindings.action(key)?;
                self.act(action)
            }
            (Mode::SortMenu(line), key) => self.choose_sort(line, key),
            (Mode::Columns(line), key) => self.choose_column(line, key),
            (Mode::Help, key) => self.read_help(key),
        };
        self.scroll();
        effect
    }

    fn act(&mut self, action: Action) -> Option<Effect> {
        match action {
            Action::Quit => return Some(Effect::Quit),
            Action::Reset => {
                self.freeze(false);
                return Some(Effect::Reset);
            }
            Action::Suspend => return Some(Effect::Suspend),
            Action::Slower => return self.step_interval(1),
            Action::Faster => return self.step_interval(-1),
            Action::Measure => return self.measure_more(),
            Action::MeasureLess => return self.measure_less(),
            Action::Write => return Some(Effect::Write),
            Action::Copy => return self.copy(),
            Action::NextScreen => return self.step_screen(1),
            Action::PreviousScreen => return self.step_screen(Screen::ALL.len() - 1),
            Action::Show(screen) => return self.show(screen),
            Action::Epolls => return self.show_epolls(),
            Action::Jump => return self.jump(),
            Action::Open => return self.open(),
            Action::Help => {
                self.scrolled = 0;
                self.mode = Mode::Help;
            }
            Action::Down => self.move_by(1),
            Action::Up => self.move_by(-1),
            Action::PageDown => self.move_by(self.page()),
            Action::PageUp => self.move_by(-self.page()),
            Action::First => self.move_by(isize::MIN),
            Action::Last => self.move_by(isize::MAX),
            Action::Back => self.back(),
            Action::Filter => {
                self.mode = Mode::Filter;
            }
            Action::SortMenu => self.mode = Mode::SortMenu(self.list().sort.unwrap_or(0)),
            Action::Columns => self.mode = Mode::Columns(0),
            Action::SortLeft => self.step_sort(-1),
            Action::SortRight => self.step_sort(1),
            Action::Invert => self.invert(),
            Action::Freeze => self.freeze(!self.frozen),
            Action::Threads => self.expand(),
            Action::Span => self.span = self.span.next(),
        }
        None
    }

    fn back(&mut self) {
        if self.mode == Mode::Zoomed {
            self.mode = Mode::Table;
            return;
        }
        self.lists[self.screen as usize].clear();
        self.arrange();
    }

    fn freeze(&mut self, frozen: bool) {
        self.frozen = frozen;
        if !frozen && let Some(sample) = self.waiting.take() {
            self.show_sample(sample);
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

    fn with_rows(&mut self, change: impl FnOnce(&mut List, &Rows<'_>)) {
        let Some(sample) = self.sample.clone() else { return };
        change(
            &mut self.lists[self.screen as usize],
            &Rows::of(self.screen, &sample),
        );
    }

    fn arrange(&mut self) {
        let with_threads = self.with_threads && self.screen == Screen::Processes;
        self.with_rows(|list, all| list.arrange(all, with_threads));
        self.scroll();
    }

    fn scroll(&mut self) {
        let height = Layout::of(self, self.size.0, self.size.1).rows.height;
        self.lists[self.screen as usize].scroll(usize::from(height));
    }
}
