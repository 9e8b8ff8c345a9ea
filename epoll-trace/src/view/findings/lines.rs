//! Findings for programs.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::super::csv;
use super::super::json::{VERSION, write_line, write_losses};
use super::super::sanitize::sanitize;
use super::FindingReport;
use crate::model::finding::{Amount, Check, Finding, Limit, Limits, Outcome, What};
use crate::model::source::Named;

#[derive(Serialize)]
struct FindingLine<'a> {
    v: u32,
    kind: &'static str,
    span_ns: u64,
    id: &'static str,
    name: &'static str,
    severity: &'static str,
    confidence: &'static str,
    confidence_why: &'a str,
    about: &'static str,
    pid: Option<u32>,
    epoll: Option<String>,
    comm: &'a str,
    lock: Option<&'static str>,
    fd: Option<i32>,
    source: Option<&'a str>,
    source_name: Option<&'a str>,
    workers: Option<u64>,
    evidence: Map<String, Value>,
    sentence: &'a str,
    remedy: String,
    price: String,
    command: &'static str,
}

#[derive(Serialize)]
struct ChecksLine<'a> {
    v: u32,
    kind: &'static str,
    span_ns: u64,
    epolls: u64,
    sources: u64,
    /// Those that the user changed.
    thresholds: BTreeMap<&'static str, f64>,
    checks: Vec<CheckLine<'a>>,
}

#[derive(Serialize)]
struct CheckLine<'a> {
    id: &'static str,
    name: &'static str,
    outcome: &'static str,
    /// Of how many it holds, or does not.
    subjects: Option<u64>,
    /// The most samples that anybody had, where they were too few.
    samples: Option<u64>,
    /// Of how many something was not known.
    unknown: u64,
    why: Option<&'a str>,
}

/// Writes one block as JSON Lines: a line per finding, one of what was checked, and the losses, which end the block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut dyn Write, report: &FindingReport<'_>) -> io::Result<()> {
    for finding in report.findings() {
        write_line(out, &line(finding, report))?;
    }
    write_line(out, &checks_line(report))?;
    write_losses(out, report.window)
}

fn line<'a>(finding: &'a Finding, report: &FindingReport<'_>) -> FindingLine<'a> {
    let subject = &finding.subject;
    let (about, lock, fd, source, workers) = match &subject.what {
        What::Process => ("process", None, None, None, None),
        What::Epoll => ("epoll", None, None, None, None),
        What::Lock { kind, fd } => ("lock", Some(kind.name()), *fd, None, None),
        What::Source {
            named, fd, workers, ..
        } => ("source", None, *fd, named.as_deref().ok(), Some(*workers)),
    };
    let source: Option<&'a Named> = source;
    let known = subject.key.pid != 0;
    FindingLine {
        v: VERSION,
        kind: "finding",
        span_ns: report.window.span_ns,
        id: finding.diagnosis.id,
        name: finding.diagnosis.name,
        severity: finding.severity.name(),
        confidence: finding.confidence.level.name(),
        confidence_why: &finding.confidence.why,
        about,
        pid: known.then_some(subject.key.pid),
        epoll: subject.key.epoll_name().filter(|_| known),
        comm: &subject.name,
        lock,
        fd,
        source: source.map(|named| named.kind.as_str()),
        source_name: source.and_then(|named| named.name.as_deref()),
        workers,
        evidence: evidence(finding),
        sentence: &finding.sentence,
        remedy: report.limits.filled(finding.diagnosis.remedy),
        price: report.limits.filled(finding.diagnosis.price),
        command: finding.diagnosis.command,
    }
}

fn evidence(finding: &Finding) -> Map<String, Value> {
    let number = |amount| match amount {
        Amount::Unknown => Value::Null,
        Amount::Count(count) | Amount::Nanos(count) => json!(count),
        Amount::Ratio(number) | Amount::Share(number) | Amount::Rate(number) => json!(number),
    };
    let named = finding.evidence.iter();
    named
        .map(|evidence| (evidence.name.to_owned(), number(evidence.amount)))
        .collect()
}

fn checks_line<'a>(report: &FindingReport<'a>) -> ChecksLine<'a> {
    ChecksLine {
        v: VERSION,
        kind: "checks",
        span_ns: report.window.span_ns,
        epolls: report.examination.epolls,
        sources: report.examination.sources,
        thresholds: changed(report.limits),
        checks: report.examination.checks.iter().map(check_line).collect(),
    }
}

fn changed(limits: &Limits) -> BTreeMap<&'static str, f64> {
    let all = Limit::ALL.iter();
    all.map(|&limit| (limit.name(), limits.get(limit), limit.default()))
        .filter(|(_, value, default)| value != default)
        .map(|(name, value, _)| (name, value))
        .collect()
}

fn check_line(check: &Check) -> CheckLine<'_> {
    let (outcome, subjects, samples, why) = match &check.outcome {
        Outcome::Found(count) => ("found", Some(*count), None, None),
        Outcome::Clear(count) => ("clear", Some(*count), None, None),
        Outcome::TooFew(most) => ("too_few", None, Some(*most), None),
        Outcome::Unchecked(why) => ("unchecked", None, None, Some(why.as_str())),
    };
    CheckLine {
        id: check.diagnosis.id,
        name: check.diagnosis.name,
        outcome,
        subjects,
        samples,
        unknown: check.unknown,
        why,
    }
}

const COLUMNS: [&str; 17] = [
    "at_ns",
    "span_ns",
    "id",
    "name",
    "severity",
    "confidence",
    "about",
    "pid",
    "epoll",
    "comm",
    "evidence_1",
    "value_1",
    "evidence_2",
    "value_2",
    "evidence_3",
    "value_3",
    "lost",
];

/// Writes the names of the columns of the CSV table.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv_header(out: &mut dyn Write) -> io::Result<()> {
    csv::record(out, COLUMNS.into_iter())
}

/// Writes one block as CSV: a row per finding.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_csv(out: &mut dyn Write, report: &FindingReport<'_>) -> io::Result<()> {
    let counted = &report.window.counted;
    let lost = counted.losses.values().sum::<u64>().to_string();
    for finding in report.findings() {
        let line = line(finding, report);
        let mut record = vec![
            counted.at_ns.to_string(),
            line.span_ns.to_string(),
            line.id.to_owned(),
            line.name.to_owned(),
            line.severity.to_owned(),
            line.confidence.to_owned(),
            line.about.to_owned(),
            csv::optional(line.pid),
            line.epoll.unwrap_or_default(),
            sanitize(line.comm, false),
        ];
        for evidence in &finding.evidence {
            let value = line.evidence.get(evidence.name).filter(|value| !value.is_null());
            record.extend([evidence.name.to_owned(), csv::optional(value)]);
        }
        record.push(lost.clone());
        csv::record(out, record.into_iter())?;
    }
    Ok(())
}
