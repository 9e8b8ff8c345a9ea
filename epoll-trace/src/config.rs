//! What a person chose for the screen of `top`, as a file holds it: pure, the commands read and write the file.
//!
//! Everything is optional: a flag goes before the file, and the file before the default.

mod dump;
mod edit;
mod read;

use std::collections::BTreeMap;
use std::time::Duration;

use thiserror::Error;

use crate::view::tui::style::Theme;

pub use dump::dump;
pub use edit::with_columns;
pub use read::parse;

/// What a configuration may name.
#[derive(Clone, Debug)]
pub struct Known {
    /// Each screen, and its columns as they are without a choice. The first is what `sort` is about.
    pub screens: Vec<(String, Vec<&'static str>)>,
    /// Each action, the names of its keys, and one line of help.
    pub actions: Vec<KnownAction>,
    /// Whether a key has this name.
    pub is_key: fn(&str) -> bool,
    /// How keys are written.
    pub key_names: &'static str,
}

/// An action that keys can be chosen for.
#[derive(Clone, Debug)]
pub struct KnownAction {
    /// Its name.
    pub name: String,
    /// Its keys without a choice.
    pub keys: Vec<String>,
    /// One line of help.
    pub help: &'static str,
}

/// What was chosen; `None` is no choice.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Config {
    /// Time between two looks.
    pub interval: Option<Duration>,
    /// Which colors.
    pub theme: Option<Theme>,
    /// No character beyond ASCII.
    pub ascii: Option<bool>,
    /// Id of the column that processes are sorted by.
    pub sort: Option<String>,
    /// Whether the screen takes the mouse, so that the terminal cannot select text with it.
    pub mouse: Option<bool>,
    /// By screen: ids of the columns to show, left to right.
    pub columns: BTreeMap<String, Vec<String>>,
    /// By action: names of its keys.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Config {
    /// The shortest and the longest time between two looks, s.
    pub const INTERVAL_S: [f64; 2] = [0.1, 10.0];

    /// What is chosen here, else what `other` has.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let both = |mut own: BTreeMap<_, _>, other: BTreeMap<_, _>| {
            for (name, chosen) in other {
                own.entry(name).or_insert(chosen);
            }
            own
        };
        Self {
            interval: self.interval.or(other.interval),
            theme: self.theme.or(other.theme),
            ascii: self.ascii.or(other.ascii),
            sort: self.sort.or(other.sort),
            mouse: self.mouse.or(other.mouse),
            columns: both(self.columns, other.columns),
            keys: both(self.keys, other.keys),
        }
    }

    /// Time between two looks.
    pub fn interval(&self) -> Duration {
        self.interval.unwrap_or(Duration::from_secs(1))
    }

    /// Id of the column that processes are sorted by.
    pub fn sort(&self) -> &str {
        self.sort.as_deref().unwrap_or("p99")
    }

    /// Whether the screen takes the mouse.
    pub fn mouse(&self) -> bool {
        self.mouse.unwrap_or(true)
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{file}:{line}: {what}")]
pub struct ConfigError {
    /// The file, as it was asked for.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// One sentence, with what is allowed.
    pub what: String,
}

#[cfg(test)]
mod tests;
