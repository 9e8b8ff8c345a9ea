//! What the loop itself does: events that queue while it is busy, and how much of its time that is. The load knows both by
//! its own clock.

use super::trace::{FAMILIES, FENTRY, Family, KPROBE, Load, Run, Trace, sum, traced};
use super::{JOB_SECONDS, Need, Outputs, Problem, Test};
use crate::kernels::Capability;

const QUEUE: &str = "queue";
const BUSY: &str = "busy";
const EVENTS_PER_WAIT: &str = "events_per_wait";
const ROUNDS: u64 = 50;
/// A loop that is busy for 20 ms when an event comes, and waits as long for nothing after it.
const LOAD: Load = Load {
    scenario: "slow-handler",
    events: ROUNDS,
    waiters: None,
};
/// A quoted time is the upper edge of its bucket: at most a sixteenth above the true one.
const BUCKETS_PER_OCTAVE: u64 = 16;
/// Utilization may be off by so much.
const POINTS: f64 = 0.02;

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

fn test(name: String, family: Family, check: fn(&Run<'_>) -> Result<(), Problem>) -> Test {
    let metrics = [QUEUE, BUSY, EVENTS_PER_WAIT].join(",");
    let checked = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for run in trace.runs(&[LOAD])? {
            check(&run)?;
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

/// Every event waited for its loop; no quantile is above the load's own, nor below it by more than a bucket.
fn check_queue(run: &Run<'_>) -> Result<(), Problem> {
    let [line] = run.metric(QUEUE)[..] else {
        return Err(format!("{} epolls have a queue, not one", run.metric(QUEUE).len()).into());
    };
    if line["count"].as_u64() != Some(ROUNDS) {
        return Err(format!("{} events queued, not {ROUNDS}", line["count"]).into());
    }
    let (Some(quoted), Some(clock)) = (line["p50_ns"].as_u64(), run.report["latency_ns"]["p50"].as_u64())
    else {
        return Err(format!("no p50 in {line} or in {}", run.report["latency_ns"]).into());
    };
    let bucket = clock / BUCKETS_PER_OCTAVE;
    if quoted > clock + bucket || quoted < clock - bucket {
        return Err(format!("p50 {quoted}, but the load's own is {clock}").into());
    }
    Ok(())
}

/// A value per gap between waits, and time in the same proportion as by the load's clock.
fn check_busy(run: &Run<'_>) -> Result<(), Problem> {
    let gaps = 2 * ROUNDS - 1;
    let counts = [(BUSY, gaps), (EVENTS_PER_WAIT, ROUNDS)];
    for (metric, expected) in counts {
        let count = of(run, metric, "count")?;
        if count != expected {
            return Err(format!("{metric} has {count} values, not {expected}").into());
        }
    }
    if of(run, EVENTS_PER_WAIT, "sum")? != ROUNDS {
        return Err("the deliveries do not have one event each".into());
    }
    let share = |busy: u64, waiting: u64| busy as f64 / (busy + waiting) as f64;
    let theirs = share(own(run, "busy_ns")?, own(run, "waiting_ns")?);
    let [line] = run.lines("epoll")[..] else {
        return Err("not one epoll".into());
    };
    let ours = line["utilization"]
        .as_f64()
        .ok_or_else(|| Problem::from(format!("no utilization in {line}")))?;
    if (ours - theirs).abs() > POINTS {
        return Err(format!("utilization {ours}, but {theirs} by the load's clock").into());
    }
    Ok(())
}
