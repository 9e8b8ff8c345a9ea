//! The manual of every number, as Markdown: what it means, what it rests on, what it cannot see.

use std::io::{self, Write};

/// Numbers that rest on the same signals.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Section {
    /// Names of the signals.
    pub signals: Vec<String>,
    /// Where each is seen, by family.
    pub sources: Vec<String>,
    /// What cannot be seen, by family.
    pub blind: Vec<String>,
    /// Name, unit and meaning.
    pub numbers: Vec<[String; 3]>,
}

/// Writes `sections`, each with its sources and a table.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut dyn Write, sections: &[Section]) -> io::Result<()> {
    for section in sections {
        writeln!(out, "### By {}", section.signals.join(", "))?;
        writeln!(out, "| Number | Unit | Meaning |\n|---|---|---|")?;
        for [name, unit, meaning] in &section.numbers {
            writeln!(out, "| `{name}` | {unit} | {meaning} |")?;
        }
        writeln!(out)?;
        for source in &section.sources {
            writeln!(out, "- {source}")?;
        }
        for blind in &section.blind {
            writeln!(out, "- **not seen**, {blind}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}
