//! The keys of `top`, once: dispatch, help, footer, documents and configuration all read one table.

mod key;
mod table;

pub use key::Key;
pub use table::{Action, BINDINGS, Binding};

/// Which keys do what in a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bindings {
    /// By row of [`BINDINGS`].
    keys: Vec<Vec<Key>>,
}

impl Default for Bindings {
    fn default() -> Self {
        Self {
            keys: BINDINGS.iter().map(|binding| binding.keys.to_vec()).collect(),
        }
    }
}

impl Bindings {
    /// The table with other keys for some actions.
    ///
    /// # Errors
    /// When a key then means two things, or nothing quits.
    pub fn with(changes: &[(Action, Vec<Key>)]) -> Result<Self, String> {
        let mut bindings = Self::default();
        for (action, keys) in changes {
            let row = BINDINGS.iter().position(|binding| binding.action == *action);
            if let Some(keys_of) = row.and_then(|row| bindings.keys.get_mut(row)) {
                keys_of.clone_from(keys);
            }
        }
        let mut seen: Vec<(Key, &str)> = Vec::new();
        for (binding, keys) in BINDINGS.iter().zip(&bindings.keys) {
            for &key in keys {
                if let Some((_, other)) = seen.iter().find(|(known, _)| *known == key) {
                    let name = key.name();
                    return Err(format!("key {name} means both {other} and {}", binding.name));
                }
                seen.push((key, binding.name));
            }
        }
        Ok(bindings)
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
        assert_eq!(Bindings::with(&[]), Ok(Bindings::default()));
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
    fn other_keys() {
        let bindings = Bindings::with(&[
            (Action::Quit, vec![Key::Ctrl('q')]),
            (Action::Freeze, vec![Key::Char('q')]),
        ])
        .unwrap();
        assert_eq!(bindings.action(Key::Char('q')), Some(Action::Freeze));
        assert_eq!(
            (bindings.action(Key::Char(' ')), bindings.shown(Action::Quit)),
            (None, "Ctrl-q".to_owned())
        );
        let twice = Bindings::with(&[(Action::Quit, vec![Key::Char('j')])]);
        assert_eq!(twice, Err("key j means both quit and down".to_owned()));
        assert_eq!(Key::from_name("Ctrl-1"), None);
        assert_eq!(Key::from_name("ab"), None);
        assert_eq!(Key::from_name("ctrl"), None);
    }

    #[test]
    fn table() {
        insta::assert_snapshot!("keys", manual());
    }
}
