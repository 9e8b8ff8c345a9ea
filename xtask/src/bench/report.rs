//! The figures as text and as docs/cost.md.

use std::fmt::Write as _;

use xtask::measure::{AFTER, BEFORE};

use super::figures::Kernel;
use super::subjects::{LOADS, LoadRow, SUBJECTS, Whose};

const HEAD: &str = "# What it costs

Instructions per operation, counted in a VM with one virtual CPU in which each instruction is a nanosecond (`cargo xtask bench`,
see docs/testing.md). They repeat to 0.1 %; they are no time: what a real CPU needs for an instruction is another matter. In brackets what
a subject takes above none. This file is generated; a change of a row of ours by more than 2 % must come with its new figures.
";

/// Loads that `kernel` has figures of.
fn loads(kernel: &Kernel) -> Vec<&'static LoadRow> {
    let measured = |load: &&LoadRow| kernel.figure(BEFORE, load.name).is_some();
    LOADS.iter().filter(measured).collect()
}

/// Subjects that it has figures of, `none` first and last.
fn subjects(kernel: &Kernel) -> Vec<&'static str> {
    let measured = |name: &&str| kernel.figures.iter().any(|figure| figure.subject == *name);
    let rows = SUBJECTS.iter().filter(|row| row.whose != Whose::Told);
    let names = rows.map(|row| row.name);
    let all = [BEFORE].into_iter().chain(names).chain([AFTER]);
    all.filter(measured).collect()
}

fn cell(kernel: &Kernel, subject: &str, load: &str) -> String {
    let Some(figure) = kernel.figure(subject, load) else {
        return "-".to_owned();
    };
    if subject == BEFORE || subject == AFTER {
        return format!("{:.0}", figure.instructions);
    }
    let ratio = figure.instructions / (figure.instructions - figure.above);
    format!("{:+.0} ×{ratio:.2}", figure.above)
}

/// The figures row by row, heads first; `first` is what the first column is called.
fn table(kernel: &Kernel, first: &str) -> Vec<Vec<String>> {
    let heads = loads(kernel).into_iter().map(|load| load.name.to_owned());
    let mut rows = vec![[first.to_owned()].into_iter().chain(heads).collect()];
    for subject in subjects(kernel) {
        let cells = loads(kernel)
            .into_iter()
            .map(|load| cell(kernel, subject, load.name));
        rows.push([subject.to_owned()].into_iter().chain(cells).collect());
    }
    rows
}

/// The table as wide as it needs; meant for a terminal.
pub(super) fn text(kernel: &Kernel) -> String {
    let table = table(kernel, &format!("kernel {}", kernel.kernel));
    let width = |column: usize| {
        let cells = table.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..table[0].len()).map(width).collect();
    let mut out = String::new();
    for row in &table {
        for (column, cell) in row.iter().enumerate() {
            let pad = widths[column] - cell.chars().count();
            let fill = " ".repeat(pad);
            let aligned = if column == 0 {
                format!("{cell}{fill}")
            } else {
                format!("  {fill}{cell}")
            };
            out += &aligned;
        }
        out = out.trim_end().to_owned() + "\n";
    }
    out
}

/// What the programs of ours take, a line each.
pub(super) fn programs(kernel: &Kernel) -> String {
    let mut out = String::new();
    for (subject, programs) in &kernel.programs {
        for program in programs {
            // A String takes everything.
            let _ = writeln!(
                out,
                "{subject}: {}: {:.0} instructions a run, {} runs",
                program.program, program.instructions, program.runs
            );
        }
    }
    out
}

/// docs/cost.md.
pub(super) fn markdown(kernels: &[Kernel]) -> String {
    let mut out = HEAD.to_owned();
    out += "\n| load | an operation |\n|---|---|\n";
    for load in &LOADS {
        // A String takes everything.
        let _ = writeln!(out, "| `{}` | {} |", load.name, load.what);
    }
    for kernel in kernels {
        let _ = writeln!(out, "\n## Kernel {}\n\n`{}`\n", kernel.kernel, kernel.version);
        let table = table(kernel, "beside");
        for (place, row) in table.iter().enumerate() {
            let first = emphasized(&row[0]);
            let _ = writeln!(out, "| {first} | {} |", row[1..].join(" | "));
            if place == 0 {
                let _ = writeln!(out, "|---|{}", "--:|".repeat(row.len() - 1));
            }
        }
        out += "\n| what | program | instructions a run | runs |\n|---|---|--:|--:|\n";
        for (subject, programs) in &kernel.programs {
            for program in programs {
                let _ = writeln!(
                    out,
                    "| {subject} | `{}` | {:.0} | {} |",
                    program.program, program.instructions, program.runs
                );
            }
        }
        let failed = failed(kernel);
        if !failed.is_empty() {
            let _ = writeln!(out, "\n{failed}");
        }
        out += "\n| start | M instructions to the first output | memory, MB | at most |\n|---|--:|--:|--:|\n";
        for start in &kernel.starts {
            let number =
                |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"));
            let _ = writeln!(
                out,
                "| {} | {} | {} | {} |",
                start.subject,
                number(start.first_output),
                number(start.rss_mb),
                number(start.peak_mb)
            );
        }
    }
    out
}

/// Subjects that could not be measured, a line each.
pub(super) fn failed(kernel: &Kernel) -> String {
    let lines = kernel.failed.iter();
    lines
        .map(|(name, why)| format!("{name}: not measured: {}\n", why.trim()))
        .collect()
}

fn emphasized(subject: &str) -> String {
    let ours = SUBJECTS
        .iter()
        .any(|row| row.name == subject && row.whose == Whose::Ours);
    if ours {
        format!("**{subject}**")
    } else {
        subject.to_owned()
    }
}
