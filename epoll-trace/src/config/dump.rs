//! A configuration as a file that says what each choice is: what is in effect, and what could be chosen.

use toml_edit::{Array, Value};

use super::{Config, Known};
use crate::view::tui::style::Theme;

/// The choices of `config`, and the defaults where there is none, as a file with comments; `origin` says where they come from.
pub fn dump(config: &Config, known: &Known, origin: &str) -> String {
    let [least, most] = Config::INTERVAL_S;
    let themes: Vec<_> = Theme::ALL.iter().map(|theme| theme.name()).collect();
    let mut text = format!("# {origin}\n# A flag goes before this file, and this file before the default.\n");
    let mut add = |help: &str, name: &str, value: Value| {
        text += &format!("\n# {help}\n{name} = {value}\n");
    };
    add(
        &format!("Seconds between two looks, {least} to {most}: -i"),
        "interval",
        config.interval().as_secs_f64().into(),
    );
    add(
        &format!("One of {}: --theme", themes.join(", ")),
        "theme",
        config.theme.unwrap_or_default().name().into(),
    );
    add(
        "No character beyond ASCII: --ascii",
        "ascii",
        config.ascii.unwrap_or(false).into(),
    );
    add(
        "The column that processes are sorted by: -S",
        "sort",
        config.sort().into(),
    );
    add(
        "Whether clicks and the wheel move in the screen; most terminals select text with Shift then",
        "mouse",
        config.mouse().into(),
    );
    text += "\n# Columns left to right; without a line all of them\n[columns]\n";
    for (screen, all) in &known.screens {
        let all = || all.iter().copied().collect();
        let chosen = config.columns.get(screen);
        text += &line(screen, chosen.map_or_else(all, |ids| list(ids)));
    }
    text += &format!(
        "\n# Keys of each action, instead of its own: {}\n[keys]\n",
        known.key_names
    );
    for action in &known.actions {
        let keys = config.keys.get(&action.name).unwrap_or(&action.keys);
        let line = line(&action.name, list(keys));
        text += &format!("{} # {}\n", line.trim_end(), action.help);
    }
    text
}

fn line(name: &str, list: Array) -> String {
    format!("{name} = {list}\n")
}

fn list(words: &[String]) -> Array {
    words.iter().collect()
}
