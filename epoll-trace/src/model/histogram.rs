//! A histogram: sparse counts over a fixed shape, of times in ns or of numbers of things, as its metric says.
//! Every quoted value is the upper edge of a bucket, so it is never below the true one and at most 6.25 % above it.

use std::sync::Arc;

/// Lower edges of all buckets, in the metric's unit (ns, or things), and behind the last one the first value beyond the range.
/// The source that measures knows the shape; the model only walks it.
pub type Shape = Arc<[u64]>;

/// One bucket that counted something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Smallest value in it, in the metric's unit.
    pub low: u64,
    /// Smallest value of the next bucket, likewise.
    pub next: u64,
    /// Values counted.
    pub count: u64,
}

impl Bucket {
    /// The largest value in it, in the metric's unit.
    pub fn high(self) -> u64 {
        self.next.saturating_sub(1)
    }
}

/// One row of a histogram with power-of-two edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log2Row {
    /// Smallest value, in the unit asked for.
    pub low: u64,
    /// Largest value, in the unit asked for.
    pub high: u64,
    /// Values counted.
    pub count: u64,
}

/// Which part of the values lies at or below the one asked for, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantile(pub u16);

impl Quantile {
    /// The median.
    pub const P50: Self = Self(500);
    /// 90 %.
    pub const P90: Self = Self(900);
    /// 99 %.
    pub const P99: Self = Self(990);
    /// 99.9 %.
    pub const P999: Self = Self(999);
}

/// Counts of values by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    shape: Shape,
    counts: Vec<(u16, u64)>,
    /// Sum of all values: ns, and things where the metric counts these.
    pub sum_ns: u64,
}

impl Histogram {
    /// A histogram of `counts` (bucket index, count), ascending by index; indices beyond the shape are dropped.
    pub fn new(shape: Shape, counts: Vec<(u16, u64)>, sum_ns: u64) -> Self {
        let buckets = shape.len().saturating_sub(1);
        let mut counts = counts;
        counts.retain(|&(index, count)| usize::from(index) < buckets && count > 0);
        Self {
            shape,
            counts,
            sum_ns,
        }
    }

    /// Counts by index of their bucket, ascending; none is 0.
    pub fn counts(&self) -> &[(u16, u64)] {
        &self.counts
    }

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| count).sum()
    }

    /// The buckets that counted something, ascending.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> + '_ {
        self.counts.iter().filter_map(|&(index, count)| {
            let index = usize::from(index);
            Some(Bucket {
                low: *self.shape.get(index)?,
                next: *self.shape.get(index + 1)?,
                count,
            })
        })
    }

    /// The value, in the metric's unit, that `quantile` of all values do not exceed: the upper edge (inclusive) of the bucket that holds it.
    /// `None` without values.
    pub fn percentile(&self, quantile: Quantile) -> Option<u64> {
        let wanted = u128::from(self.count()) * u128::from(quantile.0);
        let mut seen = 0;
        self.buckets()
            .find(|bucket| {
                seen += u128::from(bucket.count) * 1000;
                seen >= wanted
            })
            .map(Bucket::high)
    }

    /// The upper edge (inclusive, in the metric's unit) of the highest bucket: at most 6.25 % above the largest value. `None` without values.
    pub fn max(&self) -> Option<u64> {
        self.buckets().next_back().map(Bucket::high)
    }

    /// Adds the values of `other`.
    pub fn merge(&mut self, other: &Self) {
        *self = self.joined(other, u64::saturating_add);
    }

    /// The values counted since `earlier`.
    pub fn minus(&self, earlier: &Self) -> Self {
        self.joined(earlier, u64::saturating_sub)
    }

    /// Power-of-two rows from 0 to the highest that is not empty, in units of `unit_ns`.
    ///
    /// A bucket falls into the row of its upper edge, the value that percentiles quote: with units other than ns a value
    /// less than 6.25 % below an edge may stand one row higher.
    pub fn log2_rows(&self, unit_ns: u64) -> Vec<Log2Row> {
        let mut rows: Vec<Log2Row> = Vec::new();
        for bucket in self.buckets() {
            let value = bucket.high() / unit_ns.max(1);
            let row = value.max(1).ilog2() as usize;
            while rows.len() <= row {
                let exponent = rows.len() as u32;
                rows.push(Log2Row {
                    low: if exponent == 0 { 0 } else { 1 << exponent },
                    high: u64::MAX >> (63 - exponent.min(63)),
                    count: 0,
                });
            }
            rows[row].count += bucket.count;
        }
        rows
    }

    /// Both bucket by bucket. Both are in order, so one walk does.
    fn joined(&self, other: &Self, join: fn(u64, u64) -> u64) -> Self {
        let mut counts = Vec::with_capacity(self.counts.len());
        let mut add = |index, count| {
            if count > 0 {
                counts.push((index, count));
            }
        };
        let mut others = other.counts.iter().copied().peekable();
        for &(index, own) in &self.counts {
            while let Some((before, theirs)) = others.next_if(|&(at, _)| at < index) {
                add(before, join(0, theirs));
            }
            let theirs = others.next_if(|&(at, _)| at == index);
            add(index, join(own, theirs.map_or(0, |(_, count)| count)));
        }
        others.for_each(|(index, theirs)| add(index, join(0, theirs)));
        Self {
            shape: Arc::clone(&self.shape),
            counts,
            sum_ns: join(self.sum_ns, other.sum_ns),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Edges 0, 1, .. 15, then 16 to a power of two, as the programs count.
    fn shape() -> Shape {
        (0..16)
            .chain((4..37).flat_map(|exponent| (0..16).map(move |sub| (16 + sub) << (exponent - 4))))
            .chain([1 << 37])
            .collect()
    }

    fn of(values: &[u64]) -> Histogram {
        let shape = shape();
        let mut all = Histogram::new(Arc::clone(&shape), Vec::new(), 0);
        for &value in values {
            let index = shape.partition_point(|&edge| edge <= value) - 1;
            all.merge(&Histogram::new(
                Arc::clone(&shape),
                vec![(index as u16, 1)],
                value,
            ));
        }
        all
    }

    #[test]
    fn nothing_counted_has_no_percentile() {
        let empty = of(&[]);
        assert_eq!(empty.percentile(Quantile::P50), None);
        assert_eq!(empty.max(), None);
        assert!(empty.log2_rows(1).is_empty());
    }

    #[test]
    fn percentiles_are_upper_edges() {
        let values = of(&[3, 3, 3, 1000]);
        assert_eq!(values.percentile(Quantile::P50), Some(3));
        assert_eq!(values.percentile(Quantile(750)), Some(3));
        assert_eq!(values.percentile(Quantile(751)), Some(1023));
        assert_eq!(values.max(), Some(1023));
    }

    #[test]
    fn rows_have_the_edges_of_the_unit() {
        let rows = of(&[900, 1_000, 2_500, 17_000, 17_500]).log2_rows(1000);
        assert_eq!(rows.len(), 5);
        assert_eq!(
            rows[0],
            Log2Row {
                low: 0,
                high: 1,
                count: 2
            }
        );
        assert_eq!(
            rows[1],
            Log2Row {
                low: 2,
                high: 3,
                count: 1
            }
        );
        assert_eq!(
            rows[4],
            Log2Row {
                low: 16,
                high: 31,
                count: 2
            }
        );
    }

    proptest! {
        #[test]
        fn a_percentile_is_within_a_sixteenth_above(mut values in prop::collection::vec(0..60_000_000_000_u64, 1..200), permille in 1..=1000_u16) {
            let histogram = of(&values);
            values.sort_unstable();
            let rank = (values.len() * usize::from(permille)).div_ceil(1000);
            let truth = values[rank - 1];
            let quoted = histogram.percentile(Quantile(permille)).unwrap();
            prop_assert!(truth <= quoted && quoted - truth <= truth / 16);
        }

        #[test]
        fn minus_undoes_merge(first in prop::collection::vec(0..60_000_000_000_u64, 0..50), second in prop::collection::vec(0..60_000_000_000_u64, 0..50)) {
            let (first, second) = (of(&first), of(&second));
            let mut both = first.clone();
            both.merge(&second);
            prop_assert_eq!(both.count(), first.count() + second.count());
            prop_assert_eq!(both.minus(&first), second);
        }

        #[test]
        fn rows_keep_every_value(values in prop::collection::vec(0..60_000_000_000_u64, 0..100), unit in prop::sample::select(vec![1_u64, 1000, 1_000_000])) {
            let histogram = of(&values);
            let rows = histogram.log2_rows(unit);
            prop_assert_eq!(rows.iter().map(|row| row.count).sum::<u64>(), histogram.count());
            prop_assert!(rows.windows(2).all(|pair| pair[0].high + 1 == pair[1].low));
        }
    }
}
