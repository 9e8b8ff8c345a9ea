//! `bench wait` and `bench ctl` under the tool: the loads that go as fast as they can, counted exactly.

use std::collections::BTreeMap;

use serde_json::Value;

use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Trace};
use super::{Need, Outputs, Problem, Test};
use crate::kernels::Capability;

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

/// Modes of `bench ctl`.
const CTL_MODES: [&str; 2] = ["", "--randomize --nested 2"];
/// What both say of epoll_ctl, by the same names.
const CTL: [&str; 5] = ["ctl_add", "ctl_mod", "ctl_del", "ctl_eexist", "ctl_enoent"];

/// Each family that counts notifications, and each that sees epoll_ctl.
pub(super) fn tests() -> Vec<Test> {
    let wait = [FENTRY, KPROBE].map(|family| counted("wait", &MODES, family, check));
    let ctl = FAMILIES
        .map(|family| counted("ctl", &CTL_MODES, family, check_ctl).needs(Need::Can(Capability::ProbeRead)));
    wait.into_iter().chain(ctl).collect()
}

fn counted(
    bench: &str,
    modes: &[&str],
    family: Family,
    check: fn(&Outputs<'_>) -> Result<(), Problem>,
) -> Test {
    let load = |mode| format!("epoll-trace bench {bench} -t 2 -f 4 --ops {OPERATIONS} --json {mode}");
    let script = modes.iter().map(load).collect::<Vec<_>>().join(" && ");
    let words = ["epoll-trace", "hist", "--json", "-E", "--probes", family.name];
    let words = words.into_iter().chain(["--", "sh", "-c", &script]);
    Test::new(format!("bench: {bench}, {}", family.name), check)
        .needs(family.need())
        .run(words.map(str::to_owned).collect(), SECONDS)
}

/// Every call of every thread and of the set-up is counted by its result.
fn check_ctl(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    let runs = trace.reports("bench_ctl");
    if runs.len() != CTL_MODES.len() {
        return Err(format!("{} runs reported, not {}", runs.len(), CTL_MODES.len()).into());
    }
    for (run, mode) in runs.iter().zip(CTL_MODES) {
        let totals = &run.report["totals"];
        let own = |name: &str| {
            totals[name]
                .as_u64()
                .ok_or_else(|| format!("no {name} in {totals}"))
        };
        let expected = CTL.iter().map(|&name| Ok((name, own(name)?)));
        let expected: BTreeMap<_, _> = expected.collect::<Result<_, String>>()?;
        if let Some(why) = trace.absent("ctl_add")? {
            return Err(format!("absent: {why}").into());
        }
        if let Err(Problem::Failed(why)) = run.hold_to(expected, "epoll", &[]) {
            return Err(format!("`{mode}`: {why}").into());
        }
    }
    Ok(())
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
