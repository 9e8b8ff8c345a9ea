//! `cargo xtask docs`: writes the generated parts of the documents, each between two marks.
//!
//! What can be had from the source and the program is compared by `cargo xtask test`; what needs the VMs is only
//! looked for there.

mod captures;
mod cli;
mod probes;
mod source;

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result};

use crate::builds;
use crate::paths;
use crate::setup::bpf;

/// Where a part stands, and its name in the marks.
type Part = (&'static str, &'static str);

const README: &str = "README.md";
const METRICS: &str = "docs/metrics.md";
const JSON: &str = "docs/json.md";
const PROBES: &str = "docs/probes.md";
const DIAGNOSES: &str = "docs/diagnoses.md";
const KEYS: &str = "docs/keys.md";

/// Made without a VM, so compared by every test run.
const CHEAP: &[Part] = &[
    ("docs/cli.md", "cli"),
    (METRICS, "numbers"),
    (DIAGNOSES, "diagnoses"),
    (KEYS, "keys"),
    (JSON, "metrics"),
    (JSON, "counters"),
    (JSON, "epoll-counters"),
    (JSON, "losses"),
    (PROBES, "maps"),
];
/// Made of what the VMs say.
const CAPTURED: &[Part] = &[
    (README, "top"),
    (README, "demo"),
    (README, "hist"),
    (README, "kernels"),
    ("docs/top.md", "tour"),
    (PROBES, "signals"),
    (JSON, "examples"),
];

/// `cargo xtask docs`.
#[derive(clap::Args, Debug)]
pub(crate) struct Arguments {
    /// Write nothing; fail where a document is not up to date, as far as that can be told without a VM
    #[arg(long)]
    check: bool,
    /// Leave out what needs the VMs
    #[arg(long, conflicts_with = "check")]
    no_vm: bool,
}

/// Text of each generated part by its name in the marks.
type Bodies = BTreeMap<&'static str, String>;

/// Writes the documents.
///
/// # Errors
/// A document has not its marks, the program does not build, or a VM fails.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    if arguments.check {
        return check();
    }
    let mut bodies = cheap()?;
    if !arguments.no_vm {
        bodies.extend(captures::all()?);
    }
    for (file, name) in CHEAP.iter().chain(CAPTURED) {
        let text = read(file)?;
        // A part that was not made this time still must have its place.
        let body = bodies
            .get(name)
            .map_or_else(|| part(&text, name), |body| Ok(body));
        let new = body
            .and_then(|body| replaced(&text, name, body))
            .with_context(|| format!("in {file}"))?;
        if new != text {
            fs::write(paths::workspace().join(file), new).with_context(|| format!("cannot write {file}"))?;
            println!("wrote {name} in {file}");
        }
    }
    Ok(true)
}

/// Whether the documents are up to date, as far as that can be told without a VM.
///
/// # Errors
/// As [`run`].
pub(crate) fn check() -> Result<bool> {
    let bodies = cheap()?;
    let mut good = true;
    for (file, name) in CHEAP.iter().chain(CAPTURED) {
        let text = read(file)?;
        let written = part(&text, name).with_context(|| format!("in {file}"))?;
        let wrong = match bodies.get(name) {
            Some(body) if written.trim() != body.trim() => "is not up to date",
            None if written.trim().is_empty() => "is empty",
            _ => continue,
        };
        println!("{file}: {name} {wrong}; run `cargo xtask docs`");
        good = false;
    }
    Ok(good)
}

fn cheap() -> Result<Bodies> {
    let program = builds::tested(&bpf::ensure()?)?;
    Ok(Bodies::from([
        ("cli", cli::help(&program)?),
        ("numbers", cli::numbers(&program)?),
        ("diagnoses", cli::diagnoses(&program)?),
        ("keys", cli::keys(&program)?),
        ("metrics", source::names("Metric", "Metric")?),
        ("counters", source::names("Counter", "Counter")?),
        (
            "epoll-counters",
            source::names("Counter of an epoll", "EpollCounter")?,
        ),
        ("losses", source::losses()?),
        ("maps", source::maps()?),
    ]))
}

/// A file of the workspace.
fn read(file: &str) -> Result<String> {
    fs::read_to_string(paths::workspace().join(file)).with_context(|| format!("cannot read {file}"))
}

fn marks(name: &str) -> (String, String) {
    (
        format!("<!-- generated: {name} (cargo xtask docs) -->\n"),
        format!("<!-- end: {name} -->"),
    )
}

/// What stands between the marks of `name`.
fn part<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    let (begin, end) = marks(name);
    let missing = || format!("the marks of {name} are missing: {}{end}", begin.trim_end());
    let (_, rest) = text.split_once(&begin).with_context(missing)?;
    rest.split_once(&end).map(|(body, _)| body).with_context(missing)
}

fn replaced(text: &str, name: &str, body: &str) -> Result<String> {
    let (begin, _) = marks(name);
    let old = format!("{begin}{}", part(text, name)?);
    Ok(text.replacen(&old, &format!("{begin}{}\n", body.trim_end()), 1))
}

#[cfg(test)]
mod tests {
    use super::{CAPTURED, CHEAP, part, read, replaced};

    const TEXT: &str = "a\n<!-- generated: x (cargo xtask docs) -->\nold\n<!-- end: x -->\nb\n";

    #[test]
    fn a_part_is_replaced_and_nothing_else() {
        let new = replaced(TEXT, "x", "new\n\n").unwrap();
        assert_eq!(new, TEXT.replace("old", "new"));
        assert_eq!(replaced(&new, "x", "new").unwrap(), new);
        assert!(part(TEXT, "y").is_err());
    }

    #[test]
    fn every_part_has_its_place() {
        for (file, name) in CHEAP.iter().chain(CAPTURED) {
            part(&read(file).unwrap(), name).unwrap();
        }
    }
}
