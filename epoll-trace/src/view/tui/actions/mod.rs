//! The keys of `top`, once: dispatch, help, footer, documents and configuration all read one table.

mod key;
mod table;

use std::collections::BTreeMap;

pub use key::{KEY_NAMES, Key};
pub use table::{Action, BINDINGS, Binding};

/// Which keys do what in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// By row of [`BINDINGS`].
    keys: Vec<Vec<Key>>,
}

impl Default for Bindings {
    fn default() -> Self {
        Self::chosen(&BTreeMap::new())
    }
}

impl Bindings {
    /// The table, but for actions in `chosen` (name of the action, names of its keys), which have these alone. A key that is
    /// chosen for one action is taken from all others. Names that do not exist are left out: a configuration has been checked before.
    pub fn chosen(chosen: &BTreeMap<String, Vec<String>>) -> Self {
        let named = |names: &Vec<String>| names.iter().filter_map(|name| Key::from_name(name)).collect();
        let own = |binding: &Binding| chosen.get(binding.name);
        let taken: Vec<Key> = BINDINGS
            .iter()
            .filter_map(|binding| own(binding).map(named))
            .flat_map(|keys: Vec<Key>| keys)
            .collect();
        let left = |binding: &Binding| {
            let keys = binding.keys.iter().copied();
            keys.filter(|key| !taken.contains(key)).collect()
        };
        let keys = BINDINGS.iter();
        let keys = keys.map(|binding| own(binding).map_or_else(|| left(binding), named));
        Self { keys: keys.collect() }
    }

    /// What `key` asks for.
    pub fn action(&self, key: Key) -> Option<Action> {
        let row = self.keys.iter().position(|keys| keys.contains(&key))?;
        Some(BINDINGS.get(row)?.action)
    }

    /// Each row of the table with the names of its keys in this run.
    pub fn rows(&self) -> impl Iterator<Item = (&'static Binding, String)> + '_ {
        let names = |keys: &Vec<Key>| keys.iter().map(|key| key.name()).collect::<Vec<_>>().join(" ");
        BINDINGS.iter().zip(self.keys.iter().map(names))
    }

    /// The name of the first key of `action`; empty if it has none.
    pub fn shown(&self, action: Action) -> String {
        let row = BINDINGS.iter().position(|binding| binding.action == action);
        let keys = row.and_then(|row| self.keys.get(row));
        keys.and_then(|keys| keys.first())
            .map_or_else(String::new, |key| key.name())
    }
}

/// The table as Markdown, for docs/keys.md.
pub fn manual() -> String {
    let row = |(binding, keys): (&Binding, String)| {
        let keys: Vec<String> = keys.split(' ').map(|key| format!("`{key}`")).collect();
        let on: Vec<&str> = binding.on.iter().map(|screen| screen.title()).collect();
        let on = if on.is_empty() {
            "all".to_owned()
        } else {
            on.join(", ")
        };
        let help = match binding.action {
            Action::Show(screen) => format!("the screen {}", screen.title()),
            _ => binding.help.to_owned(),
        };
        format!("| {} | `{}` | {help} | {on} |\n", keys.join(" "), binding.name)
    };
    let rows: String = Bindings::default().rows().map(row).collect();
    format!("| Keys | Name | What they do | Screens |\n|---|---|---|---|\n{rows}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things_and_all_names_differ() {
        assert_eq!(Bindings::chosen(&BTreeMap::new()), Bindings::default());
        assert_eq!(Bindings::default().action(Key::Char('x')), None);
        for (nth, binding) in BINDINGS.iter().enumerate() {
            let later = &BINDINGS[nth + 1..];
            assert!(
                later
                    .iter()
                    .all(|other| other.name != binding.name && other.action != binding.action),
                "{}",
                binding.name
            );
            assert_eq!(Action::from_name(binding.action.name()), Some(binding.action));
            for &key in binding.keys {
                assert_eq!(Key::from_name(&key.name()), Some(key));
            }
        }
    }

    #[test]
    fn chosen_keys_are_instead_of_those_of_the_table_and_taken_from_the_others() {
        let chosen = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            let pairs = pairs.map(|(action, key)| ((*action).to_owned(), vec![(*key).to_owned()]));
            Bindings::chosen(&pairs.collect())
        };
        let bindings = chosen(&[("freeze", "q"), ("quit", "Ctrl-q")]);
        assert_eq!(bindings.action(Key::Char('q')), Some(Action::Freeze));
        assert_eq!(
            (bindings.action(Key::Char(' ')), bindings.shown(Action::Quit)),
            (None, "Ctrl-q".to_owned())
        );
        let moved = chosen(&[("freeze", "j")]);
        assert_eq!(moved.shown(Action::Down), "Down");
        assert_eq!(moved.action(Key::Char('k')), Some(Action::Up));
    }

    #[test]
    fn table() {
        insta::assert_snapshot!("keys", manual());
    }
}
