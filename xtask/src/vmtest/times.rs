//! Times by oracle: emulated time is not real time, but the load's own clock around write and return runs in the same
//! machine, and the phases have to add up.

use super::trace::{FAMILIES, Family, Load, Run, Trace, sum, traced};
use super::{JOB_SECONDS, Outputs, Problem, Test};

const TOTAL: &str = "wakeup";
/// Parts of the total, in their order.
const PHASES: [&str; 3] = ["callback", "runqueue", "delivery"];
/// A quoted time is the upper edge of its bucket: at most a sixteenth above the true one.
const BUCKETS_PER_OCTAVE: u64 = 16;
/// Loads with one waiter: each of its deliveries is one value on both clocks.
const LOADS: [&str; 3] = ["pipe-lt", "socketpair-et", "tcp-lt"];

/// Every load with every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES.map(test).into()
}

fn loads() -> [Load; 3] {
    LOADS.map(|scenario| Load {
        scenario,
        events: 100,
        waiters: None,
    })
}

fn test(family: Family) -> Test {
    let metrics = [&[TOTAL], &PHASES[..]].concat().join(",");
    let name = format!("times: total within the load's, phases add up, {}", family.name);
    Test::new(name, check).needs(family.need()).run(
        traced(&loads(), family, &["-E", "--metric", &metrics]),
        JOB_SECONDS,
    )
}

fn check(outputs: &Outputs<'_>) -> Result<(), Problem> {
    let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
    for run in trace.runs(&loads())? {
        run.hold("epoll", &[])?;
        below_own_clock(&run, trace.misses)?;
        phases_add_up(&trace, &run)?;
    }
    Ok(())
}

/// The load's clock starts before the notification and stops after the return, so no quantile of the tool's is above
/// the load's, but for the width of a bucket. Without the values that misses cost, a rank falls on a later one.
fn below_own_clock(run: &Run<'_>, misses: u64) -> Result<(), Problem> {
    let line = run.only(TOTAL)?;
    let own = &run.report["latency_ns"];
    let ranks = if misses == 0 {
        [("p50_ns", "p50"), ("p99_ns", "p99"), ("max_ns", "max")]
    } else {
        [("p50_ns", "p99"), ("p99_ns", "max"), ("max_ns", "max")]
    };
    for (ours, theirs) in ranks {
        let (Some(quoted), Some(clock)) = (line[ours].as_u64(), own[theirs].as_u64()) else {
            return Err(format!("no {ours} in {line} or no {theirs} in {own}").into());
        };
        if quoted == 0 || quoted > clock + clock / BUCKETS_PER_OCTAVE {
            return Err(format!("{ours} {quoted}, but the load's own {theirs} is {clock}").into());
        }
    }
    Ok(())
}

/// Each known phase has a value per delivery, and their sums make the total's.
fn phases_add_up(trace: &Trace, run: &Run<'_>) -> Result<(), Problem> {
    let of = |metric, field| {
        let sum = sum(&run.metric(metric), field)?;
        sum.ok_or_else(|| Problem::from(format!("{metric} has no {field}")))
    };
    let mut sum = 0;
    let mut known = 0;
    for phase in PHASES {
        if trace.absent(phase)?.is_some() {
            continue;
        }
        known += 1;
        let (count, total) = (of(phase, "count")?, of(TOTAL, "count")?);
        if count != total {
            return Err(format!("{phase} has {count} values, {TOTAL} has {total}").into());
        }
        sum += of(phase, "sum_ns")?;
    }
    let total = of(TOTAL, "sum_ns")?;
    // Without probes in epoll itself the total begins where the waiter is made runnable, so it has no callback part.
    if known < PHASES.len() - 1 || sum != total {
        return Err(format!("{known} phases add up to {sum} ns, {TOTAL} is {total} ns").into());
    }
    Ok(())
}
