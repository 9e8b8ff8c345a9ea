//! The hidden command that attaches ours, empty programs or nothing at a word on stdin, for the benchmark: between two windows
//! of a load nothing else changes, neither a process nor what is loaded.

use std::io::{BufRead, Write};

use anyhow::{Context as _, bail};
use serde::Serialize;

use super::attach::loaded;
use super::floor::{load, wishes};
use crate::cli::{FloorArgs, GlobalArgs};

/// Name of the hidden command.
pub const SWITCH: &str = "__switch";

/// What is attached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    None,
    Floor,
    Ours,
}

impl Side {
    fn named(word: &str) -> anyhow::Result<Self> {
        match word {
            "none" => Ok(Self::None),
            "floor" => Ok(Self::Floor),
            "ours" => Ok(Self::Ours),
            other => bail!("{other:?} on stdin: give none, floor or ours"),
        }
    }
}

/// The answer to a word.
#[derive(Serialize)]
struct Switched {
    v: u32,
    kind: &'static str,
    to: Side,
}

/// Loads ours and the empty programs for what `args` describe. Then attaches, for each line of `input`, what it names in place
/// of what was attached before, and says so in a line of JSON. Ends with the input.
///
/// # Errors
/// When one of the programs cannot be loaded or attached, or a line is no word it knows.
pub fn run(
    args: &FloorArgs,
    global: &GlobalArgs,
    input: &mut dyn BufRead,
    out: &mut dyn Write,
) -> anyhow::Result<u8> {
    let mut floor = load(args, global)?;
    let mut ours = loaded(global, &wishes(args))?;
    for line in input.lines() {
        let to = Side::named(line.context("cannot read stdin")?.trim())?;
        floor.detach();
        ours.loaded().detach();
        match to {
            Side::None => {}
            Side::Floor => floor.attach()?,
            Side::Ours => ours.loaded().attach(),
        }
        if let Some((name, why)) = ours.loaded().broken.first_key_value() {
            bail!("cannot attach {name}: {why}");
        }
        let switched = Switched {
            v: 1,
            kind: "switched",
            to,
        };
        serde_json::to_writer(&mut *out, &switched).context("cannot write the output")?;
        writeln!(out)
            .and_then(|()| out.flush())
            .context("cannot write the output")?;
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::Side;

    #[test]
    fn words() {
        assert_eq!(Side::named("ours").unwrap(), Side::Ours);
        let error = Side::named("Ours").unwrap_err();
        assert_eq!(error.to_string(), "\"Ours\" on stdin: give none, floor or ours");
    }
}
