//! Numbers as people read them: times, counts and shares in few characters.

use crate::fields::Value;

/// What is shown for a number that cannot be known.
pub const ABSENT: &str = "-";

/// Unit of times in text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TimeUnit {
    /// Nanoseconds.
    Nanos,
    /// Microseconds.
    #[default]
    Micros,
    /// Milliseconds.
    Millis,
    /// No time: numbers of things.
    Things,
}

impl TimeUnit {
    /// Its length, ns.
    pub const fn nanos(self) -> u64 {
        match self {
            Self::Nanos | Self::Things => 1,
            Self::Micros => 1_000,
            Self::Millis => 1_000_000,
        }
    }

    /// Head of a histogram's column.
    pub const fn head(self) -> &'static str {
        match self {
            Self::Nanos => "nsecs",
            Self::Micros => "usecs",
            Self::Millis => "msecs",
            Self::Things => "number",
        }
    }

    /// Its symbol.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Nanos => "ns",
            Self::Micros => "us",
            Self::Millis => "ms",
            Self::Things => "",
        }
    }

    /// `nanos` in this unit: `16.4us`.
    pub fn time(self, nanos: u64) -> String {
        if matches!(self, Self::Nanos | Self::Things) {
            return format!("{nanos}{}", self.symbol());
        }
        format!(
            "{}{}",
            three_digits(nanos as f64 / self.nanos() as f64),
            self.symbol()
        )
    }
}

/// `nanos` in the unit that suits it, in at most 6 characters up to a day: `999ns`, `16.4us`, `1.02s`.
pub fn auto_time(nanos: u64) -> String {
    match nanos {
        0..1_000 => format!("{nanos}ns"),
        1_000..999_500 => format!("{}us", three_digits(nanos as f64 / 1e3)),
        999_500..999_500_000 => format!("{}ms", three_digits(nanos as f64 / 1e6)),
        _ => format!("{}s", three_digits(nanos as f64 / 1e9)),
    }
}

/// A value in few characters, `-` when it cannot be known. Names come out as they are.
pub fn short(value: &Value) -> String {
    match value {
        Value::Absent => ABSENT.to_owned(),
        Value::Text(text) | Value::Ranked(_, text) => text.clone(),
        Value::Count(count) => count.to_string(),
        Value::Rate(rate) => thousands(*rate),
        Value::Ratio(ratio) => format!("{ratio:.2}"),
        Value::Share(share) => format!("{:.0}%", share * 100.0),
        Value::FineShare(share) => format!("{:.2}%", share * 100.0),
        Value::Nanos(nanos) => auto_time(*nanos),
    }
}

/// `bytes` in the unit that suits it: `512B`, `4.00KB`, `15.7MB`. Powers of 1024.
pub fn auto_bytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes}B"),
        1_024..1_048_576 => format!("{}KB", three_digits(bytes as f64 / 1024.0)),
        _ => format!("{}MB", three_digits(bytes as f64 / 1_048_576.0)),
    }
}

fn thousands(rate: f64) -> String {
    match rate {
        rate if rate < 9_999.5 => three_digits(rate),
        rate if rate < 999_500.0 => format!("{}k", three_digits(rate / 1e3)),
        rate => format!("{}M", three_digits(rate / 1e6)),
    }
}

/// Three digits where there are fewer before the point, else all before the point.
fn three_digits(value: f64) -> String {
    match value {
        value if value < 9.995 => format!("{value:.2}"),
        value if value < 99.95 => format!("{value:.1}"),
        value => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times() {
        let shown = [
            0,
            999,
            1_000,
            16_383,
            999_499,
            999_500,
            1_023_999,
            137_000_000_000,
        ]
        .map(auto_time);
        assert_eq!(
            shown,
            [
                "0ns", "999ns", "1.00us", "16.4us", "999us", "1.00ms", "1.02ms", "137s"
            ]
        );
        assert_eq!(TimeUnit::Micros.time(16_383), "16.4us");
        assert_eq!(TimeUnit::Nanos.time(16_383), "16383ns");
        assert_eq!(TimeUnit::Millis.time(16_383), "0.02ms");
    }

    #[test]
    fn sizes() {
        assert_eq!(
            [0, 1_023, 4_096, 16_462_643].map(auto_bytes),
            ["0B", "1023B", "4.00KB", "15.7MB"]
        );
    }

    #[test]
    fn rates() {
        let shown = [0.0, 0.5, 9_999.0, 12_345.0, 1_234_567.0].map(|rate| short(&Value::Rate(rate)));
        assert_eq!(shown, ["0.00", "0.50", "9999", "12.3k", "1.23M"]);
    }

    proptest! {
        #[test]
        fn a_time_fits_its_column(nanos in 0..86_400_000_000_000_u64) {
            prop_assert!(auto_time(nanos).len() <= 6);
        }
    }
}
