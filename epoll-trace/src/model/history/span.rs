//! How far back a view goes.

use super::SECOND;

/// How far a view looks back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
pub enum Span {
    /// As far as there is something to see.
    #[default]
    Auto,
    /// So many minutes.
    Minutes(u64),
}

impl Span {
    const MINUTES: [u64; 3] = [1, 5, 15];

    /// The one after it, in turn.
    #[must_use]
    pub fn next(self) -> Self {
        let longer = |minutes: &&u64| self == Self::Auto || self < Self::Minutes(**minutes);
        Self::MINUTES
            .iter()
            .find(longer)
            .map_or(Self::Auto, |&minutes| Self::Minutes(minutes))
    }

    /// How long that is, ns, where `reach_ns` are known.
    pub fn window_ns(self, reach_ns: u64) -> u64 {
        // Two fifths of the width at least have something to show.
        let enough = |minutes: &&u64| **minutes * 60 * SECOND * 5 / 2 >= reach_ns;
        let minutes = match self {
            Self::Minutes(minutes) => minutes,
            Self::Auto => Self::MINUTES
                .iter()
                .find(enough)
                .copied()
                .unwrap_or(Self::MINUTES[2]),
        };
        minutes * 60 * SECOND
    }
}
