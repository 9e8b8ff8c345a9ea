//! Average and spread over threads, as `perf bench` computes them.

use serde::Serialize;

/// Average over threads and how sure it is.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Stats {
    /// Mean of the threads' numbers.
    pub average: f64,
    /// Standard deviation of that mean as a share of it: what perf prints after `+-`, times 100. Null for one thread,
    /// whose spread cannot be known, and for an average of 0.
    pub relative_stddev: Option<f64>,
}

impl Stats {
    /// Over one number per thread.
    pub(super) fn of(numbers: &[f64]) -> Self {
        let count = numbers.len() as f64;
        let average = numbers.iter().sum::<f64>() / count.max(1.0);
        let squares: f64 = numbers.iter().map(|number| (number - average).powi(2)).sum();
        // perf's stddev_stats (tools/perf/util/stat.c): sample variance over the number of samples.
        let of_mean = (squares / (count - 1.0) / count).sqrt();
        Self {
            average,
            relative_stddev: (numbers.len() > 1 && average > 0.0).then_some(of_mean / average),
        }
    }

    /// `+- 1.23%`, as perf puts it.
    pub(super) fn spread(&self) -> String {
        self.relative_stddev.map_or_else(
            || "+- unknown".to_owned(),
            |share| format!("+- {:.2}%", share * 100.0),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::Stats;

    #[test]
    fn spread_is_that_of_the_mean() {
        // Sample variance 4, of the mean 1: 1 of 10.
        let stats = Stats::of(&[8.0, 12.0, 8.0, 12.0, 10.0]);
        assert_eq!(stats.average, 10.0);
        let share = stats.relative_stddev.unwrap();
        assert!((share - (4.0_f64 / 5.0).sqrt() / 10.0).abs() < 1e-12, "{share}");
        assert_eq!(stats.spread(), "+- 8.94%");
    }

    #[test]
    fn one_thread_has_no_spread() {
        assert_eq!(Stats::of(&[5.0]).relative_stddev, None);
        assert_eq!(Stats::of(&[]).average, 0.0);
        assert_eq!(Stats::of(&[0.0, 0.0]).relative_stddev, None);
        assert_eq!(Stats::of(&[5.0]).spread(), "+- unknown");
    }
}
