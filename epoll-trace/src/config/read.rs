//! From the text of a file to a configuration, or to one sentence about its first mistake.

use std::ops::Range;
use std::time::Duration;

use toml_edit::{Document, Item, TableLike, TomlError};

use super::{Config, ConfigError, Known};
use crate::view::tui::style::Theme;

/// Where in the text, and what is wrong there.
type Mistake = (Option<Range<usize>>, String);

/// Sets one choice.
type Set = fn(&mut Config, &Item, &Known) -> Result<(), Mistake>;

/// Every name at the top of a file.
const NAMES: &[(&str, Set)] = &[
    ("interval", interval),
    ("theme", theme),
    ("ascii", |config, item, _| {
        config.ascii = Some(truth(item)?);
        Ok(())
    }),
    ("sort", sort),
    ("mouse", |config, item, _| {
        config.mouse = Some(truth(item)?);
        Ok(())
    }),
    ("columns", columns),
    ("keys", keys),
];

/// Reads `text`, the content of `file`.
///
/// # Errors
/// It is no TOML, names what does not exist, or chooses what is not allowed.
pub fn parse(text: &str, file: &str, known: &Known) -> Result<Config, ConfigError> {
    let error = |(span, what): Mistake| ConfigError {
        file: file.to_owned(),
        line: span.map_or(1, |span| line_of(text, span.start)),
        what,
    };
    let document = Document::parse(text).map_err(|wrong| error((wrong.span(), syntax(&wrong))))?;
    let mut config = Config::default();
    for (key, item) in document.iter() {
        let Some((_, set)) = NAMES.iter().find(|(name, _)| *name == key) else {
            let names = NAMES.iter().map(|&(name, _)| name);
            let span = document.key(key).and_then(toml_edit::Key::span).or(item.span());
            return Err(error((span, unknown("setting", key, names))));
        };
        let set = set(&mut config, item, known);
        set.map_err(|(span, what)| error((span, format!("{key}: {what}"))))?;
    }
    Ok(config)
}

/// toml_edit may say more than one line.
pub(super) fn syntax(wrong: &TomlError) -> String {
    let words: Vec<_> = wrong.message().lines().map(str::trim).collect();
    format!("this is no TOML: {}", words.join(", "))
}

pub(super) fn line_of(text: &str, at: usize) -> usize {
    let before = &text.as_bytes()[..at.min(text.len())];
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}

fn unknown<'a>(what: &str, name: &str, allowed: impl Iterator<Item = &'a str>) -> String {
    format!("no {what} {name:?}, give one of {}", listed(allowed))
}

fn listed<'a>(names: impl Iterator<Item = &'a str>) -> String {
    names.collect::<Vec<_>>().join(", ")
}

fn wrong<T>(item: &Item, allowed: impl Into<String>) -> Result<T, Mistake> {
    Err((item.span(), allowed.into()))
}

fn truth(item: &Item) -> Result<bool, Mistake> {
    item.as_bool()
        .map_or_else(|| wrong(item, "give true or false"), Ok)
}

fn interval(config: &mut Config, item: &Item, _: &Known) -> Result<(), Mistake> {
    let [least, most] = Config::INTERVAL_S;
    let number = item
        .as_float()
        .or_else(|| item.as_integer().map(|whole| whole as f64));
    let seconds = number.filter(|seconds| (least..=most).contains(seconds));
    match seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        Some(interval) => config.interval = Some(interval),
        None => return wrong(item, format!("give seconds from {least} to {most}")),
    }
    Ok(())
}

fn theme(config: &mut Config, item: &Item, _: &Known) -> Result<(), Mistake> {
    let name = word(item)?;
    match Theme::from_name(name) {
        Some(theme) => config.theme = Some(theme),
        None => {
            let names = Theme::ALL.iter().map(|theme| theme.name());
            return wrong(item, unknown("theme", name, names));
        }
    }
    Ok(())
}

fn sort(config: &mut Config, item: &Item, known: &Known) -> Result<(), Mistake> {
    let id = word(item)?;
    let columns = known.screens.first().map_or(&[][..], |(_, columns)| columns);
    if !columns.contains(&id) {
        return wrong(item, unknown("column", id, columns.iter().copied()));
    }
    config.sort = Some(id.to_owned());
    Ok(())
}

fn columns(config: &mut Config, item: &Item, known: &Known) -> Result<(), Mistake> {
    let table = table(item, "give a table: [columns], with a list for each screen")?;
    for (screen, item) in table.iter() {
        let Some((_, all)) = known.screens.iter().find(|(name, _)| name == screen) else {
            let names = known.screens.iter().map(|(name, _)| name.as_str());
            return Err((name_span(table, screen), unknown("screen", screen, names)));
        };
        let ids = words(item, |id| match all.contains(&id) {
            true => Ok(()),
            false => Err(unknown("column", id, all.iter().copied())),
        })?;
        if ids.is_empty() {
            let all = listed(all.iter().copied());
            return wrong(item, format!("{screen} needs a column at least: {all}"));
        }
        config.columns.insert(screen.to_owned(), ids);
    }
    Ok(())
}

fn keys(config: &mut Config, item: &Item, known: &Known) -> Result<(), Mistake> {
    let table = table(item, "give a table: [keys], with a list for each action")?;
    for (action, item) in table.iter() {
        if !known.actions.iter().any(|known| known.name == action) {
            let names = known.actions.iter().map(|known| known.name.as_str());
            return Err((name_span(table, action), unknown("action", action, names)));
        }
        let taken = |key: &str| {
            let mut chosen = config.keys.iter();
            chosen.find(|(_, keys)| {
                keys.iter()
                    .any(|other| other.eq_ignore_ascii_case(key) && key.len() > 1 || other == key)
            })
        };
        let names = words(item, |key| {
            if !(known.is_key)(key) {
                return Err(format!("no key {key:?}, give {}", known.key_names));
            }
            match taken(key) {
                Some((other, _)) => Err(format!(
                    "{key} is the key of {other} already, give one action alone"
                )),
                None => Ok(()),
            }
        })?;
        config.keys.insert(action.to_owned(), names);
    }
    Ok(())
}

fn table<'a>(item: &'a Item, allowed: &str) -> Result<&'a dyn TableLike, Mistake> {
    item.as_table_like().map_or_else(|| wrong(item, allowed), Ok)
}

fn name_span(table: &dyn TableLike, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(toml_edit::Key::span)
}

fn word(item: &Item) -> Result<&str, Mistake> {
    item.as_str()
        .map_or_else(|| wrong(item, "give a text in quotes"), Ok)
}

/// A list of words, each once, that all are `allowed`.
fn words(item: &Item, allowed: impl Fn(&str) -> Result<(), String>) -> Result<Vec<String>, Mistake> {
    let Some(values) = item.as_array() else {
        return wrong(item, "give a list of texts: [\"...\", \"...\"]");
    };
    let mut words: Vec<String> = Vec::new();
    for value in values {
        let wrong = |what| (value.span(), what);
        let Some(word) = value.as_str() else {
            return Err(wrong("give a text in quotes".to_owned()));
        };
        allowed(word).map_err(wrong)?;
        if words.iter().any(|before| before == word) {
            return Err(wrong(format!("{word:?} stands here twice, give it once")));
        }
        words.push(word.to_owned());
    }
    Ok(words)
}
