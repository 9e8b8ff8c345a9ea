//! From the programs' raw values to the model's: histograms whose 32-bit counts wrap, counters by id.

use epoll_trace_ebpf as abi;

use crate::model::{
    histogram::{Histogram, Shape},
    snapshot::Counter,
};

/// Lower edges of the programs' buckets.
pub(super) fn shape() -> Shape {
    (0..=abi::BUCKETS).map(abi::bucket_low).collect()
}

/// A histogram followed over many readings.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    counts: Vec<(u16, u64)>,
    sum_ns: u64,
}

impl Tally {
    /// Takes a new reading: the low 32 bits of each count are the programs', the rest is carried here.
    pub(super) fn update(&mut self, raw: &abi::Histogram) {
        let mut old = std::mem::take(&mut self.counts).into_iter().peekable();
        for (index, &count) in (0u16..).zip(&raw.counts) {
            let before = old
                .next_if(|&(at, _)| at == index)
                .map_or(0, |(_, before)| before);
            let total = before + u64::from(count.wrapping_sub(before as u32));
            if total > 0 {
                self.counts.push((index, total));
            }
        }
        self.sum_ns = raw.sum_ns;
    }

    /// As the model wants it.
    pub(super) fn histogram(&self, shape: &Shape) -> Histogram {
        Histogram::new(shape.clone(), self.counts.clone(), self.sum_ns)
    }

    /// Adds what `other` counted.
    pub(super) fn absorb(&mut self, other: &Self) {
        let mut merged: std::collections::BTreeMap<u16, u64> = self.counts.drain(..).collect();
        for &(index, count) in &other.counts {
            *merged.entry(index).or_default() += count;
        }
        self.counts = merged.into_iter().collect();
        self.sum_ns += other.sum_ns;
    }
}

/// The model's counter of the same name. Names are the contract between the two lists; a test holds them equal.
pub(super) fn counter(id: abi::Counter) -> Option<Counter> {
    Counter::from_name(id.name())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{EpollCounter, Metric};

    #[test]
    fn both_sides_have_the_same_names() {
        for &id in abi::Counter::ALL {
            assert!(counter(id).is_some(), "{} is not in the model", id.name());
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

    fn raw(values: &[(usize, u32)]) -> abi::Histogram {
        let mut counts = [0; abi::BUCKETS];
        for &(index, count) in values {
            counts[index] = count;
        }
        abi::Histogram { sum_ns: 7, counts }
    }

    #[test]
    fn counts_survive_the_wrap_of_32_bits() {
        let mut tally = Tally::default();
        tally.update(&raw(&[(3, u32::MAX), (9, 1)]));
        tally.update(&raw(&[(3, 4), (5, 2), (9, 1)]));
        assert_eq!(tally.counts, [(3, u64::from(u32::MAX) + 5), (5, 2), (9, 1)]);
        assert_eq!(tally.histogram(&shape()).count(), u64::from(u32::MAX) + 8);
    }

    #[test]
    fn absorbing_adds() {
        let mut one = Tally::default();
        one.update(&raw(&[(3, 1), (9, 1)]));
        let mut other = Tally::default();
        other.update(&raw(&[(3, 2), (4, 1)]));
        one.absorb(&other);
        assert_eq!(one.counts, [(3, 3), (4, 1), (9, 1)]);
        assert_eq!(one.sum_ns, 14);
    }
}
