//! From the programs' raw values to the model's: histograms whose 32-bit counts wrap, counters by id.

use std::array;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use epoll_trace_ebpf as abi;

use crate::model::{
    histogram::{Histogram, Shape},
    snapshot::{Counter, EpollCounter},
};

/// Lower edges of the programs' buckets.
pub(super) fn shape() -> Shape {
    (0..=abi::BUCKETS).map(abi::bucket_low).collect()
}

/// A part of a histogram, followed over many readings.
#[derive(Clone, Debug)]
pub(super) struct Part {
    /// Where the programs count it.
    pub(super) chunk: u32,
    slot: usize,
    first: u16,
    counts: Vec<(u16, u64)>,
}

impl Part {
    /// What `owner` counts in `chunk`; nothing so far.
    pub(super) fn new(chunk: u32, owner: abi::Owner) -> Self {
        Self {
            chunk,
            slot: owner.slot.into(),
            first: u16::from(owner.part) * abi::CHUNK_BUCKETS as u16,
            counts: Vec::new(),
        }
    }

    /// Slot and first bucket: parts in this order make whole histograms.
    pub(super) fn place(&self) -> (usize, u16) {
        (self.slot, self.first)
    }

    /// Takes a new reading: the low 32 bits of each count are the programs', the rest is carried here.
    pub(super) fn update(&mut self, raw: &[u32; abi::CHUNK_BUCKETS]) {
        carry(&mut self.counts, self.first, raw);
    }
}

/// Brings `counts` up to the reading `raw` of the buckets from `first` on.
fn carry(counts: &mut Vec<(u16, u64)>, first: u16, raw: &[u32]) {
    let mut old = std::mem::take(counts).into_iter().peekable();
    for (index, &count) in (first..).zip(raw) {
        let before = old
            .next_if(|&(at, _)| at == index)
            .map_or(0, |(_, before)| before);
        let total = before + u64::from(count.wrapping_sub(before as u32));
        if total > 0 {
            counts.push((index, total));
        }
    }
}

/// A histogram.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(u16, u64)>,
    sum_ns: u64,
}

impl Tally {
    /// The histogram `slot` from its `parts`, which are ordered by place. Threads that raced for a part have one each.
    pub(super) fn of(parts: &[Part], slot: usize, sum_ns: u64) -> Self {
        let mut tally = Self {
            counts: Vec::new(),
            sum_ns,
        };
        let mut last = None;
        for part in parts.iter().filter(|part| part.slot == slot) {
            if last.replace(part.first) == Some(part.first) {
                tally.add(&part.counts);
            } else {
                tally.counts.extend_from_slice(&part.counts);
            }
        }
        tally
    }

    /// Takes a new reading of one that is not kept in parts, as [`Part::update`].
    pub(super) fn update(&mut self, raw: &abi::Histogram) {
        carry(&mut self.counts, 0, &raw.counts);
        self.sum_ns = raw.sum_ns;
    }

    /// As the model wants it.
    pub(super) fn histogram(self, shape: &Shape) -> Histogram {
        Histogram::new(shape.clone(), self.counts, self.sum_ns)
    }

    /// Adds what `other` counted.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.add(&other.counts);
        self.sum_ns += other.sum_ns;
    }

    fn add(&mut self, counts: &[(u16, u64)]) {
        let mut merged: BTreeMap<u16, u64> = self.counts.drain(..).collect();
        for &(index, count) in counts {
            *merged.entry(index).or_default() += count;
        }
        self.counts = merged.into_iter().collect();
    }
}

/// Where the model has each of the programs' counters, looked up by name once. Names are the contract between the two lists;
/// a test holds them equal.
static COUNTERS: LazyLock<[Option<usize>; Counter::COUNT]> = LazyLock::new(|| {
    let place = |id: abi::Counter| Counter::from_name(id.name()).map(|id| id as usize);
    array::from_fn(|index| abi::Counter::ALL.get(index).copied().and_then(place))
});
/// As [`COUNTERS`].
static EPOLL_COUNTERS: LazyLock<[Option<usize>; EpollCounter::COUNT]> = LazyLock::new(|| {
    let place = |id: abi::EpollCounter| EpollCounter::from_name(id.name()).map(|id| id as usize);
    array::from_fn(|index| abi::EpollCounter::ALL.get(index).copied().and_then(place))
});

/// The model's counters from the programs'.
pub(super) fn counters(raw: &[u64; abi::Counter::COUNT]) -> [u64; Counter::COUNT] {
    placed(&COUNTERS, raw)
}

/// As [`counters`], of an epoll.
pub(super) fn epoll_counters(raw: &[u64; abi::EpollCounter::COUNT]) -> [u64; EpollCounter::COUNT] {
    placed(&EPOLL_COUNTERS, raw)
}

fn placed<const N: usize>(places: &[Option<usize>; N], raw: &[u64]) -> [u64; N] {
    let mut counters = [0; N];
    for (&place, &value) in places.iter().zip(raw) {
        if let Some(counter) = place.and_then(|place| counters.get_mut(place)) {
            *counter = value;
        }
    }
    counters
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Metric;

    #[test]
    fn both_sides_have_the_same_names() {
        for &id in abi::Counter::ALL {
            assert!(
                Counter::from_name(id.name()).is_some(),
                "{} is not in the model",
                id.name()
            );
        }
        for &id in Metric::ALL {
            let found = abi::Metric::ALL.iter().any(|metric| metric.name() == id.name());
            assert!(found, "{} is not in the layout", id.name());
        }
        for &id in abi::EpollCounter::ALL {
            assert!(
                EpollCounter::from_name(id.name()).is_some(),
                "{} is not in the model",
                id.name()
            );
        }
        assert_eq!(abi::Counter::COUNT, Counter::COUNT);
        assert_eq!(abi::EpollCounter::COUNT, EpollCounter::COUNT);
        assert_eq!(abi::Metric::COUNT, Metric::COUNT);
    }

    fn part(first: u8, slot: u8) -> Part {
        Part::new(
            0,
            abi::Owner {
                row: 0,
                slot,
                part: first,
            },
        )
    }

    fn raw(values: &[(usize, u32)]) -> [u32; abi::CHUNK_BUCKETS] {
        let mut counts = [0; abi::CHUNK_BUCKETS];
        for &(index, count) in values {
            counts[index] = count;
        }
        counts
    }

    #[test]
    fn counts_survive_the_wrap_of_32_bits() {
        let mut part = part(1, 0);
        part.update(&raw(&[(3, u32::MAX), (9, 1)]));
        part.update(&raw(&[(3, 4), (5, 2), (9, 1)]));
        assert_eq!(part.counts, [(35, u64::from(u32::MAX) + 5), (37, 2), (41, 1)]);
        let whole = Tally::of(&[part], 0, 7).histogram(&shape());
        assert_eq!((whole.count(), whole.sum_ns), (u64::from(u32::MAX) + 8, 7));
    }

    #[test]
    fn parts_of_a_slot_make_one_histogram_and_raced_ones_add_up() {
        let mut parts = [part(0, 1), part(0, 1), part(2, 1), part(0, 2)];
        for (part, index) in parts.iter_mut().zip([3, 3, 0, 5]) {
            part.update(&raw(&[(index, 1)]));
        }
        assert_eq!(Tally::of(&parts, 1, 0).counts, [(3, 2), (64, 1)]);
        assert_eq!(Tally::of(&parts, 2, 0).counts, [(5, 1)]);
        assert_eq!(Tally::of(&parts, 0, 0).counts, []);
    }

    #[test]
    fn absorbing_adds() {
        let tally = |values: &[(u16, u64)], sum_ns| Tally {
            counts: values.to_vec(),
            sum_ns,
        };
        let mut one = tally(&[(3, 1), (9, 1)], 7);
        one.absorb(&tally(&[(3, 2), (4, 1)], 5));
        assert_eq!(one.counts, [(3, 3), (4, 1), (9, 1)]);
        assert_eq!(one.sum_ns, 12);
    }
}
