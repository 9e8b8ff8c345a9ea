//! The keys of `top`, once: dispatch, help and footer all read this table.

/// A key press, without the terminal library's types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// A character, shift included.
    Char(char),
    /// Ctrl and a letter.
    Ctrl(char),
    /// Enter.
    Enter,
    /// Escape.
    Esc,
    /// Backspace.
    Backspace,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
}

/// What a key asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Leave.
    Quit,
    /// Show or hide the keys.
    Help,
    /// One row down.
    Down,
    /// One row up.
    Up,
    /// Ten rows down.
    PageDown,
    /// Ten rows up.
    PageUp,
    /// To the first row.
    First,
    /// To the last row.
    Last,
    /// The selected process on the whole screen.
    Zoom,
    /// Back to the table, then to no selection and no filter.
    Back,
    /// Type a filter.
    Filter,
    /// Choose the sort column from a list.
    SortMenu,
    /// Sort by the column to the left.
    SortLeft,
    /// Sort by the column to the right.
    SortRight,
    /// Turn the order around.
    Invert,
    /// Keep what is shown.
    Freeze,
    /// The detail looks back for 1, 5, 15 minutes, or as far as it can.
    Span,
    /// Forget what was measured so far.
    Reset,
    /// Look less often.
    Slower,
    /// Look more often.
    Faster,
}

/// One row of the key table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// The keys.
    pub keys: &'static [Key],
    /// Their names on the screen, ASCII.
    pub shown: &'static str,
    /// What they do.
    pub action: Action,
    /// One line of help.
    pub help: &'static str,
    /// The word in the footer, for keys that everybody should know.
    pub footer: Option<&'static str>,
}

const fn bind(
    keys: &'static [Key],
    shown: &'static str,
    action: Action,
    help: &'static str,
    footer: Option<&'static str>,
) -> Binding {
    Binding {
        keys,
        shown,
        action,
        help,
        footer,
    }
}

/// Every key, in the order of help and footer.
pub const BINDINGS: &[Binding] = &[
    bind(
        &[Key::Char('q'), Key::Ctrl('c')],
        "q",
        Action::Quit,
        "quit (also Ctrl-c)",
        Some("quit"),
    ),
    bind(
        &[Key::Char('?'), Key::Char('h')],
        "?",
        Action::Help,
        "these keys",
        Some("help"),
    ),
    bind(
        &[Key::Char('/')],
        "/",
        Action::Filter,
        "filter by name or PID",
        Some("filter"),
    ),
    bind(
        &[Key::Char('s')],
        "s",
        Action::SortMenu,
        "choose the sort column",
        Some("sort"),
    ),
    bind(
        &[Key::Char('<'), Key::Char(',')],
        "<",
        Action::SortLeft,
        "sort by the column to the left",
        None,
    ),
    bind(
        &[Key::Char('>'), Key::Char('.')],
        ">",
        Action::SortRight,
        "sort by the column to the right",
        None,
    ),
    bind(
        &[Key::Char('I')],
        "I",
        Action::Invert,
        "turn the order around",
        None,
    ),
    bind(
        &[Key::Char('j'), Key::Down],
        "j Down",
        Action::Down,
        "next process",
        None,
    ),
    bind(
        &[Key::Char('k'), Key::Up],
        "k Up",
        Action::Up,
        "previous process",
        None,
    ),
    bind(&[Key::PageDown], "PgDn", Action::PageDown, "ten further", None),
    bind(&[Key::PageUp], "PgUp", Action::PageUp, "ten back", None),
    bind(
        &[Key::Char('g'), Key::Home],
        "g Home",
        Action::First,
        "first process",
        None,
    ),
    bind(
        &[Key::Char('G'), Key::End],
        "G End",
        Action::Last,
        "last process",
        None,
    ),
    bind(
        &[Key::Enter],
        "Enter",
        Action::Zoom,
        "the process on the whole screen",
        Some("zoom"),
    ),
    bind(
        &[Key::Esc],
        "Esc",
        Action::Back,
        "back; then follow the first row, without filter",
        None,
    ),
    bind(
        &[Key::Char(' '), Key::Char('f')],
        "Space",
        Action::Freeze,
        "freeze and go on",
        Some("freeze"),
    ),
    bind(
        &[Key::Char('z')],
        "z",
        Action::Span,
        "look back for 1, 5, 15 minutes, or as long as it runs",
        None,
    ),
    bind(
        &[Key::Ctrl('r')],
        "Ctrl-r",
        Action::Reset,
        "measure anew from now",
        Some("reset"),
    ),
    bind(
        &[Key::Char('+'), Key::Char('=')],
        "+",
        Action::Slower,
        "longer interval",
        None,
    ),
    bind(&[Key::Char('-')], "-", Action::Faster, "shorter interval", None),
];

/// What `key` asks for.
pub fn action(key: Key) -> Option<Action> {
    BINDINGS
        .iter()
        .find(|binding| binding.keys.contains(&key))
        .map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let keys: Vec<Key> = BINDINGS
            .iter()
            .flat_map(|binding| binding.keys)
            .copied()
            .collect();
        for (nth, key) in keys.iter().enumerate() {
            assert!(!keys[nth + 1..].contains(key), "{key:?} is bound twice");
        }
        assert_eq!(action(Key::Char('x')), None);
    }
}
