//! A histogram of times: sparse counts over a fixed shape.

use std::sync::Arc;

/// Lower edges of all buckets, in ns, and behind the last one the first value beyond the range.
/// The source that measures knows the shape; the model only walks it.
pub type Shape = Arc<[u64]>;

/// Counts of values by bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    shape: Shape,
    counts: Vec<(u16, u64)>,
    /// Sum of all values, ns.
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

    /// Number of values.
    pub fn count(&self) -> u64 {
        self.counts.iter().map(|&(_, count)| count).sum()
    }
}
