//! What our own programs and this agent cost, and the difference of two looks at it.

/// What one program ran so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProgramRuns {
    /// The program's name.
    pub name: String,
    /// Runs while they were counted; `None` where the kernel does not count them.
    pub runs: Option<u64>,
    /// Time in those, ns.
    pub run_ns: Option<u64>,
    /// Hits dropped because the program was running on that CPU; `None` before 5.12.
    pub misses: Option<u64>,
}

/// Memory of one map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MapMemory {
    /// The map's name.
    pub name: String,
    /// Bytes, as the kernel accounts them.
    pub bytes: u64,
}

/// Everything spent since the start, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spent {
    /// CLOCK_MONOTONIC ns of this look.
    pub at_ns: u64,
    /// Why runs are not counted, if they are not.
    pub uncounted: Option<String>,
    /// By name.
    pub programs: Vec<ProgramRuns>,
    /// By name.
    pub maps: Vec<MapMemory>,
    /// Processor time of this process, ns.
    pub agent_ns: Option<u64>,
    /// Resident memory of this process, bytes.
    pub agent_bytes: Option<u64>,
}

/// What was spent between two looks. Memory is that of the later one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overhead {
    /// Time between the looks, ns.
    pub span_ns: u64,
    /// The later look; runs and times are those since the earlier one.
    pub spent: Spent,
}

impl Overhead {
    /// What was spent after `earlier`, up to and with `later`.
    pub fn between(earlier: &Spent, later: &Spent) -> Self {
        let mut spent = later.clone();
        for program in &mut spent.programs {
            let old = earlier.programs.iter().find(|old| old.name == program.name);
            program.runs = since(program.runs, old.and_then(|old| old.runs));
            program.run_ns = since(program.run_ns, old.and_then(|old| old.run_ns));
            program.misses = since(program.misses, old.and_then(|old| old.misses));
        }
        spent.agent_ns = since(later.agent_ns, earlier.agent_ns);
        Self {
            span_ns: later.at_ns.saturating_sub(earlier.at_ns),
            spent,
        }
    }

    /// All programs together; a number that one of them does not know, the sum does not know.
    pub fn total(&self) -> ProgramRuns {
        let sum = |of: fn(&ProgramRuns) -> Option<u64>| self.spent.programs.iter().map(of).sum();
        ProgramRuns {
            name: "total".to_owned(),
            runs: sum(|program| program.runs),
            run_ns: sum(|program| program.run_ns),
            misses: sum(|program| program.misses),
        }
    }

    /// Bytes of all maps.
    pub fn map_bytes(&self) -> u64 {
        self.spent.maps.iter().map(|map| map.bytes).sum()
    }

    /// `count` per second.
    pub fn per_second(&self, count: Option<u64>) -> Option<f64> {
        self.share_of_core(count).map(|per_ns| per_ns * 1e9)
    }

    /// Time `ns` as part of one core: above 1 where several were busy.
    pub fn share_of_core(&self, ns: Option<u64>) -> Option<f64> {
        (self.span_ns > 0).then(|| ns.map(|ns| ns as f64 / self.span_ns as f64))?
    }
}

impl ProgramRuns {
    /// Mean time of a run, ns; `None` without runs.
    pub fn ns_per_run(&self) -> Option<f64> {
        let (runs, run_ns) = self.runs.zip(self.run_ns)?;
        (runs > 0).then(|| run_ns as f64 / runs as f64)
    }
}

fn since(later: Option<u64>, earlier: Option<u64>) -> Option<u64> {
    Some(later?.saturating_sub(earlier.unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(at_ns: u64, runs: Option<u64>) -> Spent {
        let program = |name: &str, runs: Option<u64>| ProgramRuns {
            name: name.to_owned(),
            runs,
            run_ns: runs.map(|runs| runs * 200),
            misses: None,
        };
        Spent {
            at_ns,
            programs: vec![program("a", runs), program("b", Some(3))],
            ..Spent::default()
        }
    }

    #[test]
    fn costs_are_differences_and_shares_of_the_time_between() {
        let cost = Overhead::between(&look(1_000, Some(10)), &look(101_000, Some(60)));
        let [a, b] = &cost.spent.programs[..] else {
            panic!("{cost:?}")
        };
        assert_eq!(
            (a.runs, a.run_ns, a.ns_per_run()),
            (Some(50), Some(10_000), Some(200.0))
        );
        assert_eq!((b.runs, b.ns_per_run()), (Some(0), None));
        assert_eq!(cost.share_of_core(a.run_ns), Some(0.1));
        assert_eq!(cost.per_second(a.runs), Some(500_000.0));
        assert_eq!((cost.total().runs, cost.total().misses), (Some(50), None));
    }

    #[test]
    fn unknown_stays_unknown() {
        let cost = Overhead::between(&look(0, None), &look(1, None));
        assert_eq!(
            (cost.total().runs, cost.per_second(cost.total().runs)),
            (None, None)
        );
        assert_eq!(
            Overhead::between(&look(5, Some(1)), &look(5, Some(2))).share_of_core(Some(1)),
            None
        );
    }
}
