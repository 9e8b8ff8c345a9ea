//! Counts of tests, added up over everything that ran.

use std::fmt;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Went well.
    pub(crate) passed: u64,
    /// Went wrong.
    pub(crate) failed: u64,
    /// Did not run, for a reason that was printed.
    pub(crate) skipped: u64,
    /// Of those that went well, those that did so only when run again.
    pub(crate) again: u64,
}

impl Tally {
    /// A single check that ran.
    pub(crate) fn of(ok: bool) -> Self {
        Self {
            passed: ok.into(),
            failed: (!ok).into(),
            ..Self::default()
        }
    }

    /// A single test that went well only when run again.
    pub(crate) fn again() -> Self {
        Self {
            again: 1,
            ..Self::of(true)
        }
    }

    /// A single check that did not run.
    pub(crate) fn skip() -> Self {
        Self {
            skipped: 1,
            ..Self::default()
        }
    }

    /// The counts of a summary line of Rust's test harness (`test result: ok. 3 passed; 0 failed; 1 ignored; ...`).
    pub(crate) fn of_harness(line: &str) -> Option<Self> {
        let (_, counts) = line.strip_prefix("test result: ")?.split_once(". ")?;
        let count = |word: &str| {
            counts
                .split(';')
                .find_map(|part| part.trim().strip_suffix(word)?.trim().parse::<u64>().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            skipped: count("ignored")?,
            again: 0,
        })
    }
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.again += other.again;
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )?;
        match self.again {
            0 => Ok(()),
            again => write!(f, "; {again} passed only when run again"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn summary_lines_of_the_harness() {
        let line = "test result: FAILED. 3 passed; 2 failed; 1 ignored; 0 measured; 4 filtered out; finished in 0.01s";
        assert_eq!(
            Tally::of_harness(line),
            Some(Tally {
                passed: 3,
                failed: 2,
                skipped: 1,
                again: 0
            })
        );
        assert_eq!(Tally::of_harness("test tests::it ... ok"), None);
    }

    #[test]
    fn sum() {
        let mut sum = Tally::of(true);
        sum += Tally::of(false);
        sum += Tally::skip();
        assert_eq!(sum.to_string(), "1 passed, 1 failed, 1 skipped");
        sum += Tally::again();
        assert_eq!(
            sum.to_string(),
            "2 passed, 1 failed, 1 skipped; 1 passed only when run again"
        );
    }
}
