//! Findings: sentences with their numbers for people, JSON Lines and CSV for programs.

mod explain;
mod lines;

use std::io::{self, Write};

use super::herds::describe;
use super::sanitize::sanitize;
use super::units::{TimeUnit, auto_time, short};
use super::wrap::wrapped;
use super::{losses_line, units};
use crate::fields::Value;
use crate::model::delta::Window;
use crate::model::finding::{
    Amount, Check, Evidence, Examination, Finding, Limit, Limits, Outcome, Subject, What,
};

pub use explain::{explain, write_manual};
pub use lines::{write_csv, write_csv_header, write_json};

const INDENT: &str = "  ";
/// Findings of one diagnosis that are shown in text; the others are counted.
const SHOWN: usize = 4;

/// What one block is made from.
#[derive(Clone, Copy, Debug)]
pub struct FindingReport<'a> {
    /// What was counted, with losses and absent reasons.
    pub window: &'a Window,
    /// What it says.
    pub examination: &'a Examination,
    /// The thresholds it was judged by.
    pub limits: &'a Limits,
    /// How many findings are shown at most.
    pub most: usize,
}

impl<'a> FindingReport<'a> {
    fn findings(&self) -> &'a [Finding] {
        let all = &self.examination.findings;
        all.get(..self.most).unwrap_or(all)
    }
}

/// How text is written.
#[derive(Clone, Copy, Debug)]
pub struct TextStyle {
    /// No character beyond ASCII.
    pub ascii: bool,
    /// Unit of times, where one is asked for.
    pub unit: Option<TimeUnit>,
}

/// Writes one block as text: each finding with its evidence, remedy and price, then what was checked and what could not be.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(
    out: &mut dyn Write,
    report: &FindingReport<'_>,
    style: TextStyle,
    time_of_day: Option<&str>,
) -> io::Result<()> {
    if let Some(time) = time_of_day {
        writeln!(out, "{time}")?;
    }
    let mut shown: Vec<(&str, usize)> = Vec::new();
    for finding in report.findings() {
        let id = finding.diagnosis.id;
        let before = match shown.iter_mut().find(|(known, _)| *known == id) {
            Some((_, count)) => {
                *count += 1;
                *count - 1
            }
            None => {
                shown.push((id, 1));
                0
            }
        };
        if before < SHOWN {
            write_finding(out, finding, report.limits, style, before == 0)?;
        }
    }
    for (id, count) in shown {
        if count > SHOWN {
            writeln!(out, "{id} holds of {} more; --json lists them.", count - SHOWN)?;
        }
    }
    write!(out, "{}", wrapped(&conclusion(report), "", ""))?;
    checks(out, report)?;
    let losses = losses_line(&report.window.counted.losses);
    write!(out, "{}", wrapped(&losses, "", INDENT))?;
    writeln!(out)
}

/// Writes why something is not shown, and the losses: what a CSV table has no room for.
///
/// # Errors
/// When `out` cannot be written.
pub fn notes(out: &mut dyn Write, report: &FindingReport<'_>) -> io::Result<()> {
    write!(out, "{}", wrapped(&conclusion(report), "", ""))?;
    checks(out, report)?;
    let losses = losses_line(&report.window.counted.losses);
    write!(out, "{}", wrapped(&losses, "", INDENT))
}

/// Writes one finding; with `advice` also what to do about it, which is the same for all of a kind.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_finding(
    out: &mut dyn Write,
    finding: &Finding,
    limits: &Limits,
    style: TextStyle,
    advice: bool,
) -> io::Result<()> {
    let diagnosis = finding.diagnosis;
    let head = format!(
        "{} {}  {}: {}",
        diagnosis.id,
        finding.severity.name(),
        diagnosis.name,
        subject(&finding.subject, style.ascii)
    );
    write!(out, "{}", wrapped(&head, "", INDENT))?;
    let numbers: Vec<String> = finding
        .evidence
        .iter()
        .map(|evidence| format!("{} {}", label(evidence.name), amount(evidence, style.unit)))
        .collect();
    let confidence = format!("{} ({})", finding.confidence.level.name(), finding.confidence.why);
    let mut lines = vec![
        ("", finding.sentence.clone()),
        ("evidence: ", numbers.join(", ")),
        ("confidence: ", confidence),
    ];
    if advice {
        lines.push(("remedy: ", limits.filled(diagnosis.remedy)));
        lines.push(("price: ", limits.filled(diagnosis.price)));
        lines.push(("more: ", more(finding)));
    }
    for (title, text) in lines {
        write!(out, "{}", wrapped(&format!("{title}{text}"), INDENT, "    "))?;
    }
    writeln!(out)
}

fn more(finding: &Finding) -> String {
    let diagnosis = finding.diagnosis;
    let whom = match finding.subject.key.pid {
        0 => String::new(),
        pid => format!(" -p {pid}"),
    };
    format!(
        "epoll-trace {}{whom}; epoll-trace diagnose --explain {}",
        diagnosis.command, diagnosis.id
    )
}

/// Whom it is about, safe for a terminal.
fn subject(subject: &Subject, ascii: bool) -> String {
    let epoll = subject.key.epoll_name().filter(|_| subject.key.pid != 0);
    let epoll = epoll.map_or_else(
        || "an epoll of an unknown process".to_owned(),
        |epoll| format!("epoll {epoll} of {}", sanitize(&subject.name, ascii)),
    );
    match &subject.what {
        What::Process => format!("process {} {}", subject.key.pid, sanitize(&subject.name, ascii)),
        What::Epoll => epoll,
        What::Lock { kind, .. } => format!("{} of {epoll}", kind.name()),
        What::Source { named, workers, .. } => {
            let what = named.as_ref().map_or_else(
                |_| "a file without a name".to_owned(),
                |named| describe(named, ascii),
            );
            let others = match workers {
                0 | 1 => String::new(),
                2 => " and another epoll".to_owned(),
                more => format!(" and {} other epolls", more - 1),
            };
            format!("{what}, watched by {epoll}{others}")
        }
    }
}

/// Words of a number: units stand with its value.
fn label(name: &str) -> String {
    let name = name.strip_suffix("_ns").unwrap_or(name);
    let name = name.strip_suffix("_share").unwrap_or(name);
    name.strip_suffix("_per_s")
        .map_or_else(|| name.to_owned(), |name| format!("{name}/s"))
        .replace('_', " ")
}

fn amount(evidence: &Evidence, unit: Option<TimeUnit>) -> String {
    match (evidence.amount, unit) {
        (Amount::Nanos(ns), Some(unit)) => unit.time(ns),
        (Amount::Nanos(ns), None) => auto_time(ns),
        (Amount::Unknown, _) => units::ABSENT.to_owned(),
        (Amount::Count(count), _) => short(&Value::Count(count)),
        (Amount::Ratio(ratio), _) => short(&Value::Ratio(ratio)),
        (Amount::Share(share), _) => short(&Value::Share(share)),
        (Amount::Rate(rate), _) => short(&Value::Rate(rate)),
    }
}

/// What all of it comes to, in a sentence or two.
fn conclusion(report: &FindingReport<'_>) -> String {
    let examination = report.examination;
    let span = auto_time(report.window.span_ns);
    if examination.epolls == 0 {
        return format!("No epoll was in use in these {span}, so there was nothing to check.");
    }
    let all = examination.checks.len();
    let checked = examination
        .checks
        .iter()
        .filter(|check| matches!(check.outcome, Outcome::Clear(_) | Outcome::Found(_)))
        .count();
    let what = match examination.findings.len() {
        0 => "Nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        findings => format!("{findings} findings"),
    };
    format!(
        "{what} in {span}: {checked} of {all} diagnoses could be checked, on {} epolls and {} shared files.",
        examination.epolls, examination.sources
    )
}

/// What was checked and does not hold, and what could not be checked, with the reason.
fn checks(out: &mut dyn Write, report: &FindingReport<'_>) -> io::Result<()> {
    let list = |title: &str, chosen: Vec<String>| {
        if chosen.is_empty() {
            return String::new();
        }
        wrapped(&format!("{title}: {}", chosen.join(", ")), "", INDENT)
    };
    let mut clear = Vec::new();
    let mut few = Vec::new();
    let mut unchecked = Vec::new();
    for check in &report.examination.checks {
        let name = format!("{} {}", check.diagnosis.id, check.diagnosis.name);
        match &check.outcome {
            Outcome::Found(_) => {}
            Outcome::Clear(_) => clear.push(name + &unknown(check)),
            Outcome::TooFew(most) => few.push(format!("{name} ({most})")),
            Outcome::Unchecked(why) => unchecked.push(format!("{name}: {why}")),
        }
    }
    let samples = report.limits.get(Limit::Samples);
    write!(out, "{}", list("checked, and does not hold", clear))?;
    let title = format!("not enough data, below {samples} samples (the most there were)");
    write!(out, "{}", list(&title, few))?;
    if !unchecked.is_empty() {
        writeln!(out, "could not be checked:")?;
    }
    for line in unchecked {
        write!(out, "{}", wrapped(&sanitize(&line, false), INDENT, "    "))?;
    }
    Ok(())
}

fn unknown(check: &Check) -> String {
    match check.unknown {
        0 => String::new(),
        count => format!(" ({count} could not be told)"),
    }
}

#[cfg(test)]
mod tests;
