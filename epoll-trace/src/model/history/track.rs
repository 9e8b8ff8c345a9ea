//! One key: what happened to it, column by column.

use std::collections::VecDeque;

use super::{BINS, FIRST_BIN, MOST_COLUMNS, Rate};
use crate::model::entry::Entry;
use crate::model::histogram::Histogram;
use crate::model::snapshot::{Counter, Metric};

/// What happened to one key in one column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cell {
    bins: [u32; BINS],
    /// By [`Rate`]; not a number where it cannot be known.
    rates: [f32; Rate::ALL.len()],
    /// How much of the column was seen, ms.
    pub(super) seen_ms: u32,
}

impl Cell {
    pub(super) const UNSEEN: Self = Self {
        bins: [0; BINS],
        rates: [f32::NAN; Rate::ALL.len()],
        seen_ms: 0,
    };

    /// Both times together.
    pub(super) fn add(&mut self, other: &Self) {
        for (bin, more) in self.bins.iter_mut().zip(other.bins) {
            *bin = bin.saturating_add(more);
        }
        let (own, more) = (self.seen_ms as f32, other.seen_ms as f32);
        for (rate, other) in self.rates.iter_mut().zip(other.rates) {
            *rate = match (rate.is_nan(), other.is_nan()) {
                (_, true) => *rate,
                (true, false) => other,
                (false, false) => (*rate * own + other * more) / (own + more).max(1.0),
            };
        }
        self.seen_ms = self.seen_ms.saturating_add(other.seen_ms);
    }
}

/// One key: as many cells as there are columns.
#[derive(Clone, Debug)]
pub(super) struct Track {
    pub(super) cells: VecDeque<Cell>,
    /// What its histogram held at the last look.
    before: Option<[u64; BINS]>,
    /// Waits per second at the last look.
    pub(super) busy: f64,
    pub(super) seen_ns: u64,
}

/// What happened in a part of the time, see [`super::History::slices`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slice {
    /// Wakeups that took as long as [`super::bin_low`] says, per second.
    pub bins: [f64; BINS],
    /// By [`Rate`], per second; `None` is "cannot be known here".
    pub rates: [Option<f64>; Rate::ALL.len()],
}

impl Track {
    /// One that begins now, at the end of `columns`.
    pub(super) fn new(columns: usize) -> Self {
        let mut cells = VecDeque::with_capacity(MOST_COLUMNS);
        cells.resize(columns, Cell::UNSEEN);
        Self {
            cells,
            before: None,
            busy: 0.0,
            seen_ns: 0,
        }
    }

    /// Adds what happened in the last `span_ns` to the last column.
    pub(super) fn take(&mut self, entry: &Entry, span_ns: u64, now_ns: u64, busy: f64) {
        (self.busy, self.seen_ns) = (busy, now_ns);
        let mut cell = Cell {
            rates: Rate::ALL.map(|rate| rate.of(entry).map_or(f32::NAN, |rate| rate as f32)),
            seen_ms: u32::try_from(span_ns / 1_000_000).unwrap_or(u32::MAX).max(1),
            ..Cell::UNSEEN
        };
        if let Some(values) = entry.metric(Metric::Wakeup) {
            let all = binned(values);
            let before = self.before.replace(all).or_else(|| nothing_before(entry, values));
            let shrunk = |before: &[u64; BINS]| all.iter().zip(before).any(|(now, before)| now < before);
            match before {
                // Whatever its histogram was made of, it is not what was followed: it begins anew.
                Some(before) if shrunk(&before) => {
                    self.cells.iter_mut().for_each(|cell| *cell = Cell::UNSEEN)
                }
                Some(before) => {
                    for (bin, (now, before)) in cell.bins.iter_mut().zip(all.iter().zip(before)) {
                        *bin = u32::try_from(now - before).unwrap_or(u32::MAX);
                    }
                }
                None => {}
            }
        }
        if let Some(last) = self.cells.back_mut() {
            last.add(&cell);
        }
    }
}

fn binned(values: &Histogram) -> [u64; BINS] {
    let mut bins = [0; BINS];
    for bucket in values.buckets() {
        bins[bin_of(bucket.low)] += bucket.count;
    }
    bins
}

/// An empty histogram, where all of `values` are of the last interval: as many as deliveries that slept.
fn nothing_before(entry: &Entry, values: &Histogram) -> Option<[u64; BINS]> {
    let recent = entry.counter(Counter::DeliveriesSlept)?;
    (recent == values.count()).then_some([0; BINS])
}

impl Slice {
    /// `sum` and `cell` together; `None` as long as nothing was seen.
    pub(super) fn with(sum: Option<Cell>, cell: &Cell) -> Option<Cell> {
        if cell.seen_ms == 0 {
            return sum;
        }
        let mut sum = sum.unwrap_or(Cell::UNSEEN);
        sum.add(cell);
        Some(sum)
    }

    /// Per second of the time that was seen, which is not 0.
    pub(super) fn of(cell: Cell) -> Self {
        let seconds = f64::from(cell.seen_ms) / 1e3;
        Self {
            bins: cell.bins.map(|count| f64::from(count) / seconds),
            rates: cell.rates.map(|rate| (!rate.is_nan()).then_some(f64::from(rate))),
        }
    }
}

/// The bin that holds a time, ns.
pub(super) fn bin_of(nanos: u64) -> usize {
    let above = (nanos >> (FIRST_BIN - 1)).checked_ilog2().unwrap_or(0);
    (above as usize).min(BINS - 1)
}
