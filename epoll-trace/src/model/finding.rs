//! Findings: what the numbers of a window say is wrong. One table of diagnoses, each with a rule that judges what a window offers.
//! A rule whose numbers are not there says why; it never says that all is well.

mod calls;
mod examine;
mod files;
mod herd;
mod limits;
mod locked;
mod looked;
mod lost;
mod queues;
mod subject;
mod time;
mod words;

use super::entry::Entry;
use super::herds::Herd;
use super::locks::LockEntry;
use super::reuseport::Group;
use super::snapshot::LockKind;

pub use examine::{Scene, examine};
pub use limits::{Limit, Limits};
pub use subject::{Subject, What};
pub use words::{WORDS, used_in};

/// Every diagnosis, in the order of its number.
pub static DIAGNOSES: [&Diagnosis; 22] = [
    &herd::D01,
    &herd::D02,
    &herd::D03,
    &queues::D04,
    &files::D05,
    &lost::D06,
    &files::D07,
    &looked::D08,
    &calls::D09,
    &calls::D10,
    &calls::D11,
    &calls::D12,
    &calls::D13,
    &locked::D14,
    &locked::D15,
    &locked::D16,
    &herd::D17,
    &locked::D18,
    &time::D19,
    &time::D20,
    &time::D21,
    &calls::D22,
];

/// A row of the table. Texts may name thresholds in braces, see [`Limits::filled`].
#[derive(Clone, Copy, Debug)]
pub struct Diagnosis {
    /// `D01`.
    pub id: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// What it means for those who have it.
    pub means: &'static str,
    /// From which numbers it is told.
    pub measured: &'static str,
    /// When it is which severity.
    pub severity: &'static str,
    /// When it may be raised and all is well.
    pub false_alarm: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// What that costs.
    pub price: &'static str,
    /// Who had it, and where the threshold is from.
    pub source: &'static str,
    /// The command that shows more, without `epoll-trace`.
    pub command: &'static str,
    /// Numbers without which it cannot be told, by their names.
    pub needs: &'static [&'static str],
    /// How it is judged.
    pub rule: Rule,
}

impl Diagnosis {
    /// The diagnosis called `id`, in capitals or not.
    pub fn from_id(id: &str) -> Option<&'static Self> {
        let is_it = |known: &&&'static Self| known.id.eq_ignore_ascii_case(id);
        DIAGNOSES.iter().find(is_it).copied()
    }

    /// Its texts, for who looks for words in them.
    pub fn texts(&self) -> [&'static str; 7] {
        [
            self.means,
            self.measured,
            self.severity,
            self.false_alarm,
            self.remedy,
            self.price,
            self.name,
        ]
    }
}

/// How a diagnosis is judged: by one subject at a time.
#[derive(Clone, Copy, Debug)]
pub enum Rule {
    /// Each file that several watch.
    Source(fn(&Herd, &Scene<'_>) -> Judgement),
    /// Likewise, by who is woken and who accepts, which may be estimated where notifications cannot be had.
    EstimatedSource(fn(&Herd, &Scene<'_>) -> Judgement),
    /// Each address with several listeners.
    Group(fn(&Group, &Scene<'_>) -> Judgement),
    /// Each process that waited.
    Process(fn(&Entry, &Scene<'_>) -> Judgement),
    /// Each epoll that somebody used.
    Epoll(fn(&Entry, &Scene<'_>) -> Judgement),
    /// Each lock of this kind that somebody waited for.
    Lock(LockKind, fn(&LockEntry, &Scene<'_>) -> Judgement),
}

/// What a rule says of one subject.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// There is enough to tell, and it does not hold.
    Calm,
    /// So few samples tell nothing.
    TooFew(u64),
    /// Something is not known of this subject.
    Unknown(&'static str),
    /// It holds.
    Raised(Box<Raised>),
}

/// A subject of which a rule holds.
#[derive(Clone, Debug, PartialEq)]
pub struct Raised {
    /// How bad.
    pub severity: Severity,
    /// The numbers that say so.
    pub evidence: [Evidence; 3],
    /// What was seen, in a sentence.
    pub sentence: String,
    /// How many samples that rests on.
    pub samples: u64,
    /// What makes it less sure.
    pub caveat: Option<&'static str>,
}

impl From<Raised> for Judgement {
    fn from(raised: Raised) -> Self {
        Self::Raised(Box::new(raised))
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Worth to know.
    Info,
    /// Worth to change.
    Warn,
    /// Hurts now.
    Crit,
}

impl Severity {
    /// The name in text, JSON and the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Crit => "crit",
        }
    }

    /// The letter that stands for it where there is room for no more.
    pub const fn letter(self) -> char {
        match self {
            Self::Info => 'I',
            Self::Warn => 'W',
            Self::Crit => 'C',
        }
    }
}

/// One number of a finding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// Its name: `_share` for parts of a whole, `_per_s` for rates, `_ns` for times.
    pub name: &'static str,
    /// Its value.
    pub amount: Amount,
}

/// A value with its kind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    /// Not known here.
    Unknown,
    /// A number of things.
    Count(u64),
    /// Things per thing.
    Ratio(f64),
    /// Part of a whole, 0 to 1.
    Share(f64),
    /// Per second.
    Rate(f64),
    /// A time, ns.
    Nanos(u64),
}

/// The three numbers of a finding, each with its name.
const fn evidence(numbers: [(&'static str, Amount); 3]) -> [Evidence; 3] {
    let [(a, first), (b, second), (c, third)] = numbers;
    [
        Evidence {
            name: a,
            amount: first,
        },
        Evidence {
            name: b,
            amount: second,
        },
        Evidence {
            name: c,
            amount: third,
        },
    ]
}

/// How sure a finding is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confidence {
    /// In a word.
    pub level: Level,
    /// Why.
    pub why: String,
}

/// How sure, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Some of its numbers are too small, or it rests on few samples.
    Low,
    /// There is another explanation.
    Medium,
    /// Counted, and many times.
    High,
}

impl Level {
    /// The name in text and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

/// A diagnosis that holds, of whom, and what to do.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which.
    pub diagnosis: &'static Diagnosis,
    /// How bad.
    pub severity: Severity,
    /// Of whom.
    pub subject: Subject,
    /// The numbers that say so.
    pub evidence: [Evidence; 3],
    /// What was seen.
    pub sentence: String,
    /// How sure.
    pub confidence: Confidence,
}

/// What became of one diagnosis in a window.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It holds of so many subjects.
    Found(u64),
    /// It holds of none of so many that there was enough to tell of.
    Clear(u64),
    /// Nobody had the samples that it takes; the most that anybody had.
    TooFew(u64),
    /// It could not be checked.
    Unchecked(String),
}

/// One row of what was checked.
#[derive(Clone, Debug)]
pub struct Check {
    /// Which diagnosis.
    pub diagnosis: &'static Diagnosis,
    /// What became of it.
    pub outcome: Outcome,
    /// Of how many subjects something was not known.
    pub unknown: u64,
}

/// All that a window says.
#[derive(Clone, Debug)]
pub struct Examination {
    /// What holds, worst first.
    pub findings: Vec<Finding>,
    /// Every diagnosis, in the order of its number.
    pub checks: Vec<Check>,
    /// How many epolls were looked at.
    pub epolls: u64,
    /// How many files that several watch.
    pub sources: u64,
}

impl Examination {
    /// The worst severity found.
    pub fn worst(&self) -> Option<Severity> {
        self.findings.iter().map(|finding| finding.severity).max()
    }
}

#[cfg(test)]
mod tests;
