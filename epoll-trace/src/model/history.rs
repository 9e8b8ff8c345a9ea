//! The last minutes of who is busiest: when wakeups were late, and how often things happened. Bounded in keys, time and bytes.
//!
//! Fed with every look; what happened between two is the difference of histograms that count since the start. Neighbouring
//! columns are joined once there are too many, so that what is older than minutes is no more precise than it can be shown.

mod span;
mod track;

use std::collections::{HashMap, VecDeque};

use super::entry::{Entry, EntryKey};
use super::snapshot::Counter;
pub use span::Span;
pub use track::Slice;
use track::{Cell, Track};

/// Keys that are followed at most: the busiest.
pub const MOST_KEYS: usize = 256;
/// Columns at most.
pub const MOST_COLUMNS: usize = 240;
/// Nothing older is kept, ns.
pub const LONGEST_NS: u64 = 15 * 60 * SECOND;
/// Powers of two that wakeup times are kept by: the first holds all below 1.024 us, the last all from 4.3 s on.
pub const BINS: usize = 24;
/// What all of it takes at most, bytes; [`History::bytes`] never exceeds it.
pub const MOST_BYTES: usize = 8 << 20;

const SECOND: u64 = 1_000_000_000;
/// The first bin ends below 2 to the power of this, ns.
const FIRST_BIN: u32 = 10;
/// How long a column is at first, and at most: two joins lie between.
const COLUMN_NS: [u64; 2] = [SECOND, 4 * SECOND];
/// How long somebody who is seen no more is kept, ns: as long as the screen shows a process that left.
const KEPT_NS: u64 = 10 * SECOND;

/// What is kept as a number per second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// Wakeups of all causes.
    Wakeups,
    /// Waits that ended.
    Waits,
    /// Events delivered.
    Events,
}

impl Rate {
    /// Every rate.
    pub const ALL: [Self; 3] = [Self::Wakeups, Self::Waits, Self::Events];

    /// That of the last interval of `entry`.
    pub fn of(self, entry: &Entry) -> Option<f64> {
        entry.per_second(match self {
            Self::Wakeups => entry.wakeups(),
            Self::Waits => entry.counter(Counter::Waits),
            Self::Events => entry.counter(Counter::Events),
        })
    }
}

/// The smallest time that bin `bin` holds, ns.
pub const fn bin_low(bin: usize) -> u64 {
    match bin {
        0 => 0,
        bin => 1 << (FIRST_BIN as usize + bin - 1),
    }
}

/// A column of time: when it ended and how long it was, ns.
#[derive(Clone, Copy, Debug)]
struct Column {
    end_ns: u64,
    span_ns: u64,
}

/// The last minutes.
#[derive(Clone, Debug)]
pub struct History {
    columns: VecDeque<Column>,
    column_ns: u64,
    tracks: HashMap<EntryKey, Track>,
    wanted: Option<EntryKey>,
    now_ns: u64,
}

impl Default for History {
    fn default() -> Self {
        Self {
            columns: VecDeque::new(),
            column_ns: COLUMN_NS[0],
            tracks: HashMap::new(),
            wanted: None,
            now_ns: 0,
        }
    }
}

impl History {
    /// Follows `key` from the next look on, however idle it is.
    pub fn want(&mut self, key: Option<EntryKey>) {
        self.wanted = key;
    }

    /// Takes in a look: `now_ns` since the start or the last reset, and `entries` with histograms since then. A smaller `now_ns`
    /// than before is a reset: all is forgotten.
    pub fn take<'a>(&mut self, now_ns: u64, entries: impl IntoIterator<Item = &'a Entry>) {
        if now_ns < self.now_ns {
            *self = Self {
                wanted: self.wanted,
                ..Self::default()
            };
        }
        let span_ns = now_ns - self.now_ns;
        if span_ns == 0 {
            return;
        }
        self.now_ns = now_ns;
        self.grow(span_ns);
        let mut strangers = Vec::new();
        for entry in entries {
            let busy = Rate::Waits.of(entry).unwrap_or(0.0);
            match self.tracks.get_mut(&entry.key) {
                Some(track) => track.take(entry, span_ns, now_ns, busy),
                None => strangers.push((busy, entry)),
            }
        }
        self.forget();
        self.follow(strangers, span_ns);
    }

    /// Makes room for the time since the last look: in the last column while that is short, else in a new one.
    fn grow(&mut self, span_ns: u64) {
        let now_ns = self.now_ns;
        match self.columns.back_mut() {
            // A look comes a little early at times.
            Some(last) if last.span_ns + span_ns / 2 < self.column_ns => {
                last.end_ns = now_ns;
                last.span_ns += span_ns;
                return;
            }
            _ => {}
        }
        if self.columns.len() == MOST_COLUMNS && self.column_ns < COLUMN_NS[1] {
            self.join();
        }
        let too_old = |column: &Column| column.end_ns + LONGEST_NS < now_ns;
        while self.columns.len() >= MOST_COLUMNS || self.columns.front().is_some_and(too_old) {
            self.columns.pop_front();
            for track in self.tracks.values_mut() {
                track.cells.pop_front();
            }
        }
        self.columns.push_back(Column {
            end_ns: now_ns,
            span_ns,
        });
        for track in self.tracks.values_mut() {
            track.cells.push_back(Cell::UNSEEN);
        }
    }

    /// Joins each two neighbours.
    fn join(&mut self) {
        self.column_ns *= 2;
        let joined = |pair: &[Column]| Column {
            end_ns: pair[pair.len() - 1].end_ns,
            span_ns: pair.iter().map(|column| column.span_ns).sum(),
        };
        self.columns = self.columns.make_contiguous().chunks(2).map(joined).collect();
        for track in self.tracks.values_mut() {
            let cells = track.cells.make_contiguous().chunks(2).map(|pair| {
                let mut both = pair[0];
                pair[1..].iter().for_each(|cell| both.add(cell));
                both
            });
            track.cells = cells.collect();
            track.cells.reserve_exact(MOST_COLUMNS - track.cells.len());
        }
    }

    /// Drops who was not seen for a while.
    fn forget(&mut self) {
        let now_ns = self.now_ns;
        self.tracks.retain(|_, track| track.seen_ns + KEPT_NS >= now_ns);
    }

    /// Follows who is wanted and the busiest of `strangers`, in the place of who is unseen, or not half as busy.
    fn follow(&mut self, mut strangers: Vec<(f64, &Entry)>, span_ns: u64) {
        for (busy, entry) in &mut strangers {
            if self.wanted == Some(entry.key) {
                *busy = f64::INFINITY;
            }
        }
        strangers.sort_unstable_by(|(left, _), (right, _)| right.total_cmp(left));
        strangers.truncate(MOST_KEYS);
        let mut least = self.least_busy();
        for (busy, entry) in strangers {
            if self.tracks.len() >= MOST_KEYS {
                let Some((_, key)) = least.pop().filter(|&(other, _)| other * 2.0 < busy) else {
                    return;
                };
                self.tracks.remove(&key);
            }
            let mut track = Track::new(self.columns.len());
            track.take(entry, span_ns, self.now_ns, busy);
            self.tracks.insert(entry.key, track);
        }
    }

    /// Who may be dropped for others, the least busy last; unseen ones are below everybody.
    fn least_busy(&self) -> Vec<(f64, EntryKey)> {
        let droppable = self.tracks.iter().filter(|(key, _)| self.wanted != Some(**key));
        let busy = droppable.map(|(key, track)| {
            let seen = track.seen_ns == self.now_ns;
            (if seen { track.busy } else { -1.0 }, *key)
        });
        let mut busy: Vec<_> = busy.collect();
        busy.sort_unstable_by(|(left, _), (right, _)| right.total_cmp(left));
        busy
    }

    /// The `window_ns` before `until_ns` of `key` in `count` parts of the same length, the newest last; `None` where nothing was seen.
    /// A part that is shorter than a column shows all of that column. No slices of who is not followed.
    pub fn slices(&self, key: &EntryKey, until_ns: u64, window_ns: u64, count: usize) -> Vec<Option<Slice>> {
        let Some(track) = self.tracks.get(key) else {
            return Vec::new();
        };
        let at = |place: usize| {
            let back = u128::from(window_ns) * (count - place) as u128 / count.max(1) as u128;
            i128::from(until_ns) - i128::try_from(back).unwrap_or(i128::MAX)
        };
        let end = |column: &Column| i128::from(column.end_ns);
        (0..count)
            .map(|place| {
                let (from, to) = (at(place), at(place + 1));
                let first = self.columns.partition_point(|column| end(column) <= from);
                let past = self.columns.partition_point(|column| end(column) <= to);
                // None ends within: that which covers it.
                let past = past.max(first + 1).min(self.columns.len());
                let begins = |column: &Column| end(column) - i128::from(column.span_ns) < to;
                let covered = self.columns.get(first).is_some_and(begins);
                let cells = track.cells.range(first.min(past)..past);
                cells.filter(|_| covered).fold(None, Slice::with).map(Slice::of)
            })
            .collect()
    }

    /// How far back it reaches, ns.
    pub fn reach_ns(&self) -> u64 {
        self.columns.iter().map(|column| column.span_ns).sum()
    }

    /// What it takes, bytes, as far as it depends on what was seen.
    pub fn bytes(&self) -> usize {
        let cells = |track: &Track| track.cells.capacity() * size_of::<Cell>();
        let tracks = self.tracks.capacity() * size_of::<(EntryKey, Track)>();
        let columns = self.columns.capacity() * size_of::<Column>();
        tracks + columns + self.tracks.values().map(cells).sum::<usize>()
    }
}

#[cfg(test)]
mod tests;
