//! What a field is: its names, its place in views, its value in an entry, and the order it puts entries in.

use std::cmp::Ordering;

use super::FIELDS;
use super::column::{Head, Rank, arranged};
use crate::model::entry::{Entry, EntryKey};
use crate::model::snapshot::{Counter, EpollCounter, Metric};

/// Unit of words.
pub(super) const NAME: &str = "name";

/// What a field's getter finds.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// Cannot be known here, or there is nothing to compute it from.
    Absent,
    /// A name, not yet safe for a terminal.
    Text(String),
    /// A number of things.
    Count(u64),
    /// Per second.
    Rate(f64),
    /// Things per thing.
    Ratio(f64),
    /// Part of a whole, 0 to 1.
    Share(f64),
    /// The same where a hundredth of a percent matters.
    FineShare(f64),
    /// A time, ns.
    Nanos(u64),
    /// A word that has a rank: `C D03`.
    Ranked(u8, String),
}

impl Value {
    pub(super) fn order(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Text(own), Self::Text(other)) => own.cmp(other),
            _ => self.number().total_cmp(&other.number()),
        }
    }

    fn number(&self) -> f64 {
        self.as_number().unwrap_or(0.0)
    }

    /// The number: times in ns, shares from 0 to 1; `None` for words and where it cannot be known.
    pub fn as_number(&self) -> Option<f64> {
        Some(match self {
            Self::Absent | Self::Text(_) => return None,
            Self::Count(value) | Self::Nanos(value) => *value as f64,
            Self::Ranked(rank, _) => f64::from(*rank),
            Self::Rate(value) | Self::Ratio(value) | Self::Share(value) | Self::FineShare(value) => *value,
        })
    }
}

/// Where a field is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// A column of the table of `top`.
    Table,
    /// An item of the counters block and of JSON lines.
    Counters,
    /// Both.
    Both,
    /// A column of `epolls` alone.
    Epolls,
}

/// Which end comes first when sorted by the field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Up,
    /// Largest first.
    Down,
    /// Largest first, after those whose percentiles rest on enough values.
    DownByEvidence,
}

/// How a field's value is got.
#[derive(Clone, Copy, Debug)]
pub(super) enum Get {
    Of(fn(&Entry) -> Value),
    Counter(Counter),
    Epoll(EpollCounter),
}

/// What must be measured for a field to have a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing beyond the entry itself.
    Nothing,
    /// These histograms.
    Metrics(&'static [Metric]),
    /// The counters.
    Counters,
    /// That the diagnoses were made.
    Findings,
}

/// One field.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Name in JSON, in sort keys and in the counters block.
    pub id: &'static str,
    /// Head of its column.
    pub title: &'static str,
    /// Unit in words.
    pub unit: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Width of its column.
    pub width: u16,
    /// Which end is sorted first.
    pub order: Order,
    /// Where it is shown.
    pub place: Place,
    /// Columns with the highest number go first where the screen is narrow.
    pub dispensable: u8,
    /// Whether it is a column of the table of `epolls`, and how dispensable there: as `dispensable`.
    pub of_epolls: Option<u8>,
    /// What it takes to know it.
    pub needs: Needs,
    /// Names of the counters and metrics it is made of; none where it is one itself.
    pub made_of: &'static [&'static str],
    pub(super) get: Get,
}

impl Field {
    /// The field called `id`.
    pub fn from_id(id: &str) -> Option<&'static Self> {
        FIELDS.iter().find(|field| field.id == id)
    }

    /// Whether its values are words, which stand at the left of a column.
    pub fn is_name(&self) -> bool {
        self.unit == NAME
    }

    /// A column of `top` that goes before those with a lower number where the screen is narrow.
    pub(super) const fn dispensable(self, dispensable: u8) -> Self {
        Self { dispensable, ..self }
    }

    /// A column of the table of `top`, too.
    pub(super) const fn in_top(self, dispensable: u8) -> Self {
        Self {
            place: Place::Both,
            dispensable,
            ..self
        }
    }

    /// A column of the table of `epolls`, too.
    pub(super) const fn of_epolls(self, dispensable: u8) -> Self {
        Self {
            of_epolls: Some(dispensable),
            ..self
        }
    }

    /// Head and width of its column, of an item that has one.
    pub(super) const fn titled(self, title: &'static str, width: u16) -> Self {
        Self { title, width, ..self }
    }

    /// A number made of these counters and metrics.
    pub(super) const fn made_of(self, made_of: &'static [&'static str]) -> Self {
        Self { made_of, ..self }
    }

    /// What it takes to know it, where that is not what its kind of row takes.
    pub(super) const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    /// Its value in `entry`.
    pub fn value(&self, entry: &Entry) -> Value {
        let count = |count: Option<u64>| count.map_or(Value::Absent, Value::Count);
        match self.get {
            Get::Of(get) => get(entry),
            Get::Counter(counter) => count(entry.counter(counter)),
            Get::Epoll(counter) => count(entry.epoll_counter(counter)),
        }
    }

    /// Which of two entries comes first by this field; absent values come last either way, equal ones are ordered by key.
    pub fn compare(&self, left: &Entry, right: &Entry, inverted: bool) -> Ordering {
        self.rank(left).compare(&self.rank(right), self.order, inverted)
    }

    /// The places of `entries` that are `wanted`, as [`Field::compare`] orders them; each value is worked out once.
    pub fn arranged(&self, entries: &[Entry], wanted: impl Fn(&Entry) -> bool, inverted: bool) -> Vec<usize> {
        let places = entries.iter().enumerate().filter(|(_, entry)| wanted(entry));
        let ranks = places.map(|(place, entry)| (self.rank(entry), place)).collect();
        arranged(ranks, self.order, inverted)
    }

    /// What an entry is ordered by.
    fn rank(&self, entry: &Entry) -> Rank<EntryKey> {
        Rank {
            value: self.value(entry),
            has_evidence: entry.has_enough_values(),
            key: entry.key,
        }
    }

    /// What the table of `top`, or that of epolls, says of its column.
    pub fn head(&'static self, of_epolls: bool) -> Head {
        Head {
            id: self.id,
            title: self.title,
            help: self.help,
            width: self.width,
            order: self.order,
            dispensable: match of_epolls {
                true => self.of_epolls.unwrap_or(0),
                false => self.dispensable,
            },
            is_name: self.is_name(),
            grows: false,
            made_of: match self.made_of {
                [] => std::slice::from_ref(&self.id),
                names => names,
            },
        }
    }
}
