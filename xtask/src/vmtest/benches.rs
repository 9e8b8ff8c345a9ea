//! `bench wait` under the tool: the loads that go as fast as they can, counted exactly.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace::{FENTRY, Family, KPROBE, Trace};
use super::{Outputs, Problem, Test};

/// Modes of the load, which share a start of the tool.
const MODES: [&str; 4] = [
    "",
    "--multiq --edge",
    "--multiq --oneshot --nested 2",
    "--nonblocking",
];
/// Operations of each thread.
const OPERATIONS: u64 = 300;
const SECONDS: u64 = 200;

/// Each family that counts notifications.
pub(super) fn tests() -> Vec<Test> {
    [FENTRY, KPROBE].map(counted).into()
}

fn counted(family: Family) -> Test {
    let loads =
        MODES.map(|mode| format!("epoll-trace bench wait -t 2 -f 4 --ops {OPERATIONS} --json {mode}"));
    let script = loads.join(" && ");
    let words = ["epoll-trace", "hist", "--json", "-E", "--probes", family.name];
    let words = words.into_iter().chain(["--", "sh", "-c", &script]);
    Test::new(format!("bench: wait, {}", family.name), check)
        .needs(family.need())
        .run(words.map(str::to_owned).collect(), SECONDS)
}

fn check(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.reports("bench_wait");
    if runs.len() != MODES.len() {
        return Err(format!("{} runs reported, not {}", runs.len(), MODES.len()).into());
    }
    for (run, mode) in runs.iter().zip(MODES) {
        let expected = expected(run.report)?;
        if expected["deliveries"] < 2 * OPERATIONS {
            return Err(format!("`{mode}` did too little: {}", run.report).into());
        }
        if let Err(Problem::Failed(why)) = run.hold_to(expected, "epoll", &[]) {
            return Err(format!("`{mode}`: {why}").into());
        }
    }
    Ok(())
}

/// What the tool must have counted, by its names.
fn expected(report: &Value) -> Result<BTreeMap<&'static str, u64>, Problem> {
    let number = |value: &Value| {
        value
            .as_u64()
            .ok_or_else(|| format!("a number is missing in {report}"))
    };
    let totals = &report["totals"];
    let deliveries = number(&totals["deliveries"])?;
    Ok(BTreeMap::from([
        ("waits", number(&totals["waits"])?),
        ("deliveries", deliveries),
        // A wait asks for one event.
        ("events", deliveries),
        ("full_batches", deliveries),
        ("zero_timeouts", number(&totals["zero_timeouts"])?),
        ("interrupted", number(&totals["interrupted"])?),
        ("timeouts", 0),
        ("errors", 0),
        ("notifications", number(&report["notifications"])?),
    ]))
}
