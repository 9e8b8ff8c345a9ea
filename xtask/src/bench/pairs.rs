//! What pairs of measurements say of a ratio. Pure.

use serde::Serialize;

use crate::compare::median;

/// Standard deviations of a normal distribution that hold 95 %.
const SIGMAS: f64 = 1.96;
/// Fewer pairs have no interval of 95 % by order: the outermost two of five hold the median in 94 %.
const FEWEST: usize = 6;

/// A median and where it lies with 95 % by order statistics, which ask nothing of the distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Estimate {
    /// The middle one.
    pub(super) median: f64,
    /// Lower end of the interval.
    pub(super) low: f64,
    /// Upper end.
    pub(super) high: f64,
}

impl Estimate {
    /// Of at least [`FEWEST`] values, else there is none.
    pub(super) fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().collect();
        sorted.sort_unstable_by(f64::total_cmp);
        if sorted.len() < FEWEST {
            return None;
        }
        let count = sorted.len() as f64;
        let reach = SIGMAS * count.sqrt() / 2.0;
        // Ranks of the normal approximation to the binomial, rounded outwards.
        let rank = (count / 2.0 - reach).floor().max(1.0) as usize;
        Some(Self {
            median: median(&sorted)?,
            low: *sorted.get(rank - 1)?,
            high: *sorted.get(sorted.len() - rank)?,
        })
    }

    /// Whether all of the interval lies at most `most` from 1.
    pub(super) fn is_near_one(self, most: f64) -> bool {
        1.0 - self.low <= most && self.high - 1.0 <= most
    }

    /// Whether 1 lies in the interval.
    pub(super) fn holds_one(self) -> bool {
        self.low <= 1.0 && 1.0 <= self.high
    }
}

#[cfg(test)]
mod tests {
    use super::Estimate;

    fn range(count: u32) -> Option<Estimate> {
        Estimate::of((1..=count).rev().map(f64::from))
    }

    #[test]
    fn ranks_are_those_of_the_tables() {
        // Conover, Practical Nonparametric Statistics: of 20 the 6th and the 15th, of 100 the 40th and the 61st, or wider.
        let twenty = range(20).unwrap();
        assert_eq!((twenty.low, twenty.median, twenty.high), (5.0, 10.5, 16.0));
        let hundred = range(100).unwrap();
        assert_eq!((hundred.low, hundred.high), (40.0, 61.0));
        let six = range(6).unwrap();
        assert_eq!((six.low, six.high), (1.0, 6.0));
        assert_eq!(range(5), None);
    }

    #[test]
    fn one_bad_pair_moves_nothing() {
        let mut values = vec![1.0; 99];
        values.push(50.0);
        let estimate = Estimate::of(values).unwrap();
        assert_eq!((estimate.low, estimate.high), (1.0, 1.0));
    }

    #[test]
    fn near_one_and_one() {
        let estimate = |low, high| Estimate {
            median: 1.0,
            low,
            high,
        };
        assert!(estimate(0.996, 1.004).is_near_one(0.005) && estimate(0.996, 1.004).holds_one());
        assert!(estimate(1.001, 1.004).is_near_one(0.005) && !estimate(1.001, 1.004).holds_one());
        assert!(!estimate(0.996, 0.999).holds_one());
        assert!(!estimate(0.994, 1.001).is_near_one(0.005));
        assert!(!estimate(0.999, 1.006).is_near_one(0.005));
    }
}
