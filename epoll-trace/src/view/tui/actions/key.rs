//! Key presses, clicks and the wheel, without the terminal library's types.

/// A key press, a click or a turn of the wheel, without the terminal library's types.
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
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Arrow up.
    Up,
    /// Arrow down.
    Down,
    /// Arrow to the left.
    Left,
    /// Arrow to the right.
    Right,
    /// Page up.
    PageUp,
    /// Page down.
    PageDown,
    /// Home.
    Home,
    /// End.
    End,
    /// The left button on a cell.
    Click {
        /// Its column, from 0.
        col: u16,
        /// Its line, from 0.
        row: u16,
    },
    /// The wheel: down, or up where that is below 0.
    Wheel(i8),
}

/// Keys that have a name of their own.
const NAMED: &[(Key, &str)] = &[
    (Key::Char(' '), "Space"),
    (Key::Enter, "Enter"),
    (Key::Esc, "Esc"),
    (Key::Backspace, "Backspace"),
    (Key::Tab, "Tab"),
    (Key::BackTab, "Shift-Tab"),
    (Key::Up, "Up"),
    (Key::Down, "Down"),
    (Key::Left, "Left"),
    (Key::Right, "Right"),
    (Key::PageUp, "PgUp"),
    (Key::PageDown, "PgDn"),
    (Key::Home, "Home"),
    (Key::End, "End"),
];

impl Key {
    /// Its name in help and configuration; of the mouse what it does.
    pub fn name(self) -> String {
        let named = NAMED.iter().find(|(key, _)| *key == self);
        match (named, self) {
            (Some((_, name)), _) => (*name).to_owned(),
            (None, Self::Char(c)) => c.to_string(),
            (None, Self::Ctrl(c)) => format!("Ctrl-{c}"),
            (None, Self::Click { .. }) => "click".to_owned(),
            (None, _) => "wheel".to_owned(),
        }
    }

    /// The key called `name`; none of the mouse.
    pub fn from_name(name: &str) -> Option<Self> {
        let single = |text: &str| {
            let mut chars = text.chars();
            chars.next().filter(|_| chars.next().is_none())
        };
        let named = NAMED.iter().find(|(_, known)| known.eq_ignore_ascii_case(name));
        let ctrl = || {
            let letter = name.strip_prefix("Ctrl-").and_then(single)?;
            letter
                .is_ascii_alphabetic()
                .then(|| Self::Ctrl(letter.to_ascii_lowercase()))
        };
        let named = named.map(|&(key, _)| key).or_else(ctrl);
        named.or_else(|| single(name).filter(|c| !c.is_control()).map(Self::Char))
    }
}
