//! The columns of findings.

use super::sources::file_name;
use super::{Column, Value};
use crate::model::finding::{Finding, What};

/// Whom a finding is about, in a few characters; not yet safe for a terminal.
fn whom(finding: &Finding) -> Value {
    let key = finding.subject.key;
    let epoll = key.epoll_name().unwrap_or_default();
    Value::Text(match &finding.subject.what {
        What::Process => key.pid.to_string(),
        What::Epoll => epoll,
        What::Lock { kind, .. } => format!("{epoll} {}", kind.name()),
        What::Source { named, .. } => named.as_ref().map_or(epoll, |named| file_name(named)),
    })
}

type Col = Column<Finding>;

/// Every column, left to right.
pub static FINDING_COLUMNS: &[Col] = &[
    Col::name(
        "severity",
        "SEV",
        6,
        |f| {
            Value::Ranked(
                f.severity as u8,
                format!("{} {}", f.severity.letter(), f.severity.name()),
            )
        },
        "How bad: crit hurts now, warn is worth to change, info worth to know",
    )
    .largest_first(),
    Col::name(
        "id",
        "ID",
        3,
        |f| Value::Text(f.diagnosis.id.to_owned()),
        "Number of the diagnosis",
    ),
    Col::name("whom", "WHOM", 16, whom, "The process, epoll, lock or file").dispensable(1),
    Col::name(
        "comm",
        "COMM",
        10,
        |f| Value::Text(f.subject.name.clone()),
        "Name of the process",
    )
    .dispensable(3),
    Col::name(
        "confidence",
        "SURE",
        6,
        |f| Value::Ranked(f.confidence.level as u8, f.confidence.level.name().to_owned()),
        "How sure it is",
    )
    .dispensable(4)
    .largest_first(),
    Col::name(
        "sentence",
        "WHAT WAS SEEN",
        20,
        |f| Value::Text(f.sentence.clone()),
        "In a sentence; Enter shows all of it",
    )
    .dispensable(2)
    .grows(),
];
