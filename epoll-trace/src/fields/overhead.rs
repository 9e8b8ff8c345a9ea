//! The numbers that views show of each of our own programs.

use super::Value;
use crate::model::overhead::{Overhead, ProgramRuns};

/// One number of a program.
#[derive(Clone, Copy, Debug)]
pub struct CostField {
    /// Name in JSON.
    pub id: &'static str,
    /// Head of its column; a field without one is for JSON alone.
    pub title: Option<&'static str>,
    get: fn(&Overhead, &ProgramRuns) -> Value,
}

impl CostField {
    /// Its value for `program` of `cost`.
    pub fn value(&self, cost: &Overhead, program: &ProgramRuns) -> Value {
        (self.get)(cost, program)
    }
}

const fn field(
    id: &'static str,
    title: Option<&'static str>,
    get: fn(&Overhead, &ProgramRuns) -> Value,
) -> CostField {
    CostField { id, title, get }
}

fn count(count: Option<u64>) -> Value {
    count.map_or(Value::Absent, Value::Count)
}

/// Every number, in the order of columns.
pub static COST_FIELDS: &[CostField] = &[
    field("runs", None, |_, program| count(program.runs)),
    field("run_ns", None, |_, program| count(program.run_ns)),
    field("runs_per_s", Some("RUNS/s"), |cost, program| {
        cost.per_second(program.runs).map_or(Value::Absent, Value::Rate)
    }),
    field("ns_per_run", Some("NS/RUN"), |_, program| {
        program.ns_per_run().map_or(Value::Absent, Value::Ratio)
    }),
    field("core_share", Some("CORE"), |cost, program| {
        cost.share_of_core(program.run_ns)
            .map_or(Value::Absent, Value::FineShare)
    }),
    field("misses", Some("MISSES"), |_, program| count(program.misses)),
];
