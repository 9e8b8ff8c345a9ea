//! Keys by name, and which key does what once a configuration has had its say.

use std::collections::BTreeMap;

use super::actions::{Action, BINDINGS, Key};

/// Keys that are no single character, by name.
const NAMED: &[(Key, &str)] = &[
    (Key::Char(' '), "Space"),
    (Key::Enter, "Enter"),
    (Key::Esc, "Esc"),
    (Key::Backspace, "Backspace"),
    (Key::Up, "Up"),
    (Key::Down, "Down"),
    (Key::PageUp, "PageUp"),
    (Key::PageDown, "PageDown"),
    (Key::Home, "Home"),
    (Key::End, "End"),
];

const CTRL: &str = "Ctrl-";

/// How keys are written in a configuration.
pub const KEY_NAMES: &str =
    "a character, Ctrl- and a letter, Space, Enter, Esc, Backspace, Up, Down, PageUp, PageDown, Home or End";

impl Key {
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

    /// Its name; `None` of what no configuration can name.
    pub fn name(self) -> Option<String> {
        if let Some((_, name)) = NAMED.iter().find(|(key, _)| *key == self) {
            return Some((*name).to_owned());
        }
        match self {
            Self::Char(c) => Some(c.to_string()),
            Self::Ctrl(c) => Some(format!("{CTRL}{c}")),
            _ => None,
        }
    }
}

/// The name of an action in a configuration: that of its variant, in lower case with hyphens.
pub fn action_name(action: Action) -> String {
    let mut name = String::new();
    for c in format!("{action:?}").chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('-');
        }
        name.extend(c.to_lowercase());
    }
    name
}

/// Which key does what.
#[derive(Clone, Debug)]
pub struct Keys {
    bound: Vec<(Key, Action)>,
}

impl Default for Keys {
    fn default() -> Self {
        Self::new(&BTreeMap::new())
    }
}

impl Keys {
    /// The keys of the table, but for actions in `chosen` (name of the action, names of its keys), which have these alone. A key that is
    /// chosen for one action is taken from all others. Names that do not exist are left out: a configuration has been checked before.
    pub fn new(chosen: &BTreeMap<String, Vec<String>>) -> Self {
        let mut bound = Vec::new();
        let mut rest = Vec::new();
        for binding in BINDINGS {
            match chosen.get(&action_name(binding.action)) {
                Some(names) => {
                    let keys = names.iter().filter_map(|name| Key::from_name(name));
                    bound.extend(keys.map(|key| (key, binding.action)));
                }
                None => rest.extend(binding.keys.iter().map(|&key| (key, binding.action))),
            }
        }
        let is_free = |&(key, _): &(Key, Action)| !bound.iter().any(|&(taken, _)| taken == key);
        rest.retain(is_free);
        bound.extend(rest);
        Self { bound }
    }

    /// What `key` asks for.
    pub fn action(&self, key: Key) -> Option<Action> {
        let found = self.bound.iter().find(|(bound, _)| *bound == key);
        found.map(|&(_, action)| action)
    }

    /// The names of the keys that ask for `action`.
    pub fn names(&self, action: Action) -> Vec<String> {
        let keys = self.bound.iter().filter(|(_, asked)| *asked == action);
        keys.filter_map(|(key, _)| key.name()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_keys() {
        for (name, key) in [
            ("q", Key::Char('q')),
            ("?", Key::Char('?')),
            ("-", Key::Char('-')),
            ("Ctrl-c", Key::Ctrl('c')),
            ("Space", Key::Char(' ')),
            ("PageDown", Key::PageDown),
            ("界", Key::Char('界')),
        ] {
            assert_eq!(Key::from_name(name), Some(key), "{name}");
            assert_eq!(key.name().as_deref(), Some(name));
        }
        assert_eq!(Key::from_name("enter"), Some(Key::Enter));
        for name in [
            "", " ", "qq", "Ctrl-", "Ctrl-C", "Ctrl-cc", "ctrl-c", "F99", "\u{1b}",
        ] {
            assert_eq!(Key::from_name(name), None, "{name:?}");
        }
    }

    #[test]
    fn every_key_of_the_table_has_a_name_and_every_action_its_own() {
        let mut names = std::collections::BTreeSet::new();
        for binding in BINDINGS {
            assert!(names.insert(action_name(binding.action)));
            for &key in binding.keys {
                let name = key.name().unwrap();
                assert_eq!(Key::from_name(&name), Some(key), "{name}");
            }
        }
        assert!(names.contains("page-down"), "{names:?}");
    }

    #[test]
    fn chosen_keys_come_before_those_of_the_table() {
        let table = Keys::default();
        for binding in BINDINGS {
            for &key in binding.keys {
                assert_eq!(table.action(key), Some(binding.action));
            }
        }
        let chosen = [("freeze", "q"), ("quit", "x")];
        let chosen = chosen.map(|(action, key)| (action.to_owned(), vec![key.to_owned()]));
        let keys = Keys::new(&chosen.into());
        assert_eq!(keys.action(Key::Char('q')), Some(Action::Freeze));
        assert_eq!(keys.action(Key::Char('x')), Some(Action::Quit));
        assert_eq!(keys.names(Action::Freeze), ["q"]);
        assert_eq!(
            keys.action(Key::Char(' ')),
            None,
            "chosen keys are instead of those of the table"
        );
        assert_eq!(keys.action(Key::Char('j')), Some(Action::Down));
        let moved = Keys::new(&[("freeze".to_owned(), vec!["j".to_owned()])].into());
        assert_eq!(
            moved.names(Action::Down),
            ["Down"],
            "and are taken from the others"
        );
    }
}
