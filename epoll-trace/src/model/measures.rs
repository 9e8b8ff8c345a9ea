//! What a run may measure beyond what `top` does by itself, and what each costs.

/// One thing that may be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Measure {
    /// All counters of waits and epolls.
    Counters,
    /// Time in the queue of a busy loop.
    Queue,
    /// The phase before the waiter is runnable.
    Callback,
    /// Who is woken by shared files and listeners.
    Herd,
    /// Waits for locks.
    Locks,
    /// All that the diagnoses rest on.
    Findings,
    /// Numbers by thread.
    Threads,
    /// What our own programs cost.
    Cost,
}

/// What people read of a measure.
#[derive(Clone, Copy, Debug)]
pub struct MeasureRow {
    /// Which.
    pub measure: Measure,
    /// Its name on the command line.
    pub name: &'static str,
    /// What it brings.
    pub what: &'static str,
    /// What it costs.
    pub price: &'static str,
}

const fn row(measure: Measure, name: &'static str, what: &'static str, price: &'static str) -> MeasureRow {
    MeasureRow {
        measure,
        name,
        what,
        price,
    }
}

/// Every measure, in the order of [`Measure`].
pub static MEASURES: &[MeasureRow] = &[
    row(
        Measure::Counters,
        "counters",
        "utilization, items, flags, the overflow list, epoll_ctl, accepts",
        "a program at every notification, scan and epoll_ctl",
    ),
    row(
        Measure::Queue,
        "queue",
        "how long events wait for a loop that is busy",
        "a program at every notification",
    ),
    row(
        Measure::Callback,
        "callback",
        "the time from the notification to the waiter made runnable",
        "two programs at every notification",
    ),
    row(
        Measure::Herd,
        "herd",
        "listeners and files that several watch: fan-out, who is woken, who gets the work",
        "a program at every notification, and a look-up for those of such a file",
    ),
    row(
        Measure::Locks,
        "locks",
        "who waits for which lock of an epoll",
        "a look-up at every notification and at each contended lock of the machine",
    ),
    row(
        Measure::Findings,
        "findings",
        "all that the diagnoses rest on",
        "all of the above but callback and queue: seven to eight times what top costs by itself",
    ),
    row(
        Measure::Threads,
        "threads",
        "the threads of each process",
        "a row in the kernel for each thread",
    ),
    row(
        Measure::Cost,
        "cost",
        "what each of our programs costs",
        "two clock reads at each run of a program",
    ),
];

/// A set of measures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measures(u16);

impl Measures {
    /// What `top` measures by itself.
    pub const NONE: Self = Self(0);

    /// These.
    pub const fn of(measures: &[Measure]) -> Self {
        let mut set = 0;
        let mut place = 0;
        while place < measures.len() {
            set |= 1 << measures[place] as u16;
            place += 1;
        }
        Self(set)
    }

    /// Every one.
    pub fn all() -> Self {
        MEASURES
            .iter()
            .fold(Self::NONE, |all, row| all.with(Self::of(&[row.measure])))
    }

    /// Those of both; what brings another along has it.
    pub const fn with(self, more: Self) -> Self {
        let set = Self(self.0 | more.0);
        if set.has(Measure::Findings) {
            return Self(set.0 | Self::of(&[Measure::Counters, Measure::Herd, Measure::Locks]).0);
        }
        set
    }

    /// Whether `measure` is one of them.
    pub const fn has(self, measure: Measure) -> bool {
        self.0 & (1 << measure as u16) != 0
    }

    /// Those of `needed` that are missing here.
    pub const fn missing(self, needed: Self) -> Self {
        Self(needed.0 & !self.0)
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The rows of its measures.
    pub fn rows(self) -> impl Iterator<Item = &'static MeasureRow> {
        MEASURES.iter().filter(move |row| self.has(row.measure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole_and_sets_are_closed() {
        for (nth, row) in MEASURES.iter().enumerate() {
            assert_eq!(row.measure as usize, nth, "{}", row.name);
        }
        let findings = Measures::NONE.with(Measures::of(&[Measure::Findings]));
        assert!(
            findings.has(Measure::Herd) && findings.has(Measure::Counters) && !findings.has(Measure::Cost)
        );
        let missing = findings.missing(Measures::of(&[Measure::Cost, Measure::Locks]));
        assert_eq!(missing.rows().map(|row| row.name).collect::<Vec<_>>(), ["cost"]);
        assert_eq!(Measures::all().rows().count(), MEASURES.len());
    }
}
