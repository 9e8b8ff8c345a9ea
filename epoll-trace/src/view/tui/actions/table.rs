//! The table of keys and what they do.

use super::Key;
use crate::view::tui::app::screen::Screen;

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Show or hide the keys.
    Help,
    /// Type a filter.
    Filter,
    /// The selected row on the whole screen, and further in.
    Open,
    /// Back to the table, then to no selection and no filter.
    Back,
    /// To the next screen.
    NextScreen,
    /// To the screen before.
    PreviousScreen,
    /// To a screen.
    Show(Screen),
    /// To the epolls of a process.
    Epolls,
    /// To whom a finding is about.
    Jump,
    /// Threads below their processes.
    Threads,
    /// Measure what this screen lacks.
    Measure,
    /// Measure only what was measured at the start.
    MeasureLess,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// A page down.
    PageDown,
    /// A page up.
    PageUp,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// Choose the sort column from a list.
    SortMenu,
    /// Sort by the column to the left.
    SortLeft,
    /// Sort by the column to the right.
    SortRight,
    /// Turn the order around.
    Invert,
    /// Choose columns.
    Columns,
    /// Keep what is shown.
    Freeze,
    /// The detail looks back for 1, 5, 15 minutes, or as far as it can.
    Span,
    /// Forget what was measured so far.
    Reset,
    /// Give the terminal back and stop, until the shell says `fg`.
    Suspend,
    /// Look less often.
    Slower,
    /// Look more often.
    Faster,
    /// Write what is seen to a file.
    Write,
    /// Copy the selected row.
    Copy,
}

impl Action {
    /// Its name in a configuration.
    pub fn name(self) -> &'static str {
        let row = BINDINGS.iter().find(|binding| binding.action == self);
        row.map_or("", |binding| binding.name)
    }

    /// The action called `name`.
    pub fn from_name(name: &str) -> Option<Self> {
        let row = BINDINGS.iter().find(|binding| binding.name == name)?;
        Some(row.action)
    }
}

/// One row of the key table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Name of the action in a configuration.
    pub name: &'static str,
    /// What the keys do.
    pub action: Action,
    /// The keys, unless a configuration has others.
    pub keys: &'static [Key],
    /// One line of help.
    pub help: &'static str,
    /// The word in the footer, for keys that everybody should know.
    pub footer: Option<&'static str>,
    /// The screens it works on; none are all.
    pub on: &'static [Screen],
}

impl Binding {
    /// Whether it does something on `screen`.
    pub fn works_on(&self, screen: Screen) -> bool {
        self.on.is_empty() || self.on.contains(&screen)
    }

    const fn only_on(self, on: &'static [Screen]) -> Self {
        Self { on, ..self }
    }

    const fn in_footer(self, word: &'static str) -> Self {
        Self {
            footer: Some(word),
            ..self
        }
    }
}

const fn bind(name: &'static str, action: Action, keys: &'static [Key], help: &'static str) -> Binding {
    Binding {
        name,
        action,
        keys,
        help,
        footer: None,
        on: &[],
    }
}

const fn show(name: &'static str, screen: Screen, digit: &'static [Key]) -> Binding {
    bind(name, Action::Show(screen), digit, "this screen")
}

/// Every key, in the order of help and footer.
pub const BINDINGS: &[Binding] = &[
    bind(
        "quit",
        Action::Quit,
        &[Key::Char('q')],
        "quit (Ctrl-c always does)",
    )
    .in_footer("quit"),
    bind(
        "help",
        Action::Help,
        &[Key::Char('?'), Key::Char('h')],
        "these keys",
    )
    .in_footer("help"),
    bind("filter", Action::Filter, &[Key::Char('/')], "filter; Esc ends it").in_footer("filter"),
    bind(
        "open",
        Action::Open,
        &[Key::Enter],
        "the row on the whole screen; again: its epolls, or whom a finding is about",
    )
    .in_footer("open"),
    bind(
        "back",
        Action::Back,
        &[Key::Esc],
        "back; then follow the first row, without filter",
    ),
    bind(
        "measure",
        Action::Measure,
        &[Key::Char('m')],
        "measure what this screen lacks; all counts begin anew",
    )
    .in_footer("measure"),
    bind(
        "measure-less",
        Action::MeasureLess,
        &[Key::Char('M')],
        "measure only what it began with; all counts begin anew",
    ),
    bind(
        "threads",
        Action::Threads,
        &[Key::Char('t'), Key::Char('H')],
        "threads below their processes",
    )
    .in_footer("threads")
    .only_on(&[Screen::Processes]),
    bind(
        "epolls-of",
        Action::Epolls,
        &[Key::Char('e')],
        "the epolls of the process",
    )
    .in_footer("epolls")
    .only_on(&[Screen::Processes]),
    bind(
        "jump",
        Action::Jump,
        &[Key::Char('o')],
        "to the row that a finding is about",
    )
    .in_footer("go to it")
    .only_on(&[Screen::Findings]),
    bind(
        "sort",
        Action::SortMenu,
        &[Key::Char('s')],
        "choose the sort column",
    )
    .in_footer("sort"),
    bind(
        "freeze",
        Action::Freeze,
        &[Key::Char(' '), Key::Char('f')],
        "freeze and go on; data is counted meanwhile",
    )
    .in_footer("freeze"),
    bind("next", Action::NextScreen, &[Key::Tab], "next screen").in_footer("next"),
    bind(
        "previous",
        Action::PreviousScreen,
        &[Key::BackTab],
        "screen before",
    ),
    show("processes", Screen::Processes, &[Key::Char('1')]),
    show("epolls", Screen::Epolls, &[Key::Char('2')]),
    show("sources", Screen::Sources, &[Key::Char('3')]),
    show("locks", Screen::Locks, &[Key::Char('4')]),
    show("findings", Screen::Findings, &[Key::Char('5')]),
    show("self", Screen::Own, &[Key::Char('6')]),
    bind("down", Action::Down, &[Key::Char('j'), Key::Down], "next row"),
    bind("up", Action::Up, &[Key::Char('k'), Key::Up], "row before"),
    bind("page-down", Action::PageDown, &[Key::PageDown], "a page down"),
    bind("page-up", Action::PageUp, &[Key::PageUp], "a page up"),
    bind("first", Action::First, &[Key::Char('g'), Key::Home], "first row"),
    bind("last", Action::Last, &[Key::Char('G'), Key::End], "last row"),
    bind(
        "sort-left",
        Action::SortLeft,
        &[Key::Char('<'), Key::Char(','), Key::Left],
        "sort by the column to the left",
    ),
    bind(
        "sort-right",
        Action::SortRight,
        &[Key::Char('>'), Key::Char('.'), Key::Right],
        "sort by the column to the right",
    ),
    bind(
        "invert",
        Action::Invert,
        &[Key::Char('I')],
        "turn the order around",
    ),
    bind(
        "columns",
        Action::Columns,
        &[Key::Char('c')],
        "choose columns: Space shows or hides, J and K move",
    ),
    bind(
        "span",
        Action::Span,
        &[Key::Char('z')],
        "look back for 1, 5, 15 minutes, or as long as it runs",
    )
    .only_on(&[Screen::Processes, Screen::Epolls]),
    bind("reset", Action::Reset, &[Key::Ctrl('r')], "measure anew from now").in_footer("reset"),
    bind(
        "suspend",
        Action::Suspend,
        &[Key::Ctrl('z')],
        "back to the shell; fg returns",
    ),
    bind(
        "slower",
        Action::Slower,
        &[Key::Char('+'), Key::Char('=')],
        "longer interval, up to 10 s",
    ),
    bind(
        "faster",
        Action::Faster,
        &[Key::Char('-')],
        "shorter interval, down to 0.1 s",
    ),
    bind(
        "write",
        Action::Write,
        &[Key::Char('w')],
        "write what is seen to a file",
    ),
    bind(
        "copy",
        Action::Copy,
        &[Key::Char('y')],
        "copy the row to the clipboard, by the terminal",
    ),
];
