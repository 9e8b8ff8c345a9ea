//! The cheapest and the dearest form. Waits and wakeups alone, as `top` counts them: the epoll of a wait is taken from its wakeup or
//! its return, where the full form takes it from the begin. And everything at once: the verifier sees other programs then.

use super::trace::{FAMILIES, Family, Load, Trace, traced};
use super::{JOB_SECONDS, Outputs, Test};

/// Waits that sleep and that do not, that end in nothing, on shared epolls and on addresses used again.
const LOADS: [Load; 7] = [
    load("tcp-lt", None),
    load("herd-eventfd", Some(2)),
    load("shared-lt", Some(2)),
    load("fork-shared-et", Some(2)),
    load("unread-level", None),
    load("timeouts", None),
    load("reuse", None),
];
const EVENTS: u64 = 20;

const fn load(scenario: &'static str, waiters: Option<u32>) -> Load {
    Load {
        scenario,
        events: EVENTS,
        waiters,
    }
}

/// Every histogram.
const EVERYTHING: &str =
    "wakeup,callback,runqueue,delivery,queue,busy,scan,events_per_wait,overflow_length,lock,mutex";

/// With every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES
        .into_iter()
        .flat_map(|family| [waits(family), everything(family)])
        .collect()
}

/// No program is refused whatever is asked for at once, and the load's counters hold.
fn everything(family: Family) -> Test {
    let load = load("pipe-lt", None);
    let check = move |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        trace.runs(&[load])?[0].hold("epoll", &[])?;
        let plan = trace.kind("plan");
        let signals = plan.first().and_then(|line| line["plan"]["signals"].as_array());
        let signals = signals.ok_or("no plan is printed")?;
        let mut broken = signals.iter().filter(|row| row["verdict"] == "broken");
        match broken.next() {
            None => Ok(()),
            Some(row) => Err(format!("{} is broken: {}", row["signal"], row["why"]).into()),
        }
    };
    let options = ["-E", "--counters", "--wakers", "--metric", EVERYTHING];
    Test::new(
        format!("everything: all measures at once, {}", family.name),
        check,
    )
    .needs(family.need())
    .run(traced(&[load], family, &options), JOB_SECONDS)
}

/// Every counter that is told equals the load's.
fn waits(family: Family) -> Test {
    let check = |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        for run in trace.runs(&LOADS)? {
            // Made of a number that this form does not count.
            run.hold("epoll", &["wasted_wakeups"])?;
        }
        for name in ["waits", "events", "deliveries_slept", "empty_wakeups", "timeouts"] {
            if let Some(why) = trace.absent(name)? {
                return Err(format!("{name} is absent: {why}").into());
            }
        }
        Ok(())
    };
    let options = ["-E", "--counters=waits"];
    Test::new(format!("light: waits and wakeups alone, {}", family.name), check)
        .needs(family.need())
        .run(traced(&LOADS, family, &options), JOB_SECONDS)
}
