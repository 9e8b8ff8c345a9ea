//! The cheap form: waits and wakeups alone, as `top` counts them. It takes the epoll of a wait from its wakeup or its return, where
//! the full form takes it from the begin.

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

/// With every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES.map(waits).into()
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
