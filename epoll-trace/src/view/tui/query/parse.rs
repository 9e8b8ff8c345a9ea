//! From what was typed to the terms of a query, or to one sentence about what is wrong with it.

use thiserror::Error;

use super::{Asked, Kind, Op, Term, Test, wanted};

/// What is wrong with a query, and where.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{what}")]
pub struct QueryError {
    /// Where the mistake begins, in characters from the start.
    pub at: usize,
    /// How many characters it takes; 0 where something is missing.
    pub length: usize,
    /// Which.
    pub what: Mistake,
}

/// A mistake in a query.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Mistake {
    /// No field has this name.
    #[error("no field {}; {}", shown(.name), instead(.near))]
    NoField {
        /// As typed.
        name: String,
        /// The most similar one.
        near: Option<&'static str>,
    },
    /// A comparison without a field before it.
    #[error("a comparison needs a field before it, as in p99>1ms")]
    NoName,
    /// A field and an operator with nothing behind it.
    #[error("a value is missing, as in {0}")]
    NoValue(&'static str),
    /// A number that is none, or that has a unit of something else.
    #[error("{} is no {kind}, as in {example}", shown(.text))]
    NoNumber {
        /// As typed.
        text: String,
        /// What it should be.
        kind: &'static str,
        /// A query that is right, and units.
        example: &'static str,
    },
    /// Words that are compared as numbers are.
    #[error("{0} holds words: ask {0}:WORD, or {0}=WORD for the whole")]
    Words(&'static str),
    /// `!` with nothing behind it.
    #[error("! needs a word behind it")]
    NothingToNegate,
    /// A quote that begins and does not end.
    #[error("the quote does not end")]
    OpenQuote,
}

fn instead(near: &Option<&str>) -> String {
    match near {
        Some(near) => format!("did you mean {near}?"),
        None => "a word with a colon in it needs quotes".to_owned(),
    }
}

/// What was typed is quoted with its control characters made visible, and not at length.
fn shown(text: &str) -> String {
    const MOST: usize = 24;
    let cut: String = text.chars().take(MOST).collect();
    let more = if text.chars().count() > MOST { "..." } else { "" };
    format!("{cut:?}{more}")
}

/// The terms of `text`, which may name `fields`.
///
/// # Errors
/// What is wrong with it, and where.
pub(super) fn parse(text: &str, fields: &[Asked]) -> Result<Vec<Term>, QueryError> {
    let chars: Vec<char> = text.chars().collect();
    let mut reader = Reader {
        chars: &chars,
        at: 0,
        fields,
    };
    let mut terms = Vec::new();
    loop {
        reader.skip_blanks();
        if reader.at == reader.chars.len() {
            return Ok(terms);
        }
        terms.push(reader.term()?);
    }
}

struct Reader<'a> {
    chars: &'a [char],
    at: usize,
    fields: &'a [Asked],
}

/// What stands between a field and a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Between {
    Colon,
    Op(Op),
}

/// Longest first: `>=` is no `>`.
const OPERATORS: [(&str, Between); 8] = [
    (">=", Between::Op(Op::MoreOrEqual)),
    ("<=", Between::Op(Op::LessOrEqual)),
    ("!=", Between::Op(Op::NotEqual)),
    ("==", Between::Op(Op::Equal)),
    (">", Between::Op(Op::More)),
    ("<", Between::Op(Op::Less)),
    ("=", Between::Op(Op::Equal)),
    (":", Between::Colon),
];

/// A piece of the query, and where it stands.
struct Piece {
    text: String,
    at: usize,
    quoted: bool,
}

impl Piece {
    fn mistake(&self, what: Mistake) -> QueryError {
        QueryError {
            at: self.at,
            length: self.text.chars().count() + if self.quoted { 2 } else { 0 },
            what,
        }
    }
}

impl Reader<'_> {
    fn term(&mut self) -> Result<Term, QueryError> {
        let negated = self.peek() == Some('!') && self.operator_here().is_none();
        self.at += usize::from(negated);
        if negated && self.peek().is_none_or(char::is_whitespace) {
            return Err(self.missing(Mistake::NothingToNegate));
        }
        let head = self.piece(true)?;
        let test = if self.is_field(&head) {
            let (between, width) = self.operator().unwrap_or((Between::Colon, 0));
            self.at += width;
            self.asked(&head, between)?
        } else {
            let rest = if head.quoted {
                String::new()
            } else {
                self.piece(false)?.text
            };
            Test::Mentions((head.text + &rest).to_lowercase())
        };
        Ok(Term { negated, test })
    }

    /// Whether `head` names a field: an operator follows. Addresses and `185:8` are words: names of fields begin with a letter.
    fn is_field(&self, head: &Piece) -> bool {
        let may_name = |c: char| c.is_alphabetic();
        let named = head.text.is_empty() || head.text.starts_with(may_name);
        !head.quoted && named && self.operator().is_some()
    }

    fn asked(&mut self, head: &Piece, between: Between) -> Result<Test, QueryError> {
        if head.text.is_empty() {
            return Err(QueryError {
                length: 1,
                ..head.mistake(Mistake::NoName)
            });
        }
        let field = self.field(head)?;
        if between != Between::Colon {
            self.skip_blanks();
        }
        let value = self.piece(false)?;
        if value.text.is_empty() {
            return Err(self.missing(Mistake::NoValue(example(field.kind).1)));
        }
        let id = field.id;
        match (field.kind, between) {
            (Kind::Words, Between::Colon) => Ok(Test::Contains {
                text: wanted(id, &value.text),
                id,
            }),
            (Kind::Words, Between::Op(Op::Equal)) => Ok(Test::Is {
                text: wanted(id, &value.text),
                id,
            }),
            (Kind::Words, Between::Op(_)) => Err(head.mistake(Mistake::Words(id))),
            (kind, between) => {
                let (number, kind) = number(&value.text, kind).ok_or_else(|| {
                    let (kind, example) = example(kind);
                    let text = value.text.clone();
                    value.mistake(Mistake::NoNumber { text, kind, example })
                })?;
                let op = match between {
                    Between::Colon => Op::Equal,
                    Between::Op(op) => op,
                };
                Ok(Test::Compare { id, op, number, kind })
            }
        }
    }

    fn field(&self, head: &Piece) -> Result<Asked, QueryError> {
        let same = |name: &str| name.eq_ignore_ascii_case(&head.text);
        let ways: [fn(&Asked) -> &'static str; 3] = [
            |field| field.id,
            |field| field.title,
            |field| field.title.trim_end_matches('%'),
        ];
        let mut found = ways
            .iter()
            .filter_map(|name| self.fields.iter().find(|field| same(name(field))));
        found.next().copied().ok_or_else(|| {
            let names = self.fields.iter().map(|field| field.id);
            let near = nearest(&head.text, names);
            let name = head.text.clone();
            head.mistake(Mistake::NoField { name, near })
        })
    }

    /// What stands up to the next blank, or operator if `head`; a quoted text as a whole.
    fn piece(&mut self, head: bool) -> Result<Piece, QueryError> {
        let start = self.at;
        if self.peek() == Some('"') {
            let inside = &self.chars[start + 1..];
            let Some(length) = inside.iter().position(|&c| c == '"') else {
                return Err(QueryError {
                    at: start,
                    length: self.chars.len() - start,
                    what: Mistake::OpenQuote,
                });
            };
            self.at = start + length + 2;
            return Ok(Piece {
                text: inside[..length].iter().collect(),
                at: start,
                quoted: true,
            });
        }
        while let Some(c) = self.peek()
            && !c.is_whitespace()
            && !(head && self.operator_here().is_some())
        {
            self.at += 1;
        }
        Ok(Piece {
            text: self.chars[start..self.at].iter().collect(),
            at: start,
            quoted: false,
        })
    }

    /// The operator that follows, blanks before a comparison left out, and how many characters it takes with them.
    fn operator(&self) -> Option<(Between, usize)> {
        let blanks = self.chars[self.at..]
            .iter()
            .take_while(|c| c.is_whitespace())
            .count();
        let after = Reader {
            at: self.at + blanks,
            ..*self
        };
        let (between, width) = after.operator_here()?;
        (blanks == 0 || between != Between::Colon).then_some((between, blanks + width))
    }

    fn operator_here(&self) -> Option<(Between, usize)> {
        let rest = &self.chars[self.at..];
        OPERATORS.iter().find_map(|&(text, between)| {
            let width = text.len();
            let same = rest.len() >= width && text.chars().eq(rest[..width].iter().copied());
            same.then_some((between, width))
        })
    }

    fn peek(&self) -> Option<char> {
        self.chars.get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.at += 1;
        }
    }

    fn missing(&self, what: Mistake) -> QueryError {
        QueryError {
            at: self.at,
            length: 0,
            what,
        }
    }
}

/// What numbers of a kind are called, and a query with one.
fn example(kind: Kind) -> (&'static str, &'static str) {
    match kind {
        Kind::Words => ("word", "comm:nginx"),
        Kind::Time => ("time", "p99>1ms (ns, us, ms, s)"),
        Kind::Share => ("percentage", "empty>50%"),
        Kind::Number => ("number", "waits/s>=1k (k, M)"),
        Kind::Any => ("number", "10, 1k, 1ms or 50%"),
    }
}

/// A number with the units of its kind, and that kind: times in ns, shares from 0 to 1. Only 0 needs no unit.
fn number(text: &str, kind: Kind) -> Option<(f64, Kind)> {
    let units: &[(&str, f64)] = match kind {
        Kind::Time => &[("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9)],
        Kind::Share => &[("%", 0.01)],
        Kind::Number => &[("", 1.0), ("k", 1e3), ("K", 1e3), ("M", 1e6)],
        Kind::Words => &[],
        Kind::Any => {
            let mut kinds = [Kind::Number, Kind::Time, Kind::Share].into_iter();
            return kinds.find_map(|kind| number(text, kind));
        }
    };
    let digits = text
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(digits);
    let value: f64 = digits.parse().ok()?;
    if unit.is_empty() && value == 0.0 {
        return Some((0.0, kind));
    }
    let (_, times) = units.iter().find(|(name, _)| *name == unit)?;
    Some((value * times, kind))
}

/// The most similar name, if one is similar enough to be meant.
pub(crate) fn nearest<'a>(typed: &str, names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    /// Of strsim's similarity: `p90` and `p99` have 0.82, words without a common letter 0.
    const SIMILAR: f64 = 0.8;
    let typed = typed.to_ascii_lowercase();
    let rated = names.map(|name| (strsim::jaro_winkler(&typed, name), name));
    let best = rated.max_by(|(left, _), (right, _)| left.total_cmp(right))?;
    (best.0 >= SIMILAR).then_some(best.1)
}
