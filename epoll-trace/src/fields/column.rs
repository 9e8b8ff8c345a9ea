//! Columns of any table on the screen: what a head says, where a value comes from, and the order it puts rows in.

use std::cmp::Ordering;

use super::{Order, Value};

/// What a table says of a column, whatever its rows are.
#[derive(Clone, Copy, Debug)]
pub struct Head {
    /// Its name in sort keys and lists of columns.
    pub id: &'static str,
    /// Its title.
    pub title: &'static str,
    /// One line of help.
    pub help: &'static str,
    /// Its width.
    pub width: u16,
    /// Which end is sorted first.
    pub order: Order,
    /// Columns with the highest number go first where the screen is narrow; 0 always stays.
    pub dispensable: u8,
    /// Whether its values are words, which stand at the left.
    pub is_name: bool,
    /// Whether it takes the room that is left.
    pub grows: bool,
    /// Names of the counters and metrics it is made of.
    pub made_of: &'static [&'static str],
}

/// A column of a table whose rows are `R`.
#[derive(Debug)]
pub struct Column<R: 'static> {
    /// What the table says of it.
    pub head: Head,
    /// Its value in a row.
    pub get: fn(&R) -> Value,
}

impl<R> Column<R> {
    /// A column of numbers that always stays, largest first.
    pub(super) const fn number(
        id: &'static str,
        title: &'static str,
        width: u16,
        get: fn(&R) -> Value,
        help: &'static str,
    ) -> Self {
        let head = Head {
            id,
            title,
            help,
            width,
            order: Order::Down,
            dispensable: 0,
            is_name: false,
            grows: false,
            made_of: &[],
        };
        Self { head, get }
    }

    /// A column of words that always stays, in the order of the alphabet.
    pub(super) const fn name(
        id: &'static str,
        title: &'static str,
        width: u16,
        get: fn(&R) -> Value,
        help: &'static str,
    ) -> Self {
        let mut column = Self::number(id, title, width, get, help);
        column.head.order = Order::Up;
        column.head.is_name = true;
        column
    }

    pub(super) const fn dispensable(mut self, dispensable: u8) -> Self {
        self.head.dispensable = dispensable;
        self
    }

    pub(super) const fn grows(mut self) -> Self {
        self.head.grows = true;
        self
    }

    pub(super) const fn largest_first(mut self) -> Self {
        self.head.order = Order::Down;
        self
    }

    pub(super) const fn made_of(mut self, made_of: &'static [&'static str]) -> Self {
        self.head.made_of = made_of;
        self
    }
}

/// What a row is ordered by.
#[derive(Clone, Debug)]
pub struct Rank<K> {
    /// Its value in the column.
    pub value: Value,
    /// Whether its percentiles rest on enough values, where the order asks for it.
    pub has_evidence: bool,
    /// Tells it from all others.
    pub key: K,
}

impl<K: Ord> Rank<K> {
    /// Which comes first; absent values come last either way, equal ones are ordered by key.
    pub fn compare(&self, other: &Self, order: Order, inverted: bool) -> Ordering {
        let (a, b) = (&self.value, &other.value);
        let absent_last = (*a == Value::Absent).cmp(&(*b == Value::Absent));
        let by_value = match order {
            Order::Up => a.order(b),
            Order::Down | Order::DownByEvidence => b.order(a),
        };
        let evidence = match order {
            Order::DownByEvidence => other.has_evidence.cmp(&self.has_evidence),
            Order::Up | Order::Down => Ordering::Equal,
        };
        let by_value = evidence.then(if inverted { by_value.reverse() } else { by_value });
        absent_last.then(by_value).then_with(|| self.key.cmp(&other.key))
    }
}

/// The places of rows in this order; each comes with its rank.
pub fn arranged<K: Ord>(mut ranks: Vec<(Rank<K>, usize)>, order: Order, inverted: bool) -> Vec<usize> {
    ranks.sort_by(|(left, _), (right, _)| left.compare(right, order, inverted));
    ranks.into_iter().map(|(_, place)| place).collect()
}

/// Those of `heads` that fit `width` with a space between them, by place: where it is narrow those go first that are not `known`, then the
/// most dispensable.
pub fn fitting(heads: &[Head], width: u16, known: impl Fn(&Head) -> bool) -> Vec<usize> {
    let mut kept: Vec<usize> = (0..heads.len()).collect();
    let needed = |kept: &[usize]| {
        let widths = kept.iter().map(|&place| u32::from(heads[place].width) + 1);
        widths.sum::<u32>()
    };
    let rank = |place: usize| (!known(&heads[place]), heads[place].dispensable);
    while needed(&kept) > u32::from(width) + 1 {
        let dispensable = kept.iter().filter(|&&place| heads[place].dispensable > 0);
        let Some(least) = dispensable.map(|&place| rank(place)).max() else {
            break;
        };
        kept.retain(|&place| heads[place].dispensable == 0 || rank(place) != least);
    }
    kept
}
