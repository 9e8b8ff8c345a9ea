//! What this run itself is made of: a row per signal, with what its programs cost where that is measured.

use super::overhead::{Overhead, ProgramRuns};
use super::probes::{SignalStatus, Status};

/// A signal and the programs that tell it.
#[derive(Clone, Debug, PartialEq)]
pub struct OwnRow {
    /// The verdict on it.
    pub signal: SignalStatus,
    /// Runs of its programs a second; `None` where runs are not counted, as of all below.
    pub runs_per_s: Option<f64>,
    /// Mean time of a run, ns.
    pub ns_per_run: Option<f64>,
    /// Part of one core.
    pub core_share: Option<f64>,
    /// Hits that were dropped since the program ran on that CPU.
    pub misses: Option<u64>,
}

/// The machine that is looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Its name. Not yet safe for a terminal.
    pub name: String,
    /// `uname -r`.
    pub kernel: String,
}

/// A row for each signal of the plan; with what its programs cost if there is a `cost`.
pub fn own_rows(status: &Status, cost: Option<&Overhead>) -> Vec<OwnRow> {
    let row = |signal: &SignalStatus| {
        let runs = cost.map(|cost| programs(signal, cost)).unwrap_or_default();
        OwnRow {
            signal: signal.clone(),
            runs_per_s: cost.and_then(|cost| cost.per_second(runs.runs)),
            ns_per_run: runs.ns_per_run(),
            core_share: cost.and_then(|cost| cost.share_of_core(runs.run_ns)),
            misses: runs.misses,
        }
    };
    status.signals.iter().map(row).collect()
}

/// The programs of `signal` together; a number that one of them does not know, the sum does not know.
fn programs(signal: &SignalStatus, cost: &Overhead) -> ProgramRuns {
    let all = cost.spent.programs.iter();
    let own: Vec<&ProgramRuns> = all
        .filter(|program| signal.programs.contains(&program.name))
        .collect();
    if own.is_empty() {
        return ProgramRuns::default();
    }
    let sum = |of: fn(&ProgramRuns) -> Option<u64>| own.iter().map(|program| of(program)).sum();
    ProgramRuns {
        name: signal.signal.clone(),
        runs: sum(|program| program.runs),
        run_ns: sum(|program| program.run_ns),
        misses: sum(|program| program.misses),
    }
}
