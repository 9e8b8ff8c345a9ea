//! The two cheap forms: waits and wakeups alone, as `top` counts them, and the wakeup histogram alone, which counts nothing else.
//! Both take the epoll of a wait from its wakeup or its return, where the full form takes it from the begin.

use super::together::SHOW;
use super::trace::{FAMILIES, Family, Load, Trace, sum, traced};
use super::{JOB_SECONDS, Outputs, Problem, Test};

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

/// Both with every family.
pub(super) fn tests() -> Vec<Test> {
    FAMILIES
        .map(waits)
        .into_iter()
        .chain(FAMILIES.map(alone))
        .collect()
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

/// Beside a load the histogram has a value for each delivery that slept.
fn alone(family: Family) -> Test {
    let loads: Vec<String> = LOADS.iter().map(|load| load.argv().join(" ")).collect();
    let script = format!(
        "{SHOW}epoll-trace hist --json -E --probes {} > /tmp/alone & tool=$!
until [ -s /tmp/alone ]; do sleep 0.1; done
{}
kill -INT $tool; wait $tool; show /tmp/alone",
        family.name,
        loads.join("\n")
    );
    let check = |outputs: &Outputs<'_>| {
        let trace = Trace::new(outputs.json_lines(0)?, outputs.guest())?;
        let mut wrong = Vec::new();
        for run in trace.runs(&LOADS)? {
            let expected = run.expected()?.get("deliveries_slept").copied();
            let expected = expected.ok_or("the load does not know its deliveries")?;
            let counted = sum(&run.metric("wakeup"), "count")?.unwrap_or(0);
            if counted.abs_diff(expected) > run.excused(expected) {
                wrong.push(format!("{counted} values of {expected}: {}", run.report));
            }
        }
        if trace.absent("waits")?.is_none() {
            wrong.push("waits are not counted here, and not absent".to_owned());
        }
        if wrong.is_empty() {
            return Ok(());
        }
        Err(Problem::from(wrong.join("\n  ")))
    };
    Test::new(format!("light: the histogram alone, {}", family.name), check)
        .needs(family.need())
        .run(vec!["sh".to_owned(), "-c".to_owned(), script], JOB_SECONDS)
}
