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
    (Key::PageUp, "PageUp"),
    (Key::PageDown, "PageDown"),
    (Key::Home, "Home"),
    (Key::End, "End"),
];

const CTRL: &str = "Ctrl-";

/// How keys are written in a configuration.
pub const KEY_NAMES: &str = "a character, Ctrl- and a letter, Space, Enter, Esc, Backspace, Tab, Shift-Tab, Up, Down, Left, Right, \
                             PageUp, PageDown, Home or End";

impl Key {
    /// Its name in help and configuration; of the mouse what it does.
    pub fn name(self) -> String {
        let named = NAMED.iter().find(|(key, _)| *key == self);
        match (named, self) {
            (Some((_, name)), _) => (*name).to_owned(),
            (None, Self::Char(c)) => c.to_string(),
            (None, Self::Ctrl(c)) => format!("{CTRL}{c}"),
            (None, Self::Click { .. }) => "click".to_owned(),
            (None, _) => "wheel".to_owned(),
        }
    }

    /// The key called `name`, as [`KEY_NAMES`] says.
    pub fn from_name(name: &str) -> Option<Self> {
        if let Some((key, _)) = NAMED.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            return Some(*key);
        }
        let (make, letter): (fn(char) -> Self, _) = match name.strip_prefix(CTRL) {
            Some(letter) => (Self::Ctrl, letter),
            None => (Self::Char, name),
        };
        let mut chars = letter.chars();
        let key = make(chars.next()?);
        let fits = match key {
            Self::Ctrl(c) => c.is_ascii_lowercase(),
            Self::Char(c) => !c.is_control() && !c.is_whitespace(),
            _ => false,
        };
        (fits && chars.next().is_none()).then_some(key)
    }
}

#[cfg(test)]
mod tests {
    use super::Key;

    #[test]
    fn names_of_keys() {
        for (name, key) in [
            ("q", Key::Char('q')),
            ("?", Key::Char('?')),
            ("-", Key::Char('-')),
            ("Ctrl-c", Key::Ctrl('c')),
            ("Space", Key::Char(' ')),
            ("Shift-Tab", Key::BackTab),
            ("界", Key::Char('界')),
        ] {
            assert_eq!(Key::from_name(name), Some(key), "{name}");
            assert_eq!(key.name(), name);
        }
        assert_eq!(Key::from_name("enter"), Some(Key::Enter));
        for name in [
            "", " ", "qq", "Ctrl-", "Ctrl-C", "Ctrl-cc", "ctrl-c", "F99", "\u{1b}", "click",
        ] {
            assert_eq!(Key::from_name(name), None, "{name:?}");
        }
    }
}
