//! What the loop itself does: events that queue while it is busy, and how much of its time that is. The load bounds both by
//! its own clock, from above and below.

use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, Run, Trace, sum, traced};
use super::{JOB_SECONDS, Need, Outputs, Problem, Test};
use crate::kernels::Capability;

const QUEUE: &str = "queue";
const BUSY: &str = "busy";
const EVENTS_PER_WAIT: &str = "events_per_wait";
const ROUNDS: u64 = 50;
/// A loop that sleeps [`HANDLER_NS`] when an event comes, and waits as long for nothing after it.
const LOAD: Load = Load {
    scenario: "slow-handler",
    events: ROUNDS,
    waiters: None,
};
/// Neither a sleep nor a timeout ends early, so both are sure to last that long.
const HANDLER_NS: u64 = 20_000_000;
/// A quoted time is the upper edge of its bucket: at most a sixteenth above the true one.
const BUCKETS_PER_OCTAVE: u64 = 16;
/// JSON has shares with some digits.
const ROUNDING: f64 = 0.001;

/// Every family; the queue only where the end of a scan is seen.
pub(super) fn tests() -> Vec<Test> {
    let busy = FAMILIES.map(|family| {
        let name = format!("loops: busy time and utilization as the load's, {}", family.name);
        test(name, family, check_busy)
    });
    let queue = [FENTRY, KPROBE].map(|family| {
        let name = format!("loops: queue as the load's, {}", family.name);
        let test = test(name, family, check_queue).needs(Need::Can(Capability::ProbeRead));
        // Before 6.1 kprobes do not see the end of a scan.
        if family == KPROBE {
            test.needs(Need::Since(6, 1))
        } else {
            test
        }
    });
    busy.into_iter().chain(queue).collect()
}

fn test(name: String, family: Family, check: fn(&Run<'_>, u64) -> Result<(), Problem>) -> Test {
    let metrics = [QUEUE, BUSY, EVENTS_PER_WAIT].join(",");
    let checked = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for run in trace.runs(&[LOAD])? {
            check(&run, trace.misses)?;
        }
        Ok(())
    };
    Test::new(name, checked).needs(family.need()).run(
        traced(&[LOAD], family, &["-E", "--metric", &metrics]),
        JOB_SECONDS,
    )
}

fn of(run: &Run<'_>, metric: &str, field: &str) -> Result<u64, Problem> {
    sum(&run.metric(metric), field)?.ok_or_else(|| Problem::from(format!("{metric} has no {field}")))
}

fn own(run: &Run<'_>, field: &str) -> Result<u64, Problem> {
    run.report[field]
        .as_u64()
        .ok_or_else(|| Problem::from(format!("the load reports no {field}")))
}

/// So many values, but for those of waits that misses hide: of a begin the gaps before and after it.
fn counted(metric: &str, count: u64, expected: u64, misses: u64) -> Result<(), Problem> {
    let lost = (2 * misses).min(expected / 2);
    if (expected - lost..=expected).contains(&count) {
        return Ok(());
    }
    Err(format!("{metric} has {count} values, not {expected}; {misses} hits missed").into())
}

/// Every event waited for its loop, at least as long as that slept, and no longer than by the load's clock, which starts before
/// the notification and stops after the return. Where the machine is busy there is no telling how much longer that is.
fn check_queue(run: &Run<'_>, misses: u64) -> Result<(), Problem> {
    let line = run.only(QUEUE)?;
    counted(QUEUE, of(run, QUEUE, "count")?, ROUNDS, misses)?;
    // Without some values the same rank is another one.
    let rank = if misses == 0 { "p50" } else { "max" };
    let (Some(quoted), Some(clock)) = (line["p50_ns"].as_u64(), run.report["latency_ns"][rank].as_u64())
    else {
        return Err(format!("no p50 in {line} or no {rank} in {}", run.report["latency_ns"]).into());
    };
    if quoted < HANDLER_NS || quoted > clock + clock / BUCKETS_PER_OCTAVE {
        return Err(
            format!("p50 {quoted}, but the load slept {HANDLER_NS}, and its {rank} is {clock}").into(),
        );
    }
    Ok(())
}

/// A value per gap between waits, and times that are consistent with the load's clock: it stops before each wait and starts
/// after it, so its waits are longer than the tool's and its gaps shorter, by as much as the machine makes the calls last.
fn check_busy(run: &Run<'_>, misses: u64) -> Result<(), Problem> {
    counted(BUSY, of(run, BUSY, "count")?, 2 * ROUNDS - 1, misses)?;
    let deliveries = of(run, EVENTS_PER_WAIT, "count")?;
    counted(EVENTS_PER_WAIT, deliveries, ROUNDS, misses)?;
    if of(run, EVENTS_PER_WAIT, "sum")? != deliveries {
        return Err("the deliveries do not have one event each".into());
    }
    let mut lines = run.lines("epoll");
    lines.retain(|line| line["waits"] != 0);
    let [line] = lines[..] else {
        return Err(format!("not one epoll that is waited on: {lines:?}").into());
    };
    let ours = |name| sum(&[line], name)?.ok_or_else(|| Problem::from(format!("no {name} in {line}")));
    let (busy, waiting) = (ours("busy_ns")?, ours("waiting_ns")?);
    let (their_busy, their_waiting) = (own(run, "busy_ns")?, own(run, "waiting_ns")?);
    let told = format!("busy {busy} ns and waiting {waiting}, by the load {their_busy} and {their_waiting}");
    let within = waiting <= their_waiting && busy + waiting <= their_busy + their_waiting;
    // What a miss hides is in neither time.
    let whole = busy >= their_busy && waiting >= ROUNDS * HANDLER_NS;
    if !within || (misses == 0 && !whole) {
        return Err(told.into());
    }
    let share = busy as f64 / (busy + waiting) as f64;
    match line["utilization"].as_f64() {
        Some(utilization) if (utilization - share).abs() < ROUNDING && of(run, BUSY, "sum_ns")? == busy => {
            Ok(())
        }
        _ => Err(format!("{told}: not what {line} says").into()),
    }
}
