//! The filter that people type after `/`: which rows a screen shows. Pure.
//!
//! Words are AND. A bare word is looked for in names and numbers (`nginx`, `185`); `comm:nginx` in one field;
//! `p99>1ms`, `empty>50%`, `waits/s>=1k` compare. A field is named by its id or by the head of its column, in any case.
//! `!` before a word turns it around; quotes keep blanks together. What cannot be known matches no comparison,
//! turned around or not.

mod parse;

use crate::fields::{Field, Value, flag_named};
use crate::model::entry::Entry;

pub use parse::{Mistake, QueryError};

/// Examples for help and documents: the query, and what it shows.
pub const EXAMPLES: &[(&str, &str)] = &[
    (
        "nginx",
        "names that contain it, in any case; a number is a PID, too",
    ),
    (
        "comm:nginx p99>1ms",
        "of these, who wakes later than 1 ms; ns, us, ms, s",
    ),
    (
        "waits/s>=1k",
        "1000 waits a second and more; a field's id or its column's head; k, M",
    ),
    ("empty>50%", "more than half of the wakeups for nothing"),
    (
        "flags:exclusive",
        "epolls with such items: ET, 1SHOT, EXCL, WAKE, LT",
    ),
    ("!comm:nginx !pid:185", "neither nginx nor process 185"),
    (
        "comm=\"tokio rt\"",
        "exactly this name; quotes keep a blank, or a colon, in a word",
    ),
];

/// A field that a query can name.
#[derive(Clone, Copy, Debug)]
pub struct Asked {
    /// Its id, by which a [`Row`] gives its value.
    pub id: &'static str,
    /// Head of its column.
    pub title: &'static str,
    /// What its values are.
    pub kind: Kind,
}

impl From<&Field> for Asked {
    fn from(field: &Field) -> Self {
        Self {
            id: field.id,
            title: field.title,
            kind: Kind::of_unit(field.unit),
        }
    }
}

/// What the values of a field are: it decides which units a query may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Words.
    Words,
    /// Times in ns.
    Time,
    /// Parts of a whole, 0 to 1.
    Share,
    /// Any other number.
    Number,
    /// One of these numbers; which, the value of each row tells.
    Any,
}

impl Kind {
    /// That of a unit in words, as [`Field::unit`] has it.
    pub fn of_unit(unit: &str) -> Self {
        match unit {
            "name" => Self::Words,
            "time" | "ns" => Self::Time,
            "share" | "percent" => Self::Share,
            _ => Self::Number,
        }
    }

    /// Whether a number of this kind can be compared with `value`. Some counts are of ns.
    fn fits(self, value: &Value) -> bool {
        match value {
            Value::Nanos(_) => self == Self::Time,
            Value::Share(_) | Value::FineShare(_) => self == Self::Share,
            Value::Count(_) => matches!(self, Self::Number | Self::Time),
            _ => self == Self::Number,
        }
    }
}

/// A row that a query looks at.
pub trait Row {
    /// Its value of the field with `id`; absent where it has no such field.
    fn value(&self, id: &str) -> Value;

    /// Whether one of the texts that people know it by contains `word`; see [`contains`].
    fn mentions(&self, word: &str) -> bool;
}

impl Row for Entry {
    fn value(&self, id: &str) -> Value {
        Field::from_id(id).map_or(Value::Absent, |field| field.value(self))
    }

    fn mentions(&self, word: &str) -> bool {
        let number = |id: u32| id.to_string().contains(word);
        contains(&self.name, word)
            || number(self.key.pid)
            || self.key.tid.is_some_and(number)
            || self.key.epoll_name().is_some_and(|name| name.contains(word))
    }
}

/// Whether `text` contains `word`, which is in lower case, whatever the case of `text`.
pub fn contains(text: &str, word: &str) -> bool {
    text.to_lowercase().contains(word)
}

/// What a row must be to be shown. The default shows every row.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    terms: Vec<Term>,
}

/// One word of a query.
#[derive(Clone, Debug, PartialEq)]
struct Term {
    negated: bool,
    test: Test,
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// In lower case, as all texts here.
    Mentions(String),
    Contains {
        id: &'static str,
        text: String,
    },
    Is {
        id: &'static str,
        text: String,
    },
    Compare {
        id: &'static str,
        op: Op,
        number: f64,
        kind: Kind,
    },
}

/// How two numbers are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Op {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    MoreOrEqual,
    More,
}

impl Op {
    fn holds(self, left: f64, right: f64) -> bool {
        match self {
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::MoreOrEqual => left >= right,
            Self::More => left > right,
        }
    }
}

impl Query {
    /// Reads what was typed; `fields` are those that the screen's rows have.
    ///
    /// # Errors
    /// A field, number or unit that is none: one sentence, and its place.
    pub fn parse(text: &str, fields: impl IntoIterator<Item = Asked>) -> Result<Self, QueryError> {
        let fields: Vec<_> = fields.into_iter().collect();
        parse::parse(text, &fields).map(|terms| Self { terms })
    }

    /// Whether it shows every row.
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Whether `row` is to be shown.
    pub fn matches(&self, row: &(impl Row + ?Sized)) -> bool {
        self.terms
            .iter()
            .all(|term| term.test.of(row).is_some_and(|holds| holds != term.negated))
    }
}

impl Test {
    /// Whether it holds; `None` where that cannot be known.
    fn of(&self, row: &(impl Row + ?Sized)) -> Option<bool> {
        match self {
            Self::Mentions(word) => Some(row.mentions(word)),
            Self::Contains { id, text } => words(row, id).map(|value| contains(&value, text)),
            Self::Is { id, text } => words(row, id).map(|value| value.to_lowercase() == *text),
            Self::Compare { id, op, number, kind } => {
                let value = row.value(id);
                let known = value.as_number().filter(|_| kind.fits(&value) || *number == 0.0);
                Some(op.holds(known?, *number))
            }
        }
    }
}

fn words(row: &(impl Row + ?Sized), id: &str) -> Option<String> {
    match row.value(id) {
        Value::Text(text) | Value::Ranked(_, text) => Some(text),
        _ => None,
    }
}

/// The words that field `id` is asked for: people name flags as epoll_ctl does, columns are shorter.
fn wanted(id: &str, text: &str) -> String {
    let known = (id == "flags").then(|| flag_named(text)).flatten();
    known.unwrap_or(text).to_lowercase()
}

#[cfg(test)]
mod tests;
