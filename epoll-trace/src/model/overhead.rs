//! What our own programs and this agent cost, and the difference of two looks at it.

use super::delta::Window;

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

impl Spent {
    /// Leaves what was spent after `earlier`; memory stays that of this look.
    pub fn take_off(&mut self, earlier: &Self) {
        for program in &mut self.programs {
            let old = earlier.programs.iter().find(|old| old.name == program.name);
            program.runs = since(program.runs, old.and_then(|old| old.runs));
            program.run_ns = since(program.run_ns, old.and_then(|old| old.run_ns));
            program.misses = since(program.misses, old.and_then(|old| old.misses));
        }
        self.agent_ns = since(self.agent_ns, earlier.agent_ns);
    }
}

impl Overhead {
    /// What was spent in `window`; `None` where that was not asked for.
    pub fn of(window: &Window) -> Option<Self> {
        Some(Self {
            span_ns: window.span_ns,
            spent: window.counted.spent.clone()?,
        })
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
    use crate::model::snapshot::Snapshot;

    fn between(runs: [Option<u64>; 2], span_ns: u64) -> Overhead {
        let [earlier, later] = runs.map(|runs| Snapshot {
            spent: Some(look(runs)),
            ..Snapshot::default()
        });
        let later = Snapshot {
            at_ns: span_ns,
            ..later
        };
        Overhead::of(&Window::between(&earlier, &later)).unwrap()
    }

    fn look(runs: Option<u64>) -> Spent {
        let program = |name: &str, runs: Option<u64>| ProgramRuns {
            name: name.to_owned(),
            runs,
            run_ns: runs.map(|runs| runs * 200),
            misses: None,
        };
        Spent {
            programs: vec![program("a", runs), program("b", Some(3))],
            ..Spent::default()
        }
    }

    #[test]
    fn costs_are_differences_and_shares_of_the_time_between() {
        let cost = between([Some(10), Some(60)], 100_000);
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
        let cost = between([None, None], 1);
        assert_eq!(
            (cost.total().runs, cost.per_second(cost.total().runs)),
            (None, None)
        );
        assert_eq!(between([Some(1), Some(2)], 0).share_of_core(Some(1)), None);
    }
}
