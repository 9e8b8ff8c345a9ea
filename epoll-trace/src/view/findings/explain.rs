//! A diagnosis explained at length, for a terminal and for the documents.

use std::io::{self, Write};

use super::super::wrap::wrapped;
use super::INDENT;
use crate::model::finding::{DIAGNOSES, Diagnosis, Limit, Limits, WORDS, used_in};

/// The thresholds of a diagnosis: the help of each begins with whose it is.
fn thresholds(diagnosis: &Diagnosis) -> impl Iterator<Item = (Limit, &'static str)> {
    let all = Limit::ALL.iter();
    all.filter_map(|&limit| {
        let meaning = limit.help().strip_prefix(diagnosis.id)?;
        Some((limit, meaning.strip_prefix(": ")?))
    })
}

/// The parts of an explanation, each with its title.
fn parts(diagnosis: &Diagnosis, limits: &Limits) -> Vec<(&'static str, String)> {
    let parts = [
        ("What it means", diagnosis.means),
        ("How it is told", diagnosis.measured),
        ("When it is raised", diagnosis.severity),
        ("When it is a false alarm", diagnosis.false_alarm),
        ("What to do", diagnosis.remedy),
        ("What that costs", diagnosis.price),
        ("Where it is from", diagnosis.source),
    ];
    let filled = |(title, text): (&'static str, &str)| (title, limits.filled(text));
    parts.into_iter().map(filled).collect()
}

/// Writes all that is known of `diagnosis`, with the thresholds in force.
///
/// # Errors
/// When `out` cannot be written.
pub fn explain(out: &mut dyn Write, diagnosis: &Diagnosis, limits: &Limits) -> io::Result<()> {
    writeln!(out, "{} {}", diagnosis.id, diagnosis.name)?;
    for (title, text) in parts(diagnosis, limits) {
        write!(out, "\n{title}\n{}", wrapped(&text, INDENT, INDENT))?;
    }
    let own: Vec<String> = thresholds(diagnosis)
        .map(|(limit, meaning)| format!("{}={}: {meaning}", limit.name(), limits.get(limit)))
        .collect();
    if !own.is_empty() {
        writeln!(out, "\nThresholds (--threshold NAME=VALUE)")?;
    }
    for line in own {
        write!(out, "{}", wrapped(&line, INDENT, "    "))?;
    }
    let words = used_in(&diagnosis.texts());
    if !words.is_empty() {
        writeln!(out, "\nWords")?;
    }
    for (word, meaning) in words {
        write!(out, "{}", wrapped(&format!("{word}: {meaning}"), INDENT, "    "))?;
    }
    writeln!(out, "\nSee also: epoll-trace {}", diagnosis.command)
}

/// Writes the manual of all diagnoses, thresholds and words, for docs/diagnoses.md.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_manual(out: &mut dyn Write) -> io::Result<()> {
    let limits = Limits::default();
    writeln!(out, "| | Diagnosis | Raised | Rests on |\n|---|---|---|---|")?;
    for diagnosis in DIAGNOSES {
        let needs: Vec<String> = diagnosis.needs.iter().map(|name| format!("`{name}`")).collect();
        writeln!(
            out,
            "| {} | {} | {} | {} |",
            diagnosis.id,
            diagnosis.name,
            limits.filled(diagnosis.severity),
            needs.join(", ")
        )?;
    }
    for diagnosis in DIAGNOSES {
        writeln!(out, "\n### {} {}\n", diagnosis.id, diagnosis.name)?;
        for (title, text) in parts(diagnosis, &limits) {
            writeln!(out, "- **{title}**: {text}")?;
        }
        writeln!(out, "- **See also**: `epoll-trace {}`", diagnosis.command)?;
    }
    writeln!(
        out,
        "\n### Thresholds\n\n| Name | Default | Meaning |\n|---|--:|---|"
    )?;
    for limit in Limit::ALL {
        writeln!(
            out,
            "| `{}` | {} | {} |",
            limit.name(),
            limit.default(),
            limit.help()
        )?;
    }
    writeln!(out, "\n### Words\n")?;
    for (word, meaning) in WORDS {
        writeln!(out, "- **{word}**: {meaning}")?;
    }
    Ok(())
}
