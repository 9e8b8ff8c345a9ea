//! From the programs' raw values to the model's: histograms whose 32-bit counts wrap, counters by id.

use std::array;
use std::collections::BTreeMap;
use std::iter::Peekable;
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

/// A part of a histogram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Part {
    /// Where the programs count it.
    pub(super) chunk: u32,
    slot: u8,
    part: u8,
    /// Sum of the values there, at the last reading.
    pub(super) sum: u64,
}

impl Part {
    /// What `owner` counts in `chunk`, `sum` so far.
    pub(super) fn new(chunk: u32, owner: abi::Owner, sum: u64) -> Self {
        Self {
            chunk,
            slot: owner.slot,
            part: owner.part,
            sum,
        }
    }

    /// Slot and part: parts in this order make whole histograms.
    pub(super) fn place(self) -> (u8, u8) {
        (self.slot, self.part)
    }

    /// Whether it belongs to the histogram of `slot`.
    pub(super) fn is_of(self, slot: usize) -> bool {
        usize::from(self.slot) == slot
    }

    fn first(self) -> u16 {
        u16::from(self.part) * abi::CHUNK_BUCKETS as u16
    }
}

/// Brings the counts `old` of histogram `slot` up to what `read` says of its `parts`, which are ordered by place. Threads that raced
/// for a part have one each, and what they count adds up.
///
/// # Errors
/// Those of `read`.
pub(super) fn carried<E>(
    old: &[(u16, u64)],
    parts: &[Part],
    slot: usize,
    mut read: impl FnMut(u32) -> Result<[u32; abi::CHUNK_BUCKETS], E>,
) -> Result<Vec<(u16, u64)>, E> {
    // Few buckets are new at a look.
    let mut counts = Vec::with_capacity(old.len() + 2);
    let mut old = old.iter().copied().peekable();
    let of_slot = parts.iter().filter(|part| part.is_of(slot));
    let mut of_slot = of_slot.copied().peekable();
    while let Some(part) = of_slot.next() {
        let mut raw = read(part.chunk)?;
        while let Some(raced) = of_slot.next_if(|next| next.part == part.part) {
            let more = read(raced.chunk)?;
            raw.iter_mut()
                .zip(more)
                .for_each(|(sum, count)| *sum = sum.wrapping_add(count));
        }
        carry(&mut counts, &mut old, part.first(), &raw);
    }
    // There are many of them for hours.
    counts.shrink_to_fit();
    Ok(counts)
}

/// Appends to `counts` what `old` becomes by the reading `raw` of the buckets from `first` on: the low 32 bits of each count are the
/// programs', the rest is carried here.
fn carry(
    counts: &mut Vec<(u16, u64)>,
    old: &mut Peekable<impl Iterator<Item = (u16, u64)>>,
    first: u16,
    raw: &[u32],
) {
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

/// A histogram that is kept whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(u16, u64)>,
    sum_ns: u64,
}

impl Tally {
    /// Takes a new reading of one that is not kept in parts.
    pub(super) fn update(&mut self, raw: &abi::Histogram) {
        let mut old = std::mem::take(&mut self.counts).into_iter().peekable();
        carry(&mut self.counts, &mut old, 0, &raw.counts);
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

/// How a wait can end.
const OUTCOMES: [Counter; 6] = [
    Counter::DeliveriesSlept,
    Counter::DeliveriesAtOnce,
    Counter::Timeouts,
    Counter::ZeroTimeouts,
    Counter::Interrupted,
    Counter::Errors,
];

/// Adds deliveries that slept and are counted by their histogram alone. It was read after the counters: waits that ended in between had an
/// outcome before they were counted, and no more can have one than ended.
pub(super) fn add_measured(counters: &mut [u64; Counter::COUNT], deliveries: u64) {
    counters[Counter::DeliveriesSlept as usize] += deliveries;
    let ended = OUTCOMES.iter().map(|&outcome| counters[outcome as usize]).sum();
    let waits = &mut counters[Counter::Waits as usize];
    *waits = (*waits).max(ended);
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
    use std::convert::Infallible;

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

    fn part(chunk: u32, slot: u8, part: u8) -> Part {
        Part::new(chunk, abi::Owner { row: 0, slot, part }, 0)
    }

    /// Chunks whose only counts are those listed (chunk, index, count).
    fn read(
        values: &[(u32, usize, u32)],
    ) -> impl FnMut(u32) -> Result<[u32; abi::CHUNK_BUCKETS], Infallible> {
        |chunk| {
            let mut counts = [0; abi::CHUNK_BUCKETS];
            for &(_, index, count) in values.iter().filter(|&&(of, ..)| of == chunk) {
                counts[index] = count;
            }
            Ok(counts)
        }
    }

    #[test]
    fn counts_survive_the_wrap_of_32_bits() {
        let parts = [part(7, 0, 1)];
        let first = carried(&[], &parts, 0, read(&[(7, 3, u32::MAX), (7, 9, 1)])).unwrap();
        let then = carried(&first, &parts, 0, read(&[(7, 3, 4), (7, 5, 2), (7, 9, 1)])).unwrap();
        assert_eq!(then, [(35, u64::from(u32::MAX) + 5), (37, 2), (41, 1)]);
    }

    #[test]
    fn parts_of_a_slot_make_one_histogram_and_raced_ones_add_up() {
        let parts = [part(0, 1, 0), part(1, 1, 0), part(2, 1, 2), part(3, 2, 0)];
        let values = [(0, 3, 1), (1, 3, 1), (2, 0, 1), (3, 5, 1)];
        let of_slot = |slot| carried(&[], &parts, slot, read(&values)).unwrap();
        assert_eq!(of_slot(1), [(3, 2), (64, 1)]);
        assert_eq!(of_slot(2), [(5, 1)]);
        assert_eq!(of_slot(0), []);
        // Both wrap on their own, and the sum does.
        let high = [(0, 3, u32::MAX), (1, 3, u32::MAX)];
        let late = carried(&[(3, 2)], &parts, 1, read(&high)).unwrap();
        assert_eq!(late, [(3, u64::from(u32::MAX) - 1)]);
        let later = carried(&late, &parts, 1, read(&[(0, 3, 4), (1, 3, u32::MAX)])).unwrap();
        assert_eq!(later, [(3, u64::from(u32::MAX) + 4)]);
    }

    #[test]
    fn no_more_waits_have_an_outcome_than_ended() {
        let mut counters = [0; Counter::COUNT];
        counters[Counter::Waits as usize] = 10;
        counters[Counter::Timeouts as usize] = 4;
        add_measured(&mut counters, 5);
        assert_eq!(counters[Counter::Waits as usize], 10);
        // Four more were delivered since the counters were read.
        add_measured(&mut counters, 4);
        assert_eq!(counters[Counter::Waits as usize], 13);
        assert_eq!(counters[Counter::DeliveriesSlept as usize], 9);
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
